package trace

import "time"

const (
	// slowBy is the least by which a hop answers later than a later hop to be
	// called slow, and by which times rise to be told.
	slowBy = 10 * time.Millisecond
	// fewTimes is how many times say nothing about their distribution.
	fewTimes = 3
)

// judgeDelay finds slow answers and rising times. What counts at a hop is the
// least of its own and all later times: no packet is at the end sooner than it
// has passed the hop, so whatever a hop takes longer is its own slowness.
func (v *Verdict) judgeDelay(rows []*verdictRow) {
	var seen []*verdictRow
	for _, r := range rows {
		if r.received >= fewTimes {
			seen = append(seen, r)
		}
	}
	if len(seen) == 0 {
		return
	}
	median := least(seen, func(r *verdictRow) time.Duration { return r.times.Percentile(0.5) })
	best := least(seen, func(r *verdictRow) time.Duration { return r.times.Min })
	spread := least(seen, func(r *verdictRow) time.Duration { return r.times.Percentile(0.9) - r.times.Min })
	for i, r := range seen {
		if by := r.times.Percentile(0.5) - median[i]; by > max(slowBy, median[i]/2) {
			r.Slow = by
		}
	}
	end := len(seen) - 1
	v.time = median[end]
	first := rows[0].TTL - 1
	v.Delay = rise(seen, median, first, median[end]*2/5)
	if v.Delay != nil {
		i := v.Delay.index
		v.Delay.Steady = grows(best, i) >= v.Delay.By*7/10
	}
	v.Queue = rise(seen, spread, first, best[end]/4)
}

// least returns for each hop the least of a value there and at later hops.
func least(rows []*verdictRow, value func(*verdictRow) time.Duration) []time.Duration {
	out := make([]time.Duration, len(rows))
	for i := len(rows) - 1; i >= 0; i-- {
		out[i] = value(rows[i])
		if i < len(rows)-1 {
			out[i] = min(out[i], out[i+1])
		}
	}
	return out
}

// rise returns where a value grows most, if that is by enough.
func rise(rows []*verdictRow, values []time.Duration, first int, enough time.Duration) *Rise {
	at := 0
	for i := range values {
		if grows(values, i) > grows(values, at) {
			at = i
		}
	}
	r := &Rise{After: first, At: rows[at].TTL, By: grows(values, at), index: at}
	if at > 0 {
		r.After = rows[at-1].TTL
	}
	if r.By < max(slowBy, enough) {
		return nil
	}
	return r
}

func grows(values []time.Duration, i int) time.Duration {
	if i == 0 {
		return values[0]
	}
	return values[i] - values[i-1]
}
