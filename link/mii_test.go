package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// registers builds a set from its first ones.
func registers(values ...uint16) []uint16 {
	regs := make([]uint16, miiRegisters)
	copy(regs, values)
	return regs
}

// What mii-tool 2.10 says of the same registers, except where it is wrong: it
// takes half duplex for the best of 1000BASE-T, and knows no forced 1000 Mb/s.
func TestDecodeMII(t *testing.T) {
	all := "100baseTx-FD 100baseTx-HD 10baseT-FD 10baseT-HD"
	for _, tt := range []struct {
		regs    []uint16
		summary string
		capable string
		ours    string
		partner string
	}{
		{registers(0x3100, 0x782d, 0x02a8, 0x0154, 0x05e1, 0x45e1, 1), "negotiated 100baseTx-FD flow-control, link ok", all, all + " flow-control", all + " flow-control"},
		{registers(0x2100, 0x780d, 0x02a8, 0x0154, 0x05e1, 0x0081), "100 Mbit, full duplex, link ok", all, all + " flow-control", "100baseTx-HD"},
		{registers(0, 0x7809), "10 Mbit, half duplex, no link", all, "", ""},
		{registers(0x1200, 0x7809, 0x02a8, 0x0154, 0x05e1), "autonegotiation restarted, no link", all, all + " flow-control", ""},
		{registers(0x1140, 0x796d, 0x0141, 0x0cb1, 0x0de1, 0xc5e1, 0xf, 0, 0, 0x0300, 0x3c00), "negotiated 1000baseT-FD flow-control, link ok",
			"1000baseT-FD 1000baseT-HD " + all, "1000baseT-FD 1000baseT-HD " + all + " flow-control", "1000baseT-FD 1000baseT-HD " + all + " flow-control"},
		{registers(0x1140, 0x7969, 0x0141, 0x0cb1, 0x0de1, 0, 4, 0, 0, 0x0200), "autonegotiation failed, no link",
			"1000baseT-FD " + all, "1000baseT-FD " + all + " flow-control", ""},
		{registers(0x0140, 0x796d, 0, 0, 0x01e1, 0, 0, 0, 0, 0x0300), "1000 Mbit, full duplex, link ok", "1000baseT-FD 1000baseT-HD " + all, "1000baseT-FD 1000baseT-HD " + all, ""},
		{registers(0x1000, 0x783f, 0x22, 0x1556, 0x01e1, 0x6021, 1), "negotiated 10baseT-HD, link ok", all, all, "10baseT-HD"},
		{registers(0x1000, 0x7809, 0, 0, 0x01e1, 1), "no link", all, all, ""},
		{registers(0x1000, 0xf02d, 0x181, 0xb8a0, 0x03e1, 0x0281), "no autonegotiation, 100baseT4, link ok", "100baseTx-FD 100baseT4 100baseTx-HD 10baseT-FD",
			"100baseTx-FD 100baseT4 100baseTx-HD 10baseT-FD 10baseT-HD", "100baseT4 100baseTx-HD"},
		{registers(0x1140, 0x796d, 0, 0, 0x01e1, 0x41e1, 0, 0, 0, 0x0200, 0x0800, 0, 0, 0, 0, 0x2000), "negotiated 1000baseT-FD, link ok",
			"1000baseT-FD " + all, "1000baseT-FD " + all, "1000baseT-FD " + all},
	} {
		m := DecodeMII(tt.regs)
		if got := m.Summary(); got != tt.summary {
			t.Errorf("%04x: %q, want %q", tt.regs[:6], got, tt.summary)
		}
		for i, p := range []struct {
			got  Words
			want string
		}{{m.Capabilities, tt.capable}, {m.Advertised, tt.ours}, {m.Partner, tt.partner}} {
			if got := join(p.got); got != p.want {
				t.Errorf("%04x: set %d is %q, want %q", tt.regs[:6], i, got, p.want)
			}
		}
	}
	m := DecodeMII(registers(0x4cff, 0x7815, 0x0141, 0x0cb1))
	if !m.Loopback || !m.Isolate || !m.PowerDown || !m.CollisionTest || !m.RemoteFault || m.OUI.String() != "005043" || m.Model != 11 || m.Revision != 1 {
		t.Errorf("%+v", m)
	}
}

func join(w Words) (s string) {
	for i, word := range w {
		if i > 0 {
			s += " "
		}
		s += word
	}
	return s
}

func TestMIIRead(t *testing.T) {
	c := cards(listed)["gigabit"]
	c.phy = 1
	c.regs = map[uint16]uint16{0: 0x3100, 1: 0x782d, 2: 0x02a8, 3: 0x0154, 4: 0x05e1, 5: 0x45e1}
	m, err := c.device(true).MII(t.Context())
	if err != nil || m.Derived || m.PHY != 1 || m.Product != "Intel 82555" || m.Negotiated != "100baseTx-FD" || m.LinkLost {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := c.device(true).MIIAt(t.Context(), 7); err != nil || m.PHY != 7 || m.Negotiated != "100baseTx-FD" {
		t.Errorf("another PHY: %+v, %v", m, err)
	}
	if m, err := c.device(true).MIIAt(t.Context(), 32); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("an address that no bus has: %+v, %v", m, err)
	}
	c.regs[1] = 0
	if m, err := c.device(true).MII(t.Context()); !errors.Is(err, ErrNoTransceiver) {
		t.Errorf("nothing behind the registers: %+v, %v", m, err)
	}
}

// Without registers it is made from link modes, and says so.
func TestMIIDerived(t *testing.T) {
	for name, want := range map[string]string{
		"gigabit": "negotiated 1000baseT-FD flow-control, link ok", "half": "100 Mbit, half duplex, link ok",
		"fibre": "no link", "phy": "1000 Mbit, full duplex, link ok",
	} {
		m, err := cards(listed)[name].device(true).MII(t.Context())
		if err != nil || !m.Derived || m.Registers != nil {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if got := m.Summary(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	m, _ := cards(listed)["gigabit"].device(true).MII(t.Context())
	want := "1000baseT-FD 100baseTx-FD 100baseTx-HD 10baseT-FD 10baseT-HD flow-control"
	if got := join(m.Advertised); got != want {
		t.Errorf("advertised %q, want %q", got, want)
	}
	c := &card{refused: map[uint8]error{msgLinkModesGet: syscall.EPERM}}
	if _, err := c.device(true).MII(t.Context()); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
}

func FuzzMII(f *testing.F) {
	f.Add([]byte{0x31, 0, 0x78, 0x2d, 2, 0xa8, 1, 0x54, 5, 0xe1, 0x45, 0xe1})
	f.Fuzz(func(t *testing.T, b []byte) {
		regs := make([]uint16, miiRegisters)
		for i := 0; i < miiRegisters && 2*i+1 < len(b); i++ {
			regs[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		m := DecodeMII(regs)
		if m.Summary() == "" {
			t.Fatal("no summary")
		}
		if m.Negotiated != "" && (!slices.Contains(m.Advertised, m.Negotiated) || !slices.Contains(m.Partner, m.Negotiated)) {
			t.Fatalf("%q was not offered by both", m.Negotiated)
		}
		text, err := json.Marshal(m)
		var back MII
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if diff := cmp.Diff(m, back); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}
