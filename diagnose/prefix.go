package diagnose

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/netsonde/netsonde/route"
)

// A host with a prefix that is too short takes hosts of other networks for
// neighbours and looks for them by ARP or NDP instead of sending to its
// gateway; nobody answers, as if they were off. What tells the two apart is
// where everything that does answer lies.

// customary is the prefix length that networks have unless somebody chose
// another one: /24 as ever, /64 by RFC 4291.
func customary(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

// prefixFact judges the prefix by which the next hop, which does not answer,
// is taken to be a neighbour. It is neutral: it shows in whom the neighbour
// that does not answer is.
func (e *evidence) prefixFact() Fact {
	if e.self || e.neighborFact().State != No {
		return Fact{}
	}
	f := e.fact(FactPrefix)
	f.Neutral, f.State, f.Scope.Port = true, No, 0
	f.Command = "ip addr show " + e.iface
	if e.gateway.IsValid() {
		f.Subject, f.Scope.Peer, f.Scope.Role = e.gateway.String(), netip.Addr{}, RoleNone
		if !e.outside(e.gateway) {
			return Fact{}
		}
		f.Value = "outside"
		f.Detail = fmt.Sprintf("the gateway %s is in no network that %s has an address of (%s)", e.gateway, e.iface, joinPrefixes(e.prefixes))
		return f
	}
	p, small, ok := e.wide()
	if !ok {
		return Fact{}
	}
	f.Value = p.String()
	f.Detail = fmt.Sprintf("by the address %s, %s is a neighbour on %s; this host and all that answers there lie in %s", p, f.Subject, e.iface, small)
	return f
}

// outside reports whether a next hop is taken to be on the link by its route
// alone (onlink), in no prefix of the interface and no route of its own. To a
// host that has single addresses alone (/32, /128), as in clouds, everybody is.
func (e *evidence) outside(hop netip.Addr) bool {
	shared := slices.ContainsFunc(e.prefixes, func(p netip.Prefix) bool { return !p.IsSingleIP() })
	return shared && !hop.IsLinkLocalUnicast() && !e.hopRoute && !slices.ContainsFunc(e.prefixes, func(p netip.Prefix) bool { return p.Contains(hop) })
}

// wide reports whether the peer is a neighbour only by a prefix wider than is
// customary and wider than all that answers on the link needs, on a link that
// has a gateway. It returns that prefix and the network that would do. What a
// DHCP server or a router gave for a time was not mistyped on this host.
func (e *evidence) wide() (p, small netip.Prefix, ok bool) {
	a := e.peer.addr.WithZone("")
	for _, own := range e.prefixes {
		if !own.Contains(a) || own.Bits() >= customary(a) || slices.Contains(e.leased, own) {
			continue
		}
		n, gateway := customary(a), false
		for _, gw := range e.gateways {
			if gw.Is6() && a.Is6() && gw.Zone() == e.iface && gw.IsLinkLocalUnicast() {
				gateway = true // there, and without a say about the prefix
			}
			if own.Contains(gw) && gw != a && !e.failed(gw) {
				gateway, n = true, min(n, common(own.Addr(), gw))
			}
		}
		for _, other := range e.neighbors {
			if other.Device == e.iface && own.Contains(other.Addr) && answersARP(other) {
				n = min(n, common(own.Addr(), other.Addr))
			}
		}
		small := netip.PrefixFrom(own.Addr(), n).Masked()
		if gateway && !small.Contains(a) {
			return own, small, true
		}
	}
	return netip.Prefix{}, netip.Prefix{}, false
}

// failed reports whether a neighbour was looked for in vain.
func (e *evidence) failed(a netip.Addr) bool {
	return slices.ContainsFunc(e.neighbors, func(n route.Neighbor) bool {
		return n.Addr.WithZone("") == a && n.Device == e.iface && n.State&(route.NeighborFailed|route.NeighborIncomplete) != 0
	})
}

// answersARP reports whether a neighbour has answered, now or before.
func answersARP(n route.Neighbor) bool {
	return n.State&(route.NeighborReachable|route.NeighborStale|route.NeighborDelay|route.NeighborProbe) != 0
}

// common returns how many leading bits two addresses of a family share.
func common(a, b netip.Addr) (n int) {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range min(len(x), len(y)) {
		if d := x[i] ^ y[i]; d != 0 {
			return n + bits.LeadingZeros8(d)
		}
		n += 8
	}
	return n
}
