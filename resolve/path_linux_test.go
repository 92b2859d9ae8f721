package resolve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/operr"
)

// pathLab is client - gw - server in both families, the server answering DNS.
type pathLab struct {
	client, gw, server *lab.Host
	dns                []*server
}

func newPathLab(t testing.TB, handle func(*asked) []reply) *pathLab {
	t.Helper()
	l := lab.New(t)
	p := &pathLab{client: l.Host("client"), gw: l.Router("gw"), server: l.Host("server")}
	l.Connect(p.client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), p.gw.Port("lan", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(p.gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), p.server.Port("eth0", "10.2.0.2/24", "fd00:2::2/64"))
	// A neighbour look-up fails after three requests: in 0.3 s instead of 3 s.
	for _, family := range []string{"ipv4", "ipv6"} {
		p.client.Sysctl("net/"+family+"/neigh/eth0/retrans_time_ms", "100")
		p.gw.Sysctl("net/"+family+"/neigh/wan/retrans_time_ms", "100")
	}
	p.client.Route("default", "10.1.0.1")
	p.client.Route("default", "fd00:1::1")
	p.server.Route("default", "10.2.0.1")
	p.server.Route("default", "fd00:2::1")
	err := p.server.Do(func() error {
		for _, addr := range []string{"10.2.0.2:53", "[fd00:2::2]:53"} {
			p.dns = append(p.dns, serve(t, addr, handle))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// query asks from the client without any capability.
func (p *pathLab) query(t testing.TB, c Client, server string) (a Answer, err error) {
	t.Helper()
	err = p.client.DoUnprivileged(func() (err error) {
		a, err = c.Query(t.Context(), netip.MustParseAddrPort(server), Question{Name: "q.example"})
		return err
	})
	return a, err
}

// summary is "outcome kind from sender", or "outcome".
func summary(a Answer) string {
	s := a.Outcome.String()
	if a.ICMP != nil {
		s += " " + a.ICMP.String()
	}
	return s
}

type pathFault struct {
	name     string
	fault    func(*pathLab)
	target   [2]string // per family; empty: the server, port 53
	udp, tcp [2]string // summaries per family
}

const patience = 10 * time.Second // a guard: the answer comes before

var pathFaults = []pathFault{
	{name: "none", udp: [2]string{"answer", "answer"}, tcp: [2]string{"answer", "answer"}},
	{
		name: "port closed", target: [2]string{"10.2.0.2:54", "[fd00:2::2]:54"},
		udp: [2]string{"port_unreachable port_unreachable from 10.2.0.2", "port_unreachable port_unreachable from fd00:2::2"},
		tcp: [2]string{"conn_refused", "conn_refused"},
	},
	{
		name: "host off", fault: func(p *pathLab) { p.server.PowerOff() },
		udp: [2]string{"host_unreachable host_unreachable from 10.1.0.1", "host_unreachable host_unreachable from fd00:1::1"},
		tcp: [2]string{"host_unreachable host_unreachable from 10.1.0.1", "host_unreachable host_unreachable from fd00:1::1"},
	},
	{
		name: "no such neighbour", target: [2]string{"10.1.0.9:53", "[fd00:1::9]:53"},
		udp: [2]string{"host_unreachable host_unreachable from 10.1.0.2", "host_unreachable host_unreachable from fd00:1::2"},
		tcp: [2]string{"host_unreachable host_unreachable from 10.1.0.2", "host_unreachable host_unreachable from fd00:1::2"},
	},
	{
		name: "filtered", fault: func(p *pathLab) {
			p.gw.Filter(lab.Forward, lab.Rule{DPort: 53, Proto: "udp"})
			p.gw.Filter(lab.Forward, lab.Rule{DPort: 53, Proto: "tcp"})
		},
		udp: [2]string{"timeout", "timeout"}, tcp: [2]string{"timeout", "timeout"},
	},
	{
		name: "prohibited", fault: func(p *pathLab) {
			for _, proto := range []string{"udp", "tcp"} {
				p.gw.Filter(lab.Forward, lab.Rule{DPort: 53, Proto: proto, Action: lab.RejectAdmin})
			}
		},
		udp: [2]string{"prohibited admin_prohibited from 10.1.0.1", "prohibited admin_prohibited from fd00:1::1"},
		tcp: [2]string{"prohibited admin_prohibited from 10.1.0.1", "prohibited admin_prohibited from fd00:1::1"},
	},
	{
		name: "port rejected by the gateway", fault: func(p *pathLab) {
			p.gw.Filter(lab.Forward, lab.Rule{DPort: 53, Proto: "udp", Action: lab.RejectPort})
			p.gw.Filter(lab.Forward, lab.Rule{DPort: 53, Proto: "tcp", Action: lab.RejectReset})
		},
		udp: [2]string{"port_unreachable port_unreachable from 10.1.0.1", "port_unreachable port_unreachable from fd00:1::1"},
		tcp: [2]string{"conn_refused", "conn_refused"},
	},
	{
		name: "no route at the gateway", target: [2]string{"10.9.0.1:53", "[fd00:9::1]:53"},
		udp: [2]string{"net_unreachable net_unreachable from 10.1.0.1", "net_unreachable net_unreachable from fd00:1::1"},
		tcp: [2]string{"net_unreachable net_unreachable from 10.1.0.1", "net_unreachable net_unreachable from fd00:1::1"},
	},
	{
		name: "routing loop", fault: func(p *pathLab) {
			p.gw.Route("10.9.0.0/16", "10.2.0.2")
			p.gw.Route("fd00:9::/64", "fd00:2::2")
			p.server.Sysctl("net/ipv4/ip_forward", "1")
			p.server.Sysctl("net/ipv6/conf/all/forwarding", "1")
			p.gw.Sysctl("net/ipv4/conf/all/send_redirects", "0")
		},
		target: [2]string{"10.9.0.1:53", "[fd00:9::1]:53"},
		udp:    [2]string{"icmp_error time_exceeded", "icmp_error time_exceeded"},
		tcp:    [2]string{"icmp_error time_exceeded", "icmp_error time_exceeded"},
	},
	{
		name: "no route here", fault: func(p *pathLab) { p.client.DelRoute("default") },
		udp: [2]string{"no_route", "no_route"}, tcp: [2]string{"no_route", "no_route"},
	},
	{
		name: "unreachable route here", fault: func(p *pathLab) { p.client.Unreachable("10.2.0.0/16"); p.client.Unreachable("fd00:2::/64") },
		udp: [2]string{"no_route", "no_route"}, tcp: [2]string{"no_route", "no_route"},
	},
	{
		name: "prohibit route here", fault: func(p *pathLab) { p.client.Prohibit("10.2.0.0/16"); p.client.Prohibit("fd00:2::/64") },
		udp: [2]string{"no_route", "no_route"}, tcp: [2]string{"no_route", "no_route"},
	},
	{
		name: "blackhole route here", fault: func(p *pathLab) { p.client.Blackhole("10.2.0.0/16"); p.client.Blackhole("fd00:2::/64") },
		udp: [2]string{"no_route", "no_route"}, tcp: [2]string{"no_route", "no_route"},
	},
	{
		name: "own firewall drops", fault: func(p *pathLab) {
			p.client.Filter(lab.Output, lab.Rule{DPort: 53, Proto: "udp"})
			p.client.Filter(lab.Output, lab.Rule{DPort: 53, Proto: "tcp"})
		},
		// The kernel does not tell a connecting TCP socket about that.
		udp: [2]string{"local_firewall", "local_firewall"}, tcp: [2]string{"timeout", "timeout"},
	},
}

func TestPathFaults(t *testing.T) {
	for _, f := range pathFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := newPathLab(t, ok)
			if f.fault != nil {
				f.fault(p)
			}
			for i, server := range []string{"10.2.0.2:53", "[fd00:2::2]:53"} {
				if f.target[i] != "" {
					server = f.target[i]
				}
				for _, c := range []struct {
					client Client
					want   string
				}{{Client{}, f.udp[i]}, {Client{TCPOnly: true}, f.tcp[i]}} {
					if c.client.Timeout = patience; c.want == "timeout" {
						c.client.Timeout = 300 * time.Millisecond
					}
					a, err := p.query(t, c.client, server)
					if err != nil {
						t.Fatal(err)
					}
					got := summary(a)
					if a.ICMP != nil && a.ICMP.Kind == icmperr.TimeExceeded {
						got = a.Outcome.String() + " " + a.ICMP.Kind.String() // either router
					}
					if got != c.want {
						t.Errorf("%s, TCP %t: %s (%s), want %s", server, c.client.TCPOnly, got, a.Err, c.want)
					}
					if local := a.Outcome.Local(); local != (a.Attempts[0].Sent.IsZero() && local) {
						t.Errorf("%s: %s, sent at %s", server, a.Outcome, a.Attempts[0].Sent)
					}
				}
			}
		})
	}
}

// TestOnlyUDPPasses is the firewall that forgets that DNS is TCP too.
func TestOnlyUDPPasses(t *testing.T) {
	p := newPathLab(t, onTCP(cut, ok))
	blocked := p.gw.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 53, Action: lab.RejectHostProhibited})
	a, err := p.query(t, Client{}, "10.2.0.2:53")
	if err != nil {
		t.Fatal(err)
	}
	if a.Outcome != OutcomeTruncated || len(a.Attempts) != 2 || a.Attempts[1].Outcome != OutcomeProhibited {
		t.Errorf("%+v", a)
	}
	if icmp := a.Attempts[1].ICMP; icmp == nil || icmp.String() != "host_prohibited from 10.1.0.1" {
		t.Errorf("ICMP error of the second attempt: %v", icmp)
	}
	if blocked.Packets() == 0 {
		t.Error("the rule took nothing")
	}
}

// TestZone asks a server at a link-local address.
func TestZone(t *testing.T) {
	p := newPathLab(t, ok)
	err := p.gw.Do(func() error { serve(t, "[::]:53", ok); return nil })
	if err != nil {
		t.Fatal(err)
	}
	p.gw.Addr("lan", "fe80::53/64")
	for _, c := range []struct {
		zone   string
		client Client
		want   Outcome
	}{
		{"%eth0", Client{}, OutcomeAnswer}, {"%nope", Client{}, OutcomeLocalError},
		{"", Client{}, OutcomeLocalError}, {"", Client{Device: "eth0"}, OutcomeAnswer},
	} {
		a, err := p.query(t, c.client, "[fe80::53"+c.zone+"]:53")
		if err != nil || a.Outcome != c.want {
			t.Errorf("zone %q, device %q: %s %s, %v", c.zone, c.client.Device, summary(a), a.Err, err)
		}
	}
	// From outside, the zone is one of the namespace given.
	a, err := Client{NetNS: p.client.NetNSFD()}.Query(t.Context(), netip.MustParseAddrPort("[fe80::53%eth0]:53"), Question{Name: "q.example"})
	if err != nil || a.Outcome != OutcomeAnswer {
		t.Errorf("in a namespace: %s %s, %v", summary(a), a.Err, err)
	}
}

func TestPlace(t *testing.T) {
	p := newPathLab(t, ok)
	p.client.Addr("eth0", "10.1.0.77/24")
	for _, c := range []struct {
		client Client
		from   string
	}{
		{Client{Source: netip.MustParseAddr("10.1.0.77")}, "10.1.0.77"},
		{Client{Source: netip.MustParseAddr("10.1.0.77"), TCPOnly: true}, "10.1.0.77"},
		{Client{Device: "eth0"}, "10.1.0.2"},
	} {
		a, err := p.query(t, c.client, "10.2.0.2:53")
		if err != nil || a.Outcome != OutcomeAnswer {
			t.Fatalf("%+v: %s %s, %v", c.client, summary(a), a.Err, err)
		}
		seen := p.dns[0].seen()
		if got := seen[len(seen)-1].from.Addr().String(); got != c.from {
			t.Errorf("%+v: from %s", c.client, got)
		}
	}
	for _, c := range []struct {
		client Client
		text   string
	}{
		{Client{Source: netip.MustParseAddr("10.1.0.78")}, unix.EADDRNOTAVAIL.Error()},
		{Client{Device: "nope"}, unix.ENODEV.Error()},
		{Client{Source: netip.MustParseAddr("fd00:1::2")}, unix.EAFNOSUPPORT.Error()},
	} {
		a, err := p.query(t, c.client, "10.2.0.2:53")
		if err != nil || a.Outcome != OutcomeLocalError || a.Err != c.text {
			t.Errorf("%+v: %s %q, %v", c.client, summary(a), a.Err, err)
		}
	}
}

// TestMark sends by a route that only marked packets take.
func TestMark(t *testing.T) {
	p := newPathLab(t, ok)
	_, err := p.query(t, Client{Mark: 7}, "10.2.0.2:53")
	if !errors.Is(err, os.ErrPermission) || operr.NeedOf(err) == "" {
		t.Errorf("without a capability: %v", err)
	}
	need(t, "ip")
	if _, err := p.client.Output("ip", "rule", "add", "fwmark", "7", "prohibit"); err != nil {
		t.Fatal(err)
	}
	for mark, want := range map[uint32]Outcome{0: OutcomeAnswer, 7: OutcomeNoRoute} {
		err := p.client.Do(func() error {
			a, err := Client{Mark: mark}.Query(t.Context(), netip.MustParseAddrPort("10.2.0.2:53"), Question{Name: "q.example"})
			if a.Outcome != want {
				t.Errorf("mark %d: %s %s", mark, summary(a), a.Err)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestAllServers asks three servers with different faults at the same time, and
// compares what takes long with what does not.
func TestAllServers(t *testing.T) {
	p := newPathLab(t, ok)
	p.gw.Filter(lab.Forward, lab.Rule{Dst: "10.2.0.3"})
	var res Result
	err := p.client.DoUnprivileged(func() (err error) {
		res, err = Lookup(t.Context(), "q.example", &LookupOptions{
			Config: &Config{Servers: addrPorts("10.2.0.3", "10.2.0.1", "10.2.0.2"), Ndots: 1},
			Hosts:  &Hosts{}, NSSwitch: &NSSwitch{}, AllServers: true, EDNS: true, Timeout: 400 * time.Millisecond, Attempts: 2,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range res.Steps[0].Asks {
		got = append(got, fmt.Sprint(a.Server, " ", summary(a.Answers[0]), " ", summary(a.Answers[1])))
	}
	want := []string{
		"10.2.0.3:53 timeout timeout",
		"10.2.0.1:53 port_unreachable port_unreachable from 10.2.0.1 port_unreachable port_unreachable from 10.2.0.1",
		"10.2.0.2:53 answer no_data",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if res.Outcome != OutcomeAnswer || res.Server != addrPorts("10.2.0.2")[0] || len(res.Addrs) != 1 {
		t.Errorf("%s from %s: %v", res.Outcome, res.Server, res.Addrs)
	}
	// All questions were out before the first one was repeated.
	again := res.Steps[0].Asks[0].Answers[0].Attempts[1].Sent
	for _, ask := range res.Steps[0].Asks {
		for _, a := range ask.Answers {
			if first := a.Attempts[0].Sent; !first.Before(again) {
				t.Errorf("%s was asked at %s, after the repetition at %s", ask.Server, first, again)
			}
		}
	}
	if b, err := json.Marshal(res); err != nil {
		t.Errorf("JSON: %v\n%s", err, b)
	}
}

// TestLargeDatagram is a server that sends more over UDP than it was asked to.
func TestLargeDatagram(t *testing.T) {
	many := func(a *asked) []reply {
		var parts []any
		for i := range 400 {
			parts = append(parts, rrA(a.name(), fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
		}
		return a.say(0, parts...)
	}
	s := serve(t, "127.0.0.1:0", many)
	a, err := Client{}.Query(t.Context(), s.addr, Question{Name: "q.example"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := verdictOf(a), "answer NOERROR ignored | udp+ truncated, tcp+ answer"; got != want || len(a.Addrs()) != 400 {
		t.Errorf("got  %s, %d addresses\nwant %s", got, len(a.Addrs()), want)
	}
}
