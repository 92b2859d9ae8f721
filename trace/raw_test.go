package trace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	packet "github.com/netsonde/netsonde/internal/wire"
)

var rawTestPorts = rawPorts{udp: 50001, tcp: 50002, echo: 0x7700}

// rawFlows are one flow for each method and family.
func rawFlows(size int) []*rawFlow {
	var flows []*rawFlow
	for m := MethodUDP; m <= MethodICMP; m++ {
		for _, a := range [][2]string{{"192.0.2.1", "198.51.100.9"}, {"2001:db8::1", "2001:db8:ffff::9"}} {
			f := &rawFlow{method: m, src: netip.MustParseAddr(a[0]), dst: netip.MustParseAddr(a[1]), dport: 33434,
				sport: map[Method]uint16{MethodUDP: 50001, MethodTCP: 50002, MethodICMP: 0x7742}[m], key: [rawKeyLen]byte{1, 2, 3, 4, 5, 6}}
			if m == MethodICMP {
				f.dport = 0
			}
			f.prepare(size)
			flows = append(flows, f)
		}
	}
	return flows
}

const rawTestMix = 0x1234567890abcdef

// tokenFor makes a random number the token of a probe.
func tokenFor(f *rawFlow, n uint32) uint32 {
	switch {
	case f.method == MethodICMP:
		return 0x77420000 | n&0xffff
	case f.method == MethodUDP && (uint16(n) == 0 || uint16(n) == 0xffff):
		n ^= 0x1234
	}
	if f.method == MethodUDP && f.dst.Is6() {
		return rawShort(rawTestMix, f.dst, uint16(n))
	}
	return n
}

// exceeded is the ICMP message of a router about a packet, n bytes of whose
// transport it quotes.
func exceeded(probe []byte, f *rawFlow, n int) []byte {
	msg := make([]byte, 8)
	msg[0] = 11
	if f.dst.Is6() {
		msg[0] = 3
	}
	return append(msg, probe[:min(len(probe), f.ipLen()+n)]...)
}

// Packets are right, as long as asked for, and come back from quotes of any
// length with their token.
func TestRawPackets(t *testing.T) {
	router := map[bool]netip.Addr{false: netip.MustParseAddr("192.0.2.254"), true: netip.MustParseAddr("2001:db8::fe")}
	for _, size := range []int{0, 100, 101, 1500, 9000} {
		for _, f := range rawFlows(size) {
			for _, n := range []uint32{0, 1, 0xffff, 0x10000, 0xffff0000, 0xdeadbeef, 0x80008000, 0xffffffff} {
				token := tokenFor(f, n)
				b := bytes.Repeat([]byte{0xaa}, f.length())
				f.put(b, token, 7)
				if f.method != MethodTCP && size != 0 && len(b) != size {
					t.Errorf("%v of %d bytes has %d", f.method, size, len(b))
				}
				q, ok := packet.ParseQuote(b)
				if !ok || q.Src != f.src || q.Dst != f.dst || q.TTL != 7 || q.Protocol != f.proto() || q.Length != len(b) {
					t.Fatalf("%v: %+v", f.method, q)
				}
				sum := f.pseudo
				if f.method == MethodICMP && f.dst.Is4() {
					sum = 0
				}
				if packet.Fold(packet.Sum(sum, q.Transport)) != 0 {
					t.Errorf("%v token %#x: the checksum is wrong", f.method, token)
				}
				if c := binary.BigEndian.Uint16(q.Transport[6:]); f.method == MethodUDP && c == 0 {
					t.Error("UDP without a checksum")
				}
				for _, quoted := range []int{8, 12, 20, 100, 9000} {
					h, ok := rawTestPorts.parseICMP(f.dst.Is6(), router[f.dst.Is6()], exceeded(b, f, quoted), rawTestMix)
					if !ok || h.token != token || h.icmp.Kind != icmperr.TimeExceeded || !f.sentFor(&h) {
						t.Fatalf("%v token %#x, %d bytes quoted: %v %+v", f.method, token, quoted, ok, h)
					}
				}
			}
		}
	}
}

// A flow has one ICMP checksum.
func TestRawEchoChecksum(t *testing.T) {
	for _, key := range [][rawKeyLen]byte{{}, {0xff, 0xff}, {1, 2, 3, 4, 5, 6}} {
		for _, f := range rawFlows(0) {
			if f.method != MethodICMP {
				continue
			}
			f.key = key
			b := make([]byte, f.length())
			f.put(b, 0x77420001, 1)
			first := binary.BigEndian.Uint16(b[f.ipLen()+2:])
			f.put(b, 0x7742fffe, 1)
			if c := binary.BigEndian.Uint16(b[f.ipLen()+2:]); c != first || c == 0 {
				t.Errorf("key %x: checksums %#x and %#x", key, first, c)
			}
		}
	}
}

func TestRawAnswers(t *testing.T) {
	for _, f := range rawFlows(0) {
		token := tokenFor(f, 0x12345678)
		b := make([]byte, f.length())
		f.put(b, token, 1)
		transport := b[f.ipLen():]
		var h heard
		ok := true
		want := OutcomeOpen
		switch f.method {
		case MethodUDP:
			h = parseData(netip.AddrPortFrom(f.dst, f.dport), transport[packet.UDPLen:])
		case MethodICMP:
			want = OutcomeEchoReply
			transport[0] = map[uint8]uint8{8: 0, 128: 129}[transport[0]]
			h, ok = rawTestPorts.parseICMP(f.dst.Is6(), f.dst, transport, rawTestMix)
		default:
			s := packet.TCP{SrcPort: f.dport, DstPort: f.sport, Seq: 99, Ack: token + 1, Flags: packet.SYN | packet.ACK}
			var seg [packet.TCPLen]byte
			s.Put(seg[:])
			h, ok = rawTestPorts.parseTCP(f.dst, seg[:])
			for _, flags := range []uint8{packet.ACK, packet.SYN, packet.RST, packet.FIN | packet.ACK} {
				s.Flags = flags
				s.Put(seg[:])
				if _, ok := rawTestPorts.parseTCP(f.dst, seg[:]); ok {
					t.Errorf("flags %#x answer a SYN", flags)
				}
			}
		}
		if !ok || h.token != token || h.outcome != want || !f.sentFor(&h) {
			t.Errorf("%v: %v %+v", f.method, ok, h)
		}
	}
}

// FuzzRaw feeds what comes from the network to the parsers. What they take for
// an answer to a probe must name it.
func FuzzRaw(f *testing.F) {
	for _, flow := range rawFlows(0) {
		b := make([]byte, flow.length())
		flow.put(b, tokenFor(flow, 77), 1)
		f.Add(exceeded(b, flow, 8))
		f.Add(exceeded(b, flow, 1000))
		padded := append(exceeded(b, flow, 1000), make([]byte, 128)...)[:8+128]
		padded[5], padded[4] = 128/4, 128/8
		f.Add(append(padded, 0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3, 4, 0xff, 0xff, 1, 1))
		f.Add(b[flow.ipLen():])
	}
	from := netip.MustParseAddr("192.0.2.7")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v6 := range []bool{false, true} {
			if h, ok := rawTestPorts.parseICMP(v6, from, b, rawTestMix); ok {
				if h.method == MethodUnknown || h.from != from || h.outcome == OutcomeSilent || h.key != nil && len(h.key) != rawKeyLen {
					t.Errorf("%+v", h)
				}
				if h.outcome == OutcomeUnreachable && h.dst.Is6() != v6 {
					t.Errorf("%+v", h)
				}
				r, ok := h.reply(&rawFlow{method: h.method, dst: h.dst}, true, time.Unix(1e9, 0), time.Unix(1e9, 0).Add(ms))
				if ok && !r.Outcome.answered() || r.RTT != ms {
					t.Errorf("%+v", r)
				}
			}
		}
		if h, ok := rawTestPorts.parseTCP(from, b); ok && (h.outcome != OutcomeOpen && h.outcome != OutcomeRefused || h.token == 0 && len(b) < 20) {
			t.Errorf("%+v", h)
		}
		if h := parseData(netip.AddrPortFrom(from, 53), b); h.key == nil != (len(b) < rawPayloadLen) {
			t.Errorf("%+v", h)
		}
	})
}

func BenchmarkRawPut(b *testing.B) {
	for _, f := range rawFlows(0) {
		b.Run(f.method.String()+map[bool]string{true: "6", false: "4"}[f.dst.Is6()], func(b *testing.B) {
			p := make([]byte, f.length())
			b.ReportAllocs()
			for b.Loop() {
				f.put(p, 0x77421234, 9)
			}
		})
	}
}

func BenchmarkRawParse(b *testing.B) {
	for _, f := range rawFlows(0) {
		b.Run(f.method.String()+map[bool]string{true: "6", false: "4"}[f.dst.Is6()], func(b *testing.B) {
			p := make([]byte, f.length())
			f.put(p, tokenFor(f, 77), 9)
			msg := exceeded(p, f, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := rawTestPorts.parseICMP(f.dst.Is6(), f.src, msg, rawTestMix); !ok {
					b.Fatal("not taken")
				}
			}
		})
	}
}
