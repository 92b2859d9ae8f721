package trace_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/trace"
)

func TestEngineMap(t *testing.T) {
	c := newChain(t, 5)
	e := c.openEngine(t, trace.EngineOptions{Rate: -1, Parallel: 7, Family: 4, Methods: []trace.Method{trace.MethodICMP}})
	tr := e.Tracer(trace.MethodICMP, trace.Options{})
	taken := 0
	targets := func(n int) iter.Seq[netip.Addr] {
		return func(yield func(netip.Addr) bool) {
			for i := range n {
				taken++
				if !yield(router(4, 1+i%6)) {
					return
				}
			}
		}
	}
	seen := map[int]int{}
	for p, err := range tr.Map(t.Context(), targets(100)) {
		d := p.Distance()
		checkPath(t, trace.MethodICMP, 4, d, p, err)
		seen[d]++
	}
	if d := cmp.Diff(map[int]int{1: 17, 2: 17, 3: 17, 4: 17, 5: 16, 6: 16}, seen); d != "" {
		t.Errorf("distances (-want +got)\n%s", d)
	}
	taken = 0
	for range tr.Map(t.Context(), targets(100)) {
		break
	}
	if taken > 8 {
		t.Errorf("%d targets taken for one path", taken)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why, n := errors.New("enough"), 0
	var last error
	for p, err := range tr.Map(ctx, targets(1000)) {
		if last = err; err == nil {
			n++
		} else if d := cmp.Diff(trace.Path{}, p, cmpAddr); d != "" {
			t.Error(d)
		}
		cancel(why)
	}
	if !errors.Is(last, why) || n == 0 || n > 100 {
		t.Errorf("%d paths, then %v", n, last)
	}
	odd := []netip.Addr{c.target(6), netip.AddrFrom16(c.target(4).As16()), {}, c.target(4)}
	var ends []string
	for p, err := range tr.Map(t.Context(), slices.Values(odd)) {
		ends = append(ends, fmt.Sprint(p.Target, " ", p.End, " ", err != nil))
	}
	if len(ends) == 0 || !strings.HasSuffix(ends[len(ends)-1], "true") {
		t.Errorf("%q", ends)
	}
	ends = nil
	for p, err := range tr.Map(t.Context(), slices.Values(odd[:2])) {
		ends = append(ends, fmt.Sprint(p.Target, " ", p.End, " ", err))
	}
	slices.Sort(ends)
	if d := cmp.Diff([]string{"10.9.5.2 reached <nil>", "fd09:0:0:5::2 not_sent <nil>"}, ends); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if again := slices.Collect(firsts(tr.Map(t.Context(), targets(0)))); len(again) != 0 {
		t.Errorf("no targets: %v", again)
	}
}

func firsts(seq iter.Seq2[trace.Path, error]) iter.Seq[trace.Path] {
	return func(yield func(trace.Path) bool) {
		for p := range seq {
			if !yield(p) {
				return
			}
		}
	}
}

// Hops are those of the path, also when the caller is slow or leaves.
func TestEngineHops(t *testing.T) {
	c := newChain(t, 3)
	e := c.openEngine(t, trace.EngineOptions{})
	for m := range lastWords {
		for _, family := range []int{4, 6} {
			tr := e.Tracer(m, trace.Options{Queries: 2})
			want, err := tr.Trace(t.Context(), c.target(family))
			if err != nil {
				t.Error(err)
			}
			got := trace.Path{End: want.End}
			for h, err := range tr.Hops(t.Context(), c.target(family)) {
				if err != nil {
					t.Error(err)
				}
				got.Hops = append(got.Hops, h)
			}
			if d := cmp.Diff(words(want), words(got)); d != "" {
				t.Errorf("%v IPv%d (-path +hops)\n%s", m, family, d)
			}
			for h, err := range tr.Hops(t.Context(), c.target(family)) {
				if h.TTL != 1 || err != nil {
					t.Errorf("%+v, %v", h, err)
				}
				break
			}
		}
	}
}
