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
	"golang.org/x/sys/unix"

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
					d, err := c.compareEngine(t, e, m, family, trace.Options{})
					// Once more, by itself and hop by hop: Linux refuses five times in
					// a row, then once a second.
					for tries := 0; d != "" && tries < 3; tries++ {
						mu.Lock()
						time.Sleep(3 * time.Second)
						d, err = c.compareEngine(t, e, m, family, trace.Options{Ahead: 1})
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

func (c *chain) compareEngine(t *testing.T, e *trace.Engine, m trace.Method, family int, o trace.Options) (diff string, err error) {
	raw, err := e.Tracer(m, o).Trace(t.Context(), c.target(family))
	if err != nil {
		return "", err
	}
	var plain trace.Path
	err = c.client.DoUnprivileged(func() (err error) {
		plain, err = unprivileged(m, o).Trace(t.Context(), c.target(family))
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

// A probe that is too big for the second cable comes back as that, with the
// size that fits, again and again: the engine does not fragment.
func TestEngineTooBig(t *testing.T) {
	c := newChain(t, 3)
	c.nodes[2].MTU("down", 1300)
	c.nodes[3].MTU("up", 1300)
	e := c.openEngine(t, trace.EngineOptions{})
	for range 2 {
		for _, m := range []trace.Method{trace.MethodUDP, trace.MethodICMP} {
			for _, family := range []int{4, 6} {
				p, err := e.Tracer(m, trace.Options{Size: 1400}).Trace(t.Context(), c.target(family))
				if d := cmp.Diff(refused(family, 2, 3, "frag_needed"), words(p)); d != "" || err != nil {
					t.Errorf("%v IPv%d: %v (-want +got)\n%s", m, family, err, d)
				} else if _, refusal := p.Unreachable(); refusal.MTU != 1300 {
					t.Errorf("%v IPv%d: %+v", m, family, refusal)
				}
				p, err = e.Tracer(m, trace.Options{Size: 1300}).Trace(t.Context(), c.target(family))
				if err != nil || p.Distance() != 4 {
					t.Errorf("%v IPv%d of 1300 bytes: %v, %v", m, family, err, words(p))
				}
			}
		}
	}
	p, err := e.Tracer(trace.MethodUDP, trace.Options{Size: 1501}).Trace(t.Context(), c.target(4))
	if err != nil || p.End != trace.EndNotSent || p.Hops[0].Replies[0].Errno != unix.EMSGSIZE {
		t.Errorf("longer than the interface takes: %v, %+v", err, p)
	}
}

// TestEngineRateLimitedHop is TestRateLimitedHop by the engine: on a path that
// is dead there is time to ask a router again that answers once a second.
func TestEngineRateLimitedHop(t *testing.T) {
	c := newChain(t, 3)
	c.server.Filter(lab.Input, lab.Rule{Proto: "udp"})
	c.routers[1].Sysctl("net/ipv4/icmp_ratelimit", "1000")
	c.routers[1].Sysctl("net/ipv6/icmp/ratelimit", "1000")
	e := c.openEngine(t, trace.EngineOptions{})
	for _, family := range []int{4, 6} {
		ask := func(o trace.Options) []string {
			p, err := e.Tracer(trace.MethodUDP, o).Trace(t.Context(), c.target(family))
			if err != nil {
				t.Error(err)
			}
			return words(p)
		}
		waitFor(t, func() bool { // spend its tokens
			return ask(trace.Options{FirstTTL: 2, MaxTTL: 2, Timeout: 100 * time.Millisecond})[0] == "2 silent"
		})
		if lines := ask(trace.Options{}); len(lines) < 3 || lines[1] != fmt.Sprint("2 time_exceeded ", router(family, 2)) {
			t.Errorf("IPv%d: %q", family, lines)
		}
	}
}
