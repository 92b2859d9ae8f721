// Package route tells where packets go: the routing tables, the rules that
// choose between them, the neighbours on the links, and what the kernel would
// decide about one destination. It is what `ip route`, `ip rule` and `ip neigh`
// show, as the kernel tells it over rtnetlink(7).
//
// Reading needs no privilege; [Add], [Prepend], [Replace] and [Delete], which alone change
// anything, need CAP_NET_ADMIN. Words are the kernel's (linux/rtnetlink.h,
// linux/neighbour.h, linux/fib_rules.h); attributes that the library has no field
// for are kept as [Attribute]. Link-local IPv6 addresses come with their
// interface's index as zone ("fe80::1%2"), so that they can be used and compared
// as they are.
//
// Talking to the kernel needs Linux; types and text forms work everywhere.
package route

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// OpError is the error type of this package: the operation, what it was about,
// and the cause. It unwraps to an errno of the kernel, [os.ErrNotExist] for an
// interface that is not there, [os.ErrPermission] or [errors.ErrUnsupported].
type OpError = operr.Error

// ErrInterrupted says that a table was changing each time it was read, so that
// the list that came with it may miss entries or mix old and new. It comes with
// data, wrapped in an [OpError]. Kernels do not mark a table of routes or
// neighbours that changes while it is read, and not every change of rules, hence
// changes are heard of along with it.
var ErrInterrupted = nl.ErrInterrupted

// Attribute is a netlink attribute that was kept as it came: its type, with
// the two flag bits removed, and its payload in host byte order.
type Attribute = nl.Attribute

// HardwareAddr is a link-layer address of any length, in text colon-separated
// hexadecimal, empty for none.
type HardwareAddr = nl.HardwareAddr

// Options choose what is listed. Nil is everything.
type Options struct {
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN.
	NetNS    int
	Family   Family   // 0: both
	Table    uint32   // 0: every table; a table that is not there is empty
	OIF      int      // routes only: through this interface; 0: any
	Protocol Protocol // routes only: set by it; 0: any
	Type     Type     // routes only; 0: any
	// Exceptions lists what was learnt for single destinations, path MTUs and
	// redirects, instead of the routes (Linux 5.3).
	Exceptions bool
}

// List returns the routes of all tables, the local one included, IPv4 first,
// in the order of the kernel. The kernel does the choosing.
func List(ctx context.Context, o *Options) ([]Route, error) { return list(ctx, o) }

// All yields the routes one by one, for tables that are too long to keep. It
// does not read an interrupted table again: the last pair is then a zero Route
// and [ErrInterrupted]. A pair is a route and nil, or a zero Route and an error,
// after which it stops; it may be ranged over once.
func All(ctx context.Context, o *Options) iter.Seq2[Route, error] { return all(ctx, o) }

// Rules returns the rules that choose a table, by family and priority, which is
// the order in which they are tried. Only NetNS, Family and Table of o count.
func Rules(ctx context.Context, o *Options) ([]Rule, error) { return rules(ctx, o) }

// Neighbors returns the neighbour tables (ARP and NDP), IPv4 first.
func Neighbors(ctx context.Context, o *NeighborOptions) ([]Neighbor, error) {
	return neighbors(ctx, o)
}

// Lookup asks the kernel where a packet of this host to dst would go. That there
// is no way is an answer, not an error. A link-local dst needs a zone, an
// interface's name or index, or the OIF or Device option.
//
// Kernels give little more than an errno for a packet that goes nowhere, and not
// the same one everywhere: the rules and the routes that refuse are then looked
// through for the one that decided (Decision.Route, Decision.Rule).
func Lookup(ctx context.Context, dst netip.Addr, o *LookupOptions) (Decision, error) {
	return lookup(ctx, dst, o)
}

// Route is an entry of a routing table, or an answer of Lookup.
type Route struct {
	Family   Family       `json:"family"`
	Type     Type         `json:"type"`
	Dst      netip.Prefix `json:"dst"`              // the default route is 0.0.0.0/0 or ::/0
	Src      netip.Prefix `json:"from,omitzero"`    // only packets from there; invalid: any
	TOS      uint8        `json:"tos,omitzero"`     // only packets with this; 0: any
	Gateway  netip.Addr   `json:"gateway,omitzero"` // invalid: on-link or multipath; may be IPv6 in an IPv4 route
	OIF      int          `json:"oif,omitzero"`     // index; 0 for multipath and for routes to nowhere
	Device   string       `json:"dev,omitzero"`     // the name of OIF
	IIF      int          `json:"iif,omitzero"`     // only packets that came in there
	PrefSrc  netip.Addr   `json:"prefsrc,omitzero"` // source for packets of this host
	Table    uint32       `json:"table"`            // 254 main, 255 local, 253 default
	Protocol Protocol     `json:"protocol"`         // who set it
	Scope    Scope        `json:"scope"`            // of the destination; IPv6 says global for all
	Metric   uint32       `json:"metric"`           // of two routes to a prefix the lower one is used
	Flags    Flags        `json:"flags"`
	Pref     Preference   `json:"pref,omitzero"` // IPv6 (RFC 4191)
	NHID     uint32       `json:"nhid,omitzero"` // next hop object (`ip nexthop`); its hops are in NextHops
	Flow     uint32       `json:"flow,omitzero"` // realms: from in the upper 16 bits, to in the lower
	Encap    *Encap       `json:"encap,omitzero"`

	// NextHops are the ways of a multipath route, and the one way of any other:
	// there is at least one. That of a route to nowhere (blackhole, unreachable,
	// prohibit, throw) may name nothing.
	NextHops []NextHop `json:"nexthops"`

	MTU     int      `json:"mtu,omitzero"`     // bytes; 0: the interface's
	Metrics *Metrics `json:"metrics,omitzero"` // nil: none is set

	Expires time.Duration `json:"expires_ns,omitzero"`  // time left; 0: does not expire
	LastUse time.Duration `json:"last_use_ns,omitzero"` // ago
	Refs    uint32        `json:"refs,omitzero"`
	Used    uint32        `json:"used,omitzero"`
	Errno   int           `json:"errno,omitzero"` // what senders get from a route to nowhere

	Cache CacheFlags `json:"cache,omitzero"` // of answers of Lookup
	Mark  uint32     `json:"mark,omitzero"`  // of answers of Lookup
	UID   *uint32    `json:"uid,omitzero"`   // of answers of Lookup: for whom

	Unknown []Attribute `json:"unknown,omitzero"` // RTA_* that this library has no field for
}

// Default reports whether the route is for every destination.
func (r Route) Default() bool { return r.Dst.Bits() == 0 }

// NextHop is one way of a route.
type NextHop struct {
	Gateway netip.Addr  `json:"gateway,omitzero"` // invalid: on-link
	OIF     int         `json:"oif,omitzero"`
	Device  string      `json:"dev,omitzero"`
	Weight  int         `json:"weight"` // share of the flows, 1 to 256, of a next hop object to 65536; 1 for a single way
	Flags   Flags       `json:"flags"`
	Flow    uint32      `json:"flow,omitzero"`    // as in Route
	Encap   *Encap      `json:"encap,omitzero"`   // as in Route
	Unknown []Attribute `json:"unknown,omitzero"` // RTA_* that this library has no field for
}

// Metrics are what a route sets for its connections (RTAX_*, ip-route(8)); 0 is
// not set.
type Metrics struct {
	Lock             uint32      `json:"lock,omitzero"` // a bit for each of the others that must not adapt
	MTU              uint32      `json:"mtu,omitzero"`  // bytes
	Window           uint32      `json:"window,omitzero"`
	RTT              uint32      `json:"rtt,omitzero"`    // 1/8 ms
	RTTVar           uint32      `json:"rttvar,omitzero"` // 1/4 ms
	SSThresh         uint32      `json:"ssthresh,omitzero"`
	Cwnd             uint32      `json:"cwnd,omitzero"`
	AdvMSS           uint32      `json:"advmss,omitzero"` // bytes
	Reordering       uint32      `json:"reordering,omitzero"`
	HopLimit         uint32      `json:"hoplimit,omitzero"`
	InitCwnd         uint32      `json:"initcwnd,omitzero"`
	Features         uint32      `json:"features,omitzero"` // RTAX_FEATURE_*
	RTOMin           uint32      `json:"rto_min,omitzero"`  // ms
	InitRwnd         uint32      `json:"initrwnd,omitzero"`
	QuickACK         uint32      `json:"quickack,omitzero"`
	NoFastOpenCookie uint32      `json:"fastopen_no_cookie,omitzero"`
	CongestionCtl    string      `json:"congctl,omitzero"`
	Unknown          []Attribute `json:"unknown,omitzero"`
}
