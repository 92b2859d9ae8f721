package diagnose

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/resolve"
)

// suffixFact looks, for a short name that does not exist, for a suffix with
// which it does: that of this host's own name, in the hosts file or the DNS.
func (a *asking) suffixFact(ctx context.Context, server netip.AddrPort) []Fact {
	if strings.Contains(strings.TrimSuffix(a.name, "."), ".") || strings.HasSuffix(a.name, ".") {
		return nil
	}
	f := Fact{
		Name: FactQualified, Subject: a.name, Scope: Scope{Name: a.name}, At: server.Addr(),
		Why: "no domain is known that would complete it", Command: "cat " + a.g.host.confPath,
	}
	for _, suffix := range a.suffixes(ctx, server) {
		full := a.name + "." + strings.TrimSuffix(suffix, ".")
		ans := a.g.query(ctx, server, full+".", resolve.TypeA)
		if len(ans.Addrs()) == 0 {
			ans = a.g.query(ctx, server, full+".", resolve.TypeAAAA)
		}
		if len(ans.Addrs()) > 0 {
			f.State, f.Value, f.Why = No, full, ""
			f.Detail = full + " resolves to " + joinAddrs(ans.Addrs())
			f.Command = "nslookup " + full
			return []Fact{f}
		}
	}
	return []Fact{f}
}

// suffixes returns domains that this host is known to belong to and that the
// search list does not have, at most three.
func (a *asking) suffixes(ctx context.Context, server netip.AddrPort) (out []string) {
	const most = 3
	add := func(name string) {
		_, domain, ok := strings.Cut(strings.TrimSuffix(name, "."), ".")
		domain = strings.ToLower(domain)
		if ok && domain != "" && len(out) < most && !slices.Contains(out, domain) && !slices.Contains(a.g.host.conf.Search, domain) {
			out = append(out, domain)
		}
	}
	add(a.g.tools.hostname())
	own := a.g.host.own()
	for _, e := range a.g.host.hosts.Entries {
		if a := e.Addr; slices.Contains(own, a) && !a.IsLoopback() || a == debianSelf {
			for _, n := range e.Names {
				add(n)
			}
		}
	}
	for _, addr := range append(reversible(own), server.Addr()) {
		if len(out) == most {
			break
		}
		ans := a.g.query(ctx, server, resolve.ReverseName(addr), resolve.TypePTR)
		for _, r := range ans.Records {
			if d, ok := r.Data.(resolve.PTR); ok {
				add(d.Target)
			}
		}
	}
	return out
}

// debianSelf is the address under which Debian's installer enters the host's
// own name in the hosts file.
var debianSelf = netip.AddrFrom4([4]byte{127, 0, 1, 1})

// reversible picks two addresses that a reverse zone may know.
func reversible(own []netip.Addr) (out []netip.Addr) {
	for _, a := range own {
		if !a.IsLoopback() && !a.IsLinkLocalUnicast() && len(out) < 2 {
			out = append(out, a)
		}
	}
	return out
}

// recursionFact judges a server that failed for a name by what it answered for
// the one name that every resolver knows, the root.
func (a *asking) recursionFact(server netip.AddrPort, failed string, root resolve.Answer) Fact {
	s := server.Addr()
	f := Fact{
		Name: FactRecursion, Subject: s.String(), State: Yes, Value: failed, At: s,
		Scope:  Scope{Peer: s, Port: server.Port(), Role: RoleResolver},
		Detail: s.String() + " resolves other names", Command: "dig @" + s.String() + " . NS",
	}
	switch {
	case root.Outcome == resolve.OutcomeAnswer:
	case root.Outcome.Replied():
		f.State, f.Value = No, "name_and_root"
		f.Detail = "it does not even resolve the root (" + rcodeWord(root) + ")"
	default:
		f.State, f.Why, f.Detail = NotChecked, s.String()+" did not answer a second question", ""
	}
	return f
}

// someServerFact says whether any name server answers at all.
func someServerFact(servers []*server) Fact {
	f := Fact{Name: FactSomeServer, Subject: "any", State: No, Neutral: true, Command: "cat /etc/resolv.conf"}
	for _, s := range servers {
		if s.answers() {
			f.State, f.Detail = Yes, "name server "+s.ap.Addr().String()+" answers"
		}
	}
	return f
}

// answers reports whether the server has replied to anything.
func (s *server) answers() bool {
	return s.answer != nil && s.answer.Outcome.Replied() || s.ev.root != nil && s.ev.root.Outcome.Replied()
}

// facts states what is known about a name server.
func (s *server) facts() []Fact {
	f := s.ev.fact(FactServer)
	f.Subject = s.ap.Addr().String()
	f.Command = "dig @" + f.Subject + " . NS"
	ans := s.ev.answer
	switch {
	case ans == nil:
		f.Why = "there is no way to the name server " + f.Subject
	case ans.Outcome.Replied():
		f.State, f.Value = Yes, ans.Outcome.String()
		f.Detail = "name server " + f.Subject + " answers in " + millis(ans.RTT)
	case s.answers():
		f.State, f.Value = Yes, "other_questions"
		f.Detail = "name server " + f.Subject + " answers other questions"
	case ans.Outcome == resolve.OutcomeLocalFirewall:
		f.State, f.Value, f.Detail = No, "filtered", "this host's own filter stops questions to "+f.Subject
	case ans.Outcome.Local():
		f.Why = "this host could not ask: " + ans.Err
	default:
		f.State, f.Value = No, serverWord(ans.Outcome)
		f.Detail = "name server " + f.Subject + " does not answer"
		if m := ans.ICMP; m != nil && !s.ev.isOwn(m.From) {
			f.Value, f.At = refusalWord(m.Kind), m.From
			f.Detail += ": " + m.String()
		}
	}
	return append(s.ev.facts(), f)
}

// serverWord folds the ways of not answering into silence and refusal.
func serverWord(o resolve.Outcome) string {
	switch o {
	case resolve.OutcomePortUnreachable, resolve.OutcomeProhibited, resolve.OutcomeNetUnreachable:
		return o.String()
	}
	return "timeout"
}
