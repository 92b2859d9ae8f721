package trace_test

import (
	"fmt"
	"net/netip"

	"github.com/netsonde/netsonde/trace"
)

// Who resets connections to port 82: the server, or a firewall before it?
func ExamplePath_Refused() {
	server, router := netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("192.0.2.1")
	hop := func(ttl int, o trace.Outcome, from netip.Addr) trace.Hop {
		return trace.Hop{TTL: ttl, Replies: []trace.Reply{{Outcome: o, From: from}}}
	}
	port82 := trace.Path{Target: server, Hops: []trace.Hop{
		hop(1, trace.OutcomeTimeExceeded, router),
		hop(2, trace.OutcomeRefused, server),
	}}
	port80 := trace.Path{Target: server, Hops: []trace.Hop{
		hop(1, trace.OutcomeTimeExceeded, router),
		hop(2, trace.OutcomeTimeExceeded, netip.MustParseAddr("192.0.2.2")),
		hop(3, trace.OutcomeOpen, server),
	}}
	reset, _ := port82.Refused(port80)
	fmt.Println("port 80 answers after", port80.Distance(), "hops")
	fmt.Println("port 82 is reset by", reset.Origin, reset.Hop, reset.From)
	// Output:
	// port 80 answers after 3 hops
	// port 82 is reset by hop 1 192.0.2.1
}
