package diagnose

import (
	"net/netip"
	"testing"

	"github.com/netsonde/netsonde/route"
)

// TestWideLease trusts what a DHCP server gave.
func TestWideLease(t *testing.T) {
	e := evidence{
		peer: peer{addr: netip.MustParseAddr("172.31.28.9")}, iface: "eth0", prefixes: []netip.Prefix{netip.MustParsePrefix("172.31.20.5/20")},
		gateways: []netip.Addr{netip.MustParseAddr("172.31.16.1")},
	}
	if _, _, ok := e.wide(); !ok {
		t.Error("a /20 that was typed in is not suspicious")
	}
	e.leased = e.prefixes
	if p, small, ok := e.wide(); ok {
		t.Errorf("a /20 by DHCP: %v, %v", p, small)
	}
}

// TestWide tells a prefix that is too short from a wide network that is in use.
func TestWide(t *testing.T) {
	neighbor := func(addr string, s route.NeighborState) route.Neighbor {
		return route.Neighbor{Addr: netip.MustParseAddr(addr), Device: "eth0", State: s}
	}
	for name, c := range map[string]struct {
		own, gateway, peer string
		neighbors          []route.Neighbor
		want               string // the network that would do; "" when nothing is suspicious
	}{
		"a /16 where a /24 would do":          {own: "10.1.2.3/16", gateway: "10.1.2.1", peer: "10.1.9.9", want: "10.1.2.0/24"},
		"the same network after all":          {own: "10.1.2.3/16", gateway: "10.1.2.1", peer: "10.1.2.99"},
		"a /24":                               {own: "10.1.2.3/24", gateway: "10.1.2.1", peer: "10.1.2.200"},
		"a gateway in another part":           {own: "10.1.2.3/16", gateway: "10.1.0.1", peer: "10.1.3.9"},
		"no gateway there":                    {own: "10.1.2.3/16", gateway: "192.0.2.1", peer: "10.1.9.9"},
		"the gateway itself":                  {own: "10.1.2.3/16", gateway: "10.1.9.9", peer: "10.1.9.9"},
		"a gateway that is dead too":          {own: "10.1.2.3/16", gateway: "10.1.2.1", peer: "10.1.9.9", neighbors: []route.Neighbor{neighbor("10.1.2.1", route.NeighborFailed)}},
		"somebody answered there":             {own: "10.1.2.3/16", gateway: "10.1.2.1", peer: "10.1.9.9", neighbors: []route.Neighbor{neighbor("10.1.9.7", route.NeighborStale)}},
		"nobody answered there":               {own: "10.1.2.3/16", gateway: "10.1.2.1", peer: "10.1.9.9", neighbors: []route.Neighbor{neighbor("10.1.9.7", route.NeighborFailed)}, want: "10.1.2.0/24"},
		"IPv6, a /48 where a /64 would do":    {own: "2001:db8:1:2::3/48", gateway: "2001:db8:1:2::1", peer: "2001:db8:1:9::9", want: "2001:db8:1:2::/64"},
		"IPv6, with a link-local gateway":     {own: "2001:db8:1:2::3/48", gateway: "fe80::1%eth0", peer: "2001:db8:1:9::9", want: "2001:db8:1:2::/64"},
		"IPv6, a gateway on another link":     {own: "2001:db8:1:2::3/48", gateway: "fe80::1%eth1", peer: "2001:db8:1:9::9"},
		"IPv6, the same network after all":    {own: "2001:db8:1:2::3/48", gateway: "2001:db8:1:2::1", peer: "2001:db8:1:2::9"},
		"IPv4 peer, an IPv6 gateway, no more": {own: "10.1.2.3/16", gateway: "2001:db8::1", peer: "10.1.9.9"},
	} {
		e := evidence{
			peer: peer{addr: netip.MustParseAddr(c.peer)}, iface: "eth0", prefixes: []netip.Prefix{netip.MustParsePrefix(c.own)},
			gateways: []netip.Addr{netip.MustParseAddr(c.gateway)}, neighbors: c.neighbors,
		}
		p, small, ok := e.wide()
		if got := small.String(); ok != (c.want != "") || ok && (got != c.want || p.String() != c.own) {
			t.Errorf("%s: %v, %v, %v, want %q", name, p, small, ok, c.want)
		}
	}
}

func TestCommon(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"10.1.2.3", "10.1.2.3", 32}, {"10.1.2.3", "10.1.2.1", 30}, {"10.1.2.3", "138.1.2.3", 0}, {"2001:db8::1", "2001:db9::1", 31},
	} {
		if got := common(netip.MustParseAddr(c.a), netip.MustParseAddr(c.b)); got != c.want {
			t.Errorf("%s and %s share %d bits, want %d", c.a, c.b, got, c.want)
		}
	}
}
