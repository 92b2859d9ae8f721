package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
)

const (
	client4, gw4, server4 = "10.1.0.2", "10.1.0.1", "10.2.0.2"
	client6, gw6, server6 = "fd00:1::2", "fd00:1::1", "fd00:2::2"
)

// twoNets is client - gw - server.
func twoNets(t testing.TB) (client, gw, server *lab.Host) {
	t.Helper()
	l := lab.New(t)
	client, gw, server = l.Host("client"), l.Router("gw"), l.Host("server")
	l.Connect(client.Port("eth0", client4+"/24", client6+"/64"), gw.Port("lan", gw4+"/24", gw6+"/64"))
	l.Connect(gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), server.Port("eth0", server4+"/24", server6+"/64"))
	client.Route("default", gw4)
	client.Route("default", gw6)
	server.Route("default", "10.2.0.1")
	server.Route("default", "fd00:2::1")
	return client, gw, server
}

// openIn opens an engine inside a host, without privileges if so asked. It may
// be used from outside: its sockets are inside.
func openIn(t testing.TB, h *lab.Host, privileged bool, o Options) *Engine {
	t.Helper()
	do := h.DoUnprivileged
	if privileged {
		do = h.Do
	}
	var e *Engine
	if err := do(func() (err error) { e, err = Open(&o); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// each runs f for both kinds of socket.
func each(t *testing.T, f func(t *testing.T, open func(t testing.TB, h *lab.Host, o Options) *Engine)) {
	for _, m := range []Method{MethodICMPDatagram, MethodICMPRaw} {
		t.Run(m.String(), func(t *testing.T) {
			f(t, func(t testing.TB, h *lab.Host, o Options) *Engine {
				o.Method = m
				e := openIn(t, h, m == MethodICMPRaw, o)
				if e.Method() != m || e.Why() == "" {
					t.Errorf("method %v because %q, want %v", e.Method(), e.Why(), m)
				}
				return e
			})
		})
	}
}

func mustPing(t testing.TB, e Pinger, dst string) Result {
	t.Helper()
	r, err := e.Ping(t.Context(), netip.MustParseAddr(dst))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReply(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{TOS: 0x28})
		// The kernel begins to stamp arrivals a moment after it was first asked.
		seq := 2
		for mustPing(t, e, server4).Stamp != StampKernel && seq < 1000 {
			mustPing(t, e, server6)
			time.Sleep(time.Millisecond)
			seq++
		}
		mustPing(t, e, server6)
		for _, dst := range []string{server4, server6} {
			got := mustPing(t, e, dst)
			if got.RTT <= 0 || got.Sent.IsZero() || time.Since(got.Sent) > time.Minute {
				t.Errorf("%s: rtt %v, sent %v", dst, got.RTT, got.Sent)
			}
			addr := netip.MustParseAddr(dst)
			want := Result{Target: addr, Seq: seq, Outcome: OutcomeReply, From: addr, TTL: 63, TOS: 0x28, Size: 64,
				Method: e.Method(), Why: e.Why(), Stamp: StampKernel}
			if d := cmp.Diff(want, got, equal, cmpopts.IgnoreFields(Result{}, "RTT")); d != "" {
				t.Error("-want +got:\n", d)
			}
		}
	})
}

// Link-local addresses work with the zone by name and by number, also from
// outside the namespace, and an unknown zone is a local matter.
func TestLinkLocal(t *testing.T) {
	client, gw, _ := twoNets(t)
	var ll netip.Addr
	err := gw.Do(func() error {
		ifi, err := net.InterfaceByName("lan")
		if err != nil {
			return err
		}
		addrs, err := ifi.Addrs()
		for _, a := range addrs {
			if p := netip.MustParsePrefix(a.String()); p.Addr().IsLinkLocalUnicast() {
				ll = p.Addr()
			}
		}
		return err
	})
	if err != nil || !ll.IsValid() {
		t.Fatal("link-local address of the gateway: ", ll, err)
	}
	e := openIn(t, client, false, Options{})
	if r := mustPing(t, e, ll.String()+"%eth0"); r.Outcome != OutcomeReply || r.From.Zone() != "eth0" {
		t.Errorf("by name: %v from %v", r.Outcome, r.From)
	}
	if r := mustPing(t, e, ll.String()+"%nosuch0"); r.Outcome != OutcomeLocalError || r.Err != unix.ENODEV.Error() {
		t.Errorf("unknown zone: %v %q", r.Outcome, r.Err)
	}
}

// Every code of "destination unreachable" that a router can be made to send
// must arrive with its sender, for a user without capabilities too.
func TestUnreachableCodes(t *testing.T) {
	client, gw, _ := twoNets(t)
	codes6 := []uint8{0, 1, 3, 4, 5, 6}
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{})
		for code := range uint8(16) {
			code6 := codes6[int(code)%len(codes6)]
			gw.ClearFilters()
			counter := gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Action: lab.Reject(code, code6)})
			for _, tc := range []struct {
				dst, from string
				typ, code uint8
			}{{server4, gw4, 3, code}, {server6, gw6, 1, code6}} {
				if tc.typ == 3 && !rejectable(code) {
					continue
				}
				want := icmperr.New(netip.MustParseAddr(tc.from), tc.typ, tc.code)
				want.TTL = 64
				got := mustPing(t, e, tc.dst)
				if got.Outcome != OutcomeICMPError || got.RTT <= 0 {
					t.Errorf("%s code %d: %v after %v", tc.dst, tc.code, got.Outcome, got.RTT)
					continue
				}
				if d := cmp.Diff(want, *got.ICMP, equal); d != "" {
					t.Errorf("%s code %d (-want +got):\n%s", tc.dst, tc.code, d)
				}
			}
			if counter.Packets() == 0 {
				t.Errorf("code %d: the filter took nothing", code)
			}
		}
	})
}

// rejectable reports whether the filter can send this IPv4 code with its usual
// meaning. Code 4 comes from a router with a small MTU, see TestTooBig.
func rejectable(code uint8) bool { return code != 4 }

func TestTimeExceeded(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{TTL: 1})
		for _, tc := range []struct {
			dst, from string
			typ       uint8
		}{{server4, gw4, 11}, {server6, gw6, 3}} {
			want := icmperr.New(netip.MustParseAddr(tc.from), tc.typ, 0)
			want.TTL = 64
			if d := cmp.Diff(&want, mustPing(t, e, tc.dst).ICMP, equal); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.dst, d)
			}
		}
	})
}

// A router with a smaller MTU behind it tells its MTU; the host's own limit is
// a local error.
func TestTooBig(t *testing.T) {
	client, gw, server := twoNets(t)
	gw.MTU("wan", 1300)
	server.MTU("eth0", 1300)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Size: 1372, Fragment: FragmentProbe})
		for _, tc := range []struct {
			dst, from string
			typ, code uint8
		}{{server4, gw4, 3, 4}, {server6, gw6, 2, 0}} {
			want := icmperr.New(netip.MustParseAddr(tc.from), tc.typ, tc.code)
			want.TTL, want.MTU = 64, 1300
			if d := cmp.Diff(&want, mustPing(t, e, tc.dst).ICMP, equal); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.dst, d)
			}
		}
		big := open(t, client, Options{Size: 1600, Fragment: FragmentProbe})
		if r := mustPing(t, big, server4); r.Outcome != OutcomeLocalError || r.Err != "message too long, mtu=1500" {
			t.Errorf("beyond the link's MTU: %v %q", r.Outcome, r.Err)
		}
	})
}

// What the host's own routing table says is not the network's answer. A
// neighbour that does not answer ARP is: the kernel tells it as an ICMP error
// from the host itself.
func TestOwnRouting(t *testing.T) {
	client, _, _ := twoNets(t)
	client.Sysctl("net/ipv4/neigh/eth0/retrans_time_ms", "150") // a failed neighbour shall be told soon
	client.Unreachable("10.9.1.0/24")
	client.Prohibit("10.9.2.0/24")
	client.Blackhole("10.9.3.0/24")
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Timeout: 5 * time.Second})
		for dst, errno := range map[string]error{"10.9.1.1": unix.EHOSTUNREACH, "10.9.2.1": unix.EACCES, "10.9.3.1": unix.EINVAL} {
			if r := mustPing(t, e, dst); r.Outcome != OutcomeLocalError || r.Err != errno.Error() {
				t.Errorf("%s: %v %q, want %v", dst, r.Outcome, r.Err, errno)
			}
		}
		r := mustPing(t, e, "10.1.0.99")
		if r.Outcome != OutcomeICMPError || r.From.String() != client4 || r.ICMP.Kind != icmperr.HostUnreachable {
			t.Errorf("no such neighbour: %v %v", r.Outcome, r.ICMP)
		}
	})
}

// Errors that earlier probes left on the socket never fail later ones.
func TestQueuedErrors(t *testing.T) {
	client, gw, _ := twoNets(t)
	counter := gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Action: lab.RejectHost})
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{})
		before := counter.Packets()
		var wg sync.WaitGroup
		for i := range 400 {
			dst, want := server4, OutcomeICMPError
			if i%2 == 1 {
				dst, want = gw4, OutcomeReply
			}
			wg.Go(func() {
				if r, err := e.Ping(t.Context(), netip.MustParseAddr(dst)); err != nil || r.Outcome != want {
					t.Errorf("%s: %v %q, %v; want %v", dst, r.Outcome, r.Err, err, want)
				}
			})
		}
		wg.Wait()
		if n := counter.Packets() - before; n != 200 {
			t.Errorf("the router refused %d probes, want 200", n)
		}
	})
}

// 200 engines in one process, all at once, on addresses that answer in
// different ways: nobody gets what is meant for another.
func TestManyEngines(t *testing.T) {
	client, gw, server := twoNets(t)
	server.Addr("eth0", "10.2.0.3/24")
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.2.0.4/32", Action: lab.RejectAdmin})
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		targets := []struct {
			dst  string
			want Outcome
		}{{server4, OutcomeReply}, {"10.2.0.3", OutcomeReply}, {"10.2.0.4", OutcomeICMPError}, {server6, OutcomeReply}}
		var wg sync.WaitGroup
		for range 200 {
			e := open(t, client, Options{Timeout: 20 * time.Second})
			for _, tc := range targets {
				wg.Go(func() {
					dst := netip.MustParseAddr(tc.dst)
					for range 3 {
						r, err := e.Ping(t.Context(), dst)
						if err != nil || r.Outcome != tc.want || r.Target != dst || tc.want == OutcomeReply && r.From != dst {
							t.Errorf("%v: %+v, %v", dst, r, err)
						}
					}
				})
			}
		}
		wg.Wait()
	})
}

// Cancelling returns at once, whoever reads the sockets then goes on, and
// nothing is left in the engine.
func TestCancel(t *testing.T) {
	client, gw, _ := twoNets(t)
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest})
	e := openIn(t, client, false, Options{Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := e.Ping(ctx, netip.MustParseAddr(server4)); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
	for range 50 {
		wg.Go(func() { mustPing(t, e, gw4) })
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	wg.Wait()
	wg.Go(func() {
		if _, err := e.Ping(t.Context(), netip.MustParseAddr(server4)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed in between: %v", err)
		}
	})
	time.Sleep(20 * time.Millisecond)
	e.Close()
	wg.Wait()
}

// Routers write into the packet on the way there and back, also for users
// without privileges.
func TestIPOptions(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		got := mustPing(t, open(t, client, Options{RecordRoute: true}), server4).Record
		var want Record
		for _, a := range []string{client4, "10.2.0.1", server4, server4, gw4, client4} {
			want.Route = append(want.Route, netip.MustParseAddr(a))
		}
		if d := cmp.Diff(&want, got, equal); d != "" {
			t.Error("route (-want +got):\n", d)
		}
		hops := []netip.Addr{netip.MustParseAddr(gw4), netip.MustParseAddr(server4)}
		stamped := mustPing(t, open(t, client, Options{IPTimestamp: IPTimestampPrespec, IPTimestampHops: hops}), server4).Record
		if stamped == nil || len(stamped.Stamps) == 0 || stamped.Stamps[0].Addr != hops[0] {
			t.Errorf("given hops: %+v", stamped)
		}
		for kind, places := range map[IPTimestamp]int{IPTimestampOnly: 6, IPTimestampAndAddrs: 4} {
			r := mustPing(t, open(t, client, Options{IPTimestamp: kind}), server4)
			if r.Record == nil || len(r.Record.Stamps) < places-1 {
				t.Errorf("%v: %+v", kind, r.Record)
				continue
			}
			now := r.Sent.UTC().Sub(r.Sent.UTC().Truncate(24 * time.Hour))
			for _, s := range r.Record.Stamps {
				off := (s.Midnight - now).Abs()
				if off > time.Minute && off < 24*time.Hour-time.Minute || s.Addr.IsValid() != (kind == IPTimestampAndAddrs) {
					t.Errorf("%v: %+v at %v", kind, s, now)
				}
			}
		}
	})
}
