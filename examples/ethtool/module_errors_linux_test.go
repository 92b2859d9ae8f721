package main

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// The rows where ethtool 6.1 is wrong, and what is right by the standards. (Flags of CMIS
// lanes: see laneFlags.)
func TestModuleErrors(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	half := func(first ...byte) []byte { return append(first, make([]byte, 128-len(first))...) }
	sfp := memory{lowerHalf: half(3, 4), upperHalf: half(), diagnostics: half(), {Address: 0x51, Half: 128}: half()}
	sfp[lowerHalf][92] = 0x58
	binary.BigEndian.PutUint32(sfp[diagnostics][64:], math.Float32bits(1./4096)) // of the second power
	binary.BigEndian.PutUint16(sfp[diagnostics][104:], 8192)
	qsfp := memory{lowerHalf: half(0x11), upperHalf: half(), page(3): half()}
	qsfp[upperHalf][12], qsfp[upperHalf][94] = 255, 103
	cmis := memory{lowerHalf: half(0x18, 0x40), upperHalf: half(0x18), page(1): half(), page(2): half(), page(0x10): half(), page(0x11): half()}
	cmis[page(1)][32] = 0x0f // lasers are measured by twice the unit
	cmis[page(0x11)][42] = 1
	for name, tt := range map[string]struct {
		m          memory
		kind       uint32
		size       int
		row, right string
	}{
		"calibration is a polynomial": {sfp, kind8472, 512, "Receiver signal average optical power", "1.6384 mW / 2.14 dBm"},
		"a long bit rate":             {qsfp, kind8636, 640, "BR, Nominal", "25750Mbps"},
		"a scaled current":            {cmis, kind8636, 640, "Laser tx bias current (Channel 1)", "1.024 mA"},
		"not measured":                {cmis, kind8636, 640, "Module temperature", ""},
	} {
		classic, ours := cardAnswer(t, tool, tt.m.card(false, tt.kind, tt.size), "-m", "lo")
		if got := row(ours[0], tt.row); got != tt.right {
			t.Errorf("%s: %q, want %q", name, got, tt.right)
		}
		if said := row(classic[0], tt.row); said == tt.right {
			t.Logf("%s: ethtool is right by now", name)
		}
	}
}

func row(text, name string) string {
	for line := range strings.Lines(text) {
		if n, value, ok := strings.Cut(line, " : "); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Memory as it is: raw and in hexadecimal, whole, in parts, of a page.
func TestModuleDump(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	rng := randomly(t)
	m := randomQSFP(rng)
	for _, line := range []string{
		"raw on", "hex on", "hex on offset 130", "hex on offset 130 length 4", "hex on length 20", "raw on offset 3 length 40", "hex on raw off", "hex off",
	} {
		classic, ours := cardAnswer(t, tool, m.card(true, kind8636, 640), append([]string{"-m", "lo"}, strings.Fields(line)...)...)
		if diff := cmp.Diff(classic, ours); diff != "" {
			t.Errorf("%s (-ethtool +ours):\n%s", line, diff)
		}
	}
	for _, line := range []string{
		"length 20", "offset 130 length 4", "page 3", "page 3 offset 130 length 3", "page 3 offset 0x80 length 3 i2c 0x50", "offset 300", "page 1",
		"page 3 offset 0", "hex on page 3", "raw on page 3 length 8", "hex on page 3 offset 130 length 3", "hex on bank 1", "hex on i2c 0x50",
	} {
		classic, ours := cardAnswer(t, tool, m.card(false, kind8636, 640), append([]string{"-m", "lo"}, strings.Fields(line)...)...)
		if diff := cmp.Diff(classic, ours); diff != "" {
			t.Errorf("%s (-ethtool +ours):\n%s", line, diff)
		}
	}
	for _, line := range []string{"hex", "foo 1", "hex on raw on", "page x", "raw 1", "page 3 --json"} {
		classic, ours := cardAnswer(t, tool, m.card(false, kind8636, 640), append([]string{"-m", "lo"}, strings.Fields(line)...)...)
		if ours[0] != "" || ours[2] != "2" || classic[2] == "0" {
			t.Errorf("%s: %q; ethtool %q", line, ours, classic)
		}
	}
	classic, ours := cardAnswer(t, tool, m.card(true, kind8636, 640), "-m", "lo", "hex", "on", "offset", "700")
	if ours[0] != classic[0] || ours[2] != classic[2] {
		t.Errorf("beyond the end: %q; ethtool %q", ours, classic)
	}
}
