package mmsg

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// Batch is a set of messages for one system call. It is used either for
// sending or for receiving, by one goroutine at a time.
type Batch struct {
	hdrs  []Header
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6 // long enough for IPv4 too
	oob   []byte
	data  [][]byte
	oobN  int
	short bool // see ShortLen
}

// Header is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type Header struct {
	unix.Msghdr
	N uint32 // bytes that were sent or received
}

// New returns a batch of n messages with so many bytes of data and of control
// messages each.
func New(n, data, oob int) *Batch {
	b := &Batch{
		hdrs: make([]Header, n), iovs: make([]unix.Iovec, n), names: make([]unix.RawSockaddrInet6, n),
		oob: make([]byte, n*oob), data: make([][]byte, n), oobN: oob, short: data <= ShortLen,
	}
	all := make([]byte, n*data)
	for i := range b.hdrs {
		h := &b.hdrs[i]
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		if oob > 0 {
			h.Control = &b.oob[i*oob]
		}
		b.data[i] = all[i*data : (i+1)*data]
		b.Data(i, data)
	}
	return b
}

// Len returns how many messages fit.
func (b *Batch) Len() int { return len(b.hdrs) }

// Data returns the buffer of message i to send, n bytes long.
func (b *Batch) Data(i, n int) []byte {
	if n > len(b.data[i]) {
		b.data[i] = make([]byte, n)
		b.short = b.short && n <= ShortLen
	}
	b.iovs[i].Base = unsafe.SliceData(b.data[i])
	b.iovs[i].SetLen(n)
	return b.data[i][:n]
}

// To sets where message i goes. The port of an IPv6 address is 0 for raw
// sockets.
func (b *Batch) To(i int, addr netip.Addr, port uint16, zone uint32) {
	h := &b.hdrs[i]
	if addr.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], port)
		h.Namelen = unix.SizeofSockaddrInet4
		return
	}
	b.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16(), Scope_id: zone}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&b.names[i].Port))[:], port)
	h.Namelen = unix.SizeofSockaddrInet6
}

// Send sends messages from to to, without waiting, and returns how many of
// them went. The error is about the first of them.
func (b *Batch) Send(fd, from, to int) (int, error) {
	return Send(fd, b.hdrs[from:to], b.short)
}

// Receive reads as many messages as there are and fit, without waiting.
// Nothing there is 0.
func (b *Batch) Receive(fd, flags int) (int, error) {
	return Receive(fd, b.hdrs, b.oobN, flags, b.short)
}

// Got returns what message i brought, and whether it was cut off. The slices
// are valid until the next Receive.
func (b *Batch) Got(i int) (data, oob []byte, cut bool) {
	m := &b.hdrs[i]
	return b.data[i][:min(int(m.N), len(b.data[i]))], b.oob[i*b.oobN:][:m.Controllen], m.Flags&unix.MSG_TRUNC != 0
}

// From returns where message i came from; IPv4 addresses are plain ones also
// on sockets of both families.
func (b *Batch) From(i int) netip.AddrPort {
	name, n := &b.names[i], b.hdrs[i].Namelen
	switch {
	case n >= unix.SizeofSockaddrInet4 && name.Family == unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:]))
	case n >= unix.SizeofSockaddrInet6 && name.Family == unix.AF_INET6:
		a := sock.WithZone(netip.AddrFrom16(name.Addr).Unmap(), name.Scope_id)
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:]))
	}
	return netip.AddrPort{}
}

// ShortLen is the longest message of a short call: a packet that is not cut
// into fragments.
const ShortLen = 2048

// Send sends messages without waiting and returns how many of them went. The
// error is about the first of them. Short says that none is longer than
// ShortLen.
func Send(fd int, hdrs []Header, short bool) (int, error) {
	return call(unix.SYS_SENDMMSG, fd, hdrs, unix.MSG_DONTWAIT, short)
}

// Receive reads as many messages as there are and fit, without waiting. Nothing
// there is 0. Each has room for so many bytes of control messages.
func Receive(fd int, hdrs []Header, oob, flags int, short bool) (int, error) {
	for i := range hdrs {
		h := &hdrs[i]
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(oob)
		h.Flags = 0
	}
	n, err := call(unix.SYS_RECVMMSG, fd, hdrs, flags|unix.MSG_DONTWAIT, short)
	if err == unix.EAGAIN {
		return 0, nil
	}
	return n, err
}

// call makes the system call; it retries when a signal came between. The
// runtime is not told of a short one: it never waits and takes half a
// millisecond at most, but that is long enough for the runtime's monitor to take
// the processor away from the goroutine, and to be kept busy doing so every 20 µs.
func call(number uintptr, fd int, hdrs []Header, flags int, short bool) (int, error) {
	for {
		var n uintptr
		var errno unix.Errno
		if short {
			n, _, errno = unix.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), uintptr(flags), 0, 0)
		} else {
			n, _, errno = unix.Syscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), uintptr(flags), 0, 0)
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
