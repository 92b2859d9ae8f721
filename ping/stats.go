package ping

import (
	"encoding/json"
	"math"
	"math/bits"
	"time"
)

// Stats adds up results of one host, or of any number, in fixed memory (2 kB).
// The zero value is ready. It is not safe for concurrent use; several are
// joined with Merge.
type Stats struct {
	Sent        uint64 // probes that went out, one for each outcome but local errors
	Received    uint64 // replies in time
	ICMPErrors  uint64
	Timeouts    uint64
	Corrupted   uint64
	LocalErrors uint64 // probes that this host could not send, or lost the replies of: no part of Sent
	Late        uint64 // replies after the deadline; their probes are in Timeouts
	Duplicates  uint64
	Reordered   uint64 // replies that came after the reply to a later probe (RFC 4737)
	Bursts      uint64 // runs of probes lost one after the other, single losses included
	LongestLoss uint64 // probes in the longest of them

	Min, Max time.Duration
	Last     time.Duration

	mean, m2  float64 // Welford's running mean and sum of squares, ns
	ewma      float64 // ns, as ping(8) has it: each new time counts 1/8
	jitter    float64 // RFC 3550, section 6.4.1, ns
	deltas    float64 // sum of |difference to the time before|, ns
	ndeltas   uint64
	losses    lossRuns
	histogram [histBuckets]uint32
}

// Add takes a result into account. For loss bursts, results of one host must
// have consecutive numbers.
func (s *Stats) Add(r *Result) {
	switch r.Outcome {
	case OutcomeReply:
		s.Sent++
		s.Received++
		if r.Reordered {
			s.Reordered++
		}
		s.time(r.RTT)
	case OutcomeTimeout:
		s.Sent++
		s.Timeouts++
	case OutcomeICMPError:
		s.Sent++
		s.ICMPErrors++
	case OutcomeCorrupted:
		s.Sent++
		s.Corrupted++
	case OutcomeLocalError:
		s.LocalErrors++
		return
	case OutcomeLate:
		if r.ICMP == nil {
			s.Late++
		}
		return
	case OutcomeDuplicate:
		s.Duplicates++
		return
	default:
		return
	}
	s.losses.add(uint64(r.Seq), r.Outcome != OutcomeReply, s)
}

func (s *Stats) time(d time.Duration) {
	x := float64(d)
	if s.Received == 1 {
		s.Min, s.Max, s.ewma = d, d, x
	} else {
		s.Min, s.Max = min(s.Min, d), max(s.Max, d)
		s.ewma += (x - s.ewma) / 8
		diff := math.Abs(x - float64(s.Last))
		s.jitter += (diff - s.jitter) / 16
		s.deltas += diff
		s.ndeltas++
	}
	s.Last = d
	delta := x - s.mean
	s.mean += delta / float64(s.Received)
	s.m2 += delta * (x - s.mean)
	s.histogram[bucketOf(d)]++
}

// Loss returns the share of probes without a reply in time, 0 to 1; 0 when
// none was sent.
func (s *Stats) Loss() float64 {
	if s.Sent == 0 {
		return 0
	}
	return 1 - float64(s.Received)/float64(s.Sent)
}

// Mean returns the mean round-trip time.
func (s *Stats) Mean() time.Duration { return time.Duration(math.Round(s.mean)) }

// Mdev returns the standard deviation of the round-trip times, of the whole
// population as ping(8) has it.
func (s *Stats) Mdev() time.Duration {
	if s.Received == 0 {
		return 0
	}
	return time.Duration(math.Round(math.Sqrt(max(0, s.m2/float64(s.Received)))))
}

// EWMA returns the moving average of the round-trip times, the last one
// counting 1/8.
func (s *Stats) EWMA() time.Duration { return time.Duration(math.Round(s.ewma)) }

// Jitter returns the interarrival jitter of RFC 3550: the moving average,
// 1/16, of the differences between successive round-trip times.
func (s *Stats) Jitter() time.Duration { return time.Duration(math.Round(s.jitter)) }

// MeanJitter returns the mean of the absolute differences between successive
// round-trip times.
func (s *Stats) MeanJitter() time.Duration {
	if s.ndeltas == 0 {
		return 0
	}
	return time.Duration(math.Round(s.deltas / float64(s.ndeltas)))
}

// Percentile returns the round-trip time that the share p, 0 to 1, of the
// replies did not exceed. It is read from a histogram: right to within 3 %
// from 1 µs to 68 s, and never outside Min and Max.
func (s *Stats) Percentile(p float64) time.Duration {
	if s.Received == 0 {
		return 0
	}
	rank := uint64(math.Ceil(max(0, min(1, p)) * float64(s.Received)))
	var below uint64
	for i, n := range s.histogram {
		if below += uint64(n); below >= max(1, rank) {
			lo, hi := bucketStart(i), bucketStart(i+1)
			return min(max(lo+(hi-lo)/2, s.Min), s.Max)
		}
	}
	return s.Max
}

// Merge adds what other has counted, as if it had been in one; the moving
// averages become means weighted by the number of replies.
func (s *Stats) Merge(other *Stats) {
	a, b := float64(s.Received), float64(other.Received)
	if other.Received > 0 {
		if s.Received == 0 {
			s.Min, s.Max = other.Min, other.Max
		}
		s.Min, s.Max, s.Last = min(s.Min, other.Min), max(s.Max, other.Max), other.Last
		delta := other.mean - s.mean
		s.mean += delta * b / (a + b)
		s.m2 += other.m2 + delta*delta*a*b/(a+b)
		s.ewma = (s.ewma*a + other.ewma*b) / (a + b)
		s.jitter = (s.jitter*a + other.jitter*b) / (a + b)
	}
	s.Sent += other.Sent
	s.Received += other.Received
	s.ICMPErrors += other.ICMPErrors
	s.Timeouts += other.Timeouts
	s.Corrupted += other.Corrupted
	s.LocalErrors += other.LocalErrors
	s.Late += other.Late
	s.Duplicates += other.Duplicates
	s.Reordered += other.Reordered
	s.Bursts += other.Bursts
	s.LongestLoss = max(s.LongestLoss, other.LongestLoss)
	s.deltas += other.deltas
	s.ndeltas += other.ndeltas
	for i, n := range other.histogram {
		s.histogram[i] += n
	}
}

// Summary is what [Stats] has to tell, for JSON.
type Summary struct {
	Sent        uint64        `json:"sent"`
	Received    uint64        `json:"received"`
	Loss        float64       `json:"loss"` // 0 to 1
	ICMPErrors  uint64        `json:"icmp_errors"`
	Timeouts    uint64        `json:"timeouts"`
	Corrupted   uint64        `json:"corrupted"`
	LocalErrors uint64        `json:"local_errors"`
	Late        uint64        `json:"late"`
	Duplicates  uint64        `json:"duplicates"`
	Reordered   uint64        `json:"reordered"`
	Bursts      uint64        `json:"loss_bursts"`
	LongestLoss uint64        `json:"longest_loss"`
	Min         time.Duration `json:"min_ns"`
	Mean        time.Duration `json:"mean_ns"`
	Max         time.Duration `json:"max_ns"`
	Mdev        time.Duration `json:"mdev_ns"`
	Jitter      time.Duration `json:"jitter_ns"`
	MeanJitter  time.Duration `json:"mean_jitter_ns"`
	P50         time.Duration `json:"p50_ns"`
	P90         time.Duration `json:"p90_ns"`
	P99         time.Duration `json:"p99_ns"`
}

// Summary computes everything at once.
func (s *Stats) Summary() Summary {
	return Summary{
		Sent: s.Sent, Received: s.Received, Loss: s.Loss(), ICMPErrors: s.ICMPErrors, Timeouts: s.Timeouts,
		Corrupted: s.Corrupted, LocalErrors: s.LocalErrors, Late: s.Late, Duplicates: s.Duplicates,
		Reordered: s.Reordered, Bursts: s.Bursts, LongestLoss: s.LongestLoss,
		Min: s.Min, Mean: s.Mean(), Max: s.Max, Mdev: s.Mdev(), Jitter: s.Jitter(), MeanJitter: s.MeanJitter(),
		P50: s.Percentile(0.5), P90: s.Percentile(0.9), P99: s.Percentile(0.99),
	}
}

// MarshalJSON gives the [Summary].
func (s *Stats) MarshalJSON() ([]byte, error) { return json.Marshal(s.Summary()) }

// The histogram has 16 buckets for every doubling of the time. Everything
// under 1 µs is in the first bucket, everything over 68 s in the last.
const (
	histShift   = 4
	histSub     = 1 << histShift
	histFirst   = 10 // 2^10 ns
	histLast    = 36 // 2^36 ns
	histBuckets = (histLast-histFirst)*histSub + 2
)

func bucketOf(d time.Duration) int {
	if d < 1<<histFirst {
		return 0
	}
	if d >= 1<<histLast {
		return histBuckets - 1
	}
	e := bits.Len64(uint64(d)) - 1
	return 1 + (e-histFirst)*histSub + int(d>>(e-histShift))&(histSub-1)
}

// bucketStart is the shortest time in a bucket.
func bucketStart(i int) time.Duration {
	if i == 0 {
		return 0
	}
	i--
	return time.Duration(histSub+i%histSub) << (i/histSub + histFirst - histShift)
}

// lossRuns finds runs of lost probes. Outcomes come out of order, a reply
// before the timeout of an earlier probe, so the last 256 are kept until all
// before them are known.
type lossRuns struct {
	next  uint64 // first number that is not known
	known [4]uint64
	lost  [4]uint64
	run   uint64
}

const lossWindow = 256

func (l *lossRuns) add(seq uint64, lost bool, s *Stats) {
	l.next = max(l.next, 1)
	if seq < l.next {
		return
	}
	if seq >= l.next+2*lossWindow { // a gap: nothing in it is known
		*l = lossRuns{next: seq}
	}
	for seq >= l.next+lossWindow {
		l.advance(s) // what is not known by now is not held to be lost
	}
	i, bit := seq%lossWindow/64, uint64(1)<<(seq%64)
	l.known[i] |= bit
	if lost {
		l.lost[i] |= bit
	}
	for l.known[l.next%lossWindow/64]&(1<<(l.next%64)) != 0 {
		l.advance(s)
	}
}

func (l *lossRuns) advance(s *Stats) {
	i, bit := l.next%lossWindow/64, uint64(1)<<(l.next%64)
	if l.lost[i]&bit != 0 {
		l.run++
		if l.run == 1 {
			s.Bursts++
		}
		s.LongestLoss = max(s.LongestLoss, l.run)
	} else {
		l.run = 0
	}
	l.known[i] &^= bit
	l.lost[i] &^= bit
	l.next++
}
