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
	s.ask, err = s.asking(netip.IPv6Unspecified())
	if errors.Is(err, unix.EAFNOSUPPORT) || s.icmp[1] < 0 {
		closeFD(&s.ask)
		s.ask, err = s.asking(netip.IPv4Unspecified())
	}
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

func (s *rawSockets) source(dst, want netip.Addr) (src netip.Addr, zone uint32, err error) {
	if dst.Zone() != "" || s.askKept {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return src, 0, unix.EBADF
		}
	}
	if dst.Zone() != "" {
		if zone = sock.ZoneIndex(s.icmp[1], dst.Zone()); zone == 0 {
			return src, 0, unix.ENODEV
		}
		dst = sock.WithZone(dst, zone)
	}
	if s.askKept {
		if err = disconnect(s.ask); err == nil {
			src, err = sourceOf(s.ask, dst, want)
		}
		return src, zone, err
	}
	src, here, err := s.askNew(dst, want)
	if !here {
		// The calling thread is in another namespace; a new one is in that of
		// the process, where the engine was opened.
		done := make(chan struct{})
		go func() {
			defer close(done)
			src, _, err = s.askNew(dst, want)
		}()
		<-done
	}
	return src, zone, err
}

func (s *rawSockets) askNew(dst, want netip.Addr) (src netip.Addr, here bool, err error) {
	fd, err := s.asking(dst)
	if err != nil {
		return src, true, err
	}
	defer unix.Close(fd)
	if c := namespaceCookie([2]int{fd, -1}); c != s.cookie {
		return src, false, nil
	}
	src, err = sourceOf(fd, dst, want)
	return src, true, err
}

// sourceOf connects a datagram socket to find out the source address, which
// sends nothing.
func sourceOf(fd int, dst, want netip.Addr) (src netip.Addr, err error) {
	if want.IsValid() {
		// What goes to an address of this host comes from that address.
		if src, err = sourceOf(fd, want, netip.Addr{}); err != nil || src != want {
			return src, unix.EADDRNOTAVAIL
		}
		// A socket that is connected prefers the source address that it has.
		if err := disconnect(fd); err != nil {
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

// disconnect undoes connect.
func disconnect(fd int) error {
	sa := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	if errno != 0 {
		return errno
	}
	return nil
}
