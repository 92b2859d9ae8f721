package multipath

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStops compares with what can be computed by hand: with one successor
// seen, 2 are missed with probability 2^(1-n).
func TestStops(t *testing.T) {
	for bound, want := range map[float64]int{0.05: 6, 0.04: 6, 0.03: 7, 0.01: 8, 0.001: 11} {
		if n := newRule(bound).probes(1); n != want {
			t.Errorf("bound %v: n_1 is %d, want %d", bound, n, want)
		}
	}
	r := newRule(0.05)
	r.probes(5)
	if d := cmp.Diff([]int{6, 11, 16, 21, 27}, r.stops); d != "" {
		t.Errorf("(-published +computed)\n%s", d)
	}
}

// TestStopsAreLeast: the bound holds for every number of successors, and would
// not with one probe less.
func TestStopsAreLeast(t *testing.T) {
	for _, bound := range []float64{0.3, 0.05, 0.01, 0.05 / 17, 1e-6} {
		r := newRule(bound)
		for k := 2; k <= 40; k++ {
			if f := r.failure(k); f > bound {
				t.Errorf("bound %v: %d successors are missed with probability %v", bound, k, f)
			}
			less := &rule{bound: bound, stops: append([]int{}, r.stops[:k-1]...)}
			less.stops[k-2]--
			if f := less.failure(k); f <= bound && (k == 2 || less.stops[k-2] > less.stops[k-3]) {
				t.Errorf("bound %v: n_%d = %d is more than needed", bound, k-1, r.stops[k-2])
			}
		}
	}
}

// TestStopsByLot plays the rule against dice.
func TestStopsByLot(t *testing.T) {
	const plays = 20000
	dice := rand.New(rand.NewPCG(1, 2))
	for _, bound := range []float64{0.05, 0.01} {
		r := newRule(bound)
		for _, successors := range []int{2, 3, 5, 8, 16} {
			failed := 0
			for range plays {
				seen := map[int]bool{}
				for n := 0; n < r.probes(len(seen)); n++ {
					seen[dice.IntN(successors)] = true
				}
				if len(seen) < successors {
					failed++
				}
			}
			want := r.failure(successors)
			deviation := math.Sqrt(want * (1 - want) / plays)
			if got := float64(failed) / plays; math.Abs(got-want) > 4*deviation {
				t.Errorf("bound %v, %d successors: missed %v, computed %v ± %v", bound, successors, got, want, deviation)
			}
		}
	}
}

func TestManySuccessors(t *testing.T) {
	r := newRule(0.05)
	last := 0
	for _, k := range []int{0, 1, 2, 100, 127, 128, 129, 130, 1000, 28000} {
		n := r.probes(k)
		if n < last || k > 1 && n == last {
			t.Errorf("n_%d = %d after %d", k, n, last)
		}
		last = n
	}
	if m := missed(1, 6); math.Abs(m-1.0/32) > 1e-12 {
		t.Errorf("missed(1, 6) = %v", m)
	}
	if missed(3, 0) != 1 {
		t.Error("nothing probed, and something known")
	}
}
