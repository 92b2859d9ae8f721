package trace_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// diamond has three routers side by side as the second hop. Everything comes
// back over the first of them, so that two of three paths are asymmetric.
func diamond(t testing.TB) *web {
	t.Helper()
	return newWeb(t, [][2]int{{0, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 5}, {3, 5}, {4, 5}, {5, 6}}, "1")
}

// diamondHops are who answers at each distance. Linux answers IPv6 with the
// address that the packet came to, and IPv4 with one for all.
func (w *web) diamondHops(family int) [][]netip.Addr {
	at := func(links ...int) (addrs []netip.Addr) {
		for _, k := range links {
			if a := w.addr(family, k); !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		return addrs
	}
	return [][]netip.Addr{at(0), at(1, 2, 3), at(4, 5, 6), at(7)}
}

// checkDiamond compares a path with what was built and returns who answered
// second.
func (w *web) checkDiamond(t testing.TB, family int, p trace.Path, err error) []netip.Addr {
	t.Helper()
	hops := w.diamondHops(family)
	if err != nil || p.Distance() != len(hops) { // resets may come from beyond
		t.Errorf("%v IPv%d: %v, %v", p.Method, family, err, words(p))
		return nil
	}
	for i, h := range p.Hops[:len(hops)] {
		addrs := h.Addrs()
		for _, a := range addrs {
			if !slices.Contains(hops[i], a) {
				t.Errorf("%v IPv%d: %v at TTL %d", p.Method, family, a, h.TTL)
			}
		}
		if p.Flow == trace.FlowConstant && len(addrs) != 1 {
			t.Errorf("%v IPv%d: one flow took several paths: %v", p.Method, family, words(p))
		}
	}
	return p.Hops[1].Addrs()
}

// TestSharedPath traces over routers that share traffic by flow, as Linux does
// (fib_multipath_hash_policy 1), with answers that come back another way. A
// trace of one flow sees one path; those of other flows see the others.
func TestSharedPath(t *testing.T) {
	w := diamond(t)
	e, err := trace.Open(&trace.EngineOptions{NetNS: w.hosts[0].NetNSFD()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, family := range []int{4, 6} {
		want := w.diamondHops(family)[1]
		for m := range lastWords {
			runs := 40
			if m == trace.MethodICMP {
				runs = 4 // Linux shares echo requests by address
			}
			seen := map[string][]netip.Addr{}
			for i := range runs {
				o := trace.Options{Queries: 3, Port: uint16(33434 + i)}
				var p trace.Path
				err := w.hosts[0].DoUnprivileged(func() (err error) {
					p, err = unprivileged(m, o).Trace(t.Context(), w.target(family))
					return err
				})
				seen["unprivileged"] = append(seen["unprivileged"], w.checkDiamond(t, family, p, err)...)
				p, err = e.Tracer(m, o).Trace(t.Context(), w.target(family))
				seen["engine"] = append(seen["engine"], w.checkDiamond(t, family, p, err)...)
			}
			for name, got := range seen {
				slices.SortFunc(got, netip.Addr.Compare)
				got = slices.Compact(got)
				if d := cmp.Diff(want, got, cmpAddr); d != "" && m != trace.MethodICMP {
					t.Errorf("%v %s IPv%d: second hops (-want +got)\n%s", m, name, family, d)
				}
			}
		}
	}
}

// TestSharedPathAgainstTraceroute compares with who the installed traceroute
// finds with many flows.
func TestSharedPathAgainstTraceroute(t *testing.T) {
	if _, err := exec.LookPath("traceroute"); err != nil {
		t.Skip("needs traceroute")
	}
	w := diamond(t)
	for _, family := range []int{4, 6} {
		var theirs, ours []string
		for range 6 {
			out, err := w.hosts[0].Output("traceroute", fmt.Sprintf("-%d", family), "-n", "-q10", w.target(family).String())
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(out)) {
				f := strings.Fields(line)
				if len(f) == 0 || f[0] == "traceroute" {
					continue
				}
				for _, word := range f[1:] {
					if a, err := netip.ParseAddr(word); err == nil {
						theirs = append(theirs, f[0]+" "+a.String())
					}
				}
			}
		}
		for range 40 {
			var p trace.Path
			err := w.hosts[0].DoUnprivileged(func() (err error) {
				p, err = trace.UDP{}.Trace(t.Context(), w.target(family))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range p.Hops {
				for _, a := range h.Addrs() {
					ours = append(ours, fmt.Sprint(h.TTL, " ", a))
				}
			}
		}
		for _, list := range []*[]string{&theirs, &ours} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
		if d := cmp.Diff(theirs, ours); d != "" {
			t.Errorf("IPv%d (-traceroute +ours)\n%s", family, d)
		}
	}
}

// TestLongPathAgainstTraceroute is 29 routers and a server, of which five
// routers are silent, hop by hop by every method.
func TestLongPathAgainstTraceroute(t *testing.T) {
	if _, err := exec.LookPath("traceroute"); err != nil {
		t.Skip("needs traceroute")
	}
	c := newChain(t, 29)
	for _, n := range []int{2, 11, 12, 20, 29} {
		c.routers[n-1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	}
	var wg sync.WaitGroup
	for method := range methods {
		for _, family := range []int{4, 6} {
			wg.Go(func() { c.longPath(t, method, family) })
		}
	}
	wg.Wait()
}

func (c *chain) longPath(t *testing.T, method string, family int) {
	args := []string{"-n", "-q1", "-w2", "-m30", fmt.Sprintf("-%d", family)}
	switch method {
	case "tcp":
		args = append(args, "-T")
	case "icmp":
		args = append(args, "-I")
	}
	out, err := c.client.Output("traceroute", append(args, c.target(family).String())...)
	if err != nil {
		t.Error(err)
		return
	}
	var theirs []string
	for _, m := range tracerouteLine.FindAllStringSubmatch(string(out), -1) {
		theirs = append(theirs, m[2])
	}
	ours, err := c.likeTraceroute(t, method, family)
	if d := cmp.Diff(theirs, ours[:min(len(ours), 30)]); d != "" || err != nil || len(theirs) != 30 {
		t.Errorf("%s IPv%d: %v (-traceroute +ours)\n%s", method, family, err, d)
	}
}
