package resolve

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

// Lookup does for name what this host would do: IP literals, the hosts file (not
// for nslookup, which never reads it), the search list, and the servers in order
// with the timeouts and attempts of resolv.conf. All types are asked for at the
// same time where the policy does so, on sockets of their own.
//
// It differs from the programs whose policy it follows in this: localhost and
// the names below it are never asked for (RFC 6761), names under onion neither
// (RFC 7686); with the option rotate the first server is the first one; and where
// glibc repeats both questions because one of them got no reply, only that one
// is repeated. As with those programs, a server that cannot do with EDNS is not
// asked again without; with AllServers it is, as by [Client].
//
// That the name does not exist, or that no server replies, is in the Result. An
// error means that name is not a name, that a file could not be read, that an
// option was refused, or that ctx ended; then the Result has what was learnt
// until that moment.
func Lookup(ctx context.Context, name string, o *LookupOptions) (Result, error) {
	const op = "resolve: lookup"
	l := &lookup{ctx: ctx, began: time.Now()}
	if o != nil {
		l.o = *o
	}
	l.r = Result{Name: name, Policy: l.o.Policy}
	err := l.run()
	l.r.Elapsed = time.Since(l.began)
	return l.r, operr.New(op, name, err)
}

type lookup struct {
	ctx   context.Context
	o     LookupOptions
	r     Result
	began time.Time
	types []Type
	set   settings
	place place

	answered bool // Result.Server is one that gave an answer
}

func (l *lookup) run() error {
	if err := l.prepare(); err != nil {
		return err
	}
	if l.literal() {
		return nil
	}
	canonical, err := absolute(l.r.Name)
	if err != nil {
		return err
	}
	l.r.Canonical = canonical
	if found, err := l.hosts(); found || err != nil {
		return err
	}
	if under(l.r.Name, "localhost") {
		l.found(SourceSpecial, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()})
		return nil
	}
	return l.search(canonical)
}

func (l *lookup) prepare() (err error) {
	if l.o.Config != nil {
		l.r.Config = *l.o.Config
	} else if l.r.Config, err = ReadConfig(""); err != nil {
		return err
	}
	if l.o.Environment != nil {
		l.r.Config = l.r.Config.With(*l.o.Environment)
	}
	if l.o.NSSwitch != nil {
		l.r.NSSwitch = *l.o.NSSwitch
	} else if l.r.NSSwitch, err = ReadNSSwitch(""); err != nil {
		return err
	}
	c := &l.r.Config
	switch {
	case len(l.o.Servers) > 0:
		c.Servers, c.NoServer = slices.Clone(l.o.Servers), false
		for i, s := range c.Servers {
			c.Servers[i] = withPort(s)
		}
	case c.NoServer && l.o.Policy == PolicyGo:
		c.Servers = []netip.AddrPort{c.Servers[0], netip.AddrPortFrom(netip.IPv6Loopback(), port)}
	}
	l.types = l.o.Types
	if len(l.types) == 0 {
		l.types = []Type{TypeA, TypeAAAA}
		if c.NoAAAA && l.o.Policy == PolicyGlibc {
			l.types = l.types[:1]
		}
	}
	l.set = settings{attempts: 1, recurse: true, tcp: l.o.TCPOnly || c.UseVC}
	l.set.fallback = l.o.AllServers
	l.set.edns = l.o.EDNS || l.o.Policy == PolicyGo || l.o.Policy == PolicyGlibc && c.EDNS0
	l.place = place{l.o.Device, l.o.Mark, l.o.Source, l.o.NetNS}
	return nil
}

// wanted keeps the addresses of the types asked for.
func (l *lookup) wanted(addrs []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		t := TypeAAAA
		if a.Is4() || a.Is4In6() {
			t = TypeA
		}
		return !slices.Contains(l.types, t)
	})
}

func (l *lookup) found(source Source, addrs []netip.Addr) bool {
	if addrs = l.wanted(addrs); len(addrs) == 0 {
		return false
	}
	l.r.Source, l.r.Outcome, l.r.Addrs = source, OutcomeAnswer, addrs
	return true
}

func (l *lookup) literal() bool {
	addr, err := netip.ParseAddr(l.r.Name)
	if err != nil {
		var ok bool
		if addr, ok = parseAton(l.r.Name); !ok || l.o.Policy != PolicyGlibc {
			return false
		}
	}
	l.r.Source, l.r.Outcome, l.r.Addrs = SourceLiteral, OutcomeAnswer, []netip.Addr{addr}
	return true
}

func (l *lookup) hosts() (found bool, err error) {
	if l.o.Policy == PolicyNslookup {
		return false, nil
	}
	var h Hosts
	if l.o.Hosts != nil {
		h = *l.o.Hosts
	} else if h, err = ReadHosts(""); err != nil {
		return false, err
	}
	if l.o.Policy == PolicyGlibc && rooted(l.r.Name) {
		return false, nil // glibc compares the text, and a hosts file has no final dots
	}
	l.r.Hosts = h.Find(l.r.Name)
	return l.found(SourceHosts, h.Lookup(l.r.Name)), nil
}

// search goes through the names of the search list; self is the name as it is.
func (l *lookup) search(self string) error {
	policy := l.o.Policy
	list := policy.SearchList(l.r.Name, l.r.Config)
	selfFirst := countDots(l.r.Name) >= l.r.Config.Ndots
	how, selfDone := goOn, false
	for i, name := range list {
		if how == stop || how == asIs && name != self {
			l.r.Skipped = append(l.r.Skipped, name)
			continue
		}
		step, err := l.step(name)
		l.r.Steps = append(l.r.Steps, step)
		if err != nil {
			return err
		}
		if step.outcome() == OutcomeAnswer {
			l.success(step)
			l.r.Skipped = append(l.r.Skipped, list[i+1:]...)
			return nil
		}
		selfDone = selfDone || name == self
		switch {
		case i == 0 && selfFirst: // whatever came of it, the suffixes follow
		case how == asIs:
			how = stop
		default:
			if how = policy.after(step); how == asIs && selfDone {
				how = stop
			}
		}
	}
	if len(l.r.Steps) > 0 {
		step := policy.deciding(l.r.Steps, self)
		l.r.Outcome = step.outcome()
		l.families(step)
	}
	return nil
}

// deciding returns which of the names that were not found gives the outcome.
func (p Policy) deciding(steps []Step, self string) Step {
	last := len(steps) - 1
	switch p {
	case PolicyNslookup:
		return steps[last]
	case PolicyGo: // the error of the last name that is not the name itself
		for i := last; i > 0; i-- {
			if steps[i].Name != self {
				return steps[i]
			}
		}
		return steps[0]
	}
	if steps[0].Name == self { // tried as it is first: that error counts
		return steps[0]
	}
	for _, o := range []Outcome{OutcomeNoData, OutcomeServFail} {
		for _, s := range steps {
			if s.outcome() == o {
				return s
			}
		}
	}
	return steps[last]
}

// success takes the result from the name that was found.
func (l *lookup) success(s Step) {
	l.r.Source, l.r.Outcome, l.r.Found = SourceDNS, OutcomeAnswer, s.Name
	l.families(s)
	for _, f := range l.r.Families {
		l.r.Addrs = append(l.r.Addrs, f.Addrs...)
	}
}

// families sums up a name per type.
func (l *lookup) families(s Step) {
	l.r.Canonical = s.Name
	for _, t := range l.types {
		ask, a := s.decisive(t)
		if a == nil {
			continue // nslookup asks for AAAA only where A went well
		}
		l.r.Families = append(l.r.Families, Family{t, a.Outcome, a.Addrs(), ask.Server, ask.Start + a.Elapsed})
		if a.Outcome == OutcomeAnswer && !l.answered || !l.r.Server.IsValid() {
			l.r.Server, l.r.Canonical, l.answered = ask.Server, a.Canonical, a.Outcome == OutcomeAnswer
		}
	}
}
