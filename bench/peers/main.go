// Peers measures the library side by side with what people use today, each in
// a process of its own, and says for each figure whether its target is met.
//
// Usage:
//
//	go run -C bench ./peers ROOM [PART]
//
// The rooms and their parts are listed when it is called without.
//
// Everything happens in network namespaces that it makes: nothing is sent
// outside. What is not installed is left out, and said to be.
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// part is a piece of a comparison that can be run alone.
type part struct {
	name string
	run  func(*stage) table
}

// rooms are the comparisons by name.
var rooms = map[string][]part{
	"ping": {{"periodic", comparePingPeriodic}, {"sweep", comparePingSweep}, {"million", comparePingMillion},
		{"truth", comparePingTruth}, {"cancel", comparePingCancel}},
	"netlink": {{"routes", compareRoutes}, {"dumps", compareDumps}, {"changes", compareChanges}, {"sockets", compareSockets}},
	"trace":   {{"paths", compareTracePaths}, {"multipath", compareTraceMultipath}, {"watch", compareTraceWatch}, {"mtu", compareTraceMTU}},
}

func main() {
	registerPing()
	registerRoutes()
	registerDumps()
	registerChanges()
	registerSockets()
	registerTracePaths()
	registerTraceWatch()
	code, err := lab.Isolated(func() int {
		parts := chosen(os.Args[1:])
		if len(parts) == 0 {
			fmt.Fprintln(os.Stderr, "peers: say what to compare:")
			for room, parts := range rooms {
				for _, p := range parts {
					fmt.Fprintf(os.Stderr, "  %s %s\n", room, p.name)
				}
			}
			return 2
		}
		return show(parts)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers: no network can be built here:", err)
		code = 2
	}
	os.Exit(code)
}

// chosen returns the parts that the arguments ask for.
func chosen(args []string) []part {
	switch len(args) {
	case 1:
		return rooms[args[0]]
	case 2:
		return slices.DeleteFunc(slices.Clone(rooms[args[0]]), func(p part) bool { return p.name != args[1] })
	}
	return nil
}

// show runs each part on a stage of its own and prints one table.
func show(parts []part) (code int) {
	var u unix.Utsname
	unix.Uname(&u)
	load, _, _ := strings.Cut(readAll("/proc/loadavg"), " ")
	fmt.Printf("%d processors, load %s before, Linux %s, %s\n\n", runtime.NumCPU(), load, unix.ByteSliceToString(u.Release[:]), runtime.Version())
	var all table
	for _, p := range parts {
		err := lab.Play(func(s *lab.Stage) error {
			all = append(all, p.run(&stage{s})...)
			return nil
		})
		if err != nil {
			fmt.Fprintf(os.Stderr, "peers: %s: %v\n", p.name, err)
			code = 2
		}
	}
	all.print()
	return max(code, all.code())
}

// row is one figure.
type row struct {
	figure, ours, peers, target string
	verdict                     verdict
}

type verdict string

const (
	met       verdict = "met"
	missed    verdict = "MISSED"
	unchecked verdict = "not checked"
)

func judge(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

type table []row

func (t table) print() {
	fmt.Println("| figure | ours | peers | target | |")
	fmt.Println("|---|---|---|---|---|")
	for _, r := range t {
		fmt.Printf("| %s | %s | %s | %s | %s |\n", r.figure, r.ours, r.peers, r.target, r.verdict)
	}
}

// code is 1 when a target is missed.
func (t table) code() int {
	for _, r := range t {
		if r.verdict == missed {
			return 1
		}
	}
	return 0
}

func readAll(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return string(b)
}
