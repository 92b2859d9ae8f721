package trace

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/multipath"
)

// Algorithm is how the graph of paths is explored.
type Algorithm uint8

// The algorithms.
const (
	// AlgorithmLite is after MDA-Lite (Vermeulen et al., arXiv 1809.10070): the
	// vertices of a TTL are taken to be alike until they are seen to differ, so
	// that what is known of the others need not be found out of each again.
	AlgorithmLite Algorithm = iota
	// AlgorithmMDA is the multipath detection algorithm (Veitch et al.,
	// INFOCOM 2009): the stopping rule is applied to each vertex.
	AlgorithmMDA
)

var algorithmNames = []string{"mda_lite", "mda"}

// String returns the word, such as "mda_lite".
func (a Algorithm) String() string { return enum.String(algorithmNames, "algorithm", a) }

// MarshalText implements [encoding.TextMarshaler].
func (a Algorithm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Algorithm) UnmarshalText(b []byte) (err error) {
	*a, err = enum.Parse[Algorithm](algorithmNames, "algorithm", b)
	return err
}

// MultipathOptions say how the paths are explored. Nil, and the zero value of
// each field, mean the default given.
type MultipathOptions struct {
	// Algorithm is how, default MDA-Lite.
	Algorithm Algorithm
	// Failure bounds the probability of missing an interface or a link of the
	// graph, more than 0 and less than 1, default 0.05. See [UDP.Multipath].
	Failure float64
	// Queries is the number of probes to each TTL of each path, sent when the
	// graph is known, for its loss and round-trip times; up to 10000. Default:
	// none, so that these come from the probes that explored.
	Queries int
	// MaxFlows and MaxProbes bound the effort, default 4096 and 20000, at most
	// 28000 and 60000. When they do not suffice the Graph says so (Complete).
	MaxFlows, MaxProbes int
	// Attempts is how often a flow is tried at a TTL before it counts as
	// silent there, 1 to 10, default 3. Where answers come after silence, or
	// seem to be limited, it is three times that, and more where only few of
	// many flows seem to be silent, up to 100.
	Attempts int
	// Window is the number of probes in flight, 1 to 1024, default 64.
	Window int
}

func (o *MultipathOptions) withDefaults() (MultipathOptions, error) {
	var m MultipathOptions
	if o != nil {
		m = *o
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&m.MaxFlows, 4096)
	def(&m.MaxProbes, 20000)
	def(&m.Attempts, 3)
	def(&m.Window, 64)
	if m.Failure == 0 {
		m.Failure = 0.05
	}
	switch {
	case m.Algorithm > AlgorithmMDA:
		return m, fmt.Errorf("algorithm %d is not known", m.Algorithm)
	case !(m.Failure >= 1e-9 && m.Failure < 1):
		return m, fmt.Errorf("failure probability %v is not between 1e-9 and 1", m.Failure)
	case m.Queries < 0 || m.Queries > 10000:
		return m, fmt.Errorf("%d queries are not between 0 and 10000", m.Queries)
	case m.MaxFlows < 1 || m.MaxFlows > 28000:
		return m, fmt.Errorf("%d flows are not between 1 and 28000", m.MaxFlows)
	case m.MaxProbes < 1 || m.MaxProbes > 60000:
		return m, fmt.Errorf("%d probes are not between 1 and 60000", m.MaxProbes)
	case m.Attempts < 1 || m.Attempts > 10:
		return m, fmt.Errorf("%d attempts are not between 1 and 10", m.Attempts)
	case m.Window < 1 || m.Window > 1024:
		return m, fmt.Errorf("a window of %d is not between 1 and 1024", m.Window)
	}
	return m, nil
}

// config is what the explorer is told. TCP cannot have two connections of one
// flow at once.
func (o *MultipathOptions) config(m Method, t Options) multipath.Config {
	c := multipath.Config{
		Algorithm: multipath.Lite, Failure: o.Failure, FirstTTL: t.FirstTTL, MaxTTL: t.MaxTTL,
		MaxFlows: o.MaxFlows, MaxProbes: o.MaxProbes, MaxSilent: t.MaxSilent, Attempts: o.Attempts,
		Queries: o.Queries, Timeout: t.Timeout, Window: o.Window, Rate: t.Rate, Alone: m == MethodTCP,
	}
	if o.Algorithm == AlgorithmMDA {
		c.Algorithm = multipath.MDA
	}
	if c.Rate == 0 {
		c.Rate = multipathRate
	}
	if c.MaxSilent < 0 {
		c.MaxSilent = t.MaxTTL
	}
	return c
}

// multipathRate is how many probes a second are sent where nobody says. Linux
// routers limit what they answer altogether to 1,000 a second (icmp_msgs_per_sec).
const multipathRate = 250

// Multipath finds all paths to dst that balancers of load spread flows over,
// and what they share: the graph of interfaces. It needs no capability.
//
// A flow has a source port of its own; addresses, target port and IPv6 flow
// label (0) are constant. Balancers that go by the ports (Linux:
// net.ipv4.fib_multipath_hash_policy 1, 2 with tunnels, or 3 with port fields)
// are found. Those that go by addresses alone (policy 0, the default, and
// IPv6 ones that go by the flow label) send all flows the same way, and do so
// to other packets between the two hosts: one path is the truth then. A
// balancer that spreads single packets is found by sending flows again
// and is told as such (Vertex.PerPacket); a router that answers from changing
// addresses looks the same. What lies behind it, until paths meet, is a list
// of interfaces, the links between which are not known (Edge.Unsure).
//
// # When to stop
//
// A vertex with k successors known is left after n_k flows were followed from
// it. n_k is the least number for which a balancer over k+1 successors, each
// as likely, would be left too early, at n_1 … or n_k, with a probability of
// at most e. For e = 0.05: 6, 11, 16, 21, 27, 33, 39 …
//
// MDA-Lite follows fewer flows where a TTL has several vertices: it weighs how
// likely a further successor is by how many the other vertices show, and goes on
// until the probabilities of missing something at a TTL add up to at most e.
//
// The Failure asked for is that of the whole graph: e is Failure/(b+1), with b
// the branching vertices known so far (MDA-Lite: TTLs behind which paths
// branch), which adds up to Failure over these and one that was overlooked. It
// is not covered when balancers prefer some successors, when flows are not
// independent because balancers in a row use the same hash with the same seed,
// or when a missed branch hides further balancers. With MDA-Lite it is that of
// graphs on average, and less sure where one vertex alone differs from the
// others of its TTL: of those that have two successors where all others have
// one, 6 % are overlooked, and 32 % where the others all lead to the same.
//
// # Effort
//
// Probes that will be needed whatever the outstanding answers say are sent at
// once, MultipathOptions.Window at most, at Options.Rate, here 250 a second by
// default. To a TTL where many are lost while others are answered they are sent
// more slowly, down to one in 1.1 s, at which stock Linux routers answer all.
// Sockets are one a flow, 512 at most and no more than half of the limit on
// descriptors; a flow whose socket was needed for another gets its port again.
//
// Of [Options], Queries and Ahead have no meaning here, and SourcePort must
// not be set. When a quote does not show which probe it is about (RFC 792 asks
// for eight bytes only), a flow has one probe in flight.
func (u UDP) Multipath(ctx context.Context, dst netip.Addr, o *MultipathOptions) (Graph, error) {
	return explore(ctx, MethodUDP, dst, u.Options, o)
}

// Multipath finds all paths to dst as [UDP.Multipath] does. Each probe is a
// connection attempt from the flow's source port, one at a time, so that it
// takes longer than UDP; a target whose port is open sees them all.
func (t TCP) Multipath(ctx context.Context, dst netip.Addr, o *MultipathOptions) (Graph, error) {
	return explore(ctx, MethodTCP, dst, t.Options, o)
}

// Multipath finds paths to dst as [UDP.Multipath] does, with flows that differ
// in the ICMP checksum; type, code and identifier are constant. Routers that
// take the first four bytes behind the IP header for ports, whatever the
// protocol, spread such flows. Linux does not: it sends all ICMP between two
// hosts the same way.
func (i ICMP) Multipath(ctx context.Context, dst netip.Addr, o *MultipathOptions) (Graph, error) {
	return explore(ctx, MethodICMP, dst, i.Options, o)
}

// forMultipath checks the options of a trace for exploring.
func (o Options) forMultipath(m Method) (Options, error) {
	o.Queries, o.Ahead = 0, 0
	if o.SourcePort != 0 {
		return o, fmt.Errorf("source port %d is given, but each flow needs one of its own", o.SourcePort)
	}
	return o.withDefaults(m)
}
