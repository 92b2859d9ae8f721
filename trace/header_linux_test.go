package trace_test

import (
	"sync"
	"testing"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/trace"
)

// TestTOS looks at the TOS byte, or the traffic class, of probes on the way.
func TestTOS(t *testing.T) {
	c := newChain(t, 1)
	var mu sync.Mutex
	seen := map[int]int{}
	frames(t, c.routers[0], c.up[1], func(frame []byte, _ func([]byte)) {
		b := frame[14:]
		tos := int(b[1])
		switch {
		case b[0]>>4 == 6 && b[6] == 58 && b[40] != 128: // neighbour discovery
			return
		case b[0]>>4 == 6:
			tos = int(b[0])<<4&0xf0 | int(b[1])>>4
		case frame[12] != 8 || frame[13] != 0:
			return // ARP
		}
		mu.Lock()
		seen[tos]++
		mu.Unlock()
	})
	sent := 0
	for _, family := range []int{4, 6} {
		o := trace.Options{TOS: 0x28}
		for _, tr := range []trace.Tracer{trace.UDP{Options: o}, trace.TCP{Options: o}, trace.ICMP{Options: o}} {
			sent += c.trace(t, tr, c.target(family)).Packets
		}
	}
	waitFor(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[0x28] >= sent
	})
	if len(seen) != 1 {
		t.Errorf("TOS and how often: %v, %d sent", seen, sent)
	}
}

// TestDontFragment has a narrow link, which tells, and a kernel that knows of
// it after the first trace.
func TestDontFragment(t *testing.T) {
	c := newChain(t, 3)
	c.routers[1].MTU("down", 1400)
	c.routers[2].MTU("up", 1400)
	for range 2 {
		for _, family := range []int{4, 6} {
			o := trace.Options{Size: 1450, DontFragment: true}
			for _, tr := range []trace.Tracer{trace.UDP{Options: o}, trace.ICMP{Options: o}} {
				p := c.trace(t, tr, c.target(family))
				ttl, e := p.Unreachable()
				if ttl != 3 || e == nil || e.Kind != icmperr.FragNeeded || e.MTU != 1400 || e.From != router(family, 2) {
					t.Errorf("IPv%d, %v: %q, %v", family, p.Method, words(p), e)
				}
				o.Size = 1400
				if p := c.trace(t, trace.UDP{Options: o}, c.target(family)); !p.Reached {
					t.Errorf("IPv%d, %d bytes: %q", family, o.Size, words(p))
				}
			}
		}
	}
}
