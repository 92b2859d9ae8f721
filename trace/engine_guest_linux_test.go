package trace_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/trace"
)

// check compares the path to a target of known distance.
func checkPath(t testing.TB, m trace.Method, family, distance int, p trace.Path, err error) {
	t.Helper()
	dst := router(family, distance)
	want := append(exceeded(family, distance-1), fmt.Sprintf("%d %s %s", distance, lastWords[m], dst), "reached")
	if d := cmp.Diff(want, words(p)); d != "" || err != nil {
		t.Errorf("%v to %v: %v (-want +got)\n%s", m, dst, err, d)
	}
}

// TestEngineConcurrent has two engines in this process and one in another make
// hundreds of traces to the same targets by all methods at the same time.
func TestEngineConcurrent(t *testing.T) {
	const routers = 5
	c := newChain(t, routers)
	var wg sync.WaitGroup
	wg.Go(func() {
		out, stderr, code, err := c.client.RunChild("engine", true, fmt.Sprint(routers))
		if err != nil || code != 0 {
			t.Errorf("the other process: %d, %v\n%s%s", code, err, out, stderr)
		}
	})
	for range 2 {
		e := c.openEngine(t, trace.EngineOptions{Rate: -1})
		for i := range 400 {
			family, distance, m := 4+i%2*2, 1+i%(routers+1), trace.MethodUDP+trace.Method(i/2%3)
			wg.Go(func() {
				p, err := e.Tracer(m, trace.Options{}).Trace(t.Context(), router(family, distance))
				checkPath(t, m, family, distance, p, err)
			})
		}
	}
	wg.Wait()
}

func init() { children["engine"] = engineChild }

// engineChild traces to every router and the server by all methods.
func engineChild(args []string) int {
	var routers int
	fmt.Sscan(args[0], &routers)
	e, err := trace.Open(&trace.EngineOptions{Rate: -1})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer e.Close()
	for range 10 {
		for m, last := range lastWords {
			for _, family := range []int{4, 6} {
				var targets []netip.Addr
				for d := range routers + 1 {
					targets = append(targets, router(family, d+1))
				}
				for p, err := range e.Tracer(m, trace.Options{}).Map(context.Background(), slices.Values(targets)) {
					d := p.Distance()
					want := append(exceeded(family, d-1), fmt.Sprintf("%d %s %s", d, last, p.Target), "reached")
					if diff := cmp.Diff(want, words(p)); diff != "" || err != nil || p.Target != router(family, d) {
						fmt.Println(m, p.Target, err, diff)
						return 1
					}
				}
			}
		}
	}
	return 0
}

// quiet has the server answer nothing.
func (c *chain) quiet() {
	for _, r := range []lab.Rule{{Proto: "udp"}, {Proto: "tcp"}, {ICMP: lab.EchoRequest}} {
		c.server.Filter(lab.Input, r)
	}
}

func TestEngineCancel(t *testing.T) {
	c := newChain(t, 1)
	c.quiet()
	e := c.openEngine(t, trace.EngineOptions{})
	why := errors.New("enough")
	var wg sync.WaitGroup
	for m := range lastWords {
		for range 5 { // one of them drives the engine, and leaves first
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
			wg.Go(func() {
				p, err := e.Tracer(m, trace.Options{Timeout: time.Hour}).Trace(ctx, c.target(4))
				if !errors.Is(err, why) || p.End != trace.EndUnknown {
					t.Errorf("%v: %v, %+v", m, err, p)
				}
				if oe, ok := errors.AsType[*trace.OpError](err); !ok || oe.Target != c.target(4).String() {
					t.Errorf("%#v", err)
				}
				if p, err := e.Tracer(m, trace.Options{}).Trace(ctx, c.target(4)); !errors.Is(err, why) || p.Packets != 0 {
					t.Errorf("%v, %d packets after the end", err, p.Packets)
				}
			})
		}
	}
	wg.Wait()
}

// A trace that waits for its turn begins when the one before it is given up,
// while somebody else drives the engine.
func TestEngineTurns(t *testing.T) {
	c := newChain(t, 1)
	c.quiet()
	e := c.openEngine(t, trace.EngineOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	start := func(ctx context.Context, m trace.Method, timeout time.Duration, done func(p trace.Path, err error)) {
		began := make(chan struct{})
		wg.Go(func() {
			close(began)
			done(e.Tracer(m, trace.Options{FirstTTL: 2, MaxTTL: 2, Timeout: timeout}).Trace(ctx, c.target(4)))
		})
		<-began
		time.Sleep(20 * time.Millisecond)
	}
	asked := c.client.Filter(lab.Output, lab.Rule{Proto: "udp", Action: lab.Count})
	opened := c.client.Filter(lab.Output, lab.Rule{Proto: "tcp", Action: lab.Count})
	start(ctx, trace.MethodUDP, time.Hour, func(trace.Path, error) {}) // drives
	waitFor(t, func() bool { return asked.Packets() == 2 })            // and has nothing more to do
	first, giveUp := context.WithCancel(ctx)
	defer giveUp()
	start(first, trace.MethodTCP, time.Hour, func(p trace.Path, err error) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v, %v", err, words(p))
		}
	})
	waitFor(t, func() bool { return opened.Packets() == 2 })
	start(ctx, trace.MethodTCP, 50*time.Millisecond, func(p trace.Path, err error) {
		if err != nil || p.Packets == 0 {
			t.Errorf("the second: %v, %d packets, %v", err, p.Packets, words(p))
		}
		cancel()
	})
	time.AfterFunc(10*time.Second, cancel) // in case it never begins
	giveUp()
	wg.Wait()
}

// TestEngineMany opens and closes a hundred engines at once, each with a trace
// under way; TestMain looks for what is left.
func TestEngineMany(t *testing.T) {
	c := newChain(t, 1)
	c.quiet()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			e, err := trace.Open(&trace.EngineOptions{NetNS: c.client.NetNSFD()})
			if err != nil {
				t.Error(err)
				return
			}
			ended := make(chan error)
			go func() {
				_, err := e.Tracer(trace.MethodTCP, trace.Options{Timeout: time.Hour}).Trace(t.Context(), c.target(6))
				ended <- err
			}()
			time.Sleep(time.Millisecond)
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestEngineClose(t *testing.T) {
	c := newChain(t, 1)
	c.quiet()
	e, err := trace.Open(&trace.EngineOptions{NetNS: c.client.NetNSFD()})
	if err != nil {
		t.Fatal(err)
	}
	tr := e.Tracer(trace.MethodUDP, trace.Options{Timeout: time.Hour})
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			var err error
			switch i % 3 {
			case 0:
				_, err = tr.Trace(t.Context(), c.target(4))
			case 1:
				for _, err = range tr.Map(t.Context(), slices.Values([]netip.Addr{c.target(4), c.target(6)})) {
				}
			case 2:
				for _, err = range tr.Hops(t.Context(), c.target(6)) {
				}
			}
			if !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := e.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if p, err := tr.Trace(t.Context(), c.target(4)); !errors.Is(err, net.ErrClosed) || p.Packets != 0 {
		t.Errorf("after the end: %v, %+v", err, p)
	}
}

func TestEnginePermission(t *testing.T) {
	c := newChain(t, 1)
	err := c.client.DoUnprivileged(func() error {
		e, err := trace.Open(nil)
		if err == nil {
			e.Close()
		}
		return err
	})
	if need := operr.NeedOf(err); !errors.Is(err, os.ErrPermission) || !strings.Contains(need, "CAP_NET_RAW") || !strings.Contains(need, "trace.UDP") {
		t.Errorf("%v, which needs %q", err, need)
	}
}

func TestEngineOptions(t *testing.T) {
	c := newChain(t, 2)
	ns := c.client.NetNSFD()
	for name, o := range map[string]trace.EngineOptions{
		"device": {Device: "down"}, "mark": {Mark: 7}, "source": {Source: near(4, 0)}, "family": {Family: 4},
		"mapped source": {Source: netip.AddrFrom16(near(4, 0).As16())}, "one at once": {Parallel: 1},
	} {
		e := c.openEngine(t, o)
		for m := range lastWords {
			p, err := e.Tracer(m, trace.Options{Port: 4321}).Trace(t.Context(), netip.AddrFrom16(c.target(4).As16()))
			if err != nil || p.Distance() != 3 || p.Target != c.target(4) || p.Source != near(4, 0) || m != trace.MethodICMP && p.Port != 4321 {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
		}
	}
	for _, o := range []struct {
		o    trace.EngineOptions
		want error
	}{
		{trace.EngineOptions{NetNS: ns, Device: "eth7"}, unix.ENODEV}, {trace.EngineOptions{NetNS: 1 << 20}, unix.EBADF},
		{trace.EngineOptions{Methods: []trace.Method{9}}, nil}, {trace.EngineOptions{Family: 5}, nil},
		{trace.EngineOptions{Family: 6, Source: near(4, 0)}, nil}, {trace.EngineOptions{Parallel: -1}, nil},
	} {
		if e, err := trace.Open(&o.o); err == nil || o.want != nil && !errors.Is(err, o.want) {
			t.Errorf("%+v: %v, %v", o.o, e, err)
		}
	}
	e := c.openEngine(t, trace.EngineOptions{Methods: []trace.Method{trace.MethodUDP}, Family: 4})
	for _, o := range []struct {
		m   trace.Method
		dst netip.Addr
		o   trace.Options
	}{
		{trace.MethodTCP, c.target(4), trace.Options{}}, {trace.MethodUDP, c.target(6), trace.Options{}},
		{trace.MethodUDP, netip.Addr{}, trace.Options{}}, {trace.MethodUDP, c.target(4), trace.Options{MaxTTL: 256}},
		{trace.MethodUDP, c.target(4), trace.Options{Mark: 1}}, {trace.MethodUDP, c.target(4), trace.Options{Device: "down"}},
		{trace.MethodUDP, c.target(4), trace.Options{SourcePort: 4000}},
	} {
		p, err := e.Tracer(o.m, o.o).Trace(t.Context(), o.dst)
		if oe, ok := errors.AsType[*trace.OpError](err); !ok || !strings.HasPrefix(oe.Op, "trace: ") || p.Packets != 0 {
			t.Errorf("%+v: %v", o, err)
		}
	}
	// A source address that is not ours is not forged.
	p, err := e.Tracer(trace.MethodUDP, trace.Options{Source: netip.MustParseAddr("10.9.0.77")}).Trace(t.Context(), c.target(4))
	if err != nil || p.End != trace.EndNotSent || p.Hops[0].Replies[0].Errno != unix.EADDRNOTAVAIL {
		t.Errorf("%v, %+v", err, p)
	}
}
