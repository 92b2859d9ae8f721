package resolve

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

func init() { lab.Child("no-descriptors", noDescriptors) }

// noDescriptors asks with room for 0, 1 and 2 more descriptors, in a process
// whose limit may be lowered, and prints what came of it.
func noDescriptors([]string) int {
	// The runtime ends a program that it cannot open its own descriptors in.
	time.AfterFunc(time.Hour, func() {}).Stop()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	// One that can end takes descriptors to wait for.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// The number of the next descriptor is where a limit bites.
	fd, err := unix.Dup(0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	unix.Close(fd)
	for room := range 3 {
		limit := unix.Rlimit{Cur: uint64(fd + room), Max: 1024}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			fmt.Println(err)
			return 1
		}
		a, err := Client{Timeout: short}.Query(ctx, c.LocalAddr().(*net.UDPAddr).AddrPort(), Question{Name: "a"})
		fmt.Println(a.Outcome, a.Err, err, len(a.Attempts))
	}
	return 0
}

// TestNoDescriptors checks that a lack of this process is not taken for one of
// the server.
func TestNoDescriptors(t *testing.T) {
	h := lab.New(t).Host("h")
	out, stderr, code, err := h.RunChild("no-descriptors", false)
	if err != nil || code != 0 {
		t.Fatalf("%v, code %d\n%s%s", err, code, out, stderr)
	}
	const none, some = "local_error too many open files <nil> 1\n", "timeout  <nil> 1\n"
	if got := string(out); got != none+some+some {
		t.Errorf("got %q", got)
	}
}

// TestLookupOfThisHost reads the files of the host it runs in.
func TestLookupOfThisHost(t *testing.T) {
	h := lab.New(t).Host("h")
	h.ResolvConf("nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions edns0 blue\n")
	h.Hosts("10.0.0.7 seven\n")
	err := h.DoUnprivileged(func() error {
		r, err := Lookup(t.Context(), "seven", nil)
		if r.Source != SourceHosts || fmt.Sprint(r.Addrs) != "[10.0.0.7]" || r.Config.Path != "/etc/resolv.conf" || len(r.Config.Servers) != 2 || !r.NSSwitch.Has("files") {
			t.Errorf("%+v", r)
		}
		if err != nil {
			return err
		}
		// Nobody listens there: the outcome is known at once.
		r, err = Lookup(t.Context(), "eight", &LookupOptions{Types: []Type{TypeA}})
		if r.Outcome != OutcomePortUnreachable || r.Families[0].Outcome != OutcomePortUnreachable || len(r.Steps[0].Asks) != 4 {
			t.Errorf("%+v", r)
		}
		if a := r.Steps[0].Asks[0].Answers[0]; !a.Attempts[0].EDNS {
			t.Errorf("options edns0 has no effect: %+v", a)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
