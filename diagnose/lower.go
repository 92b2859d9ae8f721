package diagnose

import (
	"fmt"

	"github.com/netsonde/netsonde/link"
)

// working reports whether an interface is on and, as far as is told, plugged in.
func working(l *link.Link) bool { return l.AdminUp() && l.Carrier != link.CarrierOff }

// below returns the interfaces that one rides on: the ports of a bridge or a
// bond, what is under a VLAN or macvlan, the other end of a veth. Those of
// another network namespace are not to be seen from here.
func (s *snapshot) below(l *link.Link) (lower []*link.Link) {
	for i := range s.links {
		p := &s.links[i]
		switch l.Kind {
		case "bridge", "bond", "team":
			if p.Master == l.Index {
				lower = append(lower, p)
			}
		default:
			if l.LinkNetNS == nil && l.LinkIndex != 0 && l.LinkIndex == p.Index && p != l {
				lower = append(lower, p)
			}
		}
	}
	return lower
}

// culprit finds the interface whose state keeps another one down: the lowest
// one below it that does not work, nil when it is that interface itself.
func (s *snapshot) culprit(l *link.Link) *link.Link {
	var found *link.Link
	for range len(s.links) { // no chain is longer
		next := s.brokenBelow(l)
		if next == nil {
			break
		}
		found, l = next, next
		if l.Kind == "veth" {
			break // its other end is the one we came from, or a cable
		}
	}
	return found
}

// brokenBelow returns what is below and does not work, where that is why l
// does not.
func (s *snapshot) brokenBelow(l *link.Link) *link.Link {
	stacked := l.Kind == "bridge" || l.Kind == "bond" || l.Kind == "team"
	if working(l) || stacked && !l.AdminUp() {
		return nil
	}
	var broken *link.Link
	for _, p := range s.below(l) {
		switch {
		case l.Kind == "veth" && p.AdminUp():
			return nil // unplugged at both ends: neither is the reason
		case working(p):
			return nil // a bridge or bond has another leg to stand on
		case broken == nil, broken.Kind == "veth" && p.Kind != "veth":
			broken = p // a card rather than a container's cable
		}
	}
	return broken
}

// lowerFact says, for an interface that does not work, which one below it is
// the reason.
func (s *snapshot) lowerFact(l *link.Link, neutral bool) Fact {
	if working(l) {
		return Fact{}
	}
	f := Fact{Name: FactLower, Scope: Scope{Iface: l.Name}, Neutral: neutral, State: No}
	c := s.culprit(l)
	switch {
	case c == nil && l.Kind == "bridge" && l.AdminUp() && len(s.below(l)) == 0:
		f.Subject, f.Value, f.Command = l.Name, "no_ports", "bridge link"
		f.Detail = l.Name + " is a bridge without a port: it leads nowhere"
	case c == nil:
		return Fact{}
	case !c.AdminUp():
		f.Subject, f.Value, f.Command = c.Name, "admin_down", "ip link show "+c.Name
		f.Detail = fmt.Sprintf("%s, %s %s, is switched off", c.Name, relation(l), l.Name)
	default:
		f.Subject, f.Value, f.Command = c.Name, "no_carrier", "ethtool "+c.Name
		f.Detail = fmt.Sprintf("%s, %s %s, has no link", c.Name, relation(l), l.Name)
	}
	return f
}

// relation says what an interface below l is to it.
func relation(l *link.Link) string {
	switch l.Kind {
	case "bridge", "bond", "team":
		return "the port of " + l.Kind
	case "veth":
		return "the other end of"
	case "":
		return "which is below"
	}
	return "which is below " + l.Kind
}

// elsewhere says that what l rides on is in another namespace.
func elsewhere(l *link.Link) string {
	switch {
	case l.LinkNetNS == nil || l.LinkIndex == 0:
		return ""
	case l.Kind == "veth":
		return "; its other end is in another network namespace"
	}
	return "; what it rides on is in another network namespace"
}
