package trace

import "slices"

// wellKnown are MTUs of common links and tunnels (RFC 1191, section 7.1, and
// later ones: 9000 jumbo frames, 1492 PPPoE, 1480 IP in IP, 1476 GRE, 1450
// VXLAN, 1420 WireGuard, 1280 the least of IPv6).
var wellKnown = []int{
	32000, 17914, 9216, 9000, 8166, 4470, 4352, 2002, 1500, 1496, 1492, 1480, 1476, 1472, 1460, 1454, 1450, 1442, 1430,
	1420, 1412, 1400, 1380, 1360, 1300, 1280, 1200, 1006, 576, 508, 296,
}

// largest finds the largest size that gets to a TTL, and the least that does
// not: one more, unless time is over.
func (s *mtuSearch) largest(ttl int) (size, ceiling int, err error) {
	for {
		lo, hi := s.lo(ttl), s.hi(ttl)
		if lo >= s.top {
			return lo, lo + 1, nil
		}
		if hi == 0 {
			hi = s.top + 1
		}
		if hi == lo+1 && s.evidence(ttl, hi) >= s.proof(ttl) {
			return lo, hi, nil
		}
		if s.now().After(s.end) {
			return lo, hi, nil
		}
		if err := s.test(ttl, s.sizes(ttl, lo, hi)); err != nil {
			return lo, hi, err
		}
	}
}

// sizes chooses what to try next between a size that passes and one that seems
// not to.
func (s *mtuSearch) sizes(ttl, lo, hi int) []int {
	if hi == lo+1 || hi > s.top {
		size := min(hi, s.top)
		return slices.Repeat([]int{size}, max(1, s.proof(ttl)-s.evidence(ttl, size)))
	}
	if hints := s.hint(lo, hi); len(hints) > 0 {
		return hints
	}
	many := 12
	if !s.with(ttl) || ttl != s.far {
		many = 4 // such answers are limited in rate
	}
	if s.slow && ttl == s.far {
		many = 10 // see test
	}
	sizes := []int{}
	if !s.wide[ttl] {
		s.wide[ttl] = true
		for _, m := range wellKnown {
			if m > lo && m < hi {
				sizes = append(sizes, m)
			}
		}
		sizes = thin(sizes, many+4)
	}
	if len(sizes) == 0 {
		for i := range many - 1 {
			sizes = append(sizes, hi-(i+1)*(hi-lo)/many)
		}
		sizes = append(sizes, lo+1)
		if hi-lo <= many {
			sizes = sizes[:0]
			for m := hi - 1; m > lo; m-- {
				sizes = append(sizes, m)
			}
		}
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	slices.Reverse(sizes) // if answers are limited in rate, the first ones say the most
	return slices.DeleteFunc(sizes, func(m int) bool { return m <= lo || m >= hi })
}

// hint returns what to try because of what a router said, which is right most
// of the time.
func (s *mtuSearch) hint(lo, hi int) []int {
	heard := 0
	for i := range s.probes {
		p := &s.probes[i]
		if p.kind != mtuTooBig || !s.sane(p) {
			continue
		}
		if heard++; heard > mtuHints {
			break
		}
		if m := p.icmp.MTU; m >= lo && m < hi {
			return slices.DeleteFunc([]int{min(m+1, hi-1), m}, func(size int) bool { return size <= lo })
		}
	}
	return nil
}

// thin leaves at most n of a list, evenly.
func thin(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	out := make([]int, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}
