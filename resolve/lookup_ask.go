package resolve

import (
	"net/netip"
	"slices"
	"time"
)

// step asks about one name until a reply is accepted or every server had its
// turns.
func (l *lookup) step(name string) (Step, error) {
	s := Step{Name: name}
	if l.o.AllServers {
		return s, l.askAll(&s)
	}
	tries := l.o.Policy.tries(l.r.Config, l.r.Config.Servers, l.o)
	if l.o.Policy != PolicyNslookup {
		return s, l.turns(&s, name, tries, l.types)
	}
	// nslookup begins anew for each type, as long as all went well, and asks for
	// the next one where the aliases of the first one led.
	for i := range l.types {
		if err := l.turns(&s, name, tries, l.types[i:i+1]); err != nil {
			return s, err
		}
		last := s.Asks[len(s.Asks)-1].Answers[0]
		if !last.Outcome.Replied() || last.RCode != RCodeNoError {
			break
		}
		name = last.Canonical
	}
	return s, nil
}

// turns gives servers their turns until a reply is accepted.
func (l *lookup) turns(s *Step, name string, tries []try, types []Type) error {
	policy, pending := l.o.Policy, types
	var replied netip.AddrPort
	for _, t := range tries {
		if t.server == replied && policy == PolicyNslookup {
			continue // it repeats only what got no reply
		}
		ask, err := l.ask(s, name, t, pending, policy == PolicyGlibc && l.r.Config.SingleRequest)
		if err != nil {
			return err
		}
		switch {
		case policy == PolicyGo:
			// Every type goes through the servers on its own.
			if pending = unaccepted(policy, ask); len(pending) == 0 {
				return nil
			}
		case slices.ContainsFunc(ask.Answers, policy.accepted):
			return l.askSilent(s, name, t, ask)
		case ask.Answers[0].Outcome.Replied():
			replied = t.server
		}
	}
	return nil
}

func unaccepted(p Policy, ask Ask) (types []Type) {
	for _, a := range ask.Answers {
		if !p.accepted(a) {
			types = append(types, a.Question.Type)
		}
	}
	return types
}

// askSilent asks again for a type that got no reply while another one did: glibc
// first suspects a server that takes no two questions at a time, then one that
// takes no two from one port.
func (l *lookup) askSilent(s *Step, name string, t try, ask Ask) error {
	more := 2
	switch c := l.r.Config; {
	case l.o.Policy != PolicyGlibc, c.SingleRequestReopen:
		return nil
	case c.SingleRequest:
		more = 1
	}
	for range more {
		var silent []Type
		for _, a := range ask.Answers {
			if a.Outcome == OutcomeTimeout || a.Outcome == OutcomeMismatch {
				silent = append(silent, a.Question.Type)
			}
		}
		if len(silent) == 0 {
			return nil
		}
		var err error
		if ask, err = l.ask(s, name, t, silent, true); err != nil {
			return err
		}
	}
	return nil
}

// ask gives one server its turn, and files it with the step.
func (l *lookup) ask(s *Step, name string, t try, types []Type, inTurn bool) (Ask, error) {
	ask := Ask{Server: t.server, Round: t.round, Start: time.Since(l.began)}
	set := l.set
	set.timeout = t.timeout
	groups := [][]Type{types}
	if inTurn {
		groups = groups[:0]
		for i := range types {
			groups = append(groups, types[i:i+1])
		}
	}
	var err error
	for _, g := range groups {
		var xs []*exchange
		for _, typ := range g {
			var x *exchange
			if x, err = newExchange(t.server, Question{Name: name, Type: typ}, set); err != nil {
				return ask, err
			}
			xs = append(xs, x)
		}
		err = drive(l.ctx, xs, l.place)
		for _, x := range xs {
			ask.Answers = append(ask.Answers, x.ans)
		}
		if err != nil {
			break
		}
	}
	s.Asks = append(s.Asks, ask)
	return ask, err
}

// askAll asks every server about every type at the same time.
func (l *lookup) askAll(s *Step) error {
	c := l.r.Config
	set := l.set
	set.attempts = max(1, c.Attempts)
	if l.o.Attempts > 0 {
		set.attempts = l.o.Attempts
	}
	if set.timeout = max(c.Timeout, time.Second); l.o.Timeout > 0 {
		set.timeout = l.o.Timeout
	}
	var xs []*exchange
	for _, server := range c.Servers {
		for _, t := range l.types {
			x, err := newExchange(server, Question{Name: s.Name, Type: t}, set)
			if err != nil {
				return err
			}
			xs = append(xs, x)
		}
	}
	start := time.Since(l.began)
	err := drive(l.ctx, xs, l.place)
	for i, server := range c.Servers {
		ask := Ask{Server: server, Start: start}
		for _, x := range xs[i*len(l.types) : (i+1)*len(l.types)] {
			ask.Answers = append(ask.Answers, x.ans)
		}
		s.Asks = append(s.Asks, ask)
	}
	return err
}
