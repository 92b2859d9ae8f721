package ping

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func replies(rtts ...time.Duration) *Stats {
	s := &Stats{}
	for i, d := range rtts {
		s.Add(&Result{Seq: i + 1, Outcome: OutcomeReply, RTT: d})
	}
	return s
}

// Everything against the plain way of computing it from all the samples.
func TestStatsAgainstSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var rtts []time.Duration
	for range 5000 {
		rtts = append(rtts, time.Duration(math.Exp(rng.NormFloat64()+13)))
	}
	s := replies(rtts...)
	var sum, sq, deltas, jitter float64
	for i, d := range rtts {
		sum += float64(d)
		sq += float64(d) * float64(d)
		if i > 0 {
			diff := math.Abs(float64(d - rtts[i-1]))
			deltas += diff
			jitter += (diff - jitter) / 16
		}
	}
	n := float64(len(rtts))
	near := func(name string, got time.Duration, want, share float64) {
		if math.Abs(float64(got)-want) > share*want+1 {
			t.Errorf("%s: %v, want %v", name, got, time.Duration(want))
		}
	}
	near("mean", s.Mean(), sum/n, 1e-9)
	near("mdev", s.Mdev(), math.Sqrt(sq/n-sum/n*sum/n), 1e-6)
	near("mean jitter", s.MeanJitter(), deltas/(n-1), 1e-9)
	near("jitter", s.Jitter(), jitter, 1e-9)
	slices.Sort(rtts)
	if s.Min != rtts[0] || s.Max != rtts[len(rtts)-1] {
		t.Errorf("min %v max %v", s.Min, s.Max)
	}
	for _, p := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := rtts[max(0, int(math.Ceil(p*n))-1)]
		near("percentile", s.Percentile(p), float64(want), 0.0321)
	}
}

// Merging parts gives what one would have counted.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all, merged Stats
	parts := make([]Stats, 5)
	for i := range 1000 {
		r := Result{Seq: i + 1, Outcome: Outcome(1 + rng.IntN(7)), RTT: time.Duration(rng.IntN(1e9)), Reordered: rng.IntN(9) == 0}
		all.Add(&r)
		parts[rng.IntN(4)].Add(&r) // the fifth stays empty
	}
	for i := range parts {
		merged.Merge(&parts[i])
	}
	a, b := all.Summary(), merged.Summary()
	// What depends on the order is not the same.
	for _, s := range []*Summary{&a, &b} {
		s.Jitter, s.MeanJitter, s.Bursts, s.LongestLoss = 0, 0, 0, 0
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Error("-one +merged:\n", d)
	}
}

func TestLossRuns(t *testing.T) {
	for _, tc := range []struct {
		name            string
		order           []int // numbers in the order of outcomes, negative is lost
		bursts, longest uint64
	}{
		{"none", []int{1, 2, 3}, 0, 0},
		{"one", []int{1, -2, 3}, 1, 1},
		{"told after later replies", []int{1, 4, 5, -2, -3, 6}, 1, 2},
		{"two", []int{-1, 2, -3, -4, -5, 6}, 2, 3},
		{"at the end", []int{1, -2, -3}, 1, 2},
		{"first outcome is not the first probe", []int{2, -1}, 1, 1},
		{"beyond the window", []int{1, -2, 600, -601, -602, 603}, 2, 2},
	} {
		var s Stats
		for _, n := range tc.order {
			r := Result{Seq: max(n, -n), Outcome: OutcomeReply}
			if n < 0 {
				r.Outcome = OutcomeTimeout
			}
			s.Add(&r)
		}
		if s.Bursts != tc.bursts || s.LongestLoss != tc.longest {
			t.Errorf("%s: %d bursts, longest %d; want %d, %d", tc.name, s.Bursts, s.LongestLoss, tc.bursts, tc.longest)
		}
	}
}

func TestStatsCounts(t *testing.T) {
	var s Stats
	for o := range Outcome(len(outcomeNames)) {
		s.Add(&Result{Seq: int(o), Outcome: o, RTT: time.Millisecond})
	}
	s.Add(&Result{Seq: 9, Outcome: OutcomeLate, ICMP: &ICMPError{}}) // no reply
	b, err := json.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	var got Summary
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	ms := time.Millisecond
	want := Summary{Sent: 4, Received: 1, Loss: 0.75, ICMPErrors: 1, Timeouts: 1, Corrupted: 1, LocalErrors: 1, Late: 1, Duplicates: 1,
		Bursts: 1, LongestLoss: 2, Min: ms, Mean: ms, Max: ms, P50: ms, P90: ms, P99: ms}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got:\n", d)
	}
	var zero Stats
	if zero.Loss() != 0 || zero.Percentile(0.5) != 0 || zero.Mdev() != 0 || zero.MeanJitter() != 0 {
		t.Error("no results give numbers")
	}
	if size := unsafe.Sizeof(s); size > 2048 {
		t.Errorf("%d bytes", size)
	}
}

func BenchmarkStatsAdd(b *testing.B) {
	var s Stats
	r := Result{Outcome: OutcomeReply, RTT: time.Millisecond}
	for b.Loop() {
		r.Seq++
		s.Add(&r)
	}
}
