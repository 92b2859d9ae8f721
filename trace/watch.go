package trace

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"time"
)

// WatchOptions say how long a path is watched, and how closely. Nil means the
// defaults.
type WatchOptions struct {
	// Interval is the time between the beginnings of two rounds, 10 ms or
	// more, default 1 s. A round sends one probe to each hop, evenly spread.
	// Linux routers answer each asker once a second, after a few at once
	// (icmp_ratelimit in icmp(7)): shorter intervals show that as loss, which
	// [Report.Verdict] sees through.
	Interval time.Duration
	// Rounds is the number of rounds, default 0: until the context ends.
	Rounds int
	// Grace is how long answers are waited for after the last round, at most,
	// default: what [UDP.Watch] says.
	Grace time.Duration
}

// Probe is what became of one probe of a watch.
type Probe struct {
	Target netip.Addr `json:"target"`
	Method Method     `json:"method"`
	Port   uint16     `json:"port,omitzero"`
	Source netip.Addr `json:"source,omitzero"`
	Round  int        `json:"round"` // from 1 on
	TTL    int        `json:"ttl"`
	Sent   time.Time  `json:"sent"`
	// Late marks an answer that came after its probe had been given up and
	// told as silent.
	Late bool `json:"late,omitzero"`
	Reply
}

// Watch traces again and again, as mtr does, and gives what became of each
// probe as soon as that is known: with the answer, or once its Timeout is over.
// Probes that still may be answered are thus never taken for lost. Add them to
// a [Report] for statistics and a verdict.
//
// Each round sends one probe to each hop up to the end of the path; as long as
// that is not known, some rounds (the first three, and every tenth) go
// MaxSilent hops beyond the last one that answered, others one. The end is
// followed when the path becomes longer or shorter, or falls silent. After the
// last round, probes have at most the greater of 300 ms and three times the
// largest round trip left if the end of the path is known, or Grace. A reader that is
// slow delays rounds; they are not made up for. When this host does not let a
// probe out (OutcomeNotSent) the next round tries again.
//
// One set of sockets serves the whole watch, and memory does not grow with
// time. Queries and Ahead have no meaning here. The sequence can be used once.
// The last pair carries the error that ended the watch, if any: a context that
// ended, too.
func (u UDP) Watch(ctx context.Context, dst netip.Addr, o *WatchOptions) iter.Seq2[Probe, error] {
	return watchSeq(ctx, MethodUDP, dst, u.Options, o)
}

// Watch traces again and again, as [UDP.Watch] does. Of a SYN that was
// answered only after the kernel had repeated it, Retransmits tells; the
// first one was lost. The kernel does not tell when the target's own answer
// arrived: a slow reader lengthens its times.
func (t TCP) Watch(ctx context.Context, dst netip.Addr, o *WatchOptions) iter.Seq2[Probe, error] {
	return watchSeq(ctx, MethodTCP, dst, t.Options, o)
}

// Watch traces again and again, as [UDP.Watch] does.
func (i ICMP) Watch(ctx context.Context, dst netip.Addr, o *WatchOptions) iter.Seq2[Probe, error] {
	return watchSeq(ctx, MethodICMP, dst, i.Options, o)
}

func watchSeq(ctx context.Context, m Method, dst netip.Addr, o Options, wo *WatchOptions) iter.Seq2[Probe, error] {
	return func(yield func(Probe, error) bool) {
		more := true
		err := watch(ctx, m, dst, o, wo, func(p Probe) bool {
			more = yield(p, nil)
			return more
		})
		if more && err != nil {
			yield(Probe{}, err)
		}
	}
}

// minInterval bounds the rate of a watch.
const minInterval = 10 * time.Millisecond

// withDefaults checks the options and fills in what is not given.
func (wo *WatchOptions) withDefaults() (WatchOptions, error) {
	o := WatchOptions{}
	if wo != nil {
		o = *wo
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	switch {
	case o.Interval < minInterval:
		return o, fmt.Errorf("interval %v is less than %v", o.Interval, minInterval)
	case o.Rounds < 0:
		return o, fmt.Errorf("%d rounds are less than none", o.Rounds)
	case o.Grace < 0:
		return o, fmt.Errorf("grace %v is less than nothing", o.Grace)
	}
	return o, nil
}
