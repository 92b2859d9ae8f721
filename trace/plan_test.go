package trace

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	s := ""
	for _, h := range p.Hops {
		r, ok := h.Answered()
		switch {
		case !ok && h.has(OutcomeNotSent):
			s += "! "
		case !ok:
			s += "* "
		case r.Outcome == OutcomeTimeExceeded:
			s += fmt.Sprintf("%x ", r.From.As16()[15])
		default:
			s += r.Outcome.String() + " "
		}
	}
	return s + p.End.String()
}

const ms = time.Millisecond

// TestPlan is what a trace must say, cost at most and take at most.
func TestPlan(t *testing.T) {
	refusal := icmperr.New(simAddr(3), 1, 3)
	mute := func(hops []simHop, at ...int) []simHop {
		for _, n := range at {
			hops[n-1].silent = true
		}
		return hops
	}
	for _, tt := range []struct {
		name    string
		o       Options
		syn     bool
		hops    []simHop
		set     func(s *simNet)
		want    string
		packets int
		took    time.Duration
	}{
		{name: "quick path, no packet too many", hops: row(6, 50*time.Microsecond),
			want: "1 2 3 4 5 open reached", packets: 6, took: 2 * ms},
		{name: "no router", hops: row(1, ms), want: "open reached", packets: 11, took: 2 * ms},
		{name: "slow path", hops: row(12, 4*ms), want: "1 2 3 4 5 6 7 8 9 a b open reached", packets: 22, took: 70 * ms},
		{name: "thirty hops behind a slow link", hops: mute(slices.Repeat([]simHop{{rtt: 50 * ms}}, 30), 3, 9, 14, 15, 21),
			o: Options{MaxSilent: -1}, want: "1 2 * 4 5 6 7 8 * a b c d * * 10 11 12 13 14 * 16 17 18 19 1a 1b 1c 1d open reached",
			packets: 35, took: 50*ms + 30*ms + 300*ms},
		{name: "silent hops are asked twice", hops: mute(row(6, 50*time.Microsecond), 2, 4),
			want: "1 * 3 * 5 open reached", packets: 8, took: 310 * ms},
		{name: "slow silent hop", hops: mute(row(4, 100*ms), 2), want: "1 * 3 open reached", packets: 15, took: 410*ms + 1200*ms},
		{name: "dead path", hops: mute(row(4, ms), 3, 4), want: "1 2 * * * * * * * * * * silent",
			packets: 13, took: 3320 * ms},
		{name: "dead path, SYN", syn: true, hops: mute(row(4, ms), 3, 4),
			want: "1 2 * * * * * * * * * * silent", packets: 12, took: 3320 * ms},
		{name: "all silent", hops: mute(row(2, ms), 1, 2), want: "* * * * * * * * * * silent", packets: 11, took: 3320 * ms},
		{name: "host off", hops: []simHop{{rtt: ms}, {rtt: ms}, {rtt: ms, icmp: &refusal, after: 3050 * ms}, {silent: true}},
			want: "1 2 3 unreachable unreachable", packets: 14, took: 3070 * ms},
		{name: "host off, SYN", syn: true,
			hops: []simHop{{rtt: ms}, {rtt: ms}, {rtt: ms, icmp: &refusal, after: 3050 * ms}, {silent: true}},
			want: "1 2 3 unreachable unreachable", packets: 13, took: 3070 * ms},
		{name: "prohibited", hops: []simHop{{rtt: ms}, {rtt: ms}, {rtt: ms, icmp: &refusal}, {}},
			want: "1 2 3 unreachable unreachable", packets: 4, took: 10 * ms},
		{name: "reset on the way", syn: true, hops: []simHop{{rtt: 10 * ms}, {rtt: 20 * ms, reset: true}, {rtt: 30 * ms}, {rtt: 40 * ms}},
			want:    "1 2" + strings.Repeat(" refused", 10) + " reached",
			packets: 12, took: 42 * ms},
		{name: "closed", syn: true, hops: row(3, 50*time.Microsecond), set: func(s *simNet) { s.closed = true },
			want: "1 2 refused reached", packets: 3, took: 2 * ms},
		{name: "highest TTL", o: Options{MaxTTL: 4}, hops: row(9, ms), want: "1 2 3 4 max_ttl", packets: 4, took: 10 * ms},
		{name: "from TTL 3", o: Options{FirstTTL: 3}, hops: row(5, ms), want: "3 4 open reached", packets: 7, took: 10 * ms},
		{name: "far away hop is found", hops: mute(row(9, ms), 1, 2, 3, 4, 5, 6, 7, 8),
			want: "* * * * * * * * open reached", packets: 18, took: 330 * ms},
		{name: "too many silent hops", hops: mute(row(12, ms), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
			o: Options{MaxSilent: 5}, want: "1 * * * * * silent", packets: 7, took: 3320 * ms},
		{name: "three queries", o: Options{Queries: 3}, hops: mute(row(4, 100*time.Microsecond), 2),
			want: "1 * 3 open reached", packets: 12, took: 510 * ms},
		{name: "rate", o: Options{Rate: 10}, hops: row(4, ms), want: "1 2 3 open reached", packets: 4, took: 310 * ms},
		{name: "no rate", o: Options{Rate: -1, MaxSilent: -1}, hops: row(4, ms), want: "1 2 3 open reached", packets: 30, took: 5 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim(tt.hops...)
			if tt.set != nil {
				tt.set(s)
			}
			p, took := simulate(t, s, tt.o, tt.syn)
			if d := cmp.Diff(tt.want, summary(p)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if p.Packets > tt.packets || took > tt.took {
				t.Errorf("%d packets in %v, want at most %d in %v", p.Packets, took, tt.packets, tt.took)
			}
		})
	}
}

// A hop without tokens answers when it has some again, if the path is dead
// and there is time; so does a target.
func TestPlanRateLimit(t *testing.T) {
	hops := row(4, ms)
	hops[1].every, hops[3].silent = time.Second, true
	s := newSim(hops...)
	hops[1].last = s.now
	p, _ := simulate(t, s, Options{}, false)
	if got := summary(p); got != "1 2 3 * * * * * * * * * * silent" {
		t.Error(got)
	}
	hops = row(4, ms)
	hops[3].every = time.Second
	s = newSim(hops...)
	hops[3].last = s.now
	p, _ = simulate(t, s, Options{}, false)
	if got := summary(p); got != "1 2 3 open reached" {
		t.Error(got)
	}
}

func TestPlanLoop(t *testing.T) {
	for _, period := range []int{2, 3, 4} {
		hops := row(40, ms)
		s := newSim(hops...)
		s.hops[39].silent = true
		o, _ := Options{}.withDefaults(MethodUDP)
		pl := newPlan(o, simTarget, false)
		w := &loopNet{simNet: s, from: 3, period: period}
		if err := run(pl, w, s.clock); err != nil {
			t.Fatal(err)
		}
		p := pl.path(0)
		var want []netip.Addr
		for i := range period {
			want = append(want, simAddr(3+i))
		}
		if d := cmp.Diff(want, p.Loop(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("period %d (-want +got)\n%s", period, d)
		}
		if p.End != EndLoop || p.Packets > 2+3*period+12 {
			t.Errorf("period %d: %s after %d packets", period, summary(p), p.Packets)
		}
	}
}

// loopNet makes the addresses from a hop on come again.
type loopNet struct {
	*simNet
	from, period int
}

func (l *loopNet) wait(until time.Time) ([]answer, error) {
	answers, err := l.simNet.wait(until)
	for i := range answers {
		if n := int(answers[i].reply.From.As16()[15]); n >= l.from {
			answers[i].reply.From = simAddr(l.from + (n-l.from)%l.period)
		}
	}
	return answers, err
}

// Answers that do not tell their probe are asked for again, in another way.
func TestPlanUnclear(t *testing.T) {
	s := newSim(row(5, ms)...)
	s.shared = true
	p, took := simulate(t, s, Options{}, false)
	if got := summary(p); got != "1 2 3 4 open reached" || s.splits != 1 || took > 30*ms {
		t.Errorf("%s after %v, %d splits", got, took, s.splits)
	}
	for _, h := range p.Hops {
		if len(h.Replies) != 1 {
			t.Errorf("%+v", h)
		}
	}
	if p.Packets > 15 {
		t.Errorf("%d packets", p.Packets)
	}
}

func TestPlanNotSent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fail    func(n int) error
		want    string
		packets int
	}{
		{"never", func(int) error { return errLasting }, "! not_sent", 0},
		{"a shortage that passes", func(n int) error {
			if n < 5 {
				return errPassing
			}
			return nil
		}, "1 2 open reached", 4},
		{"a shortage that stays", func(int) error { return errPassing }, "! not_sent", 0},
		{"now and then", func(n int) error {
			if n == 2 {
				return errLasting
			}
			return nil
		}, "1 ! open reached", 3},
		{"from the second on", func(n int) error {
			if n > 1 {
				return errLasting
			}
			return nil
		}, "1 ! ! not_sent", 1},
	} {
		s := newSim(row(3, 100*time.Microsecond)...)
		s.fail = tt.fail
		p, took := simulate(t, s, Options{}, false)
		if got := summary(p); got != tt.want || p.Packets > tt.packets || took > 2*time.Second {
			t.Errorf("%s: %s with %d packets after %v", tt.name, got, p.Packets, took)
		}
	}
}

// When the wait is broken off, what was learned until then stays.
func TestPlanBrokenOff(t *testing.T) {
	s := newSim(row(4, ms)...)
	s.hops[2].silent, s.hops[3].silent = true, true
	s.err = errors.New("enough")
	o, _ := Options{}.withDefaults(MethodUDP)
	pl := newPlan(o, simTarget, false)
	if err := run(pl, s, s.clock); !errors.Is(err, s.err) {
		t.Fatal(err)
	}
	if p := pl.path(0); p.End != EndUnknown || len(p.Hops) == 0 {
		t.Error(summary(p))
	}
}

// TestPlanRandom traces random paths: what is there must be told, what is not
// must not, and packets and time stay within their bounds.
func TestPlanRandom(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		n := 1 + rng.IntN(20)
		hops := row(n, time.Duration(rng.Int64N(int64(20*ms))))
		quiet := 0
		for i := range hops[:n-1] {
			if quiet < 8 && rng.IntN(4) == 0 {
				hops[i].silent = true
				quiet++
			}
		}
		dead := rng.IntN(3) == 0
		hops[n-1].silent = dead
		s := newSim(hops...)
		syn := rng.IntN(2) == 0
		if syn {
			s.again = 3
		}
		p, took := simulate(t, s, Options{}, syn)
		want := ""
		for i, h := range hops[:n-1] {
			if h.silent {
				want += "* "
			} else {
				want += fmt.Sprintf("%x ", i+1)
			}
		}
		last := n - 1
		for last > 0 && hops[last-1].silent {
			last--
		}
		slowest := hops[n-1].rtt
		limit, most := 5*slowest+100*ms+max(300*ms, 3*slowest), n+11+quiet
		if dead {
			want, limit, most = "", 7*time.Second, last+12+quiet
			for i, h := range hops[:last] {
				if h.silent {
					want += "* "
				} else {
					want += fmt.Sprintf("%x ", i+1)
				}
			}
			for ttl := last + 1; ttl <= min(30, last+10); ttl++ {
				want += "* "
			}
			want += "silent"
			if last+10 > 30 {
				want = want[:len(want)-len("silent")] + "max_ttl"
			}
		} else {
			want += "open reached"
		}
		if got := summary(p); got != want || took > limit || p.Packets > most {
			t.Fatalf("seed %d: %s\nwant %s\n%d packets (at most %d) in %v (at most %v)", seed, got, want, p.Packets, most, took, limit)
		}
	}
}

// TestPlanLoss has one packet in five lost. No hop may be told wrongly.
func TestPlanLoss(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 2))
	found := 0
	const runs, length = 500, 8
	for range runs {
		hops := row(length, 3*ms)
		for i := range hops {
			hops[i].lose = func() bool { return rng.IntN(5) == 0 }
		}
		p, _ := simulate(t, newSim(hops...), Options{}, false)
		for _, h := range p.Hops {
			if r, ok := h.Answered(); ok && h.TTL < length && r.From != simAddr(h.TTL) {
				t.Fatalf("seed %d: %s", seed, summary(p))
			}
		}
		if p.Reached && p.Distance() == length {
			found++
		}
	}
	// The target's own TTL is asked twice, so it is missed in 4 of 100 traces.
	if found < runs*9/10 {
		t.Errorf("seed %d: the distance was right in %d of %d traces", seed, found, runs)
	}
}
