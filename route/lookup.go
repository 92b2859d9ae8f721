package route

import (
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
)

// LookupOptions describe the packet. Nil is one that this process would send
// without asking for anything.
type LookupOptions struct {
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN.
	NetNS  int
	Source netip.Addr // invalid: chosen by the kernel, see Decision.Source
	Mark   uint32     // firewall mark
	UID    *uint32    // user that owns the socket; nil: the caller
	OIF    int        // bound to this interface; 0: not bound
	Device string     // the same by name
	TOS    uint8      // IPv4 type of service or IPv6 traffic class
	// Proto, SPort and DPort are for rules that look at them. The kernel knows
	// TCP (6), UDP (17), ICMP (1) and ICMPv6 (58) here. 0: not told.
	Proto uint8
	SPort uint16 // source port; see Proto
	DPort uint16 // destination port; see Proto
	// FIBMatch gives the table's entry as Decision.Route instead of the route
	// made for this destination: Dst is then the prefix that matched. (Linux 4.13)
	FIBMatch bool
}

// Decision is what the kernel does with a packet.
type Decision struct {
	Dst     netip.Addr `json:"dst"` // with its zone as an index
	Outcome Outcome    `json:"outcome"`
	// Route is the one taken; of a packet that goes nowhere, the one that
	// refuses it, and zero where a rule does or none was found.
	Route Route `json:"route,omitzero"`
	// Rule is the rule that refuses the packet; nil where none does.
	Rule *Rule `json:"rule,omitzero"`
	// Assumed says that no table has a route and the kernel takes dst to be
	// on-link, as it does for IPv4 sockets that are bound to an interface.
	Assumed bool `json:"assumed,omitzero"`
	// Error is the errno's text where a packet goes nowhere: what connect(2)
	// would say.
	Error string `json:"error,omitzero"`
}

// Source returns the address that the packet would come from; invalid where the
// kernel did not tell.
func (d Decision) Source() netip.Addr { return d.Route.PrefSrc }

// NextHop returns who gets the packet on the link: the gateway, or the
// destination itself when it is on-link or of this host; invalid where the packet
// goes nowhere.
func (d Decision) NextHop() netip.Addr {
	switch {
	case d.Outcome != OutcomeForward:
		return netip.Addr{}
	case d.Route.Gateway.IsValid():
		return d.Route.Gateway
	case len(d.Route.NextHops) > 0 && d.Route.NextHops[0].Gateway.IsValid():
		return d.Route.NextHops[0].Gateway // FIBMatch of a multipath route
	}
	return d.Dst
}

// Outcome is what becomes of a packet.
type Outcome uint8

// The outcomes. The errno in parentheses is what senders get.
const (
	OutcomeUnknown     Outcome = iota
	OutcomeForward             // sent to NextHop, or delivered here (Route.Type local)
	OutcomeNoRoute             // nothing matches (ENETUNREACH)
	OutcomeBlackhole           // a blackhole route or rule (EINVAL)
	OutcomeUnreachable         // an unreachable route (EHOSTUNREACH) or rule (ENETUNREACH)
	OutcomeProhibit            // a prohibit route or rule (EACCES)
)

var outcomeNames = []string{"unknown", "forward", "no_route", "blackhole", "unreachable", "prohibit"}

// String returns the word.
func (o Outcome) String() string { return enum.String(outcomeNames, "outcome", o) }

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *Outcome) UnmarshalText(b []byte) (err error) {
	*o, err = enum.Parse[Outcome](outcomeNames, "outcome", b)
	return err
}
