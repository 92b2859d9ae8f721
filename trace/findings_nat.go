package trace

import (
	"fmt"
)

// findNAT looks for signs of address translation. A translator also changes
// back what routers behind it quote, and as a rule puts its own outer address,
// or the target's, in place of theirs (RFC 5508, section 4.2).
func (p Path) findNAT(others []Path) Finding {
	for _, h := range p.Hops {
		for _, r := range h.Replies {
			if r.Outcome == OutcomeTimeExceeded && same(r.From, p.Target) {
				return Finding{Seen: Yes, TTL: h.TTL, From: r.From, Why: fmt.Sprintf(
					"the target's own address says at hop %d that the packet had farther to go: hop %d, or one before it, sends it on to another address", h.TTL, h.TTL)}
			}
		}
	}
	if f, ok := p.sameAddress(); ok {
		return f
	}
	for _, o := range others {
		a, b := p.Distance(), o.Distance()
		if a > 0 && b > 0 && a != b && !p.onlyReset(a) && !o.onlyReset(b) {
			near := min(a, b)
			return Finding{Seen: Yes, TTL: near, From: p.Target, Why: fmt.Sprintf(
				"%s is answered at hop %d, %s at hop %d, both in the target's name: ports are forwarded", p.what(), a, o.what(), b)}
		}
	}
	return Finding{Why: "no sign of it; a translator that leaves none may still be there"}
}

// sameAddress finds one address at hops in a row whose answers come from
// farther away each: routers behind a translator, in its name.
func (p Path) sameAddress() (Finding, bool) {
	var last Reply
	var begin int
	for _, h := range p.Hops {
		r, ok := h.Answered()
		if !ok || r.Outcome != OutcomeTimeExceeded {
			last = Reply{}
			continue
		}
		if last.From.IsValid() && same(last.From, r.From) && last.ReplyTTL != 0 && r.ReplyTTL == last.ReplyTTL-1 {
			return Finding{Seen: Yes, TTL: begin, From: r.From, Why: fmt.Sprintf(
				"%v answers from hop %d on for routers behind it, each a hop farther away: it translates their addresses", r.From, begin)}, true
		}
		last, begin = r, h.TTL
	}
	return Finding{}, false
}

// findAsymmetry compares the TTL of answers, as they arrive, with how far
// away their senders are. They leave with 64, 128 or 255.
func (p Path) findAsymmetry([]Path) Finding {
	known := false
	for _, h := range p.Hops {
		for _, r := range h.Replies {
			if r.ReplyTTL == 0 || r.Outcome == OutcomeUnreachable {
				continue // who refuses is nearer than the TTL says
			}
			known = true
			if n := wayBack(r.ReplyTTL); n != h.TTL {
				return Finding{Seen: Yes, TTL: h.TTL, From: r.From, Back: n, Why: fmt.Sprintf(
					"the answer of hop %d (%v) took %d hops, if it left with a usual TTL: it comes back another way", h.TTL, r.From, n)}
			}
		}
	}
	if !known {
		return Finding{Why: "no answer told its TTL"}
	}
	return Finding{Seen: No, Why: "answers come from as far away as packets go"}
}

// wayBack returns how many hops an answer took that left with one of the usual
// TTLs.
func wayBack(ttl int) int {
	switch {
	case ttl <= 64:
		return 65 - ttl
	case ttl <= 128:
		return 129 - ttl
	}
	return 256 - ttl
}

func (p Path) findReset(others []Path) Finding {
	r, ok := p.Refused(others...)
	switch {
	case ok:
	case p.Method != MethodTCP:
		return Finding{Why: "only connections are reset"}
	case p.End == EndUnknown || p.End == EndNotSent:
		return Finding{Why: "the trace is not complete"}
	default:
		return Finding{Seen: No, Why: "no reset came"}
	}
	f := Finding{Seen: Yes, TTL: r.Hop, From: r.From, Reset: &r}
	switch r.Origin {
	case ResetHop:
		f.Why = fmt.Sprintf("the reset comes from %s or right behind it, in the target's name", place(r.Hop, r.From))
	case ResetTarget:
		f.Why = fmt.Sprintf("the reset comes from the target, or a filter in the last router before it (hop %d)", r.Hop)
	default:
		f.Why = fmt.Sprintf("the reset came at hop %d; who sent it, only other paths to the target can tell", r.TTL)
	}
	return f
}

func (p Path) findMPLS([]Path) Finding {
	known := false
	for _, h := range p.Hops {
		for _, r := range h.Replies {
			if r.ICMP == nil {
				continue
			}
			if known = true; len(r.ICMP.Labels) > 0 {
				return Finding{Seen: Yes, TTL: h.TTL, From: r.From, Labels: r.ICMP.Labels, Why: fmt.Sprintf(
					"hop %d (%v) got the packet with label %d: it is switched by MPLS", h.TTL, r.From, r.ICMP.Labels[0].Label)}
			}
		}
	}
	if !known {
		return Finding{Why: "no router answered"}
	}
	return Finding{Seen: No, Why: "no router told of labels"}
}
