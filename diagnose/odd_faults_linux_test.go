package diagnose_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

// oddFaults are faults that look like something else at first sight.
func oddFaults() []fault {
	var reject, self *lab.Counter
	atFirst := func(n *network) netip.Addr { return n.gateways[0] }
	return []fault{{
		id: "a router rejects everything as iptables does", routers: 2, code: diagnose.PathAdminProhibited, where: atFirst,
		inject: drop(lab.Forward, func(n *network) *lab.Host { return n.routers[0] }, func(n *network) lab.Rule {
			return lab.Rule{Dst: n.serverAddr.String(), Action: lab.RejectPort}
		}, &reject),
		bites: counted(&reject),
	}, {
		id: "own filter resets", routers: 1, code: diagnose.FWLocalEgress, also: []diagnose.Code{diagnose.FWRejectRST},
		inject: func(_ *testing.T, n *network) {
			n.client.Filter(lab.Output, lab.Rule{Proto: "tcp", DPort: uint16(n.port), Action: lab.RejectReset})
		},
	}, {
		id: "own filter stops the own address", routers: 1, code: diagnose.FWLocalIngress,
		target: func(n *network) string { return netip.AddrPortFrom(n.clientAddr, 81).String() },
		inject: drop(lab.Input, func(n *network) *lab.Host { return n.client }, func(*network) lab.Rule {
			return lab.Rule{Proto: "tcp", DPort: 81}
		}, &self),
		bites: counted(&self),
		and:   []diagnose.Code{diagnose.SvcNotListening},
	}, {
		id: "the gateway died a moment ago", routers: 1, code: diagnose.GWUnresolved, where: atFirst,
		also: []diagnose.Code{diagnose.GWNotForwarding},
		inject: func(_ *testing.T, n *network) {
			mustOutput(n.client, "ip", "neigh", "replace", n.gateways[0].String(), "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", n.clientIf)
			n.routers[0].PowerOff()
			mustOutput(n.client, "ip", "neigh", "replace", n.gateways[0].String(), "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", n.clientIf)
		},
	}, {
		id: "a dead first server and a name that is not there", routers: 1, code: diagnose.DNSNXDomain,
		target: func(n *network) string { return "nosuch." + n.domain + ".:80" },
		inject: func(_ *testing.T, n *network) {
			n.client.ResolvConf(fmt.Sprintf("nameserver %s\nnameserver %s\n", n.absent(), n.nsAddr))
		},
		and: []diagnose.Code{diagnose.DNSFirstServerDead},
	}, {
		id: "the name alone draws no answer", routers: 1, target: fullyNamed, code: diagnose.DNSAuthBroken,
		inject: func(_ *testing.T, n *network) {
			good := n.zone().Answer
			n.serve(func(q lab.DNSQuery) lab.DNSReply {
				if q.Name == "." {
					return good(q)
				}
				return lab.DNSReply{Drop: true}
			})
		},
	}, {
		id: "refused for this name alone", routers: 1, target: fullyNamed, code: diagnose.DNSAuthBroken,
		inject: func(_ *testing.T, n *network) {
			good := n.zone().Answer
			n.serve(func(q lab.DNSQuery) lab.DNSReply {
				if q.Name == "." {
					return good(q)
				}
				return lab.DNSReply{RCode: dnsmessage.RCodeRefused, RecursionAvailable: true}
			})
		},
	}, {
		id: "a rule of this host about the port", routers: 1, code: diagnose.RoutePolicyRule,
		inject: func(_ *testing.T, n *network) {
			mustOutput(n.client, "ip", "rule", "add", "ipproto", "tcp", "dport", fmt.Sprint(n.port), "prohibit")
		},
	}, {
		id: "a loop with a silent router", routers: 2, code: diagnose.PathLoop,
		inject: func(_ *testing.T, n *network) {
			n.last().DelRoute(n.serverNet())
			n.last().Route(n.serverNet(), n.back(len(n.routers)-1).String())
			n.routers[0].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
		},
	}, {
		id: "a filter behind silent routers", routers: 2, code: diagnose.FWServerDrop, also: []diagnose.Code{diagnose.FWPathDrop},
		inject: func(_ *testing.T, n *network) {
			for _, r := range n.routers {
				r.Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
			}
			n.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: uint16(n.port)})
		},
	}}
}

// TestLostDatagrams drops the first question that a name server gets, and the
// first one about each name: that is no fault.
func TestLostDatagrams(t *testing.T) {
	t.Parallel()
	n := build(t, 1)
	var seen sync.Map // questions come side by side
	good := n.zone().Answer
	n.serve(func(q lab.DNSQuery) lab.DNSReply {
		key := q.Name + q.Type.String()
		if q.Type == dnsmessage.TypeA {
			if _, known := seen.LoadOrStore(key, true); !known {
				return lab.DNSReply{Drop: true}
			}
		}
		return good(q)
	})
	if r := diagnoseFrom(t, n.client, false, n.named()); !r.Verdict.Reached || len(r.Causes) > 0 {
		t.Errorf("got %q\n%s", r.Verdict.Code, dump(r))
	}
}

// TestResolverIsTarget asks for the host that is the name server as well, as
// every home router is.
func TestResolverIsTarget(t *testing.T) {
	t.Parallel()
	n := build(t, 1)
	z := n.zone()
	z.Records["box."+n.domain+"."] = []string{"A " + n.nsAddr.String()}
	n.serve(z.Answer)
	for _, target := range []string{"box", "box:53"} {
		r := diagnoseFrom(t, n.client, false, target)
		if !r.Healthy() {
			t.Errorf("%s: got %q\n%s", target, r.Verdict.Code, dump(r))
		}
		checkSteps(t, r)
	}
}

// TestHostFalseGreen examines hosts whose tables look right and whose network
// is not: nothing may be called in order that was not seen to be.
func TestHostFalseGreen(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]func(n *network){
		"the gateway died a moment ago": func(n *network) {
			n.routers[0].PowerOff()
			mustOutput(n.client, "ip", "neigh", "replace", n.gateways[0].String(), "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", n.clientIf)
		},
		"the name server refuses": func(n *network) {
			n.serve(func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{RCode: dnsmessage.RCodeRefused} })
		},
		"resolv.conf is empty": func(n *network) { n.client.ResolvConf("") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			inject(n)
			if r := diagnoseFrom(t, n.client, false, ""); r.Verdict.Reached {
				t.Errorf("called in order: %s", dump(r))
			}
		})
	}
}
