package ping

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// absent is how long the sockets may go unread while the caller is busy with
// a result; then somebody else reads, or the kernel would drop replies. Slow
// streams have more time: the smallest usual buffer takes 500 replies.
const (
	absent     = 5 * time.Millisecond
	absentSlow = 100 * time.Millisecond
)

// run is one sweep or stream: the sink of all its probes. It lives on the
// caller's goroutine, which sends, reads and hands results over in turn.
type run struct {
	e     *Engine
	ctx   context.Context
	yield func(Result, error) bool
	wake  chan struct{} // there are results that somebody else has read
	spare []Result
	split [2][]probe // of put, by family
	box   outbox
	pair  *pair // sends half of every batch, nil without
	// pace says how many of n probes may be sent again now, and how long the others
	// have to wait, -1 without any. Nil: all.
	pace  func(n int) (int, time.Duration)
	lazy  bool // so many probes a second that replies may gather
	quit  chan struct{}
	guard sync.WaitGroup
	stop  func() bool

	// With the engine locked:
	ready    []Result
	again    []probe // to be sent once more
	pending  int     // probes without an outcome, again among them
	retries  uint32
	ended    bool
	reading  bool     // this goroutine reads itself
	seen     []uint32 // highest number answered, by key
	announce bool     // tell of sending too
	notices  bool     // and of what is no outcome
	srtt     time.Duration
}

// newRun returns nil, having said why, when ctx has ended already: then nothing
// is sent at all. The rate, 0 being none in particular, is for how often the
// caller has to be looked after.
func (e *Engine) newRun(ctx context.Context, yield func(Result, error) bool, perSecond float64) *run {
	if ctx.Err() != nil {
		yield(Result{}, context.Cause(ctx))
		return nil
	}
	r := &run{e: e, ctx: ctx, yield: yield, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	e.use(1)
	r.stop = context.AfterFunc(ctx, e.conn.Wake)
	limit := absent
	if perSecond > 0 {
		limit = min(max(absent, time.Duration(200/perSecond*float64(time.Second))), absentSlow)
	}
	r.guard.Go(func() { r.watch(limit) })
	return r
}

// end makes sure that nothing of the run is left but probes in flight that
// nobody waits for.
func (r *run) end() {
	r.e.mu.Lock()
	r.ended, r.ready, r.again = true, nil, nil
	r.e.users--
	r.e.mu.Unlock()
	r.stop()
	close(r.quit)
	r.guard.Wait()
}

// watch reads the sockets while the caller is away.
func (r *run) watch(limit time.Duration) {
	t := time.NewTicker(limit)
	defer t.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-t.C:
		}
		r.e.mu.Lock()
		away := !r.e.closed && r.pending > 0 && time.Duration(r.e.clock().mono-r.e.now.mono) > limit
		r.e.mu.Unlock()
		if !away {
			continue
		}
		select {
		case <-r.e.token:
			r.e.step(0, false)
			r.e.token <- struct{}{}
		default: // somebody is at it
		}
	}
}

// result implements sink.
func (r *run) result(res *Result, key uint32) {
	if r.ended {
		return
	}
	switch res.Outcome {
	case OutcomeNotice:
	case OutcomeLate, OutcomeDuplicate:
	case OutcomeTimeout, OutcomeCorrupted:
		if uint32(res.Seq) <= r.retries {
			r.again = append(r.again, probe{dst: res.Target, sink: r, key: key, seq: uint32(res.Seq) + 1})
			r.notify()
			return
		}
		r.pending--
	case OutcomeReply:
		r.pending--
		if r.srtt == 0 {
			r.srtt = res.RTT
		}
		r.srtt += (res.RTT - r.srtt) / 8
		if r.seen != nil {
			res.Reordered = uint32(res.Seq) < r.seen[key]
			r.seen[key] = max(r.seen[key], uint32(res.Seq))
		}
	default:
		r.pending--
	}
	r.ready = append(r.ready, *res)
	r.notify()
}

// notify wakes the run when another goroutine has read for it.
func (r *run) notify() {
	if r.reading {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// put sends probes, waiting for room where there is none, and reports false
// when the run is over.
func (r *run) put(ps []probe) bool {
	for i := range r.split {
		r.split[i] = r.split[i][:0]
	}
	for _, p := range ps {
		if err := r.e.check(p.dst); err != nil {
			r.refuse(&p, err)
			continue
		}
		f := family(p.dst)
		r.split[f] = append(r.split[f], p)
	}
	for i, ps := range r.split {
		if len(ps) > batch && r.both(i == 1) {
			if !r.putBoth(i == 1, ps) {
				return false
			}
		} else if !r.putAll(i == 1, ps, 0, nil) {
			return false
		}
	}
	return true
}

// putAll sends probes of one family, n of which are done with and err being
// what came of the next. One that finds no room for longer than anything in the
// table can last is refused.
func (r *run) putAll(v6 bool, ps []probe, n int, err error) bool {
	patience := 3 * int64(max(r.e.opt.Timeout, time.Second))
	for since := int64(0); ; {
		if err != nil {
			r.yield(Result{}, err)
			return false
		}
		if ps = ps[n:]; len(ps) == 0 {
			return true
		}
		if now := r.e.clock().mono; n > 0 || since == 0 {
			since = now
		} else if now-since > patience {
			r.refuse(&ps[0], icmpsock.ErrFull)
			n, since = 1, now
			continue
		}
		if n, err = r.send(v6, ps, &r.box); err == nil && n < len(ps) && !r.pump(time.Millisecond) {
			return false
		}
	}
}

// send sends new probes of one family, as many as there is room for.
func (r *run) send(v6 bool, ps []probe, o *outbox) (int, error) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	r.pending += len(ps)
	told := len(r.ready)
	n, err := r.e.send(v6, ps, o)
	r.pending -= len(ps) - n
	if r.announce {
		r.announceSent(ps[:n], told)
	}
	return n, err
}

// announceSent tells of probes that went out: all but those that were refused,
// which has been told from ready[told] on.
func (r *run) announceSent(ps []probe, told int) {
	now := time.Unix(0, r.e.clock().real)
	refused := r.ready[told:]
	for i := range ps {
		if len(refused) > 0 && refused[0].Target == ps[i].dst && refused[0].Seq == int(ps[i].seq) {
			refused = refused[1:]
			continue
		}
		r.ready = append(r.ready, Result{Target: ps[i].dst, Seq: int(ps[i].seq), Outcome: OutcomeSent, Method: r.e.method, Why: r.e.why, Sent: now})
	}
}

// refuse tells of a probe that cannot be sent at all.
func (r *run) refuse(p *probe, err error) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	r.pending++
	r.result(&Result{Target: p.dst, Seq: int(p.seq), Outcome: OutcomeLocalError, Method: r.e.method, Why: r.e.why,
		Sent: time.Unix(0, r.e.clock().real), Err: err.Error()}, p.key)
}

// resend sends again what has to be, and returns how long the rest of that has
// to wait, -1 without any; false is the end.
func (r *run) resend() (rest time.Duration, ok bool) {
	r.e.mu.Lock()
	n := len(r.again)
	rest = -1
	if n > 0 && r.pace != nil {
		n, rest = r.pace(n)
	}
	again := r.again[:n]
	r.again = r.again[n:]
	r.pending -= n
	r.e.mu.Unlock()
	return rest, n == 0 || r.put(again)
}

// inFlight returns how many probes have no outcome yet.
func (r *run) inFlight() int {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	return r.pending
}

// pump takes in what comes within limit, -1 being no limit, hands it over,
// and reports false when the run is over. It returns as soon as something has
// been handed over.
func (r *run) pump(limit time.Duration) bool {
	select {
	case <-r.e.token:
		r.read(limit)
	default:
		r.wait(limit)
	}
	return r.deliver()
}

// read is for when the sockets are ours.
func (r *run) read(limit time.Duration) {
	r.e.mu.Lock()
	r.reading = true
	if len(r.ready) > 0 {
		limit = 0
	}
	r.e.mu.Unlock()
	r.e.step(limit, r.lazy)
	r.e.mu.Lock()
	r.reading = false
	r.e.mu.Unlock()
	r.e.token <- struct{}{}
}

// wait is for when another goroutine reads the sockets.
func (r *run) wait(limit time.Duration) {
	if limit == 0 {
		return
	}
	var after <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-r.e.token:
		r.read(limit)
	case <-r.wake:
	case <-after:
	case <-r.ctx.Done():
	case <-r.e.closing:
	}
}

// deliver hands over what has come.
func (r *run) deliver() bool {
	r.e.mu.Lock()
	ready := r.ready
	r.ready = r.spare[:0]
	err := r.e.failed
	if err == nil && r.e.closed {
		err = net.ErrClosed
	}
	r.e.mu.Unlock()
	for i := range ready {
		if !r.yield(ready[i], nil) {
			return false
		}
	}
	clear(ready)
	r.spare = ready
	if r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	if err != nil {
		r.yield(Result{}, err)
		return false
	}
	return true
}

// finish waits for all outcomes.
func (r *run) finish() {
	r.lazy = false
	for r.collectAll() {
		if r.inFlight() == 0 {
			r.deliver()
			return
		}
		rest, ok := r.resend()
		if !ok || !r.collectAll() || !r.pump(rest) {
			return
		}
	}
}
