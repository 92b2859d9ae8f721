package main

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/route"
)

// mainTable is RT_TABLE_MAIN.
const mainTable = 254

// printer writes net-tools' tables.
type printer struct {
	extend   int
	names    *cli.Names // nil: numbers
	networks map[netip.Addr]string
}

// ask has every name looked for.
func (p *printer) ask(lists ...[]route.Route) {
	for _, r := range slices.Concat(lists...) {
		if r.Dst.Addr().Is6() || r.Dst.IsSingleIP() {
			p.host(r.Dst.Addr())
		}
		for _, hop := range r.NextHops {
			p.host(hop.Gateway)
		}
	}
}

// host returns the name of an address, as far as it is known by now.
func (p *printer) host(a netip.Addr) string {
	a = a.WithZone("")
	switch {
	case p.names == nil:
	case a == netip.IPv6Unspecified():
		return "[::]"
	case a.IsValid() && !a.IsUnspecified():
		if name := p.names.Host(a); name != "" {
			return cli.Escape(name)
		}
	}
	return a.String()
}

// table4 writes the main table of IPv4.
func (p *printer) table4(out *strings.Builder, list []route.Route) {
	columns := "Metric Ref    Use Iface"
	switch p.extend {
	case 0:
	case 1:
		columns = "  MSS Window  irtt Iface"
	default:
		columns += "    MSS   Window irtt"
	}
	fmt.Fprintf(out, "Kernel IP routing table\n%-15s %-15s %-15s Flags %s\n", "Destination", "Gateway", "Genmask", columns)
	for _, r := range list {
		if r.Type != route.TypeBroadcast && r.Type != route.TypeMulticast { // as /proc/net/route, which route reads
			p.row4(out, r)
		}
	}
}

func (p *printer) row4(out *strings.Builder, r route.Route) {
	hop := r.NextHops[0] // this table knows one way
	gateway := "0.0.0.0"
	if hop.Gateway.Is4() {
		gateway = p.host(hop.Gateway)
	}
	var m route.Metrics
	if r.Metrics != nil {
		m = *r.Metrics
	}
	mss := m.AdvMSS
	if mss != 0 {
		mss += 40 // as in /proc/net/route
	}
	// The kernel has counted neither references nor uses since Linux 3.6.
	ref, device := "0", cmp.Or(hop.Device, "*")
	size, window, rtt := strconv.Itoa(int(mss)), strconv.Itoa(int(m.Window)), strconv.Itoa(int(m.RTT/8))
	if rejects4(r) {
		gateway, ref, device, size, window, rtt = "-", "-", "-", "-", "-", "-"
	}
	mask := net.IP(net.CIDRMask(r.Dst.Bits(), 32)).String()
	fmt.Fprintf(out, "%-15s %-15s %-15s %-5s ", p.network(r.Dst), gateway, mask, flags4(r))
	switch p.extend {
	case 0:
		fmt.Fprintf(out, "%-6d %-3s %6d %s\n", int32(r.Metric), ref, 0, device)
	case 1:
		fmt.Fprintf(out, "%5s %-5s %6s %s\n", size, window, rtt, device)
	default:
		fmt.Fprintf(out, "%-6d %-3s %6d %-8s %-5s %-6s %s\n", int32(r.Metric), ref, 0, device, size, window, rtt)
	}
}

// network writes the destination of an IPv4 route: a host is in the DNS, a
// network in a file.
func (p *printer) network(dst netip.Prefix) string {
	switch {
	case p.names == nil:
	case dst.Bits() == 32:
		return p.host(dst.Addr())
	case dst.Addr().IsUnspecified():
		return "default"
	case p.networks[dst.Addr()] != "":
		return cli.Escape(p.networks[dst.Addr()])
	}
	return dst.Addr().String()
}

func rejects4(r route.Route) bool {
	return r.Type == route.TypeUnreachable || r.Type == route.TypeProhibit
}

// flags4 are route's letters: up, refuses, gateway, host.
func flags4(r route.Route) string {
	flags := "U"
	if rejects4(r) {
		flags = "!"
	}
	if r.NextHops[0].Gateway.IsValid() {
		flags += "G"
	}
	if r.Dst.Bits() == 32 {
		flags += "H"
	}
	return flags
}

// table6 writes every table of IPv6, in the kernel's order.
func (p *printer) table6(out *strings.Builder, list []route.Route) {
	fmt.Fprintf(out, "Kernel IPv6 routing table\n%-30s %-26s Flag Met Ref  Use If\n", "Destination", "Next Hop")
	for _, r := range list {
		ways := r.NextHops
		if r.NHID != 0 {
			ways = ways[:1] // of a next hop object the kernel shows one
		}
		for _, hop := range ways {
			p.row6(out, r, hop)
		}
	}
}

func (p *printer) row6(out *strings.Builder, r route.Route, hop route.NextHop) {
	gateway := netip.IPv6Unspecified()
	if hop.Gateway.IsValid() {
		gateway = hop.Gateway
	}
	dst := fmt.Sprintf("%s/%d", p.host(r.Dst.Addr()), r.Dst.Bits())
	fmt.Fprintf(out, "%-30s %-26s %-4s %-3d %-3s %4d %s\n", dst, p.host(gateway), flags6(r, hop), int32(r.Metric), "-", 0, hop.Device)
}

// flags6 are route's letters, from what the kernel has as RTF_* (linux/ipv6_route.h).
func flags6(r route.Route, hop route.NextHop) string {
	// The kernel's own entries for addresses have metric 0; nobody else's can.
	own := (r.Type == route.TypeLocal || r.Type == route.TypeAnycast) && r.Metric == 0
	rejects := slices.Contains([]route.Type{route.TypeUnreachable, route.TypeProhibit, route.TypeBlackhole, route.TypeThrow}, r.Type) ||
		hop.Device == "lo" && r.Type != route.TypeLocal && !own // the kernel makes a refusal of it, so that nothing loops
	letters := []struct {
		set    bool
		letter string
	}{
		{rejects, "!"}, {!rejects, "U"}, {hop.Gateway.IsValid(), "G"}, {r.Expires != 0, "e"}, {rejects || own, "n"},
	}
	var flags strings.Builder
	for _, l := range letters {
		if l.set {
			flags.WriteString(l.letter)
		}
	}
	return flags.String()
}
