package lab_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// traceroute returns the addresses that answer, hop by hop.
func traceroute(t *testing.T, h *lab.Host, dst netip.Addr) (hops []string) {
	t.Helper()
	need(t, "traceroute")
	out, err := h.Output("traceroute", "-n", "-q1", "-w2", "-N1", dst.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ *\d+  (\S+)`).FindAllStringSubmatch(string(out), -1) {
		hops = append(hops, m[1])
	}
	return hops
}

func TestChain(t *testing.T) {
	t.Parallel()
	for _, routers := range []int{0, 1, 2, 4} {
		p := lab.Chain(t, routers)
		if len(p.Routers) != routers || len(p.Links) != routers+1 {
			t.Fatalf("%d routers, %d links", len(p.Routers), len(p.Links))
		}
		for _, hops := range [][]netip.Addr{p.Hops4, p.Hops6} {
			var want []string
			for _, a := range hops {
				want = append(want, a.String())
			}
			if diff := cmp.Diff(want, traceroute(t, p.Client, hops[routers])); diff != "" {
				t.Errorf("%d routers, seed %d: %s", routers, p.Seed, diff)
			}
		}
		// And from every router to the client and the server.
		for _, r := range p.Routers {
			for _, a := range []netip.Addr{p.Links[0].A.Addr4(), p.Links[0].A.Addr6(), p.Hops4[routers], p.Hops6[routers]} {
				if !pings(t, r, a.String()) {
					t.Errorf("%s does not reach %v", r.Name, a)
				}
			}
		}
	}
}

func TestChainWithWire(t *testing.T) {
	t.Parallel()
	p := lab.TwoNets(t, lab.WireAt{Link: 1, Out: lab.Impair{Loss: 1}})
	if p.Wires[0] != nil || p.Wires[1] == nil {
		t.Fatalf("wires: %v", p.Wires)
	}
	if pings(t, p.Client, p.Hops4[1].String()) || !pings(t, p.Client, p.Hops4[0].String()) {
		t.Error("the second link is not the one with the losses")
	}
	p.Wires[1].Set(lab.Impair{}, lab.Impair{})
	p.Links[1].Down()
	p.Links[1].Up()
	p.Server.Route("default", p.Links[1].A.Addr4().String()) // was lost with the interface
	if !pings(t, p.Client, p.Hops4[1].String()) {
		t.Error("nothing passes")
	}
}

func TestSeed(t *testing.T) {
	t.Setenv("NETSONDE_SEED", "42")
	a, b := lab.Chain(t, 1), lab.Chain(t, 1)
	if diff := cmp.Diff(a.Hops6, b.Hops6, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); diff != "" || a.Client.Name != b.Client.Name {
		t.Errorf("the same seed gives another network: %s", diff)
	}
	t.Setenv("NETSONDE_SEED", "")
	if c := lab.Chain(t, 1); c.Seed == a.Seed || c.Hops4[1] == a.Hops4[1] {
		t.Error("no seed gives the same network")
	}
}

func TestLAN(t *testing.T) {
	t.Parallel()
	s := lab.LAN(t, 3)
	for _, p := range s.Ports[1:] {
		for _, a := range []netip.Addr{p.Addr4(), p.Addr6()} {
			if !pings(t, s.Hosts[0], a.String()) {
				t.Errorf("%v does not answer", a)
			}
		}
		if !s.Net4.Contains(p.Addr4()) || !s.Net6.Contains(p.Addr6()) {
			t.Errorf("addresses %v outside %v and %v", p.Prefixes, s.Net4, s.Net6)
		}
	}
	s.Switch.Isolate(s.SwitchPorts[0], true)
	s.Switch.Isolate(s.SwitchPorts[1], true)
	if pings(t, s.Hosts[0], s.Ports[1].Addr4().String()) {
		t.Error("isolated hosts reach each other")
	}
	if out, err := s.Hosts[0].Output("ip", "neigh"); err != nil || !strings.Contains(string(out), s.Ports[2].Addr4().String()) {
		t.Errorf("neighbours: %s, %v", out, err)
	}
}
