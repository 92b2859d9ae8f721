package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route adds a route through a gateway, or replaces the one to the same
// destination. The destination is a prefix, an address, or "default", which
// is meant for the family of via.
func (h *Host) Route(dst, via string) {
	h.lab.t.Helper()
	gw, err := netip.ParseAddr(via)
	h.lab.check(err, "%s: gateway", h.Name)
	h.addRoute(dst, gw.Is6(), func(r *netlink.Route) error {
		r.Gw = gw.AsSlice()
		return nil
	})
}

// RouteDev adds a route to what is on the link itself.
func (h *Host) RouteDev(dst, port string) {
	h.lab.t.Helper()
	h.addRoute(dst, false, func(r *netlink.Route) error {
		link, err := h.link(port)
		if err != nil {
			return err
		}
		r.LinkIndex = link.Attrs().Index
		if r.Dst.IP.To4() != nil {
			r.Scope = netlink.SCOPE_LINK
		}
		return nil
	})
}

// Blackhole makes the host drop silently what goes to dst. Its own programs
// get EINVAL.
func (h *Host) Blackhole(dst string) { h.lab.t.Helper(); h.typedRoute(dst, unix.RTN_BLACKHOLE) }

// Unreachable makes the host answer "host unreachable" (ICMPv6: no route) for
// dst. Its own programs get EHOSTUNREACH.
func (h *Host) Unreachable(dst string) { h.lab.t.Helper(); h.typedRoute(dst, unix.RTN_UNREACHABLE) }

// Prohibit makes the host answer "administratively prohibited" for dst. Its
// own programs get EACCES.
func (h *Host) Prohibit(dst string) { h.lab.t.Helper(); h.typedRoute(dst, unix.RTN_PROHIBIT) }

func (h *Host) typedRoute(dst string, typ int) {
	h.lab.t.Helper()
	h.addRoute(dst, false, func(r *netlink.Route) error {
		r.Type = typ
		return nil
	})
}

func (h *Host) addRoute(dst string, v6 bool, fill func(*netlink.Route) error) {
	h.lab.t.Helper()
	prefix, err := parseDestination(dst, v6)
	h.lab.check(err, "%s: route", h.Name)
	r := &netlink.Route{Dst: ipNet(prefix)}
	if err = fill(r); err == nil {
		err = h.nl.RouteReplace(r)
	}
	h.lab.check(err, "%s: route to %s", h.Name, dst)
}

// DelRoute removes every route to exactly this destination from the main
// table. "default" means both families.
func (h *Host) DelRoute(dst string) {
	h.lab.t.Helper()
	dsts := []string{dst}
	if dst == "default" {
		dsts = []string{"0.0.0.0/0", "::/0"}
	}
	deleted := 0
	for _, d := range dsts {
		n, err := h.delRoutes(d)
		h.lab.check(err, "%s: delete route to %s", h.Name, d)
		deleted += n
	}
	if deleted == 0 {
		h.lab.t.Fatalf("lab: %s has no route to %s", h.Name, dst)
	}
}

func (h *Host) delRoutes(dst string) (int, error) {
	prefix, err := parseDestination(dst, false)
	if err != nil {
		return 0, err
	}
	family := netlink.FAMILY_V4
	if prefix.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	filter := &netlink.Route{Dst: ipNet(prefix), Table: unix.RT_TABLE_MAIN}
	routes, err := h.nl.RouteListFiltered(family, filter, netlink.RT_FILTER_DST|netlink.RT_FILTER_TABLE)
	if err != nil {
		return 0, err
	}
	for i := range routes {
		if err := h.nl.RouteDel(&routes[i]); err != nil && !errors.Is(err, unix.ESRCH) {
			return i, err
		}
	}
	return len(routes), nil
}

// Neighbor adds a static neighbour entry, or replaces the one there is.
func (h *Host) Neighbor(port, addr, mac string) {
	h.lab.t.Helper()
	ip, err := netip.ParseAddr(addr)
	h.lab.check(err, "%s: neighbour", h.Name)
	hw, err := net.ParseMAC(mac)
	h.lab.check(err, "%s: neighbour", h.Name)
	link, err := h.link(port)
	if err == nil {
		err = h.nl.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: hw,
		})
	}
	h.lab.check(err, "%s: neighbour %s", h.Name, addr)
}

// ForgetNeighbors removes every neighbour entry of the host, static ones too.
func (h *Host) ForgetNeighbors() {
	h.lab.t.Helper()
	h.lab.check(h.forget(func(netip.Addr) bool { return true }), "%s: forget neighbours", h.Name)
}

// forget removes the neighbour entries whose address matches.
func (h *Host) forget(match func(netip.Addr) bool) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		neighbors, err := h.nl.NeighList(0, family)
		if err != nil {
			return err
		}
		for i := range neighbors {
			addr, ok := netip.AddrFromSlice(neighbors[i].IP)
			if !ok || neighbors[i].State == netlink.NUD_NOARP || !match(addr.Unmap()) {
				continue
			}
			if err := h.nl.NeighDel(&neighbors[i]); err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
	}
	return nil
}

// parseDestination reads a prefix, an address or "default".
func parseDestination(s string, v6 bool) (netip.Prefix, error) {
	if s == "default" {
		if v6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0), nil
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither a prefix nor an address nor default", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// kernelAddr is an address that needs no duplicate address detection.
func kernelAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}
