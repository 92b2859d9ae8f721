package diagnose

import (
	"net/netip"
	"slices"
	"strings"
)

// Step is one step of the classic procedure, as a person would read it.
type Step struct {
	ID      string `json:"id"`    // "link", "address", "route", "gateway", "name", "path", "port", "listeners"
	Title   string `json:"title"` // the question that it answers
	State   State  `json:"state"`
	Detail  string `json:"detail,omitzero"`
	Why     string `json:"why,omitzero"`     // why it was not checked
	Command string `json:"command,omitzero"` // the classic command for it
}

// step says which facts answer a step.
type step struct {
	id, title string
	facts     []string
	host      bool // part of the examination of this host
	target    bool // part of the way to a target
	command   string
}

var procedure = []step{
	{"link", "Is the interface on and plugged in?", []string{FactInterface, FactAdminUp, FactCarrier, FactLower, FactSound}, true, true, "ip -br link"},
	{"address", "Has it an address?", []string{FactAddress}, true, true, "ip -br addr"},
	{"route", "Is there a route?", []string{FactRoute, FactDefault, FactSend}, true, true, "ip route"},
	{"gateway", "Does the next hop answer?", []string{FactNeighbor, FactForwards}, true, true, "ip neigh"},
	{"name", "Does DNS work?", []string{FactHosts, FactConfigured, FactServer, FactRecursion, FactQualified, FactExists, FactName}, true, true, "cat /etc/resolv.conf"},
	{"path", "Do packets get there?", []string{FactLoopFree, FactAccepted, FactMTU, FactReverse, FactSeveral, FactPath}, false, true, "traceroute -n"},
	{"port", "Does the port answer?", []string{FactAnswers, FactReset, FactListening, FactRoom, FactOpen}, false, true, "telnet"},
	{"listeners", "Who listens here?", []string{FactMemory, FactRoom, FactListeners}, true, false, "ss -lntup"},
}

// stepsFor draws the procedure from the facts. Steps that make no sense for
// the target are left out.
func stepsFor(t Target, facts []Fact) []Step {
	var steps []Step
	why := "" // the first thing that failed keeps the rest from being checked
	for _, p := range procedure {
		if !p.appliesTo(t) {
			continue
		}
		s := p.from(facts)
		if s.State == NotChecked && s.Why == elsewhereDecided && why != "" {
			s.Why = why
		}
		if s.State == No && why == "" {
			why = s.Detail
		}
		steps = append(steps, s)
	}
	return steps
}

// elsewhereDecided is why a step that no fact is about was not checked.
const elsewhereDecided = "what was found elsewhere decided it"

// withoutHop says why no next hop was looked for, where the way there tells.
func withoutHop(facts []Fact) string {
	why := elsewhereDecided
	for _, f := range facts {
		if f.Name == FactRoute && f.State == Yes && (f.Scope.Role == RoleTarget || why == elsewhereDecided) {
			why = f.Detail
		}
	}
	return why
}

func (p step) appliesTo(t Target) bool {
	switch {
	case t.Local():
		return p.host
	case p.id == "name" && t.Addr.IsValid(), p.id == "port" && t.Port == 0:
		return false
	}
	return p.target
}

func (p step) from(facts []Fact) Step {
	s := Step{ID: p.id, Title: p.title, Command: p.command, Why: elsewhereDecided}
	if p.id == "gateway" {
		s.Why = withoutHop(facts)
	}
	var good, bad, open []Fact
	for _, name := range p.facts {
		for _, f := range facts {
			switch {
			case f.Name != name:
			case f.Anomaly():
				bad = append(bad, f)
			case f.State == NotChecked:
				open = append(open, f)
			case f.State == Yes && f.Name == FactConfigured:
				// That a server is configured does not say that it works.
				open = append(open, Fact{Why: "no name server was asked", Command: f.Command})
			case f.State == Yes && (f.Name == FactHosts || f.Name == FactSound):
				// Nor does a file that can be read say that, nor a card without errors that it is on.
			case f.State == Yes && (f.Scope.Role != RoleResolver || p.id == "name"):
				good = append(good, f)
			}
		}
	}
	switch {
	case len(bad) > 0:
		s.State, s.Detail, s.Command = No, details(bad, peersOf(bad)), bad[0].Command
	case len(good) > 0:
		s.State, s.Detail, s.Command = Yes, details(good, 2), good[len(good)-1].Command
	case len(open) > 0 && (open[0].Scope.Role != RoleResolver || p.id == "name"):
		last := open[len(open)-1]
		s.Why, s.Command = last.Why, last.Command
		if last.Need != "" {
			s.Why += " (needs " + last.Need + ")"
		}
	}
	if s.State != NotChecked {
		s.Why = ""
	}
	if s.Command == "" {
		s.Command = p.command
	}
	return s
}

// peersOf counts the addresses that facts are about, of which each has its own
// say, 1 at least and 3 at most.
func peersOf(facts []Fact) int {
	var peers []netip.Addr
	for _, f := range facts {
		peers = union(peers, []netip.Addr{f.Scope.Peer})
	}
	return min(max(1, len(peers)), 3)
}

// details joins the last few different details, for the later facts of a step
// are the more telling ones.
func details(facts []Fact, most int) string {
	var parts []string
	for _, f := range facts {
		if f.Detail != "" && !slices.Contains(parts, f.Detail) {
			parts = append(parts, f.Detail)
		}
	}
	return strings.Join(parts[max(0, len(parts)-most):], "; ")
}

// reached reports whether the goal of the run was seen: the port open, the
// host answering, or, for this host, the whole procedure in order.
func (r Report) reached() bool {
	goal := FactOpen
	switch {
	case r.Target.Local():
		return !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.State != Yes })
	case r.Target.Port == 0:
		goal = FactPath
	}
	return slices.ContainsFunc(r.Facts, func(f Fact) bool { return f.Name == goal && f.State == Yes && f.Scope.Role == RoleTarget })
}
