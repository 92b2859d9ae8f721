package rttstat

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBuckets(t *testing.T) {
	for i := range buckets {
		lo, hi := bucketStart(i), bucketStart(i+1)
		if i == buckets-1 {
			hi = math.MaxInt64
		}
		if bucketOf(lo) != i || bucketOf(hi-1) != i || lo >= hi {
			t.Fatalf("bucket %d: %d to %d are in %d and %d", i, lo, hi, bucketOf(lo), bucketOf(hi-1))
		}
	}
}

// Against the plain way of computing it from all the samples. What ping tells
// is compared in its own tests.
func TestTimes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var s Times
	var sum, sq float64
	var last, delta, maxDelta time.Duration
	const n = 2000
	for i := range n {
		d := time.Duration(math.Exp(rng.NormFloat64() + 15))
		s.Add(d)
		sum += float64(d)
		sq += float64(d) * float64(d)
		if i > 0 {
			delta = (d - last).Abs()
			maxDelta = max(maxDelta, delta)
		}
		last = d
	}
	want := math.Sqrt((sq - sum*sum/n) / (n - 1))
	if got := float64(s.StdDev()); math.Abs(got-want) > 1e-6*want {
		t.Errorf("standard deviation %v, want %v", got, want)
	}
	if s.Count != n || s.Last != last || s.Delta != delta || s.MaxDelta != maxDelta {
		t.Errorf("%d, %v, %v, %v, want %d, %v, %v, %v", s.Count, s.Last, s.Delta, s.MaxDelta, n, last, delta, maxDelta)
	}
}

func TestMerge(t *testing.T) {
	var all, a, b, none Times
	for i := range 100 {
		d := time.Duration(i*i) * time.Microsecond
		all.Add(d)
		if i < 40 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	none.Merge(&a)
	none.Merge(&b)
	none.Merge(&Times{})
	got := []time.Duration{none.Min, none.Max, none.Last, none.Delta, none.MaxDelta, none.Mean(), none.StdDev(), none.Percentile(0.5)}
	want := []time.Duration{all.Min, all.Max, all.Last, all.Delta, all.MaxDelta, all.Mean(), all.StdDev(), all.Percentile(0.5)}
	if d := cmp.Diff(want, got); d != "" || none.Count != all.Count {
		t.Error("-one +merged:\n", d)
	}
}

func TestNothing(t *testing.T) {
	var s Times
	if s.Mean() != 0 || s.Mdev() != 0 || s.StdDev() != 0 || s.Percentile(0.5) != 0 || s.MeanJitter() != 0 {
		t.Error("no times give numbers")
	}
	s.Add(time.Second)
	if s.StdDev() != 0 || s.Delta != 0 {
		t.Error("one time varies")
	}
}

// Bursts against the plain way, in orders as they come: each outcome is known
// some probes late.
func TestRuns(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		lost := make([]bool, 1+rng.IntN(600))
		var bursts, longest, run uint64
		for i := range lost {
			if lost[i] = rng.IntN(3) == 0; !lost[i] {
				run = 0
				continue
			}
			if run++; run == 1 {
				bursts++
			}
			longest = max(longest, run)
		}
		var r Runs
		const late = 50
		for i := range len(lost) + late {
			if i < len(lost) && !lost[i] {
				r.Add(uint64(i+1), false)
			}
			if j := i - late; j >= 0 && lost[j] {
				r.Add(uint64(j+1), true)
			}
		}
		if r.Bursts != bursts || r.Longest != longest {
			t.Fatalf("%d bursts, longest %d; want %d, %d", r.Bursts, r.Longest, bursts, longest)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	var s Times
	for b.Loop() {
		s.Add(time.Millisecond)
	}
}
