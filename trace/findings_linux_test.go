package trace_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// trialTimeout is enough for answers in the lab.
const trialTimeout = 1500 * time.Millisecond

// seen says what was found in short.
func seen(all []trace.Finding) string {
	var words []string
	for _, f := range all {
		words = append(words, fmt.Sprintf("%v %d", f.Kind, f.TTL))
	}
	return strings.Join(words, ", ")
}

// TestFindingsOfFilters has real filters, each of which lets something else
// pass.
func TestFindingsOfFilters(t *testing.T) {
	web := trace.TCP{Options: trace.Options{Port: 80, Timeout: trialTimeout}}
	for _, tt := range []struct {
		name string
		harm func(c *chain)
		want string
	}{
		{"none", func(*chain) {}, ""},
		{"port dropped", func(c *chain) { c.routers[1].Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 80}) }, "filter 2"},
		{"port refused", func(c *chain) {
			c.routers[1].Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 80, Action: lab.RejectAdmin})
		}, "refusal 2, filter 2"},
		{"port reset", func(c *chain) {
			c.routers[1].Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 80, Action: lab.RejectReset})
		}, "reset 2"},
		{"dropped by the server", func(c *chain) { c.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 80}) }, "filter 3"},
		{"everything dropped", func(c *chain) {
			for _, proto := range []string{"tcp", "udp"} {
				c.routers[2].Filter(lab.Forward, lab.Rule{Proto: proto})
			}
		}, "bad_hop 3"},
	} {
		c := newChain(t, 3)
		listen(t, c.server, 80)
		tt.harm(c)
		for _, family := range []int{4, 6} {
			udp := c.trace(t, trace.UDP{Options: trace.Options{Timeout: trialTimeout}}, c.target(family))
			if got := seen(c.trace(t, web, c.target(family)).Findings(udp)); got != tt.want {
				t.Errorf("%s, IPv%d: found %q, want %q", tt.name, family, got, tt.want)
			}
		}
	}
}

// TestFindingsOfNAT has router 2 of 3 translate addresses, as nft does it.
func TestFindingsOfNAT(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs nft")
	}
	for _, tt := range []struct {
		name, rules string
		want        string
	}{
		// The public address is router 2's own; port 8080 of it is the server's.
		{"port forwarded", "tcp dport 8080 dnat to %s:80", "nat 2"},
		// Without a trace: the way there looks as if nothing were changed.
		{"source translated", "", ""},
	} {
		c := newChain(t, 3)
		listen(t, c.server, 80)
		for _, family := range []int{4, 6} {
			ip, server := "ip", c.target(family).String()
			if family == 6 {
				ip, server = "ip6", "["+server+"]"
			}
			script := fmt.Sprintf("table %s n { chain o { type nat hook postrouting priority 100; oifname \"down\" masquerade; }; }", ip)
			dst, port := c.target(family), uint16(80)
			if tt.rules != "" {
				script = fmt.Sprintf("table %s n { chain i { type nat hook prerouting priority -100; %s; }; }", ip, fmt.Sprintf(tt.rules, server))
				dst, port = router(family, 2), 8080
			}
			if out, err := c.routers[1].Command("nft", script).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			udp := c.trace(t, trace.UDP{}, dst)
			p := c.trace(t, trace.TCP{Options: trace.Options{Port: port}}, dst)
			if !p.Reached {
				t.Errorf("%s, IPv%d: not reached", tt.name, family)
			}
			if got := seen(p.Findings(udp)); got != tt.want {
				t.Errorf("%s, IPv%d: found %q, want %q\n%q", tt.name, family, got, tt.want, words(p))
			}
		}
	}
}
