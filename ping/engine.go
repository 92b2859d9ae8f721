package ping

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	crand "crypto/rand"

	"github.com/netsonde/netsonde/internal/icmpsock"
	"github.com/netsonde/netsonde/internal/operr"
)

// network is what the engine stands on: [icmpsock.Conn], in tests a fake.
type network interface {
	Send(v6 bool, ps []icmpsock.Packet) (int, error)
	Wait(d time.Duration) error
	Pause(d time.Duration) error
	Receive(f func(*icmpsock.Message)) (all bool, err error)
	Errors(v6 bool, f func(*icmpsock.Message)) error
	Dropped(v6 bool) uint32
	IDs(v6 bool) []uint16
	Exclusive() bool
	Stamped() bool
	Grow(v6 bool, n int) error
	Wake()
	Has(v6 bool) error
	Close() error
}

// batch is how many probes are sent at once.
const batch = 64

// readsInARow is how many batches are read before results are handed over.
const readsInARow = 16

// Engine pings any number of hosts through the same few sockets. Its methods
// may be called by any number of goroutines at the same time. It has no
// goroutine of its own: of those that wait, one reads for all.
type Engine struct {
	opt     Options
	payload []byte // template
	conn    network
	method  Method
	why     string
	clock   func() clocks
	token   chan struct{} // whoever took it from the channel reads the sockets
	closing chan struct{}
	handle  func(*icmpsock.Message)
	stamped bool         // the kernel tells when packets come
	senders sync.RWMutex // held for reading while packets are sent with mu unlocked

	mu       sync.Mutex
	users    int  // pings and runs under way
	pausing  bool // the reader lets replies gather
	closed   bool
	released bool  // Close was called
	failed   error // the sockets are of no more use
	lanes    [2]lane
	rng      *rand.ChaCha8
	box      outbox
	now      clocks           // while messages are handled
	res      Result           // the one that is being told
	local    icmpsock.Message // what this host said last
}

// Open opens the sockets on the calling goroutine, so that the network
// namespace of a locked thread sticks. If the system allows neither method the
// error unwraps to os.ErrPermission and names the sysctl and the capability
// that would help. Close the engine.
func Open(o *Options) (*Engine, error) {
	opt := o.resolved()
	cfg, err := opt.config()
	if err != nil {
		return nil, operr.New("ping: open", nil, err)
	}
	conn, err := icmpsock.Open(cfg)
	if err != nil {
		return nil, operr.New("ping: open", nil, err)
	}
	method := MethodICMPDatagram
	if conn.Raw() {
		method = MethodICMPRaw
	}
	return newEngine(opt, cfg.Payload, conn, method, conn.Why(), systemClock()), nil
}

func newEngine(opt Options, payload []byte, conn network, method Method, why string, clock func() clocks) *Engine {
	e := &Engine{
		opt: opt, payload: payload, conn: conn, method: method, why: why, clock: clock,
		token: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	terse := len(payload) < icmpsock.HeadLen
	e.lanes = [2]lane{newLane(false, len(conn.IDs(false)), terse), newLane(true, len(conn.IDs(true)), terse)}
	var seed [32]byte
	crand.Read(seed[:])
	e.rng = rand.NewChaCha8(seed)
	e.handle, e.stamped = e.message, conn.Stamped()
	e.token <- struct{}{}
	return e
}

// config checks the options and puts them into the form of the sockets.
func (o *Options) config() (icmpsock.Config, error) {
	cfg := icmpsock.Config{
		Device: o.Device, Mark: o.Mark, Source: o.Source.Unmap(), NetNS: o.NetNS, TTL: o.TTL, TOS: o.TOS,
		FlowLabel: o.FlowLabel, SendBuffer: o.SendBuffer, DontRoute: o.DontRoute, Connect: o.Connect.Unmap(),
		Broadcast: o.Broadcast, NoLoop: o.NoLoop, NoTimestamp: o.NoTimestamps,
	}
	switch {
	case o.Size > maxSize:
		return cfg, fmt.Errorf("size %d is more than %d", o.Size, maxSize)
	case o.Identifier > 1<<16-1:
		return cfg, fmt.Errorf("identifier %d is not 0 to 65535", o.Identifier)
	case o.Identifier < 0 && o.Method == MethodICMPDatagram:
		return cfg, errors.New("an unprivileged socket cannot have identifier 0")
	case o.FlowLabel > 1<<20-1:
		return cfg, fmt.Errorf("flow label %#x is not 20 bits", o.FlowLabel)
	case o.SendBuffer < 0 || o.SendBuffer > math.MaxInt32:
		return cfg, fmt.Errorf("send buffer of %d bytes", o.SendBuffer)
	case o.TTL < 0 || o.TTL > 255:
		return cfg, fmt.Errorf("ttl %d is not 1 to 255", o.TTL)
	case o.TOS < 0 || o.TOS > 255:
		return cfg, fmt.Errorf("tos %d is not 0 to 255", o.TOS)
	}
	if err := o.checkStamps(); err != nil {
		return cfg, err
	}
	cfg.Options = o.ipOptions()
	switch o.Method {
	case MethodAuto:
		if o.Identifier < 0 {
			cfg.Choice = icmpsock.Raw
		}
	case MethodICMPDatagram:
		cfg.Choice = icmpsock.Datagram
	case MethodICMPRaw:
		cfg.Choice = icmpsock.Raw
	default:
		return cfg, fmt.Errorf("an engine cannot use method %v", o.Method)
	}
	cfg.ID = max(-1, o.Identifier)
	// The values of IP_PMTUDISC_DONT, WANT, DO and PROBE are 0 to 3.
	if o.Fragment > FragmentProbe {
		return cfg, fmt.Errorf("unknown mode %v", o.Fragment)
	}
	cfg.Fragment = int(o.Fragment)
	cfg.Payload = make([]byte, o.Size)
	for i := range cfg.Payload {
		cfg.Payload[i] = byte(i)
		if n := len(o.Pattern); n > 0 && i >= icmpsock.HeadLen {
			cfg.Payload[i] = o.Pattern[(i-icmpsock.HeadLen)%n]
		}
	}
	return cfg, nil
}

func systemClock() func() clocks {
	start := time.Now()
	return func() clocks {
		now := time.Now() // reads both clocks one right after the other
		return clocks{real: now.UnixNano(), mono: int64(now.Sub(start))}
	}
}

// Method returns how the engine pings; it never changes.
func (e *Engine) Method() Method { return e.method }

// Why says in words why it is this method.
func (e *Engine) Why() string { return e.why }

// Ping sends one probe and waits for its outcome, at most the timeout. It
// returns an error only if the probe could not have been answered: the engine
// is closed, the family is not available, ctx ended. What the host's own
// routing or firewall says is [OutcomeLocalError].
func (e *Engine) Ping(ctx context.Context, dst netip.Addr) (Result, error) {
	r, err := e.ping(ctx, dst.Unmap())
	if err != nil {
		return Result{Target: dst, Method: e.method, Why: e.why}, operr.New("ping", dst, err)
	}
	return r, nil
}

func (e *Engine) ping(ctx context.Context, dst netip.Addr) (Result, error) {
	if err := e.check(dst); err != nil {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	e.use(1)
	defer e.use(-1)
	w := &waiter{done: make(chan struct{})}
	num, err := e.sendOne(ctx, dst, w)
	if err != nil {
		return Result{}, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
	case <-e.closing:
	case <-e.token:
		e.read(ctx, w.done)
		e.token <- struct{}{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.got {
		return w.res, nil
	}
	l := &e.lanes[family(dst)]
	if s := l.slot(num); s.num == num {
		s.sink = nil
	}
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case e.failed != nil:
		return Result{}, e.failed
	}
	return Result{}, net.ErrClosed
}

// use counts those who wait for something. A reader that lets replies gather
// does so for itself only.
func (e *Engine) use(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users += n
	if n > 0 && e.pausing {
		e.conn.Wake()
	}
}

// check reports whether a host can be pinged at all.
func (e *Engine) check(dst netip.Addr) error {
	if !dst.IsValid() {
		return errNoAddress
	}
	if err := e.opt.connected(dst); err != nil {
		return err
	}
	return e.conn.Has(dst.Is6())
}

// connected returns an error for a host other than the only one.
func (o *Options) connected(dst netip.Addr) error {
	if to := o.Connect; to.IsValid() && !sameHost(dst, to.Unmap()) {
		return fmt.Errorf("the socket is connected to %v", to)
	}
	return nil
}

func family(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

// waiter is the sink of one Ping.
type waiter struct {
	done chan struct{}
	got  bool
	res  Result
}

func (w *waiter) result(r *Result, _ uint32) {
	if !w.got {
		w.got, w.res = true, *r
		close(w.done)
	}
}

// sendOne sends a probe, waiting for room for as long as a reply may take.
func (e *Engine) sendOne(ctx context.Context, dst netip.Addr, w sink) (num uint64, err error) {
	p := [1]probe{{dst: dst, sink: w}}
	for wait := time.Duration(0); ; wait += time.Millisecond {
		e.mu.Lock()
		num = e.lanes[family(dst)].next
		n, err := e.send(dst.Is6(), p[:], &e.box)
		e.mu.Unlock()
		if err != nil || n == 1 {
			return num, err
		}
		if wait > e.opt.Timeout {
			return num, icmpsock.ErrFull
		}
		select {
		case <-ctx.Done():
			return num, context.Cause(ctx)
		case <-e.closing:
			return num, net.ErrClosed
		case <-time.After(time.Millisecond):
		}
	}
}

// read takes in what comes until done is closed, ctx ends or the engine is
// closed. The caller holds the token.
func (e *Engine) read(ctx context.Context, done <-chan struct{}) {
	stop := context.AfterFunc(ctx, e.conn.Wake)
	defer stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-e.closing:
			return
		default:
		}
		if !e.step(-1, false) {
			return
		}
	}
}

// step waits until something comes or is due, at most for limit (-1 is no
// limit), and takes it in. If it may be lazy, and nobody else is waiting for
// anything, what comes gathers until the limit. It returns false when the
// sockets are of no more use. The caller holds the token.
func (e *Engine) step(limit time.Duration, lazy bool) bool {
	if limit != 0 {
		e.mu.Lock()
		lazy = lazy && e.users == 1
		if next := e.nextDeadline(e.clock().mono); next >= 0 && (limit < 0 || next < limit) {
			limit = next
		}
		e.pausing = lazy && limit > 0
		e.mu.Unlock()
	}
	wait := e.conn.Wait
	if lazy && limit > 0 {
		wait = e.conn.Pause
	}
	err := wait(limit)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pausing = false
	all, due := false, int64(0)
	if err == nil {
		e.now = e.clock()
		due = e.now.mono
		for range readsInARow {
			if all, err = e.conn.Receive(e.handle); all || err != nil {
				break
			}
		}
	}
	if err != nil {
		e.fail(err)
		return false
	}
	if all {
		// Everything that arrived before that moment has been read.
		e.expire(due)
	}
	return true
}

// fail gives up: nothing that is in flight can be told from a loss any more.
func (e *Engine) fail(err error) {
	e.failed = err
	if !e.closed {
		e.closed = true
		close(e.closing)
	}
}

// Close closes the sockets. Calls that wait return net.ErrClosed, and so does
// a second Close.
func (e *Engine) Close() error {
	e.mu.Lock()
	again := e.released
	e.released = true
	if !e.closed {
		e.closed = true
		close(e.closing)
	}
	e.mu.Unlock()
	if again {
		return operr.New("ping: close", nil, net.ErrClosed)
	}
	e.conn.Wake()
	<-e.token // nobody reads the sockets from here on
	e.senders.Lock()
	defer e.senders.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	return operr.New("ping: close", nil, e.conn.Close())
}
