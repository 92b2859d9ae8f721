package nl

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
)

func attributes(b []byte) (list []Attribute, err error) {
	a := NewAttrs(b)
	for a.Next() {
		list = append(list, a.Keep())
	}
	return list, a.Err()
}

func TestAttrs(t *testing.T) {
	var b []byte
	b = AppendU8(b, 1, 7)
	b = AppendU16(b, 2, 0x1234)
	b = AppendU32(b, 3, 0x12345678)
	b = AppendBE16(b, 4, 0x1234)
	b = AppendText(b, 5, "lo")
	b = AppendNested(b, 6, func(b []byte) []byte { return AppendText(b, 1, "inner") })
	b = Append(b, 7, nil)

	var got []string
	a := NewAttrs(b)
	for a.Next() {
		switch a.Type {
		case 1:
			var v uint8
			if !Set8(&v, a.Data) || v != 7 {
				t.Error("u8", v)
			}
		case 2:
			var v uint16
			if !Set16(&v, a.Data) || v != 0x1234 {
				t.Error("u16", v)
			}
		case 3:
			var v int
			if !Set32(&v, a.Data) || v != 0x12345678 {
				t.Error("u32", v)
			}
		case 4:
			var v uint16
			if !SetBE16(&v, a.Data) || v != 0x1234 {
				t.Error("be16", v)
			}
		case 5:
			got = append(got, Text(a.Data))
		case 6:
			if !a.Nested {
				t.Error("not nested")
			}
			for in := NewAttrs(a.Data); in.Next(); {
				got = append(got, Text(in.Data))
			}
		case 7:
			if len(a.Data) != 0 {
				t.Error("data", a.Data)
			}
		}
	}
	if a.Err() != nil || a.Next() {
		t.Error("did not end well")
	}
	if d := cmp.Diff([]string{"lo", "inner"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAttrsMalformed(t *testing.T) {
	good := AppendU32(nil, 1, 5)
	short := append(binary.NativeEndian.AppendUint16(nil, 3), 0, 0)
	for name, tc := range map[string]struct {
		b    []byte
		n    int
		fine bool
	}{
		"nothing":            {nil, 0, true},
		"one":                {good, 1, true},
		"zero padding":       {append(good[:8:8], 0, 0, 0), 1, true},
		"three stray bytes":  {append(good[:8:8], 1, 2, 3), 1, false},
		"length below 4":     {append(good[:8:8], short...), 1, false},
		"length past end":    {good[:7], 0, false},
		"four zeroes at end": {append(good[:8:8], 0, 0, 0, 0), 1, false},
	} {
		list, err := attributes(tc.b)
		if len(list) != tc.n || (err == nil) != tc.fine {
			t.Errorf("%s: got %d attributes, %v", name, len(list), err)
		}
	}
}

func TestShortPayloads(t *testing.T) {
	// A payload that is too short leaves the field alone.
	v8, v16, v32, v64, vb := uint8(1), uint16(1), uint32(1), uint64(1), true
	addr := netip.MustParseAddr("192.0.2.1")
	b := make([]byte, 7)
	for name, ok := range map[string]bool{
		"u8":   Set8(&v8, nil),
		"u16":  Set16(&v16, b[:1]),
		"be16": SetBE16(&v16, b[:1]),
		"u32":  Set32(&v32, b[:3]),
		"be32": SetBE32(&v32, b[:3]),
		"u64":  Set64(&v64, b[:7]),
		"bool": SetBool(&vb, nil),
		"addr": SetAddr(&addr, b[:5]),
	} {
		if ok {
			t.Errorf("%s was taken", name)
		}
	}
	if v8 != 1 || v16 != 1 || v32 != 1 || v64 != 1 || !vb || addr != netip.MustParseAddr("192.0.2.1") {
		t.Error("a field was changed")
	}
}

func TestHardwareAddrText(t *testing.T) {
	for text, a := range map[string]HardwareAddr{
		"":                  nil,
		"0a":                {10},
		"02:00:5e:10:00:ff": {2, 0, 0x5e, 0x10, 0, 0xff},
	} {
		if a.String() != text {
			t.Errorf("got %q, want %q", a, text)
		}
		var back HardwareAddr
		if err := back.UnmarshalText([]byte(text)); err != nil || !cmp.Equal(a, back) {
			t.Errorf("%q: got %v, %v", text, back, err)
		}
	}
	for _, bad := range []string{":", "0", "00:", "00:0", "00:000", "gg", "00-00"} {
		var a HardwareAddr
		if err := a.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken as %v", bad, a)
		}
	}
}

func TestAttributeJSON(t *testing.T) {
	in := []Attribute{{Type: 5, Data: Hex{0xde, 0xad}}, {Type: 6}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"type":5,"data":"dead"},{"type":6,"data":""}]`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	if got := in[0].String(); got != "5:dead" {
		t.Errorf("got %q", got)
	}
	var out []Attribute
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || out[0].String() != in[0].String() || len(out[1].Data) != 0 {
		t.Errorf("got %v back", out)
	}
}

func FuzzAttrs(f *testing.F) {
	f.Add(AppendNested(AppendText(AppendU32(nil, 3, 9), 2, "eth0"), 1, func(b []byte) []byte { return AppendU8(b, 1, 2) }))
	f.Add([]byte{4, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := attributes(b)
		if err != nil {
			return
		}
		// What is read, written again, is read the same.
		var again []byte
		for _, a := range list {
			again = Append(again, a.Type, a.Data)
		}
		list2, err := attributes(again)
		if err != nil || !cmp.Equal(list, list2) {
			t.Fatalf("%v: %v", err, cmp.Diff(list, list2))
		}
		// Another reader sees the same.
		other, err := netlink.UnmarshalAttributes(again)
		if err != nil || len(other) != len(list) {
			t.Fatalf("%d attributes here, %d there, %v", len(list), len(other), err)
		}
		for i := range other {
			if other[i].Type&typeMask != list[i].Type || string(other[i].Data) != string(list[i].Data) {
				t.Fatalf("attribute %d: %v here, %v there", i, list[i], other[i])
			}
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 2, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			h, body, rest, err := next(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) || len(body) > len(b) {
				t.Fatal("no progress")
			}
			b = rest
			if _, err := parseStatus(h, body); err != nil && err.Error() == "" {
				t.Fatal("an error without a word")
			}
		}
	})
}

func BenchmarkAttrs(b *testing.B) {
	var msg []byte
	for i := range uint16(50) {
		msg = AppendU32(msg, i, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for a := NewAttrs(msg); a.Next(); {
			n += len(a.Data)
		}
		if n != 200 {
			b.Fatal(n)
		}
	}
}
