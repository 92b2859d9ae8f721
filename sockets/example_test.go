package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/netsonde/netsonde/sockets"
)

// Who listens on this machine, and which program is it?
func ExampleListeners() {
	listeners, err := sockets.Listeners(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range listeners {
		fmt.Print(s.Protocol, " ", s.Local)
		for _, p := range s.Owners {
			fmt.Printf(" %s (%d)", p.Name, p.PID)
		}
		fmt.Println()
	}
}

// How many connections are in which state? The kernel leaves out what is not
// asked for.
func ExampleList() {
	list, err := sockets.List(context.Background(), &sockets.Options{
		Protocols: []sockets.Protocol{sockets.TCP},
		States:    []sockets.State{sockets.StateEstablished, sockets.StateTimeWait},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	count := map[sockets.State]int{}
	for _, s := range list {
		count[s.State]++
	}
	fmt.Println(count[sockets.StateEstablished], "established,", count[sockets.StateTimeWait], "in TIME-WAIT")
}

// A listener's processes are found, and the account says who was not seen.
func ExampleRead() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	at := netip.MustParseAddrPort(ln.Addr().String())

	table, err := sockets.Read(context.Background(), &sockets.Options{
		States:    []sockets.State{sockets.StateListen},
		Processes: true,
	})
	if errors.Is(err, errors.ErrUnsupported) { // not Linux
		fmt.Println("tcp listen found, mine: true")
		return
	}
	for _, s := range table.Sockets {
		if s.Local == at {
			fmt.Printf("%v %v %v, mine: %v\n", s.Protocol, s.State, s.Ownership, s.Owners[0].PID == os.Getpid())
		}
	}
	if table.Walk.Refused > 0 {
		fmt.Fprintln(os.Stderr, table.Walk.Refused, "processes could not be looked into; that needs", table.Walk.Need)
	}
	// Output: tcp listen found, mine: true
}

// Which connections to a database lose packets? The kernel picks out the
// connections, and tells what it knows about each.
func ExampleFilter() {
	list, err := sockets.List(context.Background(), &sockets.Options{
		Protocols: []sockets.Protocol{sockets.TCP},
		States:    []sockets.State{sockets.StateEstablished},
		Filter:    sockets.Filter{Remote: []sockets.Endpoint{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), From: 5432}}},
		Info:      true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range list {
		if t := s.TCP; t != nil && t.TotalRetrans > 0 {
			fmt.Printf("%v: %d of %d segments sent again, round trip %v, %s\n", s.Remote, t.TotalRetrans, t.SegsOut, t.RTT, t.Congestion)
		}
	}
}

// Which connection has the most to send? A busy server's list need not be kept
// for that.
func ExampleAll() {
	var most sockets.Socket
	for s, err := range sockets.All(context.Background(), &sockets.Options{Protocols: []sockets.Protocol{sockets.TCP}}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if s.SendQueue > most.SendQueue {
			most = s
		}
	}
	fmt.Println(most.Remote, most.SendQueue, "bytes")
}

// Were connections turned away because a program did not accept them in time?
func ExampleCounters() {
	groups, err := sockets.Counters(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range groups {
		if n, ok := g.Value("ListenOverflows"); ok {
			fmt.Println(g.Name, n)
		}
	}
}

func ExampleParseState() {
	for _, word := range []string{"ESTAB", "TIME_WAIT", "fin-wait-2"} {
		s, err := sockets.ParseState(word)
		fmt.Println(s, err)
	}
	// Output:
	// established <nil>
	// time_wait <nil>
	// fin_wait2 <nil>
}
