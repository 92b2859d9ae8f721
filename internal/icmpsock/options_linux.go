package icmpsock

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// flowLabelRequest is struct in6_flowlabel_req of linux/in6.h.
type flowLabelRequest struct {
	dst     [16]byte
	label   uint32 // network byte order
	action  uint8
	share   uint8
	flags   uint16
	expires uint16
	linger  uint16
	_       uint32
}

// flowLabel takes a lease on the label: the kernel sends no other one than
// those that a socket has.
func (s *socket) flowLabel(cfg *Config) error {
	if cfg.FlowLabel == 0 || !s.v6 {
		return nil
	}
	const (
		// Options of linux/in6.h.
		flowLabelMgr = 32
		flowInfoSend = 33

		get    = 0   // IPV6_FL_A_GET
		create = 1   // IPV6_FL_F_CREATE
		anyone = 255 // IPV6_FL_S_ANY: several programs may use it
	)
	r := flowLabelRequest{dst: netip.IPv6LinkLocalAllNodes().As16(), action: get, flags: create, share: anyone}
	r.label = flowInfo(cfg.FlowLabel)
	b := (*[unsafe.Sizeof(r)]byte)(unsafe.Pointer(&r))[:]
	if err := unix.SetsockoptString(s.fd, unix.SOL_IPV6, flowLabelMgr, string(b)); err != nil {
		if err == unix.EPERM {
			err = unix.EBUSY // another socket has it for itself alone
		}
		return fmt.Errorf("flow label %#x: %w", cfg.FlowLabel, err)
	}
	s.flow = r.label
	return unix.SetsockoptInt(s.fd, unix.SOL_IPV6, flowInfoSend, 1)
}

// flowInfo is a flow label as it is in sockaddr_in6.
func flowInfo(label uint32) (v uint32) {
	binary.BigEndian.PutUint32((*[4]byte)(unsafe.Pointer(&v))[:], label)
	return v
}

// connect connects a socket that is wanted so. A zone is one of its namespace,
// which need not be that of the calling thread.
func (s *socket) connect(cfg *Config) error {
	to := cfg.Connect
	if !to.IsValid() {
		return nil
	}
	if zone := to.Zone(); zone != "" {
		index := sock.ZoneIndex(s.fd, zone)
		if index == 0 {
			return unix.ENODEV
		}
		to = sock.WithZone(to, index)
	}
	return unix.Connect(s.fd, sock.Sockaddr(netip.AddrPortFrom(to, 0)))
}

// reuse sets whether other sockets may take the identifier too.
func (s *socket) reuse(may bool) error {
	v := 0
	if may {
		v = 1
	}
	return unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, v)
}

// lend lets the second family bind the identifier that the first has: the
// kernel has one table for both. For everybody else it stays taken, but for
// the moment between the two calls.
func (c *Conn) lend(cfg *Config) (restore func()) {
	if cfg.ID <= 0 || c.raw || len(c.all) == 0 || c.all[0].reuse(true) != nil {
		return func() {}
	}
	cfg.shared = true
	return func() {
		for _, s := range c.all {
			s.reuse(false)
		}
	}
}

// drop closes the sockets that there are so far.
func (c *Conn) drop() {
	for _, s := range c.all {
		unix.Close(s.fd)
	}
	c.all, c.socks = nil, [2][]*socket{}
}

// drained reports whether nothing is in the send buffer (SO_MEMINFO,
// linux/sock_diag.h; ping sockets have no SIOCOUTQ).
func (s *socket) drained() bool {
	const inUse = 2 // SK_MEMINFO_WMEM_ALLOC
	var info [9]uint32
	n := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	return errno == 0 && info[inUse] == 0
}
