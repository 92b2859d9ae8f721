package trace_test

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// web is a client, routers with several ways between them, and a server. Link
// k is 10.20.k.0/24 and fd20:0:0:k::/64, its nearer end .1, the farther .2.
type web struct {
	*lab.Lab
	hosts []*lab.Host // the first is the client, the last the server
	links [][2]int
	first []int // link by which a host answers, by host
}

// newWeb builds it from its links, which lead from a lower number to a higher
// one. Routers share traffic evenly, IPv4 and IPv6, by a hash policy.
func newWeb(t testing.TB, links [][2]int, policy string) *web {
	t.Helper()
	w := &web{Lab: lab.New(t), links: links}
	last := 0
	for _, l := range links {
		last = max(last, l[1])
	}
	for i := range last + 1 {
		if i == 0 || i == last {
			w.hosts = append(w.hosts, w.Host(fmt.Sprintf("h%d", i)))
			continue
		}
		r := w.Router(fmt.Sprintf("h%d", i))
		r.Sysctl("net/ipv4/fib_multipath_hash_policy", policy)
		r.Sysctl("net/ipv6/fib_multipath_hash_policy", policy)
		w.seed(r, i)
		w.hosts = append(w.hosts, r)
	}
	w.hosts[last].Sysctl("net/ipv4/icmp_ratemask", "0")
	w.hosts[last].Sysctl("net/ipv6/icmp/ratemask", "0")
	w.first = make([]int, last+1)
	for k, l := range links {
		a := w.hosts[l[0]].Port(fmt.Sprintf("d%d", k), fmt.Sprintf("10.20.%d.1/24", k), fmt.Sprintf("fd20:0:0:%x::1/64", k))
		b := w.hosts[l[1]].Port(fmt.Sprintf("u%d", k), fmt.Sprintf("10.20.%d.2/24", k), fmt.Sprintf("fd20:0:0:%x::2/64", k))
		if k == 0 {
			// A packet keeps the hash of its socket across cables that are one
			// kernel's, and routers would go by that.
			w.Wire(a, b, lab.Impair{}, lab.Impair{})
			continue
		}
		w.Connect(a, b)
	}
	for i, h := range w.hosts {
		w.route(t, i, h)
	}
	return w
}

// seed gives a router a hash of its own: in namespaces of one machine they are
// the same, so that routers in a row would not choose independently.
func (w *web) seed(r *lab.Host, i int) {
	const key = "net/ipv4/fib_multipath_hash_seed" // Linux 6.11
	if r.Do(func() error { _, err := os.Stat("/proc/sys/" + key); return err }) == nil {
		r.Sysctl(key, fmt.Sprint(1000+i))
	}
}

// route sends what goes to the server over all links down, and what goes to
// the client over the first one up.
func (w *web) route(t testing.TB, i int, h *lab.Host) {
	t.Helper()
	var v4, v6 []*netlink.NexthopInfo
	for k := len(w.links) - 1; k >= 0; k-- {
		switch l := w.links[k]; {
		case l[1] == i:
			w.first[i] = k
		case l[0] == i:
			v4 = append(v4, &netlink.NexthopInfo{Gw: w.end(4, k, 2).AsSlice()})
			v6 = append(v6, &netlink.NexthopInfo{Gw: w.end(6, k, 2).AsSlice()})
		}
	}
	if k := w.first[i]; k != 0 {
		h.Route("10.20.0.0/24", fmt.Sprintf("10.20.%d.1", k))
		h.Route("fd20::/64", fmt.Sprintf("fd20:0:0:%x::1", k))
	}
	if len(v4) == 0 {
		return
	}
	for dst, hops := range map[string][]*netlink.NexthopInfo{"10.0.0.0/8": v4, "fd00::/8": v6} {
		ipnet, err := netlink.ParseIPNet(dst)
		if err == nil {
			r := &netlink.Route{Dst: ipnet, MultiPath: hops}
			if len(hops) == 1 {
				r.Gw, r.MultiPath = hops[0].Gw, nil
			}
			err = h.Netlink().RouteAdd(r)
		}
		if err != nil {
			t.Fatalf("route of h%d: %v", i, err)
		}
	}
}

func (w *web) end(family, k, n int) netip.Addr {
	if family == 4 {
		return netip.AddrFrom4([4]byte{10, 20, byte(k), byte(n)})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd20:0:0:%x::%d", k, n))
}

// addr is the address with which a host answers the client when packets came
// by a link: IPv4 has one for all of them.
func (w *web) addr(family, link int) netip.Addr {
	host := w.links[link][1]
	if family == 4 || host == len(w.hosts)-1 {
		link = w.first[host]
	}
	return w.end(family, link, 2)
}

func (w *web) target(family int) netip.Addr { return w.end(family, w.first[len(w.hosts)-1], 2) }

// edges are the links between addresses, by TTL, that a trace should find.
func (w *web) edges(family int) []string {
	var list []string
	level := []int{0}
	for ttl := 1; len(level) > 0; ttl++ {
		var next []int
		for _, in := range level {
			for out, l := range w.links {
				if l[0] != w.links[in][1] {
					continue
				}
				list = append(list, fmt.Sprint(ttl, " ", w.addr(family, in), " ", w.addr(family, out)))
				if !slices.Contains(next, out) {
					next = append(next, out)
				}
			}
		}
		level = next
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// edges are those of a graph in the same form.
func edges(g trace.Graph) []string {
	var list []string
	for _, e := range g.Edges {
		a, b := g.Vertices[e.From], g.Vertices[e.To]
		list = append(list, fmt.Sprint(a.TTL, " ", a.Addr, " ", b.Addr))
	}
	slices.Sort(list)
	return list
}

// tracer is what all methods have.
type tracer interface {
	Multipath(context.Context, netip.Addr, *trace.MultipathOptions) (trace.Graph, error)
}

// prohibited is an address that no packet may leave for.
var prohibited = netip.MustParseAddr("10.77.0.1")

var tracers = map[string]tracer{"udp": trace.UDP{Options: quickly}, "tcp": trace.TCP{Options: quickly}, "icmp": trace.ICMP{Options: quickly}}

// explore runs on the client without any capability.
func (w *web) explore(t testing.TB, tr tracer, family int, o *trace.MultipathOptions) (g trace.Graph) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := w.hosts[0].DoUnprivileged(func() (err error) {
		g, err = tr.Multipath(ctx, w.target(family), o)
		return err
	})
	if err != nil {
		t.Errorf("%v\n%v", err, g)
	}
	return g
}

// quickly: routers of the lab do not limit their answers.
var quickly = trace.Options{Rate: 5000, MaxSilent: 3}

// surely makes a test fail by chance once in a thousand years.
func surely(a trace.Algorithm) *trace.MultipathOptions {
	return &trace.MultipathOptions{Algorithm: a, Failure: 1e-6}
}

// webs are what Linux routers build here.
var webs = map[string][][2]int{
	"three branches":   {{0, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 5}, {3, 5}, {4, 5}, {5, 6}},
	"two hops":         {{0, 1}, {1, 2}, {1, 3}, {2, 4}, {3, 5}, {4, 6}, {5, 6}, {6, 7}},
	"crossing":         {{0, 1}, {1, 2}, {1, 3}, {2, 4}, {2, 5}, {3, 4}, {3, 5}, {4, 6}, {5, 6}, {6, 7}},
	"nested":           {{0, 1}, {1, 2}, {1, 3}, {2, 4}, {3, 5}, {3, 6}, {4, 7}, {5, 8}, {6, 8}, {7, 9}, {8, 9}, {9, 10}},
	"unequal branches": {{0, 1}, {1, 2}, {1, 3}, {2, 4}, {3, 5}, {4, 5}},
}

// TestMultipathFindsWhatWasBuilt compares graphs with networks, both families,
// both algorithms, as an ordinary user.
func TestMultipathFindsWhatWasBuilt(t *testing.T) {
	for name, links := range webs {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, links, "1")
			for _, family := range []int{4, 6} {
				for _, a := range []trace.Algorithm{trace.AlgorithmLite, trace.AlgorithmMDA} {
					g := w.explore(t, tracers["udp"], family, surely(a))
					if !g.Reached || !g.Complete || g.Bound > g.Failure || g.End != trace.EndReached {
						t.Errorf("%v: reached %v, complete %v, bound %v, end %v", a, g.Reached, g.Complete, g.Bound, g.End)
					}
					if d := gocmp.Diff(w.edges(family), edges(g)); d != "" {
						t.Errorf("IPv%d %v (-built +found)\n%s\n%v", family, a, d, g)
					}
					if g.Source != w.end(family, 0, 1) || g.Elapsed <= 0 || g.Packets < g.Flows {
						t.Errorf("source %v, elapsed %v, %d packets of %d flows", g.Source, g.Elapsed, g.Packets, g.Flows)
					}
				}
			}
		})
	}
}

// TestMultipathFlows traces flows of a graph again: each takes the path told.
func TestMultipathFlows(t *testing.T) {
	w := newWeb(t, webs["crossing"], "1")
	for _, family := range []int{4, 6} {
		g := w.explore(t, tracers["udp"], family, &trace.MultipathOptions{Failure: 1e-6, Queries: 3})
		if len(g.Paths) != 4 {
			t.Fatalf("%d paths, want 4\n%v", len(g.Paths), g)
		}
		for _, p := range g.Paths {
			var want, got []netip.Addr
			for _, v := range p.Vertices {
				want = append(want, g.Vertices[v].Addr)
			}
			err := w.hosts[0].DoUnprivileged(func() error {
				path, err := trace.UDP{Options: trace.Options{SourcePort: uint16(p.Flows[0])}}.Trace(t.Context(), w.target(family))
				for _, h := range path.Hops {
					got = append(got, h.Addrs()...)
				}
				return err
			})
			if d := gocmp.Diff(want, got, cmpAddr); err != nil || d != "" {
				t.Errorf("flow %d: %v (-graph +trace)\n%s", p.Flows[0], err, d)
			}
			if p.Sent < 3 || p.Lost != 0 || p.Lowest <= 0 || p.Average < p.Lowest {
				t.Errorf("path %+v", p)
			}
		}
	}
}

// TestMultipathByAddress: routers that go by addresses alone, and all Linux
// routers where ICMP is concerned, send everything one way.
func TestMultipathByAddress(t *testing.T) {
	w := newWeb(t, webs["two hops"], "0")
	for method, tr := range tracers {
		g := w.explore(t, tr, 4, nil)
		if g.Width() != 1 || len(g.Vertices) != 5 || len(g.Paths) != 1 || len(g.Diamonds) != 0 || !g.Reached {
			t.Errorf("%s\n%v", method, g)
		}
	}
	if g := w.explore(t, tracers["udp"], 6, nil); g.Width() != 1 {
		t.Errorf("IPv6\n%v", g)
	}
	w = newWeb(t, webs["three branches"], "1")
	if g := w.explore(t, tracers["icmp"], 4, nil); g.Width() != 1 || !g.Reached {
		t.Errorf("ICMP by ports\n%v", g)
	}
	g := w.explore(t, tracers["tcp"], 4, surely(trace.AlgorithmLite))
	if d := gocmp.Diff(w.edges(4), edges(g)); d != "" || !g.Reached {
		t.Errorf("TCP (-built +found)\n%s", d)
	}
}

// TestMultipathBranches: one branch answers nothing, one loses packets.
func TestMultipathBranches(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	mute := w.hosts[2].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	drops := w.hosts[3].Filter(lab.Forward, lab.Rule{Proto: "udp", Share: 0.3})
	var both sync.WaitGroup
	for _, family := range []int{4, 6} {
		both.Go(func() {
			g := w.explore(t, tracers["udp"], family, &trace.MultipathOptions{Failure: 1e-5, Queries: 40})
			w.branches(t, family, g)
		})
	}
	both.Wait()
	if mute.Packets() == 0 || drops.Packets() == 0 {
		t.Errorf("the faults took %d and %d packets", mute.Packets(), drops.Packets())
	}
}

// branches holds a graph to what TestMultipathBranches has built.
func (w *web) branches(t *testing.T, family int, g trace.Graph) {
	if !g.Reached || g.Width() != 3 || len(g.Paths) != 3 {
		t.Errorf("IPv%d: %d paths\n%v", family, len(g.Paths), g)
		return
	}
	for _, p := range g.Paths {
		v := g.Vertices[p.Vertices[1]]
		lossy := v.Addr == w.addr(family, 2)
		share := float64(p.Lost) / float64(p.Sent)
		if lossy != (share > 0) || share > 0.65 {
			t.Errorf("%d of %d lost by %v", p.Lost, p.Sent, v.Addr)
		}
		if !lossy && v.Lost > 0 && !v.Silent() {
			t.Errorf("%v lost %d", v.Addr, v.Lost)
		}
	}
	silent := slices.DeleteFunc(slices.Clone(g.Vertices), func(v trace.Vertex) bool { return !v.Silent() })
	if len(silent) != 1 || silent[0].TTL != 2 || silent[0].Outcome != trace.OutcomeSilent {
		t.Errorf("silent: %+v", silent)
	}
}

// TestMultipathRateLimit: a router that answers once a second is found whole.
func TestMultipathRateLimit(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	for _, i := range []int{1, 2, 3, 4} {
		w.hosts[i].Sysctl("net/ipv4/icmp_ratelimit", "300")
	}
	g := w.explore(t, tracers["udp"], 4, &trace.MultipathOptions{Failure: 1e-4})
	if !g.Complete {
		t.Error("not complete")
	}
	if d := gocmp.Diff(w.edges(4), edges(g)); d != "" {
		t.Errorf("(-built +found)\n%s\n%v", d, g)
	}
}

func TestGraphOrder(t *testing.T) {
	w := newWeb(t, webs["three branches"], "1")
	g := w.explore(t, tracers["udp"], 4, surely(trace.AlgorithmLite))
	if !slices.IsSortedFunc(g.Vertices, func(a, b trace.Vertex) int { return cmp.Compare(a.TTL, b.TTL) }) {
		t.Errorf("%v", g)
	}
	if len(g.Diamonds) != 1 || g.Diamonds[0].Width != 3 || g.Diamonds[0].Length() != 2 || g.Diamonds[0].FirstTTL != 1 {
		t.Errorf("%+v", g.Diamonds)
	}
}
