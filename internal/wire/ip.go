package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPv4Len is the length of an IPv4 header without options.
const IPv4Len = 20

// IPv4 is an IPv4 header.
type IPv4 struct {
	TOS      uint8
	Length   uint16 // of the whole packet, header included
	ID       uint16
	DF, MF   bool
	FragOff  uint16 // bytes, a multiple of 8
	TTL      uint8
	Protocol uint8
	Checksum uint16
	Src, Dst netip.Addr
	Options  []byte // within the bytes that were parsed
}

// ParseIPv4 reads an IPv4 header. The payload ends where the header's length
// says, or where b ends if that comes first: ICMP errors quote packets cut off.
func ParseIPv4(b []byte) (h IPv4, payload []byte, ok bool) {
	if len(b) < IPv4Len || b[0]>>4 != 4 {
		return h, nil, false
	}
	hl := int(b[0]&15) * 4
	if hl < IPv4Len || hl > len(b) {
		return h, nil, false
	}
	frag := binary.BigEndian.Uint16(b[6:])
	h = IPv4{
		TOS: b[1], Length: binary.BigEndian.Uint16(b[2:]), ID: binary.BigEndian.Uint16(b[4:]),
		DF: frag&0x4000 != 0, MF: frag&0x2000 != 0, FragOff: frag & 0x1fff << 3,
		TTL: b[8], Protocol: b[9], Checksum: binary.BigEndian.Uint16(b[10:]),
		Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20])),
		Options: b[IPv4Len:hl],
	}
	end := len(b)
	if l := int(h.Length); l >= hl && l < end {
		end = l
	}
	return h, b[hl:end], true
}

// Put writes the header with its checksum into b and returns its length, or 0
// when b is too short, an address is not IPv4, or the options are not a
// multiple of 4 bytes up to 40. A Length of 0 is written as it is: the kernel
// fills it in on raw sockets.
func (h *IPv4) Put(b []byte) int {
	hl := IPv4Len + len(h.Options)
	if len(b) < hl || hl > 60 || hl%4 != 0 || !h.Src.Is4() || !h.Dst.Is4() {
		return 0
	}
	b[0], b[1] = 4<<4|byte(hl/4), h.TOS
	binary.BigEndian.PutUint16(b[2:], h.Length)
	binary.BigEndian.PutUint16(b[4:], h.ID)
	frag := h.FragOff >> 3
	if h.DF {
		frag |= 0x4000
	}
	if h.MF {
		frag |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], frag)
	b[8], b[9], b[10], b[11] = h.TTL, h.Protocol, 0, 0
	src, dst := h.Src.As4(), h.Dst.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	copy(b[IPv4Len:], h.Options)
	binary.BigEndian.PutUint16(b[10:], Checksum(b[:hl]))
	return hl
}

// IPv6Len is the length of an IPv6 header without extension headers.
const IPv6Len = 40

// IPv6 is an IPv6 header.
type IPv6 struct {
	TrafficClass uint8
	FlowLabel    uint32 // 20 bits
	Length       uint16 // of what follows the header
	NextHeader   uint8
	HopLimit     uint8
	Src, Dst     netip.Addr
}

// ParseIPv6 reads an IPv6 header. The payload begins with the first extension
// header if there is one, see [SkipExtensions].
func ParseIPv6(b []byte) (h IPv6, payload []byte, ok bool) {
	if len(b) < IPv6Len || b[0]>>4 != 6 {
		return h, nil, false
	}
	v := binary.BigEndian.Uint32(b)
	h = IPv6{
		TrafficClass: uint8(v >> 20), FlowLabel: v & 0xfffff,
		Length: binary.BigEndian.Uint16(b[4:]), NextHeader: b[6], HopLimit: b[7],
		Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40])),
	}
	end := len(b)
	if l := IPv6Len + int(h.Length); h.Length != 0 && l < end {
		end = l
	}
	return h, b[IPv6Len:end], true
}

// Put writes the header into b and returns its length, or 0 when b is too
// short or an address is not IPv6.
func (h *IPv6) Put(b []byte) int {
	if len(b) < IPv6Len || !h.Src.Is6() || !h.Dst.Is6() {
		return 0
	}
	binary.BigEndian.PutUint32(b, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(b[4:], h.Length)
	b[6], b[7] = h.NextHeader, h.HopLimit
	src, dst := h.Src.As16(), h.Dst.As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return IPv6Len
}

// SkipExtensions walks IPv6 extension headers and returns the transport
// protocol and its bytes. frag is the offset of a fragment in bytes: where it
// is not 0, the bytes are from the middle of the transport data.
func SkipExtensions(next uint8, b []byte) (proto uint8, transport []byte, frag uint16, ok bool) {
	for {
		switch next {
		case ProtoHopByHop, ProtoRouting, ProtoDestOpts:
			if len(b) < 8 {
				return next, nil, frag, false
			}
			n := 8 + int(b[1])*8
			if n > len(b) {
				return next, nil, frag, false
			}
			next, b = b[0], b[n:]
		case ProtoFragment:
			if len(b) < 8 {
				return next, nil, frag, false
			}
			frag = binary.BigEndian.Uint16(b[2:]) &^ 7
			next, b = b[0], b[8:]
			if frag != 0 {
				return next, b, frag, true
			}
		default:
			return next, b, frag, true
		}
	}
}
