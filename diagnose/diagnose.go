// Package diagnose runs the whole classic procedure for "server A can't talk to
// server B" and names the cause.
//
// [Run] gathers facts (link, addresses, routes, gateway, name servers, path,
// port, listeners), each of them yes, no or not checked and why. [Explain], a
// pure function, finds the smallest set of causes whose predictions account for
// everything that is wrong. The report cites the facts behind each cause, the
// classic command that shows each fact, and what to do about it on this
// distribution.
//
// A broken network is a report, not an error. An error means that there was
// nothing to examine: a target that cannot be parsed, an interface that does
// not exist, a system that is not Linux.
//
// Everything works without privileges. What a missing permission or a closed
// sysctl leaves open is "not checked", with what would allow it. CAP_NET_RAW
// adds one proof: that a host which the prefix of this host takes for a
// neighbour answers by way of the gateway. Nothing is ever sent to a host that
// the caller did not name and this host is not set up to use (its gateways and
// name servers); a run sends at most 150 packets.
//
// The decision table behind the causes follows the troubleshooting documents
// that the project reproduces; protocol facts are those of RFC 792, 1122, 1812,
// 2308, 4443 and of the Linux manual pages ip(7), icmp(7), rtnetlink(7).
package diagnose

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/sockets"
	"github.com/netsonde/netsonde/trace"
)

// OpError is the error of every operation of this package.
type OpError = operr.Error

// What the procedure consumes. Each contract is one of the neighbours', so that
// a recorded machine, a fake or an agent's own collector can take its place.
type (
	// LinkInspector lists the interfaces; see [link.Inspector].
	LinkInspector interface {
		Inspect(ctx context.Context) ([]link.Link, error)
	}
	// RouteLookuper decides as the kernel would; see [route.Lookup].
	RouteLookuper interface {
		Lookup(ctx context.Context, dst netip.Addr, o *route.LookupOptions) (route.Decision, error)
	}
	// RouteLister lists the routes of every table; see [route.List].
	RouteLister interface {
		Routes(ctx context.Context) ([]route.Route, error)
	}
	// NeighborLister lists the ARP and NDP table; see [route.Neighbors].
	NeighborLister interface {
		Neighbors(ctx context.Context) ([]route.Neighbor, error)
	}
	// Resolver asks one question of one name server; see [resolve.Client].
	Resolver interface {
		Query(ctx context.Context, server netip.AddrPort, q resolve.Question) (resolve.Answer, error)
	}
	// Pinger sends one echo request; see [ping.Engine].
	Pinger interface {
		Ping(ctx context.Context, dst netip.Addr) (ping.Result, error)
	}
	// Scanner tries ports; see [portscan.Connect].
	Scanner interface {
		Scan(ctx context.Context, targets iter.Seq[netip.AddrPort]) iter.Seq2[portscan.Result, error]
	}
	// Tracer finds the hops; see [trace.TCP] and [trace.UDP].
	Tracer interface {
		Trace(ctx context.Context, dst netip.Addr) (trace.Path, error)
	}
	// LinkSampler looks at an interface in depth; see [link.Sample].
	LinkSampler interface {
		Sample(ctx context.Context, name string) (link.Snapshot, error)
	}
	// CounterReader tells what the network stack counted; see [sockets.Counters].
	CounterReader interface {
		Counters(ctx context.Context) ([]sockets.CounterGroup, error)
	}
	// ConnectionLister lists this host's TCP connections; see [sockets.List].
	ConnectionLister interface {
		Connections(ctx context.Context) ([]sockets.Socket, error)
	}
	// MTUFinder finds the path MTU; see [trace.FindMTU].
	MTUFinder interface {
		FindMTU(ctx context.Context, dst netip.Addr) (trace.PathMTU, error)
	}
	// Detourer sends an echo request for dst to the gateway, whatever the
	// routing table says, and waits for the answer until ctx ends; this
	// library's own needs CAP_NET_RAW. Silence is false.
	Detourer interface {
		Detour(ctx context.Context, dst, gateway, source netip.Addr) (bool, error)
	}
	// SocketLister lists this host's listeners; see [sockets.List].
	SocketLister interface {
		Listeners(ctx context.Context) ([]sockets.Socket, error)
	}
)

// Tools replaces parts of the procedure. A nil field means this library's own,
// but for Samples, Counters and Connections where Links is set: those of this
// host would be another machine's.
type Tools struct {
	Links     LinkInspector
	Lookup    RouteLookuper
	Routes    RouteLister
	Neighbors NeighborLister
	Resolver  Resolver
	Pinger    Pinger
	Scanner   Scanner
	TCPTracer func(port uint16) Tracer // packets to the port in question
	UDPTracer Tracer                   // packets that a host without a firewall answers
	Sockets   SocketLister
	// Samples are taken at the beginning and at the end.
	Samples     LinkSampler
	Counters    CounterReader // likewise
	Connections ConnectionLister
	MTU         MTUFinder
	Detour      Detourer
}

// Options steer a run. Nil means the defaults.
type Options struct {
	// Budget bounds the whole run, wall clock. If zero, 8 s; what is not known
	// by then is reported as not checked. Hosts that are off need more than
	// 3 s: that is how long a router tries to find them.
	Budget time.Duration
	// Interface sends everything through this interface, and examines it.
	// Empty means what the routing table says.
	Interface string
	// Mark is the firewall mark (SO_MARK) of everything that is sent; 0 is
	// none. Setting one needs CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on.
	Mark uint32
	// NetNS is a descriptor of the network namespace to examine; 0 is the
	// caller's. Entering one needs CAP_SYS_ADMIN.
	NetNS int
	// ResolvConf, HostsFile and OSRelease are the files to read. Empty means
	// /etc/resolv.conf, /etc/hosts and /etc/os-release.
	ResolvConf, HostsFile, OSRelease string
	// Causes are what [Explain] may name. Nil means [DefaultCauses].
	Causes []Cause
	// Tools replaces parts of the procedure.
	Tools Tools
	// Progress, if not nil, is told when a step begins (its Why is then
	// InProgress) and when it ends. It is called from one goroutine at a time.
	Progress func(Step)
}

// InProgress is the Why of a step that has begun and not ended.
const InProgress = "in progress"

// DefaultBudget bounds a run that sets no budget of its own.
const DefaultBudget = 8 * time.Second

// MaxPackets is what a run may send: the search for large packets, which takes the
// most, is left out when a third is spent. Traces to several dead hosts that are
// more than 25 routers away can still pass it; Cost says what was sent.
const MaxPackets = 150

// Version is the version of the JSON report.
const Version = 1

// Report is the outcome of a run.
type Report struct {
	Version   int       `json:"version"`
	Target    Target    `json:"target"`
	Verdict   Verdict   `json:"verdict"`
	Causes    []Finding `json:"causes"`    // all root causes, the most basic first
	Ambiguous []Finding `json:"ambiguous"` // what the same facts allow as well
	// Unexplained are anomalies that no known cause accounts for. A verdict
	// beside them is not the whole story.
	Unexplained []FactID `json:"unexplained,omitzero"`
	Steps       []Step   `json:"steps"` // the procedure, in its order
	Facts       []Fact   `json:"facts"`
	Remedies    []Remedy `json:"remedies"`
	Cost        Cost     `json:"cost"`
}

// Verdict is the report in one line. A healthy path has no code.
type Verdict struct {
	Code       Code       `json:"code,omitzero"`
	Where      *Location  `json:"where,omitzero"`
	Confidence Confidence `json:"confidence,omitzero"`
	Summary    string     `json:"summary"`
	// Reached says that the goal was seen: the port open, the host answering,
	// or, without a target, everything that was to be checked in order. There
	// may still be causes that degrade it.
	Reached bool `json:"reached"`
}

// Healthy reports whether the goal was reached and no cause was found.
func (r Report) Healthy() bool { return r.Verdict.Code == "" && r.Verdict.Reached }

// FactsOf returns the facts that a finding cites.
func (r Report) FactsOf(c Finding) (facts []Fact) {
	for _, id := range c.Evidence {
		if i := slices.IndexFunc(r.Facts, func(f Fact) bool { return f.ID == id }); i >= 0 {
			facts = append(facts, r.Facts[i])
		}
	}
	return facts
}

// ResolverBroken reports whether the name servers of this host are part of the
// trouble, so that nothing should wait for them.
func (r Report) ResolverBroken() bool {
	return slices.ContainsFunc(r.Facts, func(f Fact) bool {
		return f.Anomaly() && (f.Name == FactServer || f.Name == FactRecursion || f.Name == FactConfigured)
	})
}

// Cost is what the run cost. Packets counts what was sent, as far as this
// process can tell: the kernel's own retransmissions and ARP are not in it.
type Cost struct {
	Packets int           `json:"packets"`
	Wall    time.Duration `json:"wall_ns"`
}

// Run examines the path to the target, or this host for the zero Target.
//
// It opens sockets from several goroutines; when the caller's goroutine is
// locked to a thread in another network namespace, they are opened there, which
// needs CAP_SYS_ADMIN.
func Run(ctx context.Context, target Target, opts *Options) (Report, error) {
	return run(ctx, target, opts)
}
