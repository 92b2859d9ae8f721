package trace

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// Options of linux/in6.h.
const (
	flowLabelManager  = 32  // IPV6_FLOWLABEL_MGR
	flowInfoSend      = 33  // IPV6_FLOWINFO_SEND
	flowLabelGet      = 0   // IPV6_FL_A_GET
	flowLabelCreate   = 1   // IPV6_FL_F_CREATE
	flowLabelAnybody  = 255 // IPV6_FL_S_ANY
	flowLabelLeaseLen = 32  // sizeof struct in6_flowlabel_req
)

// dial connects a socket, with the flow label if one is asked for.
func (n *network) dial(fd int) error {
	to := sock.Sockaddr(n.dst)
	v6, ok := to.(*unix.SockaddrInet6)
	if !ok || n.label == 0 {
		return unix.Connect(fd, to)
	}
	if err := leaseLabel(fd, v6.Addr, n.label); err != nil {
		return err
	}
	raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: v6.Addr, Scope_id: v6.ZoneId}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], n.dst.Port())
	binary.BigEndian.PutUint32((*[4]byte)(unsafe.Pointer(&raw.Flowinfo))[:], n.label)
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&raw)), unix.SizeofSockaddrInet6)
	if errno != 0 {
		return errno
	}
	return nil
}

// leaseLabel asks the kernel for a flow label: once somebody has one for
// himself, it sends only those that a socket has asked for. Others may have it
// at the same time.
func leaseLabel(fd int, dst [16]byte, label uint32) error {
	var b [flowLabelLeaseLen]byte
	copy(b[:], dst[:])
	binary.BigEndian.PutUint32(b[16:], label)
	b[20], b[21] = flowLabelGet, flowLabelAnybody
	binary.NativeEndian.PutUint16(b[22:], flowLabelCreate)
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IPV6, flowLabelManager, string(b[:])); err != nil {
		return fmt.Errorf("flow label %#x, which somebody may have for himself: %w", label, err)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, flowInfoSend, 1)
}
