package multipath

import (
	"math"
	"math/bits"
)

const (
	// odd is what a number of successors that no vertex of a hop shows counts
	// for, in vertices: how likely MDA-Lite holds it that one is unlike the
	// others. The less, the fewer probes, and the more often such a vertex is
	// overlooked: of 600 hops with one it found 92 % at 0.25, 94 % at 0.35 and
	// 96 % at 0.5.
	odd = 0.35
	// stray is the same where all flows seen so far meet in one vertex. One flow
	// a vertex has to do there at the usual bounds, and finds 68 %; 74 % at 0.03
	// and 84 % at 0.05 cost more probes of all hops that do meet, and where
	// answers are limited and lost these do more harm than good.
	stray = 1e-4
)

// share finds out after how many flows each vertex of hop i may be left.
func (p *plan) share(i int) {
	h := &p.hops[i]
	open := make([]int32, 0, 16)
	for _, v := range h.live {
		if x := &p.verts[v]; !x.Final {
			x.need, x.miss = p.need(len(x.succ)), missed(len(x.succ), x.s)
			open = append(open, v)
		}
	}
	h.held = false
	if p.c.Algorithm == MDA {
		return
	}
	// As long as a hop is not known it is not known either what its vertices
	// have in common. One flow is needed in any case.
	if i > 0 && !p.rushed && (len(h.live) > 1 || len(p.hops[i-1].live) > 1) && !p.complete(i-1) {
		h.held = true
		for _, v := range open {
			p.verts[v].need = 1
		}
		return
	}
	if len(open) > 1 {
		p.alike(i, open)
	}
}

// complete reports whether nothing more is needed behind hop i.
func (p *plan) complete(i int) bool {
	h, next := &p.hops[i], &p.hops[i+1]
	if next.unsure || p.perPacket(i) {
		return next.resolved >= p.need(len(next.live))
	}
	for _, v := range h.live {
		if x := &p.verts[v]; !x.Final && x.s < x.need {
			return false
		}
	}
	return !h.held
}

// alike divides the share of the bound that a hop has among its vertices: what
// is the least number of flows of each for which the probabilities of missing
// something add up to no more. Vertices that no more flows are known of, which
// have to be looked for, get what the others leave.
func (p *plan) alike(i int, open []int32) {
	c := p.census(open, len(p.hops[i+1].live) < 2)
	rest, poor := p.level(), 0
	part := rest / float64(len(open))
	for _, v := range open {
		x := &p.verts[v]
		k := x.shows()
		if x.miss = 1; x.s > 0 {
			x.miss = min(1, c.odds(k, x.s))
		}
		if x.need = c.enough(k, part); x.need > len(x.flows) {
			poor++
		} else {
			rest -= c.odds(k, max(x.need, x.s+x.w))
		}
	}
	for _, v := range open {
		if x := &p.verts[v]; x.need > len(x.flows) {
			x.need = max(len(x.flows), c.enough(x.shows(), rest/float64(poor)))
		}
	}
	p.together(open, c)
}

// shows is the number of successors that a vertex has at least.
func (v *vertex) shows() int { return max(1, len(v.succ)) }

// census counts the vertices of a hop by the number of successors they show.
type census struct {
	count []int
	odd   float64
}

func (p *plan) census(open []int32, meet bool) census {
	most, kinds := 1, 0
	for _, v := range open {
		most = max(most, p.verts[v].shows())
	}
	c := census{count: make([]int, most+2)}
	for _, v := range open {
		k := p.verts[v].shows()
		if c.count[k]++; c.count[k] == 1 {
			kinds++
		}
	}
	// Where many differ one more that does is no surprise.
	c.odd = max(odd, float64(kinds-1)/float64(len(open)))
	if meet {
		c.odd = stray
	}
	return c
}

// odds are those that a vertex that shows k successors after n flows has more:
// for each number j, how many of the others show j for one that shows k, times
// the probability of seeing k of j only.
func (c census) odds(k, n int) (sum float64) {
	same := c.odd + float64(c.count[k]-1)
	for j := k + 1; j < len(c.count); j++ {
		if c.count[j] > 0 || j == k+1 {
			p := lnChoose(j, k) + float64(n)*math.Log(float64(k)/float64(j))
			sum += (c.odd + float64(c.count[j])) / same * math.Exp(p)
		}
	}
	return sum
}

// lnChoose is the logarithm of the number of ways to choose k of n.
func lnChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// enough returns after how many flows the odds are no more than a bound.
func (c census) enough(k int, bound float64) int {
	n := 1
	for step := 8 << bits.Len(uint(k)); step > 0; step /= 2 {
		for c.odds(k, n+step-1) > bound {
			n += step
		}
	}
	return n
}

// together sees to it that the vertices which show the same number of successors
// do not all have one more; none is surer than that.
func (p *plan) together(open []int32, c census) {
	for k, m := range c.count {
		if k == 0 || m < 2 {
			continue
		}
		ways, flow := float64(m)*math.Log(float64(k+1)), math.Log1p(1/float64(k))
		all, followed := int(math.Ceil((ways-math.Log(p.level()))/flow)), 0
		for _, v := range open {
			if x := &p.verts[v]; x.shows() == k {
				all -= max(x.need, x.s+x.w)
				followed += x.s
			}
		}
		miss := min(1, math.Exp(ways-float64(followed)*flow))
		for _, v := range open {
			if x := &p.verts[v]; x.shows() == k {
				x.miss = max(x.miss, miss)
			}
		}
		for ; all > 0; all-- {
			x := &p.verts[p.spare(open, k)]
			x.need = max(x.need, x.s+x.w) + 1
		}
	}
}

// spare returns the vertex that shows k successors of which fewest flows are to
// be followed, of those of which more are known if there are any.
func (p *plan) spare(open []int32, k int) int32 {
	best, fewest, known := int32(-1), 0, false
	for _, v := range open {
		x := &p.verts[v]
		if x.shows() != k {
			continue
		}
		n := max(x.need, x.s+x.w)
		more := len(x.flows) > n
		if best < 0 || more && !known || more == known && n < fewest {
			best, fewest, known = v, n, more
		}
	}
	return best
}
