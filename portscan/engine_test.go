package portscan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// fakeWire answers after a delay that depends on the port, in the time of a
// synctest bubble.
type fakeWire struct {
	t        *testing.T
	ctx      context.Context
	most     int                          // attempts that fit, others get EMFILE
	answer   func(port uint16) fakeAnswer // delay 0: never
	flights  map[int]fakeFlight
	peak     int
	begun    []time.Time
	attempts map[uint16]int
	closed   bool
}

type fakeAnswer struct {
	after  time.Duration
	result Result
	err    error // of dial
}

type fakeFlight struct {
	due    time.Time
	result Result
}

func (w *fakeWire) dial(id int, target netip.AddrPort) error {
	w.begun = append(w.begun, time.Now())
	w.attempts[target.Port()]++
	a := w.answer(target.Port())
	if a.err != nil {
		return a.err
	}
	if w.most > 0 && len(w.flights) >= w.most {
		return fmt.Errorf("socket: %w", syscall.EMFILE)
	}
	f := fakeFlight{result: a.result}
	if a.after > 0 {
		f.due = time.Now().Add(a.after)
	}
	w.flights[id] = f
	w.peak = max(w.peak, len(w.flights))
	return nil
}

func (w *fakeWire) wait(until time.Time) ([]event, error) {
	for _, f := range w.flights {
		if !f.due.IsZero() && f.due.Before(until) {
			until = f.due
		}
	}
	select {
	case <-time.After(time.Until(until)):
	case <-w.ctx.Done():
		return nil, context.Cause(w.ctx)
	}
	var out []event
	for id, f := range w.flights {
		if !f.due.IsZero() && !f.due.After(time.Now()) {
			out = append(out, event{id: id, result: f.result})
			delete(w.flights, id)
		}
	}
	return out, nil
}

func (w *fakeWire) give(id int) Result {
	if _, ok := w.flights[id]; !ok {
		w.t.Errorf("attempt %d is given up and is not under way", id)
	}
	delete(w.flights, id)
	return Result{State: StateFiltered, Reason: ReasonNoResponse}
}

func (w *fakeWire) close() { w.closed = true }

// simulate runs an engine over a fake wire, with the first n ports as targets.
func simulate(t *testing.T, n int, o Options, limit int, w *fakeWire) (got map[uint16]Result, last error) {
	t.Helper()
	if w.ctx == nil {
		w.ctx = t.Context()
	}
	w.t, w.flights, w.attempts = t, map[int]fakeFlight{}, map[uint16]int{}
	got = map[uint16]Result{}
	targets := func(yield func(netip.AddrPort) bool) {
		for p := 1; p <= n; p++ {
			if !yield(netip.AddrPortFrom(netip.IPv6Loopback(), uint16(p))) {
				return
			}
		}
	}
	newEngine(w.ctx, w, o, limit).run(targets, func(r Result, err error) bool {
		if last != nil {
			t.Error("a pair after the error")
		}
		if last = err; err != nil {
			return true
		}
		if _, twice := got[r.Target.Port()]; twice {
			t.Errorf("port %d twice", r.Target.Port())
		}
		got[r.Target.Port()] = r
		return true
	})
	if last == nil && (len(got) != n || len(w.flights) != 0) {
		t.Errorf("%d results of %d, %d attempts left", len(got), n, len(w.flights))
	}
	return got, last
}

func open(after time.Duration) func(uint16) fakeAnswer {
	return func(uint16) fakeAnswer {
		return fakeAnswer{after: after, result: Result{State: StateOpen, Reason: ReasonSynAck}}
	}
}

func silent(uint16) fakeAnswer { return fakeAnswer{} }

// The rate holds over every window, and the number at once too.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeWire{answer: open(50 * time.Millisecond)}
		simulate(t, 3000, Options{Rate: 1000, Parallel: 20000}, 40, w)
		if w.peak != 40 {
			t.Errorf("%d at once, not 40", w.peak)
		}
		w = &fakeWire{answer: open(50 * time.Millisecond)}
		simulate(t, 3000, Options{}, 1e6, w)
		const rate, burst = 2000, 5
		for i := range w.begun {
			for _, window := range []int{10, 100, 1000} {
				if i < window {
					continue
				}
				if d := w.begun[i].Sub(w.begun[i-window]); float64(window-burst) > d.Seconds()*rate {
					t.Fatalf("%d attempts in %v", window, d)
				}
			}
		}
		if d := w.begun[2999].Sub(w.begun[0]); d > 1600*time.Millisecond {
			t.Errorf("3000 attempts took %v, the rate is not used", d)
		}
	})
}

// Silence costs the timeout once, whatever the number of targets.
func TestTimeoutAndRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := &fakeWire{answer: silent}
		got, _ := simulate(t, 500, Options{Rate: -1}, 1e6, w)
		if d := time.Since(start); d != 3300*time.Millisecond {
			t.Errorf("took %v", d)
		}
		if r := got[7]; r.State != StateFiltered || r.Reason != ReasonNoResponse || r.Tries != 1 {
			t.Errorf("%+v", r)
		}
		w = &fakeWire{answer: silent}
		got, _ = simulate(t, 10, Options{Rate: -1, Retries: 2, Timeout: time.Second}, 1e6, w)
		if got[7].Tries != 3 || w.attempts[7] != 3 {
			t.Errorf("%+v after %d attempts", got[7], w.attempts[7])
		}
	})
}

// With few descriptors everything is tested nevertheless; with none nothing
// is reported but that.
func TestShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeWire{answer: open(30 * time.Millisecond), most: 7}
		got, _ := simulate(t, 300, Options{Rate: -1}, 1e6, w)
		for _, r := range got {
			if r.State != StateOpen || r.Tries != 1 {
				t.Fatalf("%+v", r)
			}
		}
		none := &fakeWire{answer: func(uint16) fakeAnswer { return fakeAnswer{err: syscall.ENOBUFS} }}
		start := time.Now()
		got, _ = simulate(t, 300, Options{}, 1e6, none)
		for _, r := range got {
			if r.State != StateNotTested || r.Reason != ReasonLocalBuffers || r.Errno != syscall.ENOBUFS || r.Tries != 0 {
				t.Fatalf("%+v", r)
			}
		}
		if d := time.Since(start); d < 2*time.Second || d > 4*time.Second {
			t.Errorf("gave up after %v", d)
		}
		// A shortage that the wire tells later is one as well.
		n := 0
		late := &fakeWire{answer: func(uint16) fakeAnswer {
			if n++; n%3 == 0 {
				return open(time.Millisecond)(0)
			}
			return fakeAnswer{after: time.Millisecond, result: notTested(syscall.EMFILE)}
		}}
		got, _ = simulate(t, 20, Options{}, 1e6, late)
		for _, r := range got {
			if r.State != StateOpen || r.Tries != 1 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestSelfConnectRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self := Result{State: StateClosed, Reason: ReasonSelfConnect}
		n := 0
		w := &fakeWire{answer: func(port uint16) fakeAnswer {
			if port == 2 {
				return fakeAnswer{after: time.Millisecond, result: self}
			}
			if n++; n > 3 {
				return fakeAnswer{after: time.Millisecond, result: Result{State: StateClosed, Reason: ReasonConnRefused}}
			}
			return fakeAnswer{after: time.Millisecond, result: self}
		}}
		got, _ := simulate(t, 2, Options{}, 1e6, w)
		if got[1].Reason != ReasonConnRefused || got[2].Reason != ReasonSelfConnect || w.attempts[2] != 1+selfConnects {
			t.Errorf("%+v after %v attempts", got, w.attempts)
		}
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		w := &fakeWire{answer: silent, ctx: ctx}
		got, err := simulate(t, 100, Options{Timeout: time.Hour}, 1e6, w)
		if len(got) != 0 || !errors.Is(err, why) {
			t.Errorf("%v, %v", got, err)
		}
		// Also when no attempt ever gets as far as a wait.
		n := 0
		w = &fakeWire{answer: func(uint16) fakeAnswer { n++; return fakeAnswer{err: syscall.ENETUNREACH} }, ctx: ctx}
		if _, err = simulate(t, 100, Options{Rate: -1}, 1e6, w); !errors.Is(err, why) || n != 0 {
			t.Errorf("%v after %d attempts", err, n)
		}
	})
}

func TestDecide(t *testing.T) {
	target, local := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")
	router := netip.MustParseAddr("192.0.2.254")
	icmp := func(from netip.Addr, typ, code uint8) Result {
		e := icmperr.New(from, typ, code)
		return decideICMP(e, syscall.EHOSTUNREACH, local, target)
	}
	for name, tt := range map[string]struct {
		r      Result
		state  State
		reason Reason
	}{
		"connected":            {decideErrno(0, target), StateOpen, ReasonSynAck},
		"connected, reset":     {decideErrno(syscall.ECONNRESET, target), StateOpen, ReasonSynAck},
		"reset":                {decideErrno(syscall.ECONNREFUSED, target), StateClosed, ReasonConnRefused},
		"timeout":              {decideErrno(syscall.ETIMEDOUT, target), StateFiltered, ReasonNoResponse},
		"message lost":         {decideErrno(syscall.EHOSTUNREACH, target), StateFiltered, ReasonICMPHostUnreachable},
		"message lost, net":    {decideErrno(syscall.ENETUNREACH, target), StateFiltered, ReasonICMPNetUnreachable},
		"odd":                  {decideErrno(syscall.EISDIR, target), StateNotTested, ReasonLocalError},
		"refused":              {icmp(router, 3, 13), StateFiltered, ReasonICMPAdminProhibited},
		"port":                 {icmp(target, 3, 3), StateFiltered, ReasonICMPPortUnreachable},
		"own filter":           {icmp(local, 3, 13), StateNotTested, ReasonLocalFilter},
		"no neighbour":         {icmp(local, 3, 1), StateFiltered, ReasonICMPHostUnreachable},
		"own address":          {decideICMP(icmperr.New(local, 3, 3), 0, local, local), StateFiltered, ReasonICMPPortUnreachable},
		"nothing known":        {icmp(router, 3, 77), StateFiltered, ReasonICMPOther},
		"descriptors":          {notTested(fmt.Errorf("x: %w", syscall.EMFILE)), StateNotTested, ReasonLocalDescriptors},
		"Windows, descriptors": {notTested(syscall.Errno(10024)), StateNotTested, ReasonLocalDescriptors},
		"Windows, refused":     {decideDial(syscall.Errno(10061), target), StateClosed, ReasonConnRefused},
		"Windows, no route":    {decideDial(syscall.Errno(10051), target), StateNotTested, ReasonLocalNoRoute},
		"dialer, timeout":      {decideDial(&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, target), StateFiltered, ReasonNoResponse},
		"dialer, odd":          {decideDial(errors.New("odd"), target), StateNotTested, ReasonLocalError},
		"permission":           {notTested(syscall.EPERM), StateNotTested, ReasonLocalPermission},
		"family":               {notTested(syscall.EAFNOSUPPORT), StateNotTested, ReasonLocalFamily},
		"ports":                {notTested(syscall.EADDRNOTAVAIL), StateNotTested, ReasonLocalPorts},
	} {
		if tt.r.State != tt.state || tt.r.Reason != tt.reason || tt.state == StateNotTested && tt.r.Err == "" {
			t.Errorf("%s: %+v", name, tt.r)
		}
	}
}

// The dialer is what systems other than Linux have; it tells open from closed
// everywhere.
func TestDialerWire(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	openPort := netip.MustParseAddrPort(l.Addr().String())
	c, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closedPort := netip.MustParseAddrPort(c.Addr().String())
	c.Close()
	targets := []netip.AddrPort{openPort, closedPort, netip.AddrPortFrom(openPort.Addr(), 0), {}}
	got := map[netip.AddrPort]State{}
	w := newDialerWire(t.Context(), Options{})
	newEngine(t.Context(), w, Options{Timeout: time.Minute}, dialerParallel).run(slices.Values(targets), func(r Result, err error) bool {
		if err != nil {
			t.Error(err)
		}
		got[r.Target] = r.State
		return true
	})
	w.close()
	want := map[netip.AddrPort]State{
		openPort: StateOpen, closedPort: StateClosed, targets[2]: StateNotTested, targets[3]: StateNotTested,
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// Breaking off and a context that ends leave nothing of the dialer running.
func TestDialerWireEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	target := netip.MustParseAddrPort(l.Addr().String())
	w := newDialerWire(t.Context(), Options{Source: netip.MustParseAddr("127.0.0.1")})
	newEngine(t.Context(), w, Options{}, 10).run(slices.Values(slices.Repeat([]netip.AddrPort{target}, 50)),
		func(r Result, err error) bool { return false })
	w.close()
	if len(w.stop) != 0 {
		t.Errorf("%d attempts left", len(w.stop))
	}
	// An answer may come in the moment in which its attempt is given up.
	ctx, cancel := context.WithCancel(t.Context())
	w = newDialerWire(ctx, Options{})
	w.stop[7] = func() {}
	w.give(7)
	go func() { w.done <- event{id: 7} }()
	if got, err := w.wait(time.Now().Add(time.Hour)); len(got) != 1 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	cancel()
	if _, err := w.wait(time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.close()
}
