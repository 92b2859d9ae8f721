package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// mtuWire sends packets of known sizes and hears what becomes of them.
type mtuWire interface {
	send(id int, p mtuProbe) error
	wait(until time.Time) ([]mtuAnswer, error)
	hasEcho() bool
	transient(err error) bool
}

// mtuKind is what became of a packet.
type mtuKind uint8

const (
	mtuNone     mtuKind = iota // nothing was heard
	mtuExceeded                // a router: the TTL ran out here
	mtuReached                 // the target answered
	mtuTooBig                  // somebody says that it is too big
	mtuRefused                 // somebody on the way refused it for another reason
)

// mtuProbe is a packet and its fate.
type mtuProbe struct {
	ttl, size int
	echo      bool

	sent   time.Time
	heard  time.Time
	rtt    time.Duration
	kind   mtuKind
	icmp   *ICMPError
	from   netip.Addr
	voided bool // silence says nothing: a smaller packet was lost with it
}

type mtuAnswer struct {
	id       int
	kind     mtuKind
	from     netip.Addr
	rtt      time.Duration
	replyTTL int
	icmp     *ICMPError
}

const (
	mtuMax = 65535
	// mtuWait is the least time that an answer gets.
	mtuWait = 120 * time.Millisecond
	// mtuToldWait is how long the target may still answer when a router has said
	// that the packet was too big.
	mtuToldWait = 20 * time.Millisecond
	// mtuProof is how many lost packets prove a size too big on a path that
	// loses no other.
	mtuProof = 3
	// mtuHints is how many messages about sizes are listened to.
	mtuHints = 40
	// mtuMark is what a packet bears to be known again: a secret, a number.
	mtuMark = 12
	// mtuSpace is the time between packets.
	mtuSpace = 500 * time.Microsecond
)

// mtuSearch decides which sizes to send.
type mtuSearch struct {
	o       MTUOptions
	p       *PathMTU
	w       mtuWire
	now     func() time.Time
	probes  []mtuProbe
	small   int // the least size there is
	top     int // the largest to try
	far     int // a TTL that gets to the target, or to the last hop that answers
	dist    int // the same as the number of hops
	slowest time.Duration
	end     time.Time
	slow    bool // answers are limited in rate
	voids   int  // in a row
	limited bool // echo replies are lost for a size with which datagrams are answered
	wide    map[int]bool
}

func newMTUSearch(o MTUOptions, p *PathMTU, w mtuWire, now func() time.Time) *mtuSearch {
	s := &mtuSearch{o: o, p: p, w: w, now: now, far: o.MaxTTL, end: now().Add(o.Patience), wide: map[int]bool{}}
	s.small = leastMTUProbe(p.Target)
	s.top = min(p.LocalMTU, mtuMax)
	if o.Limit > 0 {
		s.top = min(s.top, o.Limit)
	}
	for _, h := range p.Hops {
		s.slowest = max(s.slowest, h.RTT)
		if h.From.IsValid() && h.ICMP == nil {
			s.dist = h.TTL
		}
	}
	return s
}

// leastMTUProbe is the length of a packet that has all that tells it apart.
func leastMTUProbe(dst netip.Addr) int {
	if dst.Is4() {
		return 20 + 8 + mtuMark
	}
	return 40 + 8 + mtuMark
}

// run finds the MTU and then its steps.
func (s *mtuSearch) run() error {
	if err := s.hello(); err != nil {
		return err
	}
	if !s.p.Reached {
		return s.part()
	}
	if err := s.whole(); err != nil || !s.p.Exact {
		return err
	}
	// A datagram answered tells that it is the way there that counts.
	tries := 1
	if s.p.UDP == Yes {
		tries = 3
	}
	for ; tries > 0 && s.best(s.far, false) < s.p.MTU; tries-- {
		if err := s.round(slices.Repeat([]mtuProbe{{ttl: s.far, size: s.p.MTU}}, 2)); err != nil {
			return err
		}
	}
	if s.best(s.far, false) > 0 {
		s.p.UDP = Yes
	}
	return s.steps()
}

// whole finds the MTU to the target, or to the hop that stands in for it.
func (s *mtuSearch) whole() error {
	size, ceiling, err := s.largest(s.far)
	s.p.MTU, s.p.Exact = size, ceiling == size+1
	if !s.p.Exact {
		s.p.Ceiling = ceiling
	}
	return err
}

// part measures the way to the last router that answers, and takes note of
// what that one says about the rest.
func (s *mtuSearch) part() error {
	all := s.far
	if routers := s.routers(); len(routers) > 0 {
		s.far = routers[len(routers)-1]
	} else {
		return nil
	}
	s.dist = s.far
	err := s.whole()
	if err == nil && s.p.Exact {
		err = s.steps()
	}
	for tries := 0; tries < 8 && err == nil && s.p.Exact; tries++ {
		told := s.toldBeyond(all)
		if told == nil {
			break
		}
		first := len(s.probes)
		if err = s.round([]mtuProbe{{ttl: all, size: told.icmp.MTU + 1, echo: told.echo}, {ttl: all, size: told.icmp.MTU, echo: told.echo}}); err != nil {
			break
		}
		over, under := s.probes[first], s.probes[first+1]
		if over.kind != mtuTooBig || under.kind == mtuTooBig && under.icmp.MTU >= under.size {
			break
		}
		s.p.Steps = append(s.p.Steps, MTUStep{
			TTL: s.dist, From: s.p.addr(s.dist), Next: s.dist + 1, Before: s.p.MTU, MTU: under.size, How: MTUTold, ICMP: told.icmp, RTT: told.rtt,
		})
		s.p.MTU = under.size
	}
	return err
}

// toldBeyond returns a message about what goes on behind the last router.
func (s *mtuSearch) toldBeyond(ttl int) *mtuProbe {
	for i := range s.probes {
		if p := &s.probes[i]; p.ttl == ttl && ttl > s.dist && p.kind == mtuTooBig && s.sane(p) && p.icmp.MTU < s.p.MTU {
			return p
		}
	}
	return nil
}

// hello sends the largest size at once, and finds out what the target answers.
func (s *mtuSearch) hello() error {
	for range 3 {
		var ps []mtuProbe
		for _, size := range []int{s.top, s.small} {
			if s.w.hasEcho() {
				ps = append(ps, mtuProbe{ttl: s.far, size: size, echo: true})
			}
			ps = append(ps, mtuProbe{ttl: s.far, size: size})
		}
		if err := s.round(ps); err != nil {
			return err
		}
		if s.best(s.far, true) > 0 || s.best(s.far, false) > 0 {
			s.p.Reached = true
			break
		}
	}
	s.p.Echo, s.p.UDP = NotTested, tested(s.best(s.far, false) > 0)
	if s.w.hasEcho() {
		s.p.Echo = tested(s.best(s.far, true) > 0)
	}
	return nil
}

func tested(ok bool) Tested {
	if ok {
		return Yes
	}
	return No
}

// passed reports whether a probe got to the hop ttl.
func (p *mtuProbe) passed(ttl, far int) bool {
	return p.kind == mtuReached || p.kind == mtuExceeded && p.ttl >= ttl && (ttl != far || p.ttl == far)
}

// best returns the largest size with which probes of a kind got to a TTL.
func (s *mtuSearch) best(ttl int, echo bool) (size int) {
	for i := range s.probes {
		if p := &s.probes[i]; p.echo == echo && p.passed(ttl, s.far) {
			size = max(size, p.size)
		}
	}
	return size
}

func (s *mtuSearch) lo(ttl int) int { return max(s.best(ttl, true), s.best(ttl, false)) }

// with returns which probes count at a TTL when they are lost, echo requests
// or not: on the way what found the hops, at the target what it answers.
func (s *mtuSearch) with(ttl int) (echo bool) {
	if !s.w.hasEcho() {
		return false
	}
	if ttl != s.far || !s.p.Reached {
		return s.p.Trace != MethodUDP
	}
	return s.p.Echo == Yes && !s.limited
}

// evidence says how strongly it is known that a size does not get to a TTL.
func (s *mtuSearch) evidence(ttl, size int) (n int) {
	lo, echo := s.lo(ttl), s.with(ttl)
	for i := range s.probes {
		p := &s.probes[i]
		if p.ttl != ttl || p.echo != echo || p.size <= lo || p.size > size {
			continue
		}
		switch {
		case p.kind == mtuTooBig && p.icmp == nil:
			n += mtuProof // this host's own interface
		case p.kind == mtuTooBig && s.sane(p):
			n += 2
		case p.kind == mtuTooBig, p.kind == mtuNone && !p.voided:
			n++
		}
	}
	return n
}

// sane reports whether a message says a size that it may.
func (s *mtuSearch) sane(p *mtuProbe) bool {
	least := 68 // RFC 791
	if s.p.Target.Is6() {
		least = 1280 // RFC 8200
	}
	return p.icmp != nil && p.icmp.MTU >= least && p.icmp.MTU < p.size
}

// proof returns how much evidence it takes: more where packets get lost that
// are small enough.
func (s *mtuSearch) proof(ttl int) int {
	lo, lost, all := s.lo(ttl), 0, 0
	if s.slow && ttl == s.far {
		return mtuProof // what is lost, is lost to the limit
	}
	for i := range s.probes {
		p := &s.probes[i]
		if p.ttl == ttl && p.echo == s.with(ttl) && p.size <= lo {
			all++
			if p.kind == mtuNone {
				lost++
			}
		}
	}
	n, chance := mtuProof, 1.0
	if lost > 0 {
		for n = 0; chance > 1e-5 && n < 8; n++ {
			chance *= float64(lost) / float64(all+1)
		}
	}
	return max(n, mtuProof)
}

// hi returns the least size that seems not to get to a TTL, 0 for none.
func (s *mtuSearch) hi(ttl int) (size int) {
	lo, echo := s.lo(ttl), s.with(ttl)
	for i := range s.probes {
		p := &s.probes[i]
		lost := p.kind == mtuTooBig || p.kind == mtuNone && !p.voided
		if p.ttl == ttl && p.echo == echo && lost && p.size > lo && (size == 0 || p.size < size) {
			size = p.size
		}
	}
	return size
}

// test sends sizes to a TTL, and behind them one that is known to pass.
func (s *mtuSearch) test(ttl int, sizes []int) error {
	echo := s.with(ttl)
	var ps []mtuProbe
	for _, size := range sizes {
		ps = append(ps, mtuProbe{ttl: ttl, size: size, echo: echo})
	}
	// A datagram shows whether it is only the echo reply that is too big.
	if echo && ttl == s.far && s.p.UDP == Yes && sizes[len(sizes)-1] == sizes[0] {
		ps = append(ps, mtuProbe{ttl: ttl, size: sizes[0]})
	}
	if ttl == s.far && !s.slow && s.silentAt(ttl, s.top) {
		ps = append(ps, s.meanwhile(sizes)...)
	}
	controls := []mtuProbe{{ttl: ttl, size: cmp.Or(s.best(ttl, echo), s.small), echo: echo}}
	if s.proof(ttl) > mtuProof {
		controls = append(controls, controls[0]) // packets get lost here
	}
	first, at := len(s.probes), len(ps)
	if ps = append(ps, controls...); s.slow && ttl == s.far {
		// There is one answer for the control and one for the largest size
		// that passes; those of smaller ones would tell nothing more.
		ps, at = slices.Concat(controls, ps[:at]), 0
		if err := s.pause(2 * refill); err != nil {
			return err
		}
	}
	if err := s.round(ps); err != nil {
		return err
	}
	s.judgeEcho()
	s.judgeMeanwhile(ttl, first)
	return s.control(ttl, echo, first, s.probes[first+at:][:len(controls)])
}

// meanwhile returns what can be found out in the same time about the place of
// a silent step: how far the largest size gets, then once more at the hop that
// it seems not to get to, and at last the size to be proven there too.
func (s *mtuSearch) meanwhile(sizes []int) []mtuProbe {
	if ps := s.along(s.top); len(ps) > 0 {
		return ps
	}
	bad, asked := s.suspect(), 0
	for i := range s.probes {
		if s.probes[i].ttl == bad {
			asked++
		}
	}
	if bad == s.far || bad == 0 || asked > 4*mtuProof {
		return nil
	}
	var ps []mtuProbe
	check := []int{s.top}
	if last := sizes[0]; sizes[len(sizes)-1] == last && last < s.top {
		check = append(check, last)
	}
	for _, size := range check {
		more := max(0, mtuProof-s.evidence(bad, size))
		ps = append(ps, slices.Repeat([]mtuProbe{{ttl: bad, size: size, echo: s.with(bad)}}, more)...)
	}
	if len(ps) > 0 {
		ps = append(ps, mtuProbe{ttl: bad, size: s.small, echo: s.with(bad)})
	}
	return ps
}

// suspect returns the first hop that the largest size did not get to, s.far if
// that is the end, and 0 where it is not clear.
func (s *mtuSearch) suspect() int {
	bad := s.far
	for _, ttl := range slices.Backward(s.routers()) {
		if s.lo(ttl) >= s.top {
			break
		}
		if !s.silentAt(ttl, s.top) {
			return 0
		}
		bad = ttl
	}
	return bad
}

// judgeMeanwhile is control for what was sent to a hop meanwhile.
func (s *mtuSearch) judgeMeanwhile(ttl, first int) {
	sent := s.probes[first:]
	for _, c := range sent {
		if c.ttl == ttl || c.size != s.small || c.kind == mtuExceeded {
			continue
		}
		for i := range sent {
			sent[i].voided = sent[i].voided || sent[i].ttl == c.ttl
		}
	}
}

// control looks whether a packet behind the others came back. Without it,
// silence says nothing.
func (s *mtuSearch) control(ttl int, echo bool, first int, controls []mtuProbe) error {
	if slices.ContainsFunc(controls, func(p mtuProbe) bool { return p.passed(ttl, s.far) }) {
		s.voids = 0
		return nil
	}
	for i := range s.probes[first:] {
		if p := &s.probes[first+i]; p.ttl == ttl && p.echo == echo {
			p.voided = true
		}
	}
	s.voids++
	if echo && ttl == s.far && s.p.Reached {
		// Echo replies are seldom limited in rate: it was lost.
		return s.pause(time.Duration(s.voids-1) * s.slowest)
	}
	s.slow = s.slow || ttl == s.far && s.voids > 1
	return s.pause(refill)
}

// judgeEcho finds out that echo replies of a size do not come back while the
// requests get there, so that their loss is no evidence any more.
func (s *mtuSearch) judgeEcho() {
	e, u := s.best(s.far, true), s.best(s.far, false)
	if s.limited || u <= e || e == 0 {
		return
	}
	lost := 0
	for i := range s.probes {
		if p := &s.probes[i]; p.echo && p.ttl == s.far && p.size > e && p.size <= u && p.kind != mtuReached && !p.voided {
			lost++
		}
	}
	s.limited = lost >= 2
}

// withDefaults checks the options and fills in what is not given.
func (o MTUOptions) withDefaults(dst netip.Addr) (MTUOptions, error) {
	o.Port = cmp.Or(o.Port, 33434)
	o.MaxTTL = cmp.Or(o.MaxTTL, 30)
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	o.Patience = cmp.Or(o.Patience, 20*time.Second)
	switch {
	case !dst.IsValid():
		return o, fmt.Errorf("no target address")
	case dst.IsUnspecified():
		return o, fmt.Errorf("%v is no host's address", dst)
	case dst.IsMulticast():
		return o, fmt.Errorf("a multicast address has no path of its own")
	case o.MaxTTL < 1 || o.MaxTTL > 255:
		return o, fmt.Errorf("last TTL %d is not between 1 and 255", o.MaxTTL)
	case o.Limit < 0 || o.Limit > mtuMax || o.Limit > 0 && o.Limit < leastMTUProbe(dst):
		return o, fmt.Errorf("size %d is not between %d and %d", o.Limit, leastMTUProbe(dst), mtuMax)
	case o.Timeout < 0 || o.Patience < 0:
		return o, fmt.Errorf("a time is negative")
	}
	return o, nil
}
