package nl

import (
	"encoding/binary"
	"syscall"
)

// Message types and flags of linux/netlink.h; here so that parsing compiles
// everywhere.
const (
	headerLen = 16 // struct nlmsghdr

	typeNoop    = 1
	typeError   = 2
	typeDone    = 3
	typeOverrun = 4

	flagRequest  = 0x1
	flagAck      = 0x4
	flagDumpIntr = 0x10
	flagDump     = 0x300
	flagCapped   = 0x100 // of an error: the request is not echoed
	flagAckTLVs  = 0x200 // of an error or DONE: attributes follow
)

// header is struct nlmsghdr.
type header struct {
	Len   uint32
	Type  uint16
	Flags uint16
	Seq   uint32
	PID   uint32
}

// next takes the first message off a datagram.
func next(b []byte) (h header, body, rest []byte, err error) {
	if len(b) < headerLen {
		return h, nil, nil, ErrMalformed
	}
	h = header{
		Len:   binary.NativeEndian.Uint32(b),
		Type:  binary.NativeEndian.Uint16(b[4:]),
		Flags: binary.NativeEndian.Uint16(b[6:]),
		Seq:   binary.NativeEndian.Uint32(b[8:]),
		PID:   binary.NativeEndian.Uint32(b[12:]),
	}
	if h.Len < headerLen || uint64(h.Len) > uint64(len(b)) {
		return h, nil, nil, ErrMalformed
	}
	n := int(h.Len)
	// Some families send a length that is not a multiple of four.
	return h, b[headerLen:n:n], b[min(align(n), len(b)):], nil
}

// parseStatus reads the body of NLMSG_ERROR or NLMSG_DONE: the error (nil for
// success) and a warning that came with success.
func parseStatus(h header, body []byte) (warning string, err error) {
	if len(body) < 4 {
		if h.Type == typeDone {
			return "", nil // kernels before 2.6.12 and some families say nothing
		}
		return "", ErrMalformed
	}
	e := &KernelError{Errno: errnoOf(int32(binary.NativeEndian.Uint32(body)))}
	if h.Flags&flagAckTLVs != 0 {
		e.parseTLVs(skipEcho(h, body[4:]))
	}
	if e.Errno == 0 {
		return e.Message, nil
	}
	return "", e
}

// errnoOf turns the kernel's negative number into an errno. A positive one has
// no meaning and is an error all the same.
func errnoOf(v int32) syscall.Errno {
	if v < 0 {
		v = -v
	}
	return syscall.Errno(uint32(v))
}

// skipEcho returns what follows the request that an error quotes.
func skipEcho(h header, b []byte) []byte {
	if h.Type == typeDone {
		return b
	}
	if len(b) < headerLen {
		return nil
	}
	n := headerLen
	if h.Flags&flagCapped == 0 {
		n = align(int(min(binary.NativeEndian.Uint32(b), 1<<24)))
	}
	return b[min(max(n, headerLen), len(b)):]
}

// Attributes of an extended acknowledgement, enum nlmsgerr_attrs.
const (
	ackMessage     = 1
	ackOffset      = 2
	ackPolicy      = 4
	ackMissingType = 5
	ackMissingNest = 6
)

func (e *KernelError) parseTLVs(b []byte) {
	for a := NewAttrs(b); a.Next(); {
		switch a.Type {
		case ackMessage:
			e.Message = Text(a.Data)
		case ackOffset:
			e.Offset, _ = U32(a.Data)
		case ackPolicy:
			e.Policy = parsePolicy(a.Data)
		case ackMissingType:
			e.MissingType, e.HasMissing = U32(a.Data)
		case ackMissingNest:
			e.MissingNest, _ = U32(a.Data)
		}
	}
}

func parsePolicy(b []byte) *Policy {
	const (
		kind, minSigned, maxSigned, minValue, maxValue = 1, 2, 3, 4, 5
		minLength, maxLength, bitfield, mask           = 6, 7, 10, 12
	)
	var p Policy
	for a := NewAttrs(b); a.Next(); {
		switch a.Type {
		case kind:
			Set32(&p.Type, a.Data)
		case minSigned:
			setSigned(&p.SignedMin, a.Data)
		case maxSigned:
			setSigned(&p.SignedMax, a.Data)
		case minValue:
			Set64(&p.Min, a.Data)
		case maxValue:
			Set64(&p.Max, a.Data)
		case minLength:
			Set32(&p.MinLength, a.Data)
		case maxLength:
			Set32(&p.MaxLength, a.Data)
		case bitfield:
			v, _ := U32(a.Data)
			p.Mask = uint64(v)
		case mask:
			Set64(&p.Mask, a.Data)
		}
	}
	return &p
}

func setSigned(p *int64, b []byte) {
	if v, ok := U64(b); ok {
		*p = int64(v)
	}
}

// locate finds which attribute of the request, whose body is given, an error is about.
func (e *KernelError) locate(body []byte) {
	const header = 4
	if at := int64(e.Offset) - headerLen; at >= 0 && at+header <= int64(len(body)) {
		e.Attribute = binary.NativeEndian.Uint16(body[at+2:]) & typeMask
	}
}
