package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// diamond is client - first - a or b - last - server.
func diamond(t *testing.T) (client *lab.Host) {
	t.Helper()
	l := lab.New(t)
	client, first, last, server := l.Host("client"), l.Router("first"), l.Router("last"), l.Host("server")
	a, b := l.Router("a"), l.Router("b")
	first.Sysctl("net/ipv4/fib_multipath_hash_policy", "1")
	server.Sysctl("net/ipv4/icmp_ratemask", "0")
	// A wire, since packets keep their socket's hash on a cable.
	l.Wire(client.Port("eth0", "10.1.0.2/24"), first.Port("c", "10.1.0.1/24"), lab.Impair{}, lab.Impair{})
	l.Connect(first.Port("a", "10.2.0.1/24"), a.Port("up", "10.2.0.2/24"))
	l.Connect(first.Port("b", "10.3.0.1/24"), b.Port("up", "10.3.0.2/24"))
	l.Connect(a.Port("down", "10.4.0.1/24"), last.Port("a", "10.4.0.2/24"))
	l.Connect(b.Port("down", "10.5.0.1/24"), last.Port("b", "10.5.0.2/24"))
	l.Connect(last.Port("s", "10.6.0.1/24"), server.Port("eth0", "10.6.0.5/24"))
	client.Route("default", "10.1.0.1")
	server.Route("default", "10.6.0.1")
	a.Route("default", "10.4.0.2")
	a.Route("10.1.0.0/24", "10.2.0.1")
	b.Route("default", "10.5.0.2")
	b.Route("10.1.0.0/24", "10.3.0.1")
	last.Route("10.1.0.0/24", "10.4.0.1")
	r := &netlink.Route{}
	r.Dst, _ = netlink.ParseIPNet("10.6.0.0/24")
	for _, gate := range []string{"10.2.0.2", "10.3.0.2"} {
		r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{Gw: netip.MustParseAddr(gate).AsSlice()})
	}
	if err := first.Netlink().RouteAdd(r); err != nil {
		t.Fatal(err)
	}
	client.Hosts("127.0.0.1 localhost\n10.1.0.1 gate\n10.6.0.5 web1\n")
	client.ResolvConf("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	return client
}

func TestMultipath(t *testing.T) {
	client := diamond(t)
	spans := regexp.MustCompile(`\d+\.\d{3}/\d+\.\d{3} ms`)
	ports := regexp.MustCompile(`port \d+`)
	var all sync.WaitGroup
	for line, ways := range map[string]int{
		"--multipath -n --failure 1e-6 10.6.0.5":       2,
		"--multipath=mda --failure 1e-6 web1":          2,
		"--multipath -n -I --failure 0.01 10.6.0.5":    1,
		"--multipath -n -T -p 80 --failure 1e-6 web1":  2,
		"--multipath -n -m 2 --failure 1e-6 10.6.0.5":  2,
		"--multipath -n --failure 1e-6 -q 1 10.6.0.99": 2,
	} {
		all.Go(func() {
			out, stderr, code, err := client.RunChild("traceroute", false, strings.Fields(line)...)
			if err != nil || code != 0 || len(stderr) > 0 {
				t.Errorf("%s: %v, exit code %d: %s", line, err, code, stderr)
				return
			}
			text := ports.ReplaceAllString(spans.ReplaceAllString(string(out), "T"), "port P")
			if n := strings.Count(text, "\npath "); n != ways && !strings.Contains(line, ".99") {
				t.Errorf("%s: %d paths, want %d\n%s", line, n, ways, text)
			}
			if strings.Contains(line, ".99") && !strings.Contains(text, "  host_unreachable\n") {
				t.Errorf("%s:\n%s", line, text)
			}
			if !strings.HasPrefix(line, "--multipath -n --failure 1e-6 10.6.0.5") {
				return
			}
			lines := strings.Split(text, "\n")
			want := []string{
				"all paths to 10.6.0.5 (10.6.0.5), 30 hops max, 60 byte packets",
				"  1a  10.1.0.1  T  -> 2a 2b", "  2a  10.2.0.2  T  -> 3a", "  2b  10.3.0.2  T  -> 3a",
				"  3a  10.4.0.2  T  -> 4a", "  4a  10.6.0.5  T", "path 1a 2a 3a 4a  T  source port P", "path 1a 2b 3a 4a  T  source port P",
			}
			// Which of the two was met first is a matter of chance.
			got := strings.Join(lines[:min(len(want), len(lines))], "\n")
			got = strings.Replace(strings.Replace(got, "2a  10.3.0.2", "2a  10.2.0.2", 1), "2b  10.2.0.2", "2b  10.3.0.2", 1)
			if strings.Contains(got, "path 1a 2b 3a 4a  T  source port P\npath 1a 2a") {
				want[6], want[7] = want[7], want[6]
			}
			if d := cmp.Diff(strings.Join(want, "\n"), got); d != "" {
				t.Errorf("%s (-want +got)\n%s", line, d)
			}
		})
	}
	all.Wait()
}

func TestMultipathFormats(t *testing.T) {
	client := diamond(t)
	out, stderr, code, err := client.RunChild("traceroute", false, "--multipath", "--failure", "1e-6", "--json", "web1")
	var g trace.Graph
	if err != nil || code != 0 || json.Unmarshal(out, &g) != nil || len(g.Edges) != 5 || !g.Reached {
		t.Errorf("%v, exit code %d: %s%s", err, code, out, stderr)
	}
	out, stderr, code, err = client.RunChild("traceroute", false, "--multipath", "--failure", "1e-6", "--dot", "web1")
	if err != nil || code != 0 || !bytes.HasPrefix(out, []byte("digraph ")) || bytes.Count(out, []byte("->")) != 5 {
		t.Errorf("%v, exit code %d: %s%s", err, code, out, stderr)
	}
}

func TestMultipathUsage(t *testing.T) {
	for line, want := range map[string]string{
		"--multipath=x 127.0.0.1":             `the algorithms are lite and mda, not "x"`,
		"--dot 127.0.0.1":                     "--dot and --failure go with --multipath",
		"--failure 0.1 127.0.0.1":             "--dot and --failure go with --multipath",
		"--multipath --failure 1 127.0.0.1":   "a probability is between 0 and 1",
		"--multipath --mtu 127.0.0.1":         "-A, -e, --back, --mtu and --tracert do not go with --multipath",
		"--multipath --failure nan 127.0.0.1": "a probability is between 0 and 1",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(line), nil, &stdout, &stderr)
		if code != 2 || stderr.String() != fmt.Sprintf("traceroute: %s; try --help\n", want) {
			t.Errorf("%s: exit code %d, printed %q", line, code, stderr.String())
		}
	}
}

// The classic's probes take both ways, those of one flow only one.
func TestClassic(t *testing.T) {
	client := diamond(t)
	for line, want := range map[string]int{"-n -q 10 --classic 10.6.0.5": 2, "-n -q 10 10.6.0.5": 1} {
		seen := 0
		for range 3 { // ten probes all take one way in 1 of 512 traces
			stdout, stderr, code, err := client.RunChild("traceroute", false, strings.Fields(line)...)
			if err != nil || code != 0 {
				t.Fatalf("%s: %v, code %d: %s", line, err, code, stderr)
			}
			seen = 0
			for _, gate := range []string{"10.2.0.2", "10.3.0.2"} {
				if strings.Contains(string(stdout), " "+gate+" ") {
					seen++
				}
			}
			if seen == want {
				break
			}
		}
		if seen != want {
			t.Errorf("%s shows %d ways, want %d", line, seen, want)
		}
	}
}
