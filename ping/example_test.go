package ping_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

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

func ExampleCapabilities() {
	c := ping.Capabilities(context.Background())
	if c.ICMPDatagram.Can != ping.Yes {
		fmt.Println("unprivileged ping:", c.ICMPDatagram.Why)
	}
	fmt.Println("tcp:", c.TCP.Can)
	// No Output line: the first part depends on the system.
}
