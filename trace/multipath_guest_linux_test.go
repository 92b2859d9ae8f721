package trace_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// TestMultipathCancel ends the context of explorations that would wait for long.
func TestMultipathCancel(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	w.hosts[1].Filter(lab.Forward, lab.Rule{})
	why := errors.New("enough")
	for method, tr := range map[string]tracer{
		"udp":  trace.UDP{Options: trace.Options{Timeout: time.Hour}},
		"tcp":  trace.TCP{Options: trace.Options{Timeout: time.Hour}},
		"icmp": trace.ICMP{Options: trace.Options{Timeout: time.Hour}},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(150*time.Millisecond, func() { cancel(why) })
		err := w.hosts[0].DoUnprivileged(func() error {
			g, err := tr.Multipath(ctx, w.target(4), nil)
			if g.Complete || g.End != trace.EndUnknown || g.Packets == 0 || g.Elapsed <= 0 {
				t.Errorf("%s: %+v", method, g)
			}
			return err
		})
		if oe, ok := errors.AsType[*trace.OpError](err); !errors.Is(err, why) || !ok || oe.Target != w.target(4).String() {
			t.Errorf("%s: %#v", method, err)
		}
		timer.Stop()
		cancel(nil)
	}
}

// TestMultipathRefused: what this host itself holds back is an error, not a
// silent network.
func TestMultipathRefused(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	w.hosts[0].Prohibit("10.77.0.0/16")
	for method, tr := range tracers {
		err := w.hosts[0].DoUnprivileged(func() error {
			g, err := tr.Multipath(t.Context(), w.end(4, 0, 1).Next(), nil) // the first router
			if err != nil || len(g.Vertices) != 1 {
				t.Errorf("%s: %v\n%v", method, err, g)
			}
			_, err = tr.Multipath(t.Context(), prohibited, nil)
			return err
		})
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", method, err)
		}
	}
	dropped := w.hosts[0].Filter(lab.Output, lab.Rule{Proto: "udp"})
	err := w.hosts[0].DoUnprivileged(func() error {
		_, err := trace.UDP{}.Multipath(t.Context(), w.target(4), nil)
		return err
	})
	if !errors.Is(err, os.ErrPermission) || dropped.Packets() == 0 {
		t.Errorf("dropped here: %v", err)
	}
}

// TestMultipathTogether runs many explorations in one process.
func TestMultipathTogether(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	want := w.edges(4)
	var all sync.WaitGroup
	for i := range 12 {
		tr := tracers[[]string{"udp", "tcp"}[i%2]]
		all.Go(func() {
			if g := w.explore(t, tr, 4, surely(trace.AlgorithmLite)); len(edges(g)) != len(want) || !g.Reached {
				t.Errorf("%v\n%v", g.Method, g)
			}
		})
	}
	all.Wait()
}

// TestMultipathNobody: nobody has the address, which the last router tells
// after three seconds.
func TestMultipathNobody(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	last := w.end(4, len(w.links)-1, 99)
	err := w.hosts[0].DoUnprivileged(func() error {
		g, err := trace.UDP{Options: quickly}.Multipath(t.Context(), last, &trace.MultipathOptions{Failure: 1e-4})
		if g.End != trace.EndUnreachable || g.Reached || !g.Complete || g.Width() != 3 {
			t.Errorf("end %v, reached %v, complete %v\n%v", g.End, g.Reached, g.Complete, g)
			return err
		}
		v := g.Vertices[len(g.Vertices)-1]
		// Of what waits for the neighbour the router may drop some without a
		// word, also the first flow's probe with the lower TTL.
		if v.Outcome != trace.OutcomeUnreachable || v.ICMP == nil || v.Addr != w.addr(4, 4) || v.TTL < 4 {
			t.Errorf("%+v", v)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
