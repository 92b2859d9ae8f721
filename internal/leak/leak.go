// Package leak runs a package's tests and fails them when they leave
// goroutines or file descriptors behind.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs the tests and returns the exit code: that of the tests, or 1 when
// something was left behind. It is meant for TestMain.
func Main(m *testing.M) int {
	startPoller()
	before := descriptors()
	code := m.Run()
	if code != 0 {
		return code
	}
	// A goroutine that was told to end may need a moment, no more.
	var left []string
	for wait := time.Millisecond; wait < 2*time.Second; wait *= 2 {
		if left = leftovers(before); len(left) == 0 {
			return 0
		}
		time.Sleep(wait)
	}
	for _, l := range left {
		fmt.Fprintln(os.Stderr, "left behind:", l)
	}
	return 1
}

// startPoller makes the runtime open the descriptors that it keeps for ever.
func startPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.SetReadDeadline(time.Now())
		r.Close()
		w.Close()
	}
}

func leftovers(before map[string]string) []string {
	var left []string
	for fd, what := range descriptors() {
		if before[fd] != what {
			left = append(left, "descriptor "+fd+": "+what)
		}
	}
	return append(left, goroutines()...)
}

func descriptors() map[string]string {
	fds := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fds
	}
	for _, e := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[e.Name()] = what
		}
	}
	return fds
}

// own are goroutines that are there in every test binary.
var own = []string{
	"testing.(*M).", "testing.Main(", "testing.tRunner", "runtime.goexit0", "runtime.MHeap_Scavenger",
	"os/signal.signal_recv", "os/signal.loop", "created by runtime", "internal/leak.goroutines",
	"runtime/trace.Start", "testing.runFuzzing", "testing.(*F).", "runtime.ensureSigM", "runtime.gc",
}

func goroutines() []string {
	buf := make([]byte, 2<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var left []string
next:
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		for _, o := range own {
			if strings.Contains(g, o) {
				continue next
			}
		}
		if strings.TrimSpace(g) != "" {
			left = append(left, g)
		}
	}
	return left
}
