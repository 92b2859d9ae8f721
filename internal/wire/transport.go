package wire

import "encoding/binary"

// UDPLen is the length of a UDP header.
const UDPLen = 8

// UDP is a UDP header.
type UDP struct {
	SrcPort, DstPort uint16
	Length           uint16 // header and data
	Checksum         uint16
}

// ParseUDP reads a UDP header. The data ends where the length says or b ends.
func ParseUDP(b []byte) (h UDP, data []byte, ok bool) {
	if len(b) < UDPLen {
		return h, nil, false
	}
	h = UDP{
		SrcPort: binary.BigEndian.Uint16(b), DstPort: binary.BigEndian.Uint16(b[2:]),
		Length: binary.BigEndian.Uint16(b[4:]), Checksum: binary.BigEndian.Uint16(b[6:]),
	}
	end := len(b)
	if l := int(h.Length); l >= UDPLen && l < end {
		end = l
	}
	return h, b[UDPLen:end], true
}

// Put writes the header, checksum as given, and returns its length or 0.
func (h *UDP) Put(b []byte) int {
	if len(b) < UDPLen {
		return 0
	}
	binary.BigEndian.PutUint16(b, h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint16(b[4:], h.Length)
	binary.BigEndian.PutUint16(b[6:], h.Checksum)
	return UDPLen
}

// TCPLen is the length of a TCP header without options.
const TCPLen = 20

// The flags of a TCP header.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// TCP is a TCP header.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            uint8
	Window           uint16
	Checksum         uint16
	Urgent           uint16
	Options          []byte // within the bytes that were parsed
}

// ParseTCP reads a TCP header with all its options.
func ParseTCP(b []byte) (h TCP, data []byte, ok bool) {
	if len(b) < TCPLen {
		return h, nil, false
	}
	hl := int(b[12]>>4) * 4
	if hl < TCPLen || hl > len(b) {
		return h, nil, false
	}
	return TCP{
		SrcPort: binary.BigEndian.Uint16(b), DstPort: binary.BigEndian.Uint16(b[2:]),
		Seq: binary.BigEndian.Uint32(b[4:]), Ack: binary.BigEndian.Uint32(b[8:]),
		Flags: b[13], Window: binary.BigEndian.Uint16(b[14:]), Checksum: binary.BigEndian.Uint16(b[16:]),
		Urgent: binary.BigEndian.Uint16(b[18:]), Options: b[TCPLen:hl],
	}, b[hl:], true
}

// QuotedPorts reads the ports, and the TCP sequence number or UDP length and
// checksum, out of the 8 bytes of transport header that every ICMP error
// quotes at least (RFC 792).
func QuotedPorts(b []byte) (src, dst uint16, rest uint32, ok bool) {
	if len(b) < 8 {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), true
}

// Put writes the header, checksum as given, and returns its length, or 0 when
// b is too short or the options are not a multiple of 4 bytes up to 40.
func (h *TCP) Put(b []byte) int {
	hl := TCPLen + len(h.Options)
	if len(b) < hl || hl > 60 || hl%4 != 0 {
		return 0
	}
	binary.BigEndian.PutUint16(b, h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint32(b[4:], h.Seq)
	binary.BigEndian.PutUint32(b[8:], h.Ack)
	b[12], b[13] = byte(hl/4)<<4, h.Flags
	binary.BigEndian.PutUint16(b[14:], h.Window)
	binary.BigEndian.PutUint16(b[16:], h.Checksum)
	binary.BigEndian.PutUint16(b[18:], h.Urgent)
	copy(b[TCPLen:], h.Options)
	return hl
}
