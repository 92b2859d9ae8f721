package multipath_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/fakenet"
	"github.com/netsonde/netsonde/internal/multipath"
)

func config(a multipath.Algorithm) multipath.Config {
	return multipath.Config{
		Algorithm: a, Failure: 0.05, FirstTTL: 1, MaxTTL: 30, MaxFlows: 4096, MaxProbes: 20000, MaxSilent: 5,
		Attempts: 3, Timeout: 3 * time.Second, Window: 64, Rate: -1,
	}
}

func run(t *testing.T, c multipath.Config, n *fakenet.Net) multipath.Result {
	t.Helper()
	r, err := multipath.Run(c, n, n.Now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// explored is what a population took.
type explored struct{ probes, found, switched int }

func explore(t *testing.T, c multipath.Config, net func(int) *fakenet.Net, from, to int) (e explored) {
	t.Helper()
	for i := from; i < to; i++ {
		n := net(i)
		r := run(t, c, n)
		e.probes += r.Probes
		if reflect.DeepEqual(n.Links(), fakenet.Found(r)) {
			e.found++
		} else if r.Stop != multipath.StopDone {
			t.Errorf("network %d: %v", i, r.Stop)
		}
		if len(r.Uneven) > 0 {
			e.switched++
		}
	}
	return e
}

// TestPopulations holds the failure bound, of whole graphs, and what MDA-Lite
// saves, to their targets; the comparison in bench does so with 1,000 each.
// Networks and flows are the same each time.
func TestPopulations(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		name  string
		net   func(int) *fakenet.Net
		n     int
		saves float64
	}{{"uniform", fakenet.Plain, 400 / fewer, 0.6}, {"mixed", fakenet.Mixed, 400 / fewer, 0.6}} {
		mda := explore(t, config(multipath.MDA), p.net, 0, p.n)
		lite := explore(t, config(multipath.Lite), p.net, 0, p.n)
		ratio := float64(lite.probes) / float64(mda.probes)
		t.Logf("%s: MDA %d of %d with %d probes, Lite %d with %d, uneven %d, ratio %.3f",
			p.name, mda.found, p.n, mda.probes, lite.found, lite.probes, lite.switched, ratio)
		if least := p.n * 95 / 100; mda.found < least || lite.found < least {
			t.Errorf("%s: MDA found %d, Lite %d of %d", p.name, mda.found, lite.found, p.n)
		}
		if ratio > p.saves {
			t.Errorf("%s: Lite takes %.3f of MDA's probes", p.name, ratio)
		}
	}
}

// TestParallelCosts: 64 probes in flight take no more of them than one.
func TestParallelCosts(t *testing.T) {
	t.Parallel()
	for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
		serial := config(a)
		serial.Window = 1
		one, many := explore(t, serial, fakenet.Mixed, 0, 32/fewer*2), explore(t, config(a), fakenet.Mixed, 0, 32/fewer*2)
		t.Logf("algorithm %d: one at a time %d probes, 64 at a time %d", a, one.probes, many.probes)
		if float64(many.probes) > 1.02*float64(one.probes) {
			t.Errorf("algorithm %d: one at a time %d probes, 64 at a time %d", a, one.probes, many.probes)
		}
	}
}

// TestBoundByLot: a lone balancer over two is missed with probability 2^-5,
// the same as Veitch et al. and the Fakeroute simulator of Vermeulen et al.
// give for the bound of 0.05.
func TestBoundByLot(t *testing.T) {
	t.Parallel()
	const runs = 1600 / fewer
	for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
		missed := 0
		for i := range runs {
			n := fakenet.New([]fakenet.Node{{Succ: []int{1, 2}}, {Succ: []int{3}}, {Succ: []int{3}}, {}}, uint64(i))
			if r := run(t, config(a), n); len(r.Edges) != 4 {
				missed++
			}
		}
		want := 1.0 / 32
		deviation := math.Sqrt(want * (1 - want) / runs)
		if got := float64(missed) / runs; math.Abs(got-want) > 4*deviation {
			t.Errorf("algorithm %d: missed %v, computed %v ± %v", a, got, want, deviation)
		}
	}
}

// TestUnlike: one vertex of a hop has another successor besides, which MDA-Lite
// does not expect. It is the price told in the package documentation.
func TestUnlike(t *testing.T) {
	t.Parallel()
	const runs = 160 / fewer
	found := 0
	for i := range runs {
		w := 2 + i%15
		nodes := []fakenet.Node{{Succ: []int{1}}, {}}
		for k := range w {
			nodes[1].Succ = append(nodes[1].Succ, 2+k)
			nodes = append(nodes, fakenet.Node{Succ: []int{2 + w + k}})
		}
		for range w {
			nodes = append(nodes, fakenet.Node{Succ: []int{2 + 2*w}})
		}
		nodes = append(nodes, fakenet.Node{Succ: []int{3 + 2*w}}, fakenet.Node{})
		nodes[2+i%w].Succ = append(nodes[2+i%w].Succ, 2+w+(i+1)%w)
		n := fakenet.New(nodes, uint64(i))
		if r := run(t, config(multipath.Lite), n); reflect.DeepEqual(n.Links(), fakenet.Found(r)) {
			found++
		}
	}
	t.Logf("%d of %d", found, runs)
	if found < runs*9/10 {
		t.Errorf("%d of %d", found, runs)
	}
}

// star is a path of which hop 2 is as wide as told.
func star(width int) []fakenet.Node {
	nodes := []fakenet.Node{{}}
	for i := range width {
		nodes[0].Succ = append(nodes[0].Succ, i+1)
		nodes = append(nodes, fakenet.Node{Succ: []int{width + 1}})
	}
	return append(nodes, fakenet.Node{Succ: []int{width + 2}}, fakenet.Node{})
}

// TestOdd: networks that are not as the algorithms would like them.
func TestOdd(t *testing.T) {
	t.Parallel()
	line := func(n int) (nodes []fakenet.Node) {
		for i := range n {
			nodes = append(nodes, fakenet.Node{Succ: []int{i + 1}})
		}
		return append(nodes, fakenet.Node{})
	}
	set := func(nodes []fakenet.Node, i int, change func(*fakenet.Node)) []fakenet.Node {
		change(&nodes[i])
		return nodes
	}
	silent := func(x *fakenet.Node) { x.Silent = true }
	limited := func(x *fakenet.Node) { x.Every = time.Second }
	lossy := func(x *fakenet.Node) { x.Loss = 0.2 }
	for name, nodes := range map[string][]fakenet.Node{
		"target alone":      {{}},
		"line":              line(12),
		"silent hop":        set(line(6), 2, silent),
		"two silent hops":   set(set(line(6), 2, silent), 3, silent),
		"silent first":      set(line(3), 0, silent),
		"silent branch":     set(star(3), 2, silent),
		"silent parting":    set(star(3), 0, silent),
		"limited":           set(set(set(star(3), 0, limited), 1, limited), 4, limited),
		"limited target":    set(star(2), 4, limited),
		"lossy branch":      set(star(3), 1, lossy),
		"lossy first":       set(star(3), 0, lossy),
		"late end":          set(line(4), 4, func(x *fakenet.Node) { x.Delay = 2500 * time.Millisecond }),
		"late router":       set(line(4), 2, func(x *fakenet.Node) { x.Delay = 200 * time.Millisecond }),
		"one address twice": set(line(5), 3, func(x *fakenet.Node) { x.Addr = fakenet.Addr(2) }),
		"round and round":   set(set(line(8), 4, func(x *fakenet.Node) { x.Addr = fakenet.Addr(1) }), 5, func(x *fakenet.Node) { x.Addr = fakenet.Addr(2) }),
		"one on two sides":  set(star(4), 2, func(x *fakenet.Node) { x.Addr = fakenet.Addr(1) }),
	} {
		for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
			t.Run(fmt.Sprint(name, a), func(t *testing.T) {
				c := config(a)
				c.Failure = 1e-4
				n := fakenet.New(slices.Clone(nodes), 5)
				r := run(t, c, n)
				if d := cmp.Diff(n.Links(), fakenet.Found(r), cmpopts.EquateComparable(fakenet.Link{})); d != "" || r.Stop != multipath.StopDone || r.Failure > c.Failure {
					t.Errorf("stop %v, bound %v (-built +found)\n%s", r.Stop, r.Failure, d)
				}
			})
		}
	}
}

// TestPerPacket: packets of one flow part, which is not taken for crossing
// branches; a router with two addresses looks like that.
func TestPerPacket(t *testing.T) {
	t.Parallel()
	wide := fakenet.Mixed(1).Nodes // meshed
	wide[1].PerPacket = true
	alias := star(1)
	alias[1].Alias = netip.MustParseAddr("198.18.99.1")
	for name, nodes := range map[string][]fakenet.Node{"spread": wide, "alias": alias} {
		for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
			n := fakenet.New(nodes, 3)
			r := run(t, config(a), n)
			where := slices.IndexFunc(r.Vertices, func(v multipath.Vertex) bool { return v.PerPacket })
			if where < 0 || r.Stop != multipath.StopDone || r.Probes > 1500 {
				t.Fatalf("%s %d: %+v", name, a, r)
			}
			want := fakenet.Addr(map[string]int{"spread": 1, "alias": 0}[name])
			if got := r.Vertices[where].Addr; got != want {
				t.Errorf("%s %d: %v is told to spread, not %v", name, a, got, want)
			}
			for _, v := range r.Vertices {
				if v.PerPacket && v.Addr != want {
					t.Errorf("%s %d: %v too", name, a, v.Addr)
				}
			}
			if len(r.Uneven) > 0 {
				t.Errorf("%s %d: taken for crossing branches", name, a)
			}
		}
	}
}

// TestShortQuotes: answers do not say which probe they are for.
func TestShortQuotes(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		n := fakenet.Mixed(i)
		n.Short = true
		c := config(multipath.Lite)
		c.Failure = 1e-3
		r := run(t, c, n)
		if d := cmp.Diff(n.Links(), fakenet.Found(r), cmpopts.EquateComparable(fakenet.Link{})); d != "" {
			t.Errorf("%d (-built +found)\n%s", i, d)
		}
	}
}

func TestQueries(t *testing.T) {
	nodes := star(3)
	nodes[2].Loss = 0.3
	n := fakenet.New(nodes, 4)
	c := config(multipath.Lite)
	c.Queries = 200
	r := run(t, c, n)
	if len(r.Paths) != 3 || r.Explored >= r.Probes {
		t.Fatalf("%d paths, %d of %d probes explored", len(r.Paths), r.Explored, r.Probes)
	}
	for _, p := range r.Paths {
		loss := 1 - float64(p.Answered)/float64(p.Sent)
		lossy := r.Vertices[p.Vertices[1]].Addr == fakenet.Addr(2)
		if p.Sent < 200 || lossy != (loss > 0) || lossy && math.Abs(loss-0.3) > 0.1 || p.Min <= 0 || p.Sum < p.Min*time.Duration(p.Answered) {
			t.Errorf("%+v", p)
		}
	}
}

// TestBudgets: what does not suffice is told, and held.
func TestBudgets(t *testing.T) {
	for _, limit := range []func(*multipath.Config){
		func(c *multipath.Config) { c.MaxFlows = 1 },
		func(c *multipath.Config) { c.MaxFlows = 12 },
		func(c *multipath.Config) { c.MaxProbes = 1 },
		func(c *multipath.Config) { c.MaxProbes = 50 },
	} {
		for _, a := range []multipath.Algorithm{multipath.MDA, multipath.Lite} {
			n := fakenet.New(star(16), 9)
			c := config(a)
			limit(&c)
			r := run(t, c, n)
			if r.Stop != multipath.StopBudget || r.Probes > c.MaxProbes || r.Flows > c.MaxFlows || n.Sent() != r.Probes || r.Failure <= c.Failure {
				t.Errorf("%+v: stop %v, %d probes, %d flows, bound %v", c, r.Stop, r.Probes, r.Flows, r.Failure)
			}
		}
	}
}

// broken fails in some way from a probe on.
type broken struct {
	*fakenet.Net
	n, calls        int
	sending, passes bool
}

var errBroken = errors.New("broken")

func (b *broken) Send(id, flow, ttl int) error {
	if b.calls++; b.sending && b.calls > b.n && !(b.passes && b.calls > b.n+3) {
		return errBroken
	}
	return b.Net.Send(id, flow, ttl)
}

func (b *broken) Wait(until time.Time) ([]multipath.Answer, error) {
	if !b.sending && b.calls > b.n {
		return nil, errBroken
	}
	return b.Net.Wait(until)
}

func (b *broken) Transient(error) bool { return b.passes }

func TestBroken(t *testing.T) {
	for _, b := range []broken{{n: 0}, {n: 30}, {n: 0, sending: true}, {n: 30, sending: true}, {n: 30, sending: true, passes: true}} {
		b.Net = fakenet.New(star(4), 2)
		r, err := multipath.Run(config(multipath.Lite), &b, b.Now)
		if b.passes {
			if err != nil || r.Stop != multipath.StopDone {
				t.Errorf("a shortage that passes: %v, %v", err, r.Stop)
			}
			continue
		}
		if !errors.Is(err, errBroken) || r.Stop != multipath.StopInterrupted || b.n > 0 && len(r.Vertices) == 0 {
			t.Errorf("%+v: %v, %+v", b, err, r)
		}
	}
}

func BenchmarkExplore(b *testing.B) {
	for name, a := range map[string]multipath.Algorithm{"MDA": multipath.MDA, "Lite": multipath.Lite} {
		b.Run(name, func(b *testing.B) {
			probes, i := 0, 0
			for b.Loop() {
				n := fakenet.Mixed(i % 100)
				r, err := multipath.Run(config(a), n, n.Now)
				if err != nil {
					b.Fatal(err)
				}
				probes += r.Probes
				i++
			}
			b.ReportMetric(float64(probes)/float64(i), "probes/op")
		})
	}
}
