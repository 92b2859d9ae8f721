package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/netsonde/netsonde/internal/fakenet"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/multipath"
	"github.com/netsonde/netsonde/trace"
)

// diamonds is how many networks in memory are explored of each population.
const diamonds = 1000

// compareTraceMultipath is the table of multipath tracing: random diamonds in
// memory, and one of Linux routers beside scamper.
func compareTraceMultipath(s *stage) table {
	t := append(simulated("uniform", fakenet.Plain), simulated("half of them meshed, asymmetric, nested or unequal", fakenet.Mixed)...)
	return append(t, realDiamond(s)...)
}

// exploredAll is what an algorithm took for a population.
type exploredAll struct{ found, probes int }

func exploreAll(a multipath.Algorithm, net func(int) *fakenet.Net) (e exploredAll, err error) {
	for i := range diamonds {
		n := net(i)
		r, err := multipath.Run(multipath.Config{
			Algorithm: a, Failure: 0.05, FirstTTL: 1, MaxTTL: 30, MaxFlows: 4096, MaxProbes: 20000, MaxSilent: 10,
			Attempts: 3, Timeout: 3300 * time.Millisecond, Window: 64, Rate: -1,
		}, n, n.Now)
		if err != nil {
			return e, err
		}
		e.probes += r.Probes
		if reflect.DeepEqual(n.Links(), fakenet.Found(r)) {
			e.found++
		}
	}
	return e, nil
}

func simulated(name string, net func(int) *fakenet.Net) table {
	figure := fmt.Sprintf("%d random diamonds in memory, %s", diamonds, name)
	mda, err := exploreAll(multipath.MDA, net)
	lite, liteErr := exploreAll(multipath.Lite, net)
	if err != nil || liteErr != nil {
		return table{{figure, fmt.Sprint(err, liteErr), "", "", missed}}
	}
	percent := func(e exploredAll) float64 { return 100 * float64(e.found) / diamonds }
	ratio := float64(lite.probes) / float64(mda.probes)
	return table{
		{figure + ": every link found, bound 0.05", fmt.Sprintf("MDA %.1f %%, MDA-Lite %.1f %%", percent(mda), percent(lite)), "", "≥ 95 %",
			judge(percent(mda) >= 95 && percent(lite) >= 95)},
		{"the same: probes", fmt.Sprintf("MDA-Lite %d, %.1f %% of MDA's %d", lite.probes/diamonds, 100*ratio, mda.probes/diamonds), "", "MDA-Lite ≤ 60 %", judge(ratio <= 0.6)},
	}
}

// branches and inside are how wide and how long the diamond of Linux routers is.
const branches, inside = 4, 2

// realDiamond explores what Linux routers that hash by ports make of
// client - r1 - 4 x 2 routers - r2 - server.
func realDiamond(s *stage) table {
	client, dst := buildDiamond(s)
	var t table
	theirs, took, err := scamper(client, dst)
	if err != nil {
		theirs = err.Error()
	}
	for _, a := range []trace.Algorithm{trace.AlgorithmLite, trace.AlgorithmMDA} {
		var g trace.Graph
		err := client.DoUnprivileged(func() (err error) {
			// As many probes a second as scamper may send.
			g, err = trace.UDP{Options: trace.Options{Rate: 1000}}.Multipath(context.Background(), dst, &trace.MultipathOptions{Algorithm: a})
			return err
		})
		if err != nil {
			s.Fatal(err)
		}
		const all = branches*inside + 3 // routers and the server
		r := row{
			figure: fmt.Sprintf("%d x %d Linux routers, %v, without root: interfaces, probes, time", branches, inside, a),
			ours:   fmt.Sprintf("%d of %d, %d, %v", len(g.Vertices), all, g.Packets, g.Elapsed.Round(time.Millisecond)),
			peers:  theirs, target: "all, in less time", verdict: judge(len(g.Vertices) == all && (took == 0 || g.Elapsed < took)),
		}
		t = append(t, r)
	}
	return t
}

// scamper runs tracelb and returns what it found and took, in words, and how
// long. Its bound is for each vertex, ours for the whole graph, and it sends one
// probe at a time, at least 150 ms apart.
func scamper(client *lab.Host, dst netip.Addr) (words string, took time.Duration, err error) {
	if !has("scamper") {
		return "", 0, errors.New("scamper is not installed")
	}
	start := time.Now()
	out, err := client.Output("scamper", "-O", "json", "-p", "1000", "-c", "tracelb -P udp-sport -W 15", "-i", dst.String())
	took = time.Since(start)
	if err != nil {
		return "", 0, err
	}
	for line := range bytes.Lines(out) {
		var r struct {
			Type   string `json:"type"`
			Probes int    `json:"probec"`
		}
		if json.Unmarshal(line, &r) != nil || r.Type != "tracelb" {
			continue
		}
		addrs := map[string]bool{}
		for _, m := range address.FindAllSubmatch(line, -1) {
			addrs[string(m[1])] = true
		}
		return fmt.Sprintf("scamper tracelb, as root, bound per vertex: %d, %d, %v", len(addrs), r.Probes, took.Round(time.Millisecond)), took, nil
	}
	return "", 0, fmt.Errorf("scamper said %.80q", out)
}

var address = regexp.MustCompile(`"addr":"([0-9.]+)"`)

// buildDiamond returns the client and the server's address. Cable k is
// 10.20.k.0/24, its nearer end .1.
func buildDiamond(s *stage) (*lab.Host, netip.Addr) {
	l := lab.New(s)
	client, first, last, server := l.Host("client"), l.Router("first"), l.Router("last"), l.Host("server")
	first.Sysctl("net/ipv4/fib_multipath_hash_policy", "1")
	server.Sysctl("net/ipv4/icmp_ratemask", "0")
	k := 0
	cable := func(a, b *lab.Host) (near, far string) {
		near, far = fmt.Sprintf("10.20.%d.1", k), fmt.Sprintf("10.20.%d.2", k)
		pa, pb := a.Port(fmt.Sprintf("d%d", k), near+"/24"), b.Port(fmt.Sprintf("u%d", k), far+"/24")
		if k == 0 {
			// Cables within one kernel keep the hash of the sender's socket.
			l.Wire(pa, pb, lab.Impair{}, lab.Impair{})
		} else {
			l.Connect(pa, pb)
		}
		k++
		return near, far
	}
	_, gate := cable(client, first)
	client.ResolvConf("nameserver 127.0.0.1\n") // scamper does not start without
	client.Route("default", gate)
	r := &netlink.Route{}
	for b := range branches {
		at := first
		for i := range inside + 1 {
			next := last
			if i < inside {
				next = l.Router(fmt.Sprintf("b%d-%d", b, i))
			}
			near, far := cable(at, next)
			if next != last || b == 0 {
				next.Route("10.20.0.0/24", near)
			}
			if i == 0 {
				r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{Gw: netip.MustParseAddr(far).AsSlice()})
			} else {
				at.Route("default", far)
			}
			at = next
		}
	}
	r.Dst, _ = netlink.ParseIPNet("10.99.0.0/24")
	l.Connect(last.Port("lan", "10.99.0.1/24"), server.Port("eth0", "10.99.0.2/24"))
	server.Route("default", "10.99.0.1")
	if err := first.Netlink().RouteAdd(r); err != nil {
		s.Fatal(err)
	}
	return client, netip.MustParseAddr("10.99.0.2")
}
