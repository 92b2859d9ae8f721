package trace_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// TestConcurrent runs many traces in one process, to targets at different
// distances by both methods. Each must find its own path and no other.
func TestConcurrent(t *testing.T) {
	const routers = 5
	c := newChain(t, routers)
	var wg sync.WaitGroup
	for i := range 60 {
		family := []int{4, 6}[i%2]
		distance := 1 + i%(routers+1)
		method := []string{"udp", "tcp", "icmp"}[i/2%3]
		last := map[string]string{"udp": "port_unreachable", "tcp": "refused", "icmp": "echo_reply"}[method]
		dst := router(family, distance)
		want := append(exceeded(family, distance-1), fmt.Sprintf("%d %s %s", distance, last, dst), "reached")
		wg.Go(func() {
			for range 5 {
				err := c.client.DoUnprivileged(func() error {
					p, err := methods[method].Trace(t.Context(), dst)
					if d := cmp.Diff(want, words(p)); d != "" {
						t.Errorf("%s to %v (-want +got)\n%s", method, dst, d)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestCancel ends the context of traces that would wait for an hour.
func TestCancel(t *testing.T) {
	c := newChain(t, 1)
	c.server.Filter(lab.Input, lab.Rule{Proto: "udp"})
	c.server.Filter(lab.Input, lab.Rule{Proto: "tcp"})
	c.server.Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest})
	why := errors.New("enough")
	for _, tr := range []trace.Tracer{
		trace.UDP{Options: trace.Options{Timeout: time.Hour}},
		trace.TCP{Options: trace.Options{Timeout: time.Hour}},
		trace.ICMP{Options: trace.Options{Timeout: time.Hour}},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
		err := c.client.DoUnprivileged(func() error {
			p, err := tr.Trace(ctx, c.target(4))
			if len(p.Hops) == 0 || p.End != trace.EndUnknown || p.Packets == 0 || p.Elapsed <= 0 {
				t.Errorf("%v: %+v", p.Method, p)
			}
			if oe, ok := errors.AsType[*trace.OpError](err); !ok || oe.Target != c.target(4).String() {
				t.Errorf("%#v", err)
			}
			return err
		})
		if !errors.Is(err, why) {
			t.Error(err)
		}
		err = c.client.DoUnprivileged(func() error {
			p, err := tr.Trace(ctx, c.target(4))
			if p.Packets != 0 {
				t.Errorf("%d packets after the end", p.Packets)
			}
			return err
		})
		if !errors.Is(err, why) {
			t.Error(err)
		}
	}
}

func TestOptions(t *testing.T) {
	c := newChain(t, 1)
	const distance = 2
	ns := c.client.NetNSFD()
	for name, o := range map[string]trace.Options{
		"namespace": {NetNS: ns},
		"device":    {NetNS: ns, Device: "down"},
		"mark":      {NetNS: ns, Mark: 7},
		"source":    {NetNS: ns, Source: near(4, 0)},
		"port":      {NetNS: ns, Port: 4321},
		"first TTL": {NetNS: ns, FirstTTL: 2},
		"queries":   {NetNS: ns, Queries: 3},
		"all TTLs":  {NetNS: ns, MaxSilent: -1, Rate: -1},
		"ahead":     {NetNS: ns, Ahead: 1},
		"size":      {NetNS: ns, Size: 1000},
	} {
		for _, tr := range []trace.Tracer{trace.UDP{Options: o}, trace.TCP{Options: o}, trace.ICMP{Options: o}} {
			p, err := tr.Trace(t.Context(), c.target(4))
			if err != nil || p.Distance() != distance || p.Source != near(4, 0) {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
			if o.Port != 0 && p.Port != o.Port && p.Method != trace.MethodICMP {
				t.Errorf("%s: port %d", name, p.Port)
			}
			for _, h := range p.Hops {
				if len(h.Replies) != max(1, o.Queries) && h.TTL <= distance {
					t.Errorf("%s: %d replies at TTL %d", name, len(h.Replies), h.TTL)
				}
			}
		}
	}
	for _, o := range []struct {
		o    trace.Options
		want error
	}{
		{trace.Options{Mark: 7}, os.ErrPermission},
		{trace.Options{Device: "eth7"}, unix.ENODEV},
		{trace.Options{Source: netip.MustParseAddr("10.9.99.99")}, unix.EADDRNOTAVAIL},
		{trace.Options{NetNS: 1 << 20}, unix.EBADF},
	} {
		for _, tr := range []trace.Tracer{trace.UDP{Options: o.o}, trace.TCP{Options: o.o}, trace.ICMP{Options: o.o}} {
			err := c.client.DoUnprivileged(func() error {
				_, err := tr.Trace(t.Context(), c.target(4))
				return err
			})
			if !errors.Is(err, o.want) {
				t.Errorf("%+v: %v", o.o, err)
			}
		}
	}
}

// TestOutOfDescriptors traces in a process that has none left: an error, not a
// path.
func TestOutOfDescriptors(t *testing.T) {
	c := newChain(t, 1)
	out, stderr, code, err := c.client.RunChild("descriptors", false, c.target(4).String())
	if err != nil || code != 0 {
		t.Errorf("code %d, %v\n%s%s", code, err, out, stderr)
	}
}

func init() { children["descriptors"] = outOfDescriptors }

// outOfDescriptors is the child of TestOutOfDescriptors. It leaves so many
// descriptors that UDP works and TCP, with a socket a probe, has to wait.
func outOfDescriptors(args []string) int {
	dst := netip.MustParseAddr(args[0])
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	time.Sleep(time.Nanosecond) // has the runtime open the descriptors that it keeps
	var held []int
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			break
		}
		held = append(held, fd)
	}
	code := 0
	for left := range 6 {
		for method, tr := range methods {
			p, err := tr.Trace(context.Background(), dst)
			ok := err == nil && p.Distance() == 2
			if left < 3 { // epoll, eventfd and a socket
				ok = errors.Is(err, unix.EMFILE) && len(p.Hops) == 0
			}
			if !ok {
				fmt.Printf("%s with %d descriptors: %+v, %v\n", method, left, p, err)
				code = 1
			}
		}
		unix.Close(held[left])
	}
	return code
}

func BenchmarkTrace(b *testing.B) {
	c := newChain(b, 5)
	for method, tr := range methods {
		for _, family := range []int{4, 6} {
			b.Run(fmt.Sprint(method, family), func(b *testing.B) {
				b.ReportAllocs()
				packets := 0
				err := c.client.DoUnprivileged(func() error {
					for b.Loop() {
						p, err := tr.Trace(b.Context(), c.target(family))
						if err != nil || p.Distance() != 6 {
							b.Fatal(words(p), err)
						}
						packets += p.Packets
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(packets)/float64(b.N), "packets/op")
			})
		}
	}
}
