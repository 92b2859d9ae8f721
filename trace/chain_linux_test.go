package trace_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// chain is a client, routers in a row and a server. Network i lies between
// node i and node i+1: 10.9.i.0/24 and fd09:0:0:i::/64, the nearer node being
// .1 and the farther .2.
type chain struct {
	*lab.Lab
	client, server *lab.Host
	routers        []*lab.Host
	nodes          []*lab.Host
	up, down       []*lab.Port // towards the client, and the server, by node
}

func newChain(t testing.TB, routers int) *chain {
	t.Helper()
	return newSlowChain(t, routers, 0)
}

// newSlowChain is a chain whose first cable takes its time each way.
func newSlowChain(t testing.TB, routers int, delay time.Duration) *chain {
	t.Helper()
	c := &chain{Lab: lab.New(t)}
	c.client = c.Host("client")
	c.nodes = []*lab.Host{c.client}
	for i := range routers {
		r := c.Router(fmt.Sprintf("r%d", i+1))
		c.routers = append(c.routers, r)
		c.nodes = append(c.nodes, r)
	}
	c.server = c.Host("server")
	c.server.Sysctl("net/ipv4/icmp_ratemask", "0") // no message is limited
	c.server.Sysctl("net/ipv6/icmp/ratemask", "0")
	c.nodes = append(c.nodes, c.server)
	c.up, c.down = make([]*lab.Port, len(c.nodes)), make([]*lab.Port, len(c.nodes))
	for i := range routers + 1 {
		c.up[i+1] = c.nodes[i+1].Port("up", far(4, i).String()+"/24", far(6, i).String()+"/64")
		c.down[i] = c.nodes[i].Port("down", near(4, i).String()+"/24", near(6, i).String()+"/64")
		if i == 0 && delay > 0 {
			slow := lab.Impair{Delay: delay}
			c.Wire(c.down[i], c.up[i+1], slow, slow)
			continue
		}
		c.Connect(c.down[i], c.up[i+1])
	}
	for i, n := range c.nodes {
		for net := range routers + 1 {
			switch {
			case net < i-1:
				n.Route(fmt.Sprintf("10.9.%d.0/24", net), near(4, i-1).String())
				n.Route(fmt.Sprintf("fd09:0:0:%x::/64", net), near(6, i-1).String())
			case net > i:
				n.Route(fmt.Sprintf("10.9.%d.0/24", net), far(4, i).String())
				n.Route(fmt.Sprintf("fd09:0:0:%x::/64", net), far(6, i).String())
			}
		}
	}
	return c
}

// near and far are the addresses of network i's ends.
func near(family, i int) netip.Addr { return end(family, i, 1) }
func far(family, i int) netip.Addr  { return end(family, i, 2) }

func end(family, i, n int) netip.Addr {
	if family == 4 {
		return netip.AddrFrom4([4]byte{10, 9, byte(i), byte(n)})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd09:0:0:%x::%d", i, n))
}

// router is the address with which the n-th router answers the client.
func router(family, n int) netip.Addr { return far(family, n-1) }

// target is the server's address.
func (c *chain) target(family int) netip.Addr { return far(family, len(c.routers)) }

// trace runs a tracer on the client without any capability.
func (c *chain) trace(t testing.TB, tr trace.Tracer, dst netip.Addr) trace.Path {
	t.Helper()
	var p trace.Path
	err := c.client.DoUnprivileged(func() (err error) {
		p, err = tr.Trace(t.Context(), dst)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// waitFor waits until something has come true, which it must within seconds.
func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
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

// words says what a path is in one line a hop: the TTL, who answered and how,
// each once, or how often nobody did.
func words(p trace.Path) []string {
	lines := []string{}
	for _, h := range p.Hops {
		parts := []string{fmt.Sprint(h.TTL)}
		_, answered := h.Answered()
		for _, r := range h.Replies {
			part := r.Outcome.String()
			if r.From.IsValid() {
				part += " " + r.From.String()
			}
			if r.ICMP != nil && r.Outcome == trace.OutcomeUnreachable {
				part += " " + r.ICMP.Kind.String()
			}
			if !answered || r.Outcome != trace.OutcomeSilent && !slices.Contains(parts, part) {
				parts = append(parts, part)
			}
		}
		lines = append(lines, strings.Join(parts, " "))
	}
	return append(lines, p.End.String())
}

// cmpAddr lets cmp compare addresses.
var cmpAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
