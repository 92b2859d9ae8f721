// Package icmperr is the house's vocabulary for ICMP and ICMPv6 errors: who
// sent one, what it says in one word for both families, and traceroute's symbol.
//
// Types and codes are those of RFC 792, RFC 1122, RFC 1812, RFC 4443 and the
// IANA registries; extensions are those of RFC 4884 and RFC 4950.
package icmperr

import (
	"fmt"
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
)

// Kind is the meaning of an ICMP error, the same word for both families.
type Kind uint8

// The kinds of ICMP error.
const (
	Unknown            Kind = iota // a type and code this library has no word for
	NetUnreachable                 // no route to the network (3/0 /6 /8 /11, v6 1/0)
	HostUnreachable                // no route or no neighbour for the host (3/1 /7 /12, v6 1/3)
	ProtoUnreachable               // the host does not speak the protocol (3/2, v6 4/1)
	PortUnreachable                // nothing listens, or a firewall says so (3/3, v6 1/4)
	FragNeeded                     // packet too big for the next hop (3/4, v6 2/0)
	SourceRouteFailed              // 3/5, v6 4/3 and 1/7
	NetProhibited                  // 3/9
	HostProhibited                 // 3/10
	AdminProhibited                // 3/13, v6 1/1
	PrecedenceViolated             // 3/14 and 3/15
	BeyondScope                    // v6 1/2
	PolicyFailed                   // v6 1/5: source address failed a policy
	RejectRoute                    // v6 1/6
	TimeExceeded                   // 11/0, v6 3/0: the TTL ran out
	ReassemblyExceeded             // 11/1, v6 3/1
	ParameterProblem               // 12, v6 4
	Redirect                       // 5: advice, not a failure
	SourceQuench                   // 4: deprecated by RFC 6633, not a failure
)

var kindNames = []string{
	"unknown", "net_unreachable", "host_unreachable", "proto_unreachable", "port_unreachable",
	"frag_needed", "source_route_failed", "net_prohibited", "host_prohibited", "admin_prohibited",
	"precedence_violated", "beyond_scope", "policy_failed", "reject_route", "time_exceeded",
	"reassembly_exceeded", "parameter_problem", "redirect", "source_quench",
}

// String returns the word, such as "host_unreachable".
func (k Kind) String() string { return enum.String(kindNames, "kind", k) }

// MarshalText implements [encoding.TextMarshaler].
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = enum.Parse[Kind](kindNames, "kind", b)
	return err
}

// Prohibited reports whether the sender says that a rule forbids the packet,
// as opposed to not knowing a way.
func (k Kind) Prohibited() bool {
	switch k {
	case NetProhibited, HostProhibited, AdminProhibited, PrecedenceViolated, PolicyFailed, RejectRoute:
		return true
	}
	return false
}

// Unreachable reports whether the packet was refused for good: neither a TTL
// that ran out nor advice such as a redirect.
func (k Kind) Unreachable() bool {
	switch k {
	case Unknown, TimeExceeded, ReassemblyExceeded, Redirect, SourceQuench, FragNeeded:
		return false
	}
	return true
}

// Symbol returns traceroute's mark, such as "!H" or "!X", and "" for a TTL
// that ran out and for a port that is not there.
func (e Error) Symbol() string {
	switch e.Kind {
	case TimeExceeded, PortUnreachable, Redirect, SourceQuench:
		return ""
	case NetUnreachable:
		return "!N"
	case HostUnreachable:
		return "!H"
	case ProtoUnreachable:
		return "!P"
	case FragNeeded:
		return fmt.Sprintf("!F-%d", e.MTU)
	case SourceRouteFailed:
		return "!S"
	case NetProhibited, HostProhibited, AdminProhibited, PolicyFailed, RejectRoute:
		return "!X"
	case BeyondScope:
		return "!s"
	case PrecedenceViolated:
		if e.Code == 14 {
			return "!V"
		}
		return "!C"
	}
	return fmt.Sprintf("!<%d-%d>", e.Type, e.Code)
}

// Error is one ICMP or ICMPv6 error message about a packet of ours.
type Error struct {
	From    netip.Addr `json:"from"`             // who sent it
	Kind    Kind       `json:"kind"`             // what it says, for both families
	Type    uint8      `json:"type"`             // as on the wire
	Code    uint8      `json:"code"`             // as on the wire
	MTU     int        `json:"mtu,omitzero"`     // bytes; only where the message carries one
	Pointer int        `json:"pointer,omitzero"` // parameter problem: the byte of the quoted packet that is wrong
	Via     netip.Addr `json:"via,omitzero"`     // IPv4 redirect: the router to take instead
	TTL     int        `json:"ttl,omitzero"`     // TTL or hop limit of the message when it arrived; 0 is not known
	Labels  []Label    `json:"labels,omitzero"`  // MPLS label stack, outermost first

	Extensions []Extension `json:"extensions,omitzero"` // what else was added to the message
}

// New returns the Error for a type and code as on the wire; the family is
// that of from.
func New(from netip.Addr, typ, code uint8) Error {
	e := Error{From: from, Type: typ, Code: code}
	if from.Is4() || from.Is4In6() {
		e.Kind = kind4(typ, code)
	} else {
		e.Kind = kind6(typ, code)
	}
	return e
}

// String returns "host_unreachable from 192.0.2.1".
func (e Error) String() string { return e.Kind.String() + " from " + e.From.String() }

func kind4(typ, code uint8) Kind {
	switch typ {
	case 3:
		if code > 15 {
			return Unknown
		}
		return [...]Kind{
			NetUnreachable, HostUnreachable, ProtoUnreachable, PortUnreachable, FragNeeded, SourceRouteFailed,
			NetUnreachable, HostUnreachable, NetUnreachable, NetProhibited, HostProhibited,
			NetUnreachable, HostUnreachable, AdminProhibited, PrecedenceViolated, PrecedenceViolated,
		}[code]
	case 4:
		return SourceQuench
	case 5:
		return Redirect
	case 11:
		if code == 0 {
			return TimeExceeded
		}
		return ReassemblyExceeded
	case 12:
		return ParameterProblem
	}
	return Unknown
}

func kind6(typ, code uint8) Kind {
	switch typ {
	case 1:
		if code > 7 {
			return Unknown
		}
		return [...]Kind{
			NetUnreachable, AdminProhibited, BeyondScope, HostUnreachable,
			PortUnreachable, PolicyFailed, RejectRoute, SourceRouteFailed,
		}[code]
	case 2:
		return FragNeeded
	case 3:
		if code == 0 {
			return TimeExceeded
		}
		return ReassemblyExceeded
	case 4:
		switch code {
		case 1:
			return ProtoUnreachable
		case 3:
			return SourceRouteFailed
		}
		return ParameterProblem
	case 137:
		return Redirect
	}
	return Unknown
}
