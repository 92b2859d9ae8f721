package diagnose_test

import (
	"fmt"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"

	"testing"
)

// moreFaults are faults whose causes come out of the same table of causes.
func moreFaults() []fault {
	var d21, d40 *lab.Counter
	atNS := func(n *network) netip.Addr { return n.nsAddr }
	atFirst := func(n *network) netip.Addr { return n.gateways[0] }
	return []fault{{
		id: "D04 only a link-local address", routers: 1, code: diagnose.AddrLinkLocalOnly,
		inject: func(_ *testing.T, n *network) {
			n.client.FlushAddrs(n.clientIf)
			n.client.Addr(n.clientIf, "169.254.7.9/16")
		},
	}, {
		id: "D10 the gateway does not forward", routers: 1, code: diagnose.GWNotForwarding, where: atFirst,
		inject: func(_ *testing.T, n *network) { n.routers[0].Sysctl("net/ipv4/ip_forward", "0") },
	}, {
		id: "D13 own blackhole route", routers: 1, code: diagnose.RouteLocalBlackhole,
		inject: func(_ *testing.T, n *network) { n.client.Blackhole(n.serverNet()) },
	}, {
		id: "D14 own policy rule", routers: 1, code: diagnose.RoutePolicyRule,
		inject: func(_ *testing.T, n *network) {
			mustOutput(n.client, "ip", "rule", "add", "to", n.serverNet(), "prohibit")
		},
	}, {
		id: "D18 name server down", routers: 1, target: named, code: diagnose.DNSServerDown, where: atNS,
		inject: func(_ *testing.T, n *network) { n.ns.PowerOff() },
	}, {
		id: "D19 no route to the name server", routers: 1, target: named, code: diagnose.PathNetUnreachable, where: atFirst,
		inject: func(_ *testing.T, n *network) { n.client.ResolvConf("nameserver 192.0.2.53\n") },
	}, {
		id: "D21 name server's port filtered", routers: 1, target: named, code: diagnose.DNSPortFiltered, where: atNS,
		inject: drop(lab.Input, func(n *network) *lab.Host { return n.ns }, func(*network) lab.Rule {
			return lab.Rule{Proto: "udp", DPort: 53}
		}, &d21),
		bites: counted(&d21),
	}, {
		id: "D24 recursion broken", routers: 1, target: fullyNamed, code: diagnose.DNSRecursionBroken, where: atNS,
		inject: func(_ *testing.T, n *network) {
			n.serve(lab.Zone{Origin: "inner.test.", Records: map[string][]string{"@": {"A 10.0.0.1"}}}.Answer)
		},
	}, {
		id: "D25 the zone's own servers broken", routers: 1, target: fullyNamed, code: diagnose.DNSAuthBroken, where: atNS,
		inject: func(_ *testing.T, n *network) {
			good := n.zone().Answer
			n.serve(func(q lab.DNSQuery) lab.DNSReply {
				if q.Name == "." {
					return good(q)
				}
				return lab.DNSReply{RCode: dnsmessage.RCodeServerFailure, RecursionAvailable: true}
			})
		},
	}, {
		id: "D27 the first of two name servers is dead", routers: 1, target: named, code: diagnose.DNSFirstServerDead,
		inject: func(_ *testing.T, n *network) {
			n.client.ResolvConf(fmt.Sprintf("search %s\nnameserver %s\nnameserver %s\n", n.domain, n.absent(), n.nsAddr))
		},
		where: (*network).absent,
	}, {
		id: "D30 a router prohibits", routers: 2, code: diagnose.PathAdminProhibited,
		inject: func(_ *testing.T, n *network) { n.last().Prohibit(n.serverNet()) },
		where:  func(n *network) netip.Addr { return n.gateways[len(n.gateways)-1] },
	}, {
		id: "D33 the server has no way back", routers: 2, code: diagnose.PathBlackhole,
		inject: func(_ *testing.T, n *network) { n.server.DelRoute(n.anywhere()) },
		also:   []diagnose.Code{diagnose.ServerNoReturnRoute},
	}, {
		id: "D40 the server's filter, on one segment", routers: 0, code: diagnose.FWServerDrop,
		inject: drop(lab.Input, func(n *network) *lab.Host { return n.server }, func(n *network) lab.Rule {
			return lab.Rule{Proto: "tcp", DPort: uint16(n.port)}
		}, &d40),
		bites: counted(&d40),
		where: func(n *network) netip.Addr { return n.serverAddr },
	}, {
		id: "the target is off, on one segment", routers: 0, code: diagnose.PathHostUnreachable,
		inject: func(_ *testing.T, n *network) { n.server.PowerOff() },
		where:  func(n *network) netip.Addr { return n.serverAddr },
	}, {
		id: "a name without an address", routers: 1, target: fullyNamed, code: diagnose.DNSNoData, where: atNS,
		inject: func(_ *testing.T, n *network) {
			z := n.zone()
			z.Records[n.fqdn()+"."] = []string{"TXT nothing here"}
			n.serve(z.Answer)
		},
	}}
}

func fullyNamed(n *network) string { return fmt.Sprintf("%s.:%d", n.fqdn(), n.port) }

// serve puts another name server in the place of the first one.
func (n *network) serve(h lab.DNSHandler) {
	n.dns.Close()
	n.dns = n.ns.ServeDNS(netip.AddrPortFrom(n.nsAddr, 53).String(), h)
}
