package diagnose

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
)

// examineHost looks at this host itself: interfaces, addresses, gateways, name
// servers, listeners. Only what the host is set up to use is sent to.
func (g *gatherer) examineHost(ctx context.Context) []Fact {
	g.begin("gateway", "name", "listeners")
	var wg sync.WaitGroup
	var gateways []*evidence
	for _, gw := range g.host.gateways() {
		e := g.evidenceFor(ctx, peer{role: RoleNone, addr: gw})
		gateways = append(gateways, e)
		if e.usable() {
			wg.Go(func() { g.knockGateway(ctx, e) })
		}
	}
	var listen listening
	wg.Go(func() { listen = g.listeners(ctx) })
	serverFacts, servers := g.checkServers(ctx)
	wg.Wait()
	for _, e := range gateways {
		for _, s := range servers {
			e.proven = e.proven || s.answers() && s.ev.gateway == e.peer.addr
		}
	}
	facts := g.hostFacts(ctx, gateways)
	facts = append(facts, serverFacts...)
	facts = append(facts, g.seen.stackFacts(ctx, nil)...)
	facts = append(facts, roomFacts(listen)...)
	return append(facts, listenersFact(listen))
}

// knockGateway makes the kernel look for the gateway. Whether it answers ping
// is told but does not count: many do not.
func (g *gatherer) knockGateway(ctx context.Context, e *evidence) {
	e.echo, e.echoErr = g.echo(ctx, e.peer.addr, goalTimeout)
	if e.echo == nil || e.echo.Outcome != ping.OutcomeReply {
		e.udp = g.trace(ctx, g.tools.udpTracer, e.peer.addr)
	}
	g.findNeighbor(ctx, e)
}

func (g *gatherer) hostFacts(ctx context.Context, gateways []*evidence) []Fact {
	families := g.configuredFamilies()
	var used []string
	by := uses{}
	for _, r := range g.host.routes {
		for _, h := range r.NextHops {
			if r.Default() && r.Type == route.TypeUnicast {
				used = append(used, h.Device)
				by[use{h.Device, prefixFamily(r.Dst)}] = true
			}
		}
	}
	stranded := len(gateways) == 0 && !slices.ContainsFunc(families, g.host.hasDefault)
	wanted := g.host.wanted(g.opts.Interface, used, families, stranded)
	facts := append([]Fact{g.host.hostFact()}, g.linkFacts(ctx, wanted, families, by.spares)...)
	for _, family := range families {
		facts = append(facts, g.host.defaultFact(family, stranded))
	}
	for _, e := range gateways {
		f := e.neighborFact()
		f.Value = strings.Replace(strings.TrimSuffix(f.Value, "_far"), "peer", "gateway", 1)
		if f.State == No && e.outside(e.peer.addr) {
			f.Value = "gateway_outside"
		}
		f.Scope = Scope{Iface: e.iface, Family: e.peer.family(), Gateway: e.peer.addr}
		facts = append(facts, f)
		if e.echo != nil {
			facts = append(facts, e.asGateway().gatewayEchoFact())
		}
	}
	return dedupe(facts)
}

// asGateway turns evidence about a gateway as a peer into that about a gateway.
func (e *evidence) asGateway() *evidence {
	return &evidence{peer: e.peer, iface: e.iface, gateway: e.peer.addr, gwEcho: e.echo}
}

// checkServers asks each configured name server for the root, which names no
// third party.
func (g *gatherer) checkServers(ctx context.Context) ([]Fact, []*server) {
	facts := []Fact{g.host.configuredFact(), g.host.hostsFact()}
	if facts[0].State != Yes {
		return facts, nil
	}
	a := g.newAsking(ctx, ".")
	for _, s := range a.servers {
		if s.ev.usable() {
			a.wg.Go(func() {
				done := make(chan struct{})
				a.wg.Go(func() { g.probeUnless(ctx, done, true, s.ev) })
				ans := g.query(ctx, s.ap, ".", resolve.TypeNS)
				close(done)
				s.answer = &ans
			})
		}
	}
	a.settle(ctx)
	facts = append(facts, someServerFact(a.servers))
	for _, s := range a.servers {
		facts = append(facts, s.facts()...)
		if s.answer != nil && s.answer.Outcome.Replied() && s.answer.Outcome != resolve.OutcomeAnswer {
			f := a.recursionFact(s.ap, "", *s.answer)
			f.Value = "root"
			facts = append(facts, f)
		}
	}
	return facts, a.servers
}
