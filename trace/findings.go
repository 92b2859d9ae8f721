package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/internal/enum"
)

// FindingKind is what can be found on a path.
type FindingKind uint8

// The findings.
const (
	FindingUnknown    FindingKind = iota
	FindingLoop                   // packets go round, see Addrs
	FindingBadHop                 // nothing is heard from behind TTL
	FindingRefusal                // From refuses by ICMP, see ICMP
	FindingFilter                 // packets to this port, or of this kind, end behind TTL, others go on
	FindingNAT                    // addresses are translated at TTL or behind it
	FindingAsymmetric             // the answers of TTL and hops behind it take another way back
	FindingReset                  // a TCP reset, see Reset
	FindingMPLS                   // packets are switched by label, see Labels
)

var findingNames = []string{
	"unknown", "loop", "bad_hop", "refusal", "filter", "nat", "asymmetric", "reset", "mpls",
}

// String returns the word, such as "bad_hop".
func (k FindingKind) String() string { return enum.String(findingNames, "finding", k) }

// MarshalText implements [encoding.TextMarshaler].
func (k FindingKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *FindingKind) UnmarshalText(b []byte) (err error) {
	*k, err = enum.Parse[FindingKind](findingNames, "finding", b)
	return err
}

// Finding is something to know about a path, and whether it was seen.
type Finding struct {
	Kind FindingKind `json:"kind"`
	Seen Tested      `json:"seen"`
	Why  string      `json:"why"` // a sentence: what was seen, or why nothing could be

	TTL  int        `json:"ttl,omitzero"`  // the last good hop, or where it begins
	From netip.Addr `json:"from,omitzero"` // who answers there
	// Next is the hop that should have got the packet, and NextFrom who answers
	// there on another path.
	Next     int          `json:"next,omitzero"`
	NextFrom netip.Addr   `json:"next_from,omitzero"`
	Back     int          `json:"back,omitzero"` // FindingAsymmetric: hops of the way back
	Addrs    []netip.Addr `json:"addrs,omitzero"`
	ICMP     *ICMPError   `json:"icmp,omitzero"`
	Symbol   string       `json:"symbol,omitzero"` // of a refusal, as traceroute marks it: "!H"
	Reset    *Reset       `json:"reset,omitzero"`
	Labels   []Label      `json:"labels,omitzero"`
}

// Findings returns what was seen on the path. Other paths to the same target,
// by another method or to another port, tell more: how far it is, and whether
// a filter minds the port.
func (p Path) Findings(others ...Path) []Finding {
	return slices.DeleteFunc(p.Checks(others...), func(f Finding) bool { return f.Seen != Yes })
}

// Checks returns a finding of every kind, seen or not or not tested, each with
// the reason.
func (p Path) Checks(others ...Path) []Finding {
	others = slices.DeleteFunc(slices.Clone(others), func(o Path) bool { return o.Target != p.Target })
	checks := []func([]Path) Finding{
		p.findLoop, p.findBadHop, p.findRefusal, p.findFilter, p.findNAT, p.findAsymmetry, p.findReset, p.findMPLS,
	}
	all := make([]Finding, len(checks))
	for i, check := range checks {
		all[i] = check(others)
		all[i].Kind = FindingKind(i + 1)
	}
	return all
}

// lastRouter returns the last hop that answered with time exceeded; 0 for none.
func (p Path) lastRouter() (ttl int, from netip.Addr) {
	for _, h := range slices.Backward(p.Hops) {
		for _, r := range h.Replies {
			if r.Outcome == OutcomeTimeExceeded {
				return h.TTL, r.From
			}
		}
	}
	return 0, netip.Addr{}
}

// quiet reports whether the path ended in silence.
func (p Path) quiet() bool { return p.End == EndSilent || p.End == EndMaxTTL }

// untested is a finding that could not be.
func (p Path) untested() (Finding, bool) {
	switch p.End {
	case EndUnknown:
		return Finding{Why: "the trace was broken off"}, true
	case EndNotSent:
		return Finding{Why: "this host did not let the packets out"}, true
	}
	return Finding{}, false
}

func (p Path) findLoop([]Path) Finding {
	if f, bad := p.untested(); bad {
		return f
	}
	l := p.Loop()
	if l == nil {
		return Finding{Seen: No, Why: "no sequence of routers repeats"}
	}
	f := Finding{Seen: Yes, Addrs: l}
	names := make([]string, len(l))
	for i, a := range l {
		names[i] = "a silent router"
		if a.IsValid() {
			names[i] = a.String()
		}
	}
	for _, h := range p.Hops {
		if r, ok := h.Answered(); ok && slices.Contains(l, r.From) {
			f.TTL, f.From = h.TTL, r.From
			break
		}
	}
	f.Why = fmt.Sprintf("from hop %d on packets go round between %s", f.TTL, strings.Join(names, " and "))
	return f
}

// farther returns the other path that shows most of what is behind a TTL.
func farther(ttl int, others []Path) (far Path, ok bool) {
	best := ttl
	for _, o := range others {
		n, _ := o.lastRouter()
		if n = max(n, o.Distance()); n > best || o.Reached && !far.Reached && n >= best {
			far, best, ok = o, n, true
		}
	}
	return far, ok
}

func (p Path) findBadHop(others []Path) Finding {
	if f, bad := p.untested(); bad {
		return f
	}
	switch {
	case p.Reached:
		return Finding{Seen: No, Why: "the target answered"}
	case !p.quiet():
		return Finding{Seen: No, Why: "the end is told, not silent"}
	}
	ttl, from := p.lastRouter()
	if far, ok := farther(ttl, others); ok {
		return Finding{Seen: No, Why: fmt.Sprintf("%s gets farther: it is not the hop but what the packet is", far.what())}
	}
	f := Finding{Seen: Yes, TTL: ttl, From: from, Next: ttl + 1}
	f.Why = fmt.Sprintf("nothing is heard from behind %s: it, or the next one, drops what goes on, or the answers find no way back", place(ttl, from))
	return f
}

func (p Path) findRefusal([]Path) Finding {
	if f, bad := p.untested(); bad {
		return f
	}
	ttl, e := p.Unreachable()
	if e == nil {
		return Finding{Seen: No, Why: "nobody refused by ICMP"}
	}
	f := Finding{Seen: Yes, TTL: ttl, From: e.From, ICMP: e, Symbol: e.Symbol()}
	// The refusal comes from a router nearer than the TTL that drew it.
	for _, h := range p.Hops {
		if h.TTL < ttl && slices.ContainsFunc(h.Replies, func(r Reply) bool {
			return r.Outcome == OutcomeTimeExceeded && same(r.From, e.From)
		}) {
			f.TTL = h.TTL
			break
		}
	}
	f.Why = fmt.Sprintf("%v refuses: %s", e.From, meaning(e))
	if f.Symbol != "" {
		f.Why += " (" + f.Symbol + ")"
	}
	return f
}

// what names the packets of a path.
func (p Path) what() string {
	switch p.Method {
	case MethodTCP, MethodUDP:
		return fmt.Sprintf("%s to port %d", strings.ToUpper(p.Method.String()), p.Port)
	case MethodICMP:
		return "an echo request"
	}
	return "another packet"
}

// findFilter compares with paths of other packets: where they part is a filter.
func (p Path) findFilter(others []Path) Finding {
	if f, bad := p.untested(); bad {
		return f
	}
	switch {
	case p.Reached:
		return Finding{Seen: No, Why: "the target answered"}
	case !p.quiet() && p.End != EndUnreachable:
		return Finding{Seen: No, Why: "the path ends otherwise: " + p.End.String()}
	case len(others) == 0:
		return Finding{Why: "no path of other packets to compare with"}
	}
	ttl, from := p.lastRouter()
	far, ok := farther(ttl, others)
	if !ok {
		return Finding{Seen: No, Why: "other packets get no farther"}
	}
	f := Finding{Seen: Yes, TTL: ttl, From: from, Next: ttl + 1, NextFrom: far.at(ttl + 1)}
	how := "vanishes"
	if _, e := p.Unreachable(); e != nil {
		how, f.ICMP, f.Symbol = "is refused", e, e.Symbol()
	}
	f.Why = fmt.Sprintf("%s %s behind %s, %s goes on to %s", p.what(), how, place(ttl, from), far.what(), place(ttl+1, f.NextFrom))
	return f
}

// at returns who answers at a TTL.
func (p Path) at(ttl int) netip.Addr {
	for _, h := range p.Hops {
		if r, ok := h.Answered(); ok && h.TTL == ttl {
			return r.From
		}
	}
	return netip.Addr{}
}

// meaning says a refusal in words.
func meaning(e *ICMPError) string {
	words := strings.ReplaceAll(e.Kind.String(), "_", " ")
	if e.MTU > 0 {
		words += fmt.Sprintf(", MTU %d", e.MTU)
	}
	return words
}
