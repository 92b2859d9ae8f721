package trace

import (
	"container/heap"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// simNet is a path in memory and in its own time: what each TTL answers and
// when. It is the wire of a plan.
type simNet struct {
	now   time.Time
	hops  []simHop // by distance, from 1 on; the last one is the target
	queue simQueue
	sent  []simSend
	gone  []int

	closed   bool // TCP: the target resets
	shared   bool // answers do not tell which probe they are for
	again    int  // a SYN is repeated every second, at most so often
	fail     func(n int) error
	forgot   map[int]bool
	inFlight map[int]int // ttl by id
	splits   int
	err      error // what wait returns when it has nothing
}

type simHop struct {
	rtt    time.Duration
	silent bool
	lose   func() bool   // true: this probe gets no answer
	every  time.Duration // not 0: answers once in so long
	last   time.Time
	icmp   *icmperr.Error // refuses everything that would go on
	after  time.Duration  // the refusal takes so long
	reset  bool           // resets everything that would go on
}

type simSend struct {
	id, ttl int
	at      time.Time
}

type simEvent struct {
	at time.Time
	answer
}

type simQueue []simEvent

func (q simQueue) Len() int           { return len(q) }
func (q simQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q simQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)        { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() (x any) {
	x, *q = (*q)[len(*q)-1], (*q)[:len(*q)-1]
	return x
}

var simTarget = netip.MustParseAddr("2001:db8::ffff")

func simAddr(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n)) }

func newSim(hops ...simHop) *simNet {
	return &simNet{now: time.Unix(1e9, 0), hops: hops, forgot: map[int]bool{}, inFlight: map[int]int{}}
}

// row is n hops whose RTT grows by step.
func row(n int, step time.Duration) []simHop {
	hops := make([]simHop, n)
	for i := range hops {
		hops[i].rtt = step * time.Duration(i+1)
	}
	return hops
}

func (s *simNet) clock() time.Time { return s.now }

func (s *simNet) transient(err error) bool { return errors.Is(err, errPassing) }

func (s *simNet) split() { s.splits++; s.shared = false }

var errPassing, errLasting = errors.New("passing"), errors.New("lasting")

func (s *simNet) send(id, ttl int) error {
	s.sent = append(s.sent, simSend{id, ttl, s.now})
	if s.fail != nil {
		if err := s.fail(len(s.sent)); err != nil {
			return err
		}
	}
	s.inFlight[id] = ttl
	s.transmit(id, ttl, s.now, 0)
	for i := range s.again {
		s.transmit(id, ttl, s.now.Add(time.Duration(i+1)*time.Second), i+1)
	}
	return nil
}

// transmit lets a packet travel that leaves at a time.
func (s *simNet) transmit(id, ttl int, at time.Time, repeat int) {
	for i := range s.hops {
		h := &s.hops[i]
		last := i == len(s.hops)-1
		r := Reply{From: simAddr(i + 1), RTT: at.Add(h.rtt).Sub(s.now), Retransmits: repeat}
		back := at.Add(h.rtt)
		switch {
		case last && h.silent:
			return
		case last:
			r.From, r.Outcome = simTarget, OutcomeOpen
			if s.closed {
				r.Outcome = OutcomeRefused
			}
		case i+1 == ttl:
			r.Outcome = OutcomeTimeExceeded
		case h.icmp != nil:
			r.Outcome, r.ICMP, back = OutcomeUnreachable, h.icmp, back.Add(h.after)
		case h.reset:
			r.Outcome, r.From = OutcomeRefused, simTarget
		default:
			continue
		}
		if h.silent || h.lose != nil && h.lose() || h.every != 0 && !h.last.IsZero() && at.Sub(h.last) < h.every {
			return
		}
		h.last = at
		heap.Push(&s.queue, simEvent{back, answer{id: id, reply: r, unclear: s.shared}})
		return
	}
}

func (s *simNet) wait(until time.Time) ([]answer, error) {
	if len(s.queue) > 0 && !s.queue[0].at.After(until) {
		if s.queue[0].at.After(s.now) {
			s.now = s.queue[0].at
		}
		ev := heap.Pop(&s.queue).(simEvent)
		if s.forgot[ev.id] {
			return nil, nil
		}
		return []answer{ev.answer}, nil
	}
	if s.err != nil {
		return nil, s.err
	}
	if until.After(s.now) {
		s.now = until
	}
	return nil, nil
}

func (s *simNet) forget(id int) { s.forgot[id] = true; s.gone = append(s.gone, id) }

// simulate traces a path in memory.
func simulate(t *testing.T, s *simNet, o Options, syn bool) (p Path, took time.Duration) {
	t.Helper()
	o, err := o.withDefaults(MethodTCP)
	if err != nil {
		t.Fatal(err)
	}
	start := s.now
	pl := newPlan(o, simTarget, syn)
	if err := run(pl, s, s.clock); err != nil {
		t.Fatal(err)
	}
	for id, ttl := range s.inFlight {
		if pl.probes[id].waiting {
			t.Errorf("probe %d at TTL %d is still waited for", id, ttl)
		}
	}
	p = pl.path(0)
	return p, s.now.Sub(start)
}

// summary is a path as "1 2 * 4 T open reached".
func summary(p Path) string {
	var words []string
	for _, h := range p.Hops {
		r, ok := h.Answered()
		switch {
		case !ok && h.has(OutcomeNotSent):
			words = append(words, "!")
		case !ok:
			words = append(words, "*")
		case r.Outcome == OutcomeTimeExceeded:
			words = append(words, fmt.Sprintf("%x", r.From.As16()[15]))
		default:
			words = append(words, r.Outcome.String())
		}
	}
	return strings.Join(append(words, p.End.String()), " ")
}

const ms = time.Millisecond
