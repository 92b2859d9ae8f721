package portscan_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/portscan"
)

// scene is a client, a router and a server that listens on port 80.
type scene struct {
	*lab.Lab
	client, router, server *lab.Host
}

var addr = map[string]map[int]netip.Addr{
	"client": {4: netip.MustParseAddr("10.8.1.2"), 6: netip.MustParseAddr("fd08:1::2")},
	"router": {4: netip.MustParseAddr("10.8.1.1"), 6: netip.MustParseAddr("fd08:1::1")},
	"server": {4: netip.MustParseAddr("10.8.2.2"), 6: netip.MustParseAddr("fd08:2::2")},
}

func newScene(t testing.TB) *scene {
	l := lab.New(t)
	s := &scene{Lab: l, client: l.Host("client"), router: l.Router("router"), server: l.Host("server")}
	l.Connect(s.client.Port("eth0", "10.8.1.2/24", "fd08:1::2/64"), s.router.Port("lan", "10.8.1.1/24", "fd08:1::1/64"))
	l.Connect(s.router.Port("wan", "10.8.2.1/24", "fd08:2::1/64"), s.server.Port("eth0", "10.8.2.2/24", "fd08:2::2/64"))
	s.client.Route("default", "10.8.1.1")
	s.client.Route("default", "fd08:1::1")
	s.server.Route("default", "10.8.2.1")
	s.server.Route("default", "fd08:2::1")
	for _, h := range []*lab.Host{s.server, s.client} {
		h.Sysctl("net/ipv4/icmp_ratemask", "0") // no message is limited
		h.Sysctl("net/ipv6/icmp/ratemask", "0")
	}
	listen(t, s.server, 80)
	return s
}

// listen accepts and closes connections to a port of a host.
func listen(t testing.TB, h *lab.Host, port int) {
	t.Helper()
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

// scan scans on the client without any capability.
func (s *scene) scan(t testing.TB, o portscan.Options, targets ...netip.AddrPort) []portscan.Result {
	t.Helper()
	results, err := s.collect(t.Context(), o, targets...)
	if err != nil {
		t.Error(err)
	}
	return results
}

func (s *scene) collect(ctx context.Context, o portscan.Options, targets ...netip.AddrPort) (results []portscan.Result, err error) {
	err = s.client.DoUnprivileged(func() error {
		for r, err := range (portscan.Connect{Options: o}).Scan(ctx, slices.Values(targets)) {
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	return results, err
}

// words says of a result what tests compare.
func words(r portscan.Result) string {
	s := fmt.Sprintf("%d %v %v", r.Target.Port(), r.State, r.Reason)
	if r.From.IsValid() {
		s += " " + r.From.String()
	}
	return s
}

func both(port uint16) []netip.AddrPort {
	return []netip.AddrPort{
		netip.AddrPortFrom(addr["server"][4], port), netip.AddrPortFrom(addr["server"][6], port),
	}
}

// refusals are the ICMP codes of both families with this package's words.
var refusals = []struct {
	code4, code6     uint8
	reason4, reason6 portscan.Reason
}{
	{0, 0, portscan.ReasonICMPNetUnreachable, portscan.ReasonICMPNetUnreachable},
	{1, 3, portscan.ReasonICMPHostUnreachable, portscan.ReasonICMPHostUnreachable},
	{2, 1, portscan.ReasonICMPProtoUnreachable, portscan.ReasonICMPAdminProhibited},
	{3, 4, portscan.ReasonICMPPortUnreachable, portscan.ReasonICMPPortUnreachable},
	{9, 1, portscan.ReasonICMPNetProhibited, portscan.ReasonICMPAdminProhibited},
	{10, 3, portscan.ReasonICMPHostProhibited, portscan.ReasonICMPHostUnreachable},
	{13, 0, portscan.ReasonICMPAdminProhibited, portscan.ReasonICMPNetUnreachable},
	{6, 2, portscan.ReasonICMPNetUnreachable, portscan.ReasonICMPOther},
	{7, 5, portscan.ReasonICMPHostUnreachable, portscan.ReasonICMPOther},
	{11, 6, portscan.ReasonICMPNetUnreachable, portscan.ReasonICMPOther},
	{12, 0, portscan.ReasonICMPHostUnreachable, portscan.ReasonICMPNetUnreachable},
	{14, 0, portscan.ReasonICMPOther, portscan.ReasonICMPNetUnreachable},
	{15, 0, portscan.ReasonICMPOther, portscan.ReasonICMPNetUnreachable},
}

// refuse has a host answer port 1000+i with refusal i, port 1100 with a reset
// and port 1101 with nothing.
func refuse(h *lab.Host, hook lab.Hook) (reset *lab.Counter) {
	for i, k := range refusals {
		h.Filter(hook, lab.Rule{Proto: "tcp", DPort: uint16(1000 + i), Action: lab.Reject(k.code4, k.code6)})
	}
	h.Filter(hook, lab.Rule{Proto: "tcp", DPort: 1101})
	return h.Filter(hook, lab.Rule{Proto: "tcp", DPort: 1100, Action: lab.RejectReset})
}

func TestRefusals(t *testing.T) {
	s := newScene(t)
	for _, at := range []struct {
		host *lab.Host
		name string
		hook lab.Hook
	}{{s.router, "router", lab.Forward}, {s.server, "server", lab.Input}} {
		reset := refuse(at.host, at.hook)
		var targets []netip.AddrPort
		want := map[string]bool{}
		for _, family := range []int{4, 6} {
			target, from := addr["server"][family], addr[at.name][family]
			targets = append(targets, netip.AddrPortFrom(target, 80), netip.AddrPortFrom(target, 81),
				netip.AddrPortFrom(target, 1100))
			want[fmt.Sprintf("80 open syn_ack %s", target)] = true
			want[fmt.Sprintf("81 closed conn_refused %s", target)] = true
			want[fmt.Sprintf("1100 closed conn_refused %s", target)] = true
			for i, k := range refusals {
				targets = append(targets, netip.AddrPortFrom(target, uint16(1000+i)))
				reason := k.reason4
				if family == 6 {
					reason = k.reason6
				}
				want[fmt.Sprintf("%d filtered %s %s", 1000+i, reason, from)] = true
			}
		}
		got := map[string]bool{}
		for _, r := range s.scan(t, portscan.Options{}, targets...) {
			got[words(r)] = true
			if r.RTT <= 0 || !r.Local.IsValid() || r.Local.Port() == 0 || r.Tries != 1 || r.Err != "" {
				t.Errorf("%s: %+v", at.name, r)
			}
			if r.ICMP != nil && r.ICMP.TTL < 60 {
				t.Errorf("%s: TTL of the message: %+v", at.name, r.ICMP)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("refusals at %s (-want +got)\n%s", at.name, d)
		}
		if reset.Packets() != 2 {
			t.Errorf("%s: %d packets were reset, not 2", at.name, reset.Packets())
		}
		at.host.ClearFilters()
	}
}

// TestDeadTargets has everything that takes its time, at once.
func TestDeadTargets(t *testing.T) {
	s := newScene(t)
	s.server.Sysctl("net/ipv4/ip_forward", "1") // and has no way but back
	s.server.Sysctl("net/ipv6/conf/all/forwarding", "1")
	s.router.Route("10.8.3.0/24", "10.8.2.2")
	s.router.Route("fd08:3::/64", "fd08:2::2")
	s.router.Prohibit("10.8.5.0/24")
	s.router.Prohibit("fd08:5::/64")
	s.router.Unreachable("10.8.6.0/24")
	s.router.Unreachable("fd08:6::/64")
	s.router.Blackhole("10.8.7.0/24")
	s.router.Blackhole("fd08:7::/64")
	drop := s.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 82})
	router4, router6 := addr["router"][4].String(), addr["router"][6].String()
	want := map[string]string{
		"10.8.2.2:82": "filtered no_response", "[fd08:2::2]:82": "filtered no_response",
		"10.8.7.1:80": "filtered no_response", "[fd08:7::1]:80": "filtered no_response",
		// A host that is not there: says the router, and on its own network this host.
		"10.8.2.99:80":    "filtered icmp_host_unreachable " + router4,
		"[fd08:2::99]:80": "filtered icmp_host_unreachable " + router6,
		"10.8.1.99:80":    "filtered icmp_host_unreachable " + addr["client"][4].String(),
		"[fd08:1::99]:80": "filtered icmp_host_unreachable " + addr["client"][6].String(),
		"10.8.4.1:80":     "filtered icmp_net_unreachable " + router4,
		"[fd08:4::1]:80":  "filtered icmp_net_unreachable " + router6,
		"10.8.5.1:80":     "filtered icmp_admin_prohibited " + router4,
		"[fd08:5::1]:80":  "filtered icmp_admin_prohibited " + router6,
		"10.8.6.1:80":     "filtered icmp_host_unreachable " + router4,
		"[fd08:6::1]:80":  "filtered icmp_net_unreachable " + router6,
		"10.8.3.1:80":     "filtered icmp_time_exceeded",
		"[fd08:3::1]:80":  "filtered icmp_time_exceeded",
	}
	var targets []netip.AddrPort
	for target := range want {
		targets = append(targets, netip.MustParseAddrPort(target))
	}
	got := map[string]string{}
	for _, r := range s.scan(t, portscan.Options{}, targets...) {
		_, w, _ := strings.Cut(words(r), " ")
		if r.Reason == portscan.ReasonICMPTimeExceeded {
			w, _, _ = strings.Cut(w, " 10.8.")
			w, _, _ = strings.Cut(w, " fd08:")
		}
		got[r.Target.String()] = w
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if drop.Packets() < 2 {
		t.Errorf("only %d SYNs were dropped", drop.Packets())
	}
}

// What this host keeps inside says nothing about the target.
func TestLocal(t *testing.T) {
	toServer := func(set func(h *lab.Host, dst string)) func(s *scene) {
		return func(s *scene) { set(s.client, "10.8.2.0/24"); set(s.client, "fd08:2::/64") }
	}
	for _, f := range []struct {
		name   string
		harm   func(s *scene)
		reason portscan.Reason
		errno  unix.Errno
	}{
		{"filter drops", func(s *scene) { s.client.Filter(lab.Output, lab.Rule{Proto: "tcp"}) },
			portscan.ReasonLocalFilter, unix.EPERM},
		{"filter rejects", func(s *scene) { s.client.Filter(lab.Output, lab.Rule{Proto: "tcp", Action: lab.RejectAdmin}) },
			portscan.ReasonLocalFilter, 0},
		{"no route", func(s *scene) { s.client.DelRoute("default") },
			portscan.ReasonLocalNoRoute, unix.ENETUNREACH},
		{"unreachable", toServer((*lab.Host).Unreachable), portscan.ReasonLocalNoRoute, unix.EHOSTUNREACH},
		{"blackhole", toServer((*lab.Host).Blackhole), portscan.ReasonLocalNoRoute, unix.EINVAL},
		{"prohibit", toServer((*lab.Host).Prohibit), portscan.ReasonLocalPermission, unix.EACCES},
	} {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t)
			f.harm(s)
			results := s.scan(t, portscan.Options{}, both(80)...)
			if len(results) != 2 {
				t.Fatalf("%d results", len(results))
			}
			for _, r := range results {
				if r.State != portscan.StateNotTested || r.Reason != f.reason || r.Err == "" ||
					f.errno != 0 && r.Errno != f.errno {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// An attempt from the port that it is aimed at opens, but nobody listens.
func TestSelfConnect(t *testing.T) {
	s := newScene(t)
	s.client.Sysctl("net/ipv4/ip_local_port_range", "50000 50000")
	for _, target := range []string{"127.0.0.1:50000", "[::1]:50000"} {
		results := s.scan(t, portscan.Options{}, netip.MustParseAddrPort(target))
		if len(results) != 1 || results[0].State != portscan.StateClosed ||
			results[0].Reason != portscan.ReasonSelfConnect || results[0].Tries != 1 {
			t.Errorf("%s: %+v", target, results)
		}
	}
	s.client.Sysctl("net/ipv4/ip_local_port_range", "50000 50020")
	for range 20 { // now and then the kernel chooses the port itself
		for _, r := range s.scan(t, portscan.Options{}, netip.MustParseAddrPort("127.0.0.1:50008")) {
			if r.State != portscan.StateClosed {
				t.Errorf("%+v", r)
			}
		}
	}
}

// Local ports that run out are waited for, and nothing is guessed meanwhile.
func TestPortsRunOut(t *testing.T) {
	s := newScene(t)
	s.client.Sysctl("net/ipv4/ip_local_port_range", "50000 50003")
	drop := s.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 82})
	var targets []netip.AddrPort
	for range 4 {
		targets = append(targets, both(82)...) // hold all ports for a while
	}
	targets = append(targets, both(80)...)
	for _, r := range s.scan(t, portscan.Options{Timeout: 1200 * time.Millisecond}, targets...) {
		want := portscan.StateFiltered
		if r.Target.Port() == 80 {
			want = portscan.StateOpen
		}
		if r.State != want {
			t.Errorf("%+v", r)
		}
	}
	if drop.Packets() == 0 {
		t.Error("nothing was dropped")
	}
}
