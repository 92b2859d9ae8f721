package multipath

import (
	"math/bits"
	"slices"
	"time"
)

const (
	// grace is the least that a probe is waited for.
	grace = 300 * time.Millisecond
	// backoffs is how often a send that fails for a passing shortage is tried
	// again, after 10 ms, 20 ms and so on.
	backoffs = 7
	// slow and slowest are the times between probes to a hop that seems to
	// limit its answers; Linux lets one a second through (icmp_ratelimit).
	slow, slowest = 250 * time.Millisecond, 1100 * time.Millisecond
	// recent is how many probes of a hop are looked at for that, and most how
	// many of them are lost when answers are limited and probes come fast; half
	// of them are when they still come twice as fast as they are answered.
	recent, most, half = 8, 6, 4
)

// Run explores. The error is the one that ended it, of Wait or of a Send that
// this host refused; the result holds what was learned until then.
func Run(c Config, w Wire, now func() time.Time) (Result, error) {
	p := newPlan(c)
	err := p.run(w, now)
	return p.result(err), err
}

func (p *plan) run(w Wire, now func() time.Time) error {
	tries := 0
	for {
		t := now()
		p.now = t
		p.expire(t, w)
		i, ready := p.next(t)
		// What waits to be sent is needed in any case, so that it is early
		// enough to think about more when nothing does.
		if (i < 0 || ready.After(t)) && (p.dirty || len(p.queue)+len(p.flying) == 0) {
			p.dirty = false
			p.refill()
			i, ready = p.next(t)
		}
		spent := len(p.probes) >= p.c.MaxProbes
		if i >= 0 && spent {
			p.exhausted, i = true, -1
		}
		wait := p.deadline()
		if i < 0 && len(p.flying) == 0 {
			if wait = p.linger(); spent || !wait.After(t) {
				return nil
			}
		}
		if i >= 0 && ready.After(t) {
			wait = earliest(wait, ready)
		} else if i >= 0 {
			q := p.queue[i]
			err := w.Send(len(p.probes), q.flow, p.ttl(q.hop))
			switch {
			case err == nil:
				tries = 0
				p.sent(i, t)
			case w.Transient(err) && tries < backoffs:
				p.notBefore = t.Add(10 * time.Millisecond << tries)
				tries++
			default:
				return err
			}
			wait = t // a quick answer may save probes
		}
		answers, err := w.Wait(wait)
		if err != nil {
			return err
		}
		for _, a := range answers {
			p.hear(a, w)
		}
	}
}

// linger returns until when late news of the end of the paths is waited for,
// where no path ends: a router takes three seconds to find out that it cannot
// reach a neighbour (RFC 4861, and mcast_solicit in arp(7)).
func (p *plan) linger() (until time.Time) {
	for _, f := range p.flows {
		if f.end < endless {
			return time.Time{}
		}
	}
	for _, pr := range p.probes {
		if pr.hop > p.far {
			return pr.sent.Add(p.c.Timeout)
		}
	}
	return time.Time{}
}

// next returns the index of what to send next and when that may be; -1 for
// nothing.
func (p *plan) next(now time.Time) (index int, ready time.Time) {
	index = -1
	if len(p.flying) >= p.c.Window {
		// The time does not matter: an answer or a deadline comes first.
		return -1, now
	}
	base := p.notBefore
	if p.c.Rate > 0 && len(p.probes) > 0 {
		base = latest(base, p.lastSent.Add(time.Duration(float64(time.Second)/p.c.Rate)))
	}
	for i, q := range p.queue {
		if p.strict && p.busy(q.flow) {
			continue
		}
		t := base
		if h := &p.hops[q.hop]; h.gap > 0 {
			t = latest(t, h.lastSent.Add(h.gap))
		}
		if index < 0 || t.Before(ready) {
			index, ready = i, t
		}
		if !t.After(now) {
			break
		}
	}
	return index, ready
}

// busy reports whether a flow has a probe in flight.
func (p *plan) busy(f int) bool {
	return slices.ContainsFunc(p.flying, func(id int) bool { return p.probes[id].flow == f })
}

// sent notes that a probe is on its way.
func (p *plan) sent(i int, t time.Time) {
	q := p.queue[i]
	p.queue = slices.Delete(p.queue, i, i+1)
	p.flying = append(p.flying, len(p.probes))
	c, h := p.cell(q.flow, q.hop), &p.hops[q.hop]
	h.line = append(h.line, len(p.probes))
	p.probes = append(p.probes, probe{want: q, sent: t, waiting: true})
	c.sent++
	h.lastSent, p.lastSent = t, t
}

// patience is how long a probe is waited for.
func (p *plan) patience() time.Duration {
	if p.maxRTT == 0 {
		return p.c.Timeout
	}
	return min(p.c.Timeout, max(grace, 3*p.maxRTT))
}

// deadline returns when the next probe is given up; the zero time for none.
func (p *plan) deadline() (t time.Time) {
	for _, id := range p.flying {
		t = earliest(t, p.probes[id].sent.Add(p.patience()))
	}
	return t
}

// expire gives up the probes whose time is over.
func (p *plan) expire(now time.Time, w Wire) {
	over := p.patience()
	p.flying = slices.DeleteFunc(p.flying, func(id int) bool {
		pr := &p.probes[id]
		if now.Sub(pr.sent) < over {
			return false
		}
		pr.waiting = false
		w.Forget(id)
		p.lost(pr)
		return true
	})
}

// lost notes that a probe was not answered in time.
func (p *plan) lost(pr *probe) {
	p.dirty = true
	h, c := &p.hops[pr.hop], p.cell(pr.flow, pr.hop)
	p.pace(pr, lost)
	if pr.again {
		h.repeating--
		return
	}
	if c.state != queued {
		return
	}
	c.tries++
	if int(c.tries) >= p.c.Attempts && !h.answered {
		h.mute = true
	}
	if int(c.tries) < p.attempts(h) {
		p.queue = append(p.queue, pr.want)
		return
	}
	c.state, c.vertex = silent, p.vertexAt(pr.hop, source{})
}

// attempts returns how often a flow is tried at a hop. Where answers have come
// after silence, or are limited, silence says little; and the less, the fewer
// of many flows met it: looking for more such flows would cost far more.
func (p *plan) attempts(h *hop) int {
	switch {
	case h.mute:
		return 1
	case h.recovered || h.gap > 0 || h.hopeless:
		rare := 0
		if v, ok := h.byAddr[source{}]; ok && len(p.verts[v].flows) > 0 {
			rare = h.resolved / (16 * len(p.verts[v].flows))
		}
		return min(100, 3*p.c.Attempts+rare)
	}
	return p.c.Attempts
}

// pace notes what became of a probe. Outcomes are counted in the order in which
// probes were sent: losses are known later than answers, and all together, so
// that a branch that loses some would look like one that has fallen silent.
func (p *plan) pace(pr *probe, o outcome) {
	if pr.outcome == heard {
		return
	}
	pr.outcome = o
	h := &p.hops[pr.hop]
	for len(h.line) > 0 && p.probes[h.line[0]].outcome != pending {
		next := &p.probes[h.line[0]]
		h.line = h.line[1:]
		p.counted(h, next)
	}
}

// counted takes in one outcome. It slows down where nearly all of the last
// probes were lost though some are answered, as those of a branch that never
// answers are when it is tried again: if it turns out not to help, answers are
// not limited.
func (p *plan) counted(h *hop, pr *probe) {
	if !h.answered || h.hopeless || pr.outcome == void || pr.sent.Before(h.since) {
		return
	}
	h.outcomes++
	h.recent <<= 1
	if pr.outcome == lost {
		h.recent |= 1
	}
	losses := bits.OnesCount8(h.recent)
	switch {
	case h.gap == slowest && losses > 1:
		h.hopeless = true
		h.setGap(0, p.now)
	case h.outcomes < recent:
	case h.gap == 0 && losses >= most:
		h.setGap(slow, p.now)
		p.reopen(pr.hop) // silence was not what it seemed
	case h.gap == slow && losses >= half:
		h.setGap(slowest, p.now)
	case h.gap == slow && losses <= 1:
		h.setGap(0, p.now)
	}
}

func (h *hop) setGap(gap time.Duration, now time.Time) {
	h.gap, h.since, h.outcomes, h.recent = gap, now, 0, 0
}

// hear notes an answer.
func (p *plan) hear(a Answer, w Wire) {
	if a.Unclear {
		if !p.strict {
			p.strict = true
			w.Split()
			p.restart(w)
		}
		return
	}
	if a.ID < 0 || a.ID >= len(p.probes) {
		return
	}
	pr := &p.probes[a.ID]
	if pr.outcome == heard {
		return // the answer came twice: that says nothing of the flow
	}
	h, v := &p.hops[pr.hop], p.vertexAt(pr.hop, source{a.From, a.Final})
	c := p.cell(pr.flow, pr.hop)
	if pr.outcome == void {
		c.sent++ // it was taken back
	}
	if pr.waiting {
		pr.waiting = false
		p.flying = slices.DeleteFunc(p.flying, func(id int) bool { return id == a.ID })
		if pr.again {
			h.repeating--
		}
	}
	p.dirty = true
	if !h.answered {
		h.answered, h.mute = true, false
		p.reopen(pr.hop)
	}
	if c.tries > 0 && !h.recovered {
		h.recovered = true
		p.reopen(pr.hop) // with more attempts
	}
	p.pace(pr, heard)
	p.far, p.maxRTT = max(p.far, pr.hop), max(p.maxRTT, a.RTT)
	c.got++
	c.sum += a.RTT
	if c.got == 1 || a.RTT < c.min {
		c.min = a.RTT
	}
	p.settle(pr, c, v, a.Final)
}

// settle notes where a flow was seen.
func (p *plan) settle(pr *probe, c *cell, v int32, final bool) {
	h := &p.hops[pr.hop]
	switch {
	case c.state == answered && c.vertex == v:
		h.repeats++
		return
	case c.state == answered:
		p.verts[v].met = true
		if !h.spread && pr.hop <= p.flows[pr.flow].end {
			h.spread = true
			if u := p.at(pr.flow, pr.hop-1); u >= 0 {
				p.verts[u].PerPacket = true
			}
		}
		return
	case c.state == queued:
		// A repeat may still wait in the queue.
		p.queue = slices.DeleteFunc(p.queue, func(q want) bool { return q == pr.want })
	}
	c.state, c.vertex = answered, v
	if final && pr.hop < p.flows[pr.flow].end {
		p.flows[pr.flow].end = pr.hop
		p.queue = slices.DeleteFunc(p.queue, func(q want) bool {
			over := q.flow == pr.flow && q.hop > pr.hop
			if over && q.again {
				p.hops[q.hop].repeating--
			}
			return over
		})
	}
}

// reopen tries flows again that were held to be silent at a hop, where more
// attempts are due by now.
func (p *plan) reopen(i int) {
	if _, ok := p.hops[i].byAddr[source{}]; !ok {
		return
	}
	for f := range p.flows {
		if i <= p.flows[f].end && p.state(f, i) == silent && int(p.flows[f].cells[i].tries) < p.attempts(&p.hops[i]) {
			p.enqueue(f, i)
		}
	}
}

// restart sends the probes in flight again.
func (p *plan) restart(w Wire) {
	for _, id := range p.flying {
		pr := &p.probes[id]
		pr.waiting = false
		p.pace(pr, void)
		w.Forget(id)
		p.queue = append(p.queue, pr.want)
		p.cell(pr.flow, pr.hop).sent--
	}
	p.flying = p.flying[:0]
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
