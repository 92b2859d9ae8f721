// Peers measures the library side by side with what people use today, each in
// a process of its own, and says for each figure whether its target is met.
//
// Usage:
//
//	go run -C bench ./peers ping
//
// Everything happens in network namespaces that it makes: nothing is sent
// outside. What is not installed is left out, and said to be.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// rooms are the comparisons by name; each returns its table.
var rooms = map[string]func(*stage) table{"ping": comparePing}

func main() {
	registerPing()
	code, err := lab.Isolated(func() int {
		room := rooms[strings.Join(os.Args[1:], " ")]
		if room == nil {
			fmt.Fprintln(os.Stderr, "peers: say what to compare: ping")
			return 2
		}
		return show(room)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers: no network can be built here:", err)
		code = 2
	}
	os.Exit(code)
}

func show(room func(*stage) table) (code int) {
	var u unix.Utsname
	unix.Uname(&u)
	load, _, _ := strings.Cut(readAll("/proc/loadavg"), " ")
	fmt.Printf("%d processors, load %s before, Linux %s, %s\n\n", runtime.NumCPU(), load, unix.ByteSliceToString(u.Release[:]), runtime.Version())
	err := lab.Play(func(s *lab.Stage) error {
		t := room(&stage{s})
		t.print()
		code = t.code()
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		return 2
	}
	return code
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
