package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// rememberNamespace arranges that source addresses are asked for in the
// namespace of the sockets.
func (s *rawSockets) rememberNamespace() error {
	s.cookie = namespaceCookie(s.icmp)
	elsewhere := s.opt.NetNS != 0
	if fd := sock.CurrentNamespace(); fd != 0 {
		unix.Close(fd)
		elsewhere = true
	}
	if !elsewhere {
		return nil
	}
	s.askKept = true
	var err error
	s.ask, err = s.askingBoth()
	return err
}

// namespaceCookie names the network namespace of sockets; 0 before Linux 5.14.
func namespaceCookie(fds [2]int) uint64 {
	for _, fd := range fds {
		if fd >= 0 {
			c, _ := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
			return c
		}
	}
	return 0
}

// asking opens a socket whose connect tells the source address.
func (s *rawSockets) asking(family netip.Addr) (int, error) {
	return sock.Open(family, unix.SOCK_DGRAM, 0, sock.Options{Device: s.opt.Device, Mark: s.opt.Mark})
}

// askingBoth is asking in all families of the engine.
func (s *rawSockets) askingBoth() (int, error) {
	if s.icmp[1] < 0 {
		return s.asking(netip.IPv4Unspecified())
	}
	fd, err := s.asking(netip.IPv6Unspecified())
	if err == nil && s.icmp[0] >= 0 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) // whatever net.ipv6.bindv6only says
	}
	return fd, err
}

// source asks with the socket that there is, or a new one, which serves until
// asked is called.
func (s *rawSockets) source(dst, want netip.Addr) (src netip.Addr, zone uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return src, 0, unix.EBADF
	}
	if dst.Zone() != "" {
		if zone = sock.ZoneIndex(s.icmp[1], dst.Zone()); zone == 0 {
			return src, 0, unix.ENODEV
		}
		dst = sock.WithZone(dst, zone)
	}
	if s.ask < 0 {
		err = s.askAnew()
	} else {
		err = disconnect(s.ask, s.opt.Device)
	}
	if err == nil {
		src, err = sourceOf(s.ask, dst, want, s.opt.Device)
	}
	return src, zone, err
}

func (s *rawSockets) asked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.askKept {
		closeFD(&s.ask)
	}
}

// askAnew opens a socket to ask with, in the namespace of the process, where
// the engine was opened: that of the calling thread, or else of a new one.
func (s *rawSockets) askAnew() error {
	here, err := s.openAsk()
	if !here {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err = s.openAsk()
		}()
		<-done
	}
	return err
}

// openAsk opens the socket to ask with and reports whether the calling thread
// is in the right namespace.
func (s *rawSockets) openAsk() (here bool, err error) {
	if s.ask, err = s.askingBoth(); err != nil {
		s.ask = -1
		return true, err
	}
	if c := namespaceCookie([2]int{s.ask, -1}); c != s.cookie {
		closeFD(&s.ask)
		return false, errElsewhere
	}
	return true, nil
}

var errElsewhere = errors.New("the engine's network namespace cannot be entered")

// sourceOf connects a datagram socket, which is bound to a device unless that is
// "", to find out the source address. That sends nothing.
func sourceOf(fd int, dst, want netip.Addr, device string) (src netip.Addr, err error) {
	if want.IsValid() {
		// What goes to an address of this host comes from that address.
		if src, err = sourceOf(fd, want, netip.Addr{}, device); err != nil || src != want {
			return src, unix.EADDRNOTAVAIL
		}
		// A socket that is connected prefers the source address that it has.
		if err := disconnect(fd, device); err != nil {
			return src, err
		}
	}
	// The port does not matter; 0 is refused.
	if err := unix.Connect(fd, sock.Sockaddr(netip.AddrPortFrom(dst, 9))); err != nil {
		return src, fmt.Errorf("connect: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return src, err
	}
	if want.IsValid() {
		return want, nil
	}
	return sock.AddrPort(sa).Addr(), nil
}

// disconnect undoes connect, and only that: the kernel lets go of the device too.
func disconnect(fd int, device string) error {
	sa := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	if errno != 0 {
		return errno
	}
	if device != "" {
		return unix.BindToDevice(fd, device)
	}
	return nil
}
