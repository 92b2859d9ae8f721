package route

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/nl"
)

var compareAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// rtmsg encodes a struct rtmsg.
func rtmsg(f Family, dstLen, srcLen byte, typ Type, flags uint32) []byte {
	b := []byte{byte(f), dstLen, srcLen, 0x10, 254, byte(ProtocolBird), byte(ScopeLink), byte(typ)}
	return binary.NativeEndian.AppendUint32(b, flags)
}

func words(v ...uint32) (b []byte) {
	for _, w := range v {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// rtnexthop encodes a struct rtnexthop with its attributes.
func rtnexthop(flags, hops byte, index uint32, attrs []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(sizeofRtNexthop+len(attrs)))
	b = append(b, flags, hops)
	return append(binary.NativeEndian.AppendUint32(b, index), attrs...)
}

var (
	four = netip.MustParseAddr("192.0.2.1")
	six  = netip.MustParseAddr("fe80::1")
)

func TestParseRoute(t *testing.T) {
	base := Route{
		Family: FamilyIPv4, Type: TypeUnicast, TOS: 0x10, Table: 254, Protocol: ProtocolBird, Scope: ScopeLink,
		Dst: netip.MustParsePrefix("0.0.0.0/0"),
	}
	with := func(change func(*Route)) Route {
		r := base
		change(&r)
		return r
	}
	one := func(h NextHop) []NextHop {
		h.Weight = max(h.Weight, 1)
		return []NextHop{h}
	}
	via := append([]byte{10, 0}, six.AsSlice()...)
	metrics := nl.AppendU32(nl.AppendText(nl.AppendU32(nl.AppendU32(nil, 1, 1<<2), 2, 1400), 16, "bbr"), 99, 7)
	multipath := append(rtnexthop(byte(FlagOnLink), 2, 3, nl.Append(nil, rtaGateway, four.AsSlice())),
		rtnexthop(byte(FlagDead|FlagLinkDown), 0, 4, nl.AppendU32(nl.Append(nl.AppendU32(nil, rtaFlow, 5), rtaVia, via), 22, 1))...)
	for _, tc := range []struct {
		name string
		body []byte
		want Route
	}{
		{"default", rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0), with(func(r *Route) { r.NextHops = one(NextHop{}) })},
		{"IPv6 default", rtmsg(FamilyIPv6, 0, 0, TypeUnicast, 0), with(func(r *Route) {
			r.Family, r.Dst, r.NextHops = FamilyIPv6, netip.MustParsePrefix("::/0"), one(NextHop{})
		})},
		{"gateway, source and table", nl.AppendU32(nl.AppendU32(nl.Append(nl.Append(nl.Append(rtmsg(FamilyIPv4, 24, 8, TypeUnicast, 4),
			rtaDst, []byte{198, 51, 100, 0}), rtaSrc, []byte{10, 0, 0, 0}), rtaGateway, four.AsSlice()), rtaOIF, 7), rtaTable, 70000),
			with(func(r *Route) {
				r.Dst, r.Src = netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("10.0.0.0/8")
				r.Gateway, r.OIF, r.Table, r.Flags = four, 7, 70000, FlagOnLink
				r.NextHops = one(NextHop{Gateway: four, OIF: 7, Flags: FlagOnLink})
			})},
		{"via IPv6", nl.Append(nl.AppendU32(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0), rtaOIF, 7), rtaVia, via), with(func(r *Route) {
			r.Gateway, r.OIF = six.WithZone("7"), 7
			r.NextHops = one(NextHop{Gateway: six.WithZone("7"), OIF: 7})
		})},
		{"metrics", nl.Append(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0), rtaMetrics, metrics), with(func(r *Route) {
			r.MTU = 1400
			r.Metrics = &Metrics{Lock: 4, MTU: 1400, CongestionCtl: "bbr", Unknown: []Attribute{{Type: 99, Data: words(7)}}}
			r.NextHops = one(NextHop{})
		})},
		{"multipath", nl.Append(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0), rtaMultipath, multipath), with(func(r *Route) {
			r.NextHops = []NextHop{
				{Gateway: four, OIF: 3, Weight: 3, Flags: FlagOnLink},
				{Gateway: six.WithZone("4"), OIF: 4, Weight: 1, Flags: FlagDead | FlagLinkDown, Flow: 5, Unknown: []Attribute{{Type: 22, Data: words(1)}}},
			}
		})},
		{"broken multipath", nl.Append(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0), rtaMultipath, multipath[:10]), with(func(r *Route) {
			r.Unknown = []Attribute{{Type: rtaMultipath, Data: multipath[:10]}}
			r.NextHops = one(NextHop{})
		})},
		{"answer", nl.AppendU32(nl.AppendU32(nl.AppendU32(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0xb0000200), rtaUID, 5), rtaMark, 6), rtaIIF, 7), with(func(r *Route) {
			r.Flags, r.Cache = FlagCloned, CacheLocal|CacheBroadcast|CacheMulticast
			r.Mark, r.IIF, r.UID = 6, 7, new(uint32(5))
			r.NextHops = one(NextHop{})
		})},
		{"cache", nl.Append(rtmsg(FamilyIPv4, 0, 0, TypeUnreachable, 0), rtaCacheInfo, words(1, 250, 1000, 0xffffff8f, 5, 0, 0, 0)), with(func(r *Route) {
			r.Type, r.Refs, r.LastUse, r.Expires, r.Errno, r.Used = TypeUnreachable, 1, 2500*time.Millisecond, 10*time.Second, 113, 5
			r.NextHops = one(NextHop{})
		})},
		{"preference and objects", nl.AppendU32(nl.AppendU8(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 1<<29|1<<14), rtaPref, 3), rtaNHID, 9), with(func(r *Route) {
			r.Pref, r.NHID, r.Flags = PreferenceLow, 9, FlagOffloadFailed|FlagRouteOffload
			r.NextHops = one(NextHop{})
		})},
		{"nonsense kept", nl.Append(nl.Append(nl.Append(rtmsg(FamilyIPv4, 99, 0, TypeUnicast, 0), rtaDst, four.AsSlice()), rtaOIF, []byte{1}), 200, nil), with(func(r *Route) {
			r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 99)
			r.Unknown = []Attribute{{Type: rtaDst, Data: four.AsSlice()}, {Type: rtaOIF, Data: []byte{1}}, {Type: 200, Data: []byte{}}}
			r.NextHops = one(NextHop{})
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p parser
			var got Route
			if err := p.parse(tc.body, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got, compareAddrs, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if tc.want.Dst.IsValid() {
				sameJSON(t, got)
			}
			if got.Default() != (tc.want.Dst.Bits() == 0) {
				t.Errorf("default: %v", got.Default())
			}
		})
	}
}

// TestSlab checks that routes do not share what the slab hands out.
func TestSlab(t *testing.T) {
	var p parser
	routes := make([]Route, 3*slabSize)
	for i := range routes {
		if err := p.parse(nl.AppendU32(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0), rtaOIF, uint32(i+1)), &routes[i]); err != nil {
			t.Fatal(err)
		}
	}
	routes[0].NextHops = append(routes[0].NextHops, NextHop{OIF: 99})
	for i, r := range routes[1:] {
		if len(r.NextHops) != 1 || r.NextHops[0].OIF != i+2 {
			t.Fatalf("route %d: %+v", i+1, r.NextHops)
		}
	}
}

func TestParseRule(t *testing.T) {
	body := []byte{byte(FamilyIPv4), 8, 16, 0x10, 100, 0, 0, byte(ActionTable)}
	body = append(body, words(uint32(RuleInvert|RulePermanent))...)
	body = nl.Append(body, fraDst, []byte{10, 0, 0, 0})
	body = nl.Append(body, fraSrc, []byte{172, 16, 0, 0})
	for typ, v := range map[uint16]uint32{fraPriority: 5, fraTable: 70000, fraFwmark: 7, fraFwmask: 15, fraFlow: 9, fraSuppressLen: 3, fraSuppressGroup: ^uint32(0)} {
		body = nl.AppendU32(body, typ, v)
	}
	body = nl.AppendText(nl.AppendText(body, fraIIFName, "lo"), fraOIFName, "eth0")
	body = nl.Append(body, fraUIDRange, words(5, 10))
	body = nl.Append(body, fraSPortRange, []byte{1, 0, 1, 0})
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the ports above are little-endian")
	}
	body = nl.AppendU16(body, fraSPortMask, 0xff)
	body = nl.AppendU8(nl.AppendU8(nl.AppendU8(body, fraIPProto, 6), fraDSCP, 4), fraDSCPMask, 0x3c)
	body = nl.Append(body, fraTunID, []byte{0, 0, 0, 0, 0, 0, 0, 77})
	body = nl.Append(nl.Append(body, fraFlowLabel, []byte{0, 0, 1, 0}), fraFlowLabelMask, []byte{0, 0, 0xff, 0xff})
	body = nl.AppendU8(nl.AppendU8(body, fraL3MDev, 1), fraProtocol, byte(ProtocolKernel))
	body = nl.AppendU8(body, 99, 1)
	got, err := parseRule(body)
	if err != nil {
		t.Fatal(err)
	}
	want := Rule{
		Family: FamilyIPv4, Priority: 5, Action: ActionTable, Table: 70000, Invert: true,
		Src: netip.MustParsePrefix("172.16.0.0/16"), Dst: netip.MustParsePrefix("10.0.0.0/8"), TOS: 0x10, DSCP: new(uint8(4)),
		DSCPMask: 0x3c, Mark: 7, Mask: 15, IIF: "lo", OIF: "eth0", UID: &Range{5, 10}, Proto: 6, SPort: &Range{1, 1}, SPortMask: 0xff,
		FlowLabel: 0x100, FlowLabelMask: 0xffff, TunnelID: 77, L3MDev: true, Flow: 9, SuppressLen: new(uint32(3)),
		Protocol: ProtocolKernel, Flags: RuleInvert | RulePermanent, Unknown: []Attribute{{Type: 99, Data: []byte{1}}},
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	sameJSON(t, got)
}

func TestParseNeighbor(t *testing.T) {
	body := append([]byte{byte(FamilyIPv6), 0, 0, 0}, words(7)...)
	body = binary.NativeEndian.AppendUint16(body, uint16(NeighborStale))
	body = append(body, byte(NeighborRouter|NeighborExtern), byte(TypeUnicast))
	body = nl.Append(body, ndaDst, six.AsSlice())
	body = nl.Append(body, ndaLLAddr, []byte{2, 0, 0, 0, 0, 1})
	body = nl.Append(body, ndaCacheInfo, words(100, 200, 300, 4))
	for typ, v := range map[uint16]uint32{ndaProbes: 5, ndaVNI: 6, ndaMaster: 8, ndaNHID: 9, ndaFlagsExt: 1} {
		body = nl.AppendU32(body, typ, v)
	}
	body = nl.AppendU8(nl.AppendU16(body, ndaVLAN, 10), ndaProtocol, byte(ProtocolBGP))
	body = nl.AppendU8(body, 99, 1)
	got, err := parseNeighbor(body)
	if err != nil {
		t.Fatal(err)
	}
	want := Neighbor{
		Family: FamilyIPv6, Addr: six.WithZone("7"), Index: 7, HardwareAddr: HardwareAddr{2, 0, 0, 0, 0, 1}, State: NeighborStale,
		Flags: NeighborRouter | NeighborExtern, ExtFlags: 1, Type: TypeUnicast, Probes: 5, Protocol: ProtocolBGP,
		Confirmed: time.Second, LastUsed: 2 * time.Second, Updated: 3 * time.Second, Refs: 4, VLAN: 10, VNI: 6, Master: 8, NHID: 9,
		Unknown: []Attribute{{Type: 99, Data: []byte{1}}},
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	sameJSON(t, got)
}

func TestShortMessages(t *testing.T) {
	var r Route
	_, rule := parseRule(make([]byte, sizeofRuleHdr-1))
	_, neighbor := parseNeighbor(make([]byte, sizeofNdmsg-1))
	for name, err := range map[string]error{
		"route":     new(parser).parse(make([]byte, sizeofRtMsg-1), &r),
		"attribute": new(parser).parse(append(make([]byte, sizeofRtMsg), 1, 2, 3, 4, 5), &r),
		"rule":      rule, "neighbour": neighbor,
	} {
		if !errors.Is(err, nl.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sameJSON takes a value through JSON and back.
func sameJSON[T any](t *testing.T, v T) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if d := cmp.Diff(v, back, compareAddrs, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("through JSON (-before +after):\n%s", d)
	}
}

// settledJSON checks that what was written reads as the same again. The first
// time through, names that are no UTF-8 and prefixes that are none change.
func settledJSON[T any](t *testing.T, v T) {
	t.Helper()
	var texts []string
	for range 3 {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
		v = *new(T)
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	if texts[1] != texts[2] {
		t.Fatalf("first %s\nthen %s", texts[1], texts[2])
	}
}

func FuzzParseRoute(f *testing.F) {
	f.Add(nl.Append(rtmsg(FamilyIPv6, 64, 0, TypeUnicast, 0), rtaDst, six.AsSlice()))
	f.Add(nl.Append(rtmsg(FamilyIPv4, 0, 0, TypeUnicast, 0x200), rtaMultipath, rtnexthop(1, 2, 3, nl.Append(nil, rtaGateway, four.AsSlice()))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p parser
		var r Route
		if err := p.parse(b, &r); err != nil {
			return
		}
		if len(r.NextHops) == 0 {
			t.Fatal("no next hop")
		}
		if r.Dst.IsValid() {
			settledJSON(t, r)
		}
	})
}

func FuzzParseRule(f *testing.F) {
	f.Add(nl.AppendText(make([]byte, sizeofRuleHdr), fraIIFName, "lo"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRule(b); err == nil {
			settledJSON(t, r)
			explain(packet{dst: four}, OutcomeProhibit, []Rule{r, r}, nil)
		}
	})
}

func FuzzParseNeighbor(f *testing.F) {
	f.Add(nl.Append(make([]byte, sizeofNdmsg), ndaDst, six.AsSlice()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNeighbor(b); err == nil {
			settledJSON(t, n)
		}
	})
}

func BenchmarkParseRoute(b *testing.B) {
	body := nl.AppendU32(nl.Append(nl.Append(rtmsg(FamilyIPv4, 24, 0, TypeUnicast, 0), rtaDst, four.AsSlice()), rtaGateway, four.AsSlice()), rtaOIF, 3)
	var p parser
	b.ReportAllocs()
	for b.Loop() {
		var r Route
		if err := p.parse(body, &r); err != nil {
			b.Fatal(err)
		}
	}
}
