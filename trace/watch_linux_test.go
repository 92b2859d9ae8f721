package trace_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

type watcher interface {
	Watch(ctx context.Context, dst netip.Addr, o *trace.WatchOptions) iter.Seq2[trace.Probe, error]
}

// report watches a path to the end.
func report(t *testing.T, w watcher, dst netip.Addr, o *trace.WatchOptions) *trace.Report {
	t.Helper()
	r := &trace.Report{}
	for p, err := range w.Watch(t.Context(), dst, o) {
		if err != nil {
			t.Error(err)
			break
		}
		r.Add(p)
	}
	return r
}

// Every method in both families sees the same hops as an ordinary user.
func TestWatchMethods(t *testing.T) {
	c := newChain(t, 3)
	for _, family := range []int{4, 6} {
		for _, w := range []watcher{trace.UDP{}, trace.TCP{}, trace.ICMP{}} {
			var r *trace.Report
			err := c.client.DoUnprivileged(func() error {
				r = report(t, w, far(family, 3), &trace.WatchOptions{Interval: 100 * time.Millisecond, Rounds: 5})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for i, h := range r.Hops() {
				got = append(got, fmt.Sprint(h.TTL, h.Sent, h.Received, h.Responders[0].Addr, len(h.Responders), h.Best > 0))
				want = append(want, fmt.Sprint(i+1, 5, 5, far(family, i), 1, true))
			}
			if d := cmp.Diff(want, got); d != "" || len(got) != 4 || !r.Reached() || r.Source != near(family, 0) {
				t.Errorf("%T, IPv%d: %v from %v (-want +got)\n%s", w, family, r.Reached(), r.Source, d)
			}
		}
	}
}

// A context that ends, and a reader that has enough, end a watch at once.
func TestWatchStops(t *testing.T) {
	c := newChain(t, 1)
	err := c.client.Do(func() error {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		cause := errors.New("enough")
		n := 0
		for p, err := range (trace.ICMP{}).Watch(ctx, far(4, 1), nil) {
			if err != nil {
				if !errors.Is(err, cause) || p.TTL != 0 {
					t.Errorf("%+v, %v", p, err)
				}
				break
			}
			if n++; n == 2 {
				cancel(cause)
			}
			if n > 2 {
				t.Errorf("%+v after the end", p)
			}
		}
		for range (trace.UDP{}).Watch(t.Context(), far(4, 1), nil) {
			break
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatchErrors(t *testing.T) {
	for _, w := range []watcher{trace.UDP{Options: trace.Options{FirstTTL: 300}}, trace.ICMP{Options: trace.Options{Device: "no-such-device"}}} {
		n := 0
		for p, err := range w.Watch(t.Context(), far(4, 1), nil) {
			if n++; err == nil || p.TTL != 0 {
				t.Errorf("%+v, %v", p, err)
			}
		}
		if n != 1 {
			t.Errorf("%d pairs", n)
		}
	}
}

// Routers with Linux's stock limits, asked twenty times a second: the limits
// are seen through.
func TestWatchLimits(t *testing.T) {
	t.Parallel()
	p := lab.Chain(t, 4)
	for _, r := range p.Routers {
		r.Sysctl("net/ipv4/icmp_ratelimit", "1000")
		r.Sysctl("net/ipv4/icmp_ratemask", "6168")
	}
	v := watchVerdict(t, p, p.Hops4[4], &trace.WatchOptions{Interval: 50 * time.Millisecond, Rounds: 90})
	if v.Loss != trace.LossNone || v.End != 5 {
		t.Errorf("%v", v)
	}
	for _, h := range v.Hops[:4] {
		if h.State != trace.HopLimited || h.Loss < 0.5 {
			t.Errorf("%+v", h)
		}
	}
}

// A wire that loses is found. It loses enough not to fail by chance.
func TestWatchLoss(t *testing.T) {
	t.Parallel()
	p := lab.Chain(t, 4, lab.WireAt{Link: 2, Out: lab.Impair{Loss: 0.3, Seed: 1}})
	v := watchVerdict(t, p, p.Hops6[4], &trace.WatchOptions{Interval: 20 * time.Millisecond, Rounds: 150})
	if v.Loss != trace.LossReal || v.Hop != 3 || v.Rate < 0.15 || v.Rate > 0.45 {
		t.Errorf("%+v\n%v", v, v)
	}
}

// watchVerdict watches by ICMP from the client of a path.
func watchVerdict(t *testing.T, p *lab.Path, dst netip.Addr, o *trace.WatchOptions) (v trace.Verdict) {
	t.Helper()
	err := p.Client.Do(func() error {
		v = report(t, trace.ICMP{}, dst, o).Verdict()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
