package ping

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// wireTime is a network and a pair of clocks that tests drive by hand: each
// packet is answered as the script says, at the time it says. Waiting makes
// the time pass.
type wireTime struct {
	mu      sync.Mutex
	now     clocks
	script  func(p icmpsock.Packet, v6 bool) []answer
	queue   []answer // in the order of time
	sent    []icmpsock.Packet
	sendErr func(icmpsock.Packet) error
	closed  bool
	failure error
	dropped uint32
	ids     [2][]uint16
	wakes   atomic.Int32
	pause   func()        // called while a pause is under way
	plain   bool          // no stamps from the kernel
	idLimit int           // identifiers that can be had; 0 is no limit
	preempt time.Duration // passes between the looking at the clock and the reading
}

type answer struct {
	after time.Duration // the sending
	msg   icmpsock.Message
	at    int64 // monotonic, computed
}

const wallStart = int64(1_700_000_000_000_000_000)

func (w *wireTime) clock() clocks {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *wireTime) Send(v6 bool, ps []icmpsock.Packet) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range ps {
		if w.sendErr != nil {
			if err := w.sendErr(p); err != nil {
				return i, err
			}
		}
		w.sent = append(w.sent, p)
		if w.script == nil {
			continue
		}
		for _, a := range w.script(p, v6) {
			a.at, a.msg.V6 = w.now.mono+int64(a.after), v6
			i := len(w.queue)
			for i > 0 && w.queue[i-1].at > a.at {
				i--
			}
			w.queue = slices.Insert(w.queue, i, a)
		}
	}
	return len(ps), nil
}

// Wait goes forward to the next answer or by d.
func (w *wireTime) Wait(d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != nil {
		return w.failure
	}
	to := w.now.mono + int64(d)
	if len(w.queue) > 0 && (w.queue[0].at < to || d < 0) {
		to = w.queue[0].at
	}
	if forward := to - w.now.mono; forward > 0 {
		w.now.mono += forward
		w.now.real += forward
	}
	return nil
}

func (w *wireTime) Receive(f func(*icmpsock.Message)) (bool, error) {
	w.mu.Lock()
	n := 0
	for n < len(w.queue) && w.queue[n].at <= w.now.mono {
		n++
	}
	due := w.queue[:n]
	w.queue = w.queue[n:]
	w.now.mono += int64(w.preempt)
	w.now.real += int64(w.preempt)
	w.mu.Unlock()
	for i := range due {
		f(&due[i].msg)
	}
	return true, nil
}

func (w *wireTime) Wake() { w.wakes.Add(1) }

func (w *wireTime) Dropped(bool) uint32 { return w.dropped }

// Pause goes forward by d whatever is due.
func (w *wireTime) Pause(d time.Duration) error {
	if w.pause != nil {
		w.pause()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now.mono += int64(d)
	w.now.real += int64(d)
	return w.failure
}

func (w *wireTime) Errors(bool, func(*icmpsock.Message)) error { return nil }

func (w *wireTime) IDs(v6 bool) []uint16 {
	f := 0
	if v6 {
		f = 1
	}
	if len(w.ids[f]) == 0 {
		w.ids[f] = []uint16{uint16(1000 * (f + 1))}
	}
	return w.ids[f]
}

func (w *wireTime) Exclusive() bool { return true }
func (w *wireTime) Stamped() bool   { return !w.plain }

func (w *wireTime) Grow(v6 bool, n int) error {
	for len(w.IDs(v6)) < n {
		if len(w.IDs(v6)) == w.idLimit {
			return errors.New("too many open files")
		}
		ids := &w.ids[0]
		if v6 {
			ids = &w.ids[1]
		}
		*ids = append(*ids, (*ids)[0]+uint16(len(*ids)))
	}
	return nil
}

func (w *wireTime) Has(bool) error { return nil }
func (w *wireTime) Close() error   { w.closed = true; return nil }

// engine returns one on this network.
func (w *wireTime) engine(t testing.TB, o *Options) *Engine {
	t.Helper()
	w.now = clocks{real: wallStart, mono: 1}
	opt := o.resolved()
	cfg, err := opt.config()
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(opt, cfg.Payload, w, MethodICMPDatagram, "test", w.clock)
	t.Cleanup(func() { e.Close() })
	return e
}

// reply is an honest reply to p.
func reply(e *Engine, p icmpsock.Packet) icmpsock.Message {
	payload := append([]byte(nil), e.payload...)
	copy(payload, p.Head[:])
	return icmpsock.Message{Kind: icmpsock.Reply, From: p.Dst, ID: p.ID, Seq: p.Seq, TTL: 64, Payload: payload, Size: len(payload) + 8}
}
