package trace_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// probesOf counts what the probes of a trace have in common on the wire: their
// protocol, and what more tells of the IP packet.
func probesOf(t *testing.T, c *chain, more func(protocol byte, ip, transport []byte) string) (seen func(want string, n int)) {
	t.Helper()
	var mu sync.Mutex
	count := map[string]int{}
	frames(t, c.routers[0], c.up[1], func(frame []byte, _ func([]byte)) {
		ip, protocol, header := frame[14:], byte(0), 40
		switch {
		case ip[0]>>4 == 6:
			protocol = ip[6]
		case frame[12] == 8 && frame[13] == 0:
			protocol, header = ip[9], int(ip[0]&15)*4
		}
		if protocol != unix.IPPROTO_UDP && protocol != unix.IPPROTO_TCP && protocol != unix.IPPROTO_UDPLITE {
			return // ARP, neighbour discovery
		}
		mu.Lock()
		count[fmt.Sprint(protocol, " ", more(protocol, ip, ip[header:]))]++
		mu.Unlock()
	})
	return func(want string, n int) {
		t.Helper()
		waitFor(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return count[want] >= n
		})
		if len(count) != 1 {
			t.Errorf("want %q only: %v", want, count)
		}
		clear(count)
	}
}

// IPv6 probes bear the label, IPv4 ones are as ever.
func TestFlowLabel(t *testing.T) {
	c := newChain(t, 2)
	seen := probesOf(t, c, func(_ byte, ip, _ []byte) string {
		if ip[0]>>4 == 4 {
			return ""
		}
		return fmt.Sprintf("%02x%02x%02x", ip[1]&15, ip[2], ip[3])
	})
	for _, flow := range []trace.Flow{trace.FlowUnknown, trace.FlowPerProbe} {
		o := trace.Options{FlowLabel: 0xabcde, Flow: flow}
		for _, tt := range []struct {
			tracer   trace.Tracer
			protocol string
		}{{trace.UDP{Options: o}, "17"}, {trace.TCP{Options: o}, "6"}} {
			p := c.trace(t, tt.tracer, c.target(6))
			if !p.Reached {
				t.Errorf("%q", words(p))
			}
			seen(tt.protocol+" 0abcde", p.Packets)
			p = c.trace(t, tt.tracer, c.target(4))
			seen(tt.protocol+" ", p.Packets)
		}
	}
}

// A label that somebody has for himself is not taken, which is no filter's doing.
func TestFlowLabelTaken(t *testing.T) {
	c := newChain(t, 1)
	fd := -1
	err := c.client.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0); err != nil {
			return err
		}
		var lease [32]byte // struct in6_flowlabel_req
		a := c.target(6).As16()
		copy(lease[:], a[:])
		copy(lease[16:], []byte{0, 0x0a, 0xbc, 0xde, 0, 1}) // IPV6_FL_A_GET, IPV6_FL_S_EXCL
		binary.NativeEndian.PutUint16(lease[22:], 1)        // IPV6_FL_F_CREATE
		return unix.SetsockoptString(fd, unix.IPPROTO_IPV6, 32, string(lease[:]))
	})
	defer unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	p := c.trace(t, trace.UDP{Options: trace.Options{FlowLabel: 0xabcde}}, c.target(6))
	if r := p.Hops[0].Replies[0]; p.End != trace.EndNotSent || !strings.Contains(r.Err, "flow label 0xabcde, which somebody may have for himself: operation not permitted") {
		t.Errorf("%v: %s", p.End, r.Err)
	}
}

func TestMSS(t *testing.T) {
	c := newChain(t, 1)
	seen := probesOf(t, c, func(_ byte, _, tcp []byte) string {
		return fmt.Sprint(tcp[20], tcp[21], int(tcp[22])<<8|int(tcp[23])) // it is the first option
	})
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.TCP{Options: trace.Options{MSS: 900}}, c.target(family))
		seen("6 2 4 900", p.Packets)
	}
}

// Connections from one port take turns, and find what others find.
func TestSourcePortTCP(t *testing.T) {
	c := newChain(t, 3)
	for _, family := range []int{4, 6} {
		c.server.ListenTCP(netip.AddrPortFrom(c.target(family), 4242).String(), lab.Echo)
	}
	c.routers[1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	seen := probesOf(t, c, func(_ byte, _, tcp []byte) string { return fmt.Sprint(int(tcp[0])<<8 | int(tcp[1])) })
	for _, family := range []int{4, 6} {
		for _, port := range []uint16{80, 4242} {
			o := trace.Options{Port: port, SourcePort: 5050, Queries: 2, Timeout: 300e6}
			p := c.trace(t, trace.TCP{Options: o}, c.target(family))
			if !p.Reached || len(p.Hops) != 4 || p.Flow != trace.FlowConstant {
				t.Errorf("IPv%d, port %d: %q, %v", family, port, words(p), p.Flow)
			}
			for i, h := range p.Hops {
				for _, r := range h.Replies {
					if (r.Outcome == trace.OutcomeSilent) != (i == 1) || len(h.Replies) != 2 {
						t.Errorf("IPv%d, port %d, hop %d: %v, %s", family, port, h.TTL, r.Outcome, r.Err)
					}
				}
			}
			if port == 80 { // an open port answers with more than SYN-ACKs take
				seen("6 5050", p.Packets)
			}
		}
	}
}

func TestDontRoute(t *testing.T) {
	c := newChain(t, 1)
	o := trace.Options{DontRoute: true}
	for _, tr := range []trace.Tracer{trace.UDP{Options: o}, trace.TCP{Options: o}} {
		if p := c.trace(t, tr, router(4, 1)); !p.Reached || len(p.Hops) != 1 {
			t.Errorf("attached: %q", words(p))
		}
		if p := c.trace(t, tr, c.target(4)); p.End != trace.EndNotSent {
			t.Errorf("behind a router: %q", words(p))
		}
		if _, err := tr.Trace(t.Context(), c.target(6)); err == nil {
			t.Error("IPv6 probes went over the routing table")
		}
	}
}

func TestLite(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE)
	if err != nil {
		t.Skipf("this kernel has no UDP-Lite: %v", err)
	}
	unix.Close(fd)
	c := newChain(t, 2)
	seen := probesOf(t, c, func(byte, []byte, []byte) string { return "" })
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.UDP{Options: trace.Options{Lite: true}}, c.target(family))
		want := append(exceeded(family, 2), fmt.Sprintf("3 port_unreachable %v", c.target(family)), "reached")
		if d := cmp.Diff(want, words(p)); d != "" {
			t.Errorf("IPv%d (-want +got)\n%s", family, d)
		}
		seen("136 ", p.Packets)
	}
}

// What a method, or an engine, does not have is refused, not left out.
func TestOwnOptions(t *testing.T) {
	dst := router(4, 1)
	for _, tt := range []struct {
		tracer trace.Tracer
		want   string
	}{
		{trace.UDP{Options: trace.Options{FlowLabel: 1 << 20}}, "flow label 0x100000 is more than 0xfffff"},
		{trace.ICMP{Options: trace.Options{FlowLabel: 1}}, "a flow label is for UDP and TCP"},
		{trace.UDP{Options: trace.Options{MSS: 900}}, "only TCP has a maximum segment size"},
		{trace.TCP{Options: trace.Options{MSS: 87}}, "maximum segment size 87 is not between 88 and 32767"},
		{trace.ICMP{Options: trace.Options{DontRoute: true}}, "traces past the routing table are for UDP and TCP"},
		{trace.TCP{Options: trace.Options{Lite: true}}, "UDP-Lite is a kind of UDP"},
		{trace.TCP{Options: trace.Options{SourcePort: 1, Flow: trace.FlowPerProbe}}, "connections from one SourcePort are one flow"},
		{trace.ICMP{Options: trace.Options{SourcePort: 1}}, "source port 1: only UDP and single traces of TCP have one"},
	} {
		_, err := tt.tracer.Trace(t.Context(), dst)
		if e, ok := errors.AsType[*trace.OpError](err); !ok || e.Err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	for _, o := range []trace.Options{{FlowLabel: 1}, {Lite: true}, {DontRoute: true}} {
		if _, err := (trace.UDP{Options: o}).Multipath(t.Context(), dst, nil); err == nil {
			t.Errorf("Multipath takes %+v", o)
		}
	}
	for _, err := range (trace.TCP{Options: trace.Options{SourcePort: 5}}).Watch(t.Context(), dst, nil) {
		if err == nil {
			t.Error("a watch has connections from one port")
		}
		break
	}
}

// Answers that will not come are waited for as long as Grace says.
func TestGrace(t *testing.T) {
	c := newChain(t, 1)
	c.server.Filter(lab.Input, lab.Rule{Proto: "udp"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := c.client.DoUnprivileged(func() error {
		u := trace.UDP{Options: trace.Options{Timeout: time.Hour, MaxTTL: 3}}
		for p, err := range u.Watch(ctx, c.target(4), &trace.WatchOptions{Rounds: 2, Interval: 10 * time.Millisecond, Grace: 200 * time.Millisecond}) {
			if err != nil {
				return err
			}
			if (p.Outcome == trace.OutcomeSilent) != (p.TTL > 1) {
				t.Errorf("hop %d: %v", p.TTL, p.Outcome)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// The unspecified address is this host.
func TestUnspecified(t *testing.T) {
	c := newChain(t, 1)
	e := c.openEngine(t, trace.EngineOptions{})
	for _, tt := range []struct{ dst, want netip.Addr }{
		{netip.IPv4Unspecified(), netip.MustParseAddr("127.0.0.1")},
		{netip.MustParseAddr("::ffff:0.0.0.0"), netip.MustParseAddr("127.0.0.1")},
		{netip.IPv6Unspecified(), netip.IPv6Loopback()},
	} {
		for _, tr := range methods {
			p := c.trace(t, tr, tt.dst)
			if !p.Reached || len(p.Hops) != 1 || p.Target != tt.want {
				t.Errorf("%v by %v: %q, target %v", tt.dst, p.Method, words(p), p.Target)
			}
			for q, err := range e.Tracer(p.Method, trace.Options{}).Map(t.Context(), slices.Values([]netip.Addr{tt.dst})) {
				if err != nil || !q.Reached || q.Target != tt.want {
					t.Errorf("%v by %v of an engine: %q, target %v, %v", tt.dst, p.Method, words(q), q.Target, err)
				}
			}
			if q, err := e.Tracer(p.Method, trace.Options{}).Trace(t.Context(), tt.dst); err != nil || !q.Reached || q.Target != tt.want {
				t.Errorf("%v by %v of an engine: %q, target %v, %v", tt.dst, p.Method, words(q), q.Target, err)
			}
		}
		g, err := trace.UDP{Options: trace.Options{NetNS: c.client.NetNSFD()}}.Multipath(t.Context(), tt.dst, nil)
		if err != nil || !g.Reached || g.Target != tt.want {
			t.Errorf("ways to %v: reached %v, target %v, %v", tt.dst, g.Reached, g.Target, err)
		}
		err = c.client.DoUnprivileged(func() error {
			m, err := trace.FindMTU(t.Context(), tt.dst, nil)
			if err == nil && !m.Reached {
				t.Errorf("path MTU to %v: %+v", tt.dst, m)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
