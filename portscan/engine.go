package portscan

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

// wire makes connection attempts, which are known by a number.
type wire interface {
	// dial begins an attempt. The error is this host's own.
	dial(id int, target netip.AddrPort) error
	// wait returns the attempts that are decided, none when the time has
	// come, and the cause when the context has ended. The slice is valid
	// until the next call.
	wait(until time.Time) ([]event, error)
	// give ends an attempt whose time is over and returns what is known.
	give(id int) Result
	close()
}

// event is an attempt that is decided. Target and Tries are the engine's.
type event struct {
	id     int
	result Result
}

// selfConnects is how often an attempt that met itself is made again.
const selfConnects = 5

// backoffs is how often an attempt for which this host lacks something is
// made again, after 10 ms, 20 ms and so on: for 2.5 s. Waits for attempts that
// will give back what they hold do not count. When that was in vain, further
// attempts are made once each, until one succeeds.
const backoffs = 8

// engine runs attempts: which, when and how many at once. It knows no sockets.
type engine struct {
	ctx      context.Context
	w        wire
	yield    func(Result, error) bool
	timeout  time.Duration
	retries  int
	most     int // attempts at once, as asked for
	parallel int // the same after shortages
	pace     pacer

	queue   []*attempt // to begin before new targets are read
	flights map[int]*attempt
	order   []int // their numbers by age, ended ones included
	nextID  int
	hold    time.Time // a shortage: begin nothing before
	short   int       // back-offs in a row with nothing under way
	ended   bool
}

type attempt struct {
	target   netip.AddrPort
	tries    int
	selves   int // self-connects
	deadline time.Time
}

func newEngine(ctx context.Context, w wire, o Options, limit int) *engine {
	e := &engine{
		ctx: ctx, w: w, timeout: o.Timeout, retries: o.Retries, most: o.Parallel,
		pace: pacer{rate: o.Rate}, flights: map[int]*attempt{},
	}
	if e.timeout <= 0 {
		e.timeout = 3300 * time.Millisecond
	}
	if e.most <= 0 {
		e.most = 4096
	}
	if o.Rate == 0 {
		e.pace.rate = 2000
	}
	e.most = max(1, min(e.most, limit))
	e.parallel = e.most
	return e
}

// run scans the targets until they or the context end, or yield says no.
func (e *engine) run(targets iter.Seq[netip.AddrPort], yield func(Result, error) bool) {
	e.yield = yield
	for t := range targets {
		e.queue = append(e.queue, &attempt{target: t})
		for len(e.queue) > 0 && !e.ended {
			e.step()
		}
		if e.ended {
			return
		}
	}
	for (len(e.queue) > 0 || len(e.flights) > 0) && !e.ended {
		e.step()
	}
}

// step begins the next attempt if it may, else waits for something to happen.
func (e *engine) step() {
	if e.ctx.Err() != nil {
		e.fail(context.Cause(e.ctx))
		return
	}
	now := time.Now()
	until := e.expire(now)
	if e.ended {
		return
	}
	if len(e.queue) > 0 && len(e.flights) < e.parallel {
		ready := e.pace.next(now)
		if e.hold.After(ready) {
			ready = e.hold
		}
		if !ready.After(now) {
			e.begin(now)
			return
		}
		if until.IsZero() || ready.Before(until) {
			until = ready
		}
	}
	if until.IsZero() {
		return // nothing is under way
	}
	events, err := e.w.wait(until)
	if err != nil {
		e.fail(err)
		return
	}
	for _, ev := range events {
		if a := e.flights[ev.id]; a != nil && !e.ended {
			delete(e.flights, ev.id)
			e.decided(a, ev.result)
		}
	}
}

// begin makes the first attempt of the queue.
func (e *engine) begin(now time.Time) {
	a := e.queue[0]
	e.queue = e.queue[1:]
	e.pace.spend(now)
	id := e.nextID
	e.nextID++
	err := e.w.dial(id, a.target)
	if err == nil {
		e.short = 0
		a.tries++
		a.deadline = now.Add(e.timeout)
		e.flights[id] = a
		e.order = append(e.order, id)
		return
	}
	if r := notTested(err); !e.backOff(a, r.Errno, now) {
		e.report(a, r)
	}
}

// backOff makes an attempt again after a pause when what this host lacked for
// it may come back, and lowers the number of attempts at once to what there
// was enough for.
func (e *engine) backOff(a *attempt, errno syscall.Errno, now time.Time) bool {
	if _, ok := shortages[errno]; !ok || e.short >= backoffs {
		return false
	}
	e.hold = now.Add(10 * time.Millisecond << e.short)
	if len(e.flights) == 0 {
		e.short++
	}
	e.parallel = max(1, len(e.flights))
	e.queue = append([]*attempt{a}, e.queue...)
	return true
}

// expire ends the attempts whose time is over and returns when that of the
// next one is; zero when none is under way.
func (e *engine) expire(now time.Time) time.Time {
	for len(e.order) > 0 && !e.ended {
		id := e.order[0]
		a := e.flights[id]
		if a != nil && a.deadline.After(now) {
			return a.deadline
		}
		e.order = e.order[1:]
		if a != nil {
			delete(e.flights, id)
			e.decided(a, e.w.give(id))
		}
	}
	return time.Time{}
}

// decided reports an attempt, or makes it again.
func (e *engine) decided(a *attempt, r Result) {
	if r.State == StateNotTested && e.backOff(a, r.Errno, time.Now()) {
		a.tries--
		return
	}
	e.parallel = min(e.parallel+1, e.most)
	switch {
	case r.Reason == ReasonSelfConnect && a.selves < selfConnects:
		a.selves++
		a.tries--
		e.queue = append(e.queue, a)
	case r.Reason == ReasonNoResponse && a.tries <= e.retries:
		e.queue = append(e.queue, a)
	default:
		e.report(a, r)
	}
}

func (e *engine) report(a *attempt, r Result) {
	r.Target, r.Tries = a.target, a.tries
	e.ended = !e.yield(r, nil)
}

func (e *engine) fail(err error) {
	e.ended = true
	e.yield(Result{}, operr.New("portscan: connect", nil, err))
}

// pacer spaces attempts evenly, with bursts of up to slack's worth, since
// timers are no finer. A rate below zero is no bound.
type pacer struct {
	rate float64   // a second
	due  time.Time // when the next one would be due without slack
}

const slack = 2 * time.Millisecond

// next returns when the next attempt may begin.
func (p *pacer) next(now time.Time) time.Time {
	if t := p.due.Add(-slack); p.rate > 0 && t.After(now) {
		return t
	}
	return now
}

// spend notes an attempt.
func (p *pacer) spend(now time.Time) {
	if p.rate <= 0 {
		return
	}
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(float64(time.Second) / p.rate))
}

// errTarget is what is wrong with a target that no packet can be sent to.
var errTarget = errors.New("neither an address nor a port may be missing")

// shortages are what passes when others, or this scan, give something back.
var shortages = map[syscall.Errno]Reason{
	syscall.EMFILE: ReasonLocalDescriptors, syscall.ENFILE: ReasonLocalDescriptors,
	syscall.EADDRNOTAVAIL: ReasonLocalPorts, syscall.EADDRINUSE: ReasonLocalPorts,
	syscall.ENOBUFS: ReasonLocalBuffers, syscall.ENOMEM: ReasonLocalBuffers, syscall.EAGAIN: ReasonLocalBuffers,
}

// notTested is the result of an attempt that this host did not make.
func notTested(err error) Result {
	r := Result{State: StateNotTested, Reason: ReasonLocalError, Errno: errnoOf(err), Err: err.Error()}
	if reason, ok := shortages[r.Errno]; ok {
		r.Reason = reason
	}
	switch r.Errno {
	case syscall.EPERM, syscall.EACCES:
		r.Reason = ReasonLocalPermission
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EINVAL, syscall.ENETDOWN, syscall.EHOSTDOWN:
		r.Reason = ReasonLocalNoRoute
	case syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT:
		r.Reason = ReasonLocalFamily
	}
	return r
}

func errnoOf(err error) syscall.Errno {
	errno, _ := errors.AsType[syscall.Errno](err)
	if unix, ok := winsock[errno]; ok {
		return unix
	}
	return errno
}

// winsock gives the error numbers of Windows Sockets (winsock2.h, WSAE*) the
// names that the rest of the world has.
var winsock = map[syscall.Errno]syscall.Errno{
	10013: syscall.EACCES, 10024: syscall.EMFILE, 10047: syscall.EAFNOSUPPORT, 10048: syscall.EADDRINUSE,
	10049: syscall.EADDRNOTAVAIL, 10050: syscall.ENETDOWN, 10051: syscall.ENETUNREACH, 10053: syscall.ECONNABORTED,
	10054: syscall.ECONNRESET, 10055: syscall.ENOBUFS, 10060: syscall.ETIMEDOUT, 10061: syscall.ECONNREFUSED,
	10065: syscall.EHOSTUNREACH,
}
