package multipath_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/fakenet"
	"github.com/netsonde/netsonde/internal/multipath"
)

// TestFaultyBranches: of three branches one never answers and one loses three
// packets of ten. Loss is not taken for limited answers, nor a flow that was
// unlucky for one with a silent router of its own, which would be looked for
// in thousands of flows. The branches meet at one address, or at one each, as
// they do in IPv6.
func TestFaultyBranches(t *testing.T) {
	t.Parallel()
	const seeds, longest = 80 / fewer, 2 * time.Minute
	for name, nodes := range map[string][]fakenet.Node{
		"one":   {{Succ: []int{1, 2, 3}}, {Succ: []int{4}, Silent: true}, {Succ: []int{4}, Drop: 0.3}, {Succ: []int{4}}, {Succ: []int{5}}, {}},
		"three": {{Succ: []int{1, 2, 3}}, {Succ: []int{4}, Silent: true}, {Succ: []int{5}, Drop: 0.3}, {Succ: []int{6}}, {Succ: []int{7}}, {Succ: []int{7}}, {Succ: []int{7}}, {}},
	} {
		for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
			var times []time.Duration
			for seed := range seeds {
				n := fakenet.New(slices.Clone(nodes), uint64(seed))
				c := config(a)
				c.Failure, c.Queries, c.MaxSilent, c.Rate = 1e-5, 40, 3, 5000
				begin := n.Now()
				r := run(t, c, n)
				d := n.Now().Sub(begin)
				times = append(times, d)
				if diff := cmp.Diff(n.Links(), fakenet.Found(r), cmpopts.EquateComparable(fakenet.Link{})); diff != "" || len(r.Paths) != 3 || r.Stop != multipath.StopDone || r.Failure > c.Failure {
					t.Errorf("%s, algorithm %d, seed %d: %d paths, stop %v, bound %v (-built +found)\n%s", name, a, seed, len(r.Paths), r.Stop, r.Failure, diff)
				}
				if d > longest || r.Flows > 500 {
					t.Errorf("%s, algorithm %d, seed %d: %v, %d flows, %d probes", name, a, seed, d, r.Flows, r.Probes)
				}
			}
			slices.Sort(times)
			t.Logf("%s, algorithm %d: median %v, longest %v", name, a, times[seeds/2], times[seeds-1])
		}
	}
}

// TestLimitedHops: routers that limit their answers are not taken for silent
// ones, whatever the limit.
func TestLimitedHops(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{300 * time.Millisecond, time.Second} {
		for seed := range 200 / fewer {
			nodes := star(3)
			for i := range 5 {
				nodes[i].Every = every
			}
			n := fakenet.New(nodes, uint64(seed))
			c := config(multipath.Lite)
			c.Failure, c.Rate = 1e-4, 250
			if d := cmp.Diff(n.Links(), fakenet.Found(run(t, c, n)), cmpopts.EquateComparable(fakenet.Link{})); d != "" {
				t.Errorf("one in %v, seed %d (-built +found)\n%s", every, seed, d)
			}
		}
	}
}
