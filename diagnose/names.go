package diagnose

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/resolve"
)

const (
	// nextServerAfter is when the next name server is asked as well. A healthy
	// one answers long before, a user's patience ends long after.
	nextServerAfter = 700 * time.Millisecond
	// serverPatience is how long a name server may take while another one has
	// answered already, before it is called silent.
	serverPatience = 2 * time.Second
)

// nameResult is what the look-up of the target's name has found out so far.
type nameResult struct {
	addrs  []netip.Addr
	facts  []Fact
	asking *asking // nil when no name server was asked
}

// asking is the look-up of a name in progress: the servers and what each said
// last.
type asking struct {
	g       *gatherer
	name    string
	servers []*server
	wg      sync.WaitGroup
}

// server is one name server and what is known about it.
type server struct {
	ap netip.AddrPort
	ev *evidence

	mu     sync.Mutex
	busy   bool            // a question is open
	answer *resolve.Answer // of the first question it was asked, or its first reply
}

// resolveName looks the target's name up as this host would: hosts file, then
// each candidate of the search list at the name servers in order. A server that
// is silent is examined like any other peer while the next one is asked.
func (g *gatherer) resolveName(ctx context.Context) nameResult {
	name := g.target.Host
	if addrs := g.host.hosts.Lookup(name); len(addrs) > 0 {
		return nameResult{addrs: addrs, facts: []Fact{{
			Name: FactName, Subject: name, State: Yes, Value: "hosts", Scope: Scope{Name: name},
			Detail: name + " is " + joinAddrs(addrs) + " in the hosts file", Command: "getent hosts " + name,
		}}}
	}
	facts := []Fact{g.host.configuredFact(), g.host.hostsFact()}
	if facts[0].State == No {
		return nameResult{facts: append(facts, Fact{
			Name: FactName, Subject: name, State: No, Value: "no_server", Scope: Scope{Name: name},
			Detail: name + " cannot be looked up", Command: "nslookup " + name,
		})}
	}
	a := g.newAsking(ctx, name)
	addrs, nameFacts := a.lookUp(ctx)
	return nameResult{addrs: addrs, facts: append(facts, nameFacts...), asking: a}
}

// finish waits for the name servers that are still silent and returns what is
// known about those that mattered.
func (r nameResult) finish(ctx context.Context) (facts []Fact, servers []*evidence) {
	if r.asking == nil {
		return r.facts, nil
	}
	r.asking.settle(ctx)
	facts = append(r.facts, someServerFact(r.asking.servers))
	for _, s := range r.asking.servers {
		if s.ev.answer == nil && s.ev.usable() {
			continue // not asked: an earlier one answered
		}
		servers = append(servers, s.ev)
		facts = append(facts, s.facts()...)
	}
	return facts, servers
}

func (s *snapshot) configuredFact() Fact {
	f := Fact{Name: FactConfigured, Subject: s.confPath, State: Yes, Command: "cat " + s.confPath}
	switch {
	case s.confErr != nil:
		f.State, f.Value = No, "unreadable"
		f.Detail = s.confPath + " cannot be read: " + reason(s.confErr)
	case s.conf.NoServer:
		f.State, f.Detail = No, "no nameserver line in "+s.confPath
		if s.conf.Missing {
			f.Detail = "there is no " + s.confPath
		}
	default:
		f.Detail = "name server " + joinServers(s.conf.Servers)
	}
	return f
}

// hostsFact says whether the hosts file can be read. That there is none is no
// fault; one that is kept from this user hides the names that are only there.
func (s *snapshot) hostsFact() Fact {
	f := Fact{Name: FactHosts, Subject: s.hosts.Path, State: Yes, Command: "ls -l " + s.hosts.Path}
	if s.hostsErr != nil {
		f.State, f.Value = No, "unreadable"
		f.Detail = s.hosts.Path + " cannot be read: " + reason(s.hostsErr)
	}
	return f
}

// reason is the innermost error, in words.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func joinServers(servers []netip.AddrPort) string {
	var addrs []netip.Addr
	for _, s := range servers {
		addrs = append(addrs, s.Addr())
	}
	return joinAddrs(addrs)
}

func (g *gatherer) newAsking(ctx context.Context, name string) *asking {
	a := &asking{g: g, name: name}
	for _, ap := range g.host.conf.Servers {
		s := &server{ap: ap}
		s.ev = g.evidenceFor(ctx, peer{role: RoleResolver, addr: ap.Addr(), port: ap.Port()})
		a.servers = append(a.servers, s)
	}
	return a
}

// lookUp tries the candidates in order until one has an address.
func (a *asking) lookUp(ctx context.Context) ([]netip.Addr, []Fact) {
	var last resolve.Answer
	as := a.name
	for _, candidate := range resolve.SearchList(a.name, a.g.host.conf) {
		ans, addrs := a.ask(ctx, candidate)
		if len(addrs) > 0 {
			return addrs, []Fact{a.resolvedFact(candidate, ans, addrs)}
		}
		if worse(ans.Outcome, last.Outcome) {
			last, as = ans, candidate
		}
		if !ans.Outcome.Replied() {
			break // no server answers: further candidates would tell nothing more
		}
	}
	if !last.Outcome.Replied() {
		return nil, a.silenceFacts(as)
	}
	facts := []Fact{a.existsFact(as, last)}
	if last.Outcome == resolve.OutcomeNoData {
		return nil, facts
	}
	qualified := a.suffixFact(ctx, last.Server)
	facts = append(facts, qualified...)
	found := len(qualified) > 0 && qualified[0].State == No
	if last.Outcome != resolve.OutcomeNXDomain && !found {
		facts = append(facts, a.recursionFact(last.Server, last.Outcome.String(), a.g.query(ctx, last.Server, ".", resolve.TypeNS)))
	}
	return nil, facts
}

// silenceFacts is about a name that drew no answer: from servers that answer
// nothing, or from one that answers other questions.
func (a *asking) silenceFacts(as string) []Fact {
	for _, s := range a.servers {
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		root := s.ev.root
		if answer == nil || !answer.Outcome.Replied() && (root == nil || !root.Outcome.Replied()) {
			continue
		}
		facts := []Fact{a.existsFact(as, resolve.Answer{Server: s.ap, Outcome: resolve.OutcomeTimeout})}
		if root != nil {
			facts = append(facts, a.recursionFact(s.ap, "no answer", *root))
		}
		return facts
	}
	f := a.fact(FactName, as)
	f.State, f.Value, f.Detail = No, "no_answer", "no name server answered for "+f.Subject
	switch {
	case !slices.ContainsFunc(a.servers, func(s *server) bool { return s.ev.usable() }):
		f.Value, f.Detail = "no_way", "no name server can be reached to ask for "+f.Subject
	}
	return []Fact{f}
}

// worse orders what the candidates gave by what it says about the name: that
// it exists without an address, then failures, then that it does not exist.
func worse(a, b resolve.Outcome) bool {
	weight := func(o resolve.Outcome) int {
		switch {
		case o == resolve.OutcomeUnknown:
			return 0
		case o == resolve.OutcomeNXDomain:
			return 2
		case !o.Replied():
			return 1
		case o == resolve.OutcomeNoData:
			return 4
		}
		return 3
	}
	return weight(a) > weight(b)
}

// ask puts A and AAAA of one candidate to the servers: the next one is asked
// when the one before fails or is silent for nextServerAfter.
func (a *asking) ask(ctx context.Context, candidate string) (resolve.Answer, []netip.Addr) {
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan reply, len(a.servers))
	asked, pending := 0, 0
	next := func() {
		for asked < len(a.servers) {
			s := a.servers[asked]
			asked++
			if s.take() {
				pending++
				a.wg.Go(func() { answers <- s.resolve(ctx, a.g, candidate) })
				return
			}
		}
	}
	defer func() {
		// A server that is silent while others answer keeps its question until
		// settle: whether it is slow or dead is still open.
		if pending == 0 {
			cancel()
			return
		}
		a.wg.Go(func() {
			defer cancel()
			select {
			case <-ctx.Done():
			case <-time.After(serverPatience):
			}
		})
	}()
	var best resolve.Answer
	for next(); pending > 0; {
		timer := time.NewTimer(nextServerAfter)
		select {
		case ans := <-answers:
			pending--
			if ans.Outcome.Final() {
				return ans.Answer, ans.addrs
			}
			if worse(ans.Outcome, best.Outcome) {
				best = ans.Answer
			}
			next()
		case <-timer.C:
			next()
		}
		timer.Stop()
	}
	return best, nil
}

// reply is the answer that decides, with the addresses of both families.
type reply struct {
	resolve.Answer
	addrs []netip.Addr
}

// resolve asks one server for both families.
func (s *server) resolve(ctx context.Context, g *gatherer, name string) reply {
	var a6 resolve.Answer
	var wg sync.WaitGroup
	six, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { a6 = g.query(six, s.ap, name, resolve.TypeAAAA); s.note(a6) })
	a4 := s.ask(ctx, g, name)
	if a4.Outcome == resolve.OutcomeAnswer {
		// Addresses are there: the other family gets a moment, no more.
		t := time.AfterFunc(200*time.Millisecond, stop)
		defer t.Stop()
	}
	wg.Wait()
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	if a6.Outcome == resolve.OutcomeAnswer && a4.Outcome != resolve.OutcomeAnswer {
		return reply{a6, a6.Addrs()}
	}
	return reply{a4, append(a4.Addrs(), a6.Addrs()...)}
}

// ask puts the A question, and examines the server meanwhile if it is silent.
func (s *server) ask(ctx context.Context, g *gatherer, name string) resolve.Answer {
	done := make(chan struct{})
	probing, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { g.probeUnless(probing, done, true, s.ev) })
	ans := g.query(ctx, s.ap, name, resolve.TypeA)
	s.note(ans)
	close(done)
	if ans.Outcome.Replied() {
		stop() // slow, but there
	}
	wg.Wait()
	return ans
}

// note keeps the answer that tells most about the server: its first reply.
func (s *server) note(ans resolve.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == nil || !s.answer.Outcome.Replied() && (ans.Outcome.Replied() || s.answer.ICMP == nil) {
		s.answer = &ans
	}
}

// take reserves a server for one question at a time: one that is still silent
// about the last is not asked again.
func (s *server) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || !s.ev.usable() {
		return false
	}
	s.busy = true
	return true
}

// query asks and counts. An error is an answer too: nothing was learnt.
func (g *gatherer) query(ctx context.Context, ap netip.AddrPort, name string, t resolve.Type) resolve.Answer {
	ans, err := g.tools.resolver.Query(ctx, ap, resolve.Question{Name: name, Type: t})
	if err != nil && ans.Outcome == resolve.OutcomeUnknown {
		ans.Server, ans.Outcome, ans.Err = ap, resolve.OutcomeTimeout, err.Error()
	}
	g.count(max(1, len(ans.Attempts)))
	return ans
}

// settle waits for the servers that were asked and have not answered yet.
func (a *asking) settle(ctx context.Context) {
	a.wg.Wait()
	for _, s := range a.servers {
		s.mu.Lock()
		s.ev.answer = s.answer
		s.mu.Unlock()
		if s.ev.answer != nil && !s.answers() {
			a.g.findNeighbor(ctx, s.ev)
		}
	}
}

// fact begins a fact about the name as it was asked for.
func (a *asking) fact(name, as string) Fact {
	subject := strings.TrimSuffix(as, ".")
	return Fact{Name: name, Subject: subject, Scope: Scope{Name: a.name}, Command: "nslookup " + subject}
}

func (a *asking) resolvedFact(as string, ans resolve.Answer, addrs []netip.Addr) Fact {
	f := a.fact(FactName, a.name)
	f.State, f.Value, f.At = Yes, "dns", ans.Server.Addr()
	f.Detail = f.Subject + " is " + joinAddrs(addrs)
	if full := strings.TrimSuffix(as, "."); !strings.EqualFold(full, f.Subject) {
		f.Detail += " (as " + full + ")"
	}
	return f
}

// existsFact is what a server said about a name that has no address.
func (a *asking) existsFact(as string, ans resolve.Answer) Fact {
	f := a.fact(FactExists, as)
	f.State, f.Value, f.At = No, ans.Outcome.String(), ans.Server.Addr()
	if !ans.Outcome.Replied() {
		f.Value, f.Detail = "timeout_upstream", f.At.String()+" answers other questions, and none about "+f.Subject
		return f
	}
	f.Detail = f.At.String() + " answers " + rcodeWord(ans)
	if target := strings.TrimSuffix(ans.Canonical, "."); target != "" && !strings.EqualFold(target, f.Subject) {
		f.Detail += ": it is an alias of " + target
	}
	if ans.SOA != nil && ans.Outcome == resolve.OutcomeNXDomain {
		f.Detail += ", and the zone's own servers vouch for it"
	}
	if len(ans.EDE) > 0 {
		f.Detail += " (" + ans.EDE[0].String() + ")"
	}
	return f
}

// rcodeWord is the answer in dig's words.
func rcodeWord(ans resolve.Answer) string {
	if ans.Outcome == resolve.OutcomeNoData {
		return "NOERROR without an address"
	}
	return ans.RCode.String()
}
