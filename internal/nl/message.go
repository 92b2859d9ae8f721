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
		case ackMissingType:
			e.MissingType, e.HasMissing = U32(a.Data)
		case ackMissingNest:
			e.MissingNest, _ = U32(a.Data)
		}
	}
}
