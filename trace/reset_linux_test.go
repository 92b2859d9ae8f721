package trace_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// TestResetOrigin has port 82 reset by the client's own filter, by each router
// and by the server, and asks where the reset comes from.
func TestResetOrigin(t *testing.T) {
	c := newChain(t, 3)
	listen(t, c.server, 80)
	reset := lab.Rule{Proto: "tcp", DPort: 82, Action: lab.RejectReset}
	to82 := trace.TCP{Options: trace.Options{Port: 82}}
	for _, family := range []int{4, 6} {
		udp, tcp80 := c.trace(t, trace.UDP{}, c.target(family)), c.trace(t, trace.TCP{}, c.target(family))
		if udp.Distance() != 4 || tcp80.Distance() != 4 {
			t.Fatalf("distances %d and %d", udp.Distance(), tcp80.Distance())
		}
		for hop := range 5 {
			at, hook := c.client, lab.Output
			want := trace.Reset{TTL: hop + 1, Origin: trace.ResetHop, Hop: hop}
			switch {
			case hop == 4: // nobody listens on port 82
				at, hook, want.TTL = c.server, lab.Input, 4
			case hop > 0:
				at, hook, want.From = c.routers[hop-1], lab.Forward, router(family, hop)
			}
			if want.TTL == 4 { // the last router's filter looks like the server
				want.Origin, want.Hop, want.From = trace.ResetTarget, 4, c.target(family)
			}
			counter := at.Filter(hook, reset)
			p := c.trace(t, to82, c.target(family))
			for _, other := range []trace.Path{udp, tcp80} {
				got, ok := p.Refused(other)
				if d := cmp.Diff(want, got, cmpAddr); d != "" || !ok {
					t.Errorf("IPv%d reset at %d, against %v: %v (-want +got)\n%s\n%v", family, hop, other.Method, ok, d, words(p))
				}
			}
			// By itself a path with resets does not know the distance.
			if got, ok := p.Refused(); !ok || got.Origin != trace.ResetUnknown || got.TTL != want.TTL {
				t.Errorf("IPv%d reset at %d: %+v, %v", family, hop, got, ok)
			}
			if counter.Packets() == 0 {
				t.Errorf("IPv%d reset at %d: the filter took nothing", family, hop)
			}
			at.ClearFilters()
		}
		if got, ok := tcp80.Refused(udp); ok {
			t.Errorf("port 80: %+v", got)
		}
	}
}

// TestRateLimitedHop has router 2 answer once a second, as Linux routers do
// towards one host when their tokens are spent, on a path that is dead behind
// router 3: there is time to ask again.
func TestRateLimitedHop(t *testing.T) {
	c := newChain(t, 3)
	c.server.Filter(lab.Input, lab.Rule{Proto: "udp"})
	c.routers[1].Sysctl("net/ipv4/icmp_ratelimit", "1000")
	c.routers[1].Sysctl("net/ipv6/icmp/ratelimit", "1000")
	for _, family := range []int{4, 6} {
		t.Run(fmt.Sprint(family), func(t *testing.T) {
			limited := func(p trace.Path) bool { return len(p.Hops) > 1 && words(p)[1] == "2 silent" }
			asked := 0
			short := trace.UDP{Options: trace.Options{FirstTTL: 2, MaxTTL: 2, Timeout: 1e8}}
			waitFor(t, func() bool { // spend its tokens
				asked++
				p := c.trace(t, short, c.target(family))
				return words(p)[0] == "2 silent"
			})
			if asked < 2 {
				t.Fatal("the router never answered")
			}
			p := c.trace(t, trace.UDP{}, c.target(family))
			if limited(p) || len(p.Hops) < 2 || len(p.Hops[1].Replies) != 2 ||
				p.Hops[1].Replies[1].Outcome != trace.OutcomeTimeExceeded {
				t.Errorf("after %d questions: %v", asked, words(p))
			}
		})
	}
}
