package link

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// object is a piece of ip's JSON.
type object = map[string]any

// ip returns the interfaces as `ip -j …` tells them, by index.
func ip(t *testing.T, h *lab.Host, args ...string) map[string]object {
	t.Helper()
	out, err := h.Output("ip", append([]string{"-j", "-d"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var list []object
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		t.Fatalf("ip %q: %v: %s", args, err, out)
	}
	byIndex := map[string]object{}
	for _, l := range list {
		if index, ok := l["ifindex"]; ok { // with -d it prints an empty object for some
			byIndex[fmt.Sprint(index)] = l
		}
	}
	return byIndex
}

// timers move while they are read.
var timers = []string{
	"hello_timer", "tcn_timer", "topology_change_timer", "gc_timer", "hold_timer", "message_age_timer", "forward_delay_timer",
}

// oracle returns everything that ip knows of the host's interfaces.
func oracle(t *testing.T, h *lab.Host) map[string]object {
	t.Helper()
	links, addrs := ip(t, h, "-s", "-s", "link"), ip(t, h, "addr")
	for index, l := range links {
		l["addr_info"] = addrs[index]["addr_info"]
		for _, part := range []string{"info_data", "info_slave_data"} {
			if info, ok := l["linkinfo"].(object); ok {
				if data, ok := info[part].(object); ok {
					for _, k := range timers {
						delete(data, k)
					}
				}
			}
		}
		// These are ip's reading of RUNNING and of the peer's flags.
		words, _ := l["flags"].([]any)
		var flags []any
		for _, w := range words {
			if w != "NO-CARRIER" && w != "M-DOWN" {
				flags = append(flags, w)
			}
		}
		l["flags"] = flags
	}
	return links
}

// normal takes a view through JSON, so that it compares with ip's.
func normal(t *testing.T, v any) map[string]object {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]object
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// inspect lists inside the host.
func inspect(t *testing.T, h *lab.Host) []Link {
	t.Helper()
	var links []Link
	err := h.DoUnprivileged(func() (err error) {
		links, err = List(t.Context(), nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

// moving are counters and lifetimes.
var moving = map[string]bool{
	"valid_life_time": true, "preferred_life_time": true, "packets": true, "bytes": true, "dropped": true, "errors": true,
	"multicast": true, "carrier_errors": true, "aborted_errors": true,
}

// settle takes out what moves by itself: a counter or lifetime that lies between what ip says
// before and after is right. All three are changed to what ip says after.
func settle(key string, before, got, after any) (b, g, a any) {
	switch after := after.(type) {
	case object:
		before, ok1 := before.(object)
		got, ok2 := got.(object)
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

// compare checks what List says against ip, at a moment when nothing changes
// but what moves by itself.
func compare(t *testing.T, h *lab.Host, what string) []Link {
	t.Helper()
	for range 20 {
		before := oracle(t, h)
		links := inspect(t, h)
		after := oracle(t, h)
		got := normal(t, views(links))
		for index := range after {
			settle("", before[index], got[index], after[index])
		}
		if !cmp.Equal(before, after) {
			continue
		}
		if diff := cmp.Diff(after, got); diff != "" {
			t.Fatalf("%s (-ip +netsonde):\n%s", what, diff)
		}
		return links
	}
	t.Fatalf("%s: never at rest", what)
	return nil
}

func views(links []Link) map[string]object {
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	m := map[string]object{}
	for _, l := range links {
		m[fmt.Sprint(l.Index)] = view(l, names)
	}
	return m
}

// chaos makes random changes with ip(8); many are refused.
type chaos struct {
	rng   *rand.Rand
	ports []string // what there may be
	n     int
}

func (c *chaos) pick(list ...string) string { return list[c.rng.IntN(len(list))] }
func (c *chaos) port() string               { return c.pick(c.ports...) }

func (c *chaos) bridge() string {
	i := slices.IndexFunc(c.ports, func(p string) bool { return strings.HasPrefix(p, "br") })
	return c.ports[max(i, 0)]
}

func (c *chaos) fresh(prefix string) string {
	c.n++
	name := fmt.Sprintf("%s%d", prefix, c.n)
	c.ports = append(c.ports, name)
	return name
}

func (c *chaos) mac() string {
	return fmt.Sprintf("02:00:00:%02x:%02x:%02x", c.rng.IntN(256), c.rng.IntN(256), c.rng.IntN(256))
}

func (c *chaos) add() string {
	switch c.rng.IntN(8) {
	case 0, 1:
		return fmt.Sprintf("link add %s type veth peer name %s", c.fresh("v"), c.fresh("p"))
	case 2:
		return fmt.Sprintf("link add %s type bridge stp_state %d forward_delay %d priority %d mcast_snooping %d",
			c.fresh("br"), c.rng.IntN(2), 200+c.rng.IntN(2000), c.rng.IntN(65536), c.rng.IntN(2))
	case 3:
		return fmt.Sprintf("link add link %s name %s type macvlan mode %s", c.port(), c.fresh("mv"),
			c.pick("private", "vepa", "bridge", "source", "passthru"))
	case 4:
		return fmt.Sprintf("link add %s type vxlan id %d dstport %d %s %s %s", c.fresh("vx"), c.rng.IntN(1<<24), 1+c.rng.IntN(65535),
			c.pick("local 10.0.0.1 remote 10.0.0.2", "local fd00::1 remote fd00::2", "group 239.1.1.1 dev "+c.port(), ""),
			c.pick("", "nolearning", "ttl 7", "tos 4", "df set", "ageing 77", "maxaddress 5", "proxy", "l2miss", "l3miss", "rsc"),
			c.pick("", "udpcsum", "noudpcsum", "gbp", "udp6zerocsumtx", "udp6zerocsumrx", "srcport 1000 2000"))
	case 5:
		return fmt.Sprintf("tuntap add dev %s mode tun %s", c.fresh("tun"), c.pick("", "pi", "vnet_hdr", "multi_queue"))
	case 6:
		return fmt.Sprintf("tuntap add dev %s mode tap %s", c.fresh("tap"), c.pick("", "pi", "vnet_hdr", "multi_queue"))
	}
	return fmt.Sprintf("link add %s type ifb", c.fresh("ifb"))
}

func (c *chaos) set() string {
	on := c.pick("on", "off")
	s := "link set " + c.port() + " "
	switch c.rng.IntN(16) {
	case 0, 1, 2, 3:
		return s + c.pick("up", "up", "down")
	case 4:
		return s + fmt.Sprint("mtu ", 1280+c.rng.IntN(8000))
	case 5:
		return s + fmt.Sprint("txqueuelen ", c.rng.IntN(5000))
	case 6:
		return s + c.pick("address ", "broadcast ") + c.mac()
	case 7:
		return s + fmt.Sprint("alias say_", c.rng.IntN(100))
	case 8:
		return s + fmt.Sprint("group ", c.rng.IntN(9))
	case 9, 10:
		return s + c.pick("nomaster", "master "+c.bridge(), "master "+c.bridge())
	case 11:
		return s + c.pick("promisc ", "allmulticast ", "multicast ", "arp ", "dynamic ", "trailers ") + on
	case 12:
		return s + "addrgenmode " + c.pick("eui64", "none", "random")
	case 13:
		return s + c.pick("mode dormant", "mode default", "carrier "+on, "protodown "+on)
	case 14:
		return s + "type bridge_slave " + c.pick("priority 7", "cost 99", "guard "+on, "hairpin "+on, "fastleave "+on,
			"learning "+on, "flood "+on, "mcast_flood "+on, "bcast_flood "+on, "isolated "+on, "neigh_suppress "+on,
			"proxy_arp "+on, "locked "+on, "root_block "+on, "mcast_to_unicast "+on, "group_fwd_mask 16392", "vlan_tunnel "+on)
	}
	return "link set " + c.bridge() + " type bridge " + c.pick("ageing_time 4000", "vlan_filtering 1", "hello_time 300", "max_age 1500", "nf_call_iptables 1",
		"group_fwd_mask 8", "mcast_querier 1", "mcast_igmp_version 3", "mcast_hash_max 512", "group_address 01:80:c2:00:00:03",
		"mcast_last_member_interval 77", "no_linklocal_learn 1", "vlan_stats_enabled 1", "mcast_stats_enabled 1")
}

func (c *chaos) address() string {
	dev := c.port()
	life := c.pick("", "", "valid_lft 500 preferred_lft 300", "valid_lft forever preferred_lft 0")
	if c.rng.IntN(2) == 0 {
		s := fmt.Sprintf("addr add 10.%d.%d.%d/%d dev %s %s", c.rng.IntN(4), c.rng.IntN(4), 1+c.rng.IntN(250), 8+c.rng.IntN(25), dev, life)
		return s + " " + c.pick("", "broadcast +", "label "+dev+":l", "scope link", "scope host", "scope 77", "metric 5", "noprefixroute", "broadcast 10.1.1.1")
	}
	if c.rng.IntN(5) == 0 {
		return fmt.Sprintf("addr add 10.9.0.1 peer 10.9.%d.2/%d dev %s", c.rng.IntN(3), 24+c.rng.IntN(9), dev)
	}
	s := fmt.Sprintf("addr add fd00:%d::%x/%d dev %s %s", c.rng.IntN(4), 1+c.rng.IntN(5000), 32+c.rng.IntN(97), dev, life)
	return s + " " + c.pick("", "nodad", "home", "mngtmpaddr", "noprefixroute", "metric 7", "peer fd00:9::2", "optimistic")
}

func (c *chaos) command() string {
	if len(c.ports) > 16 {
		i := 2 + c.rng.IntN(len(c.ports)-2) // not lo, not eth0
		port := c.ports[i]
		c.ports = slices.Delete(c.ports, i, i+1)
		return "link del " + port
	}
	switch c.rng.IntN(12) {
	case 0, 1:
		return c.add()
	case 2:
		return "addr flush dev " + c.port()
	case 3, 4, 5:
		return c.address()
	case 6:
		return fmt.Sprintf("link property %s dev %s altname another_and_quite_long_name_%d", c.pick("add", "add", "del"), c.port(), c.rng.IntN(5))
	}
	return c.set()
}

// setups may be raised: go test ./link -run AgainstIP -setups 1000.
var setups = flag.Int("setups", 120, "how many random set-ups are compared with ip")

// needsIP skips without the oracle.
func needsIP(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (iproute2)")
	}
}

func TestAgainstIP(t *testing.T) {
	needsIP(t)
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), l.Host("peer").Port("eth0"))
	c := &chaos{rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)), ports: []string{"lo", "eth0"}}
	var seen Coverage
	for i := range *setups {
		var batch strings.Builder
		for range 12 {
			fmt.Fprintln(&batch, c.command())
		}
		cmd := h.Command("ip", "-force", "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		cmd.Run() // what is refused is part of the game
		seen.note(compare(t, h, fmt.Sprintf("set-up %d\n%s", i, batch.String())))
	}
	t.Log(seen)
}

// Coverage tells what the random set-ups had in them.
type Coverage struct {
	Kinds   map[string]int
	Unknown map[string]int
	Addrs   int
}

func (c *Coverage) note(links []Link) {
	if c.Kinds == nil {
		c.Kinds, c.Unknown = map[string]int{}, map[string]int{}
	}
	for _, l := range links {
		c.Kinds[l.Kind+"/"+l.SlaveKind]++
		c.Addrs += len(l.Addresses)
		for _, a := range l.Unknown {
			c.Unknown[fmt.Sprint("link ", a)]++
		}
		for _, a := range l.Data {
			c.Unknown[fmt.Sprint(l.Kind, " ", a)]++
		}
		for where, list := range map[string][]Attribute{
			"bridge": unknownOf(l.Bridge), "port": unknownOf(l.BridgePort), "vxlan": unknownOf(l.VXLAN), "tun": unknownOf(l.Tun),
			"macvlan": unknownOf(l.MACVLAN), "families": l.Families,
		} {
			for _, a := range list {
				c.Unknown[fmt.Sprint(where, " ", a)]++
			}
		}
		for _, a := range l.Addresses {
			for _, u := range a.Unknown {
				c.Unknown[fmt.Sprint("address ", u)]++
			}
		}
	}
}

func unknownOf[D any, P interface {
	*D
	details
}](p P) []Attribute {
	if p == nil {
		return nil
	}
	return *p.unknown()
}
