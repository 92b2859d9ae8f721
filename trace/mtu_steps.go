package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// tooLongHere reports whether this host's own interface refused a size.
func tooLongHere(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }

// droppedHere reports whether the queue of this host's own interface, or a
// driver that knows that nobody takes the packet, dropped it (ip(7), ENOBUFS).
func droppedHere(err error) bool { return errors.Is(err, syscall.ENOBUFS) }

// answering returns the highest TTL that answered.
func (p Path) answering() int {
	if h, ok := p.LastAnswering(); ok {
		return h.TTL
	}
	return 0
}

// setHops takes over the hops of a trace.
func (p *PathMTU) setHops(path Path) {
	p.Trace = path.Method
	if path.Source.IsValid() {
		p.Source = path.Source
	}
	for _, h := range path.Hops {
		hop := MTUHop{TTL: h.TTL}
		if r, ok := h.Answered(); ok {
			hop.RTT, hop.ReplyTTL = r.RTT, r.ReplyTTL
			hop.From = r.From
			if r.Outcome == OutcomeUnreachable && !same(r.From, path.Target) {
				hop.ICMP = r.ICMP
			}
			hop.Final = r.Outcome.final() && same(r.From, path.Target)
		}
		p.Hops = append(p.Hops, hop)
		if hop.Final || hop.ICMP != nil {
			break
		}
	}
	for len(p.Hops) > 0 && !p.Hops[len(p.Hops)-1].From.IsValid() {
		p.Hops = p.Hops[:len(p.Hops)-1]
	}
}

// addr returns who answers at a TTL.
func (p *PathMTU) addr(ttl int) netip.Addr {
	for _, h := range p.Hops {
		if h.TTL == ttl && h.ICMP == nil {
			return h.From
		}
	}
	return netip.Addr{}
}

// routers returns the TTLs before the end of the path at which a router
// answers.
func (s *mtuSearch) routers() (ttls []int) {
	for _, h := range s.p.Hops {
		if h.From.IsValid() && !h.Final && h.ICMP == nil && h.TTL < s.far {
			ttls = append(ttls, h.TTL)
		}
	}
	return ttls
}

// along returns a probe of a size for every router that has had none.
func (s *mtuSearch) along(size int) (ps []mtuProbe) {
	for _, ttl := range s.routers() {
		if !slices.ContainsFunc(s.probes, func(p mtuProbe) bool { return p.ttl == ttl && p.size == size }) {
			ps = append(ps, mtuProbe{ttl: ttl, size: size, echo: s.with(ttl)})
		}
	}
	return ps
}

// silentAt reports whether a size vanished without a word.
func (s *mtuSearch) silentAt(ttl, size int) bool {
	none := false
	for i := range s.probes {
		if p := &s.probes[i]; p.ttl == ttl && p.size == size && !p.voided {
			if p.kind != mtuNone {
				return false
			}
			none = true
		}
	}
	return none
}

// steps finds where on the way the MTU becomes less.
func (s *mtuSearch) steps() error {
	now, after := s.top, 0
	for now > s.p.MTU && len(s.p.Steps) < 16 && !s.now().After(s.end) {
		good, bad, err := s.locate(now, after)
		if err != nil {
			return err
		}
		mtu := s.p.MTU
		if bad < s.far {
			if mtu, _, err = s.largestFrom(bad, now); err != nil {
				return err
			}
			if s.now().After(s.end) { // too late to be sure of this one
				return nil
			}
			if mtu >= now { // it passes after all: the path has changed
				return nil
			}
		}
		st := MTUStep{TTL: good, From: s.p.addr(good), Next: bad, Before: now, MTU: mtu}
		if bad == s.far && s.far > s.dist {
			st.Next = s.dist
			if !slices.ContainsFunc(s.p.Hops, func(h MTUHop) bool { return h.Final }) {
				st.Next++ // the target, whose distance is not known
			}
		}
		st.NextFrom = s.p.addr(st.Next)
		s.signal(&st, bad)
		s.p.Steps = append(s.p.Steps, st)
		now, after = mtu, good
	}
	return nil
}

// largestFrom is largest for a router, between the MTU of the whole path and a
// size that does not get there. Mostly the first step is the only one.
func (s *mtuSearch) largestFrom(ttl, top int) (size, ceiling int, err error) {
	floor := s.p.MTU
	if floor+1 < top {
		for range 4 {
			if s.now().After(s.end) || s.lo(ttl) > floor || s.evidenceFrom(ttl, floor+1) >= s.proof(ttl) {
				break
			}
			if err := s.test(ttl, []int{floor + 1, floor + 1}); err != nil {
				return 0, 0, err
			}
		}
	}
	if s.lo(ttl) <= floor {
		return floor, floor + 1, nil
	}
	whole := s.top
	s.top = top
	size, ceiling, err = s.largest(ttl)
	s.top = whole
	return size, ceiling, err
}

// evidenceFrom counts also what became of packets of a size on their way past
// a TTL: they were lost there or later, with a word or without.
func (s *mtuSearch) evidenceFrom(ttl, size int) (n int) {
	n = s.evidence(ttl, size)
	for i := range s.probes {
		p := &s.probes[i]
		if p.ttl > ttl && p.size == size && p.kind == mtuTooBig && s.sane(p) && p.icmp.MTU == size-1 && same(p.from, s.p.addr(ttl-1)) {
			n += mtuProof // the router before says so, and all of the path agrees
		}
	}
	return n
}

// locate finds the last hop that packets of a size get to and the first one
// that they do not, beyond a hop that they are known to reach.
func (s *mtuSearch) locate(size, after int) (good, bad int, err error) {
	if ps := slices.DeleteFunc(s.along(size), func(p mtuProbe) bool { return p.ttl <= after }); len(ps) > 0 {
		if err := s.round(ps); err != nil {
			return 0, 0, err
		}
	}
	mute := map[int]bool{}
	for tries := 0; ; tries++ {
		good, bad = after, s.far
		routers := s.routers()
		for _, ttl := range routers {
			if s.lo(ttl) >= size {
				good = max(good, ttl)
			}
		}
		for _, ttl := range slices.Backward(routers) {
			if ttl > good && !mute[ttl] {
				bad = ttl
			}
		}
		if bad == s.far || s.evidence(bad, size) >= s.proof(bad) {
			return good, bad, nil
		}
		if tries > 12 || s.now().After(s.end) {
			return good, bad, nil
		}
		voids := s.voids
		if err := s.test(bad, []int{size, size}); err != nil {
			return good, bad, err
		}
		if s.voids > voids && s.voids > 3 {
			mute[bad], s.voids = true, 0 // it has stopped to answer
		}
	}
}

// signal finds out what routers said about sizes that are too big for a step.
func (s *mtuSearch) signal(st *MTUStep, bad int) {
	st.How = MTUSilent
	for i := range s.probes {
		p := &s.probes[i]
		if p.kind != mtuTooBig || p.icmp == nil || p.ttl < bad || p.size <= st.MTU || p.size > st.Before {
			continue
		}
		// A later step may say of smaller packets what is right for it alone.
		right := p.icmp.MTU == st.MTU
		if st.How == MTUSilent || right && st.How == MTUWrong {
			st.ICMP, st.RTT, st.How = p.icmp, p.rtt, MTUWrong
		}
		if right {
			st.How = MTUTold
			return
		}
	}
}

// report fills in what follows from the search.
func (s *mtuSearch) report() {
	p := s.p
	for i := range p.Hops {
		h := &p.Hops[i]
		if p.MTU == 0 || !p.Reached && h.TTL > s.far || h.ICMP != nil {
			continue
		}
		h.MTU = s.top
		for _, st := range p.Steps {
			switch {
			case h.TTL >= st.Next:
				h.MTU = st.MTU
			case h.TTL > st.TTL:
				h.MTU = 0
			}
		}
		if !p.Exact && s.lo(h.TTL) < s.top {
			h.MTU = 0
		}
	}
	for i := range s.probes {
		if q := &s.probes[i]; q.kind == mtuTooBig && q.icmp != nil && !s.explained(q) {
			p.Ignored = append(p.Ignored, *q.icmp)
		}
	}
	switch {
	case p.MTU == 0:
	case p.Reached && s.best(s.far, false) < p.MTU:
		p.Scope = MTUBoth
	default:
		p.Scope = MTUForward
	}
	p.Why = s.why()
}

// explained reports whether a message belongs to a step.
func (s *mtuSearch) explained(p *mtuProbe) bool {
	return slices.ContainsFunc(s.p.Steps, func(st MTUStep) bool {
		return p.icmp.MTU == st.MTU || st.ICMP != nil && st.ICMP.MTU == p.icmp.MTU && same(st.ICMP.From, p.icmp.From)
	})
}

// why tells the result in a sentence.
func (s *mtuSearch) why() string {
	p := s.p
	var b strings.Builder
	to := "the target"
	if !p.Reached {
		to = fmt.Sprintf("hop %d, the last that answers", s.dist)
	}
	switch {
	case p.MTU == 0 && len(p.Hops) == 0:
		return "nothing answers, neither the target nor a hop before it"
	case p.MTU == 0:
		return "nothing answers packets of any size"
	case !p.Exact:
		return fmt.Sprintf("packets of %d bytes get to %s; those of %d seem not to, but there was no time to be sure", p.MTU, to, p.Ceiling)
	case len(p.Steps) == 0 && p.MTU < min(p.LocalMTU, mtuMax):
		fmt.Fprintf(&b, "packets of %d bytes, the largest tried, get to %s", p.MTU, to)
	case len(p.Steps) == 0:
		fmt.Fprintf(&b, "packets as long as the interface allows, %d bytes, get to %s", p.MTU, to)
	case s.p.Steps[len(s.p.Steps)-1].Next > s.dist:
		fmt.Fprintf(&b, "behind hop %d, the last that answers, packets of %d bytes go on, longer ones do not", s.dist, p.MTU)
	default:
		fmt.Fprintf(&b, "packets of %d bytes get to %s, longer ones do not", p.MTU, to)
	}
	for _, st := range p.Steps {
		b.WriteString("; " + st.String())
	}
	if !p.Reached {
		b.WriteString("; the target answers nothing")
	}
	if p.Scope == MTUBoth {
		b.WriteString("; the answers are as long as the packets, so it may be the way back that is narrow")
	}
	return b.String()
}

// String tells the step in a sentence.
func (st MTUStep) String() string {
	where := "behind " + place(st.TTL, st.From)
	if st.Next > st.TTL+1 {
		where = fmt.Sprintf("between %s and %s", place(st.TTL, st.From), place(st.Next, st.NextFrom))
	}
	text := fmt.Sprintf("%s the path MTU shrinks from %d to %d bytes", where, st.Before, st.MTU)
	switch st.How {
	case MTUTold:
		return text + fmt.Sprintf(", as %v says", st.ICMP.From)
	case MTUWrong:
		return text + fmt.Sprintf(", though %v says %d", st.ICMP.From, st.ICMP.MTU)
	case MTUSilent:
		return text + ", and longer packets vanish without a word: a black hole"
	}
	return text
}

func place(ttl int, a netip.Addr) string {
	switch {
	case ttl == 0:
		return "this host"
	case a.IsValid():
		return fmt.Sprintf("hop %d (%v)", ttl, a)
	}
	return fmt.Sprintf("hop %d", ttl)
}
