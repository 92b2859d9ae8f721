package trace_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/wire"
	"github.com/netsonde/netsonde/trace"
)

// pathMTU measures on the client without any capability.
func pathMTU(t testing.TB, client *lab.Host, dst netip.Addr) trace.PathMTU {
	t.Helper()
	var p trace.PathMTU
	err := client.DoUnprivileged(func() (err error) {
		p, err = trace.FindMTU(t.Context(), dst, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// narrow gives a link of a chain another MTU, which the routers know.
func narrow(c *lab.Path, link, mtu int) {
	nodes := append(append([]*lab.Host{c.Client}, c.Routers...), c.Server)
	nodes[link].MTU(c.Links[link].A.Name, mtu)
	nodes[link+1].MTU(c.Links[link].B.Name, mtu)
}

// hops returns the addresses of a chain in a family, the target's last.
func hops(c *lab.Path, family int) ([]netip.Addr, netip.Addr) {
	h := c.Hops4
	if family == 6 {
		h = c.Hops6
	}
	return h, h[len(h)-1]
}

// mtuWords says where the path MTU of p shrinks.
func mtuWords(p trace.PathMTU) []string {
	words := []string{fmt.Sprintf("%d %v exact %t reached %t", p.MTU, p.Scope, p.Exact, p.Reached)}
	for _, st := range p.Steps {
		words = append(words, fmt.Sprintf("%d %v to %d %v: %d to %d, %v", st.TTL, st.From, st.Next, st.NextFrom, st.Before, st.MTU, st.How))
	}
	for _, h := range p.Hops {
		words = append(words, fmt.Sprintf("%d %v %d", h.TTL, h.From, h.MTU))
	}
	return words
}

// wantMTU says the same of a path from what is known of it.
func wantMTU(hops []netip.Addr, local int, steps map[int]int, how map[int]trace.MTUSignal) []string {
	mtu := local
	var lines, places []string
	for i, a := range hops {
		if m, ok := steps[i]; ok && m < mtu {
			lines = append(lines, fmt.Sprintf("%d %v to %d %v: %d to %d, %v", i, hops[i-1], i+1, a, mtu, m, how[i]))
			mtu = m
		}
		places = append(places, fmt.Sprintf("%d %v %d", i+1, a, mtu))
	}
	return append(append([]string{fmt.Sprintf("%d forward exact true reached true", mtu)}, lines...), places...)
}

// TestMTU measures steps that routers tell of and silent ones, alone and
// together, of random sizes.
func TestMTU(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	random := func(least int) int { return least + rng.IntN(1499-least) }
	for _, tt := range []struct {
		name         string
		local        int
		told, silent map[int]int // by link
	}{
		{"none", 1500, nil, nil},
		{"told", 1500, map[int]int{2: random(1280)}, nil},
		{"told twice", 1500, map[int]int{1: 1492, 4: random(1280)}, nil},
		{"silent", 1500, nil, map[int]int{3: random(1280)}},
		{"silent, common", 1500, nil, map[int]int{5: 1420}},
		{"silent, then told", 1500, map[int]int{4: 1300}, map[int]int{2: 1400 + rng.IntN(99)}},
		{"told, then silent", 1500, map[int]int{1: 1480}, map[int]int{4: 1281 + rng.IntN(100)}},
		{"jumbo", 9000, map[int]int{3: 1500, 4: 1500, 5: 1500}, nil},
		{"jumbo, silent", 9000, nil, map[int]int{3: 1500}},
	} {
		var wires []lab.WireAt
		steps, how := map[int]int{}, map[int]trace.MTUSignal{}
		for link, mtu := range tt.silent {
			wires = append(wires, lab.WireAt{Link: link, Out: lab.Impair{MTU: mtu}, Back: lab.Impair{MTU: mtu}})
			steps[link], how[link] = mtu, trace.MTUSilent
		}
		c := lab.Chain(t, 5, wires...)
		for link := range c.Links {
			narrow(c, link, tt.local)
		}
		for link, mtu := range tt.told {
			narrow(c, link, mtu)
			steps[link], how[link] = mtu, trace.MTUTold
		}
		for _, family := range []int{4, 6} {
			all, dst := hops(c, family)
			p := pathMTU(t, c.Client, dst)
			if d := cmp.Diff(wantMTU(all, tt.local, steps, how), mtuWords(p)); d != "" {
				t.Errorf("%s, IPv%d (-want +got)\n%s%s", tt.name, family, d, p.Why)
			}
			if p.LocalMTU != tt.local || len(p.Ignored) > 0 {
				t.Errorf("%s, IPv%d: local MTU %d, ignored %v", tt.name, family, p.LocalMTU, p.Ignored)
			}
			if family == 4 && noted(t, c.Client, dst) {
				t.Errorf("%s: the kernel has noted the path MTU", tt.name)
			}
			t.Logf("%s, IPv%d: %v, %d packets", tt.name, family, p.Elapsed.Round(time.Millisecond), p.Packets)
		}
	}
}

// noted reports whether the kernel has an idea of the path MTU.
func noted(t *testing.T, h *lab.Host, dst netip.Addr) bool {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		return false
	}
	out, err := h.Output("ip", "route", "get", dst.String())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), " mtu ")
}

// What the kernel has noted is not used: ping makes it learn an MTU, and then
// the path gets wider.
func TestMTUNotFromTheKernel(t *testing.T) {
	for _, tool := range []string{"ping", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	c := lab.Chain(t, 2)
	narrow(c, 1, 1400)
	for _, family := range []int{4, 6} {
		_, dst := hops(c, family)
		_, _ = c.Client.Output("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1440", dst.String())
		if !noted(t, c.Client, dst) {
			t.Fatalf("IPv%d: ping did not make the kernel learn", family)
		}
	}
	narrow(c, 1, 1500)
	for _, family := range []int{4, 6} {
		if _, dst := hops(c, family); pathMTU(t, c.Client, dst).MTU != 1500 {
			t.Errorf("IPv%d: not the MTU of the path", family)
		}
	}
}

// TestMTULies has routers drop what is too long and say a wrong size, or
// somebody say so of packets that get through.
func TestMTULies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		says  int
		drops bool
		want  string
	}{
		{0, true, "1337 forward exact true reached true; 2 to 3: 1500 to 1337, icmp_wrong"},
		{60, true, "1337 forward exact true reached true; 2 to 3: 1500 to 1337, icmp_wrong"},
		{1500, true, "1337 forward exact true reached true; 2 to 3: 1500 to 1337, icmp_wrong"},
		{9000, true, "1337 forward exact true reached true; 2 to 3: 1500 to 1337, icmp_wrong"},
		{1300, true, "1337 forward exact true reached true; 2 to 3: 1500 to 1337, icmp_wrong"},
		{1337, true, "1337 forward exact true reached true; 2 to 3: 1500 to 1337, icmp"},
		{1300, false, "1500 forward exact true reached true"},
		{0, false, "1500 forward exact true reached true"},
	} {
		c := lab.Chain(t, 3)
		if tt.drops {
			c.Routers[1].Filter(lab.Forward, lab.Rule{LongerThan: 1337, Out: c.Links[2].A.Name})
		}
		frames(t, c.Routers[1], c.Links[1].B, func(frame []byte, send func([]byte)) {
			q, ok := wire.ParseQuote(frame[14:])
			if !ok || len(frame)-14 <= 1337 || q.TTL < 2 || q.Dst != c.Hops4[3] && q.Dst != c.Hops6[3] {
				return
			}
			from := c.Hops4[1]
			if q.Src.Is6() {
				from = c.Hops6[1]
			}
			b := exceededFrame(frame, probe{src: q.Src, dst: q.Dst, packet: frame[14:]}, from, 500, nil)
			if q.Src.Is4() {
				msg := b[14+wire.IPv4Len:]
				msg[0], msg[1], msg[2], msg[3] = 3, 4, 0, 0
				binary.BigEndian.PutUint16(msg[6:], uint16(tt.says))
				wire.SetICMPChecksum(msg)
			} else {
				msg := b[14+wire.IPv6Len:]
				msg[0], msg[1], msg[2], msg[3] = 2, 0, 0, 0
				binary.BigEndian.PutUint32(msg[4:], uint32(tt.says))
				sum := wire.Sum(wire.PseudoHeader(from.AsSlice(), q.Src.AsSlice(), wire.ProtoICMPv6, len(msg)), msg)
				binary.BigEndian.PutUint16(msg[2:], wire.Fold(sum))
			}
			send(b)
		})
		for _, family := range []int{4, 6} {
			_, dst := hops(c, family)
			p := pathMTU(t, c.Client, dst)
			words := mtuWords(p)[:1]
			for _, st := range p.Steps {
				words = append(words, fmt.Sprintf("%d to %d: %d to %d, %v", st.TTL, st.Next, st.Before, st.MTU, st.How))
			}
			if got := strings.Join(words, "; "); got != tt.want {
				t.Errorf("says %d, drops %t, IPv%d: %s, want %s\n%s", tt.says, tt.drops, family, got, tt.want, p.Why)
			}
		}
	}
}

// TestMTUWithoutEcho is a user whom the kernel lets send no echo requests, and
// a target that answers none.
func TestMTUWithoutEcho(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(c *lab.Path){
		"not permitted": func(c *lab.Path) { c.Client.Sysctl("net/ipv4/ping_group_range", "1 0") },
		"filtered":      func(c *lab.Path) { c.Server.Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest}) },
		"no datagrams":  func(c *lab.Path) { c.Server.Filter(lab.Input, lab.Rule{Proto: "udp"}) },
	} {
		c := lab.Chain(t, 3, lab.WireAt{Link: 2, Out: lab.Impair{MTU: 1444}})
		for _, key := range []string{"net/ipv4/icmp_ratemask", "net/ipv6/icmp/ratemask"} {
			c.Server.Sysctl(key, "0")
		}
		bend(c)
		for _, family := range []int{4, 6} {
			all, dst := hops(c, family)
			p := pathMTU(t, c.Client, dst)
			want := wantMTU(all, 1500, map[int]int{2: 1444}, map[int]trace.MTUSignal{2: trace.MTUSilent})
			if name == "no datagrams" {
				want[0] = "1444 both exact true reached true"
			}
			if d := cmp.Diff(want, mtuWords(p)); d != "" {
				t.Errorf("%s, IPv%d (-want +got)\n%s%s", name, family, d, p.Why)
			}
		}
	}
}

// TestMTUOfSilentTarget is about the way to the last hop that answers.
func TestMTUOfSilentTarget(t *testing.T) {
	t.Parallel()
	c := lab.Chain(t, 3, lab.WireAt{Link: 1, Out: lab.Impair{MTU: 1444}})
	c.Server.Filter(lab.Input, lab.Rule{Proto: "udp"})
	c.Server.Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest})
	for _, family := range []int{4, 6} {
		_, dst := hops(c, family)
		p := pathMTU(t, c.Client, dst)
		if p.Reached || p.MTU != 1444 || !p.Exact || len(p.Steps) != 1 || p.Steps[0].TTL != 1 || !strings.Contains(p.Why, "get to hop 3, the last that answers, longer ones do not") {
			t.Errorf("IPv%d: %+v", family, p)
		}
	}
}

// The loopback lets everything pass; what cannot be measured is an error.
func TestMTUHere(t *testing.T) {
	l := lab.New(t)
	h := l.Host("h")
	for _, dst := range []string{"127.0.0.1", "::1"} {
		p := pathMTU(t, h, netip.MustParseAddr(dst))
		if p.MTU != 65535 || p.LocalMTU < 65535 || !p.Exact || !p.Reached {
			t.Errorf("%s: %+v", dst, p)
		}
	}
	for dst, o := range map[string]trace.MTUOptions{
		"192.0.2.1": {}, "224.0.0.1": {}, "127.0.0.1": {Limit: 39}, "::1": {MaxTTL: 256}, "127.0.0.2": {Source: netip.MustParseAddr("192.0.2.9")},
	} {
		err := h.Do(func() error {
			_, err := trace.FindMTU(t.Context(), netip.MustParseAddr(dst), &o)
			return err
		})
		if err == nil {
			t.Errorf("%s %+v: no error", dst, o)
		}
	}
}

// The other end of the first cable takes less than this one sends. What the
// driver drops is told to the sender, and still lost on the way. A veth takes
// the four bytes of a VLAN tag more than its MTU (__is_skb_forwardable).
func TestMTUOfFirstCable(t *testing.T) {
	c := lab.Chain(t, 1)
	c.Routers[0].MTU(c.Links[0].B.Name, 1400)
	for _, family := range []int{4, 6} {
		_, dst := hops(c, family)
		p := pathMTU(t, c.Client, dst)
		if got := mtuWords(p); got[0] != "1404 forward exact true reached true" || len(p.Steps) != 1 || p.Steps[0].TTL != 0 || p.Steps[0].How != trace.MTUSilent {
			t.Errorf("IPv%d: %q", family, got)
		}
	}
}

// A search that is broken off ends at once, with what is known until then.
func TestMTUBrokenOff(t *testing.T) {
	c := lab.Chain(t, 3, lab.WireAt{Link: 2, Out: lab.Impair{MTU: 1444}})
	_, dst := hops(c, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	var p trace.PathMTU
	var err error
	if err := c.Client.Do(func() error { p, err = trace.FindMTU(ctx, dst, nil); return nil }); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, context.DeadlineExceeded) || p.Exact || p.Elapsed == 0 {
		t.Errorf("%v, %+v", err, p)
	}
}
