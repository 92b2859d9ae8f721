package link

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

// ifinfomsg encodes a struct ifinfomsg.
func ifinfomsg(typ HardwareType, index int, flags Flags) []byte {
	b := make([]byte, sizeofIfinfomsg)
	e := binary.NativeEndian
	e.PutUint16(b[2:], uint16(typ))
	e.PutUint32(b[4:], uint32(index))
	e.PutUint32(b[8:], uint32(flags))
	return b
}

// withInfo encodes an interface with IFLA_LINKINFO.
func withInfo(kind, slaveKind string, data, slaveData []byte) []byte {
	return nl.AppendNested(ifinfomsg(TypeEther, 7, FlagUp), iflaLinkInfo, func(b []byte) []byte {
		// The data comes before its kind here, which no kernel does.
		if data != nil {
			b = nl.Append(b, 2, data)
		}
		if kind != "" {
			b = nl.AppendText(b, 1, kind)
		}
		if slaveKind != "" {
			b = nl.AppendText(b, 4, slaveKind)
		}
		if slaveData != nil {
			b = nl.Append(b, 5, slaveData)
		}
		return b
	})
}

func u64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// run encodes attributes of these sizes in this order: the value of each is its
// type.
func run(sizes map[uint16]int, max uint16) []byte {
	var b []byte
	for typ := range max {
		switch sizes[typ] {
		case 1:
			b = nl.AppendU8(b, typ, uint8(typ))
		case 2:
			b = nl.AppendU16(b, typ, typ)
		case 4:
			b = nl.AppendU32(b, typ, uint32(typ))
		case 6:
			b = nl.Append(b, typ, []byte{2, 0, 0, 0, 0, byte(typ)})
		case 8:
			b = nl.Append(b, typ, u64(uint64(typ)))
		}
	}
	return b
}

// The kinds of this table need not be compiled into the kernel that runs the
// test. Their numbers are those of linux/if_link.h and linux/if_tunnel.h.
func TestKinds(t *testing.T) {
	mac := func(b byte) HardwareAddr { return HardwareAddr{2, 0, 0, 0, 0, b} }
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	unknown := []Attribute{{Type: 99, Data: Hex{99}}}
	extra := func(b []byte) []byte { return nl.AppendU8(b, 99, 99) }

	bond := run(map[uint16]int{
		1: 1, 2: 4, 3: 4, 4: 4, 5: 4, 6: 1, 7: 4, 9: 4, 10: 4, 11: 4, 12: 1, 13: 1, 14: 1, 15: 4, 16: 1, 17: 1, 18: 4,
		19: 4, 20: 4, 21: 1, 22: 1, 27: 1, 28: 4, 29: 1, 30: 1,
	}, 31)
	bond = nl.AppendNested(bond, 8, func(b []byte) []byte { return nl.Append(b, 0, four.AsSlice()) })
	bond = nl.AppendNested(bond, 31, func(b []byte) []byte { return nl.Append(b, 0, six.AsSlice()) })
	bond = nl.AppendNested(bond, 23, func(b []byte) []byte { return append(b, run(map[uint16]int{1: 2, 2: 2, 3: 2, 4: 2, 5: 6}, 6)...) })
	bondPort := run(map[uint16]int{1: 1, 2: 1, 3: 4, 4: 6, 5: 2, 6: 2, 7: 1, 8: 2, 9: 4}, 10)

	vlan := nl.AppendU16(nil, 1, 100)
	vlan = nl.Append(vlan, 2, []byte{1, 0, 0, 0, 255, 255, 255, 255})
	vlan = nl.AppendBE16(vlan, 5, 0x88a8)

	tunnel := nl.AppendU32(nil, 1, 3)
	tunnel = nl.Append(tunnel, 2, four.AsSlice())
	tunnel = nl.Append(tunnel, 3, netip.IPv4Unspecified().AsSlice())
	tunnel = nl.AppendU8(tunnel, 4, 64)
	tunnel = nl.AppendU8(tunnel, 9, 41)
	tunnel = nl.AppendU8(tunnel, 10, 1)

	gre := nl.AppendU32(nil, 1, 3)
	gre = nl.Append(gre, 4, []byte{0, 0, 0, 42})
	gre = nl.Append(gre, 5, []byte{0, 0, 1, 0})
	gre = nl.Append(gre, 6, six.AsSlice())
	gre = nl.Append(gre, 7, six.AsSlice())
	gre = nl.AppendU32(gre, 20, 9)

	vti := nl.Append(nl.Append(nl.AppendU32(nil, 6, 9), 5, four.AsSlice()), 2, []byte{0, 0, 0, 1})

	for _, tc := range []struct {
		kind, slaveKind string
		data, slaveData []byte
		want            Details
	}{
		{kind: "bond", data: extra(bond), want: Details{Bond: &Bond{
			Mode: 1, ActiveSlave: 2, MIIMonitor: 3, UpDelay: 4, DownDelay: 5, UseCarrier: 6, ARPInterval: 7,
			ARPTargets: []netip.Addr{four}, NSTargets: []netip.Addr{six}, ARPValidate: 9, ARPAllTargets: 10, Primary: 11,
			PrimaryReselect: 12, FailOverMAC: 13, HashPolicy: 14, ResendIGMP: 15, NumPeerNotif: 16, AllSlavesActive: 17,
			MinLinks: 18, LPInterval: 19, PacketsPerSlave: 20, LACPRate: 21, ADSelect: 22, TLBDynamic: 27,
			PeerNotifDelay: 28, LACPActive: 29, MissedMax: 30, Unknown: unknown,
			ADInfo: &ADInfo{Aggregator: 1, Ports: 2, ActorKey: 3, PartnerKey: 4, PartnerMAC: mac(5)},
		}}},
		{kind: "veth", slaveKind: "bond", slaveData: extra(bondPort), want: Details{BondPort: &BondPort{
			State: 1, MIIStatus: 2, LinkFailures: 3, PermAddr: mac(4), QueueID: 5, Aggregator: 6, ActorState: 7,
			PartnerState: 8, Prio: 9, Unknown: unknown,
		}}},
		{kind: "vlan", data: extra(vlan), want: Details{VLAN: &VLAN{ID: 100, Protocol: 0x88a8, Flags: 1, Unknown: unknown}}},
		{kind: "ipvlan", data: extra(run(map[uint16]int{1: 2, 2: 2}, 3)), want: Details{IPVLAN: &IPVLAN{Mode: 1, Flags: 2, Unknown: unknown}}},
		{kind: "vrf", data: extra(nl.AppendU32(nil, 1, 10)), want: Details{VRF: &VRF{Table: 10, Unknown: unknown}}},
		{slaveKind: "vrf", slaveData: nl.AppendU32(nil, 1, 10), want: Details{VRFPort: &VRF{Table: 10}}},
		{kind: "sit", data: extra(tunnel), want: Details{Tunnel: &Tunnel{
			Local: four, Link: 3, TTL: 64, PMTUDisc: true, Protocol: 41, Unknown: unknown,
		}}},
		{kind: "ip6gretap", data: gre, want: Details{Tunnel: &Tunnel{Local: six, Remote: six, Link: 3, IKey: 42, OKey: 256, Mark: 9}}},
		{kind: "vti", data: vti, want: Details{Tunnel: &Tunnel{Remote: four, IKey: 1, Mark: 9}}},
		{kind: "newkind", slaveKind: "newmaster", data: extra(nil), slaveData: extra(nil), want: Details{Data: unknown, PortData: unknown}},
	} {
		t.Run(tc.kind+tc.slaveKind, func(t *testing.T) {
			l, err := parseLink(withInfo(tc.kind, tc.slaveKind, tc.data, tc.slaveData))
			if err != nil {
				t.Fatal(err)
			}
			if l.Kind != tc.kind || l.SlaveKind != tc.slaveKind || l.Unknown != nil {
				t.Errorf("kinds %q and %q, unknown %v", l.Kind, l.SlaveKind, l.Unknown)
			}
			if d := cmp.Diff(tc.want, l.Details, compareAddrs); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			sameJSON(t, l)
		})
	}
}

func TestVFs(t *testing.T) {
	e := binary.NativeEndian
	vf := func(vals ...uint32) (b []byte) {
		for _, v := range vals {
			b = e.AppendUint32(b, v)
		}
		return b
	}
	body := nl.Append(ifinfomsg(TypeEther, 2, FlagUp), iflaAddress, []byte{2, 0, 0, 0, 0, 1})
	body = nl.AppendU32(body, iflaNumVF, 1)
	body = nl.AppendNested(body, iflaVFInfoList, func(b []byte) []byte {
		return nl.AppendNested(b, 1, func(b []byte) []byte {
			b = nl.Append(b, 1, append(vf(3), append([]byte{2, 0, 0, 0, 0, 9}, make([]byte, 26)...)...))
			b = nl.Append(b, 2, vf(3, 100, 5))
			b = nl.Append(b, 3, vf(3, 1000))
			b = nl.Append(b, 4, vf(3, 1))
			b = nl.Append(b, 5, vf(3, 2))
			b = nl.Append(b, 6, vf(3, 10, 20))
			b = nl.Append(b, 7, vf(3, 0xffffffff))
			b = nl.Append(b, 9, vf(3, 0))
			b = nl.Append(b, 13, append([]byte{255, 255, 255, 255, 255, 255}, make([]byte, 26)...))
			b = nl.Append(b, 10, make([]byte, 12))
			return nl.AppendNested(b, 8, func(b []byte) []byte {
				return append(b, run(map[uint16]int{0: 8, 1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 7: 8, 8: 8}, 9)...)
			})
		})
	})
	l, err := parseLink(body)
	if err != nil {
		t.Fatal(err)
	}
	want := []VF{{
		Index: 3, Addr: HardwareAddr{2, 0, 0, 0, 0, 9}, Broadcast: HardwareAddr{255, 255, 255, 255, 255, 255}, VLAN: 100, QoS: 5,
		TxRate: 1000, MinTxRate: 10, MaxTxRate: 20, LinkState: 2, SpoofCheck: SwitchOn, Trust: SwitchOff,
		TxPackets: 1, RxBytes: 2, TxBytes: 3, RxBroadcast: 4, RxMulticast: 5, RxDropped: 7, TxDropped: 8,
		Unknown: []Attribute{{Type: 10, Data: make(Hex, 12)}},
	}}
	if d := cmp.Diff(want, l.VFs); d != "" || l.NumVF != 1 || l.Unknown != nil {
		t.Errorf("%d of them (-want +got):\n%s\nunknown %v", l.NumVF, d, l.Unknown)
	}
	sameJSON(t, l)
}

func TestRareAttributes(t *testing.T) {
	body := ifinfomsg(TypeInfiniband, 3, FlagUp|FlagDormant|1<<30)
	body = nl.Append(body, iflaMap, append(append(append(u64(1), u64(2)...), u64(3)...), 4, 0, 5, 6))
	body = nl.AppendNested(body, iflaProtoReason, func(b []byte) []byte { return nl.AppendU32(nl.AppendU32(b, 1, 7), 2, 5) })
	body = nl.AppendNested(body, iflaXDP, func(b []byte) []byte { return nl.AppendU32(nl.AppendU8(b, 2, 2), 4, 77) })
	body = nl.Append(body, iflaPacingHorizon, u64(5e9))
	body = nl.AppendU32(body, iflaLinkNetNSID, ^uint32(0))
	body = nl.AppendU8(body, iflaLinkMode, 1)
	body = nl.AppendU8(body, iflaImmutable, 1)
	body = nl.AppendText(body, iflaPhysPortName, "p0")
	body = nl.Append(body, iflaPhysSwitchID, []byte{0xab, 0xcd})
	body = nl.AppendNested(body, iflaAFSpec, func(b []byte) []byte { return nl.Append(b, 28, []byte{1}) })
	body = nl.Append(body, 200, []byte{1, 2})
	body = nl.Append(body, iflaMTU, []byte{5, 220}) // too short for what it is
	body = nl.Append(body, iflaStats64, append(make([]byte, 25*8), u64(26)...))
	l, err := parseLink(body)
	if err != nil {
		t.Fatal(err)
	}
	want := Link{
		Index: 3, Type: TypeInfiniband, Flags: FlagUp | FlagDormant | 1<<30, LinkMode: LinkModeDormant, ProtoDownReason: 5,
		Map:     &Map{MemStart: 1, MemEnd: 2, BaseAddr: 3, IRQ: 4, DMA: 5, Port: 6},
		XDP:     &XDP{Mode: XDPSkb, ProgID: 77},
		Offload: Offload{PacingHorizon: 5e9}, LinkNetNS: new(-1), NetNSImmutable: true,
		PhysPortName: "p0", PhysSwitchID: Hex{0xab, 0xcd}, Families: []Attribute{{Type: 28, Data: Hex{1}}},
		Counters: Counters{More: []uint64{26}},
		Unknown:  []Attribute{{Type: 200, Data: Hex{1, 2}}, {Type: iflaMTU, Data: Hex{5, 220}}},
	}
	if d := cmp.Diff(want, l); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := l.Flags.String(); got != "UP|DORMANT|0x40000000" {
		t.Errorf("flags %q", got)
	}
	sameJSON(t, l)
}

func TestCounterSizes(t *testing.T) {
	// Old kernels have fewer counters than this library, new ones more.
	for n := range 28 {
		var b []byte
		for i := range n {
			b = append(b, u64(uint64(i+1))...)
		}
		c := counters(b)
		last := []uint64{c.TxCompressed, c.RxNoHandler, c.RxOtherHost}
		for i, v := range last {
			if want := uint64(23 + i); n < 23+i && v != 0 || n >= 23+i && v != want {
				t.Errorf("%d counters: place %d is %d", n, 23+i, v)
			}
		}
		if len(c.More) != max(0, n-25) {
			t.Errorf("%d counters: %d more", n, len(c.More))
		}
	}
}

func TestAddresses(t *testing.T) {
	head := func(family, bits, flags, scope byte) []byte {
		return binary.NativeEndian.AppendUint32([]byte{family, bits, flags, scope}, 9)
	}
	four, peer := []byte{192, 0, 2, 1}, []byte{192, 0, 2, 9}
	six := netip.MustParseAddr("2001:db8::1").AsSlice()
	life := func(preferred, valid, created, updated uint32) (b []byte) {
		for _, v := range []uint32{preferred, valid, created, updated} {
			b = binary.NativeEndian.AppendUint32(b, v)
		}
		return b
	}
	for _, tc := range []struct {
		name string
		body []byte
		want Address
	}{
		{"point to point", nl.Append(nl.Append(head(2, 32, 0x80, 0), ifaAddress, peer), ifaLocal, four), Address{
			Prefix: netip.MustParsePrefix("192.0.2.1/32"), Peer: netip.MustParsePrefix("192.0.2.9/32"),
			Flags: AddressPermanent, Valid: Forever, Preferred: Forever,
		}},
		{"IPv6 without local", nl.Append(head(10, 64, 0x80, 0), ifaAddress, six), Address{
			Prefix: netip.MustParsePrefix("2001:db8::1/64"), Flags: AddressPermanent, Valid: Forever, Preferred: Forever,
		}},
		{"wide flags and lifetimes", nl.Append(nl.AppendU32(nl.Append(head(10, 64, 0x80, 253), ifaAddress, six), ifaFlags, 0x940),
			ifaCacheInfo, life(0, 86400, 100, 250)), Address{
			Prefix: netip.MustParsePrefix("2001:db8::1/64"), Scope: ScopeLink, Valid: 24 * time.Hour,
			Flags:   AddressTentative | AddressManageTemp | AddressStablePrivacy,
			Created: time.Second, Updated: 2500 * time.Millisecond,
		}},
		{"protocol, metric, unknown", nl.AppendU32(nl.AppendU32(nl.AppendU8(nl.Append(head(2, 8, 0x80, 254), ifaLocal, four), ifaProto, 3), ifaRTPriority, 5), 77, 1),
			Address{
				Prefix: netip.MustParsePrefix("192.0.2.1/8"), Scope: ScopeHost, Flags: AddressPermanent, Valid: Forever,
				Preferred: Forever, Protocol: AddressProtoLinkLocal, Metric: 5,
				Unknown: []Attribute{{Type: 77, Data: binary.NativeEndian.AppendUint32(nil, 1)}},
			}},
		{"nonsense kept", nl.Append(nl.Append(head(2, 8, 0x80, 0), ifaLocal, four[:3]), ifaCacheInfo, four), Address{
			Flags: AddressPermanent, Valid: Forever, Preferred: Forever,
			Unknown: []Attribute{{Type: ifaLocal, Data: Hex{192, 0, 2}}, {Type: ifaCacheInfo, Data: Hex{192, 0, 2, 1}}},
		}},
	} {
		index, a, err := parseAddress(tc.body)
		if err != nil || index != 9 {
			t.Errorf("%s: index %d, %v", tc.name, index, err)
		}
		if d := cmp.Diff(tc.want, a, compareAddrs); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
		if a.Dynamic() == (a.Flags&AddressPermanent != 0) {
			t.Errorf("%s: dynamic %v with flags %v", tc.name, a.Dynamic(), a.Flags)
		}
	}
}

func TestShortMessages(t *testing.T) {
	if _, err := parseLink(make([]byte, sizeofIfinfomsg-1)); !errors.Is(err, nl.ErrMalformed) {
		t.Errorf("link: %v", err)
	}
	if _, _, err := parseAddress(make([]byte, sizeofIfaddrmsg-1)); !errors.Is(err, nl.ErrMalformed) {
		t.Errorf("address: %v", err)
	}
	if _, err := parseLink(append(make([]byte, sizeofIfinfomsg), 1, 2, 3, 4, 5)); !errors.Is(err, nl.ErrMalformed) {
		t.Errorf("attribute: %v", err)
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

func FuzzParseLink(f *testing.F) {
	f.Add(withInfo("bond", "bridge", run(map[uint16]int{1: 1, 2: 4, 23: 4}, 24), run(map[uint16]int{1: 1, 13: 8}, 14)))
	f.Add(withInfo("vxlan", "vrf", run(map[uint16]int{1: 4, 10: 4, 7: 1}, 11), nil))
	f.Add(withInfo("sit", "bond", run(map[uint16]int{1: 4, 2: 4, 3: 4}, 4), run(map[uint16]int{4: 6}, 5)))
	f.Add(withInfo("tun", "", run(map[uint16]int{1: 4, 3: 1}, 4), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLink(b)
		if err != nil {
			return
		}
		settledJSON(t, l)
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add(nl.Append([]byte{2, 24, 0x80, 0, 1, 0, 0, 0}, ifaLocal, []byte{192, 0, 2, 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, a, err := parseAddress(b)
		if err != nil {
			return
		}
		settledJSON(t, a)
	})
}

// settledJSON checks that what was written reads as the same again. The first
// time through, names that are no UTF-8 change.
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

func BenchmarkParseLink(b *testing.B) {
	body := nl.AppendText(ifinfomsg(TypeEther, 2, FlagUp|FlagLowerUp), iflaIfName, "eth0")
	body = nl.Append(body, iflaAddress, make([]byte, 6))
	body = nl.AppendU32(body, iflaMTU, 1500)
	body = nl.Append(body, iflaStats64, make([]byte, 200))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseLink(body); err != nil {
			b.Fatal(err)
		}
	}
}
