package icmpsock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

func lane(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// add takes in a new socket, which Wait watches from its next call on.
func (c *Conn) add(family int, s *socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.index = uint8(len(c.socks[family]))
	c.socks[family] = append(c.socks[family], s)
	c.all = append(c.all, s)
}

// IDs returns the ICMP identifiers of a family, in the order of Packet.ID; none
// when the family is not there.
func (c *Conn) IDs(v6 bool) (ids []uint16) {
	for _, s := range c.socks[lane(v6)] {
		n := uint16(1)
		if s.raw {
			n = -s.mask
		}
		for i := range n {
			ids = append(ids, s.id+i)
		}
	}
	return ids
}

// Exclusive reports whether the kernel keeps other sockets from taking the
// identifiers too. It does for ping sockets; every raw socket hears everything.
func (c *Conn) Exclusive() bool { return !c.raw }

// Grow makes sure that a family has n identifiers, at most MaxIDs. Those of
// raw sockets are all there from the beginning; an unprivileged one is a
// socket of its own, opened in the namespace of the first. What is there when
// it fails goes on working.
func (c *Conn) Grow(v6 bool, n int) error {
	f := lane(v6)
	if c.errs[f] != nil {
		return c.errs[f]
	}
	if c.cfg.ID != 0 && n > 1 {
		return errOneID
	}
	for !c.raw && len(c.socks[f]) < min(n, MaxIDs) {
		s, err := c.openHere(v6)
		if err != nil {
			return fmt.Errorf("identifier %d: %w", len(c.socks[f])+1, err)
		}
		c.add(f, s)
	}
	c.Wake() // for Wait to watch them
	return nil
}

var errOneID = errors.New("one identifier was asked for")

var errNamespace = errors.New("the network namespace of the first cannot be told or entered")

// openHere opens a socket in the namespace of those that are there. The calling
// goroutine may be locked to a thread in another one, or may be the one whose
// thread is there while the rest of the process is not.
func (c *Conn) openHere(v6 bool) (*socket, error) {
	first := c.socks[lane(v6)][0]
	home, err := netnsCookie(first.fd)
	if err != nil {
		return nil, errNamespace
	}
	var s *socket
	open := func() (err error) {
		s, err = open(v6, false, &c.cfg)
		return err
	}
	elsewhere := func(fn func() error) error {
		done := make(chan error)
		go func() { done <- fn() }()
		return <-done
	}
	enter := func() error {
		fd, err := unix.IoctlRetInt(first.fd, unix.SIOCGSKNS)
		if err != nil {
			return fmt.Errorf("%w: %w", errNamespace, err)
		}
		defer unix.Close(fd)
		return sock.InNamespace(fd, open)
	}
	for _, try := range []func() error{open, func() error { return elsewhere(open) }, func() error { return elsewhere(enter) }} {
		s = nil
		err = try()
		if s == nil {
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
				break
			}
			continue
		}
		if cookie, bad := netnsCookie(s.fd); bad == nil && cookie == home {
			return s, nil
		}
		unix.Close(s.fd)
		err = errNamespace
	}
	return nil, err
}

// netnsCookie names the network namespace of a socket (Linux 5.14).
func netnsCookie(fd int) (uint64, error) {
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}
