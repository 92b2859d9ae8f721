package trace_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// openEngine opens an engine in the client of a chain.
func (c *chain) openEngine(t testing.TB, o trace.EngineOptions) *trace.Engine {
	t.Helper()
	o.NetNS = c.client.NetNSFD()
	e, err := trace.Open(&o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// lastWords is how a server without services answers each method.
var lastWords = map[trace.Method]string{
	trace.MethodUDP: "port_unreachable", trace.MethodTCP: "refused", trace.MethodICMP: "echo_reply",
}

// unprivileged is the tracer of a method that needs no engine.
func unprivileged(m trace.Method, o trace.Options) trace.Tracer {
	switch m {
	case trace.MethodUDP:
		return trace.UDP{Options: o}
	case trace.MethodTCP:
		return trace.TCP{Options: o}
	}
	return trace.ICMP{Options: o}
}

func TestEngineChain(t *testing.T) {
	c := newChain(t, 29)
	e := c.openEngine(t, trace.EngineOptions{})
	for m, last := range lastWords {
		for _, family := range []int{4, 6} {
			for _, o := range []trace.Options{{}, {Queries: 3}, {Size: 1000}, {Source: near(family, 0)}} {
				p, err := e.Tracer(m, o).Trace(t.Context(), c.target(family))
				if d := cmp.Diff(reached(family, c, last), words(p)); d != "" || err != nil {
					t.Errorf("%v IPv%d %+v: %v (-want +got)\n%s", m, family, o, err, d)
				}
				if p.Method != m || p.Flow != trace.FlowConstant || p.Source != near(family, 0) || p.Packets < 30*max(1, o.Queries) {
					t.Errorf("%v IPv%d: flow %v from %v, %d packets", p.Method, family, p.Flow, p.Source, p.Packets)
				}
				for _, h := range p.Hops {
					for _, r := range h.Replies {
						if r.Outcome != trace.OutcomeSilent && (r.Stamp == trace.StampNone || r.RTT <= 0 ||
							r.ReplyTTL != 65-h.TTL && r.ReplyTTL != 256-h.TTL) {
							t.Errorf("%v IPv%d TTL %d: %+v", m, family, h.TTL, r)
						}
					}
				}
			}
		}
	}
}

// outline is a path as a line a hop with who answered first, and the end.
func outline(p trace.Path) []string {
	var lines []string
	for _, h := range p.Hops {
		line := "*"
		if r, ok := h.Answered(); ok {
			line = fmt.Sprint(r.Outcome, " ", r.From)
			if r.ICMP != nil {
				line += " " + r.ICMP.Kind.String() + r.ICMP.Symbol()
			}
		} else if slices.ContainsFunc(h.Replies, func(r trace.Reply) bool { return r.Outcome == trace.OutcomeNotSent }) {
			line = "not sent"
		}
		lines = append(lines, line)
	}
	return append(lines, p.End.String())
}

// TestEngineLikeUnprivileged compares the two on chains of random length with
// random faults.
func TestEngineLikeUnprivileged(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	mu := sync.Mutex{}
	var wg sync.WaitGroup
	for name, harm := range engineHarms(t) {
		c := newChain(t, 1+rng.IntN(5))
		at := rng.IntN(len(c.routers))
		harm(c, at)
		e := c.openEngine(t, trace.EngineOptions{})
		for m := range lastWords {
			for _, family := range []int{4, 6} {
				wg.Go(func() {
					d, err := c.compareEngine(t, e, m, family)
					// Once more, by itself: routers limit the rate of some answers.
					for tries := 0; d != "" && tries < 3; tries++ {
						mu.Lock()
						time.Sleep(1100 * time.Millisecond)
						d, err = c.compareEngine(t, e, m, family)
						mu.Unlock()
					}
					if d != "" || err != nil {
						t.Errorf("%s at %d of %d, %v IPv%d: %v (-unprivileged +engine)\n%s", name, at+1, len(c.routers), m, family, err, d)
					}
				})
			}
		}
	}
	wg.Wait()
}

func (c *chain) compareEngine(t *testing.T, e *trace.Engine, m trace.Method, family int) (diff string, err error) {
	raw, err := e.Tracer(m, trace.Options{}).Trace(t.Context(), c.target(family))
	if err != nil {
		return "", err
	}
	var plain trace.Path
	err = c.client.DoUnprivileged(func() (err error) {
		plain, err = unprivileged(m, trace.Options{}).Trace(t.Context(), c.target(family))
		return err
	})
	if plain.Source != raw.Source {
		diff = fmt.Sprintf("source %v and %v\n", plain.Source, raw.Source)
	}
	return diff + cmp.Diff(outline(plain), outline(raw)), err
}

// engineHarms are those that traceroute is compared on, and those that it
// knows nothing of.
func engineHarms(t testing.TB) map[string]func(c *chain, at int) {
	all := map[string]func(c *chain, at int){
		"client filter drops": func(c *chain, _ int) { c.client.Filter(lab.Output, lab.Rule{Family: 4}) },
		"client filter rejects": func(c *chain, _ int) {
			for _, r := range []lab.Rule{{Proto: "tcp"}, {Proto: "udp"}, {ICMP: lab.EchoRequest}} {
				r.Action = lab.RejectAdmin
				c.client.Filter(lab.Output, r)
			}
		},
		"client without route": func(c *chain, _ int) {
			c.client.DelRoute(fmt.Sprintf("10.9.%d.0/24", len(c.routers)))
			c.client.DelRoute(fmt.Sprintf("fd09:0:0:%x::/64", len(c.routers)))
		},
		"open port": func(c *chain, _ int) { listen(t, c.server, 80) },
		"small MTU": func(c *chain, at int) { c.nodes[at+1].MTU("down", 1300); c.nodes[at+2].MTU("up", 1300) },
	}
	maps.Copy(all, harms)
	return all
}
