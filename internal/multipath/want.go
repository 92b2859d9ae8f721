package multipath

import "slices"

// refill asks for the probes that are needed whatever the answers to those
// under way will be. So exploring in parallel costs no more probes than one at
// a time.
func (p *plan) refill() {
	p.scout()
	p.derive()
	for i := range p.hops {
		p.reopen(i)
	}
	last := min(p.far+1, p.lastHop())
	for i := range last {
		p.grow(i + 1)
		if i > 0 && !p.goesOn(i) {
			break
		}
		p.share(i)
		if p.hops[i+1].unsure || p.perPacket(i) {
			p.byHop(i)
		} else {
			p.byVertex(i)
		}
		p.repeat(i)
	}
	if len(p.queue) > 0 || len(p.flying) > 0 {
		return
	}
	if !p.rushed && slices.ContainsFunc(p.hops, func(h hop) bool { return h.held }) {
		p.rushed = true
		p.refill()
		return
	}
	p.measure()
}

// goesOn reports whether a path leads beyond a hop.
func (p *plan) goesOn(i int) bool {
	return slices.ContainsFunc(p.hops[i].live, func(v int32) bool { return !p.verts[v].Final })
}

func (p *plan) perPacket(i int) bool {
	return slices.ContainsFunc(p.hops[i].live, func(v int32) bool { return p.verts[v].PerPacket })
}

// scout sends one flow ahead, so that all hops can be explored together.
func (p *plan) scout() {
	const ahead = 4
	if len(p.flows) == 0 && p.newFlow() < 0 {
		return
	}
	for i := 1; i <= min(p.far+p.c.MaxSilent, p.lastHop(), p.flows[0].end); i++ {
		if p.state(0, i) == unknown {
			p.enqueue(0, i)
		}
		if i > p.far && p.pending(i-ahead+1) {
			break
		}
	}
}

// pending reports whether the scout waits for an answer at a hop.
func (p *plan) pending(i int) bool { return i > 0 && p.state(0, i) == queued }

// byVertex asks for the probes behind each vertex of a hop.
func (p *plan) byVertex(i int) {
	lacking := make([]int32, 0, 8)
	for _, v := range p.hops[i].live {
		x := &p.verts[v]
		if x.Final {
			continue
		}
		miss := x.need - x.s - x.w
		miss -= p.follow(v, i, miss)
		for ; miss > 0; miss-- {
			lacking = append(lacking, v)
		}
	}
	p.find(i, lacking)
	p.trace(i)
}

// follow sends up to n flows that pass a vertex of hop i to the next one.
func (p *plan) follow(v int32, i, n int) (sent int) {
	for _, f := range p.verts[v].flows {
		if sent >= n {
			return sent
		}
		if p.fresh(int(f), i+1) {
			p.enqueue(int(f), i+1)
			sent++
		}
	}
	if !p.hops[i].single {
		return sent
	}
	return sent + p.any(i+1, n-sent, func(f int) bool { return p.state(f, i) < silent })
}

// any sends up to n flows, old ones first, to hop i.
func (p *plan) any(i, n int, ok func(f int) bool) (sent int) {
	for f := 0; f < len(p.flows) && sent < n; f++ {
		if p.fresh(f, i) && ok(f) {
			p.enqueue(f, i)
			sent++
		}
	}
	for ; sent < n; sent++ {
		f := p.newFlow()
		if f < 0 {
			break
		}
		p.enqueue(f, i)
	}
	return sent
}

// fresh reports whether a flow goes as far as a hop and was not probed there.
func (p *plan) fresh(f, i int) bool { return i <= p.flows[f].end && p.state(f, i) == unknown }

// find looks for more flows through vertices of hop i, each named as often as
// it lacks one. A probe finds at most one, so that as many are sent at once.
func (p *plan) find(i int, lacking []int32) {
	if i == 0 || p.hops[i].single {
		return // all pass, and there are no more
	}
	if len(p.hops[i].live) < 2 && !p.complete(i-1) {
		return // that all pass is what is being found out
	}
	n := len(lacking) - p.hops[i].waiting
	for _, v := range lacking {
		if n <= 0 {
			return
		}
		for _, u := range p.verts[v].pred {
			if f := p.through(u.to, i); f >= 0 {
				p.enqueue(f, i)
				n--
				break
			}
		}
	}
	p.any(i, n, func(f int) bool { return i == 1 || p.state(f, i-1) == unknown })
}

// through returns a flow that passes a vertex and was not probed at hop i.
func (p *plan) through(v int32, i int) int {
	for _, f := range p.verts[v].flows {
		if p.fresh(int(f), i) {
			return int(f)
		}
	}
	return -1
}

// trace sends flows of vertices behind hop i that nobody knows the way to, and
// those that may have ended at hop i already, to hop i.
func (p *plan) trace(i int) {
	if i == 0 {
		return
	}
	for _, v := range p.hops[i+1].live {
		x := &p.verts[v]
		for _, f := range x.flows {
			if x.known > 0 && !(x.Final && p.hops[i].finals) {
				break
			}
			if p.at(int(f), i) < 0 && p.state(int(f), i) == unknown {
				p.enqueue(int(f), i)
			}
		}
	}
}

// byHop asks for the probes behind a hop as a whole, where two probes of one
// flow need not pass the same vertices.
func (p *plan) byHop(i int) {
	next := &p.hops[i+1]
	p.any(i+1, p.need(len(next.live))-next.resolved-next.waiting, func(int) bool { return true })
	p.trace(i)
}

// repeat sends flows once more where hop i branches, to find out whether they
// always go the same way.
func (p *plan) repeat(i int) {
	next := &p.hops[i+1]
	if next.spread || next.unsure {
		return
	}
	var flows []int32
	for n := 0; ; n++ {
		more := false
		for _, v := range p.hops[i].live {
			if x := &p.verts[v]; len(x.succ) > 1 && n < len(x.flows) {
				more = true
				flows = append(flows, x.flows[n])
			}
		}
		if !more || len(flows) > 64 {
			break
		}
	}
	if i == 0 && len(next.live) > 1 {
		for f := range min(len(p.flows), 64) {
			flows = append(flows, int32(f))
		}
	}
	for _, f := range flows {
		if next.repeats+next.repeating >= p.need(1)-1 {
			return
		}
		if c := p.cell(int(f), i+1); c.state == answered && !c.again && i+1 <= p.flows[f].end {
			c.again = true
			next.repeating++
			p.queue = append(p.queue, want{flow: int(f), hop: i + 1, again: true})
		}
	}
}
