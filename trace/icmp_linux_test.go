package trace_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/trace"
)

// Without a group that may and without a capability it says what would help;
// with CAP_NET_RAW it works all the same.
func TestICMPPermission(t *testing.T) {
	c := newChain(t, 2)
	c.client.Sysctl("net/ipv4/ping_group_range", "1 0")
	for _, family := range []int{4, 6} {
		err := c.client.DoUnprivileged(func() error {
			_, err := trace.ICMP{}.Trace(t.Context(), c.target(family))
			return err
		})
		need := operr.NeedOf(err)
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(need, "net.ipv4.ping_group_range") || !strings.Contains(need, "CAP_NET_RAW") {
			t.Errorf("IPv%d: %v, which needs %q", family, err, need)
		}
		var p trace.Path
		err = c.client.Do(func() (err error) {
			p, err = trace.ICMP{}.Trace(t.Context(), c.target(family))
			return err
		})
		if d := cmp.Diff(reached(family, c, "echo_reply"), words(p)); d != "" || err != nil {
			t.Errorf("IPv%d with CAP_NET_RAW: %v (-want +got)\n%s", family, err, d)
		}
	}
}

// awaitStamps has the kernel stamp what arrives until the test ends. It begins to
// do so some time after the first socket has asked (a work queue patches the
// code, net_enable_timestamp); before that, stamps are of the reading.
func (c *chain) awaitStamps(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		p := c.trace(t, trace.ICMP{Options: trace.Options{MaxTTL: 1}}, c.target(4))
		if len(p.Hops) == 1 && p.Hops[0].Replies[0].Stamp == trace.StampKernel {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the kernel does not stamp")
}

// What comes back has the kernel's time, and all probes are one flow.
func TestICMPStamps(t *testing.T) {
	c := newChain(t, 2)
	c.awaitStamps(t)
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.ICMP{Options: trace.Options{Queries: 3}}, c.target(family))
		if p.Flow != trace.FlowConstant || p.Port != 0 || p.Method != trace.MethodICMP || p.Source != near(family, 0) {
			t.Errorf("IPv%d: %+v", family, p)
		}
		for _, h := range p.Hops {
			for _, r := range h.Replies {
				if r.Stamp != trace.StampKernel || r.RTT <= 0 || r.ReplyTTL != 65-h.TTL && r.ReplyTTL != 256-h.TTL {
					t.Errorf("IPv%d TTL %d: %+v", family, h.TTL, r)
				}
			}
		}
	}
}

// A packet that is too big for the path comes back as that.
func TestSize(t *testing.T) {
	c := newChain(t, 2)
	c.nodes[2].MTU("down", 1300)
	c.server.MTU("up", 1300)
	for _, size := range []int{0, 60, 576, 1300, 1400} {
		o := trace.Options{Size: size, FirstTTL: 3, MaxTTL: 3}
		least := map[string]int{"udp": 40, "icmp": 44}
		for method, tr := range map[string]trace.Tracer{"udp": trace.UDP{Options: o}, "icmp": trace.ICMP{Options: o}} {
			longer := c.client.Filter(lab.Output, lab.Rule{Family: 4, LongerThan: max(size, least[method]) - 1, Action: lab.Count})
			tooLong := c.client.Filter(lab.Output, lab.Rule{Family: 4, LongerThan: max(size, least[method]), Action: lab.Count})
			p := c.trace(t, tr, c.target(4))
			if longer.Packets() != 1 || tooLong.Packets() != 0 {
				t.Errorf("%s of %d bytes: %d and %d packets counted", method, size, longer.Packets(), tooLong.Packets())
			}
			refusal := ""
			if _, e := p.Unreachable(); e != nil {
				refusal = e.Symbol()
			}
			if want := map[bool]string{true: "!F-1300"}[size > 1300]; refusal != want {
				t.Errorf("%s of %d bytes: %v %q, want %q", method, size, words(p), refusal, want)
			}
			c.client.ClearFilters()
			// The next one shall not profit from what this one learned.
			if err := c.client.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/route/flush", []byte("1"), 0) }); err != nil && !errors.Is(err, unix.ENOENT) {
				t.Log(err)
			}
		}
	}
}

// Hops come in order, each once, and are those of the path.
func TestHops(t *testing.T) {
	c := newChain(t, 3)
	c.routers[1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	for _, queries := range []int{1, 3} {
		o := trace.Options{Queries: queries}
		for _, family := range []int{4, 6} {
			want := words(c.trace(t, trace.ICMP{Options: o}, c.target(family)))
			err := c.client.DoUnprivileged(func() error {
				var p trace.Path
				for h, err := range (trace.ICMP{Options: o}).Hops(t.Context(), c.target(family)) {
					if err != nil {
						return err
					}
					p.Hops = append(p.Hops, h)
				}
				p.End = trace.EndReached
				if d := cmp.Diff(want, words(p)); d != "" {
					t.Errorf("%d queries, IPv%d (-path +hops)\n%s", queries, family, d)
				}
				for h, err := range (trace.UDP{Options: o}).Hops(t.Context(), c.target(family)) {
					if h.TTL != 1 || err != nil {
						t.Errorf("%+v, %v", h, err)
					}
					break // must not go on
				}
				for h, err := range (trace.TCP{Options: trace.Options{MaxTTL: 300}}).Hops(t.Context(), c.target(family)) {
					if h.TTL != 0 || err == nil {
						t.Errorf("a bad option: %+v, %v", h, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}
