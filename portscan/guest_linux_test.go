package portscan_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/portscan"
)

// A scan among many: each gets the results of its own targets and no other.
func TestConcurrent(t *testing.T) {
	s := newScene(t)
	s.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 82, Action: lab.RejectAdmin})
	s.router.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 83, Action: lab.RejectReset})
	want := map[uint16]portscan.State{
		80: portscan.StateOpen, 81: portscan.StateClosed, 82: portscan.StateFiltered, 83: portscan.StateClosed,
	}
	var wg sync.WaitGroup
	for i := range 50 {
		family := []int{4, 6}[i%2]
		port := uint16(80 + i%4)
		target := netip.AddrPortFrom(addr["server"][family], port)
		targets := slices.Repeat([]netip.AddrPort{target}, 40)
		wg.Go(func() {
			results, err := s.collect(t.Context(), portscan.Options{}, targets...)
			if err != nil || len(results) != len(targets) {
				t.Errorf("%d results, %v", len(results), err)
			}
			for _, r := range results {
				if r.Target != target || r.State != want[port] {
					t.Errorf("scan of %v: %+v", target, r)
				}
			}
		})
	}
	wg.Wait()
}

// When the context ends the scan says why, and is over.
func TestCancel(t *testing.T) {
	s := newScene(t)
	s.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 82})
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	first := make(chan bool)
	go func() { <-first; cancel(why) }()
	targets := slices.Concat(both(80)[:1], both(82), both(82))
	results := 0
	var last error
	err := s.client.DoUnprivileged(func() error {
		scanner := portscan.Connect{Options: portscan.Options{Timeout: time.Hour}}
		for r, err := range scanner.Scan(ctx, slices.Values(targets)) {
			if last != nil {
				t.Error("a pair after the error")
			}
			if last = err; err == nil {
				results++
				close(first)
			} else if r != (portscan.Result{}) {
				t.Errorf("%+v with %v", r, err)
			}
		}
		return nil
	})
	if err != nil || results != 1 || !errors.Is(last, why) {
		t.Errorf("%d results, then %v, %v", results, last, err)
	}
	// A context that has ended before lets nothing out.
	if results, err := s.collect(ctx, portscan.Options{}, both(80)...); len(results) != 0 || !errors.Is(err, why) {
		t.Errorf("%v, %v", results, err)
	}
}

// Whoever leaves the loop finds every socket closed.
func TestBreak(t *testing.T) {
	s := newScene(t)
	s.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 82})
	err := s.client.DoUnprivileged(func() error {
		before := countSockets(t)
		scanner := portscan.Connect{Options: portscan.Options{Timeout: time.Hour}}
		targets := slices.Concat(both(82), both(82), both(80))
		for r, err := range scanner.Scan(t.Context(), slices.Values(targets)) {
			if err != nil || r.State != portscan.StateOpen {
				t.Errorf("%+v, %v", r, err)
			}
			break
		}
		if after := countSockets(t); after != before {
			t.Errorf("%d sockets before, %d after", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func countSockets(t testing.TB) (n int) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if what, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && what[0] != '/' {
			n++
		}
	}
	return n
}

// TestFewDescriptors scans in a process that may open few files, and in one
// that has none left.
func TestFewDescriptors(t *testing.T) {
	s := newScene(t)
	for _, mode := range []string{"few", "none"} {
		out, stderr, code, err := s.client.RunChild("few", false, mode)
		if err != nil || code != 0 {
			t.Errorf("%s: code %d, %v\n%s%s", mode, code, err, out, stderr)
		}
	}
}

func init() { children["few"] = fewDescriptors }

// fewDescriptors is the child of TestFewDescriptors.
func fewDescriptors(args []string) int {
	none := args[0] == "none"
	limit := unix.Rlimit{Cur: 24, Max: 24}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	targets := func(yield func(netip.AddrPort) bool) {
		for none {
			if _, err := unix.Dup(0); err != nil {
				break
			}
		}
		for i := range 100 {
			for _, ap := range both(80 + uint16(i%2)) {
				if !yield(ap) {
					return
				}
			}
		}
	}
	code, n := 0, 0
	for r, err := range (portscan.Connect{}).Scan(context.Background(), targets) {
		want := portscan.StateOpen
		switch {
		case none:
			want = portscan.StateNotTested
		case r.Target.Port() == 81:
			want = portscan.StateClosed
		}
		if err != nil || r.State != want || none && r.Reason != portscan.ReasonLocalDescriptors {
			fmt.Printf("%+v, %v\n", r, err)
			code = 1
		}
		n++
	}
	if n != 200 {
		fmt.Println(n, "results")
		return 1
	}
	return code
}

// The scan takes the descriptors of a namespace and a device by name.
func TestSockets(t *testing.T) {
	s := newScene(t)
	targets := both(80)
	check := func(name string, o portscan.Options, family int) {
		t.Helper()
		n := 0
		for r, err := range (portscan.Connect{Options: o}).Scan(t.Context(), slices.Values(targets)) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			want := portscan.StateOpen
			if family != 0 && r.Target.Addr().Is4() != (family == 4) {
				want = portscan.StateNotTested
			}
			if r.State != want {
				t.Errorf("%s: %+v", name, r)
			}
			n++
		}
		if n != len(targets) {
			t.Errorf("%s: %d results", name, n)
		}
	}
	ns := s.client.NetNSFD()
	check("namespace", portscan.Options{NetNS: ns}, 0)
	check("device", portscan.Options{NetNS: ns, Device: "eth0"}, 0)
	check("mark", portscan.Options{NetNS: ns, Mark: 7}, 0)
	check("IPv4 source", portscan.Options{NetNS: ns, Source: addr["client"][4]}, 4)
	check("IPv6 source", portscan.Options{NetNS: ns, Source: addr["client"][6]}, 6)

	refused := func(o portscan.Options, want error) {
		t.Helper()
		results, err := s.collect(t.Context(), o, targets...)
		if len(results) != 0 || !errors.Is(err, want) {
			t.Errorf("%+v: %v, %v", o, results, err)
		}
	}
	refused(portscan.Options{Mark: 7}, os.ErrPermission)
	refused(portscan.Options{Device: "eth7"}, unix.ENODEV)
	refused(portscan.Options{Source: netip.MustParseAddr("10.8.99.99")}, unix.EADDRNOTAVAIL)
}

func BenchmarkConnect(b *testing.B) {
	s := newScene(b)
	for _, port := range []uint16{80, 81} {
		b.Run(strconv.Itoa(int(port)), func(b *testing.B) {
			targets := func(yield func(netip.AddrPort) bool) {
				for i := range b.N {
					if !yield(both(port)[i%2]) {
						return
					}
				}
			}
			b.ReportAllocs()
			err := s.client.DoUnprivileged(func() error {
				for r, err := range (portscan.Connect{Options: portscan.Options{Rate: -1}}).Scan(b.Context(), targets) {
					if err != nil || r.State == portscan.StateNotTested {
						b.Fatal(r, err)
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
