package diagnose_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

// oddities are networks that look strange and are in order. Blaming anything in
// them is a false alarm.
var oddities = []struct {
	id      string
	routers int
	inject  func(n *network)
}{
	{"one segment", 0, nil},
	{"one router", 1, nil},
	{"K01 a chain of routers", 3, nil},
	{"K02 ICMP dropped everywhere", 2, func(n *network) {
		for _, h := range append(n.routers, n.server, n.ns) {
			for _, hook := range []lab.Hook{lab.Input, lab.Forward, lab.Output} {
				h.Filter(hook, lab.Rule{Proto: "icmp"})
			}
		}
	}},
	{"K03 UDP traceroute dropped", 2, func(n *network) {
		n.last().Filter(lab.Forward, lab.Rule{Proto: "udp"})
	}},
	{"K08 the gateway ignores ping", 1, func(n *network) {
		n.routers[0].Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest})
	}},
	{"K11 an idle bridge and unused cards", 1, func(n *network) {
		mustOutput(n.client, "ip", "link", "add", "docker0", "type", "bridge")
		mustOutput(n.client, "ip", "addr", "add", "172.17.0.1/16", "dev", "docker0")
		mustOutput(n.client, "ip", "link", "set", "docker0", "up")
		mustOutput(n.client, "ip", "link", "add", "eth7", "type", "veth", "peer", "name", "eth8")
	}},
	{"K15 an IPv6 address in the DNS and none on the host", 1, func(n *network) {
		z := n.zone()
		z.Records[n.fqdn()+"."] = append(z.Records[n.fqdn()+"."], "AAAA 2001:db8::7")
		n.serve(z.Answer)
	}},
	{"K09 a /32 address and an on-link gateway", 1, func(n *network) {
		n.client.FlushAddrs(n.clientIf)
		n.client.Addr(n.clientIf, netip.PrefixFrom(n.clientAddr, 32).String())
		n.client.RouteDev(netip.PrefixFrom(n.gateways[0], 32).String(), n.clientIf)
		n.client.RouteDev(netip.PrefixFrom(n.nsAddr, 32).String(), n.clientIf)
		n.client.Route(n.anywhere(), n.gateways[0].String())
	}},
}

// TestHealthy holds networks in order to be called reachable, whatever is odd
// about them, by address, by name and by name alone.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, o := range oddities {
		for _, a := range arms {
			t.Run(o.id+", "+a.name, func(t *testing.T) {
				t.Parallel()
				n := build(t, o.routers)
				a.prepare(n)
				if o.inject != nil {
					o.inject(n)
				}
				for _, target := range []string{n.target(), n.named(), fmt.Sprintf("http://%s/", n.target())} {
					r := diagnoseFrom(t, n.client, a.privileged, target)
					if !r.Healthy() || len(r.Causes) > 0 {
						t.Errorf("%s is reachable, and got %q\n%s", target, r.Verdict.Code, dump(r))
					}
					checkSteps(t, r)
					checkCost(t, r)
				}
			})
		}
	}
}

// TestHealthyHost examines hosts that are in order.
func TestHealthyHost(t *testing.T) {
	t.Parallel()
	for _, o := range oddities {
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			n := build(t, max(1, o.routers))
			if o.inject != nil {
				o.inject(n)
			}
			r := diagnoseFrom(t, n.client, false, "")
			if !r.Healthy() || len(r.Causes) > 0 {
				t.Errorf("the host is in order, and got %q\n%s", r.Verdict.Code, dump(r))
			}
			checkCost(t, r)
		})
	}
}

// checkSteps holds a healthy report to have no step that failed.
func checkSteps(t *testing.T, r diagnose.Report) {
	t.Helper()
	for _, s := range r.Steps {
		if s.State == diagnose.No {
			t.Errorf("step %s failed: %s\n%s", s.ID, s.Detail, dump(r))
		}
		if s.State == diagnose.NotChecked && s.Why == "" {
			t.Errorf("step %s was not checked and does not say why", s.ID)
		}
	}
}
