package trace

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// model is a path whose losses and times are known.
type model struct {
	rng      *rand.Rand
	interval time.Duration // default 1 s
	hops     []modelHop    // the last is the target
	errors   bool          // the target answers with ICMP errors
}

type modelHop struct {
	link   float64       // share that the link before the hop loses, both ways
	own    float64       // share that the hop itself leaves unanswered
	bucket *bucket       // its rate limit
	rtt    time.Duration // of its answers
	jitter time.Duration // at most, on top, on the link: all later hops have it too
}

// bucket is the limit of Linux routers: burst messages saved up, then one in
// every.
type bucket struct {
	every  time.Duration
	burst  int
	tokens float64
	last   time.Time
}

func stock() *bucket { return &bucket{every: time.Second, burst: 6, tokens: 6} }

func (b *bucket) take(now time.Time) bool {
	if b == nil {
		return true
	}
	if !b.last.IsZero() {
		b.tokens = min(float64(b.burst), b.tokens+float64(now.Sub(b.last))/float64(b.every))
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// clean is a path of n hops that loses nothing.
func clean(seed uint64, n int) *model {
	m := &model{rng: rand.New(rand.NewPCG(seed, 99)), interval: time.Second}
	for i := range n {
		m.hops = append(m.hops, modelHop{rtt: time.Duration(i+1) * time.Millisecond})
	}
	return m
}

// watch gives the report of so many rounds.
func (m *model) watch(rounds int) *Report {
	r := &Report{}
	start := time.Unix(1e9, 0)
	for round := range rounds {
		for i := range m.hops {
			p := Probe{Target: simTarget, Method: MethodICMP, Round: round + 1, TTL: i + 1}
			p.Sent = start.Add(m.interval*time.Duration(round) + m.interval*time.Duration(i)/time.Duration(len(m.hops)))
			p.Reply = m.probe(i, p.Sent)
			r.Add(p)
		}
	}
	return r
}

func (m *model) probe(n int, now time.Time) Reply {
	h := m.hops[n]
	reply := Reply{Outcome: OutcomeTimeExceeded, From: simAddr(n + 1), RTT: h.rtt}
	e := icmperr.New(reply.From, 11, 0)
	reply.ICMP = &e
	if n == len(m.hops)-1 {
		reply.Outcome, reply.From, reply.ICMP = OutcomeEchoReply, simTarget, nil
		if m.errors {
			reply.Outcome, reply.ICMP = OutcomePortUnreachable, &e
		}
	}
	for _, on := range m.hops[:n+1] {
		if m.rng.Float64() < on.link {
			return Reply{}
		}
		if on.jitter > 0 {
			reply.RTT += time.Duration(m.rng.Int64N(int64(on.jitter)))
		}
	}
	if !h.bucket.take(now) || m.rng.Float64() < h.own {
		return Reply{}
	}
	return reply
}

// Stock rate limits at five routers, asked ten times a second: no loss.
func TestVerdictRateLimits(t *testing.T) {
	for seed := range uint64(50) {
		m := clean(seed, 6)
		m.interval = 100 * time.Millisecond
		for i := range 5 {
			m.hops[i].bucket = stock()
		}
		r := m.watch(50)
		v := r.Verdict()
		if loss := r.Hops()[0].Loss; loss < 0.75 {
			t.Fatalf("the limit does not bite: %v", loss)
		}
		if v.Loss != LossNone || v.End != 6 || !v.Reached || v.High > 0.06 {
			t.Fatalf("seed %d: %+v", seed, v)
		}
		for _, h := range v.Hops[:5] {
			if h.State != HopLimited || h.Every < 900*time.Millisecond || h.Every > 1100*time.Millisecond {
				t.Errorf("seed %d: %+v", seed, h)
			}
		}
	}
}

// The same, when the target's answers are limited too: nothing can be said,
// and nothing is.
func TestVerdictAllLimited(t *testing.T) {
	for seed := range uint64(50) {
		m := clean(seed, 6)
		m.interval, m.errors = 100*time.Millisecond, true
		for i := range m.hops {
			m.hops[i].bucket = stock()
		}
		if v := m.watch(150).Verdict(); v.Loss != LossMasked || v.End != 0 {
			t.Fatalf("seed %d: %+v", seed, v)
		}
		// Only the target's are.
		for i := range 5 {
			m.hops[i].bucket = nil
		}
		m.hops[5].bucket = stock()
		v := m.watch(150).Verdict()
		if v.Loss != LossMasked || v.End != 5 || v.Hops[5].State != HopLimited {
			t.Fatalf("seed %d: only the target: %+v", seed, v)
		}
		// So are its echoes, as some hosts have it.
		m.errors, m.hops[5].bucket = false, stock()
		if v := m.watch(150).Verdict(); v.Loss != LossMasked || v.End != 5 || v.High > 0.05 {
			t.Fatalf("seed %d: the target's echoes: %+v", seed, v)
		}
	}
}

// found counts in how many of n runs the hop named is k, how often nothing but
// hop k is possible, and how often it is said to be impossible.
func found(n, k, rounds int, build func(seed uint64) *model) (right, exact, wrong int) {
	for seed := range uint64(n) {
		v := build(seed).watch(rounds).Verdict()
		if v.Loss != LossReal {
			continue
		}
		if v.Hop == k {
			right++
		}
		switch {
		case v.At == k && v.After == k-1:
			exact++
		case v.After >= k || k > v.At:
			wrong++
		}
	}
	return right, exact, wrong
}

// Loss of 5 % on one link is found there in 95 of 100 runs and more, and what
// is said to be impossible hardly ever is the case.
func TestVerdictPower(t *testing.T) {
	for _, tt := range []struct {
		hops, k, rounds int
		link, own       float64
		right, wrong    int // at least, at most, of 100
	}{
		{8, 4, 100, 0.05, 0, 95, 3},
		{8, 4, 150, 0.05, 0, 97, 2},
		{8, 1, 150, 0.05, 0, 95, 2},
		{8, 8, 150, 0.05, 0, 95, 2},
		{15, 7, 200, 0.05, 0, 97, 2},
		{8, 4, 200, 0.05, 0.002, 95, 3},
		{8, 4, 1000, 0.01, 0, 97, 3},
		{8, 4, 50, 0.3, 0, 97, 2},
	} {
		right, exact, wrong := found(100, tt.k, tt.rounds, func(seed uint64) *model {
			m := clean(seed, tt.hops)
			m.hops[tt.k-1].link = tt.link
			for i := range m.hops[:tt.hops-1] {
				m.hops[i].own = tt.own
			}
			return m
		})
		t.Logf("%+v: right %d, exact %d, wrong %d of 100", tt, right, exact, wrong)
		if right < tt.right || wrong > tt.wrong {
			t.Errorf("%+v: right %d, wrong %d of 100", tt, right, wrong)
		}
	}
}

// No loss is claimed where there is none, with hops that lose answers of their
// own in every way.
func TestVerdictFalseLoss(t *testing.T) {
	claimed := 0
	const runs = 400
	for seed := range uint64(runs) {
		m := clean(seed, 10)
		m.interval = 250 * time.Millisecond
		for i := range 9 {
			switch m.rng.IntN(4) {
			case 0:
				m.hops[i].own = m.rng.Float64()
			case 1:
				m.hops[i].bucket = stock()
			case 2:
				m.hops[i].own = 1
			}
		}
		m.hops[9].own = 0.001
		if v := m.watch(100).Verdict(); v.Loss == LossReal {
			claimed++
			t.Logf("seed %d: %+v", seed, v)
		}
	}
	if claimed > runs/100 {
		t.Errorf("loss was claimed in %d of %d runs without", claimed, runs)
	}
}

// Rate limits hide where loss begins, but not that it is there.
func TestVerdictLossBehindLimits(t *testing.T) {
	m := clean(1, 6)
	m.interval = 100 * time.Millisecond
	for i := range 5 {
		m.hops[i].bucket = stock()
	}
	m.hops[3].link = 0.1
	v := m.watch(200).Verdict()
	if v.Loss != LossReal || v.After != 0 || v.At != 6 || v.Rate < 0.04 {
		t.Errorf("%+v", v)
	}
	m = clean(1, 6) // asked slowly
	for i := range 5 {
		m.hops[i].bucket = stock()
	}
	m.hops[3].link = 0.1
	if v := m.watch(200).Verdict(); v.Loss != LossReal || v.After != 3 || v.At != 4 {
		t.Errorf("%+v", v)
	}
}

func TestVerdictFewProbes(t *testing.T) {
	unclear := 0
	for seed := range uint64(50) {
		m := clean(seed, 5)
		m.hops[2].link = 0.05
		v := m.watch(20).Verdict()
		if v.Loss == LossUnclear {
			unclear++
			if v.Needed <= 20 {
				t.Errorf("20 rounds are too few, yet %d are enough", v.Needed)
			}
		}
	}
	if unclear == 0 {
		t.Error("20 rounds are always enough")
	}
	if v := (&Report{}).Verdict(); v.Loss != LossUnknown || v.End != 0 {
		t.Errorf("without a probe: %+v", v)
	}
}

// S2's example: two hops in the middle are slow to answer.
func TestVerdictSlowHops(t *testing.T) {
	m := clean(1, 11)
	for i, ms := range []int{1, 15, 15, 16, 14, 253, 252, 20, 89, 20, 23} {
		m.hops[i].rtt = time.Duration(ms) * time.Millisecond
	}
	v := m.watch(10).Verdict()
	var slow []int
	for _, h := range v.Hops {
		if h.Slow > 0 {
			slow = append(slow, h.TTL)
		}
	}
	if d := cmp.Diff([]int{6, 7, 9}, slow); d != "" || v.Queue != nil || v.Loss != LossNone {
		t.Errorf("%+v (-want +got)\n%s", v, d)
	}
}

// The other way round: times that rise at a hop and stay.
func TestVerdictRise(t *testing.T) {
	m := clean(1, 9)
	for i := 5; i < 9; i++ {
		m.hops[i].rtt += 80 * time.Millisecond
	}
	v := m.watch(20).Verdict()
	if v.Delay == nil || v.Delay.After != 5 || v.Delay.At != 6 || !v.Delay.Steady || v.Queue != nil {
		t.Errorf("a distance: %+v, %+v", v.Delay, v.Queue)
	}
	m = clean(1, 9)
	m.hops[6].jitter = 200 * time.Millisecond
	v = m.watch(50).Verdict()
	if v.Delay == nil || v.Delay.At != 7 || v.Delay.Steady || v.Queue == nil || v.Queue.After != 6 || v.Queue.At != 7 {
		t.Errorf("a queue: %+v, %+v", v.Delay, v.Queue)
	}
}

func TestVerdictSilentTarget(t *testing.T) {
	m := clean(1, 6)
	m.hops[5].own = 1
	v := m.watch(20).Verdict()
	if v.Loss != LossNone || v.Reached || v.End != 5 || len(v.Hops) != 6 || v.Hops[5].State != HopSilent {
		t.Errorf("%+v", v)
	}
	m.hops[4].own = 0.5 // nobody behind it tells whether packets pass
	if v := m.watch(100).Verdict(); v.Loss != LossMasked || v.End != 4 {
		t.Errorf("%+v", v)
	}
}

// Loss on several links: where it begins, and where it grows.
func TestVerdictSeveral(t *testing.T) {
	wrong := 0
	for seed := range uint64(100) {
		m := clean(seed, 9)
		m.hops[2].link, m.hops[5].link = 0.06, 0.2
		v := m.watch(200).Verdict()
		if v.Loss != LossReal || v.Hop != 3 || len(v.Worse) != 1 || v.Worse[0].After != 5 || v.Worse[0].At != 6 {
			wrong++
			continue
		}
		if w := v.Worse[0]; w.From < 0.02 || w.From > 0.12 || w.To < 0.15 || w.To > 0.35 {
			t.Errorf("seed %d: %+v", seed, w)
		}
	}
	// One link only: nothing grows.
	grows := 0
	for seed := range uint64(200) {
		m := clean(seed, 9)
		m.hops[2].link = 0.1
		if v := m.watch(200).Verdict(); len(v.Worse) > 0 {
			grows++
		}
	}
	if wrong > 5 || grows > 2 {
		t.Errorf("wrong in %d of 100 runs, growing without cause in %d of 200", wrong, grows)
	}
}

// An outage loses many probes in a row behind one link.
func TestVerdictOutage(t *testing.T) {
	m := clean(3, 8)
	r := &Report{}
	for round := 1; round <= 100; round++ {
		for i := range m.hops {
			p := Probe{Target: simTarget, Method: MethodICMP, Round: round, TTL: i + 1, Sent: time.Unix(int64(1e9+round), int64(i))}
			if i < 4 || round < 60 || round > 65 {
				p.Reply = m.probe(i, p.Sent)
			}
			r.Add(p)
		}
	}
	if v := r.Verdict(); v.Loss != LossReal || v.Hop != 5 || v.After != 4 || v.At != 5 || r.Hops()[7].LongestLoss != 6 || r.Hops()[7].Bursts != 1 {
		t.Errorf("%+v\n%+v", v, r.Hops()[7])
	}
}

// What the first link loses is missing everywhere.
func TestVerdictFirstLink(t *testing.T) {
	m := clean(1, 5)
	m.hops[0].link = 0.2
	if v := m.watch(100).Verdict(); v.Loss != LossReal || v.After != 0 || v.At != 1 {
		t.Errorf("%+v", v)
	}
}

func TestVerdictJSON(t *testing.T) {
	m := clean(1, 4)
	m.hops[1].link = 0.3
	m.hops[0].bucket = stock()
	b, err := json.Marshal(m.watch(100))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rounds  int
		Hops    []HopStats
		Verdict Verdict
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Rounds != 100 || len(got.Hops) != 4 || got.Hops[3].Sent != 100 || got.Verdict.Loss != LossReal || got.Verdict.At != 2 {
		t.Errorf("%s", b)
	}
	for _, want := range []string{`"loss":"real"`, `"state":"lossy"`, `"after":1`, `"responders":[{"addr":"2001:db8::1"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}
