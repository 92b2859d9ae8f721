package resolve

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// handleTCP takes what a socket has to tell: that the connection stands or does
// not, or a part of the reply.
func (d *driver) handleTCP(c *conn) bool {
	if !c.connected {
		errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		var pending error
		if err == nil && errno != 0 {
			pending = unix.Errno(errno)
		}
		if d.readErrors(c, pending) {
			return true
		}
		if _, err := unix.Getpeername(c.fd); err != nil {
			return false // not yet
		}
		return d.sendTCP(c)
	}
	n, err := unix.Read(c.fd, d.buf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return d.readErrors(c, nil)
	case err != nil:
		return d.readErrors(c, err)
	case n == 0:
		c.x.fail(OutcomeClosed, nil, "", time.Now())
		return true
	}
	c.in = append(c.in, d.buf[:n]...)
	return c.messages()
}

func (d *driver) sendTCP(c *conn) bool {
	now := time.Now()
	c.connected = true
	c.x.att.Connect = now.Sub(c.x.start)
	// A query is far smaller than the buffer of a new connection.
	if _, err := unix.Write(c.fd, c.x.packet()); err != nil {
		c.x.fail(errnoOutcome(err), nil, err.Error(), now)
		return true
	}
	if d.poller != nil {
		if err := d.poller.Modify(c.fd, c.events()); err != nil {
			c.x.fail(OutcomeLocalError, nil, err.Error(), now)
			return true
		}
	}
	return false
}

// messages takes whole messages off the stream (RFC 1035 section 4.2.2).
func (c *conn) messages() bool {
	for len(c.in) >= 2 {
		n := int(binary.BigEndian.Uint16(c.in))
		if len(c.in) < 2+n {
			return false
		}
		msg := c.in[2 : 2+n : 2+n]
		if c.x.receive(msg, c.x.ans.Server, time.Now()) {
			return true
		}
		c.in = c.in[2+n:]
	}
	return false
}
