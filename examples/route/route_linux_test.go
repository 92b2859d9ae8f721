package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/route"
)

// newHost is a host with two interfaces and names for some of what is around.
func newHost(t *testing.T) *lab.Host {
	t.Helper()
	l := lab.New(t)
	host, other := l.Host("host"), l.Host("other")
	l.Connect(host.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), other.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"))
	l.Connect(host.Port("eth1", "10.2.0.1/24", "fd00:2::1/64"), other.Port("eth1", "10.2.0.2/24", "fd00:2::2/64"))
	host.Hosts("127.0.0.1 localhost\n::1 localhost\n10.1.0.2 gateway\n10.2.0.3 gw3.example\n10.16.0.1 host1\n10.16.2.0 nonet\n" +
		"fd00:1::2 gateway\nfd00:2::3 gw3.example\nfd00:16:1::1 host1\nfd00:16:2:: net2\n")
	return host
}

// chaos makes commands of ip that set a route, of every sort.
type chaos struct{ *rand.Rand }

func (c chaos) of(words ...string) string { return words[c.IntN(len(words))] }

// some returns the words half of the time.
func (c chaos) some(words ...string) string {
	if c.IntN(2) == 0 {
		return ""
	}
	return " " + c.of(words...)
}

func (c chaos) route4() string {
	dst := c.of("default", fmt.Sprintf("10.16.%d.0/24", c.IntN(8)), fmt.Sprintf("10.16.0.%d", c.IntN(4)),
		fmt.Sprintf("10.%d.0.0/16", 16+2*c.IntN(4)), fmt.Sprintf("10.%d.0.0/15", 32+2*c.IntN(4)), "169.254.0.0/16")
	if c.IntN(6) == 0 {
		return "route add " + c.of("unreachable ", "prohibit ", "blackhole ", "throw ", "local ", "broadcast ", "multicast ") + dst + c.some("metric 7") + c.some("table 254")
	}
	way := c.of("via 10.1.0.2", "via 10.1.0.3", "via 10.2.0.3 dev eth1", "dev eth0", "dev eth1", "dev lo", "via 192.0.2.1 dev eth1 onlink",
		"via inet6 fd00:1::2 dev eth0", "nexthop via 10.1.0.2 weight 3 nexthop via 10.2.0.2", "nexthop dev eth1 nexthop via 10.1.0.9")
	return "route add " + dst + c.some("metric 5", "metric 100", "metric 4294967295") + c.some("mtu 1400", "advmss 1360", "advmss 100 window 7300", "rtt 120 window 300", "rtt 8s") +
		c.some("proto static", "proto dhcp", "tos 0x10", "table 100") + " " + way
}

func (c chaos) route6() string {
	dst := c.of("default", fmt.Sprintf("fd00:16:%d::/48", c.IntN(8)), fmt.Sprintf("fd00:16:1::%d", c.IntN(4)), "64:ff9b::/96",
		"2001:db8:1234:5678:9abc:def0:1234:5678", fmt.Sprintf("fd00:16:2::/%d", 50+c.IntN(70)))
	table := c.some("table 100", "table 1000", "table 254", "table 255", "table 511")
	if c.IntN(6) == 0 {
		return "route add " + c.of("unreachable ", "prohibit ", "blackhole ", "throw ", "local ", "anycast ") + dst + " dev lo" + c.some("metric 7") + table
	}
	way := c.of("via fd00:1::2", "via fd00:1::3", "via fd00:2::3 dev eth1", "dev eth0", "dev eth1", "dev lo", "via fe80::9 dev eth1",
		"nexthop via fd00:1::2 weight 3 nexthop via fd00:2::2", "nexthop via fe80::7 dev eth1 nexthop via fd00:1::9")
	return "route add " + dst + c.some("metric 5", "metric 100", "metric 4294967295") + c.some("mtu 1400", "expires 1000", "pref high") +
		c.some("proto static", "proto kernel", "proto ra") + table + " " + way
}

// What this program does not tell: the count of references of an IPv6 route,
// between the metric and a use of 0, and the roots of its tables.
var (
	references = regexp.MustCompile(`(?m)(?:\d  |\d\d |\d{3}|-  )(    0 \S+)$`)
	roots      = regexp.MustCompile(`(?m)^(\[::\]|::)/0 +(\[::\]|::) +!n   -1  .+ lo\n`)
)

func shared(text []byte) string {
	return references.ReplaceAllString(roots.ReplaceAllString(string(text), ""), "?  $1")
}

// ours runs the tool inside the host: in a process of its own where names are
// looked up, since that is done by other threads.
func ours(t *testing.T, host *lab.Host, args []string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	var code int
	var err error
	if numeric(args) {
		err = host.DoUnprivileged(func() error {
			code = run(t.Context(), args, nil, &out, &errs)
			return nil
		})
	} else {
		var stdout, stderr []byte
		stdout, stderr, code, err = host.RunChild("route", false, args...)
		out.Write(stdout)
		errs.Write(stderr)
	}
	if err != nil || code != 0 || errs.Len() > 0 {
		t.Fatalf("route %s: %v, exit code %d: %s", args, err, code, errs.String())
	}
	return out.Bytes()
}

func numeric(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") && strings.Contains(a, "n") })
}

// The text is the classic's, to the blank, in the same order.
func TestAgainstRoute(t *testing.T) {
	for _, tool := range []string{"route", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := chaos{rand.New(rand.NewPCG(seed, 1))}
	for round := range 6 {
		host := newHost(t)
		host.Sysctl("net/ipv6/conf/all/forwarding", c.of("0", "1")) // with anycast addresses or without
		for family, command := range map[string]func() string{"-4": c.route4, "-6": c.route6} {
			var batch strings.Builder
			for range 40 {
				batch.WriteString(command() + "\n")
			}
			cmd := host.Command("ip", family, "-force", "-batch", "-") // what contradicts an earlier one is refused
			cmd.Stdin = strings.NewReader(batch.String())
			cmd.Run()
		}
		for _, args := range []string{"-n", "", "-e", "-ee", "-ne", "-nee", "-6", "-6n", "-A inet6 -e", "-4", "-A inet,inet6 -n", "-46ee", "-nvNF"} {
			if round >= 2 && !numeric(strings.Fields(args)) {
				continue // processes are slow
			}
			classic, err := host.Output("route", strings.Fields(args)...)
			if err != nil {
				t.Fatalf("route %s: %v", args, err)
			}
			stdout := ours(t, host, strings.Fields(args))
			if n := strings.Count(string(stdout), "\n"); n < 8 {
				t.Errorf("%s: only %d lines", args, n)
			}
			if diff := cmp.Diff(shared(classic), shared(stdout)); diff != "" {
				t.Errorf("%s (-route +ours):\n%s", args, diff)
			}
		}
	}
}

// A name that is longer than its column is not cut.
func TestLongNames(t *testing.T) {
	host := newHost(t)
	host.Hosts("10.1.0.2 gateway.with.a.long.name.example\n")
	host.Route("default", "10.1.0.2")
	stdout, stderr, code, err := host.RunChild("route", false)
	if err != nil || code != 0 {
		t.Fatalf("%v, exit code %d: %s", err, code, stderr)
	}
	want := "\ndefault         gateway.with.a.long.name.example 0.0.0.0         UG    0      0        0 eth0\n"
	if !strings.Contains(string(stdout), want) {
		t.Errorf("printed\n%s", stdout)
	}
}

func TestJSON(t *testing.T) {
	host := newHost(t)
	host.Route("default", "10.1.0.2")
	host.Route("default", "fd00:1::2")
	for args, want := range map[string]int{"": 1, "-6": 1, "-4": 1, "-46": 2} {
		stdout, stderr, code, err := host.RunChild("route", false, append(strings.Fields(args), "--json")...)
		var list []route.Route
		if err == nil {
			err = json.Unmarshal(stdout, &list)
		}
		if err != nil || code != 0 {
			t.Fatalf("%s: %v, exit code %d: %s", args, err, code, stderr)
		}
		defaults := 0
		for _, r := range list {
			if r.Default() && r.NextHops[0].Gateway.IsValid() && r.Device == "eth0" {
				defaults++
			}
		}
		if defaults != want {
			t.Errorf("%s: %d default routes, want %d: %s", args, defaults, want, stdout)
		}
	}
}
