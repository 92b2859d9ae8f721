package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// maxDatagram is the room for a reply over UDP. What does not fit was not asked
// for (udpSize), and is asked for again over TCP.
const maxDatagram = 4096

// driver puts many exchanges through their attempts, one socket each, from the
// calling goroutine: sockets belong to the network namespace of its thread.
type driver struct {
	ctx    context.Context
	opts   sock.Options
	poller *sock.Poller // nil while a glance may do
	conns  []conn
	fds    []unix.PollFd
	queue  errqueue.Reader
	buf    [maxDatagram]byte
}

// conn is the socket of the current attempt of one exchange.
type conn struct {
	x         *exchange
	fd        int // -1: none
	connected bool
	in        []byte // what TCP brought so far
}

// drive runs exchanges until each has its answer. The error is that of ctx, or
// of an option that was refused.
func drive(ctx context.Context, xs []*exchange, p place) error {
	d := &driver{
		ctx:   ctx,
		opts:  sock.Options{Device: p.device, Mark: p.mark, Source: p.source, NetNS: p.netns},
		conns: make([]conn, len(xs)),
	}
	for i, x := range xs {
		d.conns[i] = conn{x: x, fd: -1}
	}
	err := d.run()
	now := time.Now()
	for i := range d.conns {
		if c := &d.conns[i]; c.fd >= 0 {
			c.x.abandon(err, now)
			c.close()
		}
	}
	if d.poller != nil {
		d.poller.Close()
	}
	return err
}

func (d *driver) run() error {
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	for i := range d.conns {
		if err := d.advance(&d.conns[i]); err != nil {
			return err
		}
	}
	for {
		deadline, open := d.deadline()
		if !open {
			return nil
		}
		ready, err := d.wait(deadline)
		if err != nil {
			return err
		}
		for _, r := range ready {
			if c := d.conn(int(r.Fd)); c != nil && d.handle(c) {
				if err := d.advance(c); err != nil {
					return err
				}
			}
		}
		now := time.Now()
		for i := range d.conns {
			c := &d.conns[i]
			if c.fd >= 0 && !c.x.deadline.IsZero() && !now.Before(c.x.deadline) {
				c.x.expire(now)
				if err := d.advance(c); err != nil {
					return err
				}
			}
		}
	}
}

// deadline returns the next one, zero for none, and whether any socket is open.
func (d *driver) deadline() (next time.Time, open bool) {
	for i := range d.conns {
		c := &d.conns[i]
		if c.fd < 0 {
			continue
		}
		open = true
		if t := c.x.deadline; !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next, open
}

func (d *driver) conn(fd int) *conn {
	for i := range d.conns {
		if d.conns[i].fd == fd {
			return &d.conns[i]
		}
	}
	return nil
}

func (c *conn) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
	c.fd, c.connected, c.in = -1, false, nil
}

// advance begins attempts until one is on its way or the exchange is over. The
// error is that of an option that was refused.
func (d *driver) advance(c *conn) error {
	c.close()
	for c.x.more {
		c.x.begin(time.Now())
		err := d.open(c)
		if err == nil {
			return nil
		}
		c.close()
		c.x.fail(localOutcome(err), nil, err.Error(), time.Now())
		if operr.NeedOf(err) != "" {
			return err
		}
	}
	return nil
}

// refusal is an error of the call that sends, as opposed to one that prepares.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// localOutcome tells what the kernel's refusal to send means. The errnos of
// route types are those of ip-route(8) and fib_props of the kernel.
func localOutcome(err error) Outcome {
	if _, ok := errors.AsType[refusal](err); !ok {
		return OutcomeLocalError
	}
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), // no route, unreachable
		errors.Is(err, unix.EACCES), errors.Is(err, unix.EINVAL): // prohibit, blackhole
		return OutcomeNoRoute
	case errors.Is(err, unix.EPERM):
		return OutcomeLocalFirewall
	}
	return OutcomeLocalError
}

func (d *driver) open(c *conn) error {
	server := c.x.ans.Server
	typ := unix.SOCK_DGRAM
	if c.x.att.Transport == TransportTCP {
		typ = unix.SOCK_STREAM
	}
	fd, err := sock.Open(server.Addr(), typ, 0, d.opts)
	if err != nil {
		return err
	}
	c.fd = fd
	if err := errqueue.Enable(fd, server.Addr().Is6()); err != nil {
		return err
	}
	to, err := d.sockaddr(server)
	if err != nil {
		return err
	}
	if typ == unix.SOCK_STREAM {
		if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
			return refusal{err}
		}
	} else if err := unix.Sendto(fd, c.x.packet(), 0, to); err != nil {
		return refusal{err}
	}
	c.x.att.Sent = c.x.start
	if d.poller != nil {
		return d.poller.Add(fd, c.events())
	}
	return nil
}

var errNoZone = errors.New("a link-local address without an interface")

// sockaddr finds the interface of a zone in the namespace of the socket.
func (d *driver) sockaddr(server netip.AddrPort) (unix.Sockaddr, error) {
	zone := server.Addr().Zone()
	if zone == "" {
		if a := server.Addr(); a.Is6() && a.IsLinkLocalUnicast() && d.opts.Device == "" {
			return nil, errNoZone // EINVAL of the kernel, which would look like a blackhole route
		}
		return sock.Sockaddr(server), nil
	}
	var sa unix.Sockaddr
	err := sock.InNamespace(d.opts.NetNS, func() error {
		sa = sock.Sockaddr(server)
		return nil
	})
	if sa6, ok := sa.(*unix.SockaddrInet6); ok && sa6.ZoneId == 0 {
		return nil, fmt.Errorf("no interface %q", zone)
	}
	return sa, err
}

// handle takes what a socket has to tell, and reports whether that ends the
// attempt.
func (d *driver) handle(c *conn) bool {
	if c.x.att.Transport == TransportTCP {
		return d.handleTCP(c)
	}
	// A datagram is worth more than an error that arrived with it. A pending
	// error shows first; the queue tells it again, with its sender.
	var pending error
	for range 64 {
		n, from, err := unix.Recvfrom(c.fd, d.buf[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			if err != unix.EINTR {
				pending = err
			}
			continue
		}
		if c.x.receive(datagram(d.buf[:], n), sock.AddrPort(from), time.Now()) {
			return true
		}
	}
	return d.readErrors(c, pending)
}

// datagram copies what arrived of a datagram of n bytes. One that did not fit is
// marked as truncated, as if the server had said so.
func datagram(buf []byte, n int) []byte {
	b := append([]byte(nil), buf[:min(n, len(buf))]...)
	if n > len(buf) {
		b[2] |= 2 // TC
	}
	return b
}

// readErrors empties the error queue; pending is what a call reported.
func (d *driver) readErrors(c *conn, pending error) bool {
	for {
		m, err := d.queue.Read(c.fd)
		if err != nil {
			break
		}
		switch m.Origin {
		case errqueue.ICMP, errqueue.ICMP6:
			if o := icmpOutcome(m.ICMP.Kind); o != OutcomeUnknown {
				icmp := m.ICMP
				c.x.fail(o, &icmp, "", time.Now())
				return true
			}
			pending = nil // advice, which the kernel has taken
		case errqueue.Local:
			pending = m.Errno
		}
	}
	if pending == nil {
		return false
	}
	c.x.fail(errnoOutcome(pending), nil, pending.Error(), time.Now())
	return true
}

// icmpOutcome is OutcomeUnknown for advice that ends nothing.
func icmpOutcome(k icmperr.Kind) Outcome {
	switch {
	case k == icmperr.PortUnreachable:
		return OutcomePortUnreachable
	case k == icmperr.HostUnreachable:
		return OutcomeHostUnreachable
	case k == icmperr.NetUnreachable:
		return OutcomeNetUnreachable
	case k.Prohibited():
		return OutcomeProhibited
	case k == icmperr.FragNeeded, k == icmperr.Redirect, k == icmperr.SourceQuench:
		return OutcomeUnknown
	}
	return OutcomeICMPError
}

// errnoOutcome is for errors of a socket that no queue explains.
func errnoOutcome(err error) Outcome {
	switch err {
	case unix.ECONNREFUSED:
		return OutcomeConnRefused
	case unix.ECONNRESET, unix.EPIPE:
		return OutcomeClosed
	case unix.EHOSTUNREACH:
		return OutcomeHostUnreachable
	case unix.ENETUNREACH:
		return OutcomeNetUnreachable
	case unix.ETIMEDOUT:
		return OutcomeTimeout
	}
	return OutcomeLocalError
}
