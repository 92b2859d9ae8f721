package route

import (
	"cmp"
	"net/netip"
)

// The kernel tells a refused packet by an errno alone. What refused it can be
// found by walking the rules as the kernel does (fib_rules_lookup): a rule that
// matches either refuses by itself, or its table's longest match does, or both
// leave the packet to the next rule. Since the packet was refused, no table on
// the way has a usable route for it, so that routes which refuse and throw routes
// are all there is to look at.

// packet is what rules look at.
type packet struct {
	src, dst     netip.Addr
	oif          string // "" for a socket that is not bound
	index        int    // of oif
	mark, uid    uint32
	tos, proto   uint8
	sport, dport uint16
}

// refusal returns the route and the rule that have an outcome.
func refusal(o Outcome) (Type, Action) {
	switch o {
	case OutcomeNoRoute:
		return TypeUnspec, ActionUnreachable // such a rule answers as if there were no route
	case OutcomeBlackhole:
		return TypeBlackhole, ActionBlackhole
	case OutcomeUnreachable:
		return TypeUnreachable, ActionUnspec
	case OutcomeProhibit:
		return TypeProhibit, ActionProhibit
	}
	return TypeUnspec, ActionUnspec
}

func outcomeOfRule(a Action) Outcome {
	switch a {
	case ActionBlackhole:
		return OutcomeBlackhole
	case ActionUnreachable:
		return OutcomeUnreachable
	case ActionProhibit:
		return OutcomeProhibit
	}
	return OutcomeUnknown
}

// explain returns the route or the rule that gave the packet this outcome, or
// neither. The routes are those that contain the destination; rules are in order.
func explain(p packet, outcome Outcome, rules []Rule, routes []Route) (*Route, *Rule) {
	wantRoute, wantRule := refusal(outcome)
	from := uint32(0) // a goto goes forward only, so this ends
	for i := range rules {
		r := &rules[i]
		if r.Priority < from || !p.matches(r) {
			continue
		}
		switch r.Action {
		case ActionGoto:
			if r.Flags&RuleUnresolved == 0 {
				from = r.Goto
			}
		case ActionTable:
			table := r.Table
			if table == 0 {
				table = tableMain // of a VRF's rule that matches for not being one
			}
			if route := longest(routes, table, p, wantRoute); route != nil && route.Type == wantRoute {
				return route, nil
			}
		case ActionBlackhole, ActionUnreachable, ActionProhibit:
			if r.Action == wantRule {
				return nil, r
			}
			return nil, nil
		}
	}
	return nil, nil
}

// longest returns the table's longest match. Of equals it is the one for the
// packet's type of service, then the one with the lowest metric, and then, since
// the packet was refused that way, the one of the wanted type: the kernel's order
// of real equals, which IPv6 has, is not told.
func longest(routes []Route, table uint32, p packet, want Type) *Route {
	var best *Route
	for i := range routes {
		r := &routes[i]
		if r.Table != table || p.elsewhere(r) || !r.Dst.Contains(p.dst) || !within(p.src, r.Src) || r.TOS != 0 && (r.TOS^p.tos)&dscp != 0 {
			continue
		}
		if best == nil || cmp.Or(
			cmp.Compare(r.Dst.Bits(), best.Dst.Bits()), // -1 for an invalid Src, which is any
			cmp.Compare(r.Src.Bits(), best.Src.Bits()),
			cmp.Compare(r.TOS, best.TOS),
			cmp.Compare(best.Metric, r.Metric),
		) > 0 || r.Type == want && best.Type != want && equals(r, best) {
			best = r
		}
	}
	return best
}

// tableMain is RT_TABLE_MAIN.
const tableMain = 254

func equals(a, b *Route) bool {
	return a.Dst == b.Dst && a.Src == b.Src && a.TOS == b.TOS && a.Metric == b.Metric
}

// elsewhere reports whether a route is not looked at because it is not on the
// interface that an IPv6 socket is bound to. Routes to nowhere are on the
// loopback; next hop objects that are blackholes count all the same.
func (p packet) elsewhere(r *Route) bool {
	return r.Family == FamilyIPv6 && p.index != 0 && !p.src.IsValid() && r.OIF != p.index && r.NHID == 0
}

// dscp is the part of the type of service that counts.
const dscp = 0xfc

// within reports whether an address is in a prefix; an invalid one holds all.
func within(a netip.Addr, p netip.Prefix) bool { return !p.IsValid() || p.Bits() == 0 || p.Contains(a) }

// matches reports whether a rule is for a packet of this host.
func (p packet) matches(r *Rule) bool { return p.matchesStraight(r) != r.Invert }

func (p packet) matchesStraight(r *Rule) bool {
	const local = "lo" // where packets of this host come from, for rules
	switch {
	case r.IIF != "" && r.IIF != local,
		r.OIF != "" && r.OIF != p.oif,
		r.Flags&(RuleIIFDetached|RuleOIFDetached) != 0,
		(r.Mark^p.mark)&r.Mask != 0,
		r.TunnelID != 0,
		r.L3MDev,
		r.UID != nil && !r.UID.Has(p.uid),
		!within(p.src, r.Src),
		!within(p.dst, r.Dst),
		r.TOS != 0 && (r.TOS^p.tos)&dscp != 0,
		r.DSCP != nil && (*r.DSCP^p.tos>>2)&cmp.Or(r.DSCPMask, 0xff) != 0,
		r.FlowLabel&r.FlowLabelMask != 0, // packets without a label
		r.Proto != 0 && r.Proto != p.proto,
		!portMatches(r.SPort, r.SPortMask, p.sport),
		!portMatches(r.DPort, r.DPortMask, p.dport):
		return false
	}
	return true
}

func portMatches(r *Range, mask, port uint16) bool {
	switch {
	case r == nil:
		return true
	case mask != 0:
		return (uint16(r.Low)^port)&mask == 0
	}
	return r.Has(uint32(port))
}
