package trace

import (
	"context"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// MTUOptions are what [FindMTU] can be told. Nil, and the zero value of each
// field, means the default given. Sizes are of IP packets, header included.
type MTUOptions struct {
	// Port is the UDP port of the target, one where nobody listens; default
	// 33434.
	Port uint16
	// MaxTTL is the highest TTL at which a hop is looked for, 1 to 255,
	// default 30.
	MaxTTL int
	// Limit is the largest size to try. Default: the MTU of the interface.
	Limit int
	// Timeout is how long an answer may take, default 1 s. Where answers are
	// quicker, so is the wait: three times the longest seen, and 120 ms.
	Timeout time.Duration
	// Patience bounds the search, default 20 s; a path with loss and rate
	// limits may need them. What is known then is the result, not Exact.
	Patience time.Duration

	Device string     // send through this interface (SO_BINDTODEVICE)
	Mark   uint32     // firewall mark (SO_MARK; needs CAP_NET_ADMIN or CAP_NET_RAW)
	Source netip.Addr // local address; default: the kernel's choice
	NetNS  int        // descriptor of a network namespace (needs CAP_SYS_ADMIN); 0: the caller's
}

// FindMTU finds the largest packet that gets to dst in one piece, where on the
// way it becomes less, and how that is told: by ICMP, as RFC 1191 and RFC 8201
// have it, or by silence, which is a black hole (RFC 2923).
//
// Packets of known sizes that must not be fragmented go out (IP_MTU_DISCOVER,
// IPV6_MTU_DISCOVER) as UDP datagrams and, where net.ipv4.ping_group_range
// admits the caller, echo requests. What is answered passes; what a router
// says about sizes is a hint that has to stand the test, so that a router that
// lies, or somebody else in its name, costs packets and never changes the
// result. A size counts as lost only after it was sent several times while
// smaller packets were answered. The place of a step is found by TTL: the last
// hop that packets of the size before it still reach.
//
// The kernel's own idea of the path MTU (ip(7), IP_MTU) is not used. For IPv4
// it is not changed either. For IPv6 the kernel notes what routers say about
// the size of any echo request, and of datagrams unless it hides the message
// from their socket, as it does for every program: for ten minutes
// (net.ipv6.route.mtu_expires).
//
// Datagrams measure the way there, since their answer is small. An echo reply
// is as long as its request, so that where the target answers no datagrams the
// MTU is the lesser of both ways: see PathMTU.Scope.
//
// No capability is needed but by Mark and NetNS. A target that answers nothing
// is data: the result is then about the way to the last hop that answers.
func FindMTU(ctx context.Context, dst netip.Addr, o *MTUOptions) (PathMTU, error) {
	if o == nil {
		o = &MTUOptions{}
	}
	return findMTU(ctx, destination(dst), *o)
}

// PathMTU is the result of [FindMTU].
type PathMTU struct {
	Target   netip.Addr `json:"target"`
	Source   netip.Addr `json:"source,omitzero"`    // local address of the packets
	LocalMTU int        `json:"local_mtu,omitzero"` // of the interface that packets leave by
	MTU      int        `json:"mtu,omitzero"`       // largest size that got there; 0: nothing did
	// Exact says that one byte more was tried, several times, and did not get
	// there, or is more than LocalMTU or Limit.
	Exact   bool      `json:"exact"`
	Ceiling int       `json:"ceiling,omitzero"` // where not Exact: the least size that seems too big
	Reached bool      `json:"reached"`          // the target answered; else MTU is about the way to the last of Hops that did
	Scope   MTUScope  `json:"scope"`            // what was measured
	Steps   []MTUStep `json:"steps"`            // where it becomes less, in order; none: it does not
	Hops    []MTUHop  `json:"hops"`             // by TTL
	// Ignored are the messages about sizes that did not stand the test.
	Ignored []ICMPError   `json:"ignored,omitzero"`
	Echo    Tested        `json:"echo"`  // does the target answer echo requests? No too: they are not permitted here
	UDP     Tested        `json:"udp"`   // does it answer datagrams?
	Trace   Method        `json:"trace"` // how the hops were found
	Packets int           `json:"packets"`
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Why     string        `json:"why"` // the result in a sentence
}

// MTUHop is a hop and the largest size that gets to it.
type MTUHop struct {
	TTL      int           `json:"ttl"`
	From     netip.Addr    `json:"from,omitzero"` // invalid: silent
	RTT      time.Duration `json:"rtt_ns,omitzero"`
	ReplyTTL int           `json:"reply_ttl,omitzero"` // TTL of the answer as it arrived; 0 is not known
	MTU      int           `json:"mtu,omitzero"`       // of the path up to here; 0 where that is not known
	Final    bool          `json:"final,omitzero"`     // the target
	ICMP     *ICMPError    `json:"icmp,omitzero"`      // From did not let the packet go on, see its Kind
}

// MTUStep is a place where the path MTU becomes less.
type MTUStep struct {
	// TTL is the last hop that packets of more than MTU bytes were seen to
	// reach, 0 for this host: it, or what is right behind it, drops them.
	TTL  int        `json:"ttl"`
	From netip.Addr `json:"from,omitzero"` // the router at TTL
	// Next is the first hop that was seen not to get them; more than one
	// after TTL where those between do not answer.
	Next     int        `json:"next"`
	NextFrom netip.Addr `json:"next_from,omitzero"`
	Before   int        `json:"before"` // path MTU up to TTL
	MTU      int        `json:"mtu"`    // and from Next on
	// How is what became of packets that were too big.
	How  MTUSignal     `json:"how"`
	ICMP *ICMPError    `json:"icmp,omitzero"`   // the message, with the sender and the MTU as it says
	RTT  time.Duration `json:"rtt_ns,omitzero"` // and how soon it came
}

// MTUSignal says how a router treats packets that are too big.
type MTUSignal uint8

// The signals.
const (
	MTUUnknown MTUSignal = iota // the step was not looked at for long enough
	MTUTold                     // it says so, with the right size: "icmp"
	MTUWrong                    // it says so, with a size that is wrong or missing: "icmp_wrong"
	MTUSilent                   // nothing is heard: a black hole
)

var mtuSignalNames = []string{"unknown", "icmp", "icmp_wrong", "silent"}

// String returns the word, such as "silent".
func (s MTUSignal) String() string { return enum.String(mtuSignalNames, "mtu_signal", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s MTUSignal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *MTUSignal) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[MTUSignal](mtuSignalNames, "mtu_signal", b)
	return err
}

// MTUScope says what a path MTU is about.
type MTUScope uint8

// The scopes.
const (
	MTUNothing MTUScope = iota // nothing was measured
	MTUForward                 // the way there: the answers are small
	MTUBoth                    // the lesser of both ways: the answer is as long as the packet
)

var mtuScopeNames = []string{"nothing", "forward", "both"}

// String returns the word, such as "forward".
func (s MTUScope) String() string { return enum.String(mtuScopeNames, "mtu_scope", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s MTUScope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *MTUScope) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[MTUScope](mtuScopeNames, "mtu_scope", b)
	return err
}

// Tested is a fact with three values.
type Tested uint8

// The values.
const (
	NotTested Tested = iota // nobody looked, or looking did not tell
	Yes
	No
)

var testedNames = []string{"not_tested", "yes", "no"}

// String returns the word, such as "not_tested".
func (v Tested) String() string { return enum.String(testedNames, "tested", v) }

// MarshalText implements [encoding.TextMarshaler].
func (v Tested) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *Tested) UnmarshalText(b []byte) (err error) {
	*v, err = enum.Parse[Tested](testedNames, "tested", b)
	return err
}
