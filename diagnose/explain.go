package diagnose

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Cause describes one thing that can be wrong, as data: which facts speak for
// it, and what it makes happen elsewhere. [Explain] knows nothing else, so a
// cause of one's own is added by appending it to [DefaultCauses].
type Cause struct {
	Code Code
	// When lists what must hold. Each fact that matches the first pattern
	// proposes the cause once; the others must match facts that agree with it.
	When []Pattern
	// Bind says which fields of that first fact's scope the cause is about.
	// What it predicts, it predicts only within them.
	Bind Bind
	// Predicts names the facts that turn to no as a consequence. The cause
	// explains those away; a yes among them rules it out.
	Predicts []string
	// Allows names facts that may turn to no as a consequence and need not.
	Allows []string
	// Kind and Place say where it sits.
	Kind  LocationKind
	Place Place
	// Confidence is what the facts of When are worth by themselves.
	Confidence Confidence
	// Degrades marks a cause that makes things slow and does not stop them.
	Degrades bool
	// Summary is one line. {subject} {value} {at} {iface} {gateway} {peer}
	// {port} {name} {family} {detail} stand for the first fact's own.
	Summary string
	// Decide says what would tell this cause from the others that the same
	// facts allow.
	Decide string
}

// Pattern matches facts. A no matches only where it is an anomaly.
type Pattern struct {
	Fact   string
	State  State
	Values []string // any of them; none means any value
	// NotValues are values that do not match.
	NotValues []string
	Absent    bool // no such fact may be there
	Neutral   bool // a no that is neutral will do
	Local     bool // At is the host's own, that is, unset
	Remote    bool // At is set and is not the peer
	Peer      bool // At is the peer
}

// Bind is a set of scope fields.
type Bind uint8

// The fields of a [Scope].
const (
	ByIface Bind = 1 << iota
	ByFamily
	ByGateway
	ByPeer
	ByPort
	ByName
)

// Place says which address of a cause's first fact is its location.
type Place uint8

// The places.
const (
	Nowhere Place = iota
	PlaceAt
	PlaceGateway
	PlacePeer
	PlaceIface   // no address: the interface
	PlaceSubject // no address: the interface that the first fact is about
)

// Location is where a cause sits.
type Location struct {
	Kind  LocationKind `json:"kind"`
	Addr  netip.Addr   `json:"addr,omitzero"`
	Iface string       `json:"iface,omitzero"`
}

// Finding is a cause found in the facts.
type Finding struct {
	Code  Code       `json:"code"`
	Where *Location  `json:"where,omitzero"`
	Also  []Location `json:"also,omitzero"` // further places, of a cause at several addresses of a name
	// Peers are the addresses of the target that it is about, where it is not
	// about all of them.
	Peers      []netip.Addr `json:"peers,omitzero"`
	Severity   Severity     `json:"severity"`
	Confidence Confidence   `json:"confidence"`
	Summary    string       `json:"summary"`
	Evidence   []FactID     `json:"evidence"`          // what speaks for it
	Explains   []FactID     `json:"explains,omitzero"` // consequences that it explains away
	Rivals     Code         `json:"rivals,omitzero"`   // of an ambiguous one: the cause that it could be instead of
	Decide     string       `json:"decide,omitzero"`   // what would tell it from its alternatives
}

// Explanation is what [Explain] makes of the facts.
type Explanation struct {
	Causes      []Finding `json:"causes"`               // the root causes, most basic first
	Ambiguous   []Finding `json:"ambiguous"`            // causes that the same facts allow as well
	Unexplained []FactID  `json:"unexplained,omitzero"` // anomalies that no known cause predicts
}

// hypothesis is a cause proposed for one place.
type hypothesis struct {
	cause    *Cause
	rank     int // position in the table: more basic causes first
	scope    Scope
	first    Fact
	evidence []int // indexes of facts
	covers   []int // indexes of anomalies: evidence and predicted ones
}

// Explain names the smallest set of causes whose predictions account for every
// anomaly among the facts. It is a pure function: the same facts give the same
// explanation, live, in a test or from a saved report. Causes whose
// predictions a fact contradicts are out; among equals the more basic cause
// (link before address before route …) is blamed and the others are listed as
// ambiguous. Causes that only slow things down come last. With no causes given, [DefaultCauses] are used.
func Explain(facts []Fact, causes ...Cause) Explanation {
	if len(causes) == 0 {
		causes = DefaultCauses()
	}
	facts = identified(facts)
	e := Explanation{Causes: []Finding{}, Ambiguous: []Finding{}}
	anomalies := indexes(facts, Fact.Anomaly)
	if len(anomalies) == 0 {
		return e
	}
	hyps := propose(facts, anomalies, causes)
	chosen := smallestCover(hyps, len(anomalies))
	covered := map[int]bool{}
	for _, h := range chosen {
		for _, i := range h.covers {
			covered[i] = true
		}
	}
	rivals := rivalsOf(chosen, hyps)
	for _, h := range chosen {
		f := h.finding(facts)
		if len(rivals[h]) > 0 {
			f.Confidence = Likely
		}
		e.Causes = append(e.Causes, f)
		for _, r := range rivals[h] {
			f := r.finding(facts)
			f.Confidence, f.Rivals = Likely, h.cause.Code
			e.Ambiguous = append(e.Ambiguous, f)
		}
	}
	for _, i := range anomalies {
		if !covered[i] {
			e.Unexplained = append(e.Unexplained, facts[i].ID)
		}
	}
	return e
}

// identified returns the facts, each with its ID.
func identified(facts []Fact) []Fact {
	out := slices.Clone(facts)
	for i := range out {
		out[i].ID = out[i].id()
	}
	return out
}

// propose returns every hypothesis that the facts support and none contradicts.
func propose(facts []Fact, anomalies []int, causes []Cause) []*hypothesis {
	var hyps []*hypothesis
	for rank := range causes {
		c := &causes[rank]
		for i, f := range facts {
			if len(c.When) == 0 || !c.When[0].matches(f) {
				continue
			}
			h := &hypothesis{cause: c, rank: rank, scope: c.Bind.of(f.Scope), first: f, evidence: []int{i}}
			if h.supported(facts) && !h.contradicted(facts) && !h.known(hyps) {
				h.cover(facts, anomalies)
				if len(h.covers) > 0 {
					hyps = append(hyps, h)
				}
			}
		}
	}
	return hyps
}

// supported looks for the facts that the further patterns ask for.
func (h *hypothesis) supported(facts []Fact) bool {
	for _, p := range h.cause.When[1:] {
		found := -1
		for i, f := range facts {
			if p.matches(f) && f.Scope.agrees(h.first.Scope) {
				found = i
				break
			}
		}
		if p.Absent != (found < 0) {
			return false
		}
		if found >= 0 {
			h.evidence = append(h.evidence, found)
		}
	}
	return true
}

// contradicted reports whether something is well that the cause would break.
func (h *hypothesis) contradicted(facts []Fact) bool {
	return slices.ContainsFunc(facts, func(f Fact) bool {
		return f.State == Yes && slices.Contains(h.cause.Predicts, f.Name) && h.scope.contains(f.Scope)
	})
}

// known reports whether the same cause was proposed for the same place.
func (h *hypothesis) known(hyps []*hypothesis) bool {
	return slices.ContainsFunc(hyps, func(o *hypothesis) bool {
		return o.cause == h.cause && o.scope == h.scope
	})
}

func (h *hypothesis) cover(facts []Fact, anomalies []int) {
	for _, i := range anomalies {
		f := facts[i]
		expected := slices.Contains(h.cause.Predicts, f.Name) || slices.Contains(h.cause.Allows, f.Name)
		if slices.Contains(h.evidence, i) || expected && h.scope.agrees(f.Scope) {
			h.covers = append(h.covers, i)
		}
	}
}

// smallestCover picks the fewest hypotheses that cover the most anomalies.
// Sets of up to three are tried exhaustively, which is more faults at once
// than people meet; beyond that it goes on greedily.
func smallestCover(hyps []*hypothesis, total int) []*hypothesis {
	const exhaustive = 3
	var best []*hypothesis
	bestCovered := 0
	var try func(from int, set []*hypothesis, size int)
	try = func(from int, set []*hypothesis, size int) {
		if len(set) == size {
			if n := coverage(set); n > bestCovered || n == bestCovered && len(set) == len(best) && moreBasic(set, best) {
				best, bestCovered = slices.Clone(set), n
			}
			return
		}
		for i := from; i < len(hyps); i++ {
			try(i+1, append(set, hyps[i]), size)
		}
	}
	for size := 1; size <= exhaustive && bestCovered < total; size++ {
		try(0, nil, size)
	}
	for bestCovered < total {
		next := bestNext(hyps, best)
		if next == nil {
			break
		}
		best = append(best, next)
		bestCovered = coverage(best)
	}
	slices.SortFunc(best, func(a, b *hypothesis) int {
		return cmp.Or(boolCompare(a.cause.Degrades, b.cause.Degrades), cmp.Compare(a.rank, b.rank))
	})
	return best
}

// boolCompare puts false before true.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func bestNext(hyps, set []*hypothesis) *hypothesis {
	var next *hypothesis
	most := coverage(set)
	for _, h := range hyps {
		if n := coverage(append(slices.Clip(set), h)); n > most {
			next, most = h, n
		}
	}
	return next
}

func coverage(set []*hypothesis) int {
	seen := map[int]bool{}
	for _, h := range set {
		for _, i := range h.covers {
			seen[i] = true
		}
	}
	return len(seen)
}

// moreBasic compares two sets of the same size by the ranks of their causes.
func moreBasic(a, b []*hypothesis) bool {
	sum := func(set []*hypothesis) (n int) {
		for _, h := range set {
			n += h.rank
		}
		return n
	}
	return sum(a) < sum(b)
}

// rivalsOf finds, for each chosen hypothesis, the others that could take its
// place without leaving anything unexplained.
func rivalsOf(chosen, hyps []*hypothesis) map[*hypothesis][]*hypothesis {
	all := coverage(chosen)
	rivals := map[*hypothesis][]*hypothesis{}
	for i, h := range chosen {
		others := slices.Delete(slices.Clone(chosen), i, i+1)
		for _, r := range hyps {
			if slices.Contains(chosen, r) || coverage(append(slices.Clip(others), r)) < all {
				continue
			}
			rivals[h] = append(rivals[h], r)
		}
	}
	return rivals
}

func (h *hypothesis) finding(facts []Fact) Finding {
	f := Finding{
		Code:       h.cause.Code,
		Where:      h.where(),
		Severity:   Broken,
		Confidence: h.cause.Confidence,
		Summary:    fill(h.cause.Summary, h.first),
		Decide:     fill(h.cause.Decide, h.first),
	}
	if h.cause.Degrades {
		f.Severity = Degraded
	}
	if h.cause.Bind&ByPeer != 0 && h.first.Scope.Role == RoleTarget {
		f.Peers = []netip.Addr{h.first.Scope.Peer}
	}
	for _, i := range h.evidence {
		f.Evidence = append(f.Evidence, facts[i].ID)
	}
	for _, i := range h.covers {
		if !slices.Contains(h.evidence, i) {
			f.Explains = append(f.Explains, facts[i].ID)
		}
	}
	return f
}

func (h *hypothesis) where() *Location {
	l := &Location{Kind: h.cause.Kind}
	switch h.cause.Place {
	case PlaceAt:
		l.Addr = h.first.At
	case PlaceGateway:
		l.Addr = h.first.Scope.Gateway
	case PlacePeer:
		l.Addr = h.first.Scope.Peer
	}
	if h.cause.Place == PlacePeer && l.Kind == AtRemote && h.first.Scope.Role == RoleResolver {
		l.Kind = AtResolver
	}
	if l.Kind == AtLocal || l.Kind == AtL2 {
		l.Iface = h.first.Scope.Iface
	}
	if h.cause.Place == PlaceSubject {
		l.Iface = h.first.Subject
	}
	return l
}

func (p Pattern) matches(f Fact) bool {
	switch {
	case f.Name != p.Fact || f.State != p.State, p.State == No && f.Neutral && !p.Neutral:
		return false
	case len(p.Values) > 0 && !slices.Contains(p.Values, f.Value), slices.Contains(p.NotValues, f.Value):
		return false
	case p.Local && f.At.IsValid(), p.Peer && f.At != f.Scope.Peer,
		p.Remote && (!f.At.IsValid() || f.At == f.Scope.Peer):
		return false
	}
	return true
}

// of keeps the bound fields of a scope.
func (b Bind) of(s Scope) (out Scope) {
	if b&ByIface != 0 {
		out.Iface = s.Iface
	}
	if b&ByFamily != 0 {
		out.Family = s.Family
	}
	if b&ByGateway != 0 {
		out.Gateway = s.Gateway
	}
	if b&ByPeer != 0 {
		out.Peer = s.Peer
	}
	if b&ByPort != 0 {
		out.Port = s.Port
	}
	if b&ByName != 0 {
		out.Name = s.Name
	}
	return out
}

func indexes(facts []Fact, keep func(Fact) bool) (idx []int) {
	for i, f := range facts {
		if keep(f) {
			idx = append(idx, i)
		}
	}
	return idx
}

// fill replaces the placeholders of a text by what a fact says.
func fill(text string, f Fact) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer(
		"{subject}", f.Subject, "{value}", strings.ReplaceAll(f.Value, "_", " "), "{detail}", f.Detail,
		"{at}", addrText(f.At), "{iface}", f.Scope.Iface, "{gateway}", addrText(f.Scope.Gateway),
		"{peer}", addrText(f.Scope.Peer), "{port}", portText(f.Scope.Port), "{name}", f.Scope.Name,
		"{family}", familyText(f.Scope.Family),
	).Replace(text)
}
