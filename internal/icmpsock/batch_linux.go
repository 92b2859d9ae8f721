package icmpsock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// batch is a set of messages for one system call: addresses, control messages
// and data in three arrays that the headers point into.
type batch struct {
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6 // long enough for IPv4 too
	oob   []byte
	data  []byte
	oobN  int
	dataN int
	short bool // messages are so short that a call takes less than a millisecond
}

func newBatch(n, dataN, oobN, iovN int) *batch {
	b := &batch{
		hdrs: make([]mmsghdr, n), iovs: make([]unix.Iovec, n*iovN), names: make([]unix.RawSockaddrInet6, n),
		oob: make([]byte, n*oobN), data: make([]byte, n*dataN), oobN: oobN, dataN: dataN, short: dataN <= shortLen,
	}
	for i := range b.hdrs {
		h := &b.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.iovs[i*iovN]
		h.SetIovlen(iovN)
		if oobN > 0 {
			h.Control = &b.oob[i*oobN]
		}
		setIovec(&b.iovs[i*iovN], b.dataOf(i))
	}
	return b
}

func setIovec(v *unix.Iovec, b []byte) {
	v.Base = unsafe.SliceData(b)
	v.SetLen(len(b))
}

func (b *batch) dataOf(i int) []byte { return b.data[i*b.dataN : (i+1)*b.dataN] }

// receive reads up to len(hdrs) messages without waiting. An empty queue is 0.
func (b *batch) receive(fd, flags int) (int, error) {
	for i := range b.hdrs {
		h := &b.hdrs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(b.oobN)
		h.Flags = 0
	}
	n, err := mmsg(unix.SYS_RECVMMSG, fd, b.hdrs, flags|unix.MSG_DONTWAIT, b.short)
	if err == unix.EAGAIN {
		return 0, nil
	}
	return n, err
}

// got returns what message i brought, and whether it was cut off.
func (b *batch) got(i int) (data, oob []byte, cut bool) {
	m := &b.hdrs[i]
	return b.dataOf(i)[:min(int(m.n), b.dataN)], b.oob[i*b.oobN:][:m.hdr.Controllen], m.hdr.Flags&unix.MSG_TRUNC != 0
}

// shortLen is the longest message of a short batch: a packet that is not cut
// into fragments.
const shortLen = 2048

// mmsg makes the system call; it retries when a signal came between. The
// runtime is not told of a short one: it never waits and takes half a
// millisecond at most, but that is long enough for the runtime's monitor to take
// the processor away from the goroutine, and to be kept busy doing so every 20 µs.
func mmsg(call uintptr, fd int, hdrs []mmsghdr, flags int, short bool) (int, error) {
	for {
		var n uintptr
		var errno unix.Errno
		if short {
			n, _, errno = unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), uintptr(flags), 0, 0)
		} else {
			n, _, errno = unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), uintptr(flags), 0, 0)
		}
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
