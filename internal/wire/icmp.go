package wire

import (
	"encoding/binary"
	"net/netip"
)

// Types of ICMP and ICMPv6 messages that are built or waited for here.
const (
	ICMPEchoReply      = 0
	ICMPEchoRequest    = 8
	ICMPv6EchoRequest  = 128
	ICMPv6EchoReply    = 129
	ICMPLen            = 8 // every ICMP header that matters here
	icmpUnreachable    = 3
	icmpTimeExceeded   = 11
	icmpParamProblem   = 12
	icmp6Unreachable   = 1
	icmp6TimeExceeded  = 3
	minExtendedQuote   = 128 // RFC 4884: quotes before an extension are padded to this
	extensionVersion   = 2
	extensionHeaderLen = 4
)

// ICMP is an ICMP or ICMPv6 header.
type ICMP struct {
	Type, Code uint8
	Checksum   uint16
	ID, Seq    uint16 // of echo messages; else the four bytes after the checksum
}

// ParseICMP reads the header of an ICMP or ICMPv6 message.
func ParseICMP(b []byte) (h ICMP, body []byte, ok bool) {
	if len(b) < ICMPLen {
		return h, nil, false
	}
	return ICMP{
		Type: b[0], Code: b[1], Checksum: binary.BigEndian.Uint16(b[2:]),
		ID: binary.BigEndian.Uint16(b[4:]), Seq: binary.BigEndian.Uint16(b[6:]),
	}, b[ICMPLen:], true
}

// Put writes the header, checksum as given, and returns its length or 0.
func (h *ICMP) Put(b []byte) int {
	if len(b) < ICMPLen {
		return 0
	}
	b[0], b[1] = h.Type, h.Code
	binary.BigEndian.PutUint16(b[2:], h.Checksum)
	binary.BigEndian.PutUint16(b[4:], h.ID)
	binary.BigEndian.PutUint16(b[6:], h.Seq)
	return ICMPLen
}

// SetICMPChecksum writes the checksum of an ICMP message (not ICMPv6, whose
// checksum covers addresses that the kernel chooses).
func SetICMPChecksum(msg []byte) {
	if len(msg) < ICMPLen {
		return
	}
	msg[2], msg[3] = 0, 0
	binary.BigEndian.PutUint16(msg[2:], Checksum(msg))
}

// Quote is the packet that an ICMP error quotes, as far as it was quoted.
type Quote struct {
	V6        bool
	Src, Dst  netip.Addr
	Protocol  uint8 // of the transport, after IPv6 extension headers
	TTL       uint8 // as it arrived at the sender of the error
	TOS       uint8
	ID        uint16 // IPv4
	FlowLabel uint32 // IPv6
	Length    int    // of the packet as its header says
	FragOff   uint16 // bytes; not 0 means that Transport is not the beginning
	Transport []byte // from the transport header on
}

// ParseQuote reads a quoted packet from its IP header on.
func ParseQuote(b []byte) (Quote, bool) {
	if len(b) == 0 {
		return Quote{}, false
	}
	if b[0]>>4 == 4 {
		h, payload, ok := ParseIPv4(b)
		if !ok {
			return Quote{}, false
		}
		return Quote{
			Src: h.Src, Dst: h.Dst, Protocol: h.Protocol, TTL: h.TTL, TOS: h.TOS, ID: h.ID,
			Length: int(h.Length), FragOff: h.FragOff, Transport: payload,
		}, true
	}
	h, payload, ok := ParseIPv6(b)
	if !ok {
		return Quote{}, false
	}
	q := Quote{
		V6: true, Src: h.Src, Dst: h.Dst, TTL: h.HopLimit, TOS: h.TrafficClass,
		FlowLabel: h.FlowLabel, Length: IPv6Len + int(h.Length),
	}
	q.Protocol, q.Transport, q.FragOff, ok = SkipExtensions(h.NextHeader, payload)
	return q, ok
}

// SplitExtensions splits the body of an ICMP error (what follows its 8 byte
// header hdr) into the quoted packet and the RFC 4884 extension structure,
// which is nil when there is none, or when its version or checksum is wrong.
// Routers from before RFC 4884 put the structure after 128 bytes without
// saying so (its section 5.5); the checksum tells.
func SplitExtensions(v6 bool, hdr, body []byte) (quoted, ext []byte) {
	if len(hdr) < ICMPLen {
		return body, nil
	}
	n := 0
	switch {
	case v6 && (hdr[0] == icmp6Unreachable || hdr[0] == icmp6TimeExceeded):
		n = int(hdr[4]) * 8
	case !v6 && (hdr[0] == icmpUnreachable || hdr[0] == icmpTimeExceeded || hdr[0] == icmpParamProblem):
		n = int(hdr[5]) * 4
	default:
		return body, nil
	}
	told := n != 0
	if !told {
		n = minExtendedQuote
	}
	if n < minExtendedQuote || n+extensionHeaderLen > len(body) || !validExtension(body[n:]) {
		if told && n <= len(body) {
			return body[:n], nil
		}
		return body, nil
	}
	return body[:n], body[n:]
}

// validExtension checks version and checksum; a checksum of 0 is "not sent".
func validExtension(ext []byte) bool {
	if ext[0]>>4 != extensionVersion {
		return false
	}
	return ext[2] == 0 && ext[3] == 0 || Checksum(ext) == 0
}
