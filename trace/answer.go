package trace

import (
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// advice reports whether a message does not mean that the packet was lost, or
// cannot be about packets as small as ours; sized are those that the caller
// gave a size.
func advice(k icmperr.Kind, sized bool) bool {
	return k == icmperr.Redirect || k == icmperr.SourceQuench || k == icmperr.FragNeeded && !sized
}

// judge says what an ICMP message, which is in r, means for a probe that was
// sent from local to dst.
func judge(r *Reply, m Method, dst, local netip.Addr) {
	e := r.ICMP
	r.Outcome = OutcomeUnreachable
	switch {
	case e.Kind == icmperr.TimeExceeded:
		r.Outcome = OutcomeTimeExceeded
	case same(e.From, dst):
		if e.Kind == icmperr.PortUnreachable && m == MethodUDP {
			r.Outcome = OutcomePortUnreachable
		}
	case same(e.From, local) && e.Kind != icmperr.HostUnreachable:
		// Of this host's own messages only the one about a neighbour that is
		// missing is news from the network.
		r.Outcome = OutcomeNotSent
		r.Err = "refused by a filter of this host: " + e.Kind.String()
	}
}

// rtt measures with the kernel's stamp of the arrival where that can be
// trusted. Stamps are of the wall clock: when it was set meanwhile, or the
// result makes no sense, the monotonic clock has to do.
func rtt(sent, now, stamp time.Time) (time.Duration, StampSource) {
	mono := now.Sub(sent)
	if stamp.IsZero() {
		return mono, StampUser
	}
	wall := now.Round(0).Sub(sent.Round(0))
	if slack := 50*time.Microsecond + mono/1000; (wall - mono).Abs() > slack {
		return mono, StampUser
	}
	d := stamp.Sub(sent.Round(0))
	if d <= 0 || d > mono {
		return mono, StampUser
	}
	return d, StampKernel
}
