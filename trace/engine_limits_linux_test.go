package trace_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// Link-local targets have their zone by name or by number.
func TestEngineZones(t *testing.T) {
	c := newChain(t, 1)
	linkLocal := c.linkLocal(t)
	e := c.openEngine(t, trace.EngineOptions{})
	for m := range lastWords {
		for _, zone := range []string{"down", fmt.Sprint(c.down[0].Index())} {
			p, err := e.Tracer(m, trace.Options{}).Trace(t.Context(), linkLocal.WithZone(zone))
			if err != nil || p.Distance() != 1 || p.Packets != 1 {
				t.Errorf("%v by zone %s: %v, %v", m, zone, err, words(p))
			}
		}
	}
	p, err := e.Tracer(trace.MethodUDP, trace.Options{}).Trace(t.Context(), linkLocal.WithZone("eth7"))
	if err != nil || p.End != trace.EndNotSent || p.Hops[0].Replies[0].Errno != unix.ENODEV {
		t.Errorf("no such zone: %v, %+v", err, p)
	}
}

// The source of every trace of an engine for one interface is that of the interface.
func TestEngineDevice(t *testing.T) {
	l := lab.New(t)
	client, gw := l.Host("client"), l.Router("gw")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), gw.Port("lan", "10.1.0.1/24"))
	l.Connect(client.Port("eth1", "10.2.0.2/24"), gw.Port("wan", "10.2.0.1/24"))
	client.Route("default", "10.1.0.1")
	e, err := trace.Open(&trace.EngineOptions{Device: "eth1", NetNS: client.NetNSFD()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, source := range []netip.Addr{{}, netip.MustParseAddr("10.2.0.2")} {
		o := trace.Options{MaxTTL: 1, Queries: 1, Timeout: 50 * time.Millisecond, Source: source}
		targets := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")}
		for p, err := range e.Tracer(trace.MethodUDP, o).Map(t.Context(), slices.Values(targets)) {
			if err != nil || p.Source.String() != "10.2.0.2" {
				t.Errorf("to %v from %v, asked for %v: %v", p.Target, p.Source, source, err)
			}
		}
	}
}

// linkLocal is the address of router 1 on the client's cable.
func (c *chain) linkLocal(t testing.TB) (a netip.Addr) {
	t.Helper()
	err := c.routers[0].Do(func() error {
		ifi, err := net.InterfaceByName("up")
		if err != nil {
			return err
		}
		addrs, err := ifi.Addrs()
		for _, n := range addrs {
			if p, err := netip.ParsePrefix(n.String()); err == nil && p.Addr().IsLinkLocalUnicast() {
				a = p.Addr()
			}
		}
		return err
	})
	if err != nil || !a.IsValid() {
		t.Fatal("no link-local address: ", err)
	}
	return a
}

// The rate of an engine is that of all its traces together.
func TestEngineRate(t *testing.T) {
	c := newChain(t, 3)
	const rate, burst = 400, 16
	e := c.openEngine(t, trace.EngineOptions{Rate: rate})
	start, packets := time.Now(), 0
	for p, err := range e.Tracer(trace.MethodICMP, trace.Options{}).Map(t.Context(), func(yield func(netip.Addr) bool) {
		for range 40 {
			if !yield(c.target(4)) {
				return
			}
		}
	}) {
		if err != nil || p.Distance() != 4 {
			t.Errorf("%v, %v", err, words(p))
		}
		packets += p.Packets
	}
	if most := burst + rate*time.Since(start).Seconds(); float64(packets) > most+1 {
		t.Errorf("%d packets in %v", packets, time.Since(start))
	}
}

// TestEngineDescriptors counts those of an engine with a hundred traces.
func TestEngineDescriptors(t *testing.T) {
	c := newChain(t, 1)
	c.quiet()
	out, stderr, code, err := c.client.RunChild("engine-descriptors", true, c.target(4).String(), c.target(6).String())
	if err != nil || code != 0 {
		t.Errorf("code %d, %v\n%s%s", code, err, out, stderr)
	}
}

func init() { children["engine-descriptors"] = engineDescriptors }

func engineDescriptors(args []string) int {
	descriptors := func() int {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries)
	}
	if r, w, err := os.Pipe(); err == nil { // what the runtime keeps
		r.SetReadDeadline(time.Now())
		r.Close()
		w.Close()
	}
	code := 0
	for _, o := range []struct {
		o    trace.EngineOptions
		want int
	}{
		{trace.EngineOptions{}, 7}, {trace.EngineOptions{Methods: []trace.Method{trace.MethodUDP}}, 4},
		{trace.EngineOptions{Methods: []trace.Method{trace.MethodICMP}}, 3},
		{trace.EngineOptions{Methods: []trace.Method{trace.MethodTCP}, Family: 4}, 4},
	} {
		before := descriptors()
		e, err := trace.Open(&o.o)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg, started sync.WaitGroup
		started.Add(100)
		for i := range 100 {
			m := trace.MethodUDP
			if len(o.o.Methods) == 1 {
				m = o.o.Methods[0]
			}
			wg.Go(func() {
				family := i % 2
				if o.o.Family == 4 {
					family = 0
				}
				started.Done()
				e.Tracer(m, trace.Options{Timeout: time.Hour}).Trace(ctx, netip.MustParseAddr(args[family]))
			})
		}
		started.Wait()
		// While traces begin there is one more.
		got := descriptors() - before
		for end := time.Now().Add(10 * time.Second); got != o.want && time.Now().Before(end); got = descriptors() - before {
			time.Sleep(20 * time.Millisecond)
		}
		if got != o.want {
			fmt.Printf("%+v: %d descriptors, want %d\n", o.o, got, o.want)
			code = 1
		}
		cancel()
		wg.Wait()
		e.Close()
		if got := descriptors() - before; got != 0 {
			fmt.Printf("%+v: %d descriptors left\n", o.o, got)
			code = 1
		}
	}
	return code
}
