package diagnose

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
)

// snapshot is what this host knows by itself, without a packet.
type snapshot struct {
	links    []link.Link
	routes   []route.Route
	conf     resolve.Config
	hosts    resolve.Hosts
	confPath string
	distro   string // word for the fact host.distribution
	confErr  error
	hostsErr error
}

func (s *snapshot) link(name string) *link.Link {
	for i := range s.links {
		if s.links[i].Name == name {
			return &s.links[i]
		}
	}
	return nil
}

// own returns this host's addresses.
func (s *snapshot) own() (addrs []netip.Addr) {
	for _, l := range s.links {
		for _, a := range l.Addresses {
			addrs = append(addrs, a.Prefix.Addr().WithZone(""))
		}
	}
	return addrs
}

// named gives a link-local address the name of its interface as zone, where the
// kernel has its index.
func (s *snapshot) named(a netip.Addr) netip.Addr {
	for _, l := range s.links {
		if a.Zone() != "" && a.Zone() == strconv.Itoa(l.Index) {
			return a.WithZone(l.Name)
		}
	}
	return a
}

// gateways returns the default routes' gateways, each once.
func (s *snapshot) gateways() (addrs []netip.Addr) {
	for _, r := range s.routes {
		for _, h := range r.NextHops {
			if gw := s.named(h.Gateway); r.Default() && gw.IsValid() && !slices.Contains(addrs, gw) {
				addrs = append(addrs, gw)
			}
		}
	}
	return addrs
}

// hasDefault reports whether there is a default route that leads somewhere.
func (s *snapshot) hasDefault(family int) bool {
	return slices.ContainsFunc(s.routes, func(r route.Route) bool {
		return r.Default() && r.Type == route.TypeUnicast && prefixFamily(r.Dst) == family
	})
}

func prefixFamily(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 4
	}
	return 6
}

// usable returns the addresses of a family that packets can leave with:
// not link-local, not tentative, not found to be a duplicate.
func usable(l *link.Link, family int) (addrs []netip.Prefix) {
	for _, a := range l.Addresses {
		if prefixFamily(a.Prefix) == family && !a.Prefix.Addr().IsLinkLocalUnicast() && a.Flags&(link.AddressTentative|link.AddressDADFailed) == 0 {
			addrs = append(addrs, a.Prefix)
		}
	}
	return addrs
}

// wanted picks the interfaces that the run depends on. Others may be down or
// unplugged as they like: an unused card is not a fault.
//
// An interface is wanted when the caller named it or a route in question leaves
// by it. When there is no such route, those are suspects that would carry it if
// they worked: what has an address but is off or unplugged, and, when none is
// left that works, every interface that could work at all.
func (s *snapshot) wanted(named string, used []string, families []int, stranded bool) []string {
	if named != "" {
		return []string{named}
	}
	want := slices.Clone(used)
	if !stranded {
		return unique(want)
	}
	var candidates []*link.Link
	var suspects []string
	works := false
	for i := range s.links {
		l := &s.links[i]
		if l.Loopback() || s.idleBridge(l) {
			continue
		}
		candidates = append(candidates, l)
		for _, family := range families {
			up := l.AdminUp() && l.Carrier != link.CarrierOff && !s.inward(l)
			switch has := len(usable(l, family)) > 0; {
			case has && up:
				works = true
			case has:
				suspects = append(suspects, l.Name)
			}
		}
	}
	if works {
		// What is down may be a spare; what works lacks the way itself.
		return unique(want)
	}
	if want = append(want, suspects...); len(want) == 0 {
		for _, l := range preferred(candidates) {
			want = append(want, l.Name)
		}
	}
	return unique(want)
}

// idleBridge reports a bridge without a live port, as container engines keep
// one: it is not how a host reaches anything.
func (s *snapshot) idleBridge(l *link.Link) bool {
	return l.Kind == "bridge" && l.Carrier == link.CarrierOff && s.inward(l)
}

// inward reports a bridge that only containers and virtual machines of this
// host are plugged into: that it works says nothing about the way out.
func (s *snapshot) inward(l *link.Link) bool {
	return l.Kind == "bridge" && !slices.ContainsFunc(s.links, func(p link.Link) bool {
		return p.Master == l.Index && p.Kind != "veth" && p.Kind != "tun"
	})
}

// preferred narrows suspects down: interfaces that are on and plugged in but
// have no address are worth more than idle ones.
func preferred(links []*link.Link) []*link.Link {
	live := slices.DeleteFunc(slices.Clone(links), func(l *link.Link) bool {
		return !l.AdminUp() || l.Carrier == link.CarrierOff
	})
	if len(live) > 0 {
		return live
	}
	return links
}

func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// use is an interface that packets of a family leave by.
type use struct {
	iface  string
	family int
}

// uses are those of a run. True says that it takes an address other than a
// link-local one.
type uses map[use]bool

// spares reports whether an interface does without an address of a family: it
// is used for the other one, and this one goes elsewhere or is IPv6 that some
// other interface happens to have, such as that of a VPN.
func (u uses) spares(iface string, family int) bool {
	if needs, ok := u[use{iface, family}]; ok {
		return !needs
	}
	mine, there := false, false
	for other := range u {
		mine = mine || other.iface == iface
		there = there || other.family == family
	}
	return mine && (there || family == 6)
}

// linkFacts states what the interfaces are like. Families are those that the
// goal needs; what nobody wants, or an interface spares, is told as neutral.
func (g *gatherer) linkFacts(ctx context.Context, wanted []string, families []int, spares func(iface string, family int) bool) (facts []Fact) {
	s := &g.host
	for _, name := range wanted {
		if s.link(name) == nil {
			facts = append(facts, Fact{
				Name: FactInterface, Subject: name, State: No, Scope: Scope{Iface: name},
				Detail: "there is no interface " + name, Command: "ip -br link",
			})
		}
	}
	if !slices.ContainsFunc(s.links, func(l link.Link) bool { return !l.Loopback() }) {
		facts = append(facts, Fact{
			Name: FactInterface, Subject: "besides loopback", State: No, Command: "ip -br link",
			Detail: "this host has no interface besides loopback", Neutral: len(wanted) > 0,
		})
	}
	for i := range s.links {
		l := &s.links[i]
		if l.Loopback() && !slices.Contains(wanted, l.Name) {
			continue
		}
		neutral := !slices.Contains(wanted, l.Name)
		facts = append(facts, adminFact(l, neutral), carrierFact(l, neutral, g.seen.noLinkWhy(l.Name)))
		if f := s.lowerFact(l, neutral); f.Name != "" {
			facts = append(facts, f)
		}
		for _, family := range families {
			facts = append(facts, addressFact(l, family, neutral || spares(l.Name, family)))
		}
	}
	return append(facts, g.seen.linkFacts(ctx, wanted)...)
}

func adminFact(l *link.Link, neutral bool) Fact {
	f := Fact{
		Name: FactAdminUp, Subject: l.Name, State: No, Scope: Scope{Iface: l.Name}, Neutral: neutral,
		Detail: l.Name + " is switched off", Command: "ip link show " + l.Name,
	}
	if l.AdminUp() {
		f.State, f.Detail = Yes, l.Name+" is up"
	}
	return f
}

func carrierFact(l *link.Link, neutral bool, why string) Fact {
	f := Fact{
		Name: FactCarrier, Subject: l.Name, Value: l.OperState.String(), Scope: Scope{Iface: l.Name},
		Neutral: neutral, Command: "ethtool " + l.Name,
	}
	switch {
	case !l.AdminUp():
		f.Why = l.Name + " is switched off"
	case l.Carrier == link.CarrierOff:
		f.State, f.Detail = No, cmp.Or(why, "Link detected: no on "+l.Name)+elsewhere(l)
	case l.Carrier == link.CarrierOn:
		f.State, f.Detail = Yes, "link detected on "+l.Name
	default:
		f.Why = "the driver does not tell"
	}
	return f
}

func addressFact(l *link.Link, family int, neutral bool) Fact {
	f := Fact{
		Name: FactAddress, Subject: l.Name, Scope: Scope{Iface: l.Name, Family: family},
		Neutral: neutral, Command: fmt.Sprintf("ip -%d addr show %s", family, l.Name),
	}
	if addrs := usable(l, family); len(addrs) > 0 || l.Loopback() {
		f.State = Yes
		f.Detail = l.Name + " has " + joinPrefixes(addrs)
		return f
	}
	f.State, f.Value = No, "none"
	f.Detail = fmt.Sprintf("%s has no usable IPv%d address", l.Name, family)
	for _, a := range l.Addresses {
		if prefixFamily(a.Prefix) == family && family == 4 {
			f.Value, f.Detail = "linklocal_only", fmt.Sprintf("%s has only %s", l.Name, a.Prefix)
		}
	}
	return f
}

func joinPrefixes(ps []netip.Prefix) string {
	var parts []string
	for _, p := range ps {
		parts = append(parts, p.String())
	}
	return strings.Join(parts, ", ")
}

// defaultFact tells whether there is a default route. It is an anomaly only
// when something needed one.
func (s *snapshot) defaultFact(family int, needed bool) Fact {
	f := Fact{
		Name: FactDefault, Subject: familyText(family), State: No, Scope: Scope{Family: family}, Neutral: !needed,
		Detail: fmt.Sprintf("there is no IPv%d default route", family), Command: "route -n",
	}
	if family == 6 {
		f.Command = "ip -6 route"
	}
	if s.hasDefault(family) {
		f.State, f.Detail = Yes, "default route "+s.defaultText(family)
	}
	return f
}

func (s *snapshot) defaultText(family int) string {
	for _, r := range s.routes {
		if r.Default() && r.Type == route.TypeUnicast && prefixFamily(r.Dst) == family {
			if r.Gateway.IsValid() {
				return "by " + r.Gateway.String() + " on " + r.Device
			}
			return "on " + r.Device
		}
	}
	return ""
}

func (s *snapshot) hostFact() Fact {
	return Fact{Name: FactHost, Subject: "this host", State: Yes, Value: s.distro, Neutral: true, Command: "cat /etc/os-release"}
}
