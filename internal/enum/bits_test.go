package enum

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

type flags uint16

// String must not be what unnamed bits are printed with: it would not end.
func (f flags) String() string { return Join(flagNames, f) }

var flagNames = []string{"a", "", "c"}

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		v    flags
		text string
		json string
	}{
		{0, "", `[]`},
		{1, "a", `["a"]`},
		{5, "a|c", `["a","c"]`},
		{7, "a|c|0x2", `["a","c","0x2"]`},
		{0x8004, "c|0x8000", `["c","0x8000"]`},
	} {
		if got := Join(flagNames, tc.v); got != tc.text {
			t.Errorf("Join(%#x) = %q, want %q", tc.v, got, tc.text)
		}
		b, err := MarshalWords(flagNames, tc.v)
		if err != nil || string(b) != tc.json {
			t.Errorf("MarshalWords(%#x) = %s, %v; want %s", tc.v, b, err, tc.json)
		}
		v, err := UnmarshalWords[flags](flagNames, "flag", b)
		if err != nil || v != tc.v {
			t.Errorf("UnmarshalWords(%s) = %#x, %v; want %#x", b, v, err, tc.v)
		}
	}
	for _, bad := range []string{`["x"]`, `["0x10000"]`, `["0xzz"]`, `[""]`, `"a"`, `[`} {
		if v, err := UnmarshalWords[flags](flagNames, "flag", []byte(bad)); err == nil {
			t.Errorf("UnmarshalWords(%s) = %#x, want an error", bad, v)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table[flags]{3: "three", 0xffff: "max"}
	for v, want := range map[flags]string{3: "three", 0xffff: "max", 7: "flag(7)"} {
		if got := table.String("flag", v); got != want {
			t.Errorf("String(%d) = %q, want %q", v, got, want)
		}
		if got, err := table.Parse("flag", []byte(want)); err != nil || got != v {
			t.Errorf("Parse(%q) = %d, %v; want %d", want, got, err, v)
		}
	}
	var got []string
	for _, bad := range []string{"", "four", "flag(70000)", "flag(x)"} {
		if _, err := table.Parse("flag", []byte(bad)); err == nil {
			got = append(got, bad)
		}
	}
	if d := cmp.Diff([]string(nil), got); d != "" {
		t.Errorf("accepted (-want +got):\n%s", d)
	}
}
