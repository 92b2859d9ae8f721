package trace

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// grace is the least that silent hops get once the fate of the path is known.
	grace = 300 * time.Millisecond
	// quiet is the least that one has from when it was asked.
	quiet = 250 * time.Millisecond
	// impatience is the least that Options.Here and Near leave.
	impatience = 10 * time.Millisecond
	// again is the least time before a silent hop is asked once more.
	again = 100 * time.Millisecond
	// refill is the same while the path is not settled, when there is time: a
	// Linux router without tokens has one more after a second (icmp_ratelimit).
	refill = 1100 * time.Millisecond
	// gap is the time between probes where Options.Rate does not say.
	gap = time.Millisecond
	// pause is how long hops behind Options.Ahead wait for news.
	pause = time.Second
	// patient is how many silent TCP probes behind the last answer wait for
	// the news that a neighbour is missing; others end before the SYN repeats.
	patient = 2
	// spread is how much later than others of its path an answer may come.
	spread = 5 * time.Millisecond
	// slow is a round trip that is worth more probes than MaxSilent allows.
	slow = 40 * time.Millisecond
	// repeat is when the kernel repeats a SYN, less some slack.
	repeat = 950 * time.Millisecond
)

// plan decides what a trace sends, how long it waits and when it is over. It
// does no I/O and asks no clock: the time comes in with every call.
type plan struct {
	o      Options
	target netip.Addr
	syn    bool // probes are SYNs, which the kernel repeats
	lone   bool // the target may answer only one probe at a time
	turns  bool // there may be only one probe at a time

	probes []probe
	hops   []planHop // by TTL from o.FirstTTL on
	redo   []int     // TTLs whose probes have to be sent again
	gone   []int     // probes that nobody waits for any more

	far       int       // highest TTL that answered; o.FirstTTL-1 before one did
	end       int       // lowest TTL at which the path ends; 0: not known
	settled   time.Time // when the end was first known
	refused   bool      // by a reset
	looped    bool
	halted    bool // this host lets nothing out
	failures  int  // probes not sent, in a row
	maxRTT    time.Duration
	lastSent  time.Time
	notBefore time.Time // back-off after a passing local shortage

	tell    func(Hop) bool // takes hops that are complete; nil: nobody wants them
	told    int            // how many it took
	stopped bool           // it wants no more
}

type planHop struct {
	probes []int // in the order sent
}

type probe struct {
	ttl     int
	sent    time.Time
	waiting bool
	reply   Reply
}

// step is what to do next: send at a TTL, or wait, or nothing more.
type step struct {
	ttl  int // not 0: send there
	wait time.Time
	done bool
}

func newPlan(o Options, target netip.Addr, syn bool) *plan {
	return &plan{o: o, target: target, syn: syn, far: o.FirstTTL - 1}
}

// next returns what to do now. Probes that it gave up are in p.gone.
func (p *plan) next(now time.Time) step {
	wait := p.expire(now)
	p.tellHops(false)
	if p.stopped {
		return step{done: true}
	}
	ttl, ready := p.candidate(now)
	if p.turns && !wait.IsZero() {
		ttl = 0
	}
	if ttl != 0 {
		if t := p.paced(); t.After(ready) {
			ready = t
		}
		if !ready.After(now) {
			return step{ttl: ttl}
		}
		wait = earliest(wait, ready)
	}
	if wait.IsZero() {
		p.tellHops(true)
		return step{done: true}
	}
	return step{wait: wait}
}

// expire gives up the probes whose time is over and returns when the next
// one's is; zero when none waits.
func (p *plan) expire(now time.Time) (wait time.Time) {
	for id := range p.probes {
		pr := &p.probes[id]
		if !pr.waiting {
			continue
		}
		d := p.deadline(pr)
		if !d.After(now) {
			pr.waiting = false
			p.gone = append(p.gone, id)
			continue
		}
		wait = earliest(wait, d)
	}
	return wait
}

// overdue reports whether the time of a probe is over.
func (p *plan) overdue(now time.Time) bool {
	return slices.ContainsFunc(p.probes, func(pr probe) bool {
		if !pr.waiting {
			return false
		}
		d := p.deadline(&pr)
		return !d.IsZero() && !d.After(now)
	})
}

// deadline returns until when a probe is waited for.
func (p *plan) deadline(pr *probe) time.Time {
	if p.o.Queries == 1 && p.answered(pr.ttl) {
		return time.Time{} // the other probe of this TTL was quicker
	}
	first := p.probes[p.hop(pr.ttl).probes[0]].sent
	d := first.Add(p.o.Timeout)
	if p.o.Here < 0 || p.o.Near < 0 {
		if p.end != 0 && pr.ttl > p.end {
			return time.Time{}
		}
		return pr.sent.Add(p.o.Timeout)
	}
	switch {
	case p.end == 0:
		if p.syn && pr.ttl > p.far+patient && p.maxRTT < grace {
			d = sooner(d, pr.sent.Add(repeat))
		}
	case pr.ttl > p.end && p.refused:
		// Every reset tells more of where resets come from.
		d = sooner(d, pr.sent.Add(p.maxRTT+spread))
	case pr.ttl > p.end:
		return time.Time{}
	case p.o.Queries > 1:
		from := p.settled
		if pr.sent.After(from) {
			from, d = pr.sent, pr.sent.Add(p.o.Timeout)
		}
		d = sooner(d, from.Add(max(grace, 3*p.maxRTT)))
	default:
		// A silent hop has its time from when it was asked, and the second
		// probe that of an answer and a half.
		fair := later(first.Add(max(quiet, 5*p.maxRTT/2)), pr.sent.Add(max(again, p.maxRTT+p.maxRTT/2)))
		d = sooner(d, fair)
	}
	if f := p.factor(pr.ttl); f > 0 {
		d = sooner(d, pr.sent.Add(max(f, impatience)))
	}
	return d
}

// factor returns what Options.Here and Near make of answers that have come; 0
// for nothing.
func (p *plan) factor(ttl int) time.Duration {
	if p.o.Here == 0 && p.o.Near == 0 {
		return 0
	}
	for i := p.hopIndex(ttl); i < len(p.hops); i++ {
		f := p.o.Near
		if i == p.hopIndex(ttl) {
			f = p.o.Here
		}
		if f == 0 {
			continue
		}
		for _, id := range p.hops[i].probes {
			if r := p.probes[id].reply; r.Outcome.answered() && r.RTT > 0 {
				return time.Duration(f * float64(r.RTT))
			}
		}
	}
	return 0
}

// candidate returns the next TTL to send at and when that may be; 0 for none.
func (p *plan) candidate(now time.Time) (ttl int, ready time.Time) {
	if p.halted {
		return 0, time.Time{}
	}
	if len(p.redo) > 0 {
		return p.redo[0], time.Time{}
	}
	next, from := p.onward()
	if next != 0 && p.o.Queries == 1 && !from.After(now) {
		return next, from
	}
	for i := range p.hops {
		t := p.o.FirstTTL + i
		if p.end != 0 && t > p.end {
			break
		}
		if r, ok := p.further(t); ok && (ttl == 0 || r.Before(ready)) {
			ttl, ready = t, r
		}
	}
	// The hops there are come first, so that they are complete soon.
	if next != 0 && (ttl == 0 || ready.After(now) && from.Before(ready)) {
		return next, from
	}
	return ttl, ready
}

// onward returns the next TTL that has not been probed and when it may be; 0
// for none.
func (p *plan) onward() (ttl int, ready time.Time) {
	ttl = p.o.FirstTTL + len(p.hops)
	if p.end != 0 || ttl > p.limit() {
		return 0, time.Time{}
	}
	if before := ttl - p.o.Ahead; p.o.Ahead > 0 && before > p.far && before >= p.o.FirstTTL {
		ready = p.probes[p.hop(before).probes[0]].sent.Add(pause)
	}
	return ttl, ready
}

// tellHops hands on the hops that are complete, or all that are left.
func (p *plan) tellHops(all bool) {
	for p.tell != nil && !p.stopped && p.told < len(p.hops) {
		ttl := p.o.FirstTTL + p.told
		if p.end != 0 && ttl > p.end || !all && !p.complete(ttl) {
			return
		}
		p.told++
		p.stopped = !p.tell(p.replies(ttl))
	}
}

// complete reports whether nothing more is expected of a hop.
func (p *plan) complete(ttl int) bool {
	h := p.hop(ttl)
	if slices.ContainsFunc(h.probes, func(id int) bool { return p.probes[id].waiting }) {
		return false
	}
	if p.o.Queries == 1 {
		_, more := p.further(ttl)
		return p.answered(ttl) || len(h.probes) > 1 || p.end != 0 && len(h.probes) > 0 && !more
	}
	return len(h.probes) >= p.o.Queries
}

// replies returns a hop as far as it is known.
func (p *plan) replies(ttl int) Hop {
	h := p.hop(ttl)
	hop := Hop{TTL: ttl, Replies: make([]Reply, 0, len(h.probes))}
	for _, id := range h.probes {
		hop.Replies = append(hop.Replies, p.probes[id].reply)
	}
	return hop
}

// further tells whether a TTL that has been probed is probed once more, and
// when: until it has its queries, or, with one query, when it is silent and a
// later one is not. So is the first of the silent end of a path, in case all
// its answers fell to a rate limit; of SYNs the kernel does that by itself.
func (p *plan) further(ttl int) (ready time.Time, ok bool) {
	h := p.hop(ttl)
	if len(h.probes) == 0 {
		return time.Time{}, false
	}
	last := p.probes[h.probes[len(h.probes)-1]]
	wait := max(again, p.maxRTT+p.maxRTT/2)
	if p.o.Queries > 1 {
		switch {
		case last.reply.Outcome.answered():
			wait = 0
		case p.lone:
			wait = max(wait, time.Second)
		}
		return last.sent.Add(wait), len(h.probes) < p.o.Queries
	}
	frontier := p.end == 0 && !p.syn && ttl == p.far+1
	if len(h.probes) > 1 || last.reply.Outcome != OutcomeSilent || p.far <= ttl && !frontier {
		return time.Time{}, false
	}
	if p.end == 0 {
		wait = max(wait, refill)
		if wait >= p.o.Timeout {
			return time.Time{}, false
		}
	}
	return last.sent.Add(wait), true
}

// limit returns the highest TTL that may be probed by now.
func (p *plan) limit() int {
	if p.o.MaxSilent < 0 {
		return p.o.MaxTTL
	}
	return min(p.o.MaxTTL, p.far+p.ahead())
}

// ahead is how far beyond the last answer probes may run. On a slow path that
// is known for some way they run farther, since it would take a round trip for
// every MaxSilent hops.
func (p *plan) ahead() int {
	if p.maxRTT < slow {
		return p.o.MaxSilent
	}
	return max(p.o.MaxSilent, 2*(p.far-p.o.FirstTTL+1))
}

// paced returns when the rate allows the next probe.
func (p *plan) paced() time.Time {
	if len(p.probes) == 0 {
		return p.notBefore
	}
	next := p.lastSent.Add(gap)
	switch {
	case p.o.Rate < 0:
		next = p.lastSent
	case p.o.Rate > 0:
		next = p.lastSent.Add(time.Duration(float64(time.Second) / p.o.Rate))
	case p.probes[len(p.probes)-1].reply.Outcome.answered():
		next = p.lastSent // the path is quicker than the gap
	}
	if p.notBefore.After(next) {
		return p.notBefore
	}
	return next
}

// sent notes a probe that is on its way and returns its number.
func (p *plan) sent(ttl int, now time.Time) (id int) {
	id = len(p.probes)
	p.probes = append(p.probes, probe{ttl: ttl, sent: now, waiting: true})
	if i := ttl - p.o.FirstTTL; i == len(p.hops) {
		p.hops = append(p.hops, planHop{})
	}
	h := p.hop(ttl)
	h.probes = append(h.probes, id)
	if len(p.redo) > 0 && p.redo[0] == ttl {
		p.redo = p.redo[1:]
	}
	p.lastSent = now
	return id
}

// answer notes what became of a probe. Answers to probes that were given up
// are heard as long as the trace lasts.
func (p *plan) answer(id int, r Reply, now time.Time) {
	pr := &p.probes[id]
	if pr.reply.Outcome != OutcomeSilent || !slices.Contains(p.hop(pr.ttl).probes, id) {
		return
	}
	pr.waiting, pr.reply = false, r
	if r.Outcome == OutcomeNotSent {
		p.notSent(pr.ttl, now)
		return
	}
	p.failures = 0
	p.far = max(p.far, pr.ttl)
	if r.Outcome != OutcomeUnreachable && r.Retransmits == 0 {
		p.maxRTT = max(p.maxRTT, r.RTT)
	}
	p.refused = p.refused || r.Outcome == OutcomeRefused
	switch {
	case r.Outcome.final():
		p.settle(pr.ttl, now, false)
	case p.end == 0 && p.o.MaxSilent >= 0 && loop(p.routers()) != nil:
		p.settle(p.far, now, true)
	}
}

// notSent stops a trace that this host does not let out: at the first probe,
// or when two in a row failed after others went through.
func (p *plan) notSent(ttl int, now time.Time) {
	p.failures++
	if p.far >= p.o.FirstTTL && p.failures < 2 {
		return
	}
	p.halted = true
	p.settle(ttl, now, false)
}

func (p *plan) settle(ttl int, now time.Time, looped bool) {
	if p.end == 0 {
		p.settled = now
	}
	if p.end == 0 || ttl < p.end || p.looped {
		p.end, p.looped = ttl, looped
	}
}

// routers returns who answered by TTL, the zero Addr for silence.
func (p *plan) routers() []netip.Addr {
	seq := make([]netip.Addr, len(p.hops))
	for i, h := range p.hops {
		for _, id := range h.probes {
			if r := p.probes[id].reply; r.Outcome.answered() {
				seq[i] = r.From
				break
			}
		}
	}
	return seq
}

func (p *plan) answered(ttl int) bool {
	return slices.ContainsFunc(p.hop(ttl).probes, func(id int) bool { return p.probes[id].reply.Outcome.answered() })
}

// restart forgets the probes that wait, which will be sent again in a way
// that tells their answers apart.
func (p *plan) restart() {
	for i := range p.hops {
		ttl := p.o.FirstTTL + i
		if p.end != 0 && ttl > p.end {
			break
		}
		h := &p.hops[i]
		h.probes = slices.DeleteFunc(h.probes, func(id int) bool {
			pr := &p.probes[id]
			if pr.reply.Outcome != OutcomeSilent {
				return false
			}
			if pr.waiting {
				p.gone = append(p.gone, id)
			}
			pr.waiting = false
			return true
		})
		if len(h.probes) == 0 {
			p.redo = append(p.redo, ttl)
		}
	}
}

func (p *plan) hopIndex(ttl int) int { return ttl - p.o.FirstTTL }

func (p *plan) hop(ttl int) *planHop { return &p.hops[p.hopIndex(ttl)] }

func earliest(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return sooner(a, b)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
