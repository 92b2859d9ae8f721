package icmpsock

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/mmsg"
)

// batch is a set of messages for one system call: addresses, control messages
// and data in three arrays that the headers point into.
type batch struct {
	hdrs  []mmsg.Header
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
		hdrs: make([]mmsg.Header, n), iovs: make([]unix.Iovec, n*iovN), names: make([]unix.RawSockaddrInet6, n),
		oob: make([]byte, n*oobN), data: make([]byte, n*dataN), oobN: oobN, dataN: dataN, short: dataN <= mmsg.ShortLen,
	}
	for i := range b.hdrs {
		h := &b.hdrs[i]
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
	return mmsg.Receive(fd, b.hdrs, b.oobN, flags, b.short)
}

// got returns what message i brought, and whether it was cut off.
func (b *batch) got(i int) (data, oob []byte, cut bool) {
	m := &b.hdrs[i]
	return b.dataOf(i)[:min(int(m.N), b.dataN)], b.oob[i*b.oobN:][:m.Controllen], m.Flags&unix.MSG_TRUNC != 0
}
