// Package ping asks hosts whether they answer: by ICMP echo (RFC 792, RFC
// 4443) without root where the kernel allows it, and by TCP connect.
//
// An [Engine] is opened once and used for any number of hosts and by any
// number of goroutines. It owns the sockets, their ICMP identifiers, the
// sequence space and one table of probes in flight; a probe costs no goroutine,
// no timer and no map entry, and a lost one costs nothing after its deadline.
// More than 65,536 in flight take further identifiers, which with the
// unprivileged socket nobody else can have ([Identifiers]); up to 1,048,576 of a
// family can be in flight.
//
// [Engine.Ping] asks once, [Engine.Stream] again and again, [Engine.Sweep] whole
// networks; all may run on one engine at the same time. [Stats] adds results up.
//
// # Truth
//
// Round-trip times are the difference of two kernel timestamps (transmit and
// receive, SO_TIMESTAMPING) where the system gives them, so that neither the
// scheduler nor the garbage collector is in them; [Result.Stamp] says what
// each one was made of. Both clocks of the system are compared for every
// probe: when the wall clock was set in between, the monotonic clock gives the
// time. Nothing is ever computed from what a reply contains.
//
// Replies are matched by identifier, sequence number, source and eight random
// bytes in the payload. What answers with the right numbers and wrong bytes is
// reported as [OutcomeCorrupted]. With payloads under 8 bytes (Options.Size)
// identifier, sequence number and source are what remains: they can be guessed,
// and with the raw socket another program may happen to use them. No number is
// then used again within twice the timeout, or 2 s.
//
// Losses are data: an error is returned only when no answer could have come
// for a reason on this side. ICMP errors are results with their sender, type,
// code, MTU and MPLS labels, also for users without any capability (the error
// queue of ip(7)). Redirects and source quenches are advice and no outcome; see
// [StreamOptions]. Linux keeps IPv4's 11/1, "reassembly time exceeded", to
// itself.
//
// # Privileges
//
// The unprivileged socket needs the caller's group to be inside the sysctl
// net.ipv4.ping_group_range, which also covers IPv6; the raw one needs
// CAP_NET_RAW; TCP needs nothing. [Capabilities] tells what this process has.
// On systems other than Linux the times are those of the program.
package ping

import (
	"context"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/operr"
)

// Pinger sends one probe to a host and waits for what comes of it. [Engine]
// and [TCP] are Pingers.
type Pinger interface {
	Ping(ctx context.Context, dst netip.Addr) (Result, error)
}

// OpError is the error of this package: the operation, the host it was about,
// and the cause, which unwraps to os.ErrPermission, errors.ErrUnsupported or
// an errno.
type OpError = operr.Error

// ICMPError is an ICMP error message about a probe.
type ICMPError = icmperr.Error

// Options are settings of an [Engine] or of [TCP]. The zero value is good for
// most uses; a nil *Options is the zero value.
type Options struct {
	Method   Method        // how to ping; MethodAuto: the unprivileged ICMP socket, else the raw one
	Timeout  time.Duration // how long a reply may take; 0 is 1 s
	Size     int           // bytes of payload, at most 65507; 0 is 56, negative is none. Below 8, replies can be forged; see Truth
	Pattern  []byte        // fills the payload after its first 8 bytes, repeated; nil counts up from 8
	TTL      int           // TTL or hop limit, 1 to 255; 0 is the system's
	TOS      int           // TOS byte or traffic class, 1 to 255 (DSCP times 4, plus ECN); 0 is 0
	Fragment Fragment      // what may be done to packets that are too big
	Device   string        // send and receive on this interface only (SO_BINDTODEVICE)
	Mark     uint32        // firewall mark (SO_MARK): needs CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on
	Source   netip.Addr    // address to send from; fixes the family
	NetNS    int           // descriptor of a network namespace to work in, 0 is the caller's; needs CAP_SYS_ADMIN

	RecordRoute bool        // IPv4: let up to 9 routers write their address into the packet; many drop such packets
	IPTimestamp IPTimestamp // IPv4: let routers write their time into the packet; not together with RecordRoute

	IPTimestampHops []netip.Addr // 1 to 4 routers or hosts, for IPTimestampPrespec

	Identifier int        // ICMP identifier, 1 to 65535, and no further ones; 0 is one that nobody has, negative is number 0, for raw sockets only. Linux
	FlowLabel  uint32     // IPv6 flow label (RFC 6437), 1 to 1048575; 0 is the system's own for each flow. Linux
	SendBuffer int        // bytes of the send buffer (SO_SNDBUF), bounded by net.core.wmem_max; 0 is enough for bursts. Linux
	DontRoute  bool       // only to hosts of a network that this one is in, past the routing table (SO_DONTROUTE). Linux, which heeds it for IPv4 only
	Connect    netip.Addr // connect(2) the socket to this host, the only one then: a raw socket hears no other, and the family is its own. Linux

	Broadcast    bool // allow IPv4 broadcast addresses
	NoLoop       bool // do not hear one's own packets to a multicast group
	NoTimestamps bool // use the program's clock instead of the kernel's: cheaper, less true
}

// Result is what came of one probe.
type Result struct {
	Target    netip.Addr    `json:"target"`
	Seq       int           `json:"seq"`                // number of the probe; for a single [Engine.Ping] the ICMP sequence number
	Outcome   Outcome       `json:"outcome"`            //
	From      netip.Addr    `json:"from,omitzero"`      // who answered; may differ from Target (broadcast, anycast, routers)
	RTT       time.Duration `json:"rtt_ns,omitzero"`    // of everything that was answered, ICMP errors included
	TTL       int           `json:"ttl,omitzero"`       // TTL or hop limit of the answer on arrival; 0 is not known
	TOS       int           `json:"tos,omitzero"`       // TOS byte or traffic class of the reply
	Size      int           `json:"size,omitzero"`      // bytes of the reply, ICMP header included
	Refused   bool          `json:"refused,omitzero"`   // TCP: the answer was a reset
	Reordered bool          `json:"reordered,omitzero"` // the reply to a later probe came before this one
	Resent    int           `json:"resent,omitzero"`    // TCP: how often the kernel sent the SYN again
	ICMP      *ICMPError    `json:"icmp,omitzero"`      // with OutcomeICMPError, and with OutcomeLate where an error was late
	Damage    *Damage       `json:"damage,omitzero"`    // with OutcomeNotice: what is wrong with a reply
	Node      *NodeInfo     `json:"node,omitzero"`      // with [NodeQuery.Stream]: what was answered
	Record    *Record       `json:"record,omitzero"`    // with Options.RecordRoute or IPTimestamp
	Method    Method        `json:"method"`             // what was used; it never changes while an Engine is open
	Why       string        `json:"why,omitzero"`       // why that
	Stamp     StampSource   `json:"stamp,omitzero"`     // what RTT was made of
	Sent      time.Time     `json:"sent,omitzero"`      // wall clock
	Err       string        `json:"error,omitzero"`     // with OutcomeLocalError: what this host said
}

// defaults.
const (
	defaultTimeout = time.Second
	defaultSize    = 56
	maxSize        = 65507
)

func (o *Options) resolved() Options {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	switch {
	case r.Size == 0:
		r.Size = defaultSize
	case r.Size < 0:
		r.Size = 0
	}
	return r
}
