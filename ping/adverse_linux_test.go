package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// What the host's own packet filter does not let out is this host's doing, and
// what comes after it in the same batch goes out.
func TestOwnFilter(t *testing.T) {
	client := manyHosts(t)
	counter := client.Filter(lab.Output, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.64.0.64/26"})
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{})
		before := counter.Packets()
		got := map[Outcome]int{}
		dropped := netip.MustParsePrefix("10.64.0.64/26")
		for r, err := range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.64.0.0/22")), &SweepOptions{Rate: -1}) {
			want, text := OutcomeReply, ""
			if dropped.Contains(r.Target) {
				want, text = OutcomeLocalError, unix.EPERM.Error()
			}
			if err != nil || r.Outcome != want || r.Err != text {
				t.Fatalf("%+v, %v", r, err)
			}
			got[r.Outcome]++
		}
		if d := cmp.Diff(map[Outcome]int{OutcomeReply: 1022 - 64, OutcomeLocalError: 64}, got); d != "" {
			t.Error("-want +got:\n", d)
		}
		// In the middle of a batch, the kernel tells only on the second try.
		if n := counter.Packets() - before; n < 64 || n > 128 {
			t.Errorf("the filter took %d packets, want 64", n)
		}
	})
}

// Engines that send from the same address do not disturb each other.
func TestSameSource(t *testing.T) {
	client, gw, _ := twoNets(t)
	counter := gw.Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest, Src: client4 + "/32", Action: lab.Accept})
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		o := Options{Source: netip.MustParseAddr(client4), Size: -1, Timeout: 20 * time.Second}
		a, b := open(t, client, o), open(t, client, o)
		before := counter.Packets()
		var wg sync.WaitGroup
		for _, tc := range []struct {
			e   *Engine
			dst string
		}{{a, server4}, {b, gw4}} {
			dst := netip.MustParseAddr(tc.dst)
			wg.Go(func() {
				o := &StreamOptions{Interval: 100 * time.Microsecond, Count: 500}
				for r, err := range tc.e.Stream(t.Context(), []netip.Addr{dst}, o) {
					if err != nil || r.Outcome != OutcomeReply || r.From != dst {
						t.Errorf("%v: %+v, %v", dst, r, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if n := counter.Packets() - before; n != 500 {
			t.Errorf("%d packets from %s, want 500", n, client4)
		}
	})
}

// An engine in another namespace takes its further identifiers there, from
// whatever goroutine they are needed.
func TestGrowsInItsNamespace(t *testing.T) {
	client := manyHosts(t)
	e, err := Open(&Options{NetNS: client.NetNSFD(), Method: MethodICMPDatagram})
	if err != nil {
		client.Do(func() error { return nil }) // opens ping_group_range
		if e, err = Open(&Options{NetNS: client.NetNSFD(), Method: MethodICMPDatagram}); err != nil {
			t.Fatal(err)
		}
	}
	defer e.Close()
	n := 0
	for r, err := range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.64.0.0/20")), &SweepOptions{Rate: -1}) {
		if err != nil || r.Outcome != OutcomeReply {
			t.Fatalf("%+v, %v", r, err)
		}
		n++
	}
	ids := e.Identifiers()
	if want := min(2, runtime.GOMAXPROCS(0)); n != 4094 || len(ids.IPv4) != want || ids.Shortage != "" {
		t.Errorf("%d hosts, %+v", n, ids)
	}
}

// IPv6 has identifiers, and a second sender, of its own.
func TestSweepIPv6(t *testing.T) {
	l := lab.New(t)
	client, server := l.Host("client"), l.Host("server")
	l.Connect(client.Port("eth0", "fd00:1::2/64"), server.Port("eth0", "fd00:1::1/64"))
	client.Route("fd64::/64", "fd00:1::1")
	anyIP(t, server, "fd64::/64")
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{})
		n := 0
		for r, err := range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("fd64::/115")), &SweepOptions{Rate: -1, Times: true}) {
			if err != nil || r.Outcome != OutcomeReply || r.From != r.Target || r.RTT <= 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			n++
		}
		ids := e.Identifiers()
		if n != 8192 || e.Method() == MethodICMPDatagram && (len(ids.IPv4) != 1 || len(ids.IPv6) != min(2, runtime.GOMAXPROCS(0))) {
			t.Errorf("%d hosts, %+v", n, ids)
		}
	})
}

// However a sweep at full speed ends, it ends at once and leaves nothing: TestMain
// counts goroutines and descriptors.
func TestSweepEnds(t *testing.T) {
	client := manyHosts(t)
	why := errors.New("enough")
	for _, tc := range []struct {
		name string
		end  func(e *Engine, cancel context.CancelCauseFunc) (leave bool)
		want error
	}{
		{"cancel", func(_ *Engine, cancel context.CancelCauseFunc) bool { cancel(why); return false }, why},
		{"cancel from elsewhere", func(_ *Engine, cancel context.CancelCauseFunc) bool { go cancel(why); return false }, why},
		{"close", func(e *Engine, _ context.CancelCauseFunc) bool { go e.Close(); return false }, net.ErrClosed},
		{"leave", func(*Engine, context.CancelCauseFunc) bool { return true }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for at := 1; at < 2000; at += 333 {
				e := openIn(t, client, false, Options{})
				ctx, cancel := context.WithCancelCause(t.Context())
				n, last := 0, error(nil)
				for r, err := range e.Sweep(ctx, Hosts(netip.MustParsePrefix("10.64.0.0/10")), &SweepOptions{Rate: -1}) {
					if last = err; err != nil && r.Target.IsValid() {
						t.Error("a result beside the error")
					}
					if n++; n == at && tc.end(e, cancel) {
						break
					}
				}
				cancel(nil)
				if !errors.Is(last, tc.want) {
					t.Errorf("after %d: ended with %v, want %v", at, last, tc.want)
				}
				if r, err := e.Ping(t.Context(), netip.MustParseAddr("10.1.0.1")); tc.name != "close" && (err != nil || r.Outcome != OutcomeReply) {
					t.Errorf("the engine after it: %v, %v", r.Outcome, err)
				}
				e.Close()
			}
		})
	}
}

// Without descriptors there is no engine, and that is no matter of permission.
func TestNoDescriptors(t *testing.T) {
	client := manyHosts(t)
	err := client.Do(func() error {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
			return err
		}
		_, err := Open(nil)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		if !errors.Is(err, unix.EMFILE) {
			t.Errorf("opened with %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
