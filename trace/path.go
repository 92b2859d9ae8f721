package trace

import (
	"net/netip"
	"slices"

	"github.com/netsonde/netsonde/internal/enum"
)

// Answered returns the first answer of the hop; false when it gave none.
func (h Hop) Answered() (Reply, bool) {
	for _, r := range h.Replies {
		if r.Outcome.answered() {
			return r, true
		}
	}
	return Reply{}, false
}

// Addrs returns who answered at this TTL, in order of appearance, each once.
func (h Hop) Addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, r := range h.Replies {
		if r.Outcome.answered() && !slices.Contains(addrs, r.From) {
			addrs = append(addrs, r.From)
		}
	}
	return addrs
}

// has reports whether a probe of the hop had this outcome.
func (h Hop) has(o Outcome) bool {
	return slices.ContainsFunc(h.Replies, func(r Reply) bool { return r.Outcome == o })
}

// silences counts the probes that drew no answer.
func (h Hop) silences() (n int) {
	for _, r := range h.Replies {
		if r.Outcome == OutcomeSilent {
			n++
		}
	}
	return n
}

// Distance returns the number of hops to the target: the lowest TTL at which
// its address answered, 0 when it did not. A reset counts, though it may have
// been forged before the target: see Refused.
func (p Path) Distance() int {
	for _, h := range p.Hops {
		for _, r := range h.Replies {
			if r.Outcome.final() && same(r.From, p.Target) {
				return h.TTL
			}
		}
	}
	return 0
}

// same compares addresses but for their zones, which may be names or numbers.
func same(a, b netip.Addr) bool { return a.WithZone("") == b.WithZone("") }

// LastAnswering returns the hop with the highest TTL that answered; false when
// none did. Its From may be a router nearer than the TTL says, which refused.
func (p Path) LastAnswering() (Hop, bool) {
	for _, h := range slices.Backward(p.Hops) {
		if _, ok := h.Answered(); ok {
			return h, true
		}
	}
	return Hop{}, false
}

// Unreachable returns the ICMP refusal that ended the path and the TTL that
// drew it; nil when none did.
func (p Path) Unreachable() (ttl int, refusal *ICMPError) {
	for _, h := range p.Hops {
		for _, r := range h.Replies {
			if r.Outcome == OutcomeUnreachable {
				return h.TTL, r.ICMP
			}
		}
	}
	return 0, nil
}

// Loop returns the addresses between which packets go round, in their order
// along the path; nil when there is no loop. A silent hop of the loop is the
// zero Addr: one address at every second TTL, with silence between, is a loop
// too. A single address at many TTLs is not a loop but usually address
// translation.
func (p Path) Loop() []netip.Addr {
	seq := make([]netip.Addr, len(p.Hops))
	for i, h := range p.Hops {
		if r, ok := h.Answered(); ok {
			if r.Outcome != OutcomeTimeExceeded {
				return nil
			}
			seq[i] = r.From
		}
	}
	return loop(seq)
}

// loop finds the shortest period with which a sequence of addresses ends. The
// period must have been seen again for a whole turn and one hop more, so that
// one address seen twice, as on paths that are shared by flow, is no loop.
func loop(seq []netip.Addr) []netip.Addr {
	for len(seq) > 0 && !seq[len(seq)-1].IsValid() {
		seq = seq[:len(seq)-1]
	}
	for period := 2; period <= len(seq)/2; period++ {
		again := 0
		start := len(seq) - period
		for ; start > 0; start-- {
			a, b := seq[start-1], seq[start-1+period]
			if a.IsValid() && b.IsValid() {
				if a != b {
					break
				}
				again++
			}
		}
		if t := turn(seq[start:], period); again > period && (differ(t) || silent(t)) {
			return t
		}
	}
	return nil
}

// turn merges all turns of a sequence into one, so that a hop that was silent
// once is named by the others.
func turn(seq []netip.Addr, period int) []netip.Addr {
	t := make([]netip.Addr, period)
	for i, a := range seq {
		if a.IsValid() && !t[i%period].IsValid() {
			t[i%period] = a
		}
	}
	return t
}

// silent reports whether a hop of a turn never answered.
func silent(turn []netip.Addr) bool {
	return slices.ContainsFunc(turn, func(a netip.Addr) bool { return !a.IsValid() })
}

// differ reports whether a sequence has two different valid addresses.
func differ(seq []netip.Addr) bool {
	var first netip.Addr
	for _, a := range seq {
		switch {
		case !a.IsValid():
		case !first.IsValid():
			first = a
		case a != first:
			return true
		}
	}
	return false
}

// ResetOrigin says what sent a TCP reset.
type ResetOrigin uint8

// The origins of a reset.
const (
	ResetUnknown ResetOrigin = iota // not known: how far the target is was not seen
	ResetHop                        // a hop on the way, or a filter right behind it
	ResetTarget                     // the target, or a filter in the last router before it
)

var resetNames = []string{"unknown", "hop", "target"}

// String returns the word, such as "hop".
func (o ResetOrigin) String() string { return enum.String(resetNames, "reset_origin", o) }

// MarshalText implements [encoding.TextMarshaler].
func (o ResetOrigin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *ResetOrigin) UnmarshalText(b []byte) (err error) {
	*o, err = enum.Parse[ResetOrigin](resetNames, "reset_origin", b)
	return err
}

// Reset says where the TCP resets of a path come from.
type Reset struct {
	TTL    int         `json:"ttl"` // the lowest that drew one
	Origin ResetOrigin `json:"origin"`
	// Hop is the distance of the sender: TTL-1 for ResetHop, where 0 is this
	// host, else TTL.
	Hop int `json:"hop"`
	// From is the sender as far as the traces tell: for ResetHop the router
	// that answered at TTL Hop, invalid when it is silent; else the target.
	From netip.Addr `json:"from,omitzero"`
}

// Refused tells where TCP resets on the path come from; false when there was
// none. Every reset bears the target's address, so distance has to tell: a
// router checks the TTL before its forward rules (ip_forward in the kernel's
// net/ipv4/ip_forward.c), hence a reset at TTL n while the target is
// farther than n hops comes from the forward rules of hop n-1, or from a
// device right behind it, such as a bridge that filters, or hop n itself if
// its rules see packets before routing does.
//
// How far the target is must be seen by other traces to it: by UDP, or by TCP
// to another port. At the target's own distance a filter in the last router
// cannot be told from the target.
func (p Path) Refused(others ...Path) (Reset, bool) {
	r := Reset{}
	for _, h := range p.Hops {
		if h.has(OutcomeRefused) {
			r.TTL = h.TTL
			break
		}
	}
	if r.TTL == 0 {
		return r, false
	}
	r.Hop, r.From = r.TTL, p.Target
	for _, o := range append([]Path{p}, others...) {
		if o.Target != p.Target {
			continue
		}
		if o.beyond(r.TTL) {
			r.Origin, r.Hop, r.From = ResetHop, r.TTL-1, netip.Addr{}
			break
		}
		if d := o.Distance(); d > 0 && d <= r.TTL && !o.onlyReset(d) {
			r.Origin = ResetTarget
		}
	}
	if r.Origin == ResetHop {
		r.From = router(r.Hop, p, others)
	}
	return r, true
}

// beyond reports whether the path shows that the target is farther than ttl
// hops: a router answered there or later, or the target itself only later.
func (p Path) beyond(ttl int) bool {
	for _, h := range p.Hops {
		if h.TTL >= ttl && h.has(OutcomeTimeExceeded) {
			return true
		}
	}
	if p.Distance() <= ttl {
		return false
	}
	// One silence may be a lost probe of the target's, two hardly.
	return slices.ContainsFunc(p.Hops, func(h Hop) bool { return h.TTL == ttl && h.silences() > 1 })
}

// onlyReset reports whether at ttl nothing but resets came from the target.
func (p Path) onlyReset(ttl int) bool {
	for _, h := range p.Hops {
		if h.TTL == ttl {
			return !slices.ContainsFunc(h.Replies, func(r Reply) bool {
				return r.Outcome.final() && r.Outcome != OutcomeRefused && same(r.From, p.Target)
			})
		}
	}
	return false
}

// router returns who answered at ttl with time exceeded, on the first path
// that knows.
func router(ttl int, p Path, others []Path) netip.Addr {
	for _, o := range append([]Path{p}, others...) {
		for _, h := range o.Hops {
			if h.TTL != ttl || o.Target != p.Target {
				continue
			}
			for _, r := range h.Replies {
				if r.Outcome == OutcomeTimeExceeded {
					return r.From
				}
			}
		}
	}
	return netip.Addr{}
}
