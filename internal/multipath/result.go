package multipath

import (
	"cmp"
	"math"
	"slices"
)

// measure sends Queries probes along every path, once the graph is known.
func (p *plan) measure() {
	if p.c.Queries <= 0 || p.exhausted || p.far == 0 {
		return
	}
	if p.explored == 0 {
		p.explored = len(p.probes)
		p.chosen = p.cover()
		for _, f := range p.chosen {
			for i := 1; i <= p.last(f); i++ {
				if p.fresh(f, i) {
					p.enqueue(f, i)
				}
			}
		}
	}
	if len(p.queue) > 0 || p.measuring {
		return
	}
	p.measuring = true
	for n := range p.c.Queries {
		for _, f := range p.chosen {
			for i := 1; i <= p.last(f); i++ {
				if c := p.cell(f, i); c.state == answered && int(c.sent) <= n {
					p.hops[i].repeating++
					p.queue = append(p.queue, want{flow: f, hop: i, again: true})
				}
			}
		}
	}
}

// last returns the last hop of a flow.
func (p *plan) last(f int) int { return min(p.flows[f].end, p.far) }

// cover returns flows that together pass every edge, those first of which
// least is unknown.
func (p *plan) cover() []int {
	gaps := make([]int, len(p.flows))
	order := make([]int, 0, len(p.flows))
	for f := range p.flows {
		order = append(order, f)
		for i := 1; i <= p.last(f); i++ {
			if p.at(f, i) < 0 {
				gaps[f]++
			}
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gaps[a], gaps[b]) })
	var chosen []int
	done := map[[2]int32]bool{}
	for _, f := range order {
		adds := false
		for i := range p.last(f) {
			a, b := p.at(f, i), p.at(f, i+1)
			if a >= 0 && b >= 0 && !done[[2]int32{a, b}] {
				done[[2]int32{a, b}], adds = true, true
			}
		}
		if adds {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// result puts together what was learned.
func (p *plan) result(err error) Result {
	p.derive()
	for i := range min(p.far+1, len(p.hops)-1) {
		p.share(i) // of the last answers, too
	}
	r := Result{Probes: len(p.probes), Explored: p.explored, Flows: len(p.flows), Stop: StopDone}
	if r.Explored == 0 {
		r.Explored = r.Probes
	}
	switch {
	case err != nil:
		r.Stop = StopInterrupted
	case p.exhausted:
		r.Stop = StopBudget
	}
	index := p.vertices(&r)
	for v := range p.verts {
		from, ok := index[int32(v)]
		for _, l := range p.verts[v].succ {
			if to, found := index[l.to]; found && ok {
				x := &p.verts[v]
				r.Edges = append(r.Edges, Edge{from, to, l.flows, p.hops[x.hop+1].unsure && !(p.hops[x.hop].single && x.PerPacket)})
			}
		}
	}
	slices.SortFunc(r.Edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	p.paths(&r, index)
	p.spans(&r)
	return r
}

// vertices fills in the vertices up to the last hop that answered and returns
// their places.
func (p *plan) vertices(r *Result) map[int32]int {
	index := map[int32]int{}
	left := 0.0 // what was left to chance at the hop as a whole
	for i := 1; i <= p.far && i < len(p.hops); i++ {
		p.totals(i)
		for _, v := range p.hops[i].live {
			x := p.verts[v].Vertex
			for _, f := range p.verts[v].flows {
				x.Flows = append(x.Flows, int(f))
			}
			p.judge(i, v, &x)
			index[v] = len(r.Vertices)
			r.Vertices = append(r.Vertices, x)
		}
	}
	for i := range min(p.far, len(p.hops)-1) {
		left = max(left, p.chance(i))
	}
	r.Failure = min(1, left*float64(p.tests+1))
	return index
}

// judge says how sure it is that a vertex has no more successors.
func (p *plan) judge(i int, v int32, x *Vertex) {
	y := &p.verts[v]
	x.Probed = y.s
	if x.Final || i+1 >= len(p.hops) {
		x.Settled = x.Final
		return
	}
	x.Settled, x.Failure = y.s >= y.need && !p.hops[i].held, y.miss
	if next := &p.hops[i+1]; next.unsure || x.PerPacket {
		x.Settled = next.resolved >= p.need(len(next.live))
		x.Failure = missed(len(next.live), next.resolved)
	}
	if x.Settled {
		x.Failure = min(x.Failure, p.level())
	}
}

// chance bounds the probability of a miss behind a hop: for MDA-Lite of any, for
// MDA the greatest of the vertices, of which each has its test.
func (p *plan) chance(i int) (c float64) {
	settled := true
	for _, v := range p.hops[i].live {
		x := p.verts[v].Vertex
		p.judge(i, v, &x)
		switch {
		case x.Final:
		case p.c.Algorithm == Lite:
			c += x.Failure
			settled = settled && x.Settled
		default:
			c = max(c, x.Failure)
		}
	}
	if p.c.Algorithm == Lite && settled {
		c = min(c, p.level())
	}
	return c
}

// totals adds up the probes to the vertices of a hop.
func (p *plan) totals(i int) {
	for _, v := range p.hops[i].live {
		x := &p.verts[v]
		x.Sent, x.Answered, x.Min, x.Sum = 0, 0, 0, 0
		for _, f := range x.flows {
			c := &p.flows[f].cells[i]
			x.Sent += int(c.sent)
			x.Answered += int(c.got)
			if c.got > 0 && (x.Min == 0 || c.min < x.Min) {
				x.Min = c.min
			}
			x.Sum += c.sum
		}
	}
}

// paths finds the flows whose whole way is known.
func (p *plan) paths(r *Result, index map[int32]int) {
	seen := map[string]int{}
	for f := range p.flows {
		vertices, key := p.way(f, index)
		if len(vertices) == 0 {
			continue
		}
		n, ok := seen[key]
		if !ok {
			n = len(r.Paths)
			seen[key] = n
			r.Paths = append(r.Paths, Path{Vertices: vertices})
		}
		path := &r.Paths[n]
		path.Flows = append(path.Flows, f)
		i := p.last(f)
		if p.state(f, i) == unknown {
			continue
		}
		c := p.cell(f, i)
		path.Sent += int(c.sent)
		path.Answered += int(c.got)
		path.Sum += c.sum
		if c.got > 0 && (path.Min == 0 || c.min < path.Min) {
			path.Min = c.min
		}
	}
}

// way returns the vertices that a flow passes, none when not all are known,
// and a key for them.
func (p *plan) way(f int, index map[int32]int) (vertices []int, key string) {
	b := make([]byte, 0, 64)
	for i := 1; i <= p.last(f); i++ {
		v := p.at(f, i)
		place, ok := index[v]
		if v < 0 || !ok || p.hops[i].unsure {
			return nil, ""
		}
		vertices = append(vertices, place)
		b = append(b, byte(place), byte(place>>8), byte(place>>16))
	}
	return vertices, string(b)
}

// spans lists the stretches where vertices are not alike.
func (p *plan) spans(r *Result) {
	for i := 1; i < len(p.hops); i++ {
		if !p.uneven(i) {
			continue
		}
		from := i
		for i+1 < len(p.hops) && p.uneven(i+1) {
			i++
		}
		r.Uneven = append(r.Uneven, Span{p.ttl(from), p.ttl(i + 1)})
	}
}

// uneven reports whether the vertices of a hop differ in their numbers of
// successors, or branches cross behind them, as far as links are known.
func (p *plan) uneven(i int) bool {
	if i+1 >= len(p.hops) || p.hops[i+1].unsure || p.perPacket(i) {
		return false
	}
	least, most := math.MaxInt, 0
	for _, v := range p.hops[i].live {
		x := &p.verts[v]
		if x.Final || len(x.succ) == 0 {
			continue
		}
		least, most = min(least, len(x.succ)), max(most, len(x.succ))
		if len(x.succ) > 1 && slices.ContainsFunc(x.succ, func(l link) bool { return len(p.verts[l.to].pred) > 1 }) {
			return true
		}
	}
	return least < most
}
