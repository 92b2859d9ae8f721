package trace_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"

	"github.com/netsonde/netsonde/trace"
)

// The path to this host has no router.
func ExampleUDP_Trace() {
	path, err := trace.UDP{}.Trace(context.Background(), netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		log.Fatal(err)
	}
	for _, hop := range path.Hops {
		for _, r := range hop.Replies {
			fmt.Println(hop.TTL, r.From, r.Outcome)
		}
	}
	fmt.Println(path.End, path.Flow)
	// Output:
	// 1 127.0.0.1 port_unreachable
	// reached constant
}

func ExampleTCP_Trace() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	target := netip.MustParseAddrPort(server.Addr().String())

	tracer := trace.TCP{Options: trace.Options{Port: target.Port()}}
	path, err := tracer.Trace(context.Background(), target.Addr())
	if err != nil {
		log.Fatal(err)
	}
	last, _ := path.LastAnswering()
	fmt.Println(path.Distance(), last.Replies[0].Outcome, path.Packets)
	// Output: 1 open 1
}

// Lines can be printed while the trace goes on.
func ExampleUDP_Hops() {
	for hop, err := range (trace.UDP{}).Hops(context.Background(), netip.MustParseAddr("127.0.0.1")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(hop.TTL, hop.Addrs())
	}
	// Output: 1 [127.0.0.1]
}

// Packets to this host are as long as the loopback interface allows.
func ExampleFindMTU() {
	mtu, err := trace.FindMTU(context.Background(), netip.MustParseAddr("127.0.0.1"), &trace.MTUOptions{Limit: 1500})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range mtu.Steps {
		fmt.Println(step.TTL, step.From, step.MTU, step.How)
	}
	fmt.Println(mtu.MTU, mtu.Exact, mtu.Why)
	// Output: 1500 true packets of 1500 bytes, the largest tried, get to the target
}

// What is wrong with a path, if another one to the same target tells.
func ExamplePath_Findings() {
	target := netip.MustParseAddr("127.0.0.1")
	udp, err := trace.UDP{}.Trace(context.Background(), target)
	if err != nil {
		log.Fatal(err)
	}
	tcp, err := trace.TCP{Options: trace.Options{Port: 9}}.Trace(context.Background(), target)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range tcp.Findings(udp) {
		fmt.Println(f.Kind, f.Why)
	}
	// Output: reset the reset comes from the target, or a filter in the last router before it (hop 1)
}
