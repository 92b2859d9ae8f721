package diagnose

import (
	"cmp"
	"context"
	"net/netip"
	"os"

	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/sockets"
	"github.com/netsonde/netsonde/trace"
)

// tools are the parts of the procedure, each the caller's or this library's.
type tools struct {
	links     LinkInspector
	lookup    RouteLookuper
	routes    RouteLister
	neighbors NeighborLister
	resolver  Resolver
	pinger    Pinger // nil when pingErr says why
	pingErr   error
	scanner   Scanner
	tcpTracer func(port uint16) Tracer
	udpTracer Tracer
	sockets   SocketLister

	sampler     LinkSampler      // nil: of another machine
	counters    CounterReader    // likewise
	connections ConnectionLister // likewise
	mtu         MTUFinder
	detourer    Detourer

	close []func() error
}

// maxSilent is how many silent hops in a row a trace follows: enough for the
// stretches of silent routers that are met, few enough for the packet budget.
const maxSilent = 6

// maxMTUHops bounds the hops that the search for the path MTU looks at, for the
// packets' sake; behind them a step is found, and not its place.
const maxMTUHops = 20

func newTools(o Options) (*tools, error) {
	t := &tools{
		links: o.Tools.Links, lookup: o.Tools.Lookup, routes: o.Tools.Routes, neighbors: o.Tools.Neighbors,
		resolver: o.Tools.Resolver, pinger: o.Tools.Pinger, scanner: o.Tools.Scanner,
		tcpTracer: o.Tools.TCPTracer, udpTracer: o.Tools.UDPTracer, sockets: o.Tools.Sockets,
		sampler: o.Tools.Samples, counters: o.Tools.Counters, connections: o.Tools.Connections, mtu: o.Tools.MTU, detourer: o.Tools.Detour,
	}
	netns := t.namespace(o)
	k := kernel{netns: netns, options: o}
	if t.links == nil {
		t.sampler = cmp.Or[LinkSampler](t.sampler, k)
		t.counters = cmp.Or[CounterReader](t.counters, k)
		t.connections = cmp.Or[ConnectionLister](t.connections, k)
	}
	t.detourer = cmp.Or[Detourer](t.detourer, k)
	t.mtu = cmp.Or[MTUFinder](t.mtu, k)
	t.links = cmp.Or[LinkInspector](t.links, link.Netlink{NetNS: netns})
	t.lookup = cmp.Or[RouteLookuper](t.lookup, k)
	t.routes = cmp.Or[RouteLister](t.routes, k)
	t.neighbors = cmp.Or[NeighborLister](t.neighbors, k)
	t.sockets = cmp.Or[SocketLister](t.sockets, k)
	t.resolver = cmp.Or[Resolver](t.resolver, &resolve.Client{
		// One datagram may be lost; three hardly are.
		Timeout: goalTimeout / 3, Attempts: 3, Device: o.Interface, Mark: o.Mark, NetNS: netns,
	})
	t.scanner = cmp.Or[Scanner](t.scanner, portscan.Connect{Options: portscan.Options{
		Timeout: goalTimeout, Device: o.Interface, Mark: o.Mark, NetNS: netns,
	}})
	traceOptions := trace.Options{MaxSilent: maxSilent, Device: o.Interface, Mark: o.Mark, NetNS: netns}
	t.udpTracer = cmp.Or[Tracer](t.udpTracer, trace.UDP{Options: traceOptions})
	if t.tcpTracer == nil {
		t.tcpTracer = func(port uint16) Tracer {
			withPort := traceOptions
			withPort.Port = port
			return trace.TCP{Options: withPort}
		}
	}
	if t.pinger == nil {
		t.openPinger(o, netns)
	}
	return t, nil
}

// openPinger opens the engine; that ping is not permitted is a fact, not a
// failure.
func (t *tools) openPinger(o Options, netns int) {
	e, err := ping.Open(&ping.Options{Timeout: goalTimeout, Device: o.Interface, Mark: o.Mark, NetNS: netns})
	if err != nil {
		t.pingErr = err
		return
	}
	t.pinger = e
	t.close = append(t.close, e.Close)
}

// Close releases what newTools opened.
func (t *tools) Close() {
	for _, f := range t.close {
		f()
	}
}

// hostname is this host's own name, as the kernel has it.
func (t *tools) hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// kernel is this host's own tables.
type kernel struct {
	netns   int
	options Options
}

// Lookup decides as the kernel would, with the options of the run.
func (k kernel) Lookup(ctx context.Context, dst netip.Addr, o *route.LookupOptions) (route.Decision, error) {
	mine := route.LookupOptions{}
	if o != nil {
		mine = *o
	}
	mine.NetNS, mine.Mark, mine.Device = k.netns, k.options.Mark, k.options.Interface
	return route.Lookup(ctx, dst, &mine)
}

// Routes lists every table.
func (k kernel) Routes(ctx context.Context) ([]route.Route, error) {
	return route.List(ctx, &route.Options{NetNS: k.netns})
}

// Neighbors lists the ARP and NDP tables.
func (k kernel) Neighbors(ctx context.Context) ([]route.Neighbor, error) {
	return route.Neighbors(ctx, &route.NeighborOptions{NetNS: k.netns})
}

// Sample looks at an interface in depth.
func (k kernel) Sample(ctx context.Context, name string) (link.Snapshot, error) {
	return link.Sample(ctx, name, &link.Options{NetNS: k.netns})
}

// Counters tells what the network stack has counted.
func (k kernel) Counters(ctx context.Context) ([]sockets.CounterGroup, error) {
	return sockets.Counters(ctx, &sockets.Options{NetNS: k.netns})
}

// Connections lists the TCP connections.
func (k kernel) Connections(ctx context.Context) ([]sockets.Socket, error) {
	return sockets.List(ctx, &sockets.Options{NetNS: k.netns, Protocols: []sockets.Protocol{sockets.TCP}})
}

// FindMTU finds the path MTU, with the patience of a run.
func (k kernel) FindMTU(ctx context.Context, dst netip.Addr) (trace.PathMTU, error) {
	return trace.FindMTU(ctx, dst, &trace.MTUOptions{
		Patience: mtuPatience, Timeout: mtuPatience / 3, MaxTTL: maxMTUHops, Device: k.options.Interface, Mark: k.options.Mark, NetNS: k.netns,
	})
}

// Listeners lists who listens, with the processes that may be seen.
func (k kernel) Listeners(ctx context.Context) ([]sockets.Socket, error) {
	return sockets.Listeners(ctx, &sockets.Options{NetNS: k.netns, Processes: true})
}
