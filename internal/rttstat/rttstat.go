// Package rttstat sums up round-trip times and losses in fixed memory: moments,
// jitters, percentiles and loss bursts, as ping and mtr tell them.
package rttstat

import (
	"math"
	"math/bits"
	"time"
)

// Times sums up a series of times in their order. The zero value is ready.
type Times struct {
	Count          uint64
	Min, Max, Last time.Duration
	Delta          time.Duration // |difference| of the last two
	MaxDelta       time.Duration // the greatest such

	mean, m2  float64 // Welford's running mean and sum of squares, ns
	ewma      float64 // ns, as ping(8) has it: each new time counts 1/8
	jitter    float64 // RFC 3550, section 6.4.1, ns
	deltas    float64 // sum of |difference to the time before|, ns
	ndeltas   uint64
	histogram [buckets]uint32
}

// Add takes a time into account.
func (t *Times) Add(d time.Duration) {
	x := float64(d)
	t.Count++
	if t.Count == 1 {
		t.Min, t.Max, t.ewma = d, d, x
	} else {
		t.Min, t.Max = min(t.Min, d), max(t.Max, d)
		t.ewma += (x - t.ewma) / 8
		t.Delta = (d - t.Last).Abs()
		t.MaxDelta = max(t.MaxDelta, t.Delta)
		diff := float64(t.Delta)
		t.jitter += (diff - t.jitter) / 16
		t.deltas += diff
		t.ndeltas++
	}
	t.Last = d
	delta := x - t.mean
	t.mean += delta / float64(t.Count)
	t.m2 += delta * (x - t.mean)
	t.histogram[bucketOf(d)]++
}

// Mean returns the mean.
func (t *Times) Mean() time.Duration { return round(t.mean) }

// Mdev returns the standard deviation of the whole population, as ping(8) has
// it.
func (t *Times) Mdev() time.Duration { return t.deviation(t.Count) }

// StdDev returns the standard deviation as estimated from a sample, as mtr(8)
// has it: 0 for less than two times.
func (t *Times) StdDev() time.Duration { return t.deviation(max(t.Count, 1) - 1) }

func (t *Times) deviation(n uint64) time.Duration {
	if n == 0 {
		return 0
	}
	return round(math.Sqrt(max(0, t.m2/float64(n))))
}

// EWMA returns the moving average, the last time counting 1/8.
func (t *Times) EWMA() time.Duration { return round(t.ewma) }

// Jitter returns the interarrival jitter of RFC 3550: the moving average,
// 1/16, of the differences between successive times.
func (t *Times) Jitter() time.Duration { return round(t.jitter) }

// MeanJitter returns the mean of the absolute differences between successive
// times.
func (t *Times) MeanJitter() time.Duration {
	if t.ndeltas == 0 {
		return 0
	}
	return round(t.deltas / float64(t.ndeltas))
}

// Percentile returns the time that the share p, 0 to 1, did not exceed. It is
// read from a histogram: right to within 3 % from 1 µs to 68 s, and never
// outside Min and Max.
func (t *Times) Percentile(p float64) time.Duration {
	if t.Count == 0 {
		return 0
	}
	rank := uint64(math.Ceil(max(0, min(1, p)) * float64(t.Count)))
	var below uint64
	for i, n := range t.histogram {
		if below += uint64(n); below >= max(1, rank) {
			lo, hi := bucketStart(i), bucketStart(i+1)
			return min(max(lo+(hi-lo)/2, t.Min), t.Max)
		}
	}
	return t.Max
}

// Merge adds what other has seen, as if it had come after; the moving averages
// become means weighted by the number of times.
func (t *Times) Merge(other *Times) {
	if other.Count == 0 {
		return
	}
	if t.Count == 0 {
		*t = *other
		return
	}
	a, b := float64(t.Count), float64(other.Count)
	t.Min, t.Max, t.Last = min(t.Min, other.Min), max(t.Max, other.Max), other.Last
	t.Delta, t.MaxDelta = other.Delta, max(t.MaxDelta, other.MaxDelta)
	delta := other.mean - t.mean
	t.mean += delta * b / (a + b)
	t.m2 += other.m2 + delta*delta*a*b/(a+b)
	t.ewma = (t.ewma*a + other.ewma*b) / (a + b)
	t.jitter = (t.jitter*a + other.jitter*b) / (a + b)
	t.Count += other.Count
	t.deltas += other.deltas
	t.ndeltas += other.ndeltas
	for i, n := range other.histogram {
		t.histogram[i] += n
	}
}

func round(ns float64) time.Duration { return time.Duration(math.Round(ns)) }

// The histogram has 16 buckets for every doubling of the time. Everything
// under 1 µs is in the first bucket, everything over 68 s in the last.
const (
	shift   = 4
	sub     = 1 << shift
	first   = 10 // 2^10 ns
	last    = 36 // 2^36 ns
	buckets = (last-first)*sub + 2
)

func bucketOf(d time.Duration) int {
	if d < 1<<first {
		return 0
	}
	if d >= 1<<last {
		return buckets - 1
	}
	e := bits.Len64(uint64(d)) - 1
	return 1 + (e-first)*sub + int(d>>(e-shift))&(sub-1)
}

// bucketStart is the shortest time in a bucket.
func bucketStart(i int) time.Duration {
	if i == 0 {
		return 0
	}
	i--
	return time.Duration(sub+i%sub) << (i/sub + first - shift)
}
