package diagnose

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/trace"
)

const (
	// deepAfter is how long the goal itself may take before the probes that
	// tell why not are sent.
	deepAfter = 300 * time.Millisecond
	// answerPatience is how long those probes may go on once the goal has been
	// refused, so that its cause is known and only its place is open.
	answerPatience = 1500 * time.Millisecond
	// goalTimeout is how long the goal may take: a router needs 3.05 s to find
	// that nobody answers ARP or NDP for the target.
	goalTimeout = 3300 * time.Millisecond
	// sideTimeout is how long a ping may take that only adds to the picture.
	sideTimeout = time.Second
	// maxTried bounds the addresses of a name that are tried.
	maxTried = 8

	protoTCP, protoUDP = 6, 17
)

// controlPorts are tried on the target itself when its own port is silent and
// nothing else of it answers: a reset from any of them shows that it is there.
var controlPorts = []uint16{443, 80, 22}

// evidenceFor starts the evidence about a peer: the kernel's decision.
func (g *gatherer) evidenceFor(ctx context.Context, p peer) *evidence {
	e := &evidence{peer: p, own: g.host.own(), begun: g.begun}
	e.self = p.addr.IsLoopback() || slices.Contains(e.own, p.addr.WithZone(""))
	o := &route.LookupOptions{DPort: p.port}
	switch {
	case p.role == RoleResolver:
		o.Proto = protoUDP
	case p.port != 0:
		o.Proto = protoTCP
	}
	d, err := g.tools.lookup.Lookup(ctx, p.addr, o)
	if err != nil {
		e.routeErr = err
		if errors.Is(context.Cause(ctx), errBudget) {
			e.routeErr = errBudget
		}
		return e
	}
	e.decision = d
	if hop := d.NextHop(); hop.WithZone("") != p.addr.WithZone("") {
		e.gateway = g.host.named(hop)
	}
	e.iface = d.Route.Device
	e.dead = g.deadInterface(e.iface)
	g.aboutLink(e)
	return e
}

// usable reports whether it makes sense to send: there is a route, and its
// interface is on and plugged in.
func (e *evidence) usable() bool {
	return e.routed() && !e.dead
}

// aboutLink adds what this host knows about the link to the next hop.
func (g *gatherer) aboutLink(e *evidence) {
	if l := g.host.link(e.iface); l != nil {
		e.prefixes = usable(l, e.peer.family())
		for _, a := range l.Addresses {
			if a.Valid > 0 {
				e.leased = append(e.leased, a.Prefix)
			}
		}
	}
	e.gateways = g.host.gateways()
	hop, _ := e.nextHop()
	e.hopRoute = slices.ContainsFunc(g.host.routes, func(r route.Route) bool {
		return !r.Default() && r.Type == route.TypeUnicast && r.Device == e.iface && !r.Gateway.IsValid() &&
			r.Protocol != route.ProtocolKernel && r.Dst.Contains(hop.WithZone(""))
	})
}

func (g *gatherer) deadInterface(name string) bool {
	l := g.host.link(name)
	return l != nil && (!l.AdminUp() || l.Carrier == link.CarrierOff)
}

// probeUnless examines a peer, in depth or by a ping alone, unless done is
// closed within deepAfter, or sooner when hurry is.
func (g *gatherer) probeUnless(ctx context.Context, done <-chan struct{}, deep bool, e *evidence, hurry ...<-chan struct{}) {
	var now <-chan struct{}
	if len(hurry) > 0 {
		now = hurry[0]
	}
	timer := time.NewTimer(deepAfter)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-ctx.Done():
		return
	case <-now:
	case <-timer.C:
	}
	switch {
	case deep:
		g.probe(ctx, e)
	case e.self:
	case e.peer.port != 0:
		e.echo, e.echoErr = g.echo(ctx, e.peer.addr, sideTimeout)
	default: // the echo of the goal itself is under way, and proves nothing by silence
		e.control = g.scanControls(ctx, e.peer)
	}
}

// goal tries what the run is about.
func (g *gatherer) goal(ctx context.Context, e *evidence) {
	if e.peer.port == 0 {
		e.echo, e.echoErr = g.echo(ctx, e.peer.addr, goalTimeout)
		return
	}
	results, err := g.scanAll(ctx, []netip.AddrPort{netip.AddrPortFrom(e.peer.addr, e.peer.port)})
	if e.connectErr = err; len(results) > 0 {
		e.connect = &results[0]
	}
	if e.self {
		e.listen = g.listeners(ctx)
	}
}

// goalReached reports whether the goal was seen.
func (e *evidence) goalReached() bool {
	if e.peer.port == 0 {
		return e.echo != nil && e.echo.Outcome == ping.OutcomeReply
	}
	return e.connect != nil && e.connect.State == portscan.StateOpen
}

// answered reports whether the goal was refused rather than met with silence.
func (e *evidence) answered() bool {
	if e.connect != nil { // the probes still write to everything else
		return e.connect.State == portscan.StateClosed || e.connect.ICMP != nil
	}
	return e.peer.port == 0 && e.echo != nil && e.echo.ICMP != nil
}

// probe sends what tells why the goal is not reached: where the packets for it
// end, where others end, and whether the peer and the gateway answer at all.
func (g *gatherer) probe(ctx context.Context, e *evidence) {
	if e.self {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	if e.peer.role == RoleResolver {
		wg.Go(func() {
			root := g.query(ctx, netip.AddrPortFrom(e.peer.addr, e.peer.port), ".", resolve.TypeNS)
			e.root = &root
		})
	}
	wg.Go(func() { e.udp = g.trace(ctx, g.tools.udpTracer, e.peer.addr) })
	if e.gateway.IsValid() {
		wg.Go(func() { e.gwEcho, _ = g.echo(ctx, e.gateway, sideTimeout) })
	}
	wg.Go(func() { g.tryDetour(ctx, e) })
	if e.peer.port == 0 { // the echo of the goal itself is under way
		e.control = g.scanControls(ctx, e.peer)
		return
	}
	if e.peer.role == RoleTarget {
		wg.Go(func() { e.tcp = g.trace(ctx, g.tools.tcpTracer(e.peer.port), e.peer.addr) })
	}
	e.echo, e.echoErr = g.echo(ctx, e.peer.addr, sideTimeout)
	if e.peer.role == RoleTarget && (e.echo == nil || e.echo.Outcome != ping.OutcomeReply) && ctx.Err() == nil {
		e.control = g.scanControls(ctx, e.peer)
	}
}

// echo pings once. Silence until the timeout is a result; the error says why
// nothing could be sent.
func (g *gatherer) echo(ctx context.Context, dst netip.Addr, timeout time.Duration) (*ping.Result, error) {
	if g.tools.pinger == nil {
		return nil, g.tools.pingErr
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := g.tools.pinger.Ping(waiting, dst)
	g.count(1)
	switch {
	case err == nil:
		return &r, nil
	case ctx.Err() != nil:
		return nil, nil // cut short: nothing was learnt
	case waiting.Err() != nil:
		return &ping.Result{Target: dst, Outcome: ping.OutcomeTimeout}, nil
	}
	return nil, err
}

func (g *gatherer) scanControls(ctx context.Context, p peer) []portscan.Result {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var targets []netip.AddrPort
	for _, port := range controlPorts {
		if port != p.port {
			targets = append(targets, netip.AddrPortFrom(p.addr, port))
		}
	}
	results, _ := g.scanAll(ctx, targets) // what came back in time is all that is wanted
	return results
}

func (g *gatherer) scanAll(ctx context.Context, targets []netip.AddrPort) (results []portscan.Result, err error) {
	for r, err := range g.tools.scanner.Scan(ctx, slices.Values(targets)) {
		if err != nil {
			return results, err
		}
		g.count(max(1, r.Tries))
		results = append(results, r)
	}
	return results, nil
}

func (g *gatherer) trace(ctx context.Context, t Tracer, dst netip.Addr) *trace.Path {
	p, err := t.Trace(ctx, dst)
	g.count(p.Packets)
	if err != nil && len(p.Hops) == 0 {
		return nil
	}
	return &p
}

// findNeighbor looks the next hop up in the kernel's table, after the probes
// have made the kernel look for it.
func (g *gatherer) findNeighbor(ctx context.Context, e *evidence) {
	if e.self || !e.usable() {
		return
	}
	all, err := g.tools.neighbors.Neighbors(ctx)
	if err != nil && len(all) == 0 {
		return
	}
	e.neighbors = all
	hop, _ := e.nextHop()
	for i := range all {
		if all[i].Addr.WithZone("") == hop.WithZone("") && all[i].Device == e.iface {
			e.neighbor = &all[i]
		}
	}
}

func (g *gatherer) listeners(ctx context.Context) listening {
	l := listening{asked: true}
	l.sockets, l.err = g.tools.sockets.Listeners(ctx)
	return l
}
