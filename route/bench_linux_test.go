package route

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/netsonde/netsonde/internal/lab"
)

// thousands returns a host with n routes to prefixes of 24 bits.
func thousands(b *testing.B, n int) *lab.Host {
	h := three(b)
	index := 0
	if l, err := h.Netlink().LinkByName("eth0"); err == nil {
		index = l.Attrs().Index
	}
	for i := range n {
		dst := netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0})
		if err := addRoute(h, dst, index); err != nil {
			b.Fatal(err)
		}
	}
	return h
}

func addRoute(h *lab.Host, dst netip.Addr, index int) error {
	return h.Netlink().RouteAdd(routeTo(dst.As4(), index))
}

func routeTo(dst [4]byte, index int) *netlink.Route {
	return &netlink.Route{LinkIndex: index, Gw: net.IPv4(10, 1, 0, 9), Dst: &net.IPNet{IP: dst[:], Mask: net.CIDRMask(24, 32)}}
}

func BenchmarkAll10k(b *testing.B) {
	h := thousands(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range All(b.Context(), &Options{NetNS: h.NetNSFD(), Family: FamilyIPv4}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n < 10000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkList10k(b *testing.B) {
	h := thousands(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		routes, err := List(b.Context(), &Options{NetNS: h.NetNSFD(), Family: FamilyIPv4})
		if err != nil || len(routes) < 10000 {
			b.Fatal(len(routes), err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	dst := netip.MustParseAddr("127.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Lookup(b.Context(), dst, nil); err != nil {
			b.Fatal(err)
		}
	}
}
