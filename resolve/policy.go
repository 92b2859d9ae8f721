package resolve

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// try is one turn of a server within a look-up.
type try struct {
	server  netip.AddrPort
	round   int
	timeout time.Duration
}

// tries returns the turns that one name gets, in order, while no reply ends it.
func (p Policy) tries(c Config, servers []netip.AddrPort, override LookupOptions) []try {
	rounds := c.Attempts
	switch p {
	case PolicyGo:
		rounds = max(rounds, 1)
	case PolicyNslookup:
		if rounds = max(rounds, 1); !hasOption(c, "attempts:") {
			rounds = 3
		}
	}
	if override.Attempts > 0 {
		rounds = override.Attempts
	}
	var list []try
	for round := range rounds {
		for i, s := range servers {
			t := try{s, round, p.timeout(c.Timeout, i, len(servers))}
			if override.Timeout > 0 {
				t.timeout = override.Timeout
			}
			list = append(list, t)
		}
	}
	if p == PolicyNslookup {
		// All its tries go to the first server; each other one gets a single try.
		slices.SortStableFunc(list, func(a, b try) int {
			return slices.Index(servers, a.server) - slices.Index(servers, b.server)
		})
		list = slices.DeleteFunc(list, func(t try) bool { return t.server != servers[0] && t.round > 0 })
	}
	return list
}

func hasOption(c Config, prefix string) bool {
	return slices.ContainsFunc(c.Options, func(d Directive) bool { return strings.HasPrefix(d.Text, prefix) })
}

// timeout is how long the server with this index gets. That of glibc grows with
// the index, not with the round (send_dg in resolv/res_send.c; measured).
func (p Policy) timeout(base time.Duration, index, servers int) time.Duration {
	if p == PolicyGlibc && index > 0 {
		seconds := int(base/time.Second) << index / servers
		base = time.Duration(seconds) * time.Second
	}
	return max(base, time.Second)
}

// verdict is how a look-up goes on after a name.
type verdict uint8

const (
	goOn verdict = iota // with the next name of the list
	asIs                // with the name as it is, and no more suffixes
	stop
)

// after tells how the list goes on after a name that was not found.
func (p Policy) after(s Step) verdict {
	switch p {
	case PolicyGo:
		return goOn
	case PolicyNslookup: // only the first type counts
		if len(s.Asks) > 0 {
			_, a := s.decisive(s.Asks[0].Answers[0].Question.Type)
			if a.Outcome == OutcomeNXDomain {
				return goOn
			}
		}
		return stop
	}
	switch o := s.outcome(); {
	case s.nobody():
		return stop // ECONNREFUSED in res_nsearch
	case o == OutcomeNoData && s.aliased(), o == OutcomeCNAMELoop:
		return stop // NOERROR with an answer section counts as found
	case o == OutcomeNXDomain, o == OutcomeNoData, o == OutcomeServFail:
		return goOn
	case o == OutcomeLame && s.overTCP(): // only over UDP is that seen for what it is
		return goOn
	}
	return asIs
}

// nobody reports that no server replied or let the time run out: errors came
// from the way there.
func (s Step) nobody() bool {
	for _, a := range s.Asks {
		for _, ans := range a.Answers {
			if o := ans.Outcome; o.Replied() || o == OutcomeTimeout || o == OutcomeMismatch || o == OutcomeMalformed {
				return false
			}
		}
	}
	return true
}

func (s Step) overTCP() bool {
	return len(s.Asks) > 0 && s.Asks[len(s.Asks)-1].Answers[0].Transport == TransportTCP
}

// aliased reports that the name led to an alias without records of its own.
func (s Step) aliased() bool {
	for _, a := range s.Asks {
		for _, ans := range a.Answers {
			if ans.Outcome == OutcomeNoData && len(ans.Records) > 0 {
				return true
			}
		}
	}
	return false
}

// accepted reports whether a reply ends the asking of servers.
func (p Policy) accepted(a Answer) bool {
	switch o := a.Outcome; {
	case o.Final():
		return p != PolicyNslookup || a.RecursionAvailable
	case p == PolicyGlibc:
		// Over TCP it takes every reply (send_vc in resolv/res_send.c).
		return o == OutcomeFormErr || o == OutcomeOtherRCode || a.Transport == TransportTCP && o.Replied()
	case p == PolicyNslookup:
		return a.RecursionAvailable && (o == OutcomeFormErr || o == OutcomeNotImp || o == OutcomeRefused || o == OutcomeOtherRCode)
	}
	return false
}

// outcome is what a name comes to as a whole: what the policy makes of the
// answers that count.
func (s Step) outcome() Outcome {
	best, last := OutcomeUnknown, OutcomeUnknown
	for _, a := range s.Asks {
		for i, ans := range a.Answers {
			o := ans.Outcome
			switch {
			case o == OutcomeAnswer:
				return OutcomeAnswer
			case o.Final() && (best == OutcomeUnknown || best == OutcomeNoData):
				best = o // NXDOMAIN of one type weighs more than NODATA of the other
			case o.Replied() && (i == 0 || !a.Answers[0].Outcome.Replied()):
				last = o // of the last server that replied, the first type
			case last == OutcomeUnknown || !last.Replied() && rank(o) >= rank(last):
				last = o
			}
		}
	}
	if best != OutcomeUnknown {
		return best
	}
	return last
}

// decisive returns the answer that counts for a type: the first one that tells
// about the name, else the last one; nil if it was not asked for.
func (s Step) decisive(t Type) (ask Ask, found *Answer) {
	for _, k := range s.Asks {
		for i, a := range k.Answers {
			if a.Question.Type != t {
				continue
			}
			ask, found = k, &k.Answers[i]
			if a.Outcome.Final() {
				return ask, found
			}
		}
	}
	return ask, found
}
