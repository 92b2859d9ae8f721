package trace

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// The numbers of a hop against their definitions.
func TestHopStats(t *testing.T) {
	rtts := []time.Duration{10 * ms, 14 * ms, 11 * ms, 0, 11 * ms, 20 * ms} // 0 is lost
	r := &Report{}
	for i, d := range rtts {
		p := Probe{Target: simTarget, Round: i + 1, TTL: 3, Sent: time.Unix(int64(i), 0)}
		if d > 0 {
			p.Reply = Reply{Outcome: OutcomeTimeExceeded, From: simAddr(1), RTT: d}
		}
		r.Add(p)
	}
	late := Probe{Target: simTarget, Round: 4, TTL: 3, Late: true, Reply: Reply{Outcome: OutcomeTimeExceeded, From: simAddr(1), RTT: time.Second}}
	r.Add(late)
	got := r.Hops()[0]
	got.P50, got.P90, got.P99, got.Loss = 0, 0, 0, math.Round(got.Loss*600)/600
	ia := 0.0 // RFC 3550: each difference moves it by a sixteenth
	for _, d := range []float64{4, 3, 0, 9} {
		ia += (d - ia) / 16
	}
	want := HopStats{
		TTL: 3, Sent: 6, Received: 5, Loss: 1.0 / 6, Late: 1, Responders: []Responder{{Addr: simAddr(1), Count: 5}},
		Last: 20 * ms, Best: 10 * ms, Mean: 13200 * time.Microsecond, Worst: 20 * ms,
		StdDev:  time.Duration(math.Round(math.Sqrt((3.2*3.2+0.8*0.8+2.2*2.2*2+6.8*6.8)/4) * 1e6)),
		GeoMean: time.Duration(math.Round(math.Pow(10*14*11*11*20, 0.2) * 1e6)),
		Jitter:  9 * ms, MeanJitter: 4 * ms, MaxJitter: 9 * ms, Interarrival: time.Duration(math.Round(ia * 1e6)),
		Bursts: 1, LongestLoss: 1,
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestReportResponders(t *testing.T) {
	r := &Report{}
	refusal := icmperr.New(simAddr(40), 1, 1)
	labels := []Label{{Label: 16, TTL: 1}}
	for i := range 40 {
		from := simAddr(i + 1)
		e := icmperr.New(from, 11, 0)
		e.Labels = labels
		r.Add(Probe{Target: simTarget, Round: i + 1, TTL: 1, Reply: Reply{Outcome: OutcomeTimeExceeded, From: from, ICMP: &e}})
	}
	h := r.Hops()[0]
	if len(h.Responders) != maxResponders || h.Changes != 39 || h.Received != 40 || len(h.Responders[0].Labels) != 1 {
		t.Errorf("%+v", h)
	}
	r.Add(Probe{Target: simTarget, Round: 41, TTL: 2, Reply: Reply{Outcome: OutcomeUnreachable, From: simAddr(40), ICMP: &refusal}})
	h = r.Hops()[1]
	if h.Refusals != 1 || h.Responders[0].Refusal == nil || r.Reached() {
		t.Errorf("%+v", h)
	}
	if v := r.Verdict(); v.Refused == nil || v.Refused.Kind != icmperr.AdminProhibited {
		t.Errorf("%+v", v)
	}
	// A SYN that was answered at the second try was lost at the first.
	r.Add(Probe{Target: simTarget, Round: 42, TTL: 2, Reply: Reply{Outcome: OutcomeOpen, From: simTarget, Retransmits: 1, RTT: time.Second}})
	if h = r.Hops()[1]; h.Sent != 2 || h.Received != 1 || h.Worst != 0 || !r.Reached() {
		t.Errorf("%+v", h)
	}
}

// Two watches one after the other are as one, but for what depends on order.
func TestReportMerge(t *testing.T) {
	m := clean(5, 6)
	m.hops[2].link = 0.1
	a, b := m.watch(40), m.watch(60)
	sum := &Report{}
	sum.Merge(a)
	sum.Merge(b)
	sum.Merge(&Report{})
	if sum.Rounds != 100 || !sum.Reached() || sum.Target != simTarget {
		t.Errorf("%+v", sum)
	}
	for i, h := range sum.Hops() {
		x, y := a.Hops()[i], b.Hops()[i]
		if h.Sent != 100 || h.Received != x.Received+y.Received || h.Bursts != x.Bursts+y.Bursts || len(h.Responders) != 1 ||
			h.Responders[0].Count != h.Received || h.Best != min(x.Best, y.Best) {
			t.Errorf("%+v", h)
		}
	}
	// More rounds go on counting.
	sum.Add(Probe{Target: simTarget, Round: 1, TTL: 1, Reply: Reply{Outcome: OutcomeTimeExceeded, From: simAddr(1)}})
	if sum.Rounds != 101 {
		t.Errorf("%d rounds", sum.Rounds)
	}
}

// Losses by chance are hardly ever taken for a rate limit, limits always are.
func TestRegularity(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, p := range []float64{0.1, 0.3, 0.5, 0.65, 0.9} {
		for _, gaps := range []int{10, 30} {
			wrong := 0
			const runs = 1000
			for range runs {
				h := &hopSums{}
				for round, n := 1, 0; n < gaps; round++ {
					if rng.Float64() < p {
						h.regular.answer(round, time.Unix(int64(round), 0))
						n++
					}
				}
				if h.limited(regularAlone) {
					wrong++
				}
			}
			if wrong > runs/50 {
				t.Errorf("%.0f %% answered, %d answers: a limit in %d of %d runs", p*100, gaps, wrong, runs)
			}
		}
	}
	for _, every := range []time.Duration{500 * ms, time.Second, 3 * time.Second} {
		h, b := &hopSums{}, &bucket{every: every, burst: 6, tokens: 6}
		for round := 1; round < 300; round++ {
			at := time.Unix(0, 0).Add(time.Duration(round)*200*ms + time.Duration(rng.IntN(int(5*ms))))
			if b.take(at) && rng.IntN(20) > 0 {
				h.regular.answer(round, at)
			}
		}
		if got := h.regular.every(); !h.limited(regularAlone) || (got-every).Abs() > every/5 {
			t.Errorf("a limit of one in %v is not seen: %+v", every, h.regular)
		}
	}
}

func TestReportMemory(t *testing.T) {
	if size := unsafe.Sizeof(hopSums{}); size > 2560 {
		t.Errorf("%d bytes a hop", size)
	}
}
