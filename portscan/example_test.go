package portscan_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"

	"github.com/netsonde/netsonde/portscan"
)

// Is a server there, and if not, who says so?
func ExampleConnect_Scan() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	target := netip.MustParseAddrPort(server.Addr().String())

	scan := func() {
		for r, err := range (portscan.Connect{}).Scan(context.Background(), slices.Values([]netip.AddrPort{target})) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(r.State, r.Reason, r.From)
		}
	}
	scan()
	server.Close()
	scan()
	// Output:
	// open syn_ack 127.0.0.1
	// closed conn_refused 127.0.0.1
}

func ExamplePorts() {
	ports, err := portscan.Ports("https,22,80-83")
	fmt.Println(ports, err)
	_, err = portscan.Ports("80,70000")
	fmt.Println(err)
	// Output:
	// [22 80 81 82 83 443] <nil>
	// portscan: ports "80,70000": "70000" is not a port, which is a number from 1 to 65535
}
