package trace

import (
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/rttstat"
)

// Report adds up the probes of a watch, in fixed memory for each hop (about
// 2.5 kB). The zero value is ready. It is not safe for concurrent use.
type Report struct {
	// Target, Method, Port and Source are those of the probes added.
	Target netip.Addr
	Method Method
	Port   uint16
	Source netip.Addr
	// Rounds is the highest round that was seen.
	Rounds int
	// Started and Ended are when the first and the last probe were sent.
	Started, Ended time.Time

	base  int // rounds of the reports before, see Merge
	path  watchPath
	first int
	hops  map[int]*hopSums
}

// HopStats is what a [Report] knows of a hop. Times are round trips.
type HopStats struct {
	TTL        int         `json:"ttl"`
	Responders []Responder `json:"responders"` // who answered: last, then the others in order of appearance; 16 at most
	// Sent counts probes whose fate is known: those still under way are
	// neither sent nor lost.
	Sent     uint64  `json:"sent"`
	Received uint64  `json:"received"` // answers in time, refusals included
	Loss     float64 `json:"loss"`     // share of Sent, 0 to 1
	NotSent  uint64  `json:"not_sent,omitzero"`
	Late     uint64  `json:"late,omitzero"`     // answers after their probe was given up
	Refusals uint64  `json:"refusals,omitzero"` // ICMP refusals among the answers
	Changes  uint64  `json:"changes,omitzero"`  // how often another address answered than the time before

	Last   time.Duration `json:"last_ns"`
	Best   time.Duration `json:"best_ns"`
	Mean   time.Duration `json:"mean_ns"`
	Worst  time.Duration `json:"worst_ns"`
	StdDev time.Duration `json:"stddev_ns"` // of a sample
	// GeoMean is the geometric mean, which outliers move less.
	GeoMean time.Duration `json:"geomean_ns"`

	// The jitters: the difference between the last two times, the mean and
	// the greatest of such differences, and their moving average as RFC 3550,
	// section 6.4.1, defines it. What mtr(8) calls interarrival jitter is 16
	// times the latter.
	Jitter       time.Duration `json:"jitter_ns"`
	MeanJitter   time.Duration `json:"mean_jitter_ns"`
	MaxJitter    time.Duration `json:"max_jitter_ns"`
	Interarrival time.Duration `json:"interarrival_jitter_ns"`

	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`

	Bursts      uint64 `json:"loss_bursts"`  // runs of lost probes, single losses included
	LongestLoss uint64 `json:"longest_loss"` // probes in the longest of them

	// Every is how far apart the answers are, when they come as regularly as
	// those of a router that limits their rate; else 0.
	Every time.Duration `json:"answers_every_ns,omitzero"`
}

// Responder is an address that answered at a hop.
type Responder struct {
	Addr  netip.Addr `json:"addr"`
	Count uint64     `json:"count"`
	// Labels are the MPLS labels of its last answer.
	Labels []Label `json:"labels,omitempty"`
	// Refusal is its last ICMP refusal.
	Refusal *ICMPError `json:"refusal,omitempty"`
}

// maxResponders bounds the addresses kept for a hop.
const maxResponders = 16

// hopSums is what is added up for a hop.
type hopSums struct {
	sent, received, notSent, late, refusals, changes uint64

	times      rttstat.Times
	runs       rttstat.Runs
	logs       float64 // sum of the logarithms of the times in ns
	responders []Responder
	previous   netip.Addr
	icmp       uint64 // answers that are ICMP errors, which hosts limit
	regular    regularity
}

// Add takes the result of a probe into account. An answer to a SYN that was
// repeated counts as a loss: the first one, or its answer, did not get through.
func (r *Report) Add(p Probe) {
	if r.hops == nil {
		r.hops, r.first = map[int]*hopSums{}, p.TTL
		r.Target, r.Method, r.Port, r.Started = p.Target, p.Method, p.Port, p.Sent
	}
	r.Source, r.first = p.Source, min(r.first, p.TTL)
	if p.Sent.After(r.Ended) {
		r.Ended = p.Sent
	}
	round := r.base + p.Round
	r.Rounds = max(r.Rounds, round)
	h := r.hops[p.TTL]
	if h == nil {
		h = &hopSums{}
		r.hops[p.TTL] = h
	}
	switch {
	case p.Late:
		h.late++
		return
	case p.Outcome == OutcomeNotSent:
		h.notSent++
		return
	}
	h.sent++
	lost := p.Outcome == OutcomeSilent || p.Retransmits > 0
	h.runs.Add(uint64(round), lost)
	if p.Outcome == OutcomeSilent {
		r.path.silent(p.TTL, p.Sent)
		return
	}
	r.path.answer(p.TTL, p.Outcome.final(), p.Sent)
	h.who(&p.Reply)
	if !lost {
		h.received++
		h.times.Add(p.RTT)
		h.logs += math.Log(float64(max(1, p.RTT)))
		h.regular.answer(round, p.Sent)
	}
}

// who notes who answered.
func (h *hopSums) who(r *Reply) {
	if h.previous.IsValid() && h.previous != r.From {
		h.changes++
	}
	h.previous = r.From
	if r.ICMP != nil {
		h.icmp++
	}
	if r.Outcome == OutcomeUnreachable {
		h.refusals++
	}
	i := slices.IndexFunc(h.responders, func(s Responder) bool { return s.Addr == r.From })
	if i < 0 {
		if len(h.responders) == maxResponders {
			return
		}
		i = len(h.responders)
		h.responders = append(h.responders, Responder{Addr: r.From})
	}
	s := &h.responders[i]
	s.Count++
	if r.ICMP != nil {
		s.Labels = r.ICMP.Labels
		if r.Outcome == OutcomeUnreachable {
			s.Refusal = r.ICMP
		}
	}
}

// Merge adds what other has counted, as if its rounds had come after.
func (r *Report) Merge(other *Report) {
	if other.hops == nil {
		return
	}
	if r.hops == nil {
		r.hops, r.first = map[int]*hopSums{}, other.first
		r.Target, r.Method, r.Port, r.Started = other.Target, other.Method, other.Port, other.Started
	}
	r.Source, r.path, r.first = other.Source, other.path, min(r.first, other.first)
	if other.Ended.After(r.Ended) {
		r.Ended = other.Ended
	}
	for ttl, o := range other.hops {
		h := r.hops[ttl]
		if h == nil {
			h = &hopSums{}
			r.hops[ttl] = h
		}
		h.merge(o)
	}
	r.Rounds += other.Rounds
	r.base = r.Rounds
}

func (h *hopSums) merge(o *hopSums) {
	h.sent += o.sent
	h.received += o.received
	h.notSent += o.notSent
	h.late += o.late
	h.refusals += o.refusals
	h.changes += o.changes
	h.icmp += o.icmp
	h.logs += o.logs
	h.times.Merge(&o.times)
	h.runs.Merge(&o.runs)
	h.regular = o.regular
	h.previous = o.previous
	for _, s := range o.responders {
		i := slices.IndexFunc(h.responders, func(r Responder) bool { return r.Addr == s.Addr })
		switch {
		case i >= 0:
			s.Count += h.responders[i].Count
			h.responders[i] = s
		case len(h.responders) < maxResponders:
			h.responders = append(h.responders, s)
		}
	}
}

// Hops returns the hops by TTL, silent ones too, up to the end of the path; if
// that is not known, one hop beyond the last that answered stands for the rest.
func (r *Report) Hops() []HopStats {
	hops := []HopStats{}
	for ttl := r.first; ttl != 0 && ttl <= r.lastTTL(); ttl++ {
		h := r.hops[ttl]
		if h == nil {
			h = &hopSums{}
		}
		hops = append(hops, h.stats(ttl))
	}
	return hops
}

// lastTTL returns the last hop of interest.
func (r *Report) lastTTL() int {
	if r.path.end != 0 {
		return r.path.end
	}
	last := max(r.path.far+1, r.first)
	if r.hops[last] == nil {
		last--
	}
	return last
}

// Reached reports whether the path ends with the target: its address answered.
func (r *Report) Reached() bool {
	h := r.hops[r.path.end]
	return h != nil && slices.ContainsFunc(h.responders, func(s Responder) bool { return same(s.Addr, r.Target) })
}

func (h *hopSums) stats(ttl int) HopStats {
	t := &h.times
	s := HopStats{
		TTL: ttl, Responders: []Responder{}, Sent: h.sent, Received: h.received, Loss: h.loss(),
		NotSent: h.notSent, Late: h.late, Refusals: h.refusals, Changes: h.changes,
		Last: t.Last, Best: t.Min, Mean: t.Mean(), Worst: t.Max, StdDev: t.StdDev(),
		Jitter: t.Delta, MeanJitter: t.MeanJitter(), MaxJitter: t.MaxDelta, Interarrival: t.Jitter(),
		P50: t.Percentile(0.5), P90: t.Percentile(0.9), P99: t.Percentile(0.99),
		Bursts: h.runs.Bursts, LongestLoss: h.runs.Longest,
	}
	for _, r := range h.responders {
		if r.Addr == h.previous {
			s.Responders = slices.Insert(s.Responders, 0, r)
		} else {
			s.Responders = append(s.Responders, r)
		}
	}
	if h.received > 0 {
		s.GeoMean = time.Duration(math.Round(math.Exp(h.logs / float64(h.received))))
	}
	if h.limited(regularAlone) {
		s.Every = h.regular.every()
	}
	return s
}

func (h *hopSums) loss() float64 {
	if h.sent == 0 {
		return 0
	}
	return 1 - float64(h.received)/float64(h.sent)
}

// MarshalJSON gives the exported fields, the hops and the verdict.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Target  netip.Addr `json:"target"`
		Method  Method     `json:"method"`
		Port    uint16     `json:"port,omitzero"`
		Source  netip.Addr `json:"source,omitzero"`
		Rounds  int        `json:"rounds"`
		Started time.Time  `json:"started,omitzero"`
		Ended   time.Time  `json:"ended,omitzero"`
		Reached bool       `json:"reached"`
		Hops    []HopStats `json:"hops"`
		Verdict Verdict    `json:"verdict"`
	}{r.Target, r.Method, r.Port, r.Source, r.Rounds, r.Started, r.Ended, r.Reached(), r.Hops(), r.Verdict()})
}
