package resolve

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// glance is how long sockets are watched without the descriptors that it takes
// to wake when a context ends. Most replies come before, and are had for a third
// less.
const glance = 20 * time.Millisecond

// wait returns the sockets that have something to tell, none when the deadline
// or a glance has passed. Those returned are valid until the next call.
func (d *driver) wait(deadline time.Time) ([]unix.PollFd, error) {
	d.fds = d.fds[:0]
	if d.poller != nil {
		events, err := d.poller.Wait(deadline)
		for _, e := range events {
			d.fds = append(d.fds, unix.PollFd{Fd: e.Fd})
		}
		return d.fds, err
	}
	if d.ctx.Err() != nil {
		return nil, context.Cause(d.ctx)
	}
	for i := range d.conns {
		if c := &d.conns[i]; c.fd >= 0 {
			d.fds = append(d.fds, unix.PollFd{Fd: int32(c.fd), Events: int16(c.events())})
		}
	}
	ms := int(glance / time.Millisecond)
	if !deadline.IsZero() {
		// Round up: waking a moment early would spin.
		ms = min(ms, max(0, int((time.Until(deadline)+time.Millisecond-1)/time.Millisecond)))
	}
	n, err := unix.Poll(d.fds, ms)
	if err != nil && err != unix.EINTR {
		return nil, err
	}
	switch {
	case n > 0:
	case ms < int(glance/time.Millisecond):
		return nil, nil // the deadline
	default:
		return nil, d.settle()
	}
	return slices.DeleteFunc(d.fds, func(p unix.PollFd) bool { return p.Revents == 0 }), nil
}

// settle prepares for a long wait. Without descriptors for that, glances go on.
func (d *driver) settle() error {
	poller, err := sock.NewPoller(d.ctx)
	if err != nil {
		return nil
	}
	d.poller = poller
	for i := range d.conns {
		if c := &d.conns[i]; c.fd >= 0 {
			if err := poller.Add(c.fd, c.events()); err != nil {
				return err
			}
		}
	}
	return nil
}

// events are what a socket is watched for: POLLIN and EPOLLIN are the same bit.
func (c *conn) events() uint32 {
	if c.x.att.Transport == TransportTCP && !c.connected {
		return unix.EPOLLOUT
	}
	return unix.EPOLLIN
}
