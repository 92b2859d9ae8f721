package ping

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// echoReplies are the frames that the tests impair.
func echoReplies(frame []byte) bool {
	return len(frame) > 34 && frame[12] == 8 && frame[13] == 0 && frame[23] == 1 && frame[34] == 0
}

// What a wire does to the replies is what the statistics say, one by one.
func TestImpairments(t *testing.T) {
	l := lab.New(t)
	client, server := l.Host("client"), l.Host("server")
	w := l.Wire(client.Port("eth0", "10.1.0.2/24"), server.Port("eth0", "10.1.0.1/24"), lab.Impair{}, lab.Impair{})
	for _, tc := range []struct {
		name   string
		impair lab.Impair
		check  func(t *testing.T, e *Engine, w lab.WireStats, s Summary)
	}{
		{"none", lab.Impair{}, func(t *testing.T, _ *Engine, _ lab.WireStats, s Summary) {
			if s.Received != s.Sent || s.Duplicates+s.Reordered+s.Late != 0 {
				t.Error("not clean")
			}
		}},
		{"loss", lab.Impair{Loss: 0.2}, func(t *testing.T, _ *Engine, w lab.WireStats, s Summary) {
			if int(s.Timeouts) != w.Lost || s.Received+s.Timeouts != s.Sent || w.Lost == 0 || s.Bursts == 0 || s.Bursts > s.Timeouts {
				t.Error("loss")
			}
		}},
		{"duplicates", lab.Impair{Duplicate: 0.2}, func(t *testing.T, _ *Engine, w lab.WireStats, s Summary) {
			if int(s.Duplicates) != w.Duplicated || s.Received != s.Sent || w.Duplicated == 0 {
				t.Error("duplicates")
			}
		}},
		{"disorder", lab.Impair{Reorder: 0.2}, func(t *testing.T, _ *Engine, w lab.WireStats, s Summary) {
			if s.Received != s.Sent || s.Reordered == 0 || int(s.Reordered) > w.Reordered {
				t.Error("disorder")
			}
		}},
		{"corruption", lab.Impair{Corrupt: 0.3}, func(t *testing.T, e *Engine, w lab.WireStats, s Summary) {
			// Where the bit is in the header, the reply is lost altogether; the
			// kernel drops what is damaged before an unprivileged socket.
			if int(s.Corrupted+s.Timeouts) != w.Corrupted || (e.Method() == MethodICMPRaw) != (s.Corrupted > 0) {
				t.Error("corruption")
			}
		}},
		{"delay", lab.Impair{Delay: 400 * time.Millisecond}, func(t *testing.T, _ *Engine, _ lab.WireStats, s Summary) {
			if s.Timeouts != s.Sent || s.Late == 0 || s.Received != 0 {
				t.Error("late replies")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
				e := open(t, client, Options{Timeout: 300 * time.Millisecond})
				tc.impair.Match, tc.impair.Seed = echoReplies, 1
				_, before := w.Stats()
				w.Set(lab.Impair{}, tc.impair)
				var s Stats
				hosts := []netip.Addr{netip.MustParseAddr("10.1.0.1")}
				for r, err := range e.Stream(t.Context(), hosts, &StreamOptions{Interval: 2 * time.Millisecond, Count: 250}) {
					if err != nil {
						t.Fatal(err)
					}
					s.Add(&r)
				}
				_, after := w.Stats()
				after.Lost -= before.Lost
				after.Duplicated -= before.Duplicated
				after.Reordered -= before.Reordered
				after.Corrupted -= before.Corrupted
				tc.check(t, e, after, s.Summary())
				if t.Failed() {
					t.Errorf("wire %+v\nstatistics %+v", after, s.Summary())
				}
			})
		})
	}
}

// anyIP makes a host answer for a whole network.
func anyIP(t testing.TB, h *lab.Host, prefix string) {
	t.Helper()
	err := h.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		dst, err := netlink.ParseIPNet(prefix)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL,
			Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func manyHosts(t testing.TB) (client *lab.Host) {
	client, _ = withMany(t)
	return client
}

// withMany gives a client and the server that is 10.64.0.0/10 to it.
func withMany(t testing.TB) (client, server *lab.Host) {
	l := lab.New(t)
	client, server = l.Host("client"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), server.Port("eth0", "10.1.0.1/24"))
	client.Route("10.64.0.0/10", "10.1.0.1")
	anyIP(t, server, "10.64.0.0/10")
	return client, server
}

// Twice as many hosts as there are sequence numbers, at once: no wall, no loss
// of our own, no host twice, and nothing allocated for a probe.
func TestSweepBeyondSequenceNumbers(t *testing.T) {
	client := manyHosts(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Timeout: 10 * time.Second})
		prefix := netip.MustParsePrefix("10.64.0.0/15")
		seen := make([]bool, 1<<17)
		sweep := func() (n int) {
			for r, err := range e.Sweep(t.Context(), Hosts(prefix), &SweepOptions{Rate: -1}) {
				a := r.Target.As4()
				i := int(a[1]&1)<<16 | int(a[2])<<8 | int(a[3])
				if err != nil || r.Outcome != OutcomeReply || r.From != r.Target || r.RTT <= 0 || seen[i] {
					t.Fatalf("%+v, %v, seen %t", r, err, seen[i])
				}
				seen[i] = true
				n++
			}
			return n
		}
		if n := sweep(); n != 1<<17-2 {
			t.Errorf("%d hosts", n)
		}
		clear(seen)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := sweep()
		runtime.ReadMemStats(&after)
		if each := float64(after.Mallocs-before.Mallocs) / float64(n); each > 0.01 {
			t.Errorf("%.3f allocations a probe", each)
		}
	})
}

// 4,000 hosts once a second: a goroutine or two, and no false loss.
func TestManyHostsPeriodic(t *testing.T) {
	client := manyHosts(t)
	e := openIn(t, client, false, Options{})
	hosts := slices.Collect(Hosts(netip.MustParsePrefix("10.64.0.0/20")))[:4000]
	goroutines := runtime.NumGoroutine()
	var s Stats
	most := 0
	for r, err := range e.Stream(t.Context(), hosts, &StreamOptions{Count: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		s.Add(&r)
		most = max(most, runtime.NumGoroutine()-goroutines)
	}
	if s.Received != 12000 || s.Sent != 12000 {
		t.Errorf("%+v", s.Summary())
	}
	if most > 2 {
		t.Errorf("%d more goroutines", most)
	}
}

// ownReply reports whether a result is the target's reply, or says that replies
// were lost in our own receive buffer, which a busy machine may do. Anything else
// would be somebody else's.
func ownReply(r Result, target netip.Addr) bool {
	return r.Target == target && (r.Outcome == OutcomeReply && r.From == target || r.Outcome == OutcomeLocalError)
}

// Streams, sweeps and single pings share an engine without crossing.
func TestSharedEngine(t *testing.T) {
	client := manyHosts(t)
	e := openIn(t, client, false, Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		base := netip.AddrFrom4([4]byte{10, 64 + byte(i), 0, 0})
		prefix := netip.PrefixFrom(base, 20)
		wg.Go(func() {
			n := 0
			for r, err := range e.Sweep(t.Context(), Hosts(prefix), &SweepOptions{Rate: 4000}) {
				if err != nil || !ownReply(r, r.Target) || !prefix.Contains(r.Target) {
					t.Errorf("%+v, %v", r, err)
					return
				}
				n++
			}
			if n != 4094 {
				t.Errorf("%v: %d hosts", prefix, n)
			}
		})
		wg.Go(func() {
			for r, err := range e.Stream(t.Context(), []netip.Addr{base.Next()}, &StreamOptions{Interval: time.Millisecond, Count: 100}) {
				if err != nil || !ownReply(r, base.Next()) {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				if r, err := e.Ping(t.Context(), base.Next().Next()); err != nil || !ownReply(r, base.Next().Next()) {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

// Starting and cancelling leaves nothing behind; TestMain counts descriptors
// and goroutines.
func TestStartAndCancel(t *testing.T) {
	client := manyHosts(t)
	hosts := slices.Collect(Hosts(netip.MustParsePrefix("10.64.0.0/26")))
	err := client.Do(func() error {
		for range 500 {
			e, err := Open(nil)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(t.Context())
			var last error
			for _, last = range e.Stream(ctx, hosts, &StreamOptions{Interval: -1}) {
				cancel()
			}
			cancel()
			if !errors.Is(last, context.Canceled) {
				t.Errorf("the last pair has %v", last)
			}
			if err := e.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Replies to a broadcast or a multicast come from others than the target.
func TestBroadcast(t *testing.T) {
	l := lab.New(t)
	client, a, b, sw := l.Host("client"), l.Host("a"), l.Host("b"), l.Switch("sw")
	for h, cidr := range map[*lab.Host][]string{
		client: {"10.1.0.1/24", "fd00:1::1/64"}, a: {"10.1.0.2/24", "fd00:1::2/64"}, b: {"10.1.0.3/24", "fd00:1::3/64"},
	} {
		l.Connect(h.Port("eth0", cidr...), sw.Port())
		if h != client {
			h.Sysctl("net/ipv4/icmp_echo_ignore_broadcasts", "0")
		}
	}
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Broadcast: true, Device: "eth0", NoLoop: true})
		for _, dst := range []string{"10.1.0.255", "224.0.0.1", "ff02::1%eth0"} {
			counts := map[Outcome]int{}
			from := map[netip.Addr]bool{}
			hosts := []netip.Addr{netip.MustParseAddr(dst), netip.MustParseAddr("10.1.0.2")}
			for r, err := range e.Stream(t.Context(), hosts, &StreamOptions{Count: 3, Interval: 50 * time.Millisecond}) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Target == hosts[0] {
					counts[r.Outcome]++
					from[r.From] = true
				}
			}
			if d := cmp.Diff(map[Outcome]int{OutcomeReply: 3, OutcomeDuplicate: 3}, counts); d != "" || len(from) != 2 {
				t.Errorf("%s: from %v (-want +got):\n%s", dst, from, d)
			}
		}
		if r := mustPing(t, open(t, client, Options{}), "10.1.0.255"); r.Outcome != OutcomeLocalError || r.Err != unix.EACCES.Error() {
			t.Errorf("broadcast that was not allowed: %v %q", r.Outcome, r.Err)
		}
	})
}

// BenchmarkSweep is a probe there and back over one hop, as fast as it goes.
func BenchmarkSweep(b *testing.B) {
	client := manyHosts(b)
	for _, o := range []Options{{}, {NoTimestamps: true}} {
		name := "stamped"
		if o.NoTimestamps {
			name = "unstamped"
		}
		b.Run(name, func(b *testing.B) {
			e := openIn(b, client, false, o)
			n := 0
			b.ReportAllocs()
			for r, err := range e.Sweep(b.Context(), Hosts(netip.MustParsePrefix("10.64.0.0/10")), &SweepOptions{Rate: -1}) {
				if err != nil || r.Outcome != OutcomeReply {
					b.Fatal(r, err)
				}
				if n++; n >= b.N {
					break
				}
			}
		})
	}
}

// A sweep with retries that shares the engine with a ping, which reads for it,
// comes to its end.
func TestRetriesReadByOthers(t *testing.T) {
	client, gw, _ := twoNets(t)
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest})
	e := openIn(t, client, false, Options{Timeout: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				e.Ping(ctx, netip.MustParseAddr(server4))
			}
		})
	}
	n := 0
	hosts := slices.Values([]netip.Addr{netip.MustParseAddr(server4), netip.MustParseAddr(server6)})
	for r, err := range e.Sweep(t.Context(), hosts, &SweepOptions{Retries: 5}) {
		if err != nil || r.Outcome != OutcomeTimeout || r.Seq != 6 {
			t.Errorf("%+v, %v", r, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d outcomes", n)
	}
	cancel()
	wg.Wait()
}

// BenchmarkPeriodic is 4,000 hosts once a second; what counts is the processor
// time a probe.
func BenchmarkPeriodic(b *testing.B) {
	client := manyHosts(b)
	e := openIn(b, client, false, Options{})
	hosts := slices.Collect(Hosts(netip.MustParsePrefix("10.64.0.0/20")))[:4000]
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start, n := cpu(), 0
	for r, err := range e.Stream(b.Context(), hosts, nil) {
		if err != nil || r.Outcome != OutcomeReply {
			b.Fatal(r, err)
		}
		if n++; n >= b.N {
			break
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(n), "cpu-ns/probe")
}
