package trace

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	packet "github.com/netsonde/netsonde/internal/wire"
)

// rawFlow is what all packets of one raw trace have in common: every field by
// which routers may choose among paths. A packet is told from the others by
// its token, 32 random bits that lie in the first eight bytes of the transport
// header or in the IP header, which even the shortest quote has:
//
//	UDP   IPv4: identification and checksum; IPv6: checksum, and the target
//	TCP   sequence number
//	ICMP  identifier, of which the engine has the upper half and the trace
//	      the lower, and sequence number
//
// UDP and ICMP carry token and key in their payload too; where that is
// quoted, it has to agree.
type rawFlow struct {
	method       Method
	src, dst     netip.Addr
	zone         uint32 // scope id of dst
	sport, dport uint16 // ICMP: sport is the identifier
	key          [rawKeyLen]byte
	payload      int // bytes
	pseudo       uint32
}

// The payload of UDP and ICMP: two bytes that make the checksum what it shall
// be, key, token, zeros.
const (
	rawKeyLen     = 6
	rawTokenAt    = 2 + rawKeyLen
	rawPayloadLen = rawTokenAt + 4
	rawEchoLen    = 16 // payload of an echo request, as the unprivileged method has it
)

// rawSYNOptions are those of an ordinary connection: segment size, selective
// acknowledgements, window scale. Some firewalls drop a SYN without any.
var rawSYNOptions = []byte{2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7}

// prepare computes what depends on the flow alone. Size is that of a packet.
func (f *rawFlow) prepare(size int) {
	switch f.method {
	case MethodTCP:
		f.payload = 0
	case MethodUDP:
		f.payload = max(rawPayloadLen, size-f.ipLen()-packet.UDPLen)
	default:
		f.payload = max(rawEchoLen, size-f.ipLen()-packet.ICMPLen)
	}
	if f.dst.Is4() {
		src, dst := f.src.As4(), f.dst.As4()
		f.pseudo = packet.PseudoHeader(src[:], dst[:], f.proto(), f.transportLen())
		return
	}
	src, dst := f.src.As16(), f.dst.As16()
	f.pseudo = packet.PseudoHeader(src[:], dst[:], f.proto(), f.transportLen())
}

func (f *rawFlow) ipLen() int {
	if f.dst.Is4() {
		return packet.IPv4Len
	}
	return packet.IPv6Len
}

func (f *rawFlow) proto() uint8 {
	switch {
	case f.method == MethodUDP:
		return packet.ProtoUDP
	case f.method == MethodTCP:
		return packet.ProtoTCP
	case f.dst.Is4():
		return packet.ProtoICMP
	}
	return packet.ProtoICMPv6
}

func (f *rawFlow) transportLen() int {
	switch f.method {
	case MethodTCP:
		return packet.TCPLen + len(rawSYNOptions)
	case MethodUDP:
		return packet.UDPLen + f.payload
	}
	return packet.ICMPLen + f.payload
}

// length returns the length of a packet.
func (f *rawFlow) length() int { return f.ipLen() + f.transportLen() }

// put writes the packet with a token and a TTL into b, which is length bytes long.
func (f *rawFlow) put(b []byte, token uint32, ttl int) {
	clear(b)
	t := b[f.ipLen():]
	if f.dst.Is4() {
		h := packet.IPv4{Length: uint16(len(b)), DF: true, TTL: uint8(ttl), Protocol: f.proto(), Src: f.src, Dst: f.dst}
		if f.method == MethodUDP {
			h.ID = uint16(token >> 16)
		}
		h.Put(b)
	} else {
		h := packet.IPv6{Length: uint16(len(t)), NextHeader: f.proto(), HopLimit: uint8(ttl),
			Src: f.src.WithZone(""), Dst: f.dst.WithZone("")}
		h.Put(b)
	}
	switch f.method {
	case MethodTCP:
		h := packet.TCP{SrcPort: f.sport, DstPort: f.dport, Seq: token, Flags: packet.SYN, Window: 64240, Options: rawSYNOptions}
		h.Put(t)
		binary.BigEndian.PutUint16(t[16:], packet.Fold(packet.Sum(f.pseudo, t)))
	case MethodUDP:
		h := packet.UDP{SrcPort: f.sport, DstPort: f.dport, Length: uint16(len(t)), Checksum: uint16(token)}
		h.Put(t)
		f.putPayload(t, t[packet.UDPLen:], token)
	default:
		h := packet.ICMP{Type: packet.ICMPEchoRequest, ID: uint16(token >> 16), Seq: uint16(token), Checksum: f.echoChecksum()}
		if f.dst.Is6() {
			h.Type = packet.ICMPv6EchoRequest
		}
		h.Put(t)
		f.putPayload(t, t[packet.ICMPLen:], token)
	}
}

// echoChecksum is the checksum of all echo requests of a trace.
func (f *rawFlow) echoChecksum() uint16 {
	c := binary.BigEndian.Uint16(f.key[:])
	if c == 0 || c == 0xffff {
		c = 1
	}
	return c
}

// putPayload writes the payload of a message whose checksum is given already,
// neither 0 nor 0xffff, and makes it right.
func (f *rawFlow) putPayload(msg, payload []byte, token uint32) {
	copy(payload[2:], f.key[:])
	binary.BigEndian.PutUint32(payload[rawTokenAt:], token)
	sum := uint32(0) // an ICMP checksum has no pseudo header
	if f.method != MethodICMP || f.dst.Is6() {
		sum = f.pseudo
	}
	// A sum over everything has to be all ones.
	binary.BigEndian.PutUint16(payload, packet.Fold(packet.Sum(sum, msg)))
}

// heard is what a packet that came in says about a probe.
type heard struct {
	method  Method
	outcome Outcome // OutcomeUnreachable for every ICMP message
	from    netip.Addr
	dst     netip.Addr // where the probe was going
	dport   uint16     // and its port; 0 for ICMP
	token   uint32
	key     []byte // as quoted; nil when the quote was too short
	unclear bool   // data came back that has no token
	icmp    icmperr.Error
	ttl     int
	stamp   time.Time
}

// rawPorts are what belongs to an engine in the packets that it sends.
type rawPorts struct {
	udp, tcp uint16 // source ports
	echo     uint16 // upper half of the identifiers
}

const rawEchoMask = 0xff00

// rawShort is the token of a UDP probe over IPv6 of which only the checksum is
// known; mix is a secret of the engine.
func rawShort(mix uint64, dst netip.Addr, checksum uint16) uint32 {
	a := dst.As16()
	h := (binary.BigEndian.Uint64(a[:]) ^ mix) * 0x9e3779b97f4a7c15
	h = (h ^ h>>29 ^ binary.BigEndian.Uint64(a[8:])) * 0xbf58476d1ce4e5b9
	return uint32(h>>48)<<16 | uint32(checksum)
}

// parseICMP reads an ICMP or ICMPv6 message, from its header on: an error
// about a probe of ours, or an echo of it.
func (p *rawPorts) parseICMP(v6 bool, from netip.Addr, msg []byte, mix uint64) (h heard, ok bool) {
	m, body, ok := packet.ParseICMP(msg)
	if !ok {
		return h, false
	}
	h.from = from
	reply := uint8(packet.ICMPEchoReply)
	if v6 {
		reply = packet.ICMPv6EchoReply
	}
	if m.Type == reply {
		if len(body) < rawEchoLen || m.ID&rawEchoMask != p.echo {
			return h, false
		}
		h.method, h.outcome, h.dst = MethodICMP, OutcomeEchoReply, from
		h.token = uint32(m.ID)<<16 | uint32(m.Seq)
		h.key = body[2:rawTokenAt]
		return h, binary.BigEndian.Uint32(body[rawTokenAt:]) == h.token
	}
	if !isError(v6, m.Type) {
		return h, false
	}
	h.icmp = icmperr.New(from, m.Type, m.Code)
	quoted, ext := packet.SplitExtensions(v6, msg, body)
	q, ok := packet.ParseQuote(quoted)
	if !ok || q.V6 != v6 || q.FragOff != 0 || !p.parseQuote(&h, &q, mix) {
		return h, false
	}
	h.outcome, h.dst = OutcomeUnreachable, q.Dst
	switch {
	case h.icmp.Kind == icmperr.FragNeeded && v6:
		h.icmp.MTU = int(m.ID)<<16 | int(m.Seq)
	case h.icmp.Kind == icmperr.FragNeeded:
		h.icmp.MTU = int(m.Seq)
	case h.icmp.Kind == icmperr.ParameterProblem && v6:
		h.icmp.Pointer = int(m.ID)<<16 | int(m.Seq)
	case h.icmp.Kind == icmperr.ParameterProblem:
		h.icmp.Pointer = int(m.ID >> 8)
	}
	h.icmp.SetExtensions(ext)
	return h, true
}

// isError reports whether messages of a type quote a packet that was lost.
func isError(v6 bool, typ uint8) bool {
	if v6 {
		return typ >= 1 && typ <= 4
	}
	return typ == 3 || typ == 11 || typ == 12
}

// parseQuote finds out which probe a quoted packet is.
func (p *rawPorts) parseQuote(h *heard, q *packet.Quote, mix uint64) bool {
	sport, dport, rest, ok := packet.QuotedPorts(q.Transport)
	if !ok {
		return false
	}
	payload := q.Transport[8:]
	switch {
	case q.Protocol == packet.ProtoUDP && sport == p.udp:
		h.method, h.dport = MethodUDP, dport
		h.token = uint32(q.ID)<<16 | rest&0xffff
		if q.V6 {
			h.token = rawShort(mix, q.Dst, uint16(rest))
		}
	case q.Protocol == packet.ProtoTCP && sport == p.tcp:
		h.method, h.dport, h.token = MethodTCP, dport, rest
		return true
	case q.Protocol == packet.ProtoICMP && !q.V6 && q.Transport[0] == packet.ICMPEchoRequest,
		q.Protocol == packet.ProtoICMPv6 && q.V6 && q.Transport[0] == packet.ICMPv6EchoRequest:
		h.method, h.token = MethodICMP, rest
		if uint16(rest>>16)&rawEchoMask != p.echo || q.Transport[1] != 0 {
			return false
		}
	default:
		return false
	}
	if len(payload) < rawPayloadLen {
		return true
	}
	h.key = payload[2:rawTokenAt]
	token := binary.BigEndian.Uint32(payload[rawTokenAt:])
	if h.method == MethodUDP {
		h.token = token // translators may have changed what is in the headers
	}
	return h.token == token
}

// parseTCP reads a segment that came to our port.
func (p *rawPorts) parseTCP(from netip.Addr, segment []byte) (h heard, ok bool) {
	s, _, ok := packet.ParseTCP(segment)
	if !ok || s.DstPort != p.tcp || s.Flags&packet.ACK == 0 {
		return h, false
	}
	h = heard{method: MethodTCP, from: from, dst: from, dport: s.SrcPort, token: s.Ack - 1}
	switch {
	case s.Flags&packet.RST != 0:
		h.outcome = OutcomeRefused
	case s.Flags&packet.SYN != 0:
		h.outcome = OutcomeOpen
	default:
		return h, false
	}
	return h, true
}

// parseData reads a datagram that came to our port.
func parseData(from netip.AddrPort, data []byte) heard {
	h := heard{method: MethodUDP, outcome: OutcomeOpen, from: from.Addr(), dst: from.Addr(), dport: from.Port(), unclear: true}
	if len(data) >= rawPayloadLen {
		h.token, h.key = binary.BigEndian.Uint32(data[rawTokenAt:]), data[2:rawTokenAt]
	}
	return h
}

// reply turns what was heard into the reply of a probe; false for messages
// that do not mean that the packet was lost.
func (h *heard) reply(f *rawFlow, sized bool, sent, now time.Time) (Reply, bool) {
	r := Reply{Outcome: h.outcome, From: h.from, ReplyTTL: h.ttl}
	r.RTT, r.Stamp = rtt(sent, now, h.stamp)
	if h.outcome != OutcomeUnreachable {
		return r, true
	}
	if advice(h.icmp.Kind, sized) {
		return r, false
	}
	e := h.icmp
	e.TTL = h.ttl
	r.ICMP = &e
	judge(&r, f.method, f.dst, f.src)
	return r, true
}
