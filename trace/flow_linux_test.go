package trace_test

import (
	"testing"

	"github.com/netsonde/netsonde/trace"
)

// A constant flow sees one router of each hop, the classic trace several.
func TestFlows(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	for _, family := range []int{4, 6} {
		for _, flow := range []trace.Flow{trace.FlowUnknown, trace.FlowConstant, trace.FlowPerProbe} {
			var path trace.Path
			err := w.hosts[0].DoUnprivileged(func() (err error) {
				path, err = trace.UDP{Options: trace.Options{Flow: flow, Queries: 10, Rate: 5000}}.Trace(t.Context(), w.target(family))
				return err
			})
			if err != nil || !path.Reached || len(path.Hops) < 4 {
				t.Fatalf("IPv%d %v: %v, %+v", family, flow, err, path)
			}
			want := max(flow, trace.FlowConstant)
			// Ten ports that all fall on one of three branches: 1 in 19,683.
			if n := len(path.Hops[1].Addrs()); path.Flow != want || (n > 1) != (flow == trace.FlowPerProbe) {
				t.Errorf("IPv%d %v: flow %v, %d routers at the second hop", family, flow, path.Flow, n)
			}
		}
		err := w.hosts[0].DoUnprivileged(func() error {
			path, err := trace.ICMP{Options: trace.Options{Flow: trace.FlowPerProbe}}.Trace(t.Context(), w.target(family))
			if !path.Reached || path.Flow != trace.FlowPerProbe {
				t.Errorf("IPv%d: by ICMP reached %v, flow %v", family, path.Reached, path.Flow)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, o := range []trace.Options{{Flow: trace.FlowConstant}, {Flow: 9}} {
		if path, err := (trace.TCP{Options: o}).Trace(t.Context(), w.target(4)); err == nil {
			t.Errorf("%v is accepted for TCP: %v", o.Flow, path)
		}
	}
}
