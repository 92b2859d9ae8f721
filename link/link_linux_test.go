package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/netsonde/netsonde/internal/lab"
)

// find returns the link of that name.
func find(t *testing.T, links []Link, name string) Link {
	t.Helper()
	for _, l := range links {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no interface %s", name)
	return Link{}
}

func TestLoopback(t *testing.T) {
	l, err := Get(t.Context(), "lo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Index != 1 || !l.Loopback() || l.Type != TypeLoopback {
		t.Errorf("got index %d, flags %v, type %v", l.Index, l.Flags, l.Type)
	}
}

func TestAbsent(t *testing.T) {
	for _, name := range []string{"", "nosuchiface0", "nosuchinterfacewithalongname0", strings.Repeat("x", 300)} {
		_, err := Get(t.Context(), name, nil)
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Get(%q): got %v, want os.ErrNotExist", name, err)
		}
		if op, ok := errors.AsType[*OpError](err); !ok || op.Target != name {
			t.Errorf("Get(%q): got %#v, want an OpError about it", name, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, list := List(ctx, nil)
	_, get := Get(ctx, "lo", nil)
	_, recorded := Recorded{}.Inspect(ctx)
	for name, err := range map[string]error{"List": list, "Get": get, "Recorded": recorded} {
		if !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want the cause", name, err)
		}
	}
}

func TestBadNamespace(t *testing.T) {
	if _, err := List(t.Context(), &Options{NetNS: 1 << 20}); err == nil {
		t.Error("listed a namespace that is none")
	}
}

func TestCarrier(t *testing.T) {
	l := lab.New(t)
	a, b := l.Host("a"), l.Host("b")
	port := a.Port("eth0")
	l.Connect(port, b.Port("eth0"))
	state := func() (Carrier, bool) {
		t.Helper()
		eth0 := find(t, inspect(t, a), "eth0")
		return eth0.Carrier, eth0.AdminUp()
	}
	for _, step := range []struct {
		what string
		do   func()
		want Carrier
		up   bool
	}{
		{"connected", func() {}, CarrierOn, true},
		{"unplugged", port.Unplug, CarrierOff, true},
		{"plugged", port.Plug, CarrierOn, true},
		{"set down", func() { a.Down("eth0") }, CarrierUnknown, false},
		{"set up", func() { a.Up("eth0") }, CarrierOn, true},
	} {
		step.do()
		if c, up := state(); c != step.want || up != step.up {
			t.Errorf("%s: carrier %v, up %v; want %v, %v", step.what, c, up, step.want, step.up)
		}
	}
}

func TestGet(t *testing.T) {
	l := lab.New(t)
	h := l.Host("h")
	port := h.Port("eth0", "10.1.0.1/24", "fd00:1::1/64")
	l.Connect(port, l.Host("peer").Port("eth0"))
	h.Netlink().LinkAddAltName(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: port.Index()}}, "short")
	const long = "a_name_that_is_longer_than_sixteen_bytes"
	h.Netlink().LinkAddAltName(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: port.Index()}}, long)
	want := find(t, inspect(t, h), "eth0")
	if d := cmp.Diff([]string{"short", long}, want.AltNames, cmpopts.SortSlices(strings.Compare)); d != "" {
		t.Errorf("alternative names (-want +got):\n%s", d)
	}
	// From outside, through the descriptor of the namespace.
	o := &Options{NetNS: h.NetNSFD(), VFs: true}
	for _, name := range []string{"eth0", "short", long} {
		got, err := Get(t.Context(), name, o)
		if err != nil {
			t.Fatal(err)
		}
		// Counters go on counting.
		got.Counters, got.IPv6, want.Counters, want.IPv6 = Counters{}, nil, Counters{}, nil
		if d := cmp.Diff(want, got, compareAddrs); d != "" {
			t.Errorf("Get(%q) (-list +get):\n%s", name, d)
		}
	}
	links, err := Netlink{NetNS: h.NetNSFD()}.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []netip.Prefix
	for _, a := range find(t, links, "eth0").Addresses {
		if a.Scope == ScopeGlobal {
			prefixes = append(prefixes, a.Prefix)
		}
	}
	wantPrefixes := []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24"), netip.MustParsePrefix("fd00:1::1/64")}
	if d := cmp.Diff(wantPrefixes, prefixes, compareAddrs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSettings(t *testing.T) {
	h := lab.New(t).Host("h")
	h.Sysctl("net/ipv4/conf/lo/rp_filter", "2")
	h.Sysctl("net/ipv6/conf/lo/accept_ra", "0")
	err := h.Do(func() error {
		lo, err := Get(t.Context(), "lo", nil)
		if err != nil {
			return err
		}
		checked := 0
		for i, v := range lo.IPv4.Settings {
			checked += sameSetting(t, "ipv4", placeName(ipv4Settings, i), v)
		}
		for i, v := range lo.IPv6.Settings {
			checked += sameSetting(t, "ipv6", placeName(ipv6Settings, i), v)
		}
		if checked < 60 {
			t.Errorf("only %d settings were there to compare", checked)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sameSetting compares with the sysctl of that name, where there is one in the
// same unit, and returns 1.
func sameSetting(t *testing.T, family, name string, got int32) int {
	if strings.HasPrefix(name, "#") {
		return 0 // a newer kernel's
	}
	for _, other := range []string{"_interval", "_delay", "stable_secret", "medium_id", "ra_defrtr_metric"} {
		if strings.Contains(name, other) {
			return 0
		}
	}
	text, err := os.ReadFile("/proc/sys/net/" + family + "/conf/lo/" + name)
	if err != nil {
		t.Logf("%s: %v", family, err)
		return 0
	}
	want, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || got != int32(want) {
		t.Errorf("%s %s: got %d, want %s", family, name, got, text)
	}
	return 1
}

func TestRecorded(t *testing.T) {
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), l.Host("peer").Port("eth0"))
	needsIP(t)
	for _, args := range []string{"br0 type bridge", "mv0 link eth0 type macvlan", "vx0 type vxlan id 5 dstport 4789"} {
		if _, err := h.Output("ip", append([]string{"link", "add"}, strings.Fields(args)...)...); err != nil {
			t.Log(err) // a kind that this kernel has not
		}
	}
	links := inspect(t, h)
	saved, err := json.Marshal(Recorded(links))
	if err != nil {
		t.Fatal(err)
	}
	var back Recorded
	if err := json.Unmarshal(saved, &back); err != nil {
		t.Fatal(err)
	}
	var source Inspector = back
	got, err := source.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(links, got, compareAddrs, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-seen +recorded):\n%s", d)
	}
}

func TestChurn(t *testing.T) {
	l := lab.New(t)
	h := l.Host("h")
	port := h.Port("eth0", "10.1.0.1/24")
	l.Connect(port, l.Host("peer").Port("eth0"))
	dev := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: port.Index()}}
	addr := func(a net.IP) *netlink.Addr { return &netlink.Addr{IPNet: netlink.NewIPNet(a)} }
	lab.UnderChurn(t, func(a net.IP) error { return h.Netlink().AddrAdd(dev, addr(a)) }, func(a net.IP) error { return h.Netlink().AddrDel(dev, addr(a)) },
		func() (addrs []netip.Addr, err error) {
			links, err := List(t.Context(), &Options{NetNS: h.NetNSFD()})
			for _, l := range links {
				for _, a := range l.Addresses {
					addrs = append(addrs, a.Prefix.Addr())
				}
			}
			return addrs, err
		})
}

func BenchmarkList(b *testing.B) {
	l := lab.New(b)
	h := l.Host("h")
	for i := range 50 {
		l.Connect(h.Port(fmt.Sprintf("a%d", i), fmt.Sprintf("10.%d.0.1/24", i)), h.Port(fmt.Sprintf("b%d", i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		links, err := List(b.Context(), &Options{NetNS: h.NetNSFD()})
		if err != nil || len(links) != 101 {
			b.Fatal(len(links), err)
		}
	}
}
