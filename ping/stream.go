package ping

import (
	"context"
	"errors"
	"iter"
	"math"
	"net/netip"
	"time"
)

var errNoAddress = errors.New("no address")

// StreamOptions say how often [Engine.Stream] pings. The zero value pings every
// host once a second for ever.
type StreamOptions struct {
	Interval time.Duration // between probes to the same host; 0 is 1 s; negative: the next as soon as an answer comes, or after 10 ms
	Adaptive bool          // the next as soon as an answer comes, or after twice the usual time; at the latest after Interval
	Count    int           // probes to each host; 0 is no end
	Sent     bool          // also yield a result with OutcomeSent when a probe goes out
	Notices  bool          // also yield results with OutcomeNotice, when redirects, source quenches and damaged replies come
	Preload  int           // probes to each host that may go out without waiting, for an answer or the interval, at the start and after a pause; 0 is 1
}

// Stream pings the hosts again and again. The probes of one round are spread
// evenly over the interval, in steps of up to 10 ms where there are more than 1000
// a second; Result.Seq counts from 1 for each host. Every probe yields its outcome
// once, at its deadline if nothing comes; late and repeated answers follow as
// [OutcomeLate] and [OutcomeDuplicate].
//
// The stream ends when every probe of Count has its outcome. If ctx ends, or
// the engine is closed, the last pair is a zero Result and the reason. The
// sequence is to be used once; nothing is sent before it is, and nothing after
// the loop is left. While the loop's body is busy nothing is sent, but replies
// are received in time; what could not be sent then is not made up for in a
// burst.
func (e *Engine) Stream(ctx context.Context, hosts []netip.Addr, o *StreamOptions) iter.Seq2[Result, error] {
	var opt StreamOptions
	if o != nil {
		opt = *o
	}
	if opt.Interval == 0 {
		opt.Interval = time.Second
	}
	opt.Preload = max(1, opt.Preload)
	return func(yield func(Result, error) bool) {
		if len(hosts) == 0 {
			return
		}
		rate := 0.0
		if opt.Interval > 0 && !opt.Adaptive {
			rate = float64(len(hosts)) / opt.Interval.Seconds()
		}
		r := e.newRun(ctx, yield, rate)
		if r == nil {
			return
		}
		defer r.end()
		r.seen, r.announce, r.notices = make([]uint32, len(hosts)), opt.Sent, opt.Notices
		s := stream{run: r, hosts: hosts, opt: opt, total: uint64(max(0, opt.Count)) * uint64(len(hosts))}
		if opt.Count <= 0 {
			s.total = math.MaxUint64
		}
		s.loop()
	}
}

// stream is the schedule of a Stream.
type stream struct {
	*run
	hosts []netip.Addr
	opt   StreamOptions
	total uint64 // probes to send
	sent  uint64
	start int64 // when the first one was due
	last  int64 // when the last one was sent
	buf   [batch]probe
}

const (
	// tick is the finest spacing of probes: what is due within it goes out
	// together.
	tick = time.Millisecond
	// slowTick is the longest step where there are more probes than ticks: one in
	// which stepProbes are due, since waking up costs more than a probe, and
	// the smallest usual receive buffer has room for all their replies.
	slowTick   = 10 * time.Millisecond
	stepProbes = 48
)

func (s *stream) loop() {
	s.lazy = s.e.stamped && s.opt.Interval > 0 && !s.opt.Adaptive && s.opt.Interval < time.Duration(len(s.hosts))*tick
	s.start = s.e.clock().mono
	if s.opt.Interval > 0 {
		s.start -= int64(s.opt.Preload-1) * int64(s.opt.Interval)
	}
	s.last = math.MinInt64 / 2
	for s.sent < s.total {
		now := s.e.clock().mono
		n, wait := s.due(now)
		if n > 0 {
			if !s.put(s.next(n)) {
				return
			}
			s.last = now
		}
		if !s.pump(wait) {
			return
		}
	}
	s.finish()
}

// next returns the next n probes.
func (s *stream) next(n int) []probe {
	hosts := uint64(len(s.hosts))
	for i := range n {
		s.buf[i] = probe{dst: s.hosts[s.sent%hosts].Unmap(), sink: s.run, key: uint32(s.sent % hosts), seq: uint32(s.sent/hosts) + 1}
		s.sent++
	}
	return s.buf[:n]
}

// due returns how many probes are to be sent now, and how long to wait then.
func (s *stream) due(now int64) (n int, wait time.Duration) {
	left := s.total - s.sent
	if s.opt.Interval < 0 || s.opt.Adaptive {
		return s.dueByAnswers(now, left)
	}
	gap, finest := float64(s.opt.Interval)/float64(len(s.hosts)), tick
	if s.lazy {
		finest = min(slowTick, time.Duration(stepProbes*gap))
	}
	behind := float64(now-s.start) - float64(s.sent)*gap
	if behind > max(float64(s.opt.Interval)*float64(s.opt.Preload), float64(slowTick)) {
		s.start += int64(behind) // the caller was away: no burst
		behind = 0
	}
	if behind >= 0 {
		n = int(min(uint64(behind/gap)+1, batch, left))
	}
	wait = time.Duration(float64(n)*gap - behind)
	if n == batch {
		return n, 0 // and more is due
	}
	if gap < float64(tick) {
		return n, max(wait, finest)
	}
	return n, max(wait, time.Microsecond) // not 0: rounding must not keep it from being due
}

// dueByAnswers is the schedule of flood and adaptive pings: at most one probe
// to each host is in flight, unless answers take long.
func (s *stream) dueByAnswers(now int64, left uint64) (n int, wait time.Duration) {
	s.e.mu.Lock()
	pending, srtt := s.pending, s.srtt
	s.e.mu.Unlock()
	patience := 10 * time.Millisecond
	if s.opt.Adaptive {
		patience = s.opt.Interval
		if srtt > 0 {
			patience = min(patience, 2*srtt+tick)
		}
		if patience < 0 {
			patience = 10 * time.Millisecond
		}
	}
	waited := time.Duration(now - s.last)
	switch {
	case pending < len(s.hosts)*s.opt.Preload:
		n = len(s.hosts)*s.opt.Preload - pending
	case waited >= patience:
		n = 1
	default:
		return 0, patience - waited
	}
	return int(min(uint64(n), batch, left)), 0
}
