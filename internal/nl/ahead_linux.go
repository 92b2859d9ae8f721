package nl

import (
	"context"
	"encoding/binary"
)

// The kernel makes a dump in the calls that receive it, one datagram in each.
// [Config.Ahead] has these calls made by a goroutine.
const (
	// aheadAfter is how many full datagrams make a dump a long one, which a
	// goroutine and its buffers cost little of.
	aheadAfter = 4
	// aheadBatch is how many datagrams are handed over at a time: to wake the other
	// side takes a good part of what it takes to make one.
	aheadBatch = 4
	// aheadBatches bounds how far ahead it is.
	aheadBatches = 3
)

// full reports whether the kernel ended a datagram for want of room.
func full(b []byte) bool { return len(b) > bufferSize/2 }

// batch is some datagrams, the error that came after them, and their buffers.
type batch struct {
	data [aheadBatch][]byte
	n    int
	err  error
	bufs [aheadBatch][]byte
}

// fill receives up to the end of the answer or an error, and reports whether it
// has come to that.
func (b *batch) fill(t transport, seq uint32) (end bool) {
	for b.n = 0; b.n < aheadBatch && !end; b.n++ {
		buf := &b.bufs[b.n]
		grow(buf, bufferSize)
		if b.data[b.n], b.err = receive(t, buf); b.err != nil {
			return true
		}
		end = ends(b.data[b.n], seq)
	}
	return end
}

// ahead reads the rest of an answer as answer does. Its goroutine has ended when
// it returns.
func (c *Conn) ahead(ctx context.Context, seq uint32, fn func(uint16, []byte) error) (interrupted bool, err error) {
	// There is room for every batch in both: sending never blocks.
	free, filled := make(chan *batch, aheadBatches), make(chan *batch, aheadBatches)
	for range aheadBatches {
		free <- &batch{}
	}
	go func() {
		defer close(filled)
		for b := range free {
			end := b.fill(c.t, seq)
			filled <- b
			if end {
				return
			}
		}
	}()
	ended := false // of itself: the socket is as it was
	defer func() {
		close(free)
		if !ended {
			c.t.interrupt()
		}
		for range filled { // until it is closed
		}
	}()
	for {
		b := <-filled
		for _, data := range b.data[:b.n] {
			if ctx.Err() != nil {
				c.broken = context.Cause(ctx)
				return interrupted, c.broken
			}
			end, intr, err := c.messages(data, seq, false, fn)
			interrupted = interrupted || intr
			if end || err != nil {
				ended = ends(data, seq)
				return interrupted, err
			}
		}
		if b.err != nil {
			c.broken = b.err
			return interrupted, b.err
		}
		free <- b
	}
}

// ends reports whether nothing is to be expected after a datagram: it holds the end
// of the answer, or what is no message. It looks at as little as it can, because the
// kernel waits for it.
func ends(b []byte, seq uint32) bool {
	for len(b) >= headerLen {
		e := binary.NativeEndian
		n, typ := int64(e.Uint32(b)), e.Uint16(b[4:])
		if n < headerLen || n > int64(len(b)) {
			return true
		}
		if (typ == typeDone || typ == typeError || typ == typeOverrun) && e.Uint32(b[8:]) == seq {
			return true
		}
		b = b[min(align(int(n)), len(b)):]
	}
	return len(b) > 0
}
