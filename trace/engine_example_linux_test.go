package trace_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"net/netip"
	"os"

	"github.com/netsonde/netsonde/trace"
)

// An engine needs CAP_NET_RAW. Without, a tracer that needs nothing does.
func ExampleEngine_Tracer() {
	var tracer trace.Tracer = trace.UDP{}
	if engine, err := trace.Open(&trace.EngineOptions{Methods: []trace.Method{trace.MethodUDP}}); err == nil {
		defer engine.Close()
		tracer = engine.Tracer(trace.MethodUDP, trace.Options{})
	} else if !errors.Is(err, os.ErrPermission) {
		log.Fatal(err)
	}
	path, err := tracer.Trace(context.Background(), netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(path.Target, path.End, path.Distance())
	// Output: 127.0.0.1 reached 1
}

// Map traces to many targets at once, as fast as EngineOptions.Rate allows.
func ExampleEngineTracer_Map() {
	engine, err := trace.Open(&trace.EngineOptions{Methods: []trace.Method{trace.MethodICMP}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	var targets iter.Seq[netip.Addr] = func(yield func(netip.Addr) bool) {
		for a := netip.MustParseAddr("127.0.0.1"); yield(a); a = a.Next() {
			if a.As4()[3] == 9 {
				return
			}
		}
	}
	for path, err := range engine.Tracer(trace.MethodICMP, trace.Options{}).Map(context.Background(), targets) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(path.Target, path.Distance(), path.Packets)
	}
}
