package route

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What ip sets is what is listed.
func TestEncap(t *testing.T) {
	needsIP(t)
	h := three(t)
	addr := netip.MustParseAddr
	for command, want := range map[string]*Encap{
		"-6 route add fd64::/16 encap seg6 mode encap segs fd00:1::77,fd00:1::78 dev eth0": {
			Type: EncapSeg6, Mode: Seg6Encap, Segments: []netip.Addr{addr("fd00:1::77"), addr("fd00:1::78")},
		},
		"-6 route add fd64::/16 encap seg6 mode l2encap segs fd00:1::77 dev eth0": {Type: EncapSeg6, Mode: Seg6L2Encap, Segments: []netip.Addr{addr("fd00:1::77")}},
		"-6 route add fd64::1 encap seg6local action End.DT6 table 100 dev eth0":  {Type: EncapSeg6Local, Action: 7, Table: 100},
		"-6 route add fd64::1 encap seg6local action End.X nh6 fd00:1::9 dev eth0": {
			Type: EncapSeg6Local, Action: 2, NextHop: addr("fd00:1::9"),
		},
		"-6 route add fd64::/16 encap ip6 id 5 dst fd00::9 src fd00::8 hoplimit 9 tc 3 dev eth0": {
			Type: EncapIP6, ID: 5, Dst: addr("fd00::9"), Src: addr("fd00::8"), TTL: 9, TOS: 3,
		},
		"route add 10.77.0.0/16 encap ip id 77 dst 10.1.0.9 src 10.1.0.1 ttl 7 tos 4 via 10.1.0.2": {
			Type: EncapIP, ID: 77, Dst: addr("10.1.0.9"), Src: addr("10.1.0.1"), TTL: 7, TOS: 4,
		},
		"route add 10.77.0.0/16 encap mpls 100/200 via 10.1.0.2": {Type: EncapMPLS, Labels: []uint32{100, 200}},
		"route add 10.77.0.0/16 nexthop via 10.1.0.3 nexthop encap ip id 3 dst 10.1.0.9 via 10.1.0.2": {
			Type: EncapIP, ID: 3, Dst: addr("10.1.0.9"), Src: addr("0.0.0.0"),
		},
	} {
		if out, err := h.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Logf("the kernel has no %s: %s", want.Type, out)
			continue
		}
		found := false
		for _, r := range listed(t, h, &Options{Table: 254}) {
			for _, hop := range r.NextHops {
				if hop.Encap == nil {
					continue
				}
				found = true
				if d := cmp.Diff(want, hop.Encap, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(Encap{}, "Flags")); d != "" {
					t.Errorf("%s (-want +got):\n%s", command, d)
				}
				if len(r.NextHops) == 1 && r.Encap != hop.Encap || len(r.Unknown)+len(hop.Unknown) > 0 {
					t.Errorf("%s: %+v", command, r)
				}
			}
		}
		if !found {
			t.Errorf("%s: not found", command)
		}
		if _, err := h.Output("ip", strings.Fields(strings.Replace(command, " add ", " del ", 1))...); err != nil {
			t.Fatal(err)
		}
	}
}

// objectView is an object in ip's words.
func objectView(o NextHopObject) dict {
	v := dict{"id": o.ID, "scope": word(o.Scope, uint8(o.Scope)), "protocol": word(o.Protocol, uint8(o.Protocol)), "flags": strings.FieldsFunc(o.Flags.String(), func(r rune) bool { return r == '|' })}
	if o.Gateway.IsValid() {
		v["gateway"] = o.Gateway.WithZone("").String()
	}
	put(v, "dev", o.Device)
	if o.Blackhole {
		v["blackhole"] = nil
	}
	if o.FDB {
		v["fdb"] = nil
	}
	if o.Group != nil {
		var group []dict
		for _, m := range o.Group {
			member := dict{"id": m.ID}
			if m.Weight > 1 {
				member["weight"] = m.Weight
			}
			group = append(group, member)
		}
		v["group"] = group
	}
	if r := o.Resilient; r != nil {
		v["type"] = "resilient"
		v["resilient_args"] = dict{"buckets": r.Buckets, "idle_timer": r.IdleTimer.Seconds(), "unbalanced_timer": r.UnbalancedTimer.Seconds(), "unbalanced_time": int(r.UnbalancedTime.Seconds())}
	}
	return v
}

func TestNextHopObjectsAgainstIP(t *testing.T) {
	needsIP(t)
	h := three(t)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	total := 0
	for i := range 25 {
		var s strings.Builder
		_, _ = h.Output("ip", "nexthop", "flush") // complains when there is nothing
		for id := 1; id < 20; id++ {
			switch rng.IntN(7) {
			case 0:
				fmt.Fprintf(&s, "nexthop add id %d blackhole proto %s\n", id, []string{"static", "bird", "77"}[rng.IntN(3)])
			case 1:
				fmt.Fprintf(&s, "nexthop add id %d via 192.0.2.%d dev eth%d onlink\n", id, id, rng.IntN(3))
			case 2:
				fmt.Fprintf(&s, "-6 nexthop add id %d via fe80::%x dev eth%d\n", id, id, rng.IntN(3))
			case 3:
				fmt.Fprintf(&s, "nexthop add id %d dev eth%d\n", id, rng.IntN(3))
			case 4:
				fmt.Fprintf(&s, "nexthop add id %d via 10.1.0.%d fdb\n", id, id)
			default:
				net := 1 + rng.IntN(3)
				fmt.Fprintf(&s, "nexthop add id %d via 10.%d.0.%d dev eth%d proto zebra\n", id, net, id, net-1)
			}
		}
		for id := 20; id < 30; id++ {
			kind := []string{"", "type mpath", "type resilient buckets 32 idle_timer 60 unbalanced_timer 300", "type resilient buckets 8"}[rng.IntN(4)]
			fmt.Fprintf(&s, "-0 nexthop add id %d group %d,%d/%d,%d %s\n", id, 1+rng.IntN(6), 7+rng.IntN(6), 1+rng.IntN(256), 13+rng.IntN(6), kind)
		}
		batch(h, s.String())
		list, err := NextHopObjects(t.Context(), &Options{NetNS: h.NetNSFD()})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			if o.Unknown != nil {
				t.Errorf("%+v", o)
			}
		}
		out, err := h.Output("ip", "-j", "-d", "nexthop")
		if err != nil {
			t.Fatal(err)
		}
		want := decode(t, out)
		for _, o := range want { // the time runs on
			if args, ok := o["resilient_args"].(dict); ok {
				args["unbalanced_time"] = json.Number("0")
			}
		}
		for i := range list {
			if list[i].Resilient != nil {
				list[i].Resilient.UnbalancedTime = 0
			}
		}
		total += len(list)
		if d := cmp.Diff(want, view(t, list, objectView)); d != "" {
			t.Fatalf("set-up %d\n%s(-ip +netsonde):\n%s", i, &s, d)
		}
	}
	if t.Log(total, "objects"); total < 250 {
		t.Error("too few")
	}
}
