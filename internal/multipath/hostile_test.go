package multipath_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/fakenet"
	"github.com/netsonde/netsonde/internal/multipath"
)

// liar answers as its script says: two bytes an answer, over and over.
type liar struct {
	script []byte
	at     int
	now    time.Time
	sent   []int // numbers of probes not yet answered
	n      int
	probes map[[2]int]int // how often a flow was sent at a TTL
}

func (l *liar) next() byte {
	if len(l.script) == 0 {
		return 0
	}
	l.at++
	return l.script[l.at%len(l.script)]
}

func (l *liar) Send(id, flow, ttl int) error {
	l.n++
	l.sent = append(l.sent, id)
	l.probes[[2]int{flow, ttl}]++
	return nil
}

func (l *liar) Wait(until time.Time) ([]multipath.Answer, error) {
	b := l.next()
	if len(l.sent) == 0 || b&3 == 0 {
		if until.After(l.now) {
			l.now = until
		}
		return nil, nil
	}
	l.now = l.now.Add(time.Duration(b) * time.Millisecond)
	a := multipath.Answer{ID: l.sent[0] + int(int8(l.next()))/100, RTT: time.Duration(b) * time.Microsecond, Final: b&0x70 == 0, Unclear: b == 0xff}
	l.sent = l.sent[1:]
	a.From = netip.AddrFrom4([4]byte{10, b & 0x80, l.next(), l.next() & 3})
	return []multipath.Answer{a}, nil
}

func (l *liar) Forget(int)           {}
func (l *liar) Transient(error) bool { return false }
func (l *liar) Split()               {}

// FuzzExplore has a network answer anything. Budgets hold, and the result
// makes sense in itself.
func FuzzExplore(f *testing.F) {
	for _, seed := range [][]byte{{}, {1}, {0}, {0xff, 3, 9}, []byte("some routers answer what they like"), {5, 0, 0, 0, 1, 200, 7, 77}} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, script []byte, full bool) {
		c := config(multipath.Lite)
		if full {
			c.Algorithm = multipath.MDA
		}
		c.MaxProbes, c.MaxFlows, c.Queries = 400, 150, 2
		l := &liar{script: script, now: time.Unix(1e9, 0), probes: map[[2]int]int{}}
		r, err := multipath.Run(c, l, func() time.Time { return l.now })
		if err != nil || l.n > c.MaxProbes || r.Probes != l.n || r.Flows > c.MaxFlows {
			t.Fatalf("%v, %d probes sent, %d told, %d flows", err, l.n, r.Probes, r.Flows)
		}
		for _, e := range r.Edges {
			if r.Vertices[e.From].TTL+1 != r.Vertices[e.To].TTL || r.Vertices[e.From].Final {
				t.Errorf("edge %+v from %+v", e, r.Vertices[e.From])
			}
		}
		for _, v := range r.Vertices {
			if v.Answered > v.Sent {
				t.Errorf("%+v", v)
			}
		}
		for _, p := range r.Paths {
			if p.Answered > p.Sent {
				t.Errorf("%+v", p)
			}
			for i, v := range p.Vertices {
				if r.Vertices[v].TTL != i+1 {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}

// crowd answers every probe from another address.
type crowd struct{ *fakenet.Net }

func (c crowd) Wait(until time.Time) ([]multipath.Answer, error) {
	answers, err := c.Net.Wait(until)
	for i := range answers {
		id := answers[i].ID
		answers[i].From = netip.AddrFrom4([4]byte{10, byte(id >> 16), byte(id >> 8), byte(id)})
	}
	return answers, err
}

// TestCrowd: no two answers are alike, which is soon seen to be no balancing by
// flow, and takes no more than the budget.
func TestCrowd(t *testing.T) {
	for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
		n := fakenet.New(star(2), 1)
		c := config(a)
		c.MaxProbes = 1200
		r, err := multipath.Run(c, crowd{n}, n.Now)
		if err != nil || r.Probes > c.MaxProbes || r.Stop != multipath.StopBudget || r.Failure <= c.Failure {
			t.Errorf("%d: %v, %d probes, stop %v, bound %v", a, err, r.Probes, r.Stop, r.Failure)
		}
	}
}

// twice gives each answer twice.
type twice struct{ *fakenet.Net }

func (w twice) Wait(until time.Time) ([]multipath.Answer, error) {
	answers, err := w.Net.Wait(until)
	return append(answers, answers...), err
}

// TestTwice: answers that are doubled on the way change nothing.
func TestTwice(t *testing.T) {
	for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
		once, doubled := fakenet.New(star(3), 1), twice{fakenet.New(star(3), 1)}
		want := run(t, config(a), once)
		got, err := multipath.Run(config(a), doubled, doubled.Now)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
			t.Errorf("%d: %v (-once +twice):\n%s", a, err, diff)
		}
	}
}

// TestFirstTTL: exploring may begin in the middle, also where paths have parted.
func TestFirstTTL(t *testing.T) {
	for first := 1; first <= 4; first++ {
		for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
			n := fakenet.New(star(3), 1)
			c := config(a)
			c.FirstTTL, c.Failure = first, 1e-4
			r := run(t, c, n)
			want := 0
			for _, l := range n.Links() {
				if l.TTL >= first {
					want++
				}
			}
			if len(r.Edges) != want || len(r.Vertices) == 0 || r.Vertices[0].TTL != first || r.Stop != multipath.StopDone {
				t.Errorf("from %d: %d links, want %d, from %d on", first, len(r.Edges), want, r.Vertices[0].TTL)
			}
		}
	}
}

// short is a network that is no longer listened to after some answers.
type short struct {
	*fakenet.Net
	left int
}

func (s *short) Wait(until time.Time) ([]multipath.Answer, error) {
	if s.left--; s.left < 0 {
		return nil, context.Canceled
	}
	return s.Net.Wait(until)
}

// TestCutShort: whenever exploring ends, by the context or the budget, nothing that was
// not looked for counts as known.
func TestCutShort(t *testing.T) {
	for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
		for n := 1; n < 150; n++ {
			for _, by := range []string{"context", "budget"} {
				c, wire := config(a), &short{fakenet.New(star(3), 1), n}
				if by == "budget" {
					c.MaxProbes, wire.left = n, 1e6
				}
				r, _ := multipath.Run(c, wire, wire.Now)
				for _, v := range r.Vertices {
					if !v.Final && v.Probed == 0 && (v.Settled || v.Failure < 1) {
						t.Errorf("%d, after %d of %s: nothing was followed behind %+v", a, n, by, v)
					}
				}
				if r.Stop != multipath.StopDone && len(r.Vertices) > 0 && len(r.Vertices) < 4 && r.Failure <= c.Failure && r.Flows < 4 {
					t.Errorf("%d, after %d of %s: %d vertices, bound %v", a, n, by, len(r.Vertices), r.Failure)
				}
			}
		}
	}
}
