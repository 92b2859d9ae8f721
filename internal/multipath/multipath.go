// Package multipath decides what a multipath trace sends: which flows at which
// TTLs, when it holds that it has seen every interface, and what the answers
// mean. It does no I/O and asks no clock, so that it runs on real sockets and
// on networks in memory alike.
//
// MDA is the multipath detection algorithm of Veitch, Augustin, Teixeira and
// Friedman ("Failure control in multipath route tracing", INFOCOM 2009; first in
// Augustin, Friedman and Teixeira, "Multipath tracing with Paris traceroute",
// E2EMON 2007): every vertex is taken for a balancer and sent flows through
// until its successors are known to the bound (see rule). Finding enough flows
// that pass a vertex is what costs (node control).
//
// Lite has the aim of MDA-Lite of Vermeulen, Strowes, Fourmaux and Friedman
// ("Multilevel MDA-Lite Paris Traceroute", IMC 2018, arXiv 1809.10070): to pay
// less where the vertices of a hop are alike. Theirs probes each hop as a whole,
// tests it with two flows a vertex for crossing and unequal branches, and starts
// over with MDA where there are some. This one follows flows vertex by vertex,
// but lets the vertices of a hop share one part of the bound and learn from each
// other how many successors to expect, so that no stretch is left to MDA.
//
// # The bound of Lite
//
// Let a vertex show k successors after n flows. If it has j, spread over evenly,
// that is C(j,k) (k/j)^n times as likely as if it has k. MDA takes each vertex by
// itself and every j for possible. Lite takes the numbers of successors of the
// vertices of one hop to be drawn from one distribution, of which nothing is
// known but that (a Dirichlet prior with the weight odd for each number): j is
// then to k beforehand as odd + the others that show j to odd + the others that
// show k. The product of the two are the odds that something was missed behind
// the vertex, and the sum over the vertices bounds the probability for the hop,
// given all that was seen. Flows are followed until it is at most e. Such a
// bound holds whenever one stops and whichever flows one chose for it, so that
// the vertices may take unequal parts, and looking often costs nothing. That
// all vertices which show k have one more is tested apart, on their flows taken
// together: (k+1)^m (k/(k+1))^N is at most e for m of them with N flows. A hop
// with one vertex is left by the rule of MDA. With e = Failure/(b+1), b being the
// hops behind which paths branch, the sum over these, and over one hop whose
// branching was overlooked, is at most Failure. As with MDA, other hops where no
// branching was seen are not counted.
//
// This is a mean over the graphs that the assumption describes, not a bound for
// each: one vertex that differs from all the others of its hop is overlooked
// more often (at 0.05, of hops 2 to 16 wide: 6 %), most of all where the flows of
// all others meet in one vertex (32 %). MDA's bound covers both.
package multipath

import (
	"net/netip"
	"time"
)

// Algorithm is how the graph is explored.
type Algorithm uint8

// The algorithms.
const (
	Lite Algorithm = iota
	MDA
)

// Config says how to explore. All fields must be set.
type Config struct {
	Algorithm        Algorithm
	Failure          float64 // bound on the probability of missing something
	FirstTTL, MaxTTL int
	MaxFlows         int
	MaxProbes        int
	MaxSilent        int // TTLs tried beyond the last that answered
	Attempts         int // probes of a flow at a TTL before it counts as silent
	Queries          int // probes a TTL of each path, sent when the graph is known
	Timeout          time.Duration
	Window           int     // probes in flight
	Rate             float64 // probes a second; negative: no bound
	Alone            bool    // a flow has no two probes in flight
}

// Wire sends probes and hears answers.
type Wire interface {
	// Send lets a probe out. The error is this host's own.
	Send(id, flow, ttl int) error
	// Wait returns answers, none when the time has come, and the cause when
	// the context has ended. The slice is valid until the next call.
	Wait(until time.Time) ([]Answer, error)
	// Forget says that nobody waits for a probe any more; its answer is still
	// welcome.
	Forget(id int)
	// Transient reports whether a send failed for a shortage that passes.
	Transient(err error) bool
	// Split says that a flow has no two probes in flight any more, because
	// answers do not say which one they are for.
	Split()
}

// Answer is what came back for a probe.
type Answer struct {
	ID   int
	From netip.Addr
	RTT  time.Duration
	// Final: the flow goes no further, because it has arrived or was refused.
	Final bool
	// Unclear: it does not say which probe it is for.
	Unclear bool
}

// Vertex is an interface, or silence, at a distance.
type Vertex struct {
	TTL   int
	Addr  netip.Addr // invalid for silence
	Final bool       // paths end here
	Flows []int      // that are known to pass, ascending

	// Probed is how many flows were followed from here to the next TTL.
	Probed int
	// Failure bounds the probability that one more successor was not met.
	Failure float64
	// Settled: the stopping rule was satisfied.
	Settled bool
	// PerPacket: probes of one flow went to several successors.
	PerPacket bool

	Sent, Answered int
	Min, Sum       time.Duration
}

// Edge leads from a vertex to one of the next TTL, by index.
type Edge struct {
	From, To int
	Flows    int // that were seen on it
	// Unsure: behind a balancer that spreads single packets, where two probes
	// of one flow need not have gone the same way.
	Unsure bool
}

// Path is a way from the first TTL to the last, by index.
type Path struct {
	Vertices []int
	Flows    []int
	// Sent and so on are of the probes that were to go all the way.
	Sent, Answered int
	Min, Sum       time.Duration
}

// Stop says why exploring ended.
type Stop uint8

// The stops.
const (
	StopInterrupted Stop = iota // by the context
	StopDone
	StopBudget // MaxFlows or MaxProbes
)

// Result is what was learned.
type Result struct {
	Vertices []Vertex // by TTL
	Edges    []Edge
	Paths    []Path
	Probes   int
	Explored int // probes before those for Queries
	Flows    int
	Failure  float64 // sum of what was left to chance at the branchings, and one more
	Stop     Stop
	Uneven   []Span // stretches where branches cross or differ
}

// Span is a stretch of TTLs, from vertices that are not alike to the last
// successors of such.
type Span struct{ From, To int }
