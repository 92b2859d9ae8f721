package ping

import (
	"context"
	"iter"
	"net/netip"
	"time"
)

// SweepOptions say how [Engine.Sweep] asks.
type SweepOptions struct {
	Rate    float64 // probes a second over all hosts; 0 is 1000; negative: as fast as this host can without losing replies
	Retries int     // further probes to a host that does not answer in time
	Times   bool    // with a negative Rate: also ask for the kernel's times of sending, which costs a tenth of the speed
}

const (
	defaultRate = 1000
	// sweepWindow bounds the probes in flight, and with them the memory: a
	// sweep of hosts that are all silent goes at so many per timeout.
	sweepWindow = maxSlots / 2
)

// Sweep pings every host once, and those that stay silent Retries times more.
// Hosts are taken from the sequence as they are needed; see [Hosts] for whole
// networks. Each host has one outcome, in the order of their coming, with
// Result.Seq being the number of the try; late and repeated answers follow as
// [OutcomeLate] and [OutcomeDuplicate]. The network and broadcast addresses of
// a prefix are not special here.
//
// A sweep with a negative rate does what makes it fast: two goroutines send,
// each through a socket of its own, where there are two processors; and the
// round-trip times begin at the program's clock before the batch, so that up to
// half a millisecond of waiting in it may be in them ([StampKernelRX]), unless
// Times is set.
//
// The contract of the sequence is that of [Engine.Stream].
func (e *Engine) Sweep(ctx context.Context, hosts iter.Seq[netip.Addr], o *SweepOptions) iter.Seq2[Result, error] {
	var opt SweepOptions
	if o != nil {
		opt = *o
	}
	if opt.Rate == 0 {
		opt.Rate = defaultRate
	}
	return func(yield func(Result, error) bool) {
		r := e.newRun(ctx, yield, max(0, opt.Rate))
		if r == nil {
			return
		}
		defer r.end()
		r.retries = uint32(max(0, opt.Retries))
		s := sweep{run: r, rate: opt.Rate, size: batch, due: float64(e.clock().mono)}
		r.box.unstamped = opt.Rate < 0 && !opt.Times
		if opt.Rate < 0 && r.double() {
			s.size = 2 * batch
			defer r.recall()
		}
		if opt.Rate > 0 {
			s.size = int(min(max(1, opt.Rate*tick.Seconds()), batch))
			r.pace = s.allow
		}
		for dst := range hosts {
			s.buf = append(s.buf, probe{dst: dst.Unmap(), sink: r, seq: 1})
			if len(s.buf) == s.size && !s.flush() {
				return
			}
		}
		if len(s.buf) == 0 || s.flush() {
			s.finish()
		}
	}
}

// sweep is the pace of a Sweep.
type sweep struct {
	*run
	rate float64
	size int     // probes sent together
	due  float64 // when the next ones may go, monotonic ns
	buf  []probe
}

// flush sends what has been gathered, when it is time.
func (s *sweep) flush() bool {
	for {
		if _, ok := s.resend(); !ok {
			return false
		}
		wait := time.Duration(0)
		if s.rate > 0 {
			wait = time.Duration(s.due) - time.Duration(s.e.clock().mono)
		}
		if s.inFlight() >= sweepWindow {
			wait = max(wait, tick)
		}
		if wait <= 0 {
			return s.send()
		}
		if !s.pump(wait) {
			return false
		}
	}
}

// send puts the batch on the wire.
func (s *sweep) send() bool {
	if s.rate > 0 {
		s.spend(len(s.buf), s.e.clock().mono)
	}
	ok := s.put(s.buf)
	s.buf = s.buf[:0]
	return ok && s.pump(0)
}

// spend notes that n probes go now. Time that was not used is not saved up for
// more than a few batches.
func (s *sweep) spend(n int, now int64) {
	gap := float64(time.Second) / s.rate * float64(n)
	s.due = max(s.due, float64(now)-4*gap) + gap
}

// allow has what is sent again keep to the rate too.
func (s *sweep) allow(n int) (now int, rest time.Duration) {
	clock := s.e.clock().mono
	if now = min(n, s.size); s.due > float64(clock) {
		now = 0
	}
	if now > 0 {
		s.spend(now, clock)
	}
	if now == n {
		return n, -1
	}
	return now, max(0, time.Duration(s.due)-time.Duration(clock))
}

// Hosts returns all addresses of the prefixes, in order and one at a time: a
// /8 costs no memory. For IPv4 prefixes shorter than /31 the network and the
// broadcast address are left out.
func Hosts(prefixes ...netip.Prefix) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, p := range prefixes {
			if !p.IsValid() {
				continue
			}
			first := p.Masked().Addr()
			skip := first.Is4() && p.Bits() < 31
			a := first
			if skip {
				a = a.Next()
			}
			for ; p.Contains(a); a = a.Next() {
				if skip && !p.Contains(a.Next()) {
					break
				}
				if !yield(a) {
					return
				}
			}
		}
	}
}
