package link

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/nl"
)

var (
	update   = flag.Bool("update", false, "write testdata anew")
	fixtures = flag.String("fixtures", "", "a directory where TestCards writes the messages")
)

// report asks a card everything.
func report(t *testing.T, c *card) EthtoolReport {
	t.Helper()
	r, err := c.device(true).Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What hardware says is decoded the same from both forms of bit sets, is what
// testdata has (the mini-tool prints that), and survives JSON.
func TestCards(t *testing.T) {
	if *fixtures != "" {
		writeCards(t, *fixtures)
	}
	compactCards := cards(compact)
	for name, c := range cards(listed) {
		t.Run(name, func(t *testing.T) {
			got := report(t, c)
			sameErrors := cmp.Comparer(func(a, b SectionError) bool { return a.Section == b.Section && a.Err.Error() == b.Err.Error() })
			if diff := cmp.Diff(report(t, compactCards[name]), got, sameErrors); diff != "" {
				t.Errorf("the two forms differ (-compact +listed):\n%s", diff)
			}
			b, err := json.MarshalIndent(got, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "ethtool", name+".json")
			if *update {
				if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(b)+"\n"); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
			var back EthtoolReport
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			got.Wake = withoutPassword(got.Wake)
			if diff := cmp.Diff(got, back, sameErrors); diff != "" {
				t.Errorf("JSON (-before +after):\n%s", diff)
			}
		})
	}
}

func withoutPassword(w *WakeOnLAN) *WakeOnLAN {
	if w != nil {
		c := *w
		c.Password = nil
		return &c
	}
	return nil
}

// A refusal hides nothing else, and can be told from "does not have".
func TestSectionErrors(t *testing.T) {
	r := report(t, cards(listed)["half"])
	if r.Modes == nil || r.Modes.Speed != 100 || r.Modes.Duplex != DuplexHalf {
		t.Errorf("modes %+v", r.Modes)
	}
	if err := r.Errors.Of(SectionWakeOnLAN); !errors.Is(err, os.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("wake-on-LAN: %v", err)
	}
	if err := r.Errors.Of(SectionFEC); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		t.Errorf("FEC: %v", err)
	}
	b, err := json.Marshal(r.Errors)
	var back Errors
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || !errors.Is(back.Of(SectionWakeOnLAN), os.ErrPermission) || !errors.Is(back.Of(SectionFEC), errors.ErrUnsupported) {
		t.Errorf("recorded: %v, %v", back, err)
	}
}

func TestGone(t *testing.T) {
	c := cards(listed)["gigabit"]
	c.refused = map[uint8]error{msgLinkModesGet: &nl.KernelError{Errno: syscall.ENODEV, Message: "no device matches index"}}
	d := c.device(true)
	if _, err := d.Report(t.Context()); !errors.Is(err, os.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the interface is gone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Settings(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// No set of link modes can do harm, not one of a card that is to come.
func TestRandomLinkModes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := slices.Clone(linkModeWords)
	for bit := len(words); bit < 150; bit++ {
		words = append(words, fmt.Sprintf("bit%d", bit))
	}
	for i := range 1 << 16 {
		size := 20 + rng.IntN(130)
		var value, mask []int
		for bit := range size {
			if r := rng.IntN(4); r == 0 {
				mask = append(mask, bit)
			} else if r == 1 {
				value, mask = append(value, bit), append(mask, bit)
			}
		}
		if mask == nil {
			continue
		}
		form := compact
		if i%32 == 0 {
			form = listed
		}
		m := parseLinkModes(form(nil, 3, size, value, mask), linkModeWords)
		if len(m.Supported) != len(mask) || len(m.Advertised) != len(value) {
			t.Fatalf("set %d: %d and %d words for %d and %d bits", i, len(m.Supported), len(m.Advertised), len(mask), len(value))
		}
		for j, bit := range mask {
			if m.Supported[j] != words[bit] {
				t.Fatalf("bit %d is %q, want %q", bit, m.Supported[j], words[bit])
			}
		}
		if i%16 != 0 {
			continue
		}
		kinds := 0
		for k := ModeLink; k <= ModeFEC; k++ {
			kinds += len(m.Supported.Kind(k))
		}
		if kinds != len(mask) {
			t.Fatalf("%d words of %d have a kind", kinds, len(mask))
		}
		DeriveMII(m, LinkState{Detected: true})
	}
}

func TestUnknownValues(t *testing.T) {
	m := parseLinkModes(nl.AppendU8(nl.AppendU32(nl.AppendU32(nil, 99, 7), 5, 0xffffffff), 6, 255), nil)
	if m.Speed != 0 || m.Speed.String() != "unknown" || m.Duplex != DuplexUnknown || len(m.Unknown) != 1 || m.Unknown[0].Type != 99 {
		t.Errorf("%+v", m)
	}
	b, err := json.Marshal(m)
	if err != nil || !slices.Contains([]string{`{"speed":"unknown","duplex":"unknown","autoneg":false,"virtual":false,"unknown":[{"type":99,"data":"07000000"}]}`,
		`{"speed":"unknown","duplex":"unknown","autoneg":false,"virtual":false,"unknown":[{"type":99,"data":"00000007"}]}`}, string(b)) {
		t.Errorf("%s, %v", b, err)
	}
	for raw, want := range map[uint32]Speed{0: 0, 65535: 0, 65534: 65534, 65536: 65536, 0xfffffffe: 0xfffffffe} {
		if got := speedOf(raw); got != want {
			t.Errorf("speed %d is %d, want %d", raw, got, want)
		}
	}
	if i := parseLinkInfo(nl.AppendU8(nil, 2, 77)); i.Port.String() != "port(78)" {
		t.Errorf("port %v", i.Port)
	}
	for mode, want := range map[string]string{
		"1000baseT/Full": "1000Mb/s full", "10baseT1S_P2MP/Half": "10Mb/s half", "10000baseR_FEC": "10000Mb/s unknown", "Autoneg": "", "4294967296baseT/Full": "", "base": "",
	} {
		got := ""
		if s, d, ok := ModeSpeed(mode); ok {
			got = fmt.Sprint(s, " ", d)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", mode, got, want)
		}
	}
}

// Without the netlink family everything that ioctl(2) can tell is told.
func TestWithoutNetlink(t *testing.T) {
	c := cards(listed)["gigabit"]
	c.ioctls[ioctlGetLinkSet] = func(b []byte) error {
		const words = 4
		if int8(b[15]) != words {
			b[15] = 256 - words
			return nil
		}
		host.PutUint32(b[4:], 100)
		copy(b[8:], []byte{0, 2, 3, 1, 0, 1, 3})
		b[16], b[17] = 1, 2
		host.PutUint32(b[48:], 0x2f)                     // supported
		host.PutUint32(b[48+4*words:], 0x04)             // advertised
		host.PutUint32(b[48+4*words*2+4*3:], 0x80000000) // partner: bit 127
		return nil
	}
	answer := func(from int, values ...uint32) func([]byte) error {
		return func(b []byte) error {
			for i, v := range values {
				host.PutUint32(b[from+4*i:], v)
			}
			return nil
		}
	}
	c.ioctls[ioctlGetLink] = answer(4, 1)
	c.ioctls[ioctlGetMessages] = answer(4, 0x8007)
	c.ioctls[ioctlGetWOL] = answer(4, 0x60, 0x20, 0x44332211)
	c.ioctls[ioctlGetRings] = answer(4, 512, 0, 0, 256, 128, 0, 0, 64)
	c.ioctls[ioctlGetChannels] = answer(4, 0, 0, 1, 8, 0, 0, 1, 4)
	c.ioctls[ioctlGetPause] = answer(4, 1, 0, 1)
	c.ioctls[ioctlGetTSInfo] = answer(4, 0x1a, 0xffffffff, 1, 0, 0, 0, 3)
	c.ioctls[ioctlGetPrivFlags] = answer(4, 2)
	var coalesce []uint32
	for i := range uint32(22) {
		coalesce = append(coalesce, i+1)
	}
	c.ioctls[ioctlGetCoalesce] = answer(4, coalesce...)
	d := c.device(false)
	r, err := d.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.asked) > 0 {
		t.Errorf("asked %d over netlink", c.asked)
	}
	want := &LinkModes{Speed: 100, Duplex: DuplexHalf, Autoneg: true, MasterSlave: MasterPreferred,
		Supported: Words{"10baseT/Half", "10baseT/Full", "100baseT/Half", "100baseT/Full", "1000baseT/Full"}, Advertised: Words{"100baseT/Half"}, Partner: Words{"bit127"}}
	if diff := cmp.Diff(want, r.Modes); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&LinkInfo{Port: PortMII, PHYAddr: 3, Transceiver: TransceiverExternal, MDIX: MDIXOff, MDIXCtrl: MDIXAuto}, r.Info); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if r.State == nil || !r.State.Detected || r.Messages == nil || !slices.Equal(r.Messages.Words, Words{"drv", "probe", "link", "bit15"}) {
		t.Errorf("state %v, messages %v", r.State, r.Messages)
	}
	if r.Wake == nil || !slices.Equal(r.Wake.Supported, Words{"magic", "magicsecure"}) || len(r.Wake.Password) != 6 {
		t.Errorf("wake %+v", r.Wake)
	}
	if r.Rings == nil || *r.Rings.RxMax != 512 || *r.Rings.Tx != 64 || r.Rings.RxMini != nil || r.Channels == nil || r.Channels.Rx != nil || *r.Channels.Combined != 4 {
		t.Errorf("rings %+v, channels %+v", r.Rings, r.Channels)
	}
	if r.Coalesce == nil || *r.Coalesce.RxUsecs != 1 || !*r.Coalesce.AdaptiveTx || *r.Coalesce.SampleInterval != 22 || *r.Coalesce.PktRateLow != 12 {
		t.Errorf("coalesce %+v", r.Coalesce)
	}
	if r.Timestamping == nil || r.Timestamping.PHC != nil || !slices.Equal(r.Timestamping.RxFilters, Words{"none", "all"}) {
		t.Errorf("timestamping %+v", r.Timestamping)
	}
	if diff := cmp.Diff([]PrivateFlag{{"s0ix-enabled", false}, {"legacy-rx", true}}, r.PrivateFlags); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

// The number of counters may change between two questions: nothing is told with
// the name of another.
func TestStatsChange(t *testing.T) {
	c := cards(listed)["gigabit"]
	size := c.ioctls[ioctlGetSetInfo]
	calls := 0
	c.ioctls[ioctlGetSetInfo] = func(b []byte) error {
		calls++
		mask := host.Uint64(b[8:])
		if err := size(b); err != nil || mask != 1<<setStats || calls > 3 {
			return err
		}
		host.PutUint32(b[16:], 3)
		return nil
	}
	stats, err := c.device(true).DriverStats(t.Context())
	want := []Stat{{"rx_packets", 1 << 40}, {"tx_packets", 1<<40 + 1}, {" tx_late_collisions", 1<<40 + 2}, {"a name of exactly 32 characters!", 1<<40 + 3}}
	if diff := cmp.Diff(want, stats); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	c.ioctls[ioctlGetSetInfo] = func(b []byte) error {
		calls++
		host.PutUint32(b[16:], uint32(calls%2+1))
		return nil
	}
	if stats, err := c.device(true).DriverStats(t.Context()); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("a number that never stands still: %v, %v", stats, err)
	}
}

func TestVirtualKind(t *testing.T) {
	for want, links := range map[string][]Link{
		"virtual": {{Kind: "veth"}, {Kind: "tun"}, {Kind: "bridge"}, {Kind: "bond"}, {Kind: "wireguard"}, {ParentBus: "virtio", Type: TypeEther}, {Type: TypeLoopback, Flags: FlagLoopback}},
		"below":   {{Kind: "vlan"}, {Kind: "macvlan"}},
		"real":    {{ParentBus: "pci", Type: TypeEther}, {ParentBus: "usb", Type: TypeEther}, {Kind: "dsa", Type: TypeEther}, {Type: TypeEther}},
	} {
		for _, l := range links {
			virtual, below := virtualKind(l)
			got := "real"
			if below {
				got = "below"
			} else if virtual {
				got = "virtual"
			}
			if got != want {
				t.Errorf("%+v is %s, want %s", l, got, want)
			}
		}
	}
}

func FuzzEthtool(f *testing.F) {
	for _, c := range cards(listed) {
		for cmd, b := range c.answers {
			f.Add(cmd, b)
		}
	}
	for _, c := range cards(compact) {
		for cmd, b := range c.answers {
			f.Add(cmd, b)
		}
	}
	f.Add(uint8(msgStringSetGet), stringSet(setLinkModes, linkModeWords...))
	f.Fuzz(func(t *testing.T, cmd uint8, b []byte) {
		c := &card{answers: map[uint8][]byte{}}
		for msg := range uint8(40) {
			c.answers[msg] = b
		}
		c.answers[cmd] = b
		d := c.device(true)
		r, err := d.Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Modes != nil {
			DeriveMII(*r.Modes, LinkState{})
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		parseStringSet(b, setLinkModes)
		parseFamily(b)
	})
}

func BenchmarkLinkModes(b *testing.B) {
	msg := cards(compact)["gigabit"].answers[msgLinkModesGet]
	b.ReportAllocs()
	for b.Loop() {
		parseLinkModes(msg, linkModeWords)
	}
}
