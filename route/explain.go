package route

import "net/netip"

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
			if route := longest(routes, r.Table, p); route != nil && route.Type == wantRoute {
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

// longest returns the table's longest match, of equals the one with the lowest
// metric.
func longest(routes []Route, table uint32, p packet) *Route {
	var best *Route
	for i := range routes {
		r := &routes[i]
		if r.Table != table || !r.Dst.Contains(p.dst) || r.Src.IsValid() && r.Src.Bits() > 0 && !r.Src.Contains(p.src) {
			continue
		}
		if best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric {
			best = r
		}
	}
	return best
}

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
		r.Src.IsValid() && r.Src.Bits() > 0 && !r.Src.Contains(p.src),
		r.Dst.IsValid() && !r.Dst.Contains(p.dst),
		r.TOS != 0 && r.TOS != p.tos,
		r.DSCP != nil && *r.DSCP != p.tos>>2,
		r.Proto != 0 && r.Proto != p.proto,
		r.SPort != nil && !r.SPort.Has(uint32(p.sport)),
		r.DPort != nil && !r.DPort.Has(uint32(p.dport)):
		return false
	}
	return true
}
