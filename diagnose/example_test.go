package diagnose_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/diagnose"
)

func ExampleRun() {
	ctx := context.Background()
	report, err := diagnose.Run(ctx, diagnose.Target{Host: "web1", Port: 80}, &diagnose.Options{Budget: 5 * time.Second})
	if err != nil {
		log.Fatal(err) // there was nothing to examine; a broken network is a report
	}
	if report.Healthy() {
		fmt.Println("reachable")
		return
	}
	fmt.Println(report.Verdict.Code, report.Verdict.Summary)
	for _, c := range report.Causes {
		for _, f := range report.FactsOf(c) {
			fmt.Println(f.Detail, "#", f.Command)
		}
	}
	for _, r := range report.Remedies {
		fmt.Println(r.Text, r.Command)
	}
}

func ExampleParseTarget() {
	for _, s := range []string{"web1", "web1:80", "https://web1.example.com/", "[2001:db8::7]:22", "web1:70000"} {
		target, err := diagnose.ParseTarget(s)
		fmt.Println(target.Host, target.Port, err)
	}
	// Output:
	// web1 0 <nil>
	// web1 80 <nil>
	// web1.example.com 443 <nil>
	// 2001:db8::7 22 <nil>
	//  0 target "web1:70000": port 70000 is not between 1 and 65535
}

// Facts from anywhere can be explained: a saved report, another collector.
func ExampleExplain() {
	path := diagnose.Scope{Iface: "eth0", Family: 4, Gateway: netip.MustParseAddr("192.0.2.1"), Peer: netip.MustParseAddr("198.51.100.7"), Port: 80}
	facts := []diagnose.Fact{
		{Name: diagnose.FactAdminUp, Subject: "eth0", State: diagnose.Yes, Scope: diagnose.Scope{Iface: "eth0"}},
		{Name: diagnose.FactCarrier, Subject: "eth0", State: diagnose.No, Scope: diagnose.Scope{Iface: "eth0"}},
		{Name: diagnose.FactOpen, Subject: "198.51.100.7:80", State: diagnose.No, Scope: path},
	}
	for _, c := range diagnose.Explain(facts).Causes {
		fmt.Println(c.Code, "explains", len(c.Explains), "more:", c.Summary)
	}
	// Output:
	// link.no_carrier explains 1 more: interface eth0 has no link: the cable is unplugged, or what it leads to is off
}

// A cause of one's own is data; it suppresses its consequences like any other.
func ExampleDefaultCauses() {
	const vpnDown diagnose.Code = "vpn.down"
	causes := append(diagnose.DefaultCauses(), diagnose.Cause{
		Code: vpnDown, Kind: diagnose.AtLocal, Confidence: diagnose.Confirmed,
		When:    []diagnose.Pattern{{Fact: "vpn.connected", State: diagnose.No}},
		Allows:  []string{diagnose.FactPath, diagnose.FactOpen},
		Summary: "the VPN {subject} is down",
	})
	facts := []diagnose.Fact{
		{Name: "vpn.connected", Subject: "office", State: diagnose.No},
		{Name: diagnose.FactOpen, Subject: "198.51.100.7:80", State: diagnose.No},
	}
	for _, c := range diagnose.Explain(facts, causes...).Causes {
		fmt.Println(c.Code, c.Summary)
	}
	// Output: vpn.down the VPN office is down
}
