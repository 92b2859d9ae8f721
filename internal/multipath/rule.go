package multipath

import "math"

// rule says after how many probes it may be held that a balancer has no more
// successors than were seen: the stopping points n_1, n_2 … of Veitch et al.,
// for one bound on the probability of failure.
//
// n_k is the least number for which a balancer that spreads flows evenly over
// k+1 successors is left too early, at n_1 probes with one successor seen or at
// n_2 with two … or at n_k with k, with at most that probability.
type rule struct {
	bound float64
	stops []int // n_1 …
}

func newRule(bound float64) *rule { return &rule{bound: bound} }

// exactly is up to how many successors the stopping points are computed from
// the chain of states; beyond, the sum of the probabilities of missing each
// successor has to do, which needs no memory of former stops and is larger.
const exactly = 128

// probes returns n_k.
func (r *rule) probes(k int) int {
	k = max(1, k)
	if k > exactly {
		return max(r.probes(exactly)+k-exactly, enough(k+1, r.bound))
	}
	for len(r.stops) < k {
		r.stops = append(r.stops, r.next())
	}
	return r.stops[k-1]
}

// next computes the stopping point behind those known.
func (r *rule) next() int {
	k := len(r.stops) + 1
	c := newChain(k + 1)
	limit := 2*enough(k+1, r.bound) + k
	for n := 1; ; n++ {
		c.step()
		for j, stop := range r.stops {
			if n == stop {
				c.stop(j + 1)
			}
		}
		last := k
		if k > 1 {
			last = r.stops[k-2] + 1
		}
		if n >= last && c.stopped+c.seen[k] <= r.bound || n >= limit {
			return n
		}
	}
}

// failure returns the probability of stopping before all of so many
// successors are seen.
func (r *rule) failure(successors int) float64 {
	c := newChain(successors)
	for n := 1; n <= r.probes(successors-1); n++ {
		c.step()
		for j := 1; j < successors; j++ {
			if n == r.probes(j) {
				c.stop(j)
			}
		}
	}
	return c.stopped
}

// chain is a balancer with so many successors after some probes: seen[j] is
// the probability that exploration goes on with j of them seen.
type chain struct {
	seen    []float64
	stopped float64
}

func newChain(successors int) *chain {
	c := &chain{seen: make([]float64, successors+1)}
	c.seen[0] = 1
	return c
}

func (c *chain) step() {
	all := float64(len(c.seen) - 1)
	for j := len(c.seen) - 1; j >= 0; j-- {
		p := c.seen[j] * float64(j) / all
		if j > 0 {
			p += c.seen[j-1] * (all - float64(j-1)) / all
		}
		c.seen[j] = p
	}
}

func (c *chain) stop(j int) {
	c.stopped += c.seen[j]
	c.seen[j] = 0
}

// enough returns after how many probes the probabilities of missing each of
// the successors add up to no more than the bound.
func enough(successors int, bound float64) int {
	s := float64(successors)
	return int(math.Ceil(math.Log(bound/s) / math.Log1p(-1/s)))
}

// missed bounds the probability that one more successor than the k seen has
// not been met by so many probes.
func missed(k, probes int) float64 {
	s := float64(max(1, k) + 1)
	return min(1, s*math.Pow(1-1/s, float64(probes)))
}
