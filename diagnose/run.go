package diagnose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
)

// gatherer collects the facts of one run.
type gatherer struct {
	target Target
	opts   Options
	tools  *tools
	host   snapshot
	seen   *observer
	begun  time.Time

	mu      sync.Mutex // guards what follows: probes run side by side
	packets int
	told    map[string]State // steps already reported to Progress
}

func run(ctx context.Context, target Target, opts *Options) (Report, error) {
	g := &gatherer{target: target, begun: time.Now(), told: map[string]State{}}
	if opts != nil {
		g.opts = *opts
	}
	if g.opts.Budget <= 0 {
		g.opts.Budget = DefaultBudget
	}
	t, err := newTools(g.opts)
	if err != nil {
		return Report{}, operr.New("diagnose: open", nil, err)
	}
	defer t.Close()
	g.tools = t
	whole := ctx
	ctx, cancel := context.WithTimeoutCause(whole, g.opts.Budget, errBudget)
	defer cancel()
	g.begin("link", "address", "route")
	// What this host knows by itself is there in no time, and there is nothing
	// to say without it: only the caller can break that off.
	if err := g.look(whole); err != nil {
		return Report{}, operr.New("diagnose: inspect this host", nil, err)
	}
	if n := g.opts.Interface; n != "" && g.host.link(n) == nil {
		return Report{}, operr.New("diagnose: inspect this host", nil, noInterface(n))
	}
	if err := g.checkZone(); err != nil {
		return Report{}, operr.New("diagnose: target", target, err)
	}
	if err := g.checkUnicast(ctx); err != nil {
		return Report{}, operr.New("diagnose: target", target, err)
	}
	g.seen = g.observe(ctx)
	defer g.seen.wg.Wait()
	var facts []Fact
	if target.Local() {
		facts = g.examineHost(ctx)
	} else {
		facts = g.examineTarget(ctx)
	}
	return g.report(facts), nil
}

// noInterface is the error for an interface of that name, which is not there.
type noInterface string

func (n noInterface) Error() string        { return "there is no interface " + string(n) }
func (n noInterface) Is(target error) bool { return target == os.ErrNotExist }

// checkZone refuses a link-local address that does not say on which link.
func (g *gatherer) checkZone() error {
	a := g.target.Addr
	switch zone := a.Zone(); {
	case a.Is6() && a.IsLinkLocalUnicast() && zone == "" && g.opts.Interface == "":
		return errors.New("a link-local address needs its interface: write " + a.String() + "%INTERFACE")
	case zone != "" && g.host.link(zone) == nil && g.host.named(a) == a:
		return noInterface(zone)
	}
	return nil
}

// checkUnicast refuses addresses that are no host's.
func (g *gatherer) checkUnicast(ctx context.Context) error {
	if !g.target.Addr.IsValid() {
		return nil
	}
	d, err := g.tools.lookup.Lookup(ctx, g.target.Addr, nil)
	if err == nil && (d.Route.Type == route.TypeBroadcast || d.Route.Type == route.TypeMulticast || d.Route.Type == route.TypeAnycast && g.target.Addr.Is4()) {
		hint := ""
		if d.Route.Type == route.TypeBroadcast && d.Route.Device != "" {
			hint = fmt.Sprintf("; if it is one, the prefix length of %s is wrong", d.Route.Device)
		}
		return fmt.Errorf("a %s address is no single host's%s", d.Route.Type, hint)
	}
	return nil
}

// errBudget marks what was not checked for want of time.
var errBudget = errors.New("the time budget ran out")

// look takes the snapshot of what this host knows by itself. Without its
// interfaces and routes there is nothing to go by; a file that cannot be read is
// a fact like any other.
func (g *gatherer) look(ctx context.Context) (err error) {
	h := &g.host
	if h.links, err = g.tools.links.Inspect(ctx); err != nil && !errors.Is(err, link.ErrInterrupted) {
		return err
	}
	if h.routes, err = g.tools.routes.Routes(ctx); err != nil && !errors.Is(err, route.ErrInterrupted) {
		return err
	}
	h.confPath = cmp.Or(g.opts.ResolvConf, "/etc/resolv.conf")
	h.conf, h.confErr = resolve.ReadConfig(h.confPath)
	h.hosts, h.hostsErr = resolve.ReadHosts(cmp.Or(g.opts.HostsFile, "/etc/hosts"))
	h.distro = distribution(g.opts.OSRelease)
	return nil
}

// examineTarget is the whole procedure: name, path, port.
func (g *gatherer) examineTarget(ctx context.Context) []Fact {
	var peers []*evidence // whose routes the local facts are about
	var facts []Fact
	names := nameResult{addrs: []netip.Addr{g.target.Addr}}
	if !g.target.Addr.IsValid() {
		g.begin("name")
		names = g.resolveName(ctx)
	}
	if len(names.addrs) > 0 {
		// A name server that has not answered yet has its time meanwhile.
		g.begin("gateway", "path", "port")
		peers, facts = g.reach(ctx, names.addrs)
		for _, e := range peers {
			facts = append(facts, e.facts()...)
			facts = append(facts, g.resendingFact(ctx, e))
		}
		if e := peers[0]; e.goalReached() {
			facts = append(facts, g.mtuFact(ctx, e))
		}
		facts = slices.DeleteFunc(facts, func(f Fact) bool { return f.Name == "" })
	}
	nameFacts, servers := names.finish(ctx)
	facts = append(nameFacts, facts...)
	peers = append(servers, peers...)
	return slices.Concat(g.localFacts(ctx, peers), facts)
}

// localFacts says about this host what the peers in question depend on.
func (g *gatherer) localFacts(ctx context.Context, peers []*evidence) []Fact {
	var used []string
	by := uses{}
	var families, strandedFamilies []int
	for _, e := range peers {
		family := e.peer.family()
		if !slices.Contains(families, family) {
			families = append(families, family)
		}
		if e.routed() {
			used = append(used, e.iface)
			u := use{e.iface, family}
			by[u] = by[u] || family == 4 || !e.peer.addr.IsLinkLocalUnicast()
		} else if routeWord(e.decision) == "no_route" {
			strandedFamilies = append(strandedFamilies, family)
		}
	}
	if len(families) == 0 {
		families = g.configuredFamilies()
	}
	slices.Sort(families)
	wanted := g.host.wanted(g.opts.Interface, used, families, len(strandedFamilies) > 0)
	facts := append([]Fact{g.host.hostFact()}, g.linkFacts(ctx, wanted, families, func(iface string, family int) bool {
		return by.spares(iface, family) && !slices.Contains(strandedFamilies, family)
	})...)
	for _, family := range families {
		facts = append(facts, g.host.defaultFact(family, slices.Contains(strandedFamilies, family)))
	}
	facts = append(facts, g.seen.stackFacts(ctx, peers)...)
	return dedupe(facts)
}

// configuredFamilies returns the families that this host has usable addresses
// of, IPv4 when there are none.
func (g *gatherer) configuredFamilies() (families []int) {
	for _, family := range []int{4, 6} {
		if slices.ContainsFunc(g.host.links, func(l link.Link) bool { return !l.Loopback() && len(usable(&l, family)) > 0 }) {
			families = append(families, family)
		}
	}
	if len(families) == 0 {
		return []int{4}
	}
	return families
}

// report explains the facts and puts everything together.
func (g *gatherer) report(facts []Fact) Report {
	facts = identified(dedupe(facts))
	x := Explain(facts, g.opts.Causes...)
	r := Report{
		Version: Version, Target: g.target, Facts: facts,
		Causes: merged(x.Causes), Ambiguous: merged(x.Ambiguous), Unexplained: x.Unexplained,
		Steps: stepsFor(g.target, facts),
		Cost:  Cost{Packets: g.packets, Wall: time.Since(g.begun)},
	}
	r.Remedies = remediesFor(r.Causes, facts)
	r.Verdict = r.verdict()
	for _, s := range r.Steps {
		g.tell(s)
	}
	return r
}

func (r Report) verdict() Verdict {
	v := Verdict{Reached: r.reached()}
	switch {
	case len(r.Causes) > 0:
		c := r.Causes[0]
		v.Code, v.Where, v.Confidence, v.Summary = c.Code, c.Where, c.Confidence, c.Summary
		if v.Reached && c.Severity == Degraded {
			v.Summary = r.Target.String() + " is reachable, but: " + v.Summary
		}
	case v.Reached && r.Target.Local():
		v.Summary = "nothing is wrong with this host's network"
	case v.Reached:
		v.Summary = r.Target.String() + " is reachable"
	case len(r.Unexplained) > 0:
		v.Summary = "something is wrong that fits no known cause: " + joinIDs(r.Unexplained)
	case r.Target.Local():
		v.Summary = "nothing wrong was found, but not everything could be checked"
	default:
		v.Summary = "not enough could be checked to say whether " + r.Target.String() + " is reachable"
	}
	return v
}

// dedupe keeps one fact of each identity; the first one that was checked wins,
// and an anomaly wins over a neutral statement.
func dedupe(facts []Fact) []Fact {
	var out []Fact
	for _, f := range facts {
		i := slices.IndexFunc(out, func(o Fact) bool {
			return o.id() == f.id()
		})
		switch {
		case i < 0:
			out = append(out, f)
		case out[i].State == NotChecked, f.Anomaly() && !out[i].Anomaly() && out[i].State != Yes:
			out[i] = f
		}
	}
	return out
}

// begin tells Progress that steps have begun.
func (g *gatherer) begin(ids ...string) {
	for _, p := range procedure {
		if slices.Contains(ids, p.id) && p.appliesTo(g.target) {
			g.tell(Step{ID: p.id, Title: p.title, Why: InProgress})
		}
	}
}

func (g *gatherer) tell(s Step) {
	if g.opts.Progress == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opts.Progress(s)
}

// spent is how many packets were sent so far.
func (g *gatherer) spent() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.packets
}

// count adds packets to the bill.
func (g *gatherer) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.packets += n
}
