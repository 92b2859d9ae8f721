package ping_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/netsonde/netsonde/ping"
)

// One engine for the whole program; what this system does not allow is said
// together with what would.
func ExampleOpen() {
	engine, err := ping.Open(nil)
	if errors.Is(err, os.ErrPermission) {
		fmt.Println(err)
		return
	}
	if err != nil {
		panic(err)
	}
	defer engine.Close()
	result, err := engine.Ping(context.Background(), netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Outcome, result.From, "after", result.RTT, "by the clock of the", result.Stamp)
}

// A port that nothing listens on answers too: the host is there.
func ExampleTCP() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
	var p ping.Pinger = ping.TCP{Port: port}
	for range 2 {
		result, err := p.Ping(context.Background(), netip.MustParseAddr("127.0.0.1"))
		if err != nil {
			panic(err)
		}
		fmt.Println(result.Outcome, "refused:", result.Refused)
		ln.Close()
	}
	// Output:
	// reply refused: false
	// reply refused: true
}

// Three hosts every second, five times, and their statistics.
func ExampleEngine_Stream() {
	engine, err := ping.Open(&ping.Options{Timeout: 2 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	hosts := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("::1")}
	stats := map[netip.Addr]*ping.Stats{}
	for result, err := range engine.Stream(context.Background(), hosts, &ping.StreamOptions{Count: 5, Interval: 20 * time.Millisecond}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if stats[result.Target] == nil {
			stats[result.Target] = &ping.Stats{}
		}
		stats[result.Target].Add(&result)
	}
	for host, s := range stats {
		fmt.Printf("%v: %d of %d, loss %.0f %%, mean %v, jitter %v\n", host, s.Received, s.Sent, s.Loss()*100, s.Mean(), s.Jitter())
	}
}

// Who is there in a network? Addresses are made as they are needed.
func ExampleEngine_Sweep() {
	engine, err := ping.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	hosts := ping.Hosts(netip.MustParsePrefix("127.0.0.0/28"))
	for result, err := range engine.Sweep(context.Background(), hosts, &ping.SweepOptions{Retries: 2}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if result.Outcome == ping.OutcomeReply {
			fmt.Println(result.Target, "is alive")
		}
	}
}

func ExampleHosts() {
	for a := range ping.Hosts(netip.MustParsePrefix("192.0.2.0/30")) {
		fmt.Println(a)
	}
	// Output:
	// 192.0.2.1
	// 192.0.2.2
}

// Statistics of parts, such as of several hosts, can be added up.
func ExampleStats_Merge() {
	var a, b ping.Stats
	a.Add(&ping.Result{Seq: 1, Outcome: ping.OutcomeReply, RTT: 10 * time.Millisecond})
	b.Add(&ping.Result{Seq: 1, Outcome: ping.OutcomeReply, RTT: 30 * time.Millisecond})
	b.Add(&ping.Result{Seq: 2, Outcome: ping.OutcomeTimeout})
	a.Merge(&b)
	fmt.Println(a.Received, "of", a.Sent, "mean", a.Mean(), "mdev", a.Mdev())
	// Output: 2 of 3 mean 20ms mdev 10ms
}

func ExampleCapabilities() {
	c := ping.Capabilities(context.Background())
	if c.ICMPDatagram.Can != ping.Yes {
		fmt.Println("unprivileged ping:", c.ICMPDatagram.Why)
	}
	fmt.Println("tcp:", c.TCP.Can)
	// No Output line: the first part depends on the system.
}

// Who is in this network, by the names that they give themselves: the BSDs
// answer. It needs a raw socket.
func ExampleNodeQuery_Stream() {
	query := ping.NodeQuery{Question: ping.NodeName}
	everybody := netip.MustParseAddr("ff02::1%lo")
	options := &ping.Options{Timeout: 50 * time.Millisecond}
	for result, err := range query.Stream(context.Background(), everybody, options, &ping.StreamOptions{Count: 1}) {
		if err != nil {
			return // not allowed, or there is no IPv6
		}
		if result.Node != nil {
			fmt.Println(result.From, result.Node.Names)
		}
	}
}
