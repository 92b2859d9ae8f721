package icmpsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
	"github.com/netsonde/netsonde/internal/wire"
)

// batchLen is how many packets go through one system call; beyond 64 the gain
// is under 2 %.
const batchLen = 64

// bufferBytes is asked for in both directions. The kernel cuts it down to
// net.core.rmem_max and wmem_max for a user without CAP_NET_ADMIN.
const bufferBytes = 4 << 20

const stampFlags = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE |
	unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY

// socket is the socket of one family.
type socket struct {
	fd      int
	v6, raw bool
	index   uint8      // which of its family's
	id      uint16     // of raw sockets the first of MaxIDs, a multiple of that
	mask    uint16     // what the identifiers of this socket have in common
	flow    uint32     // flow label as in sockaddr_in6
	ready   int16      // what Wait found
	stamped bool       // the kernel was asked for timestamps
	tight   bool       // the send buffer is of a size that was asked for
	keyed   bool       // each packet brings its own key (SCM_TS_OPT_ID, Linux 6.13)
	mu      sync.Mutex // while it sends
	count   counter
	tail    []byte // payload behind the packet's own bytes
	headN   int
	tailSum uint32
	out     *batch
	zones   map[string]uint32
}

func open(v6, raw bool, cfg *Config) (*socket, error) {
	typ, proto, family := unix.SOCK_DGRAM, unix.IPPROTO_ICMP, netip.IPv4Unspecified()
	if v6 {
		proto, family = unix.IPPROTO_ICMPV6, netip.IPv6Unspecified()
	}
	if raw {
		typ = unix.SOCK_RAW
	}
	if cfg.Source.IsValid() && cfg.Source.Is6() != v6 {
		return nil, operr.New("source address", cfg.Source, unix.EAFNOSUPPORT)
	}
	if cfg.Connect.IsValid() && cfg.Connect.Is6() != v6 {
		return nil, operr.New("connect", cfg.Connect, unix.EAFNOSUPPORT)
	}
	fd, err := sock.Open(family, typ, proto, sock.Options{Device: cfg.Device, Mark: cfg.Mark})
	if err != nil {
		return nil, err
	}
	s := &socket{fd: fd, v6: v6, raw: raw, zones: map[string]uint32{}}
	if err := s.setUp(cfg); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.headN = min(HeadLen, len(cfg.Payload))
	s.tail = cfg.Payload[s.headN:]
	s.tailSum = wire.Sum(0, s.tail)
	return s, nil
}

func (s *socket) setUp(cfg *Config) error {
	if err := errors.Join(s.bind(cfg), s.configure(cfg)); err != nil {
		return err
	}
	return s.connect(cfg)
}

// bind takes the identifier. The kernel gives a ping socket one that is free;
// with SO_REUSEADDR off, which such sockets have on, no other process can take
// it as well.
func (s *socket) bind(cfg *Config) error {
	source := cfg.Source
	if !source.IsValid() {
		source = netip.IPv4Unspecified()
		if s.v6 {
			source = netip.IPv6Unspecified()
		}
	}
	if s.raw {
		s.id, s.mask = uint16(rand.N(1<<16/MaxIDs-1)+1)*MaxIDs, 1<<16-MaxIDs
		if cfg.ID != 0 {
			s.id, s.mask = uint16(max(0, cfg.ID)), 1<<16-1
		}
		if source.IsUnspecified() {
			return nil
		}
		return unix.Bind(s.fd, sock.Sockaddr(netip.AddrPortFrom(source, 0)))
	}
	s.mask = 1<<16 - 1
	if err := s.reuse(cfg.shared); err != nil {
		return err
	}
	if err := unix.Bind(s.fd, sock.Sockaddr(netip.AddrPortFrom(source, uint16(max(0, cfg.ID))))); err != nil {
		if err == unix.EADDRINUSE {
			err = fmt.Errorf("identifier %d: %w", cfg.ID, err)
		}
		return err
	}
	sa, err := unix.Getsockname(s.fd)
	s.id = sock.AddrPort(sa).Port()
	return err
}

// indexOf returns which identifier id is, and false for one that is not ours.
func (s *socket) indexOf(id uint16, ok bool) (uint8, bool) {
	if s.raw {
		return uint8(id &^ s.mask), ok && id&s.mask == s.id
	}
	return s.index, ok && id == s.id
}

// dropped returns how many packets had no room in the receive buffer.
func (s *socket) dropped() uint32 {
	const drops = 8 // SK_MEMINFO_DROPS
	var info [drops + 1]uint32
	n := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0
	}
	return info[drops]
}

func (s *socket) configure(cfg *Config) error {
	if err := errors.Join(errqueue.Enable(s.fd, s.v6), errqueue.EnableTTL(s.fd, s.v6), s.filter(), s.headers(cfg), s.flowLabel(cfg)); err != nil {
		return err
	}
	// What follows is welcome, but nothing fails without it.
	errqueue.EnableExtensions(s.fd, s.v6)
	for _, o := range [][3]int{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, bufferBytes},
		{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, bufferBytes},
	} {
		if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o[0], o[2]) != nil {
			unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o[1], o[2])
		}
	}
	if s.tight = cfg.SendBuffer > 0; s.tight {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, cfg.SendBuffer); err != nil {
			return err
		}
	}
	if s.v6 {
		unix.SetsockoptInt(s.fd, unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1)
	} else {
		unix.SetsockoptInt(s.fd, unix.SOL_IP, unix.IP_RECVTOS, 1)
		unix.SetsockoptInt(s.fd, unix.SOL_IP, unix.IP_RECVOPTS, 1)
	}
	if !cfg.NoTimestamp {
		s.stamped = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags) == nil
		s.keyed = s.stamped && kernelAtLeast(6, 13)
		s.count.unsure = true
	}
	return nil
}

// headers sets what the IP header of every packet says.
func (s *socket) headers(cfg *Config) error {
	var errs []error
	set := func(level, opt, v int) {
		errs = append(errs, unix.SetsockoptInt(s.fd, level, opt, v))
	}
	if cfg.DontRoute {
		set(unix.SOL_SOCKET, unix.SO_DONTROUTE, 1)
	}
	if cfg.Broadcast && !s.v6 {
		set(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	}
	if s.v6 {
		if cfg.TTL > 0 {
			set(unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, cfg.TTL)
			set(unix.SOL_IPV6, unix.IPV6_MULTICAST_HOPS, cfg.TTL)
		}
		if cfg.TOS != 0 {
			set(unix.SOL_IPV6, unix.IPV6_TCLASS, cfg.TOS)
		}
		if cfg.Fragment != 0 {
			set(unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, cfg.Fragment-1)
		}
		if cfg.NoLoop {
			set(unix.SOL_IPV6, unix.IPV6_MULTICAST_LOOP, 0)
		}
		return errors.Join(errs...)
	}
	if cfg.TTL > 0 {
		set(unix.SOL_IP, unix.IP_TTL, cfg.TTL)
		set(unix.SOL_IP, unix.IP_MULTICAST_TTL, cfg.TTL)
	}
	if cfg.TOS != 0 {
		set(unix.SOL_IP, unix.IP_TOS, cfg.TOS)
	}
	if cfg.Fragment != 0 {
		set(unix.SOL_IP, unix.IP_MTU_DISCOVER, cfg.Fragment-1)
	}
	if cfg.NoLoop {
		set(unix.SOL_IP, unix.IP_MULTICAST_LOOP, 0)
	}
	if len(cfg.Options) > 0 {
		errs = append(errs, unix.SetsockoptString(s.fd, unix.SOL_IP, unix.IP_OPTIONS, string(cfg.Options)))
	}
	return errors.Join(errs...)
}

// filter keeps the ICMP traffic of the rest of the host away from a raw
// socket: by type, which costs the kernel least, and by identifier.
func (s *socket) filter() error {
	if !s.raw {
		return nil
	}
	_, reply := echo(s.v6)
	if s.v6 {
		if err := s.hearOnly(reply); err != nil {
			return err
		}
		return s.attach([]unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 4},
			{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(s.mask)},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(s.id), Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
			{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		})
	}
	const icmpFilter = 1 // linux/icmp.h
	if err := unix.SetsockoptInt(s.fd, unix.SOL_RAW, icmpFilter, ^(1 << reply)); err != nil {
		return err
	}
	return s.attach([]unix.SockFilter{
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0}, // length of the IPv4 header
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 4},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(s.mask)},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(s.id), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	})
}

func (s *socket) attach(p []unix.SockFilter) error {
	return unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(p)), Filter: unsafe.SliceData(p)})
}

// zone returns the scope id of a zone, looked up once in the namespace of the
// socket.
func (s *socket) zone(name string) uint32 {
	if name == "" {
		return 0
	}
	id, ok := s.zones[name]
	if !ok {
		id = sock.ZoneIndex(s.fd, name)
		if id != 0 {
			s.zones[name] = id
		}
	}
	return id
}

// setName writes a destination in the kernel's form and returns its length.
func (s *socket) setName(name *unix.RawSockaddrInet6, a netip.Addr) (uint32, error) {
	if s.v6 {
		scope := s.zone(a.Zone())
		if scope == 0 && a.Zone() != "" {
			return 0, unix.ENODEV
		}
		*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Flowinfo: s.flow, Addr: a.As16(), Scope_id: scope}
		return unix.SizeofSockaddrInet6, nil
	}
	sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
	*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.As4()}
	return unix.SizeofSockaddrInet4, nil
}

// addr reads an address in the kernel's form; an empty name is the zero Addr.
func addr(name *unix.RawSockaddrInet6, n uint32) netip.Addr {
	switch {
	case n >= unix.SizeofSockaddrInet4 && name.Family == unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr)
	case n >= unix.SizeofSockaddrInet6 && name.Family == unix.AF_INET6:
		return sock.WithZone(netip.AddrFrom16(name.Addr).Unmap(), name.Scope_id)
	}
	return netip.Addr{}
}

// cmsg writes a control message of four bytes and returns the room it takes.
func cmsg(b []byte, level, typ int32, v uint32) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], v)
	return unix.CmsgSpace(4)
}

// counter turns the numbers that an older kernel gives its stamps into keys.
// It counts packets from 0, and whether a packet that failed was counted
// depends on its version; after one, it is made to begin again.
type counter struct {
	base   uint32 // key of the packet that was counted as 0
	sent   uint32 // packets since
	before uint32 // base of the count before this one
	unsure bool   // to be restarted before the next packet
}

func (c *counter) restart(key uint32) {
	if c.sent > 0 {
		c.before = c.base
	}
	c.base, c.sent, c.unsure = key, 0, false
}

// key returns the key for a number. Stamps of before the restart may come
// after it; one that is mistaken for a packet of after it is older than that
// packet, which the engine notices.
func (c *counter) key(number uint32) uint32 {
	if number < c.sent {
		return c.base + number
	}
	return c.before + number
}
