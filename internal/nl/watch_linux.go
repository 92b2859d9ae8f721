package nl

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Watch keeps tables of the kernel mirrored: it reads them once, and from then
// on hears of their changes. Because it subscribes before it reads, nothing falls
// between. What notifications cannot tell is read again: everything after some of
// them were lost, and a table that its owner suspects.
//
// It has no goroutine and no queue. The callbacks run one after the other in Run,
// and what they do not take in time the kernel keeps in a buffer of a fixed size,
// or drops and says so.
type Watch struct {
	NetNS  int      // as in Config
	Groups []uint32 // RTNLGRP_*
	Buffer int      // as in Config
	Tables []*Table

	// Lost is called when the kernel has dropped notifications, before the tables
	// are read again; Synced when the tables have been read, at first and after
	// each Lost.
	Lost, Synced func() error

	events, dumps *Conn
	announce      bool // Synced is due
	disturbed     int  // readings in a row that something was heard during
	first, last   time.Time
	settle        time.Duration // 0: the constant
}

// Table is one that is mirrored.
type Table struct {
	Dump []Message // what to ask for to get all of it
	// Entry takes an entry of a dump, or a notification, which may be about
	// anything, and reports whether it is about this table.
	Entry func(typ, flags uint16, body []byte, dump bool) (mine bool, err error)
	// Begin and End enclose a reading; Begin comes again without an End when it
	// was interrupted. What was not seen in between is not there any more.
	Begin func()
	End   func() error
	// Lacking reports whether an error of a dump means an empty table.
	Lacking func(error) bool

	stale bool // has to be read
	read  bool // was read in this round
	heard bool // heard of in this round
}

const (
	// settle is how long after a hint the tables that it is about are read: the
	// kernel tells that an interface went down before it removes the routes.
	settle = 50 * time.Millisecond
	// patience bounds how long further hints put that off.
	patience = time.Second
	// calm is how often a table in which something is changing all the time is
	// read before it counts as read; notifications make up for the rest.
	calm = 3
	// burst bounds how many notifications belong to a round.
	burst = 1 << 14
)

// Suspect has a table read again.
func (w *Watch) Suspect(t *Table) {
	if t.stale {
		w.last = time.Now()
		return
	}
	t.stale = true
	w.last = time.Now()
	if w.first.IsZero() {
		w.first = w.last
	}
}

// Run works until ctx ends or a callback returns an error, and returns that.
func (w *Watch) Run(ctx context.Context) error {
	events, err := Dial(Config{Family: unix.NETLINK_ROUTE, NetNS: w.NetNS, Groups: w.Groups, Buffer: w.Buffer})
	if err != nil {
		return err
	}
	defer events.Close()
	dumps, err := Dial(Config{Family: unix.NETLINK_ROUTE, NetNS: w.NetNS})
	if err != nil {
		return err
	}
	defer dumps.Close()
	return w.run(ctx, events, dumps)
}

func (w *Watch) run(ctx context.Context, events, dumps *Conn) error {
	w.events, w.dumps = events, dumps
	grow(&events.buf, bufferSize)
	defer events.watch(ctx)()
	err := w.distrust(nil)
	for err == nil {
		err = w.step(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// distrust has everything read, after a loss.
func (w *Watch) distrust(lost func() error) error {
	for _, t := range w.Tables {
		t.stale = true
	}
	told := w.announce
	w.announce, w.disturbed = true, 0
	if told || lost == nil {
		return nil
	}
	return lost()
}

// step reads the tables if that is due, else waits for a notification or for
// the time when it is.
func (w *Watch) step(ctx context.Context) error {
	due, wait := w.due()
	var deadline time.Time
	if wait > 0 {
		deadline = time.Now().Add(wait)
	}
	w.events.t.until(deadline)
	if ctx.Err() != nil { // whose end may have set a deadline before us
		return context.Cause(ctx)
	}
	if due {
		return w.round(ctx)
	}
	_, err := w.receive(w.events.t.recv(w.events.buf, false))
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return nil
	}
	return err
}

// due reports whether tables must be read now, or how long from now; 0 is never.
func (w *Watch) due() (now bool, wait time.Duration) {
	if w.announce && w.disturbed == 0 {
		return true, 0
	}
	stale := false
	for _, t := range w.Tables {
		stale = stale || t.stale
	}
	if !stale {
		w.first = time.Time{}
		return false, 0
	}
	wait = min(time.Until(w.last.Add(cmp.Or(w.settle, settle))), time.Until(w.first.Add(patience)))
	return wait <= 0, max(wait, 0)
}

// round reads the tables that have to be, and takes in what was heard meanwhile.
func (w *Watch) round(ctx context.Context) error {
	w.first = time.Time{}
	if !w.announce {
		w.barrier(ctx)
	}
	whole := true // no reading was interrupted
	for _, t := range w.Tables {
		if t.read, t.heard = t.stale, false; !t.stale {
			continue
		}
		t.stale = false
		err := w.reading(ctx, t)
		if errors.Is(err, ErrInterrupted) {
			whole = false
			w.Suspect(t)
		} else if err != nil {
			return err
		}
	}
	quiet, lost, err := w.drain(ctx)
	if err != nil || lost {
		return err
	}
	still := true // nothing changed while it was read
	for _, t := range w.Tables {
		if t.read && (t.heard || !quiet) {
			still = false
			w.Suspect(t) // entries may have been passed over
		}
	}
	if w.disturbed++; !w.announce || !whole || !still && w.disturbed < calm {
		return nil
	}
	w.announce = false
	return w.Synced()
}

// barrier waits until a change that is in progress is over: the kernel answers
// this under the lock that changes are made under.
func (w *Watch) barrier(ctx context.Context) {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], 1)
	// Whatever the answer is.
	_ = w.dumps.Request(ctx, Message{Type: unix.RTM_GETLINK, Body: body}, func(uint16, []byte) error { return nil })
}

// reading reads one table.
func (w *Watch) reading(ctx context.Context, t *Table) error {
	w.dumps.cfg.Restart = t.Begin
	t.Begin()
	for _, m := range t.Dump {
		err := w.dumps.Dump(ctx, m, func(typ uint16, body []byte) error {
			_, err := t.Entry(typ, 0, body, true)
			return err
		})
		if err != nil && !t.Lacking(err) {
			return err
		}
	}
	return t.End()
}

// drain takes in what has been heard by now. It is quiet if there is an end to
// that.
func (w *Watch) drain(ctx context.Context) (quiet, lost bool, err error) {
	for range burst {
		if ctx.Err() != nil {
			return false, false, context.Cause(ctx)
		}
		lost, err := w.receive(w.events.t.poll(w.events.buf))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true, false, nil
		case err != nil || lost:
			return false, lost, err
		}
	}
	return false, false, nil
}

// receive takes in one datagram, and reports whether it tells of a loss.
func (w *Watch) receive(n int, from uint32, err error) (lost bool, _ error) {
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return true, w.lost()
	case err != nil:
		return false, err
	case from != 0:
		return false, nil
	case n > len(w.events.buf):
		grow(&w.events.buf, min(n, maxDatagram))
		return true, w.lost()
	}
	for b := w.events.buf[:n]; len(b) > 0; {
		h, body, rest, err := next(b)
		if err != nil {
			return false, err
		}
		b = rest
		if h.Type == typeOverrun {
			return true, w.lost()
		}
		for _, t := range w.Tables {
			mine, err := t.Entry(h.Type, h.Flags, body, false)
			if err != nil {
				return false, err
			}
			t.heard = t.heard || mine
		}
	}
	return false, nil
}

// lost throws away what is still in the buffer: until it has been emptied once
// the kernel keeps dropping.
func (w *Watch) lost() error {
	for {
		_, _, err := w.events.t.poll(w.events.buf)
		if errors.Is(err, unix.EAGAIN) {
			return w.distrust(w.Lost)
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
}
