// Package wire reads and writes the headers that the rooms put on the network
// and find in what comes back: IPv4 (RFC 791), IPv6 (RFC 8200), ICMP (RFC 792,
// RFC 4443), UDP (RFC 768), TCP (RFC 9293), the packets that ICMP errors quote
// and the extensions behind them (RFC 4884).
//
// Nothing here allocates, reads past a slice or panics on input. A parser
// returns false when the bytes are too few or contradict themselves; what is
// unknown but well formed is left to the caller.
package wire

import "encoding/binary"

// Protocol numbers (IANA).
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoICMPv6   = 58
	ProtoNone     = 59
	ProtoDestOpts = 60
)

// Sum adds b to a running one's complement sum (RFC 1071). Every part but the
// last must have an even length.
func Sum(sum uint32, b []byte) uint32 {
	s := uint64(sum)
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		s += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint32(s)
}

// Fold turns a running sum into the checksum to write. Over data that holds a
// right checksum the result is 0.
func Fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// Checksum returns the Internet checksum of b.
func Checksum(b []byte) uint16 { return Fold(Sum(0, b)) }

// PseudoHeader returns the running sum over the pseudo header of TCP, UDP and
// ICMPv6: src and dst are both 4 or both 16 bytes long, n is the length of
// the transport header and its data.
func PseudoHeader(src, dst []byte, proto uint8, n int) uint32 {
	sum := Sum(Sum(0, src), dst)
	return Sum(sum+uint32(proto)+uint32(n)>>16+uint32(n)&0xffff, nil)
}
