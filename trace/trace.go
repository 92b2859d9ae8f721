// Package trace finds the routers between this host and a target, and which of
// them stops a packet, as traceroute and tcptraceroute do, without root.
//
// A packet leaves with a TTL (IPv6: hop limit) of n, the n-th router finds the
// TTL used up and tells so with an ICMP time exceeded message (RFC 792, RFC
// 4443). Linux hands such messages to the sending socket through its error
// queue (ip(7), IP_RECVERR; ipv6(7), IPV6_RECVERR), which needs no privilege:
// [UDP] sends datagrams to a port where nobody listens, [TCP] opens
// connections with a non-blocking connect(2) and resets those that open, [ICMP]
// asks for echoes on one socket. TCP needs Linux 5.8. ICMP needs a group that
// net.ipv4.ping_group_range admits (icmp(7)), else CAP_NET_RAW. Otherwise no
// capability is needed but by Mark and NetNS.
//
// All TTLs are in flight together. Sending begins at FirstTTL and may run at
// most MaxSilent hops ahead of the last one that answered, so that a dead path
// costs few packets and the time of one probe. A hop that stays silent while
// a later one answers is asked once more, and so is the first of the silent
// end of a path, a second later, when rate limits have recovered. The trace is
// over as soon as the target and all hops before it have answered; a silent hop
// before it is given the greater of 250 ms and two and a half times the largest
// round trip, from when it was asked. A path that never reaches its target waits the
// whole Timeout, since the router in front of a host that is switched off takes
// three seconds (RFC 4861, and mcast_solicit in arp(7)) to say so.
//
// # What is constant in a flow
//
// Routers that share traffic over several paths choose by addresses and often
// by ports too. UDP probes of one trace share addresses, both ports and the
// IPv6 flow label: one flow, one path (FlowConstant). They are told apart by
// their payload as quoted in the answer. When a router quotes so little (the
// eight bytes that RFC 792 asks for) that the payload is missing, or the
// target answers with data, the probes not yet answered are sent again from a
// socket, and thus a source port, of their own (FlowPerProbe). TCP probes
// always have a source port of their own, since two connections cannot share
// all four numbers; addresses, target port and flow label (0) are constant.
// ICMP probes share identifier and checksum: FlowConstant.
// [UDP.Multipath] finds the paths of all flows.
//
// # Very many traces
//
// An [Engine] makes thousands of traces at once through a few raw sockets, where
// CAP_NET_RAW allows that, and [EngineTracer.Map] maps whole lists of targets.
// Its tracers find what those without privileges find.
//
// # Watching a path
//
// Watch repeats a trace, as mtr does, a probe a hop each round. The [Report] of
// its probes has statistics of every hop and a [Verdict]: which hops limit the
// rate of their answers, or are slow to write them, and where packets are lost.
//
// # What is wrong with a path
//
// [Path.Findings] tells what was seen, and [Path.Checks] also what was not and
// what could not be: a loop, the hop behind which nothing is heard, a refusal, a
// filter that minds the port, address translation, another way back, where a
// reset comes from, MPLS. [FindMTU] finds the path MTU and where it shrinks,
// black holes that say nothing included.
//
// # Results
//
// Silence, refusals and a target that is not reached are data of a [Path]. An
// error means that the trace could not be made: a bad option, a refused socket
// or a context that ended; the Path then holds what was learned until then. A
// probe that this host itself did not let out is [OutcomeNotSent], never
// silence where the kernel tells; [ICMP] has the exception.
package trace

import (
	"context"
	"iter"
	"net/netip"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/operr"
)

// Tracer finds the path to a target; 0.0.0.0 and :: are this host. [UDP], [TCP]
// and [ICMP] are Tracers; they hold no state and are safe for concurrent use.
type Tracer interface {
	Trace(ctx context.Context, dst netip.Addr) (Path, error)
}

// OpError is the error of this package's functions; it unwraps to errnos,
// [os.ErrPermission] and [errors.ErrUnsupported].
type OpError = operr.Error

// ICMPError is an ICMP or ICMPv6 error message about a probe.
type ICMPError = icmperr.Error

// Label is an entry of the MPLS label stack in ICMPError.Labels.
type Label = icmperr.Label

// Extension is another object that a router added to its message (RFC 4884),
// in ICMPError.Extensions.
type Extension = icmperr.Extension

// Options are what every tracer can be told. The zero value of each field
// means the default given.
type Options struct {
	// Port is the target port, default 33434 for UDP and 80 for TCP. ICMP has
	// none.
	Port uint16
	// SourcePort is the local port of UDP and TCP probes, default: the kernel's
	// choice. With that of a flow in a [Graph], the path of this flow is traced.
	// When UDP probes need ports of their own (FlowPerProbe) it is that of the
	// first. Two connections cannot have all four numbers in common: TCP probes
	// go one at a time then, and are no Watch.
	SourcePort uint16
	// Flow is FlowPerProbe for the classic trace, whose probes may take as many
	// ways as there are: the hops seen need not lie on one. The default is
	// FlowConstant (the "Paris" trace) for UDP, ICMP and an [Engine], which knows
	// no other, and FlowPerProbe for TCP, which knows no other without one or a
	// SourcePort, and only FlowConstant with one. Multipath has flows of its own.
	Flow Flow
	// FirstTTL and MaxTTL bound the TTLs probed, 1 to 255, default 1 and 30.
	FirstTTL, MaxTTL int
	// Queries is the number of probes a TTL, 1 to 10, default 1. With one, a
	// hop that is silent while a later one answers gets a second.
	Queries int
	// Timeout is how long a probe may stay unanswered while the target has
	// not answered either, default 3.3 s. Less than 3.1 s loses the news that
	// the last router cannot reach the target.
	Timeout time.Duration
	// MaxSilent is how many hops beyond the last one that answered are tried,
	// default 10; where round trips take 40 ms or more, twice as many as are
	// known if that is more. Negative: up to MaxTTL, all at once.
	MaxSilent int
	// Ahead is how many hops beyond the last one that answered are tried at
	// once; each of those behind them a second after the one that many before
	// it. Default: as many as MaxSilent allows.
	Ahead int
	// Size is the length of UDP and ICMP probes in bytes, IP header included,
	// up to 65535. The default, which is also the least, is 40 bytes for UDP
	// and 44 for ICMP; for IPv6 20 more.
	Size int
	// Rate is the number of probes a second. Default: one a millisecond, and
	// the next one at once when the last has been answered. Negative: no bound.
	Rate float64
	// Here and Near are how many times the round trip of another answer, of
	// the same hop or else of a later one, a probe is waited for, at least
	// 10 ms. Default: until the target has answered Timeout alone counts, then
	// silent hops have the time that the package's documentation says.
	// Negative: every probe has all of Timeout.
	Here, Near float64
	// TOS is the TOS byte, for IPv6 the traffic class, of probes; 0 to 255.
	TOS int
	// DontFragment has probes that are too long for a link on the way refused
	// there, whatever the kernel knows of the path MTU (IP_PMTUDISC_PROBE).
	DontFragment bool
	// FlowLabel is the flow label of IPv6 probes by UDP and TCP, up to 0xfffff
	// (RFC 6437), default none. IPv4 has none.
	FlowLabel uint32
	// MSS is the maximum segment size that a SYN announces, 88 to 32767
	// (TCP_MAXSEG), default: what the interface takes.
	MSS int
	// DontRoute has UDP and TCP probes over IPv4 go to a host on an attached
	// network only, never through a gateway (SO_DONTROUTE, which Linux does not
	// heed for IPv6).
	DontRoute bool
	// Lite has UDP-Lite datagrams (RFC 3828) take the place of UDP's. Linux is
	// about to lose it; where it has, the trace is refused.
	Lite bool

	Device string     // send through this interface (SO_BINDTODEVICE)
	Mark   uint32     // firewall mark (SO_MARK; needs CAP_NET_ADMIN or CAP_NET_RAW)
	Source netip.Addr // local address; default: the kernel's choice
	NetNS  int        // descriptor of a network namespace (needs CAP_SYS_ADMIN); 0: the caller's
}

// UDP traces with datagrams to one port. Where something listens on it the
// answer, if any, counts as the target's.
type UDP struct{ Options }

// Trace finds the path to dst. It needs no capability.
func (u UDP) Trace(ctx context.Context, dst netip.Addr) (Path, error) {
	return trace(ctx, MethodUDP, dst, u.Options, nil)
}

// TCP traces with connection attempts to one port, as tcptraceroute does.
// Connections that open are reset at once. The kernel repeats a SYN that is
// not answered within a second; repeats are counted in Path.Packets.
type TCP struct{ Options }

// Trace finds the path to dst. It needs no capability, and Linux 5.8.
func (t TCP) Trace(ctx context.Context, dst netip.Addr) (Path, error) {
	return trace(ctx, MethodTCP, dst, t.Options, nil)
}

// Hops does the same as Trace and gives each hop, in order, as soon as nothing
// more is expected of it and of those before it, up to the one where the path
// ends. An answer that comes later still is in Trace's Path only. The sequence
// can be used once.
func (u UDP) Hops(ctx context.Context, dst netip.Addr) iter.Seq2[Hop, error] {
	return hops(ctx, MethodUDP, dst, u.Options)
}

// Hops gives each hop as soon as it is known, as [UDP.Hops] does.
func (t TCP) Hops(ctx context.Context, dst netip.Addr) iter.Seq2[Hop, error] {
	return hops(ctx, MethodTCP, dst, t.Options)
}

// ICMP traces with echo requests, all from one socket. Firewalls that let ping
// pass let it pass. An IPv6 request that this host's own filter drops is
// [OutcomeSilent], since the kernel does not tell (ping_v6_sendmsg).
type ICMP struct{ Options }

// Trace finds the path to dst. It needs a group that net.ipv4.ping_group_range
// admits, else CAP_NET_RAW.
func (i ICMP) Trace(ctx context.Context, dst netip.Addr) (Path, error) {
	return trace(ctx, MethodICMP, dst, i.Options, nil)
}

// Hops gives each hop as soon as it is known, as [UDP.Hops] does.
func (i ICMP) Hops(ctx context.Context, dst netip.Addr) iter.Seq2[Hop, error] {
	return hops(ctx, MethodICMP, dst, i.Options)
}

func hops(ctx context.Context, m Method, dst netip.Addr, o Options) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		more := true
		_, err := trace(ctx, m, dst, o, func(h Hop) bool {
			more = yield(h, nil)
			return more
		})
		if more && err != nil {
			yield(Hop{}, err)
		}
	}
}

// Path is the result of a trace.
type Path struct {
	Target  netip.Addr    `json:"target"`
	Method  Method        `json:"method"`
	Port    uint16        `json:"port,omitzero"`
	Source  netip.Addr    `json:"source,omitzero"` // local address of the probes, if any could be sent
	Hops    []Hop         `json:"hops"`            // by TTL from FirstTTL on, silent ones too, up to the end; resets beyond it too
	Reached bool          `json:"reached"`         // the target's address answered; a reset may be forged, see Refused
	End     End           `json:"end"`             // why the trace ended
	Flow    Flow          `json:"flow"`
	Packets int           `json:"packets"` // sent, repeats and TTLs beyond the last of Hops included
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Hop is what one TTL gave.
type Hop struct {
	TTL     int     `json:"ttl"`
	Replies []Reply `json:"replies"` // one a probe, in the order sent
}

// Reply is what became of one probe.
type Reply struct {
	Outcome Outcome    `json:"outcome"`
	From    netip.Addr `json:"from,omitzero"` // who answered; for OutcomeRefused what the reset pretends
	// RTT is the time from sending to the answer. With Retransmits it is
	// measured from the first SYN, and only an upper bound.
	RTT         time.Duration `json:"rtt_ns,omitzero"`
	Stamp       StampSource   `json:"stamp,omitzero"`       // clock of the answer's arrival
	ICMP        *ICMPError    `json:"icmp,omitzero"`        // the answer, when it is an ICMP message
	ReplyTTL    int           `json:"reply_ttl,omitzero"`   // TTL of the answer as it arrived; 0 is not known
	Retransmits int           `json:"retransmits,omitzero"` // SYNs that the kernel repeated before the answer
	Errno       syscall.Errno `json:"errno,omitzero"`       // OutcomeNotSent: the kernel's reason
	Err         string        `json:"err,omitzero"`         // OutcomeNotSent: the same in words
}

// Outcome says what became of a probe.
type Outcome uint8

// The outcomes of a probe.
const (
	OutcomeSilent          Outcome = iota // no answer in time
	OutcomeTimeExceeded                   // a router: the TTL ran out here
	OutcomeUnreachable                    // a refusal by ICMP, see Reply.ICMP.Kind
	OutcomePortUnreachable                // UDP: the target says that nobody listens
	OutcomeOpen                           // TCP: SYN-ACK; UDP: data came back
	OutcomeRefused                        // TCP: RST
	OutcomeNotSent                        // this host did not let the probe out, see Reply.Errno
	OutcomeEchoReply                      // ICMP: the target's echo
)

var outcomeNames = []string{
	"silent", "time_exceeded", "unreachable", "port_unreachable", "open", "refused", "not_sent", "echo_reply",
}

// String returns the word, such as "time_exceeded".
func (o Outcome) String() string { return enum.String(outcomeNames, "outcome", o) }

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *Outcome) UnmarshalText(b []byte) (err error) {
	*o, err = enum.Parse[Outcome](outcomeNames, "outcome", b)
	return err
}

// answered reports whether something came back from the network.
func (o Outcome) answered() bool { return o != OutcomeSilent && o != OutcomeNotSent }

// final reports whether the path ends at a hop with this outcome.
func (o Outcome) final() bool { return o.answered() && o != OutcomeTimeExceeded }

// End says why a trace ended.
type End uint8

// The ends of a trace.
const (
	EndUnknown     End = iota // the context ended first
	EndReached                // the target answered
	EndUnreachable            // somebody on the way refused by ICMP
	EndLoop                   // the packets go round, see Path.Loop
	EndSilent                 // MaxSilent hops in a row did not answer
	EndMaxTTL                 // MaxTTL was probed and the target was not there
	EndNotSent                // this host did not let the probes out
)

var endNames = []string{"unknown", "reached", "unreachable", "loop", "silent", "max_ttl", "not_sent"}

// String returns the word, such as "max_ttl".
func (e End) String() string { return enum.String(endNames, "end", e) }

// MarshalText implements [encoding.TextMarshaler].
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *End) UnmarshalText(b []byte) (err error) {
	*e, err = enum.Parse[End](endNames, "end", b)
	return err
}

// Method is the kind of packet that probes.
type Method uint8

// The methods.
const (
	MethodUnknown Method = iota
	MethodUDP
	MethodTCP
	MethodICMP
)

var methodNames = []string{"unknown", "udp", "tcp", "icmp"}

// String returns the word, such as "udp".
func (m Method) String() string { return enum.String(methodNames, "method", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m Method) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Method) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[Method](methodNames, "method", b)
	return err
}

// Flow says which header fields that routers may choose a path by differ
// between the probes of a trace.
type Flow uint8

// The flows.
const (
	FlowUnknown  Flow = iota
	FlowConstant      // none: all probes take the same path
	FlowPerProbe      // the source port; of ICMP the checksum
)

var flowNames = []string{"unknown", "constant", "per_probe"}

// String returns the word, such as "constant".
func (f Flow) String() string { return enum.String(flowNames, "flow", f) }

// MarshalText implements [encoding.TextMarshaler].
func (f Flow) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Flow) UnmarshalText(b []byte) (err error) {
	*f, err = enum.Parse[Flow](flowNames, "flow", b)
	return err
}

// StampSource says which clock saw an answer arrive.
type StampSource uint8

// The sources of a stamp.
const (
	StampNone   StampSource = iota // no answer
	StampUser                      // this process, when it read the answer
	StampKernel                    // the kernel, when the packet arrived (SO_TIMESTAMPNS)
)

var stampNames = []string{"none", "user", "kernel"}

// String returns the word, such as "kernel".
func (s StampSource) String() string { return enum.String(stampNames, "stamp", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s StampSource) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *StampSource) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[StampSource](stampNames, "stamp", b)
	return err
}
