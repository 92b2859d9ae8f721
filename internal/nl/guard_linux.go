package nl

import (
	"errors"

	"golang.org/x/sys/unix"
)

// guard hears of changes while a table is read. An inconsistent reading has a
// later change and lacks an earlier one, of which the kernel has told before it
// made the later one: so it is heard before the reading ends.
type guard struct {
	t    transport
	held bool // the period goes on over several dumps
	flow bool // there was no end of what was heard before
}

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
	var b [1]byte
	for !g.flow {
		_, from, err := g.t.poll(b[:])
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		g.flow = err != nil || from == 0 // or it is a stranger's
	}
	return true
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
