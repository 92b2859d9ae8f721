package lab_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

var bothServers = []string{"10.2.0.2", "fd00:2::2"}

// dial connects by TCP and says how it ended.
func dial(t testing.TB, h *lab.Host, dst string, port int) error {
	t.Helper()
	var conn net.Conn
	err := h.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(netip.MustParseAddr(dst), uint16(port)).String(), time.Second)
		return err
	})
	if err == nil {
		conn.Close()
	}
	return err
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func TestFilterDrop(t *testing.T) {
	t.Parallel()
	_, client, gw, _ := twoNets(t)
	c := gw.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 81, Action: lab.Drop})
	for i, dst := range bothServers {
		if err := dial(t, client, dst, 80); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s:80: %v", dst, err)
		}
		before := c.Packets()
		if err := dial(t, client, dst, 81); !isTimeout(err) {
			t.Errorf("%s:81: %v", dst, err)
		}
		if got := c.Packets(); got <= before || i == 0 && before != 0 {
			t.Errorf("%s: counter went from %d to %d", dst, before, got)
		}
	}
	gw.ClearFilters()
	if err := dial(t, client, "10.2.0.2", 81); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("after ClearFilters: %v", err)
	}
}

func TestFilterMatches(t *testing.T) {
	_, client, gw, server := twoNets(t)
	for _, c := range []struct {
		name        string
		rule        lab.Rule
		hits, spare string // UDP destinations
	}{
		{"dst address", lab.Rule{Dst: "10.2.0.2"}, "10.2.0.2:9", "[fd00:2::2]:9"},
		{"dst prefix 6", lab.Rule{Dst: "fd00:2::/64"}, "[fd00:2::2]:9", "10.2.0.2:9"},
		{"src prefix", lab.Rule{Src: "10.1.0.0/25"}, "10.2.0.2:9", "[fd00:2::2]:9"},
		{"src 6", lab.Rule{Src: "fd00:1::2"}, "[fd00:2::2]:9", "10.2.0.2:9"},
		{"family", lab.Rule{Family: 6, Proto: "udp"}, "[fd00:2::2]:9", "10.2.0.2:9"},
		{"dport", lab.Rule{Proto: "udp", DPort: 7}, "10.2.0.2:7", "10.2.0.2:8"},
		{"out", lab.Rule{Out: "wan", Proto: "udp", DPort: 7}, "[fd00:2::2]:7", "[fd00:2::2]:8"},
		{"in", lab.Rule{In: "lan", Proto: "udp", DPort: 7}, "[fd00:2::2]:7", "[fd00:2::2]:8"},
		{"longer", lab.Rule{LongerThan: 1000, Proto: "udp"}, "10.2.0.2:1200", "10.2.0.2:100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Action = lab.Count
			counter := gw.Filter(lab.Forward, c.rule)
			sendUDP(t, client, c.spare)
			if n := counter.Packets(); n != 0 {
				t.Errorf("%d packets that should not match", n)
			}
			sendUDP(t, client, c.hits)
			if n := settle(counter, 1); n != 1 {
				t.Errorf("%d packets, want 1", n)
			}
		})
	}
	answers := server.Filter(lab.Output, lab.Rule{Proto: "tcp", SPort: 99, Action: lab.Count})
	opens := server.Filter(lab.Input, lab.Rule{SYN: true, Action: lab.Count})
	dial(t, client, "10.2.0.2", 99)
	if settle(answers, 1) != 1 || opens.Packets() != 1 || answers.Bytes() != 40 {
		t.Errorf("%d resets of %d bytes, %d SYNs; want 1 of 40 and 1", answers.Packets(), answers.Bytes(), opens.Packets())
	}
}

// settle reads a counter until it shows n, for a while: packets of another
// host may still be under way when the call that sent them has returned.
func settle(c *lab.Counter, n int) int {
	for range 200 {
		if c.Packets() >= n {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return c.Packets()
}

// sendUDP sends one datagram whose size is the port number.
func sendUDP(t testing.TB, h *lab.Host, dst string) {
	t.Helper()
	ap := netip.MustParseAddrPort(dst)
	err := h.Do(func() error {
		conn, err := net.Dial("udp", dst)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(make([]byte, ap.Port()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilterReject(t *testing.T) {
	_, client, gw, _ := twoNets(t)
	for _, c := range []struct {
		action       lab.Action
		code4, code6 int
	}{
		{lab.RejectNet, 0, 0}, {lab.RejectHost, 1, 3}, {lab.RejectProto, 2, 4}, {lab.RejectPort, 3, 4},
		{lab.RejectNetProhibited, 9, 1}, {lab.RejectHostProhibited, 10, 1}, {lab.RejectAdmin, 13, 1},
		{lab.RejectPolicy, 13, 5}, {lab.RejectRoute, 13, 6}, {lab.Reject(15, 2), 15, 2},
	} {
		gw.ClearFilters()
		counter := gw.Filter(lab.Forward, lab.Rule{Proto: "udp", Action: c.action})
		for i, dst := range bothServers {
			typ, code := icmpAnswer(t, client, dst)
			wantType, wantCode := 3, c.code4
			if i == 1 {
				wantType, wantCode = 1, c.code6
			}
			if typ != wantType || code != wantCode {
				t.Errorf("action %#x to %s: ICMP %d/%d, want %d/%d", c.action, dst, typ, code, wantType, wantCode)
			}
		}
		if n := counter.Packets(); n != 2 {
			t.Errorf("action %#x: counter %d, want 2", c.action, n)
		}
	}
	gw.ClearFilters()
	gw.Filter(lab.Forward, lab.Rule{DPort: 80, Proto: "tcp", Action: lab.RejectReset})
	for _, dst := range bothServers {
		start := time.Now()
		if err := dial(t, client, dst, 80); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s after %v: %v", dst, time.Since(start), err)
		}
	}
}

// icmpAnswer sends a datagram and returns type and code of the ICMP error that
// comes back, as golang.org/x/net/icmp reads it.
func icmpAnswer(t *testing.T, h *lab.Host, dst string) (typ, code int) {
	t.Helper()
	network, local, proto := "ip4:icmp", "0.0.0.0", 1
	if strings.Contains(dst, ":") {
		network, local, proto = "ip6:ipv6-icmp", "::", 58
	}
	err := h.Do(func() error {
		conn, err := icmp.ListenPacket(network, local)
		if err != nil {
			return err
		}
		defer conn.Close()
		sendUDP(t, h, net.JoinHostPort(dst, "9"))
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		for buf := make([]byte, 4096); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return err
			}
			m, err := icmp.ParseMessage(proto, buf[:n])
			if err != nil {
				return err
			}
			switch m.Type {
			case ipv4.ICMPTypeDestinationUnreachable, ipv6.ICMPTypeDestinationUnreachable:
				if got := from.String(); got != "10.1.0.1" && got != "fd00:1::1" {
					return fmt.Errorf("ICMP error from %s", got)
				}
				typ, code = int(buf[0]), m.Code
				return nil
			}
		}
	})
	if err != nil {
		t.Fatalf("no ICMP answer from %s: %v", dst, err)
	}
	return typ, code
}

func TestFilterShareAndRate(t *testing.T) {
	_, client, gw, _ := twoNets(t)
	all := gw.Filter(lab.Forward, lab.Rule{Proto: "udp", Action: lab.Count})
	fifth := gw.Filter(lab.Forward, lab.Rule{Proto: "udp", Share: 0.2, Action: lab.Drop})
	above := gw.Filter(lab.Forward, lab.Rule{Proto: "udp", Above: 100, Action: lab.Drop})
	sent := 0
	err := client.Do(func() error {
		conn, err := net.Dial("udp", "10.2.0.2:9")
		if err != nil {
			return err
		}
		defer conn.Close()
		for range 2000 {
			_, err := conn.Write([]byte("x"))
			switch {
			case err == nil:
				sent++
			case !errors.Is(err, unix.ECONNREFUSED): // that tells of an earlier one
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Almost 2000 draws at 20 %: 400 +- 18; ten standard deviations are allowed.
	if n := settle(all, sent); n < sent*9/10 {
		t.Errorf("%d of %d packets came by", n, sent)
	}
	if n := fifth.Packets(); n < 220 || n > 580 {
		t.Errorf("20 %% of %d: %d", all.Packets(), n)
	}
	if n := above.Packets(); n == 0 || n >= all.Packets()-fifth.Packets() {
		t.Errorf("above 100 a second: %d of %d", n, all.Packets()-fifth.Packets())
	}
}

func TestFilterICMP(t *testing.T) {
	t.Parallel()
	_, client, gw, server := twoNets(t)
	echo := gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest})
	for i, dst := range bothServers {
		if pings(t, client, dst) || echo.Packets() != i+1 {
			t.Errorf("ping %s passes, or counter %d is wrong", dst, echo.Packets())
		}
	}
	gw.ClearFilters()
	// A PMTU black hole: the router may not say that the packet is too big.
	gw.MTU("wan", 1400)
	server.MTU("eth0", 1400)
	tooBig := gw.Filter(lab.Output, lab.Rule{ICMP: lab.TooBig})
	for i, dst := range bothServers {
		out, err := client.Command("ping", "-n", "-c1", "-W1", "-M", "do", "-s", "1412", dst).CombinedOutput()
		if err == nil || strings.Contains(string(out), "mtu") {
			t.Errorf("big ping to %s: %v\n%s", dst, err, out)
		}
		if n := tooBig.Packets(); n != i+1 {
			t.Errorf("%d ICMP messages dropped, want %d", n, i+1)
		}
		if !pings(t, client, dst) {
			t.Errorf("small ping to %s fails", dst)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	_, client, _, server := twoNets(t)
	server.Policy(lab.Input, lab.Drop)
	server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 22, Action: lab.Accept})
	if err := dial(t, client, "10.2.0.2", 22); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("allowed port: %v", err)
	}
	if err := dial(t, client, "10.2.0.2", 80); !isTimeout(err) {
		t.Errorf("other port: %v", err)
	}
	server.Policy(lab.Input, lab.Accept)
	if err := dial(t, client, "10.2.0.2", 80); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("policy accept: %v", err)
	}
}

func TestFilterOutput(t *testing.T) {
	_, client, _, _ := twoNets(t)
	client.Filter(lab.Output, lab.Rule{Proto: "udp", DPort: 9})
	err := client.Do(func() error {
		conn, err := net.Dial("udp", "10.2.0.2:9")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("x"))
		return err
	})
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("write through an output filter: %v, want EPERM", err)
	}
}

// TestFilterAgainstNft reads the rules back by the tool that people use.
func TestFilterAgainstNft(t *testing.T) {
	need(t, "nft")
	_, _, gw, _ := twoNets(t)
	for _, r := range []lab.Rule{
		{Proto: "tcp", SPort: 5, DPort: 80, Src: "10.1.0.0/24", Action: lab.RejectReset},
		{Family: 4, Proto: "udp", Action: lab.RejectAdmin},
		{Dst: "fd00::1", ICMP: lab.TooBig, Action: lab.Drop},
		{In: "lan", Out: "wan", LongerThan: 1000, Action: lab.Accept},
		{Proto: "udp", Share: 0.25, Action: lab.Drop},
		{Proto: "udp", Above: 20, Action: lab.Drop},
		{SYN: true, Action: lab.Count},
		{Family: 4, ICMP: lab.ICMP(3, 4, 2, 0)},
	} {
		gw.Filter(lab.Forward, r)
	}
	out, err := gw.Output("nft", "list", "chain", "inet", "lab", "forward")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		line, comment, ok := strings.Cut(strings.TrimSpace(line), " comment ")
		if ok && !strings.HasPrefix(comment, `"lab `) {
			t.Errorf("comment %s", comment)
		}
		if ok {
			got = append(got, strings.Replace(line, "counter packets 0 bytes 0", "counter", 1))
		}
	}
	want := []string{
		"ip saddr 10.1.0.0/24 tcp sport 5 tcp dport 80 counter reject with tcp reset",
		"meta nfproto ipv4 meta l4proto udp counter reject with icmp admin-prohibited",
		"ip6 daddr fd00::1 icmpv6 type packet-too-big counter drop",
		`iifname "lan" oifname "wan" meta length > 1000 counter accept`,
		"meta l4proto udp numgen random mod 1048576 < 262144 counter drop",
		"meta l4proto udp limit rate over 20/second burst 20 packets counter drop",
		"tcp flags syn / syn,ack counter",
		"icmp type destination-unreachable icmp code frag-needed counter drop",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, out)
	}
}

func TestSwitchFilter(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	sw := l.Switch("sw")
	a, b := l.Host("a"), l.Host("b")
	l.Connect(a.Port("eth0", "10.0.0.1/24", "fd00::1/64"), sw.Port())
	l.Connect(b.Port("eth0", "10.0.0.2/24", "fd00::2/64"), sw.Port())
	arp := sw.Filter(lab.Rule{Ether: 0x0806})
	if pings(t, a, "10.0.0.2") || arp.Packets() == 0 {
		t.Errorf("ping passes, %d ARP frames dropped", arp.Packets())
	}
	if !pings(t, a, "fd00::2") {
		t.Error("IPv6 does not pass")
	}
	sw.ClearFilters()
	a.ForgetNeighbors() // what is being looked up in vain
	v6 := sw.Filter(lab.Rule{ICMP: lab.EchoRequest, Family: 6})
	if !pings(t, a, "10.0.0.2") || pings(t, a, "fd00::2") || v6.Packets() != 1 {
		t.Errorf("filter for IPv6: %d packets", v6.Packets())
	}
}
