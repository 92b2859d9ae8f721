package nl

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// guard hears of changes while a table is read. An inconsistent reading has a
// later change and lacks an earlier one, of which the kernel has told before it
// made the later one: so it is heard before the reading ends.
type guard struct {
	t     transport
	heeds func(typ uint16, start []byte) bool // nil: everything
	held  bool                                // the period goes on over several dumps
	flow  bool                                // there was no end of what was heard before
}

// guardStart is how many bytes of a notification's body are looked at: there the
// fixed headers of rtnetlink begin.
const guardStart = 16

// backlog bounds how much is thrown away before a period.
const backlog = 1000

func (g *guard) begin() {
	if g == nil || g.held {
		return
	}
	var b [1]byte
	for range backlog {
		if _, _, err := g.t.poll(b[:]); errors.Is(err, unix.EAGAIN) {
			g.flow = false
			return
		}
	}
	g.flow = true
}

// changed reports whether something was heard since begin.
func (g *guard) changed() bool {
	if g == nil || g.held {
		return false
	}
	var b [headerLen + guardStart]byte
	for !g.flow {
		n, from, err := g.t.poll(b[:])
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		g.flow = err != nil || from == 0 && g.heeded(b[:min(n, len(b))]) // or it is a stranger's
	}
	return true
}

// heeded reports whether a notification, of which b is the start, counts.
func (g *guard) heeded(b []byte) bool {
	if g.heeds == nil || len(b) < headerLen {
		return true
	}
	return g.heeds(binary.NativeEndian.Uint16(b[4:]), b[headerLen:])
}

// Hold makes one period of the dumps up to Release, for tables that belong
// together.
func (c *Conn) Hold() {
	if c.guard != nil {
		c.guard.begin()
		c.guard.held = true
	}
}

// Release ends what Hold began, and reports whether anything changed.
func (c *Conn) Release() bool {
	if c.guard != nil {
		c.guard.held = false
	}
	return c.guard.changed()
}
