package portscan

import (
	"net/netip"
	"syscall"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// decideErrno judges an attempt that ended with an error number and without an
// ICMP message that would say more; 0 is a connection.
func decideErrno(errno syscall.Errno, target netip.Addr) Result {
	switch errno {
	case 0, syscall.ECONNRESET, syscall.EPIPE: // open, and reset since
		return Result{State: StateOpen, Reason: ReasonSynAck, From: target}
	case syscall.ECONNREFUSED:
		return Result{State: StateClosed, Reason: ReasonConnRefused, From: target}
	case syscall.ETIMEDOUT, syscall.EHOSTDOWN:
		return Result{State: StateFiltered, Reason: ReasonNoResponse}
	case syscall.EHOSTUNREACH:
		return Result{State: StateFiltered, Reason: ReasonICMPHostUnreachable}
	case syscall.ENETUNREACH:
		return Result{State: StateFiltered, Reason: ReasonICMPNetUnreachable}
	}
	return notTested(errno)
}

// decideICMP judges an attempt about which an ICMP message came. What this
// host itself says is not the network's answer, but for the neighbour that
// does not answer.
func decideICMP(e ICMPError, errno syscall.Errno, local, target netip.Addr) Result {
	r := Result{State: StateFiltered, Reason: icmpReason(e.Kind), From: e.From, ICMP: &e}
	own := e.From.WithZone("") == local.WithZone("") && e.From.WithZone("") != target.WithZone("")
	if own && e.Kind != icmperr.HostUnreachable {
		r.State, r.Reason, r.Errno = StateNotTested, ReasonLocalFilter, errno
		r.Err = "refused by a filter of this host: " + e.Kind.String()
	}
	return r
}

func icmpReason(k icmperr.Kind) Reason {
	switch k {
	case icmperr.NetUnreachable:
		return ReasonICMPNetUnreachable
	case icmperr.HostUnreachable:
		return ReasonICMPHostUnreachable
	case icmperr.ProtoUnreachable:
		return ReasonICMPProtoUnreachable
	case icmperr.PortUnreachable:
		return ReasonICMPPortUnreachable
	case icmperr.NetProhibited:
		return ReasonICMPNetProhibited
	case icmperr.HostProhibited:
		return ReasonICMPHostProhibited
	case icmperr.AdminProhibited:
		return ReasonICMPAdminProhibited
	case icmperr.TimeExceeded:
		return ReasonICMPTimeExceeded
	}
	return ReasonICMPOther
}

// decideSelf marks a connection that met itself: without a listener, an
// attempt from the very port that it is aimed at opens (RFC 9293, 3.5,
// simultaneous open).
func decideSelf(r Result, target netip.AddrPort) Result {
	if r.State == StateOpen && r.Local.Port() == target.Port() && r.Local.Addr().WithZone("") == target.Addr().WithZone("") {
		r.State, r.Reason = StateClosed, ReasonSelfConnect
	}
	return r
}
