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
		{name: "slow path", hops: row(12, 4*ms), want: "1 2 3 4 5 6 7 8 9 a b open reached", packets: 30, took: 70 * ms},
		{name: "thirty hops behind a slow link", hops: mute(slices.Repeat([]simHop{{rtt: 50 * ms}}, 30), 3, 9, 14, 15, 21),
			o: Options{MaxSilent: -1}, want: "1 2 * 4 5 6 7 8 * a b c d * * 10 11 12 13 14 * 16 17 18 19 1a 1b 1c 1d open reached",
			packets: 35, took: 50*ms + 30*ms + 300*ms},
		{name: "thirty hops behind a slow link, default", hops: mute(slices.Repeat([]simHop{{rtt: 50 * ms}}, 30), 3, 9, 14, 15, 21),
			want: "1 2 * 4 5 6 7 8 * a b c d * * 10 11 12 13 14 * 16 17 18 19 1a 1b 1c 1d open reached", packets: 36, took: 50*ms + 300*ms},
		{name: "dead slow path", hops: mute(slices.Repeat([]simHop{{rtt: 50 * ms}}, 9), 9),
			want: "1 2 3 4 5 6 7 8 * * * * * * * * * * silent", packets: 26, took: 3400 * ms},
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
		{name: "all the time", o: Options{Queries: 3, Timeout: time.Second, Here: -1}, hops: mute(row(4, 100*time.Microsecond), 2),
			want: "1 * 3 open reached", packets: 12, took: 1210 * ms},
		{name: "ten times a later answer", o: Options{Queries: 3, Near: 10}, hops: mute(row(4, 5*ms), 2),
			want: "1 * 3 open reached", packets: 33, took: 400 * ms},
		{name: "three times an answer", o: Options{Queries: 2, Here: 3, MaxTTL: 2}, hops: row(9, ms), want: "1 2 max_ttl", packets: 4, took: 120 * ms},
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

// TestPlanStalled stops the process for a second, in which answers come and
// times run out.
func TestPlanStalled(t *testing.T) {
	refusal := icmperr.New(simAddr(3), 1, 3)
	for _, at := range []int{1, 3, 6, 9} {
		s := newSim(simHop{rtt: 5 * ms}, simHop{rtt: 10 * ms}, simHop{rtt: 15 * ms, icmp: &refusal, after: 3050 * ms}, simHop{silent: true})
		s.fail = func(n int) error {
			if n == at {
				s.now = s.now.Add(time.Second)
			}
			return nil
		}
		p, _ := simulate(t, s, Options{}, true)
		if got := summary(p); !strings.HasPrefix(got, "1 2 3 unreachable") {
			t.Errorf("stalled at probe %d: %s", at, got)
		}
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
		hops[n-1].silent = rng.IntN(3) == 0
		s := newSim(hops...)
		syn := rng.IntN(2) == 0
		if syn {
			s.again = 3
		}
		p, took := simulate(t, s, Options{}, syn)
		want, most, limit := foretell(hops)
		if got := summary(p); got != want || took > limit || p.Packets > most+quiet {
			t.Fatalf("seed %d: %s\nwant %s\n%d packets (at most %d) in %v (at most %v)",
				seed, got, want, p.Packets, most+quiet, took, limit)
		}
	}
}

// foretell says what a trace of these hops must find, and what it may cost.
func foretell(hops []simHop) (summary string, packets int, took time.Duration) {
	target := hops[len(hops)-1]
	last := len(hops) - 1
	if target.silent {
		for last > 0 && hops[last-1].silent {
			last--
		}
	}
	var words []string
	for i, h := range hops[:last] {
		if h.silent {
			words = append(words, "*")
		} else {
			words = append(words, fmt.Sprintf("%x", i+1))
		}
	}
	if !target.silent {
		words = append(words, "open", "reached")
		packets := len(hops) + 11
		if target.rtt >= slow {
			packets = 3*len(hops) + 11
		}
		return strings.Join(words, " "), packets, 5*target.rtt + 100*ms + max(300*ms, 3*target.rtt)
	}
	for ttl := last + 1; ttl <= min(30, last+10); ttl++ {
		words = append(words, "*")
	}
	end := "silent"
	if last+10 > 30 {
		end = "max_ttl"
	}
	return strings.Join(append(words, end), " "), last + max(12, 2*last+2), 7 * time.Second
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

// FuzzPlan lets the network do anything. The trace must end, within a bounded
// number of packets and steps, and its path must hold together.
func FuzzPlan(f *testing.F) {
	f.Add(uint8(1), []byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add(uint8(3), []byte{0x11, 0x11, 0x21, 0x31, 0x91, 0xf1, 0x02})
	f.Add(uint8(1), []byte{0x16, 0x16, 0x01, 0x01, 0x01, 0x01, 0x04, 0x05})
	f.Fuzz(func(t *testing.T, queries uint8, fate []byte) {
		o, err := Options{Queries: 1 + int(queries%4)}.withDefaults(MethodUDP)
		if err != nil {
			t.Fatal(err)
		}
		w := &wildNet{simNet: newSim(), fate: fate}
		p := newPlan(o, simTarget, queries&0x80 != 0)
		if err := run(p, w, w.clock); err != nil {
			t.Fatal(err)
		}
		path := p.path(0)
		if most := 2 * 30 * max(2, o.Queries); len(p.probes) > most || path.Packets > len(p.probes) || path.Packets < 0 {
			t.Errorf("%d packets, %d probes", path.Packets, len(p.probes))
		}
		for i, h := range path.Hops {
			if h.TTL != i+1 {
				t.Errorf("hop %d has TTL %d", i, h.TTL)
			}
		}
		path.Loop()
		path.Refused(path)
		path.LastAnswering()
		if path.Reached != (path.Distance() > 0) || path.End == EndUnknown {
			t.Errorf("%s, reached %v", summary(path), path.Reached)
		}
	})
}

// wildNet answers each probe as the next byte says.
type wildNet struct {
	*simNet
	fate []byte
}

func (w *wildNet) send(id, ttl int) error {
	b := byte(0)
	if len(w.fate) > 0 {
		b, w.fate = w.fate[0], w.fate[1:]
	}
	r := Reply{From: simAddr(int(b >> 4)), RTT: time.Duration(b) * ms}
	a := answer{id: id}
	switch b & 7 {
	case 0:
		return nil
	case 1:
		r.Outcome = OutcomeTimeExceeded
	case 2:
		r.Outcome, r.From = OutcomeOpen, simTarget
	case 3:
		r.Outcome, r.From = OutcomeRefused, simTarget
	case 4:
		e := icmperr.New(r.From, 1, b>>4)
		r.Outcome, r.ICMP = OutcomeUnreachable, &e
	case 5:
		return errLasting
	case 6:
		return errPassing
	case 7:
		a.unclear = true
	}
	a.reply = r
	heap.Push(&w.queue, simEvent{w.now.Add(r.RTT), a})
	return nil
}

// TestAhead lets a plan run into a dead path: so many hops at once, the others
// each a second later than the one that many before it, and hops are told in
// order, the silent ones when their time is over.
func TestAhead(t *testing.T) {
	s := newSim(append(row(2, ms), simHop{silent: true}, simHop{silent: true})...)
	o, err := Options{Queries: 3, Ahead: 6, MaxSilent: -1, Timeout: 5 * time.Second}.withDefaults(MethodICMP)
	if err != nil {
		t.Fatal(err)
	}
	start := s.now
	p := newPlan(o, simTarget, false)
	var told []int
	var when []time.Duration
	p.tell = func(h Hop) bool {
		told, when = append(told, h.TTL), append(when, s.now.Sub(start))
		return h.TTL < 29
	}
	if err := run(p, s, s.clock); err != nil {
		t.Fatal(err)
	}
	for i, ttl := range told {
		if ttl != i+1 || len(told) != 29 {
			t.Fatalf("told %v", told)
		}
	}
	if when[1] > 50*ms || when[2] < 5*time.Second || when[28] > 11*time.Second {
		t.Errorf("told at %v", when)
	}
	first := map[int]time.Duration{}
	for _, x := range s.sent {
		if _, ok := first[x.ttl]; !ok {
			first[x.ttl] = x.at.Sub(start)
		}
	}
	for ttl := 9; ttl <= 30; ttl++ {
		if d := first[ttl] - first[ttl-6]; d < time.Second || d > 1200*ms {
			t.Errorf("TTL %d follows TTL %d after %v", ttl, ttl-6, d)
		}
	}
}
