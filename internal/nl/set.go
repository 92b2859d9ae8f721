package nl

import (
	"bytes"
	"net/netip"
)

// The Set functions store an attribute's payload in a field. They report false,
// and leave the field alone, for a payload that does not fit: the caller keeps
// such an attribute as an unknown one.

// Set8 stores one byte.
func Set8[T ~uint8](p *T, b []byte) bool {
	v, ok := U8(b)
	if ok {
		*p = T(v)
	}
	return ok
}

// Set16 stores two bytes in host order.
func Set16[T ~uint16](p *T, b []byte) bool {
	v, ok := U16(b)
	if ok {
		*p = T(v)
	}
	return ok
}

// SetBE16 stores two bytes in network order.
func SetBE16[T ~uint16](p *T, b []byte) bool {
	v, ok := BE16(b)
	if ok {
		*p = T(v)
	}
	return ok
}

// Set32 stores four bytes in host order. An int gets them without sign: the
// kernel's indexes and sizes have none.
func Set32[T ~uint32 | ~int32 | ~int](p *T, b []byte) bool {
	v, ok := U32(b)
	if ok {
		*p = T(v)
	}
	return ok
}

// SetBE32 stores four bytes in network order.
func SetBE32[T ~uint32](p *T, b []byte) bool {
	v, ok := BE32(b)
	if ok {
		*p = T(v)
	}
	return ok
}

// Set64 stores eight bytes in host order.
func Set64[T ~uint64](p *T, b []byte) bool {
	v, ok := U64(b)
	if ok {
		*p = T(v)
	}
	return ok
}

// SetBool stores whether a byte is not zero.
func SetBool(p *bool, b []byte) bool {
	v, ok := U8(b)
	if ok {
		*p = v != 0
	}
	return ok
}

// SetText stores a string.
func SetText(p *string, b []byte) bool {
	*p = Text(b)
	return true
}

// SetBytes stores a copy.
func SetBytes[T ~[]byte](p *T, b []byte) bool {
	*p = bytes.Clone(b)
	return true
}

// SetAddr stores an IP address.
func SetAddr(p *netip.Addr, b []byte) bool {
	v, ok := Addr(b)
	if ok {
		*p = v
	}
	return ok
}
