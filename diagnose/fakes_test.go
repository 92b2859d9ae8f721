package diagnose

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/sockets"
	"github.com/netsonde/netsonde/trace"
)

// fakeWorld plays a network: who answers ping, and which ports are open.
// Everything else is silent at once.
type fakeWorld struct {
	pings []netip.Addr
	open  []netip.AddrPort
	mtu   trace.PathMTU
}

func (w fakeWorld) Lookup(_ context.Context, dst netip.Addr, _ *route.LookupOptions) (route.Decision, error) {
	d := route.Decision{Outcome: route.OutcomeForward}
	d.Route.Device, d.Route.Gateway = "eth0", gw
	return d, nil
}

func (w fakeWorld) Neighbors(context.Context) ([]route.Neighbor, error) {
	return []route.Neighbor{{Addr: gw, Device: "eth0", State: route.NeighborReachable}}, nil
}

func (w fakeWorld) Ping(_ context.Context, dst netip.Addr) (ping.Result, error) {
	r := ping.Result{Target: dst, Outcome: ping.OutcomeTimeout}
	if slices.Contains(w.pings, dst) {
		r.Outcome, r.From, r.RTT = ping.OutcomeReply, dst, time.Millisecond
	}
	return r, nil
}

func (w fakeWorld) Scan(_ context.Context, targets iter.Seq[netip.AddrPort]) iter.Seq2[portscan.Result, error] {
	return func(yield func(portscan.Result, error) bool) {
		for t := range targets {
			r := portscan.Result{Target: t, State: portscan.StateFiltered}
			if slices.Contains(w.open, t) {
				r.State = portscan.StateOpen
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (w fakeWorld) Trace(context.Context, netip.Addr) (trace.Path, error) {
	return trace.Path{}, errors.New("no trace")
}

func (w fakeWorld) FindMTU(context.Context, netip.Addr) (trace.PathMTU, error) { return w.mtu, nil }

func (w fakeWorld) gatherer(host string) *gatherer {
	g := &gatherer{target: Target{Host: host}, begun: time.Now(), tools: &tools{
		lookup: w, neighbors: w, pinger: w, scanner: w, udpTracer: w, mtu: w,
		tcpTracer: func(uint16) Tracer { return w },
	}}
	g.host.links = []link.Link{{Name: "eth0", Index: 2, Flags: link.FlagUp, Addresses: []link.Address{{Prefix: netip.MustParsePrefix("10.1.0.20/24")}}}}
	return g
}

// TestSilentToPing takes no address for dead because it does not answer ping,
// where no port is in question and something else of it answers.
func TestSilentToPing(t *testing.T) {
	addr := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, 0, i}) }
	https := func(i byte) netip.AddrPort { return netip.AddrPortFrom(addr(i), 443) }
	for name, c := range map[string]struct {
		world fakeWorld
		peers int   // that the report is about
		all   State // of FactSeveral; NotChecked where there is none
	}{
		"one of them":         {fakeWorld{pings: []netip.Addr{addr(1)}, open: []netip.AddrPort{https(2), https(3), https(4)}}, 1, Yes},
		"all of them":         {fakeWorld{open: []netip.AddrPort{https(1), https(2), https(3), https(4)}}, 1, Yes},
		"one is dead":         {fakeWorld{pings: []netip.Addr{addr(1)}, open: []netip.AddrPort{https(2), https(3)}}, 1, No},
		"one alone is there":  {fakeWorld{open: []netip.AddrPort{https(4)}}, 1, No},
		"nobody answers ever": {fakeWorld{}, 4, NotChecked},
	} {
		t.Run(name, func(t *testing.T) {
			g := c.world.gatherer("www.example.net")
			peers, others := g.reach(t.Context(), []netip.Addr{addr(1), addr(2), addr(3), addr(4)})
			got := NotChecked
			for _, f := range others {
				if f.Name == FactSeveral {
					got = f.State
				}
			}
			if len(peers) != c.peers || got != c.all {
				t.Fatalf("%d peers, all addresses work: %v; want %d, %v\n%+v", len(peers), got, c.peers, c.all, others)
			}
			if f := peers[0].pathFact(); (f.State == Yes) != (c.all != NotChecked) {
				t.Errorf("the path to the first is %v", f.State)
			}
		})
	}
}

// TestSeveralValue calls IPv6 broken when it is IPv6 that does not work.
func TestSeveralValue(t *testing.T) {
	result := func(a string, s portscan.State) *evidence {
		ap := netip.AddrPortFrom(netip.MustParseAddr(a), 80)
		return &evidence{peer: peer{role: RoleTarget, addr: ap.Addr(), port: 80}, connect: &portscan.Result{Target: ap, State: s}}
	}
	const four, other, six = "10.3.0.9", "10.3.0.10", "2001:db8::9"
	for name, c := range map[string]struct {
		others []*evidence
		want   string
	}{
		"silence over IPv6":         {[]*evidence{result(six, portscan.StateFiltered)}, "ipv6"},
		"a refusal over IPv6":       {[]*evidence{result(six, portscan.StateClosed)}, "some"},
		"an own address refuses":    {[]*evidence{result("::1", portscan.StateClosed)}, "some"},
		"and an IPv4 one is silent": {[]*evidence{result(other, portscan.StateFiltered), result(six, portscan.StateFiltered)}, "some"},
	} {
		if strings.Contains(name, "own") {
			for _, e := range c.others {
				e.self = true
			}
		}
		reached := result(four, portscan.StateOpen)
		g := fakeWorld{}.gatherer("www.example.net")
		f := g.severalFact(t.Context(), reached, append([]*evidence{reached}, c.others...))
		if f.Value != c.want || f.At != c.others[0].peer.addr || f.Neutral != c.others[0].self {
			t.Errorf("%s: got %q at %v, want %q", name, f.Value, f.At, c.want)
		}
	}
}

// TestJumboBlackHole leaves long packets alone that nobody's TCP asks for.
func TestJumboBlackHole(t *testing.T) {
	step := func(before, after int) trace.MTUStep {
		return trace.MTUStep{TTL: 1, From: gw, Before: before, MTU: after, How: trace.MTUSilent}
	}
	for name, c := range map[string]struct {
		steps []trace.MTUStep
		value string
		want  bool // an anomaly
	}{
		"jumbo frames":           {[]trace.MTUStep{step(9000, 1500)}, "1500", false},
		"a tunnel":               {[]trace.MTUStep{step(1500, 1400)}, "1400", true},
		"a tunnel behind jumbos": {[]trace.MTUStep{step(9000, 1500), step(1500, 1400)}, "1400", true},
	} {
		g := fakeWorld{mtu: trace.PathMTU{MTU: 1400, Reached: true, Exact: true, Steps: c.steps}}.gatherer("")
		f := g.mtuFact(t.Context(), &evidence{peer: peer{role: RoleTarget, addr: web, port: 80}, gateway: gw, iface: "eth0"})
		if f.State != No || f.Anomaly() != c.want || f.Value != c.value {
			t.Errorf("%s: got %v %q, neutral %v", name, f.State, f.Value, f.Neutral)
		}
		g.count(MaxPackets)
		if f := g.mtuFact(t.Context(), &evidence{peer: peer{addr: web}, gateway: gw}); f.State != NotChecked || f.Why == "" {
			t.Errorf("%s, with no packets left: got %v %q", name, f.State, f.Why)
		}
	}
}

// TestUnpluggedMode does not blame the mode of a link that is not there.
func TestUnpluggedMode(t *testing.T) {
	for carrier, want := range map[link.Carrier]bool{link.CarrierOn: true, link.CarrierOff: false} {
		g := fakeWorld{}.gatherer("")
		m := link.LinkModes{Speed: 10, Duplex: link.DuplexHalf}
		g.tools.sampler = stillCard{Link: link.Link{Name: "eth0", Index: 2, Carrier: carrier}, Report: &link.EthtoolReport{Settings: link.Settings{Modes: &m}}}
		facts := (&observer{g: g}).linkFacts(t.Context(), []string{"eth0"})
		if got := slices.ContainsFunc(facts, Fact.Anomaly); got != want {
			t.Errorf("carrier %v: %+v", carrier, facts)
		}
	}
}

// TestTunnelErrors tells what a tunnel counts and blames a card alone.
func TestTunnelErrors(t *testing.T) {
	for kind, want := range map[string]bool{"": true, "bond": true, "wireguard": false} {
		g := fakeWorld{}.gatherer("")
		before := link.Snapshot{Link: link.Link{Name: "eth0", Index: 2, Kind: kind}}
		after := before
		after.Link.Counters.TxErrors = 2
		g.tools.sampler = stillCard(after)
		facts := (&observer{g: g, before: map[string]link.Snapshot{"eth0": before}}).linkFacts(t.Context(), []string{"eth0"})
		if len(facts) != 1 || facts[0].State != No || facts[0].Anomaly() != want {
			t.Errorf("%q: %+v", kind, facts)
		}
	}
}

// TestPartOfCounters compares nothing with counters that could not all be read.
func TestPartOfCounters(t *testing.T) {
	g := fakeWorld{}.gatherer("")
	g.tools.counters = &lateCounters{}
	if facts := g.observe(t.Context()).stackFacts(t.Context(), nil); len(facts) > 0 {
		t.Errorf("got %+v", facts)
	}
}

// lateCounters can be read from the second time on.
type lateCounters struct{ read int }

func (c *lateCounters) Counters(context.Context) ([]sockets.CounterGroup, error) {
	if c.read++; c.read == 1 {
		return []sockets.CounterGroup{{Name: "Ip"}}, errors.New("no netstat")
	}
	return []sockets.CounterGroup{{Name: "TcpExt", Counters: []sockets.Counter{{Name: "TCPAbortOnMemory", Value: 9}}}}, nil
}

type stillCard link.Snapshot

func (s stillCard) Sample(context.Context, string) (link.Snapshot, error) {
	return link.Snapshot(s), nil
}

// TestSpares lets an interface be without the addresses that it is not used for.
func TestSpares(t *testing.T) {
	for name, c := range map[string]struct {
		uses uses
		use  use
		want bool
	}{
		"used for it":                         {uses{{"eth0", 4}: true}, use{"eth0", 4}, false},
		"used for nothing":                    {uses{}, use{"eth0", 6}, false},
		"IPv6 by a VPN alone":                 {uses{{"eth0", 4}: true}, use{"eth0", 6}, true},
		"IPv4 by nobody":                      {uses{{"eth0", 6}: true}, use{"eth0", 4}, false},
		"IPv4 by another":                     {uses{{"eth0", 6}: true, {"wg0", 4}: true}, use{"eth0", 4}, true},
		"link-local, its own address will do": {uses{{"eth0", 6}: false}, use{"eth0", 6}, true},
	} {
		if got := c.uses.spares(c.use.iface, c.use.family); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestOutside takes a gateway beyond a shared network for odd, and not beyond
// a single address.
func TestOutside(t *testing.T) {
	for own, want := range map[string]bool{"10.1.0.20/24": false, "10.2.0.20/24": true, "10.2.0.20/32": false, "": false} {
		e := evidence{peer: peer{addr: web}, iface: "eth0"}
		if own != "" {
			e.prefixes = []netip.Prefix{netip.MustParsePrefix(own)}
		}
		if got := e.outside(gw); got != want {
			t.Errorf("%q: %v, want %v", own, got, want)
		}
	}
}

// TestLowerRemedy is about the interface below, not what rides on it.
func TestLowerRemedy(t *testing.T) {
	facts := identified([]Fact{{
		Name: FactLower, Subject: "eth0", State: No, Value: "admin_down", Scope: Scope{Iface: "br0"}, Detail: "eth0, the port of bridge br0, is switched off",
	}})
	causes := Explain(facts).Causes
	var commands strings.Builder
	for _, r := range remediesFor(causes, facts) {
		commands.WriteString(r.Command + "\n")
	}
	if want := "ip link set eth0 up\nip link set eth0 up\n"; commands.String() != want {
		t.Errorf("got %q, want %q", commands.String(), want)
	}
}

// TestDetourConfidence is sure of a wrong prefix only where it is wide.
func TestDetourConfidence(t *testing.T) {
	for value, want := range map[string]Confidence{"peer": Likely, "peer_far": Confirmed} {
		s := Scope{Iface: "eth0", Family: 4, Peer: web, Port: 80, Role: RoleTarget}
		x := Explain([]Fact{
			{Name: FactNeighbor, Subject: web.String(), State: No, Value: value, Scope: s},
			{Name: FactDetour, Subject: web.String(), State: Yes, Neutral: true, Scope: s},
		})
		if len(x.Causes) != 1 || x.Causes[0].Code != AddrWrongPrefix || x.Causes[0].Confidence != want {
			t.Errorf("%s: got %+v, want %v", value, x.Causes, want)
		}
	}
}
