package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// list returns the routes that a host sees, without privileges.
func listed(t *testing.T, h *lab.Host, o *Options) []Route {
	t.Helper()
	var routes []Route
	err := h.DoUnprivileged(func() (err error) {
		routes, err = List(t.Context(), o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

// short tells routes in a word each.
func short(routes []Route) []string {
	var s []string
	for _, r := range routes {
		s = append(s, fmt.Sprint(r.Type, " ", r.Dst))
	}
	slices.Sort(s)
	return s
}

func TestFilters(t *testing.T) {
	needsIP(t)
	h := three(t)
	batch(h, `route add 10.100.0.0/16 via 10.1.0.9 table 100 proto bird
route add 10.101.0.0/16 via 10.2.0.9 table 100 proto static
route add blackhole 10.102.0.0/16 table 70000
route add 10.103.0.0/16 table 100 nexthop via 10.1.0.9 nexthop via 10.2.0.9
-6 route add fd64::/16 via fd00:1::9 table 100 proto bird
`)
	eth1 := portIndex(t, h, "eth1")
	for _, tc := range []struct {
		name string
		o    Options
		want []string
	}{
		{"table", Options{Table: 100}, []string{"unicast 10.100.0.0/16", "unicast 10.101.0.0/16", "unicast 10.103.0.0/16", "unicast fd64::/16"}},
		{"table and family", Options{Table: 100, Family: FamilyIPv6}, []string{"unicast fd64::/16"}},
		{"wide table", Options{Table: 70000}, []string{"blackhole 10.102.0.0/16"}},
		{"no such table", Options{Table: 4711}, nil},
		{"protocol", Options{Protocol: ProtocolBird}, []string{"unicast 10.100.0.0/16", "unicast fd64::/16"}},
		{"type", Options{Type: TypeBlackhole}, []string{"blackhole 10.102.0.0/16"}},
		{"interface, multipath too", Options{OIF: eth1, Table: 100}, []string{"unicast 10.101.0.0/16", "unicast 10.103.0.0/16"}},
		{"all of them", Options{OIF: eth1, Table: 100, Protocol: ProtocolStatic, Type: TypeUnicast, Family: FamilyIPv4}, []string{"unicast 10.101.0.0/16"}},
		{"nothing learnt", Options{Exceptions: true}, nil},
	} {
		if d := cmp.Diff(tc.want, short(listed(t, h, &tc.o))); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
	_, err := List(t.Context(), &Options{NetNS: h.NetNSFD(), OIF: 4711})
	if !errors.Is(err, syscall.ENODEV) {
		t.Errorf("no such interface: got %v", err)
	}
}

func TestNextHopsAreAlwaysThere(t *testing.T) {
	needsIP(t)
	h := three(t)
	batch(h, nextHops)
	refused := batch(h, `route add 10.100.0.0/16 nhid 1
route add 10.101.0.0/16 nhid 3
route add blackhole 10.102.0.0/16
-6 route add fd64::/16 nhid 11
-6 route add fd65::/16 nhid 13
`)
	if refused != "" {
		t.Skip("needs next hop objects (Linux 5.3): ", refused)
	}
	told := listed(t, h, nil)
	for _, r := range told {
		if len(r.NextHops) == 0 {
			t.Errorf("%v has no next hop", r.Dst)
		}
	}
	// The same without the kernel's help.
	h.Sysctl("net/ipv4/nexthop_compat_mode", "0")
	found := listed(t, h, nil)
	for i, r := range found {
		// What the object alone does not tell.
		found[i].Scope, found[i].Flags = told[i].Scope, told[i].Flags
		for j := range r.NextHops {
			r.NextHops[j].Flags = told[i].NextHops[j].Flags
		}
	}
	if d := cmp.Diff(told, found, compareAddrs); d != "" {
		t.Errorf("(-told +found):\n%s", d)
	}
	hops := func(dst string) []string {
		for _, r := range found {
			if r.Dst == netip.MustParsePrefix(dst) {
				var s []string
				for _, h := range r.NextHops {
					s = append(s, fmt.Sprint(h.Gateway.WithZone(""), " ", h.Device, " ", h.Weight))
				}
				return s
			}
		}
		return nil
	}
	for dst, want := range map[string][]string{
		"10.100.0.0/16": {"10.1.0.9 eth0 1"},
		"10.101.0.0/16": {"10.1.0.9 eth0 5", "10.2.0.9 eth1 9"},
		"fd64::/16":     {"fd00:1::9 eth0 1"},
		"fd65::/16":     {"fd00:1::9 eth0 7", "fe80::7 eth1 200"},
	} {
		if d := cmp.Diff(want, hops(dst)); d != "" {
			t.Errorf("%s (-want +got):\n%s", dst, d)
		}
	}
}

func TestLearntPathMTU(t *testing.T) {
	l := lab.New(t)
	client, router, server := l.Host("client"), l.Router("router"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), router.Port("a", "10.1.0.1/24"))
	l.Connect(router.Port("b", "10.2.0.1/24"), server.Port("eth0", "10.2.0.2/24"))
	client.Route("default", "10.1.0.1")
	router.MTU("b", 1280)
	server.MTU("eth0", 1280)
	err := client.Do(func() error {
		c, err := net.Dial("udp4", "10.2.0.2:9")
		if err != nil {
			return err
		}
		defer c.Close()
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			return err
		}
		raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
		})
		if err != nil {
			return err
		}
		for range 200 { // until the router's answer is there
			c.Write(make([]byte, 1400))
			learnt, err := List(t.Context(), &Options{Exceptions: true})
			if err != nil {
				return err
			}
			for _, r := range learnt {
				if r.Dst == netip.MustParsePrefix("10.2.0.2/32") && r.MTU == 1280 && r.Expires > 0 && r.Flags&FlagCloned != 0 {
					return nil
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return errors.New("the path MTU is not among the exceptions")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAll(t *testing.T) {
	h := three(t)
	o := &Options{NetNS: h.NetNSFD()}
	want, err := List(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var got []Route
	for r, err := range All(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	for _, routes := range [][]Route{want, got} {
		for i := range routes {
			routes[i].LastUse, routes[i].Refs, routes[i].Used = 0, 0, 0
		}
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Errorf("(-list +all):\n%s", d)
	}
	// The leak check of TestMain sees what breaking out leaves behind.
	for range All(t.Context(), o) {
		break
	}
	// Nothing more is told after a break, even when the context has ended by then.
	ended, end := context.WithCancel(t.Context())
	defer end()
	for range All(ended, o) {
		end()
		break
	}
	ended, end = context.WithCancel(t.Context())
	defer end()
	for range Watch(ended, &WatchOptions{NetNS: o.NetNS}) {
		end()
		break
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cause := errors.New("enough")
	n := 0
	var last error
	for _, err := range All(ctx, o) {
		n++
		cancel(cause)
		last = err
	}
	if !errors.Is(last, cause) {
		t.Errorf("after %d pairs: got %v, want the cause", n, last)
	}
	for _, err := range All(t.Context(), &Options{NetNS: 1 << 20}) {
		if err == nil {
			t.Error("read a namespace that is none")
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, list := List(ctx, nil)
	_, rules := Rules(ctx, nil)
	_, neighbors := Neighbors(ctx, nil)
	_, lookup := Lookup(ctx, netip.MustParseAddr("127.0.0.1"), nil)
	for name, err := range map[string]error{"List": list, "Rules": rules, "Neighbors": neighbors, "Lookup": lookup} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, ok := errors.AsType[*OpError](err); !ok {
			t.Errorf("%s: %T", name, err)
		}
	}
}

func TestNeighborFilters(t *testing.T) {
	needsIP(t)
	h := three(t)
	batch(h, `neigh add 10.1.0.50 lladdr 02:00:00:00:00:01 dev eth0
neigh add 10.2.0.50 lladdr 02:00:00:00:00:02 dev eth1 nud stale
neigh add proxy 10.1.0.99 dev eth0
neigh add proxy 10.2.0.99 dev eth1
-6 neigh add fe80::50 lladdr 02:00:00:00:00:03 dev eth1
-6 neigh add proxy fd00:1::99 dev eth0
`)
	eth1 := portIndex(t, h, "eth1")
	for _, tc := range []struct {
		name string
		o    NeighborOptions
		want []string
	}{
		{"interface", NeighborOptions{OIF: eth1}, []string{"10.2.0.50 eth1 02:00:00:00:00:02 stale", fmt.Sprintf("fe80::50%%%d eth1 02:00:00:00:00:03 permanent", eth1)}},
		{"family", NeighborOptions{OIF: eth1, Family: FamilyIPv4}, []string{"10.2.0.50 eth1 02:00:00:00:00:02 stale"}},
		{"proxies", NeighborOptions{Proxies: true}, []string{"10.1.0.99 eth0  none", "10.2.0.99 eth1  none", "fd00:1::99 eth0  none"}},
		{"proxies of an interface", NeighborOptions{Proxies: true, OIF: eth1}, []string{"10.2.0.99 eth1  none"}},
	} {
		tc.o.NetNS = h.NetNSFD()
		list, err := Neighbors(t.Context(), &tc.o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range list {
			if !n.Addr.IsMulticast() {
				got = append(got, fmt.Sprint(n.Addr, " ", n.Device, " ", n.HardwareAddr, " ", n.State))
			}
			if proxy := n.Flags&NeighborProxy != 0; proxy != tc.o.Proxies {
				t.Errorf("%s: %v has flags %v", tc.name, n.Addr, n.Flags)
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

func TestNeighborStates(t *testing.T) {
	l := lab.New(t)
	a, b := l.Host("a"), l.Host("b")
	l.Connect(a.Port("eth0", "10.1.0.1/24"), b.Port("eth0", "10.1.0.2/24"))
	state := func(addr string) NeighborState {
		t.Helper()
		list, err := Neighbors(t.Context(), &NeighborOptions{NetNS: a.NetNSFD(), Family: FamilyIPv4})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			if n.Addr == netip.MustParseAddr(addr) {
				return n.State
			}
		}
		return NeighborNone
	}
	err := a.Do(func() error {
		for _, addr := range []string{"10.1.0.2:9", "10.1.0.99:9"} {
			c, err := net.Dial("udp4", addr)
			if err != nil {
				return err
			}
			defer c.Close()
			c.Write([]byte("x"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if state("10.1.0.2").Usable() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if s := state("10.1.0.2"); s != NeighborReachable && s != NeighborDelay && s != NeighborStale {
		t.Errorf("the one that is there: %v", s)
	}
	if s := state("10.1.0.99"); s != NeighborIncomplete && s != NeighborFailed || s.Usable() {
		t.Errorf("the one that is not: %v", s)
	}
}
