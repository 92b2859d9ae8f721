package nl

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// Attrs iterates over a run of netlink attributes (struct nlattr) without
// allocating:
//
//	for a := nl.NewAttrs(b); a.Next(); {
//		switch a.Type { … a.Data … }
//	}
//
// What cannot be an attribute ends it; Err tells.
type Attrs struct {
	Type   uint16 // without the two flag bits
	Nested bool   // NLA_F_NESTED was set; kernels do not set it everywhere
	Data   []byte // the payload, within the bytes given

	rest []byte
	bad  bool
}

const (
	attrHeader = 4
	nested     = 0x8000
	typeMask   = 0x3fff
)

// NewAttrs returns an iterator in front of the first attribute of b.
func NewAttrs(b []byte) Attrs { return Attrs{rest: b} }

// Next steps to the next attribute.
func (a *Attrs) Next() bool {
	if len(a.rest) < attrHeader {
		// Padding after the last attribute is not an error.
		a.bad = a.bad || len(bytes.Trim(a.rest, "\x00")) > 0
		a.rest = nil
		return false
	}
	n := int(binary.NativeEndian.Uint16(a.rest))
	if n < attrHeader || n > len(a.rest) {
		a.bad, a.rest = true, nil
		return false
	}
	t := binary.NativeEndian.Uint16(a.rest[2:])
	a.Type, a.Nested = t&typeMask, t&nested != 0
	a.Data = a.rest[attrHeader:n:n]
	a.rest = a.rest[min(align(n), len(a.rest)):]
	return true
}

// Err returns ErrMalformed when the run ended before its bytes did.
func (a *Attrs) Err() error {
	if a.bad {
		return ErrMalformed
	}
	return nil
}

// Keep returns a copy of the present attribute that may be kept.
func (a *Attrs) Keep() Attribute { return Attribute{Type: a.Type, Data: bytes.Clone(a.Data)} }

// align rounds up to NLMSG_ALIGNTO, which is NLA_ALIGNTO and RTA_ALIGNTO too.
func align(n int) int { return (n + 3) &^ 3 }

// Attribute is one that the library has no field for, kept as it came.
type Attribute struct {
	Type uint16 `json:"type"` // the kernel's number, such as IFLA_* or RTA_*
	Data Hex    `json:"data"` // payload, host byte order; hexadecimal in text
}

// Hex is bytes whose text form is hexadecimal.
type Hex []byte

// String returns lower case hexadecimal digits without separators.
func (h Hex) String() string { return hex.EncodeToString(h) }

// MarshalText implements [encoding.TextMarshaler].
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.AppendDecode(nil, b)
	return err
}

// String returns "type:data".
func (a Attribute) String() string { return fmt.Sprintf("%d:%s", a.Type, a.Data) }

// U8 reads an attribute of one byte. Like the others below it reports false for
// a payload that is too short, which the caller keeps as an unknown attribute;
// a longer one is a newer kernel's and is read as far as it is known.
func U8(b []byte) (uint8, bool) {
	if len(b) < 1 {
		return 0, false
	}
	return b[0], true
}

// U16 reads two bytes in host order.
func U16(b []byte) (uint16, bool) {
	if len(b) < 2 {
		return 0, false
	}
	return binary.NativeEndian.Uint16(b), true
}

// U32 reads four bytes in host order.
func U32(b []byte) (uint32, bool) {
	if len(b) < 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(b), true
}

// U64 reads eight bytes in host order.
func U64(b []byte) (uint64, bool) {
	if len(b) < 8 {
		return 0, false
	}
	return binary.NativeEndian.Uint64(b), true
}

// BE16 reads two bytes in network order.
func BE16(b []byte) (uint16, bool) {
	if len(b) < 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b), true
}

// BE32 reads four bytes in network order.
func BE32(b []byte) (uint32, bool) {
	if len(b) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// Text reads a string with or without its terminating NUL. It is a copy.
func Text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Addr reads an IP address, whose family its length tells.
func Addr(b []byte) (netip.Addr, bool) {
	switch len(b) {
	case 4:
		return netip.AddrFrom4([4]byte(b)), true
	case 16:
		return netip.AddrFrom16([16]byte(b)), true
	}
	return netip.Addr{}, false
}

// Append adds an attribute to a request.
func Append(b []byte, typ uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrHeader+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	return pad(b, len(data))
}

// AppendU8 adds an attribute of one byte.
func AppendU8(b []byte, typ uint16, v uint8) []byte { return Append(b, typ, []byte{v}) }

// AppendU16 adds an attribute of two bytes in host order.
func AppendU16(b []byte, typ uint16, v uint16) []byte {
	return Append(b, typ, binary.NativeEndian.AppendUint16(nil, v))
}

// AppendU32 adds an attribute of four bytes in host order.
func AppendU32(b []byte, typ uint16, v uint32) []byte {
	return Append(b, typ, binary.NativeEndian.AppendUint32(nil, v))
}

// AppendBE16 adds an attribute of two bytes in network order.
func AppendBE16(b []byte, typ uint16, v uint16) []byte {
	return Append(b, typ, binary.BigEndian.AppendUint16(nil, v))
}

// AppendText adds a string with its terminating NUL.
func AppendText(b []byte, typ uint16, s string) []byte {
	return Append(b, typ, append([]byte(s), 0))
}

// AppendNested adds an attribute that holds what fill appends.
func AppendNested(b []byte, typ uint16, fill func([]byte) []byte) []byte {
	at := len(b)
	b = fill(append(b, 0, 0, 0, 0))
	binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
	binary.NativeEndian.PutUint16(b[at+2:], typ|nested)
	return pad(b, len(b)-at)
}

func pad(b []byte, n int) []byte {
	var zero [3]byte
	return append(b, zero[:align(n)-n]...)
}
