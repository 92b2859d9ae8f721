package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// traceMethods are the methods with the flag that chooses them for traceroute.
var traceMethods = []struct {
	method trace.Method
	flags  []string
}{{trace.MethodUDP, nil}, {trace.MethodICMP, []string{"-I"}}, {trace.MethodTCP, []string{"-T"}}}

// compareTracePaths is the table of single paths and of very many.
func compareTracePaths(s *stage) table {
	var t table
	t = append(t, shortPathRows(s)...)
	t = append(t, slowPathRows(s)...)
	return append(t, crowdRows(s)...)
}

// tracePath builds a client and a server with routers in between.
func tracePath(s *stage, routers int, wires ...lab.WireAt) *lab.Path {
	p := lab.Chain(s, routers, wires...)
	p.Server.Sysctl("net/ipv4/icmp_ratemask", "0") // nothing is limited
	p.Server.Sysctl("net/ipv6/icmp/ratemask", "0")
	return p
}

// example builds a mini-tool of this repository.
func example(s *stage, name string) string {
	bin := filepath.Join(s.TempDir(), name)
	root := ".." // go run -C bench
	if _, err := os.Stat(filepath.Join(root, "examples", name)); err != nil {
		root = "."
	}
	cmd := exec.Command("go", "build", "-C", root, "-o", bin, "./examples/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("build %s: %v\n%s", name, err, out)
	}
	for dir := filepath.Dir(bin); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // nobody is to run it
			s.Fatal(err)
		}
	}
	return bin
}

const shortRuns = 41

// shortPathRows are 6 hops that take next to no time: ours by an ordinary
// user, traceroute by root, which it needs for TCP. What a process takes to
// start is that of one which only prints its version or its help.
func shortPathRows(s *stage) (t table) {
	p := tracePath(s, 5)
	ours, dst := example(s, "traceroute"), p.Hops4[5].String()
	var start [2][]float64
	if has("traceroute") {
		s.asRoot(p.Client, &start, "trace-race", strconv.Itoa(shortRuns), ours, "traceroute", "--help")
	}
	for _, m := range traceMethods {
		var alone []float64
		s.child(p.Client, &alone, "ours-traces", m.method.String(), strconv.Itoa(shortRuns), dst)
		for _, queries := range []string{"1", "3"} {
			r := row{
				figure: fmt.Sprintf("6 hops by %v, %s a hop (median of %d)", m.method, plural(queries, "probe"), shortRuns),
				target: "≤ 1.0 × traceroute", peers: "traceroute is not installed", verdict: unchecked,
			}
			if !has("traceroute") {
				t = append(t, r)
				continue
			}
			args := append([]string{"-n", "-q", queries}, append(m.flags, dst)...)
			var times [2][]float64
			s.asRoot(p.Client, &times, "trace-race", append([]string{strconv.Itoa(shortRuns), ours, "traceroute"}, args...)...)
			a, b := median(times[0]), median(times[1])
			if queries == "1" {
				alone, net := median(alone), b-median(start[1])
				lib := r
				lib.figure += ": the trace alone"
				lib.ours = fmt.Sprintf("%.2f ms with its sockets", alone)
				lib.peers = fmt.Sprintf("traceroute %.2f ms, less its start %.2f ms (ratio %.2f)", b, net, alone/net)
				lib.verdict = judge(alone <= net)
				t = append(t, lib)
			}
			r.figure += ": whole process"
			r.ours = fmt.Sprintf("%.2f ms, of it start %.2f ms", a, median(start[0]))
			r.peers = fmt.Sprintf("traceroute %.2f ms, of it start %.2f ms (ratio %.2f)", b, median(start[1]), a/b)
			r.verdict = judge(a <= b)
			t = append(t, r)
		}
	}
	for _, peer := range [][]string{{"mtr", "-n", "-r", "-c", "1"}, {"datadog-traceroute"}} {
		t = append(t, slowPeerRow(s, p, ours, peer, dst))
	}
	return t
}

func plural(n, word string) string {
	if n == "1" {
		return n + " " + word
	}
	return n + " " + word + "s"
}

// slowPeerRow compares with a program that takes seconds.
func slowPeerRow(s *stage, p *lab.Path, ours string, peer []string, dst string) row {
	r := row{figure: "6 hops by udp, against " + strings.Join(peer, " "), target: "faster", verdict: unchecked,
		peers: peer[0] + " is not installed"}
	if !has(peer[0]) {
		return r
	}
	var took [2]float64
	for i, args := range [][]string{{ours, "-n", "-q", "1", dst}, append(peer, dst)} {
		start := time.Now()
		s.process(p.Client.Command(args[0], args[1:]...))
		took[i] = milli(time.Since(start))
	}
	r.ours, r.peers = fmt.Sprintf("%.1f ms", took[0]), fmt.Sprintf("%s %.0f ms", peer[0], took[1])
	r.verdict = judge(took[0] < took[1])
	return r
}

func milli(d time.Duration) float64 { return float64(d) / 1e6 }

const slowRuns = 21

// slowPathRows are 30 hops behind a cable of 25 ms each way, 5 of them silent.
func slowPathRows(s *stage) (t table) {
	delay := lab.Impair{Delay: 25 * time.Millisecond}
	p := tracePath(s, 29, lab.WireAt{Link: 0, Out: delay, Back: delay})
	for _, n := range []int{3, 9, 14, 15, 21} {
		p.Routers[n-1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	}
	for _, m := range traceMethods {
		for i, dst := range []netip.Addr{p.Hops4[29], p.Hops6[29]} {
			var times []float64
			s.child(p.Client, &times, "ours-traces", m.method.String(), strconv.Itoa(slowRuns), dst.String())
			r := row{
				figure: fmt.Sprintf("30 hops, 50 ms, 5 of them silent, by %v over IPv%d (median of %d)", m.method, 4+2*i, slowRuns),
				ours:   fmt.Sprintf("%.0f ms", median(times)), target: "≤ 50 ms + 300 ms", verdict: judge(median(times) <= 350),
			}
			if i == 0 && has("traceroute") {
				start := time.Now()
				s.process(p.Client.Command("traceroute", append([]string{"-n", "-q", "1"}, append(m.flags, dst.String())...)...))
				r.peers = fmt.Sprintf("traceroute -q 1: %.0f ms", milli(time.Since(start)))
			}
			t = append(t, r)
		}
	}
	return t
}

// crowdRows are 1,000 traces at once, a million probes, to targets at every
// distance up to 6, while a router sends forged answers; and the same without
// them to targets behind one router, for the rate: all routers share the
// processors with us.
func crowdRows(s *stage) (t table) {
	p := tracePath(s, 5)
	blocks := crowdTargets(s, p)
	for _, m := range traceMethods {
		for i, hops := range [][]netip.Addr{p.Hops4, p.Hops6} {
			stop := forge(s, p, i == 1)
			var c crowd1000
			s.asRoot(p.Client, &c, "ours-crowd", m.method.String(), "1000000", "1", join(hops), join(blocks[i][:]))
			forged := stop()
			t = append(t, row{
				figure:  fmt.Sprintf("1,000 traces at once by %v over IPv%d, 1 to 6 hops", m.method, 4+2*i),
				ours:    fmt.Sprintf("%d wrong of %d paths with %d probes and %d forged answers; %d descriptors; %s a second", c.Wrong, c.Paths, c.Probes, forged, c.Descriptors, kilo(c.Rate)),
				target:  "none wrong in 10⁶ probes, ≤ 4 descriptors",
				verdict: judge(c.Descriptors <= 4 && c.Wrong == 0 && forged > 1000),
			})
			k := s.asRoot(p.Client, &c, "ours-crowd", m.method.String(), "1000000", "3", join(hops[:2]), join(blocks[i][1:2]))
			t = append(t, row{
				figure:  fmt.Sprintf("1,000 traces at once by %v over IPv%d, 2 hops, 3 probes a hop", m.method, 4+2*i),
				ours:    fmt.Sprintf("%s a second, %s of processor a probe, routers included; %d wrong", kilo(c.Rate), micros(each(k.cpu, c.Probes)), c.Wrong),
				target:  "≥ 100 k a second",
				verdict: judge(c.Rate >= 100e3 && c.Wrong == 0),
			})
		}
	}
	return append(t, mapRows(s, p, blocks)...)
}

func join(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, ",")
}

// crowdTargets gives every router and the server of a path 65,536 addresses in
// both families and returns the first ones.
func crowdTargets(s *stage, p *lab.Path) (blocks [2][6]netip.Addr) {
	nodes := append([]*lab.Host{p.Client}, append(p.Routers, p.Server)...)
	for n := range 6 {
		blocks[0][n] = netip.AddrFrom4([4]byte{172, byte(16 + n), 0, 0})
		blocks[1][n] = netip.MustParseAddr(fmt.Sprintf("fdaa:%x::", n+1))
		for i, bits := range []int{16, 112} {
			prefix := netip.PrefixFrom(blocks[i][n], bits)
			local(s, nodes[n+1], prefix)
			for k := range n + 1 { // the client and the routers before it
				via := p.Links[k].B.Addr4()
				if i == 1 {
					via = p.Links[k].B.Addr6()
				}
				nodes[k].Route(prefix.String(), via.String())
			}
		}
	}
	return blocks
}

// local makes a host answer for a whole network.
func local(s *stage, h *lab.Host, prefix netip.Prefix) {
	err := h.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		dst, err := netlink.ParseIPNet(prefix.String())
		if err != nil {
			return err
		}
		r := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL}
		if prefix.Addr().Is4() {
			r.Scope = netlink.SCOPE_HOST
		}
		return netlink.RouteAdd(r)
	})
	if err != nil {
		s.Fatal(err)
	}
}

// mapRows are 4,096 targets 6 hops away.
func mapRows(s *stage, p *lab.Path, blocks [2][6]netip.Addr) (t table) {
	for _, m := range traceMethods {
		for i, b := range blocks {
			var c crowd1000
			s.asRoot(p.Client, &c, "ours-map", m.method.String(), b[5].String(), "4096")
			t = append(t, row{
				figure:  fmt.Sprintf("map of 4,096 targets, 6 hops, by %v over IPv%d (median of %d)", m.method, 4+2*i, mapRuns),
				ours:    fmt.Sprintf("%.2f s, %d probes, %d wrong", float64(c.Probes)/c.Rate, c.Probes, c.Wrong),
				target:  "< 1 s",
				verdict: judge(float64(c.Probes)/c.Rate < 1 && c.Wrong == 0),
			})
		}
	}
	return t
}
