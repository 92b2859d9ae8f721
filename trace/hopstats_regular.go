package trace

import "time"

// regularity watches how far apart the answers of a hop are. Losses by chance
// leave gaps of all lengths; a limit of the rate, once it has run out of what
// it saved up, leaves gaps of one length.
type regularity struct {
	round    int  // of the last answer
	started  bool // a probe has been lost: the savings are used up
	n        uint64
	mean, m2 float64 // of the gaps in rounds, after Welford
	from     time.Time
	elapsed  time.Duration
}

func (g *regularity) answer(round int, sent time.Time) {
	before := g.round
	gap := round - before
	if gap <= 0 { // overtaken
		return
	}
	g.round = round
	switch {
	case before == 0:
		return
	case !g.started:
		// The first gap began with savings of unknown size.
		g.started, g.from = gap > 1, sent
		return
	}
	g.n++
	delta := float64(gap) - g.mean
	g.mean += delta / float64(g.n)
	g.m2 += delta * (float64(gap) - g.mean)
	g.elapsed = sent.Sub(g.from)
}

// every returns the mean time between answers.
func (g *regularity) every() time.Duration {
	if g.n == 0 {
		return 0
	}
	return g.elapsed / time.Duration(g.n)
}

// Gaps that are needed to call a hop limited: by themselves, and when later
// hops show that the probes passed it.
const (
	regularAlone  = 8
	regularBeside = 3
)

// limited reports whether the gaps between answers vary so much less than
// chance would have them, geometrically distributed, that only a limit of the
// rate explains them.
func (h *hopSums) limited(gaps uint64) bool {
	g := &h.regular
	if g.n < gaps || g.mean < 1.5 {
		return false
	}
	p := 1 / g.mean
	chance := (1 - p) / (p * p)
	return g.m2/float64(g.n) < 0.15*chance
}
