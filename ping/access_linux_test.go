package ping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/operr"
)

func TestNoPermission(t *testing.T) {
	client := lab.New(t).Host("client")
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	err := client.DoUnprivileged(func() error {
		_, err := Open(nil)
		for _, want := range []string{"net.ipv4.ping_group_range to include group", "(it is ", "CAP_NET_RAW"} {
			if !errors.Is(err, os.ErrPermission) || !strings.Contains(operr.NeedOf(err), want) {
				t.Errorf("needs %q, want it to name %s (%v)", operr.NeedOf(err), want, err)
			}
		}
		if _, err := Open(&Options{Method: MethodICMPRaw}); operr.NeedOf(err) != "CAP_NET_RAW" {
			t.Errorf("raw: needs %q", operr.NeedOf(err))
		}
		c := Capabilities(t.Context())
		if c.Method != MethodTCP || c.ICMPDatagram.Can != No || c.ICMPDatagram.Fix == "" || c.ICMPv6Raw.Can != No ||
			c.ICMPRaw.Fix != "CAP_NET_RAW" || c.TCP.Can != Yes || c.Timestamps.Can != NotChecked {
			t.Errorf("capabilities: %+v", c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// With the capability and without the sysctl, the raw socket is taken.
	e := openIn(t, client, true, Options{})
	if e.Method() != MethodICMPRaw || !strings.Contains(e.Why(), "ping_group_range") {
		t.Errorf("method %v because %q", e.Method(), e.Why())
	}
	if r := mustPing(t, e, "127.0.0.1"); r.Outcome != OutcomeReply || r.Method != MethodICMPRaw {
		t.Errorf("ping: %v with %v", r.Outcome, r.Method)
	}
}

func TestCapabilities(t *testing.T) {
	client := lab.New(t).Host("client")
	err := client.DoUnprivileged(func() error {
		c := Capabilities(t.Context())
		if c.Method != MethodICMPDatagram || c.ICMPDatagram.Can != Yes || c.ICMPv6Datagram.Can != Yes || c.ICMPRaw.Can != No ||
			c.Timestamps.Can != Yes || c.Mark.Can != No || !strings.Contains(c.Mark.Fix, "CAP_NET_ADMIN") {
			t.Errorf("unprivileged: %+v", c)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if c := Capabilities(ctx); c.ICMPDatagram.Can != NotChecked || c.Mark.Can != NotChecked {
			t.Errorf("no time: %+v", c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = client.Do(func() error {
		if c := Capabilities(t.Context()); c.ICMPRaw.Can != Yes || c.ICMPv6Raw.Can != Yes || c.Mark.Can != Yes {
			t.Errorf("privileged: %+v", c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Source, device, mark and namespace reach the packets.
func TestBinding(t *testing.T) {
	client, gw, _ := twoNets(t)
	client.Addr("eth0", "10.1.0.77/24")
	from77 := gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Src: "10.1.0.77", Action: lab.Count})
	e := openIn(t, client, false, Options{Source: netip.MustParseAddr("10.1.0.77"), Device: "eth0"})
	if r := mustPing(t, e, server4); r.Outcome != OutcomeReply || from77.Packets() != 1 {
		t.Errorf("from the second address: %v, %d packets", r.Outcome, from77.Packets())
	}
	if _, err := e.Ping(t.Context(), netip.MustParseAddr(server6)); !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("IPv6 from an IPv4 address: %v", err)
	}
	err := client.Do(func() error {
		_, err := Open(&Options{Source: netip.MustParseAddr("10.1.0.78")})
		if !errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Errorf("foreign source: %v", err)
		}
		if _, err = Open(&Options{Device: "nosuch0"}); !errors.Is(err, unix.ENODEV) {
			t.Errorf("no such device: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := Open(&Options{NetNS: client.NetNSFD(), Mark: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if r := mustPing(t, ns, server4); r.Outcome != OutcomeReply {
		t.Errorf("through the namespace: %v", r.Outcome)
	}
}

func TestTCP(t *testing.T) {
	client, gw, server := twoNets(t)
	var ln net.Listener
	err := server.Do(func() (err error) { ln, err = net.Listen("tcp", "[::]:80"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	gw.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 81, Action: lab.RejectAdmin})
	gw.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 82})
	client.Unreachable("10.9.1.0/24")
	icmp4, icmp6 := icmperr.New(netip.MustParseAddr(gw4), 3, 13), icmperr.New(netip.MustParseAddr(gw6), 1, 1)
	icmp4.TTL, icmp6.TTL = 64, 64
	late4 := icmperr.New(netip.MustParseAddr(gw4), 11, 0)
	late4.TTL = 64
	for _, tc := range []struct {
		dst  string
		port uint16
		ttl  int
		want Result
	}{
		{server4, 80, 0, Result{Outcome: OutcomeReply, From: netip.MustParseAddr(server4), Stamp: StampTCPInfo}},
		{server6, 80, 0, Result{Outcome: OutcomeReply, From: netip.MustParseAddr(server6), Stamp: StampTCPInfo}},
		{server4, 79, 0, Result{Outcome: OutcomeReply, From: netip.MustParseAddr(server4), Stamp: StampUser, Refused: true}},
		{server4, 81, 0, Result{Outcome: OutcomeICMPError, From: icmp4.From, TTL: 64, ICMP: &icmp4, Stamp: StampUser}},
		{server6, 81, 0, Result{Outcome: OutcomeICMPError, From: icmp6.From, TTL: 64, ICMP: &icmp6, Stamp: StampUser}},
		{server4, 82, 0, Result{Outcome: OutcomeTimeout}},
		{server4, 80, 1, Result{Outcome: OutcomeICMPError, From: late4.From, TTL: 64, ICMP: &late4, Stamp: StampUser}},
		{"10.9.1.1", 80, 0, Result{Outcome: OutcomeLocalError, Err: unix.EHOSTUNREACH.Error()}},
	} {
		t.Run(fmt.Sprintf("%s port %d ttl %d", tc.dst, tc.port, tc.ttl), func(t *testing.T) {
			err := client.DoUnprivileged(func() error {
				got := mustPing(t, TCP{Port: tc.port, Options: Options{TTL: tc.ttl, Timeout: 300 * time.Millisecond}}, tc.dst)
				if answered := tc.want.From.IsValid(); answered != (got.RTT > 0) {
					t.Errorf("rtt %v", got.RTT)
				}
				tc.want.Target, tc.want.Method, tc.want.Why = netip.MustParseAddr(tc.dst), MethodTCP, "asked for; a connect needs no privilege"
				if d := cmp.Diff(tc.want, got, equal, cmpopts.IgnoreFields(Result{}, "RTT")); d != "" {
					t.Error("-want +got:\n", d)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (TCP{Port: 1}).Ping(ctx, netip.MustParseAddr("127.0.0.1")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
