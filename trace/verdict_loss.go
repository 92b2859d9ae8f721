package trace

import (
	"math"
	"slices"
	"time"
)

// verdictRow is a hop being judged.
type verdictRow struct {
	*hopSums
	HopVerdict
}

func (r *verdictRow) lost() uint64 { return r.sent - r.received }

const (
	// fewer is the likelihood ratio beyond which a hop answers less than
	// another one: chance gives it in 1 of 2000 comparisons.
	fewer = 10.8
	// doubt is the probability of no loss below which loss is real.
	doubt = 0.05
	// sure is the probability that the stretch where loss begins must have.
	sure = 0.95
)

// judgeLoss fills in what there is to say of loss.
func (v *Verdict) judgeLoss(rows []*verdictRow) {
	for _, r := range rows {
		switch {
		case r.sent == 0:
		case r.received == 0:
			r.State = HopSilent
		default:
			r.State = HopClear
		}
	}
	setAside(rows)
	counted := slices.DeleteFunc(slices.Clone(rows), func(r *verdictRow) bool { return r.State != HopClear })
	last := len(rows) - 1
	for last >= 0 && (rows[last].State == HopSilent || rows[last].State == HopUnknown) {
		last--
	}
	if last < 0 {
		return
	}
	v.Refused = rows[last].refusal()
	if len(counted) == 0 {
		v.Loss = LossMasked
		return
	}
	end := counted[len(counted)-1]
	v.speak(end)
	masked := end.TTL < rows[last].TTL // the very last hop limits its answers
	switch w := begin(counted); {
	case end.lost() == 0:
		v.Loss = LossNone
	case w[len(counted)] >= doubt:
		v.Loss, v.Needed = LossUnclear, needed(v.Rate, v.rounds)
	case alone(counted, w):
		end.State, masked = HopReluctant, true
		v.Loss = LossNone
		v.speak(counted[len(counted)-2])
	default:
		v.locate(rows, counted, w)
	}
	if masked && v.Loss == LossNone {
		v.Loss = LossMasked
	}
}

// speak takes a hop for the one that speaks for the path.
func (v *Verdict) speak(r *verdictRow) {
	v.End, v.Rate, v.sent, v.lost = r.TTL, r.loss(), r.sent, r.lost()
	v.Low, v.High = wilson(v.lost, v.sent)
}

// alone reports whether only the last hop loses, and answers with ICMP errors,
// which it may as well limit the rate of.
func alone(counted []*verdictRow, w []float64) bool {
	last := len(counted) - 1
	return last > 0 && counted[last].icmp >= counted[last].received && w[last] > 0.5
}

// setAside marks the hops whose silence is their own.
func setAside(rows []*verdictRow) {
	for i, r := range rows {
		if r.State != HopClear {
			continue
		}
		beside := false // a later hop answers more
		for _, u := range rows[i+1:] {
			if u.State != HopSilent && u.sent > 0 && u.loss() < r.loss() && distinct(r, u) > fewer {
				beside = true
			}
		}
		gaps := uint64(regularAlone)
		if beside {
			gaps = regularBeside
			r.State = HopReluctant
		}
		if r.limited(gaps) {
			r.State, r.Every = HopLimited, r.regular.every().Round(time.Millisecond)
		}
	}
}

// distinct returns the likelihood ratio statistic of two hops' losses.
func distinct(a, b *verdictRow) float64 {
	return 2 * (likely(a.lost(), a.sent) + likely(b.lost(), b.sent) - likely(a.lost()+b.lost(), a.sent+b.sent))
}

// likely returns the greatest log likelihood of x losses in n probes.
func likely(x, n uint64) float64 {
	term := func(k uint64) float64 {
		if k == 0 {
			return 0
		}
		return float64(k) * math.Log(float64(k)/float64(n))
	}
	return term(x) + term(n-x)
}

// begin returns the probability that loss begins at each of the hops, and, at
// the end, that there is none but a little everywhere. In one of ten paths a
// hop, not the last one, is taken to leave answers out on its own besides.
func begin(hops []*verdictRow) []float64 {
	const odd = 0.1
	w := make([]float64, len(hops)+1)
	x, n := make([]uint64, len(hops)+1), make([]uint64, len(hops)+1) // of all hops before
	for i, h := range hops {
		x[i+1], n[i+1] = x[i]+h.lost(), n[i]+h.sent
	}
	for k := range w {
		prior := math.Log(0.5)
		if k < len(hops) {
			prior -= math.Log(float64(len(hops)))
		}
		w[k] = prior + math.Log(1-odd) + split(k, x, n, 0, 0, 0, 0)
		for j, h := range hops[:len(hops)-1] {
			xj, nj := h.lost(), h.sent
			var l float64
			if j < k {
				l = split(k, x, n, xj, nj, 0, 0)
			} else {
				l = split(k, x, n, 0, 0, xj, nj)
			}
			l += prior + math.Log(odd/float64(len(hops)-1)) + betaBinomial(1, 1, xj, nj)
			w[k] = logAdd(w[k], l)
		}
	}
	top, sum := slices.Max(w), 0.0
	for i := range w {
		w[i] = math.Exp(w[i] - top)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// split is the log probability of the counts when loss begins at hop k. The
// sums x and n are over all hops before; x0, n0 and x1, n1 are to be left out
// before and behind k.
func split(k int, x, n []uint64, x0, n0, x1, n1 uint64) float64 {
	last := len(x) - 1
	x0, n0 = x[k]-x0, n[k]-n0
	x1, n1 = x[last]-x[k]-x1, n[last]-n[k]-n1
	if k < last && float64(x1)*float64(n0) < float64(x0)*float64(n1) {
		return math.Inf(-1) // less is lost behind it
	}
	l := small(x0, n0)
	if k < last {
		l += great(x1, n1)
	}
	return l
}

// logAdd returns log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// small is the log probability of x losses in n probes where next to nothing
// is lost, and great where something is, each in one certain order.
func small(x, n uint64) float64 {
	p := 0.5 * math.Exp(betaBinomial(0.5, 200, x, n))
	if x == 0 {
		p += 0.5
	}
	if p == 0 { // too small for the exponential
		return math.Log(0.5) + betaBinomial(0.5, 200, x, n)
	}
	return math.Log(p)
}

func great(x, n uint64) float64 { return betaBinomial(0.7, 5, x, n) }

func betaBinomial(a, b float64, x, n uint64) float64 {
	return logBeta(a+float64(x), b+float64(n-x)) - logBeta(a, b)
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// locate says where real loss begins, from the probabilities of each hop. What
// comes before may lose as well, only less: then it begins there.
func (v *Verdict) locate(rows, counted []*verdictRow, w []float64) {
	v.Loss = LossReal
	part, best := counted, first(w)
	for best > 0 && counted[best-1].lost() > 0 {
		before := begin(counted[:best])
		if before[best] >= doubt {
			break
		}
		part, w, best = counted[:best], before, first(before)
	}
	v.stretch(rows, part, w, best)
	for _, r := range counted[best:] {
		r.State = HopLossy
	}
	v.Worse = worse(counted[best:])
}

// first returns the hop where loss most probably begins.
func first(w []float64) (best int) {
	for i := range w[:len(w)-1] {
		if w[i] > w[best] {
			best = i
		}
	}
	return best
}

// stretch takes in as many hops around the best as are needed to be sure.
func (v *Verdict) stretch(rows, counted []*verdictRow, w []float64, best int) {
	lossy := 1 - w[len(counted)]
	w = w[:len(counted)]
	from, to, p := best, best, w[best]
	for p < sure*lossy && (from > 0 || to < len(w)-1) {
		if to == len(w)-1 || from > 0 && w[from-1] > w[to+1] {
			from--
			p += w[from]
		} else {
			to++
			p += w[to]
		}
	}
	v.Hop, v.At, v.After = counted[best].TTL, counted[to].TTL, rows[0].TTL-1
	if from > 0 {
		v.After = counted[from-1].TTL
	}
	v.Confidence = min(1, p/lossy)
	if from != to {
		v.Needed = needed(v.Rate, v.rounds)
	}
}

// muchWorse is the likelihood ratio beyond which loss has grown.
const muchWorse = 15.1

// worse returns where the loss of hops that all lose grows.
func worse(hops []*verdictRow) []LossStep {
	x, n := make([]uint64, len(hops)+1), make([]uint64, len(hops)+1)
	for i, h := range hops {
		x[i+1], n[i+1] = x[i]+h.lost(), n[i]+h.sent
	}
	last, best, at := len(hops), muchWorse, 0
	for k := 1; k < last; k++ {
		x0, n0, x1, n1 := x[k], n[k], x[last]-x[k], n[last]-n[k]
		g := 2 * (likely(x0, n0) + likely(x1, n1) - likely(x[last], n[last]))
		if float64(x1)*float64(n0) > float64(x0)*float64(n1) && g > best {
			best, at = g, k
		}
	}
	if at == 0 {
		return nil
	}
	before, behind := worse(hops[:at]), worse(hops[at:])
	// The shares are those next to the step.
	from, to := hops[:at], hops[at:]
	if n := len(before); n > 0 {
		from = slices.DeleteFunc(slices.Clone(from), func(r *verdictRow) bool { return r.TTL < before[n-1].At })
	}
	if len(behind) > 0 {
		to = slices.DeleteFunc(slices.Clone(to), func(r *verdictRow) bool { return r.TTL >= behind[0].At })
	}
	step := LossStep{After: hops[at-1].TTL, At: hops[at].TTL, From: pooled(from), To: pooled(to)}
	return slices.Concat(before, []LossStep{step}, behind)
}

// pooled returns the share that all hops together lost.
func pooled(hops []*verdictRow) float64 {
	var x, n uint64
	for _, h := range hops {
		x, n = x+h.lost(), n+h.sent
	}
	return float64(x) / float64(max(1, n))
}

// needed returns how many rounds give loss of a rate a chance to be located:
// those in which a hop loses eight probes.
func needed(rate float64, had int) int {
	if rate <= 0 {
		return 0
	}
	return max(int(math.Ceil(8/rate/10))*10, had+had/2)
}

// wilson returns the 95 % interval of a share.
func wilson(x, n uint64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.96
	f, p := float64(n), float64(x)/float64(n)
	mid := (p + z*z/(2*f)) / (1 + z*z/f)
	half := z / (1 + z*z/f) * math.Sqrt(p*(1-p)/f+z*z/(4*f*f))
	low, high = max(0, mid-half), min(1, mid+half)
	if x == 0 {
		low, high = 0, 1-math.Pow(0.05, 1/f)
	}
	return low, high
}
