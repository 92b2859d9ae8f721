package trace_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// TestPackets compares Path.Packets with what leaves the host, the kernel's
// repeats of a SYN included.
func TestPackets(t *testing.T) {
	for _, f := range []struct {
		name string
		harm func(c *chain)
	}{
		{"dead", func(c *chain) { c.server.Filter(lab.Input, lab.Rule{Src: "10.9.0.0/24"}) }},
		{"whole", func(*chain) {}},
		{"silent hop", func(c *chain) { c.routers[0].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded}) }},
	} {
		for method, rule := range map[string]lab.Rule{"udp": {Proto: "udp"}, "tcp": {Proto: "tcp", SYN: true}, "icmp": {ICMP: lab.EchoRequest}} {
			t.Run(f.name+" "+method, func(t *testing.T) {
				c := newChain(t, 2)
				f.harm(c)
				rule.Action = lab.Count
				count := c.client.Filter(lab.Output, rule)
				p := c.trace(t, methods[method], c.target(4))
				if got := count.Packets(); got != p.Packets {
					t.Errorf("%d packets left, %d are told: %v", got, p.Packets, words(p))
				}
			})
		}
	}
}

// TestReset finds a connection that a trace opened reset, not left behind.
func TestReset(t *testing.T) {
	c := newChain(t, 1)
	var l net.Listener
	err := c.server.Do(func() (err error) {
		l, err = net.Listen("tcp", ":80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.TCP{}, c.target(family))
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) || !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("IPv%d: %v, the server reads: %v", family, words(p), err)
		}
		conn.Close()
	}
}

// TestAddresses traces to addresses in other forms.
func TestAddresses(t *testing.T) {
	c := newChain(t, 1)
	var linkLocal netip.Addr
	err := c.routers[0].Do(func() error {
		ifi, err := net.InterfaceByName("up")
		if err != nil {
			return err
		}
		addrs, err := ifi.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsLinkLocalUnicast() {
				linkLocal, _ = netip.AddrFromSlice(n.IP)
			}
		}
		return err
	})
	if err != nil || !linkLocal.IsValid() {
		t.Fatal("no link-local address: ", err)
	}
	for _, dst := range []netip.Addr{
		linkLocal.WithZone("down"), linkLocal.WithZone(fmt.Sprint(c.down[0].Index())),
		netip.AddrFrom16(router(4, 1).As16()), // ::ffff:10.9.0.2
	} {
		for method, tr := range methods {
			p := c.trace(t, tr, dst)
			if p.Distance() != 1 || !p.Reached || p.Target != dst.Unmap() {
				t.Errorf("%s to %v: %v", method, dst, words(p))
			}
		}
	}
}

// TestSlowPath has 29 routers behind a cable that takes 25 ms each way, five
// of them silent.
func TestSlowPath(t *testing.T) {
	c := newSlowChain(t, 29, 25*time.Millisecond)
	silent := []int{3, 9, 14, 15, 21}
	for _, n := range silent {
		c.routers[n-1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	}
	for method, last := range map[string]string{"udp": "port_unreachable", "tcp": "refused", "icmp": "echo_reply"} {
		for _, family := range []int{4, 6} {
			p := c.trace(t, methods[method], c.target(family))
			want := reached(family, c, last)
			for _, n := range silent {
				want[n-1] = fmt.Sprintf("%d silent silent", n)
			}
			got := words(p)
			got = append(got[:min(30, len(got)-1)], got[len(got)-1]) // without resets beyond the target
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s IPv%d (-want +got)\n%s", method, family, d)
			}
			for _, h := range p.Hops {
				if r, ok := h.Answered(); ok && r.RTT < 50*time.Millisecond {
					t.Errorf("%s IPv%d: %v at TTL %d is less than light takes here", method, family, r.RTT, h.TTL)
				}
			}
			t.Logf("%s IPv%d: %v, %d packets", method, family, p.Elapsed, p.Packets)
		}
	}
}
