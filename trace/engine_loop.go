package trace

import (
	"container/heap"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// rawNet is what an engine sends and receives with. The methods are not called
// at the same time, except wake and source, and send with different lanes.
type rawNet interface {
	// source returns what packets to dst leave with, and the scope id of dst.
	source(dst, want netip.Addr) (src netip.Addr, zone uint32, err error)
	// asked ends what source keeps open for those who ask one after the other.
	asked()
	ports() rawPorts
	has(v6 bool) bool
	// send sends packets of one family and returns how many went out; the
	// error is about the first that did not. It notes when each went. Two
	// goroutines may send at the same time, in lanes 0 and 1.
	send(v6 bool, ps []rawProbe, lane int) (int, error)
	// receive reads what has come, at most some hundreds of packets, and
	// reports whether that was all.
	receive(mix uint64, f func(*heard)) (all bool, err error)
	// wait waits until something may have come, at most for d unless negative.
	wait(d time.Duration) error
	wake()
	close() error
	transient(err error) bool
}

// rawProbe is one packet to be sent.
type rawProbe struct {
	t     *tracing
	flow  *rawFlow
	token uint32
	ttl   int
	sent  time.Time
}

// rawBatch is how many probes go between two looks at what came back.
const rawBatch = 128

// errFull is a lack of tokens: too many probes are in flight.
var errFull = errors.New("too many probes in flight")

// rawEngine drives the plans of many traces over a few sockets.
type rawEngine struct {
	net     rawNet
	opt     EngineOptions
	port    rawPorts
	mix     uint64        // secret, see rawShort
	token   chan struct{} // whoever took it out drives the engine
	closing chan struct{}
	hear    func(*heard)

	door   sync.Mutex // for what follows; held for moments only
	fresh  []*tracing // have just begun
	asleep bool       // somebody drives the engine and sleeps

	mu       sync.Mutex // held while packets are sent
	closed   bool
	released bool // Close was called
	failed   error
	rng      *rand.ChaCha8
	flying   map[uint32]flying
	ready    queue // to be looked at, in turn
	held     queue // have something to send that the rate does not allow yet
	timers   timers
	targets  map[rawTarget]*rawGroup
	credit   float64   // probes that the rate allows
	credited time.Time // when credit was computed
	woken    time.Time
	out      [2][]rawProbe
	pair     rawPair
}

// flying is a probe by its token.
type flying struct {
	t  *tracing
	id int
}

// rawTarget is what traces have in common that a target cannot tell apart.
type rawTarget struct {
	method Method
	dst    netip.Addr
	port   uint16
}

// target is what answers bear, where zones are numbers.
func (f *rawFlow) target() rawTarget {
	dst := f.dst
	if f.zone != 0 {
		dst = dst.WithZone(strconv.FormatUint(uint64(f.zone), 10))
	}
	return rawTarget{f.method, dst, f.dport}
}

// rawGroup are the traces under way to one rawTarget.
type rawGroup struct {
	traces []*tracing
	single bool      // UDP: data comes back that does not say for which probe
	until  time.Time // no probe before that
	holder *tracing  // whose probe is in flight; nil: nobody's
	id     int       // which one
	rtt    time.Duration
}

// tracing is one trace under way. It is no longer touched after it is done.
type tracing struct {
	p       *plan
	flow    rawFlow
	fail    error // why no probe can be sent
	tokens  []uint32
	tries   int // in a row that failed for a shortage
	started time.Time
	to      *audience
	group   *rawGroup

	queued bool // in ready
	held   bool // in the queue of that name
	out    bool // a probe of it is about to be sent
	turn   bool // not waiting for another one to the same target
	wake   time.Time
	at     int // place in timers, -1 for none
	done   bool
	path   Path
}

// audience is who waits for traces.
type audience struct {
	notify chan struct{} // something is there
	under  map[*tracing]struct{}

	mu   sync.Mutex
	done []*tracing
	told []Hop
}

func newAudience() *audience {
	return &audience{notify: make(chan struct{}, 1), under: map[*tracing]struct{}{}}
}

func (a *audience) call() {
	select {
	case a.notify <- struct{}{}:
	default:
	}
}

func newRawEngine(n rawNet, o EngineOptions) *rawEngine {
	e := &rawEngine{
		net: n, opt: o, port: n.ports(), token: make(chan struct{}, 1), closing: make(chan struct{}),
		flying: map[uint32]flying{}, targets: map[rawTarget]*rawGroup{}, credit: rawBurst(o.Rate),
	}
	e.pair.init(n)
	var seed [32]byte
	crand.Read(seed[:])
	e.rng = rand.NewChaCha8(seed)
	e.mix = e.rng.Uint64()
	e.hear = e.answer
	e.token <- struct{}{}
	return e
}

// rawBurst is how many probes may go at once.
func rawBurst(rate float64) float64 { return max(16, rate/50) }

// begin starts a trace for an audience.
func (e *rawEngine) begin(m Method, dst netip.Addr, o Options, to *audience, tell bool) (*tracing, error) {
	t := &tracing{started: time.Now(), to: to, at: -1, turn: true}
	t.flow = rawFlow{method: m, dst: dst, dport: o.Port}
	if e.net.has(dst.Is6()) {
		t.flow.src, t.flow.zone, t.fail = e.net.source(dst, o.Source)
	} else {
		t.fail = errNoFamily
	}
	if t.fail == nil {
		t.flow.prepare(o.Size)
	}
	t.p = newPlan(o, dst, false)
	t.p.lone = m == MethodTCP
	if tell {
		t.p.tell = func(h Hop) bool {
			to.mu.Lock()
			to.told = append(to.told, h)
			to.mu.Unlock()
			to.call()
			return true
		}
	}
	select {
	case <-e.closing:
		return nil, e.gone()
	default:
	}
	e.door.Lock()
	e.fresh = append(e.fresh, t)
	wake := e.asleep
	e.asleep = false
	e.door.Unlock()
	if wake {
		e.net.wake()
	}
	return t, nil
}

// admit takes in the traces that have begun. It returns whether there were any.
func (e *rawEngine) admit() bool {
	e.door.Lock()
	fresh := e.fresh
	e.fresh = nil
	e.door.Unlock()
	if len(fresh) > 0 {
		e.net.asked()
	}
	for _, t := range fresh {
		var key [8]byte
		e.rng.Read(key[:])
		copy(t.flow.key[:], key[2:])
		switch t.flow.method {
		case MethodUDP:
			t.flow.sport = e.port.udp
		case MethodTCP:
			t.flow.sport = e.port.tcp
		default:
			t.flow.sport = e.port.echo | uint16(key[0])
		}
		t.to.under[t] = struct{}{}
		e.join(t)
		e.push(t)
	}
	return len(fresh) > 0
}

var errNoFamily = errors.New("the engine has no sockets of this family")

// join enters a trace among those to the same target. An open TCP port
// answers one SYN of a flow at a time, so there traces take turns.
func (e *rawEngine) join(t *tracing) {
	g := e.targets[t.flow.target()]
	if g == nil {
		g = &rawGroup{}
		e.targets[t.flow.target()] = g
	}
	t.group = g
	t.turn = t.flow.method != MethodTCP || len(g.traces) == 0
	g.traces = append(g.traces, t)
}

func (e *rawEngine) leave(t *tracing) {
	g := t.group
	g.traces = slices.DeleteFunc(g.traces, func(o *tracing) bool { return o == t })
	if g.holder == t {
		g.holder, g.until = nil, time.Time{}
	}
	if len(g.traces) == 0 {
		delete(e.targets, t.flow.target())
		return
	}
	if next := g.traces[0]; !next.turn {
		next.turn = true
		e.push(next)
	}
}

// finish ends a trace and tells its audience.
func (e *rawEngine) finish(t *tracing) {
	t.done = true
	if t.at >= 0 {
		heap.Remove(&e.timers, t.at)
	}
	for _, token := range t.tokens {
		delete(e.flying, token)
	}
	e.leave(t)
	t.path = t.p.path(0)
	t.path.Method, t.path.Flow, t.path.Source = t.flow.method, FlowConstant, t.flow.src
	t.path.Started, t.path.Elapsed = t.started, time.Since(t.started)
	delete(t.to.under, t)
	t.to.mu.Lock()
	t.to.done = append(t.to.done, t)
	t.to.mu.Unlock()
	t.to.call()
}

// step takes in what came, sends what is due and, if there is nothing to do,
// waits until there is. It returns false when the sockets are of no more use.
// The caller holds the token.
func (e *rawEngine) step() bool {
	err := e.net.wait(e.rest())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.woken = time.Now()
	due := e.woken
	all := false
	if err == nil {
		all, err = e.net.receive(e.mix, e.hear)
	}
	if err != nil {
		e.failed = err
		e.shut()
		return false
	}
	if all {
		// Everything that came before that moment has been read.
		for len(e.timers) > 0 && !e.timers[0].wake.After(due) {
			e.push(e.timers[0])
		}
	}
	e.admit()
	e.flush(due)
	return true
}

// rest returns how long the engine may sleep, and has those who bring work
// know that it does.
func (e *rawEngine) rest() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.idle(time.Now())
	e.door.Lock()
	defer e.door.Unlock()
	if len(e.fresh) > 0 {
		d = 0
	}
	e.asleep = d != 0
	return d
}

// idle returns how long there is nothing to do; negative is until further notice.
func (e *rawEngine) idle(now time.Time) time.Duration {
	if e.closed || e.ready.len() > 0 {
		return 0
	}
	d := time.Duration(-1)
	if len(e.timers) > 0 {
		d = max(0, e.timers[0].wake.Sub(now))
	}
	if e.held.len() > 0 {
		e.refill(now)
		if rest := time.Duration(max(0, 1-e.credit) / e.opt.Rate * float64(time.Second)); d < 0 || rest < d {
			d = rest
		}
	}
	return d
}

func (e *rawEngine) refill(now time.Time) {
	if e.opt.Rate > 0 {
		e.credit = min(rawBurst(e.opt.Rate), e.credit+e.opt.Rate*now.Sub(e.credited).Seconds())
	}
	e.credited = now
}

// flush looks at the traces that have something to do and sends one probe of
// each, a batch at most. They are looked at again after their answers. Those
// that the rate holds back go first.
func (e *rawEngine) flush(now time.Time) {
	e.refill(now)
	for _, q := range []*queue{&e.held, &e.ready} {
		for n := q.len(); n > 0 && len(e.out[0])+len(e.out[1]) < rawBatch; n-- {
			if q == &e.held && !e.allowed() {
				break
			}
			t := q.pop()
			if q == &e.held {
				t.held = false
			} else {
				t.queued = false
			}
			e.look(t, now)
		}
	}
	for i := range e.out {
		e.send(i == 1, e.out[i], now)
		clear(e.out[i])
		e.out[i] = e.out[i][:0]
	}
}

// allowed reports whether the rate allows a probe.
func (e *rawEngine) allowed() bool { return e.opt.Rate < 0 || e.credit >= 1 }
