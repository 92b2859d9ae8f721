package trace_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/netsonde/netsonde/trace"
)

// The way to this host itself is one vertex. Where there are several paths,
// each flow of one can be traced again by its source port.
func ExampleUDP_Multipath() {
	target := netip.MustParseAddr("127.0.0.1")
	graph, err := trace.UDP{}.Multipath(context.Background(), target, &trace.MultipathOptions{Failure: 0.01})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(graph)
	for _, path := range graph.Paths {
		again := trace.UDP{Options: trace.Options{SourcePort: uint16(path.Flows[0])}}
		p, err := again.Trace(context.Background(), target)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(path.Flows), "flows,", path.Lost, "probes lost, hops:", p.Distance())
	}
	// Output:
	// 1
	//   1a 127.0.0.1
	// 8 flows, 0 probes lost, hops: 1
}
