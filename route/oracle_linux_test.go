package route

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

func decode(t *testing.T, b []byte) []dict {
	t.Helper()
	var list []dict
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return list
}

func ip(t *testing.T, h *lab.Host, args ...string) []dict {
	t.Helper()
	out, err := h.Output("ip", append([]string{"-j", "-d"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, out)
}

func view[T any](t *testing.T, list []T, view func(T) dict) []dict {
	t.Helper()
	views := []dict{}
	for _, v := range list {
		views = append(views, view(v))
	}
	b, err := json.Marshal(views)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, b)
}

// everything is all that this package tells of a host, in ip's words.
func everything(t *testing.T, h *lab.Host) map[string][]dict {
	t.Helper()
	all := map[string][]dict{}
	err := h.DoUnprivileged(func() error {
		for _, f := range []Family{FamilyIPv4, FamilyIPv6} {
			routes, err := List(t.Context(), &Options{Family: f})
			if err != nil {
				return err
			}
			all["routes "+f.String()] = view(t, routes, routeView)
			rules, err := Rules(t.Context(), &Options{Family: f})
			if err != nil {
				return err
			}
			all["rules "+f.String()] = view(t, rules, ruleView)
			neighbors, err := Neighbors(t.Context(), &NeighborOptions{Family: f})
			if err != nil {
				return err
			}
			all["neighbours "+f.String()] = view(t, neighbors, neighborView)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// oracle is the same from ip.
func oracle(t *testing.T, h *lab.Host) map[string][]dict {
	t.Helper()
	all := map[string][]dict{}
	for arg, f := range map[string]Family{"-4": FamilyIPv4, "-6": FamilyIPv6} {
		routes := ip(t, h, arg, "route", "show", "table", "all")
		kept := []dict{}
		for _, r := range routes {
			// ip takes IPv6 routes along where IPv4 is asked for, and shows what
			// it found behind a next hop object.
			delete(r, "nh_info")
			single(r)
			if _, six := r["pref"]; six == (f == FamilyIPv6) {
				kept = append(kept, r)
			}
		}
		all["routes "+f.String()] = kept
		all["rules "+f.String()] = ip(t, h, arg, "rule")
		all["neighbours "+f.String()] = ip(t, h, arg, "-s", "neigh", "show", "nud", "all")
	}
	return all
}

// single takes the one way of a multipath route out of its list, as this
// package does.
func single(r dict) {
	if hops, _ := r["nexthops"].([]any); len(hops) == 1 {
		delete(r, "nexthops")
		hop := hops[0].(dict)
		delete(hop, "weight")
		maps.Copy(r, hop)
	}
}

// moving are the clocks.
var moving = map[string]bool{"used": true, "confirmed": true, "updated": true, "expires": true}

// settle takes out what moves by itself: a clock that lies between what ip says
// before and after is right. All three are changed to what ip says after.
func settle(key string, before, got, after any) (b, g, a any) {
	switch after := after.(type) {
	case dict:
		before, ok1 := before.(dict)
		got, ok2 := got.(dict)
		if ok1 && ok2 {
			for k := range after {
				if before[k] != nil && got[k] != nil {
					before[k], got[k], after[k] = settle(k, before[k], got[k], after[k])
				}
			}
		}
	case []any:
		before, ok1 := before.([]any)
		got, ok2 := got.([]any)
		if ok1 && ok2 && len(before) == len(after) && len(got) == len(after) {
			for i := range after {
				before[i], got[i], after[i] = settle(key, before[i], got[i], after[i])
			}
		}
	case json.Number:
		lo, err1 := strconv.ParseFloat(fmt.Sprint(before), 64)
		v, err2 := strconv.ParseFloat(fmt.Sprint(got), 64)
		hi, err3 := after.Float64()
		if moving[key] && err1 == nil && err2 == nil && err3 == nil && min(lo, hi) <= v && v <= max(lo, hi) {
			return after, after, after
		}
	}
	return before, got, after
}

// compare checks against ip, at a moment when nothing changes but the clocks.
func compare(t *testing.T, h *lab.Host, what string) map[string][]dict {
	t.Helper()
	for range 20 {
		before := oracle(t, h)
		got := everything(t, h)
		after := oracle(t, h)
		for part := range after {
			b, g, a := before[part], got[part], after[part]
			for i := range a {
				if len(b) == len(a) && len(g) == len(a) {
					settle("", b[i], g[i], a[i])
				}
			}
		}
		if !cmp.Equal(before, after) {
			continue // a neighbour changed its state
		}
		if d := cmp.Diff(after, got); d != "" {
			t.Fatalf("%s (-ip +netsonde):\n%s", what, d)
		}
		return got
	}
	t.Fatalf("%s: never at rest", what)
	return nil
}

// chaos makes random changes with ip(8); many are refused.
type chaos struct {
	rng  *rand.Rand
	undo []string
}

func (c *chaos) pick(list ...string) string { return list[c.rng.IntN(len(list))] }
func (c *chaos) dev() string                { return c.pick("eth0", "eth1", "eth2") }
func (c *chaos) gw4() string                { return fmt.Sprintf("10.%d.0.%d", 1+c.rng.IntN(3), 2+c.rng.IntN(200)) }
func (c *chaos) gw6() string                { return fmt.Sprintf("fd00:%d::%x", 1+c.rng.IntN(3), 2+c.rng.IntN(200)) }

func (c *chaos) dst4() string {
	return c.pick("default", fmt.Sprintf("10.%d.%d.0/%d", 100+c.rng.IntN(4), c.rng.IntN(4), 20+c.rng.IntN(13)), fmt.Sprintf("10.%d.0.0/16", 100+c.rng.IntN(50)))
}

func (c *chaos) dst6() string {
	return c.pick("default", fmt.Sprintf("fd%02x:%x::/%d", 0x10+c.rng.IntN(4), c.rng.IntN(4), 30+c.rng.IntN(99)), fmt.Sprintf("fd%02x::/16", 0x10+c.rng.IntN(50)))
}

func (c *chaos) extras() string {
	var s []string
	for range c.rng.IntN(3) {
		s = append(s, c.pick(
			fmt.Sprint("metric ", c.rng.IntN(5000)), "proto "+c.pick("static", "bird", "77", "dhcp", "ra"),
			"table "+c.pick("100", "70000", "main", "local", "200"), fmt.Sprint("mtu ", 1280+c.rng.IntN(500)), "mtu lock 1400",
			"advmss 1200", "window 4000", "initcwnd 7", "initrwnd 9", "hoplimit 33", "quickack 1", "rto_min 77ms", "rtt 100ms",
			"rttvar 50ms", "ssthresh 9", "cwnd 8", "reordering 4", "features ecn", "congctl cubic", "fastopen_no_cookie 1"))
	}
	return strings.Join(s, " ")
}

func (c *chaos) route4() string {
	s := "route append "
	switch c.rng.IntN(8) {
	case 0:
		return s + c.pick("blackhole ", "unreachable ", "prohibit ", "throw ") + c.dst4() + " " + c.extras()
	case 1:
		return s + fmt.Sprintf("%s nexthop via %s weight %d nexthop dev %s weight %d %s", c.dst4(), c.gw4(), 1+c.rng.IntN(256), c.dev(), 1+c.rng.IntN(256), c.extras())
	case 2:
		return s + fmt.Sprintf("%s %s nexthop via %s realms 5/6 nexthop via inet6 fe80::%x dev %s", c.dst4(), c.extras(), c.gw4(), c.rng.IntN(99), c.dev())
	case 3:
		return s + fmt.Sprintf("%s via inet6 fe80::%x dev %s %s", c.dst4(), 1+c.rng.IntN(99), c.dev(), c.extras())
	case 4:
		return s + fmt.Sprintf("%s nhid %d %s", c.dst4(), 1+c.rng.IntN(6), c.extras())
	case 5:
		return s + c.pick("local ", "broadcast ", "multicast ", "anycast ") + c.dst4() + " dev " + c.dev() + " " + c.extras()
	case 6:
		return s + fmt.Sprintf("%s dev %s scope %s %s", c.dst4(), c.dev(), c.pick("link", "global", "site", "77"), c.extras())
	}
	return s + fmt.Sprintf("%s via %s %s %s", c.dst4(), c.gw4(), c.pick("", "", "tos 0x10", "realms 3/4", "realms 9", "src 10.1.0.1", "onlink dev "+c.dev()), c.extras())
}

func (c *chaos) route6() string {
	s := "-6 route append "
	switch c.rng.IntN(7) {
	case 0:
		return s + c.pick("blackhole ", "unreachable ", "prohibit ", "throw ") + c.dst6() + " " + c.extras()
	case 1:
		return s + fmt.Sprintf("%s nexthop via %s weight %d nexthop via fe80::%x dev %s", c.dst6(), c.gw6(), 1+c.rng.IntN(256), 1+c.rng.IntN(99), c.dev())
	case 2:
		return s + fmt.Sprintf("%s from %s via %s %s", c.dst6(), c.dst6(), c.gw6(), c.extras())
	case 3:
		return s + fmt.Sprintf("%s nhid %d %s", c.dst6(), 11+c.rng.IntN(4), c.extras())
	case 4:
		return s + c.pick("local ", "anycast ", "multicast ") + c.dst6() + " dev " + c.dev() + " " + c.extras()
	}
	return s + fmt.Sprintf("%s via %s %s %s", c.dst6(), c.gw6(), c.pick("", "", "pref high", "pref low", "expires 500", "src fd00:1::1", "onlink dev "+c.dev()), c.extras())
}

func (c *chaos) rule() string {
	words := []string{c.pick("-4", "-6"), "rule add pref", fmt.Sprint(1 + c.rng.IntN(32000))}
	for range 1 + c.rng.IntN(3) {
		words = append(words, c.pick("from 10.0.0.0/8", "from fd00::/16", "to 10.9.0.0/16", "to 10.9.9.9", "to fd00::9", "tos 0x10", "fwmark 7",
			"fwmark 0x10/0xff", "iif eth0", "oif eth9", "iif lo", "uidrange 5-10", "ipproto tcp", "ipproto icmp", "sport 77",
			"dport 80-90", "tun_id 77", "realms 1/2", "suppress_prefixlength 3", "suppress_ifgroup 4", "protocol static", "not"))
	}
	words = append(words, c.pick("lookup 100", "lookup main", "lookup 70000", "blackhole", "unreachable", "prohibit", "nop", "goto 31000", "l3mdev"))
	return strings.Join(words, " ")
}

func (c *chaos) neighbor() string {
	s := c.pick("neigh replace "+c.gw4(), "-6 neigh replace "+c.gw6()) + " dev " + c.dev() + " "
	if c.rng.IntN(4) > 0 {
		s += fmt.Sprintf("lladdr 02:00:00:00:00:%02x ", c.rng.IntN(256))
	}
	return s + c.pick("nud permanent", "nud reachable", "nud stale", "nud noarp", "nud failed", "nud none", "nud delay") + " " +
		c.pick("", "router", "extern_learn", "protocol bgp", "protocol 77", "managed")
}

func (c *chaos) command() string {
	if len(c.undo) > 60 {
		i := c.rng.IntN(len(c.undo))
		s := c.undo[i]
		c.undo = append(c.undo[:i], c.undo[i+1:]...)
		return s
	}
	switch c.rng.IntN(10) {
	case 0:
		s := c.rule()
		c.undo = append(c.undo, strings.Replace(s, " add ", " del ", 1))
		return s
	case 1, 2:
		return c.neighbor()
	case 3:
		return "link set " + c.dev() + " " + c.pick("up", "up", "down")
	case 4, 5, 6:
		s := c.route6()
		c.undo = append(c.undo, strings.Replace(s, " append ", " del ", 1))
		return s
	}
	s := c.route4()
	c.undo = append(c.undo, strings.Replace(s, " append ", " del ", 1))
	return s
}

func needsIP(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (iproute2)")
	}
}

// batch runs commands of ip and returns what is said about those that are
// refused. A batch is of one family: first IPv4, the lines without an option,
// then IPv6, then none.
func batch(h *lab.Host, commands string) (refused string) {
	lines := map[string]string{}
	for line := range strings.Lines(commands) {
		family := "-4"
		if strings.HasPrefix(line, "-") {
			family, line = line[:2], line[3:]
		}
		lines[family] += line
	}
	for _, family := range []string{"-4", "-6", "-0"} {
		args := []string{"-force", "-batch", "-"}
		if family != "-0" {
			args = append([]string{family}, args...)
		}
		cmd := h.Command("ip", args...)
		cmd.Stdin = strings.NewReader(lines[family])
		out, _ := cmd.CombinedOutput()
		refused += string(out)
	}
	return refused
}

// nextHops are objects for routes to use; groups have no family.
const nextHops = `nexthop add id 1 via 10.1.0.9 dev eth0
nexthop add id 2 via 10.2.0.9 dev eth1
nexthop add id 4 via inet6 fe80::9 dev eth2
nexthop add id 5 blackhole
-6 nexthop add id 7 via fe80::9 dev eth2
-6 nexthop add id 11 via fd00:1::9 dev eth0
-6 nexthop add id 12 via fe80::7 dev eth1
-6 nexthop add id 14 blackhole
-0 nexthop add id 3 group 1,5/2,9
-0 nexthop add id 6 group 2/7
-0 nexthop add id 13 group 11,7/12,200
`

// three returns a host with three neighbours on the links.
func three(t lab.TB) *lab.Host {
	l := lab.New(t)
	h, peer := l.Host("h"), l.Host("peer")
	for i := range 3 {
		port := h.Port(fmt.Sprintf("eth%d", i), fmt.Sprintf("10.%d.0.1/24", i+1), fmt.Sprintf("fd00:%d::1/64", i+1))
		l.Connect(port, peer.Port(fmt.Sprintf("eth%d", i)))
	}
	return h
}

// setups may be raised: go test ./route -run AgainstIP -setups 1000.
var setups = flag.Int("setups", 120, "how many random set-ups are compared with ip")

func TestAgainstIP(t *testing.T) {
	needsIP(t)
	h := three(t)
	batch(h, nextHops)
	c := &chaos{rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))}
	seen := map[string]int{}
	for i := range *setups {
		var s strings.Builder
		for range 15 {
			fmt.Fprintln(&s, c.command())
		}
		batch(h, s.String())
		for what, list := range compare(t, h, fmt.Sprintf("set-up %d\n%s", i, &s)) {
			seen[what] += len(list)
		}
	}
	t.Log(seen)
}
