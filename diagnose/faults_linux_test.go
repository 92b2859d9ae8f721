package diagnose_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

// fault is one broken network and what has to be said about it.
type fault struct {
	id      string
	routers int
	v6      bool
	// target is what the user types; nil is the server's address and port.
	target func(n *network) string
	inject func(t *testing.T, n *network)
	// bites proves from outside the tool that the fault was there while it ran.
	bites func(t *testing.T, n *network)
	code  diagnose.Code
	where func(n *network) netip.Addr // nil: anywhere
	also  []diagnose.Code             // must be among the ambiguous ones
	and   []diagnose.Code             // further causes, beside code
	never []diagnose.Code             // must not be named, nor be among the ambiguous ones
	// sureWhen says in which arm the cause is confirmed, and in no other; nil:
	// not looked at.
	sureWhen func(a arm) bool
	iface    func(n *network) string // the interface that it is located at; nil: any
}

func named(n *network) string { return n.named() }

// counters are the proof of faults that are filters.
func drop(hook lab.Hook, on func(n *network) *lab.Host, rule func(n *network) lab.Rule, c **lab.Counter) func(*testing.T, *network) {
	return func(_ *testing.T, n *network) { *c = on(n).Filter(hook, rule(n)) }
}

func counted(c **lab.Counter) func(*testing.T, *network) {
	return func(t *testing.T, _ *network) {
		if (*c).Packets() == 0 {
			t.Error("the fault did not bite: its rule saw no packet")
		}
	}
}

func faults() []fault {
	var d38, d39, d42 *lab.Counter
	return []fault{{
		id: "D01 no carrier", routers: 1, code: diagnose.LinkNoCarrier,
		inject: func(_ *testing.T, n *network) { n.uplink.Down() },
		bites: func(t *testing.T, n *network) {
			wantOutput(t, n.client, "NO-CARRIER", "ip", "link", "show", n.clientIf)
		},
	}, {
		id: "D01 no carrier, by name", routers: 1, target: named, code: diagnose.LinkNoCarrier,
		inject: func(_ *testing.T, n *network) { n.uplink.Down() },
	}, {
		id: "D02 admin down", routers: 1, code: diagnose.LinkAdminDown,
		inject: func(_ *testing.T, n *network) { n.client.Down(n.clientIf) },
		bites: func(t *testing.T, n *network) {
			wantOutput(t, n.client, "state DOWN", "ip", "link", "show", n.clientIf)
		},
	}, {
		id: "D03 no address", routers: 1, code: diagnose.AddrNone,
		inject: func(_ *testing.T, n *network) { n.client.FlushAddrs(n.clientIf) },
	}, {
		id: "D03 no address, by name", routers: 1, target: named, code: diagnose.AddrNone,
		inject: func(_ *testing.T, n *network) { n.client.FlushAddrs(n.clientIf) },
	}, {
		id: "D08 no default route", routers: 1, code: diagnose.RouteNoDefault,
		inject: func(_ *testing.T, n *network) { n.client.DelRoute(n.anywhere()) },
	}, {
		id: "D08 no default route, by name", routers: 2, target: named, code: diagnose.RouteNoDefault,
		inject: func(_ *testing.T, n *network) { n.client.DelRoute(n.anywhere()) },
	}, {
		id: "D09 nobody is the gateway", routers: 1, code: diagnose.GWUnresolved,
		inject: func(_ *testing.T, n *network) {
			n.client.DelRoute(n.anywhere())
			n.client.Route(n.anywhere(), n.absent().String())
		},
		where: (*network).absent,
		bites: func(t *testing.T, n *network) {
			wantNot(t, n.client, "lladdr", "ip", "neigh", "show", n.absent().String())
		},
	}, {
		id: "D17 no name server", routers: 1, target: named, code: diagnose.DNSNoNameserver,
		inject: func(_ *testing.T, n *network) { n.client.ResolvConf("search " + n.domain + "\n") },
	}, {
		id: "D20 name server's port closed", routers: 1, target: named, code: diagnose.DNSPortClosed,
		inject: func(_ *testing.T, n *network) { n.dns.Close() },
		where:  func(n *network) netip.Addr { return n.nsAddr },
	}, {
		id: "D22 search domain missing", routers: 1, target: named, code: diagnose.DNSSearchMissing,
		inject: func(_ *testing.T, n *network) { n.client.ResolvConf(fmt.Sprintf("nameserver %s\n", n.nsAddr)) },
	}, {
		id: "D23 no such name", routers: 1, code: diagnose.DNSNXDomain,
		target: func(n *network) string { return fmt.Sprintf("nosuch.%s:%d", n.domain, n.port) },
		where:  func(n *network) netip.Addr { return n.nsAddr },
	}, {
		id: "D28 blackhole behind a hop", routers: 2, code: diagnose.PathBlackhole,
		inject: func(_ *testing.T, n *network) { n.unroute().Blackhole(n.serverNet()) },
		where:  func(n *network) netip.Addr { return n.gateways[len(n.gateways)-2] },
	}, {
		id: "D29 unreachable route on the way", routers: 2, code: diagnose.PathHostUnreachable,
		inject: func(_ *testing.T, n *network) { n.unroute().Unreachable(n.serverNet()) },
		where:  func(n *network) netip.Addr { return n.gateways[len(n.gateways)-1] },
	}, {
		id: "D29 no route on the way", routers: 2, code: diagnose.PathNetUnreachable,
		inject: func(_ *testing.T, n *network) { n.routers[0].DelRoute(n.anywhere()) },
		where:  func(n *network) netip.Addr { return n.gateways[0] },
	}, {
		id: "D31 host off", routers: 2, code: diagnose.PathHostUnreachable,
		inject: func(_ *testing.T, n *network) { n.server.PowerOff() },
		where:  func(n *network) netip.Addr { return n.gateways[len(n.gateways)-1] },
	}, {
		id: "D32 routing loop", routers: 2, code: diagnose.PathLoop,
		inject: func(_ *testing.T, n *network) {
			n.last().DelRoute(n.serverNet())
			n.last().Route(n.serverNet(), n.back(len(n.routers)-1).String())
		},
	}, {
		id: "D36 nothing listens", routers: 1, code: diagnose.SvcNotListening,
		target: func(n *network) string { return netip.AddrPortFrom(n.serverAddr, uint16(n.port+1)).String() },
		where:  func(n *network) netip.Addr { return n.serverAddr },
	}, {
		id: "D38 a firewall on the way resets", routers: 2, code: diagnose.FWRejectRST,
		inject: drop(lab.Forward, func(n *network) *lab.Host { return n.routers[0] }, func(n *network) lab.Rule {
			return lab.Rule{Proto: "tcp", DPort: uint16(n.port), Action: lab.RejectReset}
		}, &d38),
		bites: counted(&d38),
		where: func(n *network) netip.Addr { return n.gateways[0] },
	}, {
		id: "D39 a firewall on the way drops the port", routers: 2, code: diagnose.FWPathDrop,
		inject: drop(lab.Forward, (*network).last, func(n *network) lab.Rule {
			return lab.Rule{Proto: "tcp", DPort: uint16(n.port)}
		}, &d39),
		bites: counted(&d39),
		where: func(n *network) netip.Addr { return n.gateways[len(n.gateways)-1] },
		also:  []diagnose.Code{diagnose.FWServerDrop},
	}, {
		id: "D42 own filter drops what goes out", routers: 1, code: diagnose.FWLocalEgress,
		inject: drop(lab.Output, func(n *network) *lab.Host { return n.client }, func(n *network) lab.Rule {
			return lab.Rule{Proto: "tcp", DPort: uint16(n.port)}
		}, &d42),
		bites: counted(&d42),
	}}
}

// faults6 are those of the faults that IPv6 has a way of its own for, over IPv6.
func faults6() []fault {
	ids := []string{"D03 no address", "D08 no default route", "D09", "D28", "D29", "D31", "D32", "D36", "D38", "D39"}
	var six []fault
	for _, f := range faults() {
		if f.target != nil && f.id[:3] != "D36" || !slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(f.id, id) }) {
			continue
		}
		f.id, f.v6 = f.id+" over IPv6", true
		if f.code == diagnose.PathHostUnreachable && !strings.HasPrefix(f.id, "D31") {
			f.code = diagnose.PathNetUnreachable // an unreachable route answers "no route" there
		}
		six = append(six, f)
	}
	return six
}

// TestFaults breaks a network in each way and holds the verdict against what
// was broken, with all capabilities and with none; and holds the same network
// unbroken to be healthy.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, a := range arms {
		for _, f := range slices.Concat(faults(), moreFaults(), oddFaults(), faults6()) {
			t.Run(f.id+", "+a.name, func(t *testing.T) {
				t.Parallel()
				f.check(t, a)
			})
		}
	}
}

// arm is what the user may do.
type arm struct {
	name       string
	privileged bool
	ping       bool
}

var arms = []arm{
	{"all capabilities", true, true},
	{"no capabilities", false, true},
	{"no capabilities and no ping", false, false},
}

func (a arm) prepare(n *network) {
	if !a.ping {
		n.client.Sysctl("net/ipv4/ping_group_range", "1 0")
	}
}

func (f fault) check(t *testing.T, a arm) {
	n := f.build(t, a)
	f.checkTwin(t, a, n)
	target := n.target()
	if f.target != nil {
		target = f.target(n)
	}
	sent := n.client.Filter(lab.Output, lab.Rule{Action: lab.Count})
	if f.inject != nil {
		f.inject(t, n)
	}
	r := diagnoseFrom(t, n.client, a.privileged, target)
	if f.bites != nil {
		f.bites(t, n)
	}
	want := append([]diagnose.Code{f.code}, f.and...)
	if r.Verdict.Code != f.code || !slices.Equal(codesOf(r.Causes), want) || len(r.Unexplained) > 0 {
		t.Fatalf("verdict %q, causes %v, unexplained %v, want %q\n%s", r.Verdict.Code, codesOf(r.Causes), r.Unexplained, want, dump(r))
	}
	if f.where != nil && (r.Verdict.Where == nil || r.Verdict.Where.Addr != f.where(n)) {
		t.Errorf("located at %v, want %v\n%s", r.Verdict.Where, f.where(n), dump(r))
	}
	for _, code := range f.also {
		if !slices.Contains(codesOf(r.Ambiguous), code) {
			t.Errorf("ambiguous %v, want %q among them", codesOf(r.Ambiguous), code)
		}
	}
	if sure := r.Verdict.Confidence == diagnose.Confirmed; f.sureWhen != nil && sure != f.sureWhen(a) {
		t.Errorf("%v, in the arm %s\n%s", r.Verdict.Confidence, a.name, dump(r))
	}
	if f.iface != nil && (r.Verdict.Where == nil || r.Verdict.Where.Iface != f.iface(n)) {
		t.Errorf("located at %v, want %s\n%s", r.Verdict.Where, f.iface(n), dump(r))
	}
	for _, x := range slices.Concat(r.Causes, r.Ambiguous) {
		if slices.Contains(f.never, x.Code) {
			t.Errorf("%q must not be named\n%s", x.Code, dump(r))
		}
	}
	if len(r.Remedies) == 0 || len(r.Causes[0].Evidence) == 0 {
		t.Errorf("no remedy or no evidence\n%s", dump(r))
	}
	for _, e := range r.FactsOf(r.Causes[0]) {
		if e.Command == "" {
			t.Errorf("fact %s has no command that shows it", e.Name)
		}
	}
	checkCost(t, r)
	if p := sent.Packets(); p > diagnose.MaxPackets {
		t.Errorf("%d packets were sent, by the kernel's own count, and %d told; want at most %d", p, r.Cost.Packets, diagnose.MaxPackets)
	}
}

func (f fault) build(t *testing.T, a arm) *network {
	family := 4
	if f.v6 {
		family = 6
	}
	n := buildFamily(t, f.routers, family)
	a.prepare(n)
	return n
}

// checkTwin holds the same network before the fault to be healthy, and lets
// everybody forget what they learnt meanwhile.
func (f fault) checkTwin(t *testing.T, a arm, n *network) {
	t.Helper()
	for _, target := range []string{n.target(), n.named()} {
		if r := diagnoseFrom(t, n.client, a.privileged, target); !r.Healthy() {
			t.Errorf("without the fault: %q\n%s", r.Verdict.Code, dump(r))
		}
	}
	for _, h := range append([]*lab.Host{n.client, n.server, n.ns}, n.routers...) {
		h.ForgetNeighbors()
	}
}

// checkCost holds every run to the promised number of packets.
func checkCost(t *testing.T, r diagnose.Report) {
	t.Helper()
	if r.Cost.Packets > diagnose.MaxPackets {
		t.Errorf("%d packets sent, want at most %d", r.Cost.Packets, diagnose.MaxPackets)
	}
	t.Logf("%s: %d packets, %v", r.Verdict.Code, r.Cost.Packets, r.Cost.Wall)
}

func codesOf(findings []diagnose.Finding) (out []diagnose.Code) {
	for _, f := range findings {
		out = append(out, f.Code)
	}
	return out
}

// dump prints the facts of a report for a person who has to find out why.
func dump(r diagnose.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Verdict.Code, r.Verdict.Summary)
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "  %-11s %-22s %-24s value=%q at=%v neutral=%v %s%s\n", f.State, f.Name, f.Subject, f.Value, f.At, f.Neutral, f.Detail, f.Why)
	}
	for _, f := range slices.Concat(r.Causes, r.Ambiguous) {
		fmt.Fprintf(&b, "  %s: %v\n", f.Code, f.Summary)
	}
	return b.String()
}
