package trace_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/trace"
)

// Five rounds, as mtr -c 5 makes them, and what they mean.
func ExampleUDP_Watch() {
	var report trace.Report
	rounds := &trace.WatchOptions{Rounds: 5, Interval: 10 * time.Millisecond}
	for probe, err := range (trace.UDP{}).Watch(context.Background(), netip.MustParseAddr("127.0.0.1"), rounds) {
		if err != nil {
			log.Fatal(err)
		}
		report.Add(probe)
	}
	for _, hop := range report.Hops() {
		fmt.Printf("%d. %v %.1f%% of %d lost\n", hop.TTL, hop.Responders[0].Addr, hop.Loss*100, hop.Sent)
	}
	fmt.Println(report.Verdict().Loss)
	// Output:
	// 1. 127.0.0.1 0.0% of 5 lost
	// none
}

// A router that answers once a second, asked four times a second: three of
// four answers are missing, and nothing is lost.
func ExampleReport_Verdict() {
	router, target := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.80")
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var report trace.Report
	for i := range 100 {
		probe := trace.Probe{Target: target, Method: trace.MethodICMP, Round: i + 1, TTL: 1, Sent: start.Add(time.Duration(i) * time.Second / 4)}
		if i%4 == 0 {
			probe.Reply = trace.Reply{Outcome: trace.OutcomeTimeExceeded, From: router, RTT: time.Millisecond, ICMP: &trace.ICMPError{From: router, Type: 11}}
		}
		report.Add(probe)
		probe.TTL, probe.Reply = 2, trace.Reply{Outcome: trace.OutcomeEchoReply, From: target, RTT: 2 * time.Millisecond}
		report.Add(probe)
	}
	fmt.Println(report.Hops()[0].Loss)
	fmt.Println(report.Verdict())
	// Output:
	// 0.75
	// No loss: the target (192.0.2.80) answered all 100 probes, so with 95 % confidence less than 3.0 % is lost.
	// Hop 1 limits the rate of its ICMP messages to one in 1 s. What is missing there is no loss: packets pass.
}
