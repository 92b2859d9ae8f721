// Package portscan tells which ports of a host are open, closed or filtered,
// and why, as nmap --reason does.
//
// [Connect] opens connections with connect(2) and needs no privilege. What
// sets it apart from an ordinary connect scan is where it looks for the
// answer: the error queue of the connecting socket (ip(7), IP_RECVERR) holds
// ICMP refusals with their code and their sender, while a reset by the target
// leaves it empty. A firewall's "port unreachable" is therefore filtered, not
// closed, and a host that does not exist is told from one that drops packets.
//
// # States
//
// The words are nmap's. An answer of the network is open (SYN-ACK), closed
// (RST) or filtered (a refusal by ICMP, or silence). What this host could not
// do (no descriptors or ports left, a local firewall or route in the way) is
// not_tested with the reason, never closed and never filtered. Shortages are
// waited out; what remains not_tested has been tried again.
//
// A reset does not prove that the target sent it: package trace tells resets
// of a firewall on the way from those of the target.
package portscan

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

// Scanner tells the state of ports. The targets are read as the scan goes on,
// on the calling goroutine; a slow sequence slows the scan.
//
// Each pair of the result is a value and nil, or the zero value and the error
// that ended the scan. It can be ranged over once. When ctx ends, the last
// pair carries context.Cause(ctx). After the loop, however it was left, no
// socket and no goroutine remains. Results come as they are known, not in the
// order of the targets.
type Scanner interface {
	Scan(ctx context.Context, targets iter.Seq[netip.AddrPort]) iter.Seq2[Result, error]
}

// OpError is the error of this package's functions; it unwraps to errnos,
// [os.ErrPermission] and [errors.ErrUnsupported].
type OpError = operr.Error

// ICMPError is an ICMP or ICMPv6 error message about a connection attempt.
type ICMPError = icmperr.Error

// Options are what a scanner can be told. The zero value of each field means
// the default given.
type Options struct {
	// Timeout is how long an attempt may take, default 3.3 s: the router in
	// front of a host that is switched off takes three seconds to say so, and
	// the kernel repeats a lost SYN after one. Less than 1.1 s does not tell
	// a local filter that drops from silence.
	Timeout time.Duration
	// Parallel bounds the attempts under way at once, default 4096. It is
	// lowered to three quarters of the file descriptors that the process has
	// left (RLIMIT_NOFILE).
	Parallel int
	// Rate bounds the attempts begun in a second, default 2000, with bursts
	// of 2 ms worth. Negative: no bound.
	Rate float64
	// Retries is how many further attempts a target gets that did not answer,
	// besides the kernel's own repeats of the SYN; default 0.
	Retries int

	Device string     // send through this interface (SO_BINDTODEVICE)
	Mark   uint32     // firewall mark (SO_MARK; needs CAP_NET_ADMIN or CAP_NET_RAW)
	Source netip.Addr // local address; default: the kernel's choice
	NetNS  int        // descriptor of a network namespace (needs CAP_SYS_ADMIN); 0: the caller's
}

// Connect scans TCP ports with connect(2) and needs no capability. Connections
// that open are reset at once (SO_LINGER 0), so that the target keeps no
// trace of them but an accept(2) that may fail.
//
// On systems other than Linux it goes through [net.Dialer] and tells open,
// closed and filtered by the error number alone; Device, Mark and NetNS are
// refused there.
type Connect struct{ Options }

// Scan implements [Scanner].
func (c Connect) Scan(ctx context.Context, targets iter.Seq[netip.AddrPort]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		w, limit, err := openWire(ctx, c.Options)
		if err != nil {
			yield(Result{}, operr.New("portscan: connect", nil, err))
			return
		}
		defer w.close()
		newEngine(ctx, w, c.Options, limit).run(targets, yield)
	}
}

// Result is what is known of one port.
type Result struct {
	Target netip.AddrPort `json:"target"`
	State  State          `json:"state"`
	Reason Reason         `json:"reason"`
	From   netip.Addr     `json:"from,omitzero"`   // who said so; for a reset what it pretends
	ICMP   *ICMPError     `json:"icmp,omitzero"`   // the refusal, when it is an ICMP message
	RTT    time.Duration  `json:"rtt_ns,omitzero"` // from the first SYN of the last attempt to the answer
	Local  netip.AddrPort `json:"local,omitzero"`  // our end of the last attempt
	Errno  syscall.Errno  `json:"errno,omitzero"`  // not_tested: the kernel's reason
	Err    string         `json:"err,omitzero"`    // not_tested: the same in words
	Tries  int            `json:"tries"`           // attempts made; the kernel's repeats do not count
}

// State says what a port is.
type State uint8

// The states of a port. A connect scan gives the first four after unknown.
const (
	StateUnknown      State = iota
	StateOpen               // something listens
	StateClosed             // the target's stack says that nothing does
	StateFiltered           // refused by ICMP, or no answer
	StateNotTested          // this host could not ask, see Reason
	StateOpenFiltered       // no answer where silence may mean open
	StateUnfiltered         // reachable, open or closed
)

var stateNames = []string{"unknown", "open", "closed", "filtered", "not_tested", "open_filtered", "unfiltered"}

// String returns the word, such as "open".
func (s State) String() string { return enum.String(stateNames, "state", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[State](stateNames, "state", b)
	return err
}

// Reason says how a state is known.
type Reason uint8

// The reasons. Those that begin with icmp name what the message says, in the
// words of [ICMPError]; those that begin with local are this host's own.
const (
	ReasonUnknown     Reason = iota
	ReasonSynAck             // open
	ReasonConnRefused        // closed: a reset
	ReasonNoResponse         // filtered: silence

	ReasonICMPNetUnreachable   // filtered: no route to the network
	ReasonICMPHostUnreachable  // filtered: no route or no neighbour for the host
	ReasonICMPProtoUnreachable // filtered: the host does not speak TCP
	ReasonICMPPortUnreachable  // filtered: a firewall's usual refusal
	ReasonICMPNetProhibited    // filtered
	ReasonICMPHostProhibited   // filtered
	ReasonICMPAdminProhibited  // filtered
	ReasonICMPTimeExceeded     // filtered: the packets go round, or too far
	ReasonICMPOther            // filtered: see Result.ICMP

	ReasonLocalPermission  // not_tested: EPERM or EACCES, a policy of this host or a prohibit route
	ReasonLocalFilter      // not_tested: this host's own packet filter drops or refuses the SYN
	ReasonLocalNoRoute     // not_tested: no route, or one that says unreachable or blackhole
	ReasonLocalDescriptors // not_tested: EMFILE, ENFILE
	ReasonLocalPorts       // not_tested: EADDRNOTAVAIL, EADDRINUSE
	ReasonLocalBuffers     // not_tested: ENOBUFS, ENOMEM, EAGAIN
	ReasonLocalFamily      // not_tested: no IPv4 or IPv6 on this host
	ReasonLocalError       // not_tested: see Result.Err

	ReasonSelfConnect // closed: the kernel gave the attempt the target's own port, again and again
)

var reasonNames = []string{
	"unknown", "syn_ack", "conn_refused", "no_response",
	"icmp_net_unreachable", "icmp_host_unreachable", "icmp_proto_unreachable", "icmp_port_unreachable",
	"icmp_net_prohibited", "icmp_host_prohibited", "icmp_admin_prohibited", "icmp_time_exceeded", "icmp_other",
	"local_permission", "local_filter", "local_no_route", "local_descriptors", "local_ports", "local_buffers",
	"local_family", "local_error", "self_connect",
}

// String returns the word, such as "conn_refused".
func (r Reason) String() string { return enum.String(reasonNames, "reason", r) }

// MarshalText implements [encoding.TextMarshaler].
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Reason) UnmarshalText(b []byte) (err error) {
	*r, err = enum.Parse[Reason](reasonNames, "reason", b)
	return err
}
