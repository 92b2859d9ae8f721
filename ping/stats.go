package ping

import (
	"encoding/json"
	"time"

	"github.com/netsonde/netsonde/internal/rttstat"
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

	times rttstat.Times
	runs  rttstat.Runs
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
		s.times.Add(r.RTT)
		s.show()
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
	s.runs.Add(uint64(r.Seq), r.Outcome != OutcomeReply)
	s.Bursts, s.LongestLoss = s.runs.Bursts, s.runs.Longest
}

// show brings what can be read as a field up to date.
func (s *Stats) show() { s.Min, s.Max, s.Last = s.times.Min, s.times.Max, s.times.Last }

// Loss returns the share of probes without a reply in time, 0 to 1; 0 when
// none was sent.
func (s *Stats) Loss() float64 {
	if s.Sent == 0 {
		return 0
	}
	return 1 - float64(s.Received)/float64(s.Sent)
}

// Mean returns the mean round-trip time.
func (s *Stats) Mean() time.Duration { return s.times.Mean() }

// Mdev returns the standard deviation of the round-trip times, of the whole
// population as ping(8) has it.
func (s *Stats) Mdev() time.Duration { return s.times.Mdev() }

// EWMA returns the moving average of the round-trip times, the last one
// counting 1/8.
func (s *Stats) EWMA() time.Duration { return s.times.EWMA() }

// Jitter returns the interarrival jitter of RFC 3550: the moving average,
// 1/16, of the differences between successive round-trip times.
func (s *Stats) Jitter() time.Duration { return s.times.Jitter() }

// MeanJitter returns the mean of the absolute differences between successive
// round-trip times.
func (s *Stats) MeanJitter() time.Duration { return s.times.MeanJitter() }

// Percentile returns the round-trip time that the share p, 0 to 1, of the
// replies did not exceed. It is read from a histogram: right to within 3 %
// from 1 µs to 68 s, and never outside Min and Max.
func (s *Stats) Percentile(p float64) time.Duration { return s.times.Percentile(p) }

// Merge adds what other has counted, as if it had been in one; the moving
// averages become means weighted by the number of replies.
func (s *Stats) Merge(other *Stats) {
	s.times.Merge(&other.times)
	s.show()
	s.Sent += other.Sent
	s.Received += other.Received
	s.ICMPErrors += other.ICMPErrors
	s.Timeouts += other.Timeouts
	s.Corrupted += other.Corrupted
	s.LocalErrors += other.LocalErrors
	s.Late += other.Late
	s.Duplicates += other.Duplicates
	s.Reordered += other.Reordered
	s.runs.Merge(&other.runs)
	s.Bursts, s.LongestLoss = s.runs.Bursts, s.runs.Longest
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
