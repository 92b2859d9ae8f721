package trace

import (
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// Verdict says what a [Report] means: whether packets are lost on the way, and
// where that begins.
//
// A probe with TTL t crosses the same links as all with greater TTLs. Whatever
// a link loses is therefore missing at every hop from there to the end; what
// is missing at some hop while later ones answer, that hop has not lost: it
// did not answer. Hence three steps.
//
// First, hops are set aside that answer significantly less than a later one
// (likelihood ratio, G > 10.8), or as regularly as a rate limit lets them
// (gaps between answers vary by less than 0.15 of what chance gives).
//
// Second, for every other hop k the probability of the counts is computed
// under the model that all hops before k share a small loss (none at all, or
// Beta(1/2, 200)) and all from k on a greater one (Beta(0.7, 5)), and under
// the model of no such k. Loss is real when the latter has a probability of
// less than 5 %, both being equally likely beforehand. The hops before the best
// k are then judged by themselves, since less may be lost there already; Worse
// tells where loss grows.
//
// Third, the k that are needed for a probability of 95 % make the stretch
// where the loss begins, which also spans hops set aside or silent. With 5 %
// of loss behind a path that loses nothing, the most probable hop is the right
// one in 97 of 100 runs of 100 rounds, and in 99 of 150; the stretch is that
// hop alone in 83 and 96 of them, and leaves it out in less than 1. With fewer
// probes it is longer, or the loss is LossUnclear, and Needed says how many
// would do. One path in ten is taken to have a hop that leaves some probes
// unanswered for reasons of its own.
type Verdict struct {
	Loss LossState `json:"loss"`
	// Rate is the share of the probes to hop End that was lost, between Low
	// and High with 95 % confidence (Wilson; when none was lost, High is what
	// one in twenty such runs would not have seen).
	Rate float64 `json:"rate"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Hop is where real loss most probably begins: on the link that leads to
	// it, on the way there or back, or in the hop itself.
	Hop int `json:"hop,omitzero"`
	// After and At bound that: behind hop After, and at hop At at the latest.
	// After 0 is this host.
	After int `json:"after,omitzero"`
	At    int `json:"at,omitzero"`
	// Worse are the hops where, behind the first, more is lost, in order. They
	// are told when chance gives such a difference in 1 of 10,000 cases.
	Worse []LossStep `json:"worse,omitempty"`
	// Confidence is the probability that it begins between After and At.
	Confidence float64 `json:"confidence,omitzero"`
	// Needed is about how many rounds would tell the hop, when these did not.
	Needed int `json:"needed_rounds,omitzero"`
	// End is the hop that speaks for the path: the target, or the last hop
	// whose answers are not limited.
	End int `json:"end"`
	// Reached: the target answers.
	Reached bool `json:"reached"`
	// Refused is the ICMP refusal that ends the path.
	Refused *ICMPError `json:"refused,omitempty"`

	Hops []HopVerdict `json:"hops"`
	// Delay is where most of the round trip's time comes from, if it stays up
	// to the end; nil when no hop stands out.
	Delay *Rise `json:"delay,omitempty"`
	// Queue is where times begin to vary much, up to the end, as behind a
	// link that is busy; nil when none does.
	Queue *Rise `json:"queue,omitempty"`

	target netip.Addr
	method Method
	sent   uint64 // to End
	lost   uint64
	time   time.Duration // median to End
	rounds int
}

// LossStep is where loss grows.
type LossStep struct {
	After int     `json:"after"` // the last hop before it
	At    int     `json:"at"`
	From  float64 `json:"from"` // the share lost at the hops before, from the step before on
	To    float64 `json:"to"`   // and at those behind, to the next step
}

// HopVerdict is what a hop does.
type HopVerdict struct {
	TTL   int        `json:"ttl"`
	Addr  netip.Addr `json:"addr,omitzero"` // who answered most
	State HopState   `json:"state"`
	Loss  float64    `json:"loss"` // share of probes that it did not answer
	// Every is how often a hop in state HopLimited answers, if that is seen.
	Every time.Duration `json:"answers_every_ns,omitzero"`
	// Slow is how much later the hop answers, by the median, than a later one
	// does: the hop is slow to write ICMP messages, packets pass it quickly.
	Slow time.Duration `json:"slow_ns,omitzero"`
	// Routers is how many addresses answered here, if more than one, and
	// Changes how often another one did than the time before: where a route
	// changed, few; where routers share traffic by packet, many.
	Routers int    `json:"routers,omitzero"`
	Changes uint64 `json:"changes,omitzero"`
}

// Rise is where times grow, up to the end of the path.
type Rise struct {
	After int           `json:"after"` // the last hop before it; 0 is this host
	At    int           `json:"at"`
	By    time.Duration `json:"by_ns"` // by the median; of Queue, the spread between the best time and the 90th percentile
	// Steady: the best times grow as much, as over a long distance, or behind
	// a queue that is never empty.
	Steady bool `json:"steady"`

	index int // among the hops that were compared
}

// LossState says whether packets are lost on the way.
type LossState uint8

// The states of loss.
const (
	LossUnknown LossState = iota // nothing answered
	LossNone                     // none to hop End
	LossReal                     // it begins between After and At, and lasts to the end
	LossUnclear                  // some probes are missing at the end, too few to tell
	// LossMasked: the last hop seems to limit the rate of its answers, so what
	// is missing there tells nothing. Up to End, if that is not 0, nothing is
	// lost.
	LossMasked
)

var lossNames = []string{"unknown", "none", "real", "unclear", "masked"}

// String returns the word, such as "none".
func (s LossState) String() string { return enum.String(lossNames, "loss", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s LossState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *LossState) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[LossState](lossNames, "loss", b)
	return err
}

// HopState says what a hop does with probes that end there.
type HopState uint8

// The states of hops.
const (
	HopUnknown   HopState = iota // no probe's fate is known
	HopClear                     // it answers as later hops do
	HopSilent                    // it answers nothing
	HopLimited                   // it answers at a limited rate; packets pass
	HopReluctant                 // it leaves some without an answer that later hops get; packets pass
	HopLossy                     // it shares the loss that lasts to the end
)

var hopNames = []string{"unknown", "clear", "silent", "rate_limited", "reluctant", "lossy"}

// String returns the word, such as "rate_limited".
func (s HopState) String() string { return enum.String(hopNames, "hop", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s HopState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *HopState) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[HopState](hopNames, "hop", b)
	return err
}

// Verdict says what the report means.
func (r *Report) Verdict() Verdict {
	v := Verdict{Reached: r.Reached(), Hops: []HopVerdict{}, target: r.Target, method: r.Method, rounds: r.Rounds}
	if r.hops == nil {
		return v
	}
	var rows []*verdictRow
	for ttl := r.first; ttl <= r.lastTTL(); ttl++ {
		h := r.hops[ttl]
		if h == nil {
			h = &hopSums{}
		}
		row := &verdictRow{hopSums: h, HopVerdict: HopVerdict{TTL: ttl, Addr: h.most(), Loss: h.loss()}}
		if n := len(h.responders); n > 1 {
			row.Routers, row.Changes = n, h.changes
		}
		rows = append(rows, row)
	}
	v.judgeLoss(rows)
	v.judgeDelay(rows)
	for _, row := range rows {
		v.Hops = append(v.Hops, row.HopVerdict)
	}
	return v
}

// most returns the address that answered most often.
func (h *hopSums) most() netip.Addr {
	var best Responder
	for _, s := range h.responders {
		if s.Count > best.Count {
			best = s
		}
	}
	return best.Addr
}

// refusal returns the refusal that a hop's answers end with.
func (h *hopSums) refusal() *ICMPError {
	for _, s := range h.responders {
		if s.Refusal != nil {
			return s.Refusal
		}
	}
	return nil
}
