package link

import (
	"slices"

	"github.com/netsonde/netsonde/internal/enum"
)

// ModuleType is the first byte of a module's memory (SFF-8024, table 4-1).
type ModuleType uint8

// The types whose memory is decoded.
const (
	ModuleUnknown  ModuleType = 0
	ModuleSFP      ModuleType = 0x03
	ModuleQSFP     ModuleType = 0x0c
	ModuleQSFPPlus ModuleType = 0x0d
	ModuleQSFP28   ModuleType = 0x11
	ModuleQSFPDD   ModuleType = 0x18
	ModuleOSFP     ModuleType = 0x19
	ModuleDSFP     ModuleType = 0x1b
	ModuleQSFPCMIS ModuleType = 0x1e
)

var moduleTypes = enum.Table[ModuleType]{
	ModuleUnknown: "unknown", 1: "gbic", 2: "soldered", ModuleSFP: "sfp", 4: "xbi", 5: "xenpak", 6: "xfp", 7: "xff", 8: "xfp_e", 9: "xpak", 10: "x2",
	11: "dwdm_sfp", ModuleQSFP: "qsfp", ModuleQSFPPlus: "qsfp_plus", 14: "cxp", 16: "cxp2", ModuleQSFP28: "qsfp28", ModuleQSFPDD: "qsfp_dd",
	ModuleOSFP: "osfp", 0x1a: "sfp_dd", ModuleDSFP: "dsfp", ModuleQSFPCMIS: "qsfp_cmis",
}

// String returns a word, such as "qsfp28".
func (t ModuleType) String() string { return moduleTypes.String("module", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t ModuleType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *ModuleType) UnmarshalText(b []byte) (err error) {
	*t, err = moduleTypes.Parse("module", b)
	return err
}

// Connector is the plug of a module (SFF-8024, table 4-3).
type Connector uint8

var connectors = enum.Table[Connector]{
	0: "unknown", 1: "sc", 2: "fc_style_1_copper", 3: "fc_style_2_copper", 4: "bnc_tnc", 5: "fc_coaxial", 6: "fibrejack", 7: "lc", 8: "mt_rj", 9: "mu",
	10: "sg", 11: "optical_pigtail", 12: "mpo", 13: "mpo_2x16", 0x20: "hssdc_2", 0x21: "copper_pigtail", 0x22: "rj45", 0x23: "none", 0x24: "mxc_2x16",
	0x25: "cs", 0x26: "sn", 0x27: "mpo_2x12", 0x28: "mpo_1x16",
}

// String returns a word, such as "lc".
func (c Connector) String() string { return connectors.String("connector", c) }

// MarshalText implements [encoding.TextMarshaler].
func (c Connector) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Connector) UnmarshalText(b []byte) (err error) {
	*c, err = connectors.Parse("connector", b)
	return err
}

// Standards that a module follows, by the bits and codes that say so. Names are
// those of IEEE 802.3 where it has one.

// sfpCompliance are bits of SFF-8472, table 5-3, by byte.
var sfpCompliance = []struct {
	at    int
	words []string // of bit 0 and on
}{
	{3, []string{"", "", "", "", "10GBASE-SR", "10GBASE-LR", "10GBASE-LRM", "10GBASE-ER"}},
	{6, []string{"1000BASE-SX", "1000BASE-LX", "1000BASE-CX", "1000BASE-T", "100BASE-LX10", "100BASE-FX", "BASE-BX10", "BASE-PX"}},
	{8, []string{"", "", "passive cable", "active cable"}},
}

// qsfpCompliance are the bits of byte 131 of SFF-8636, table 6-17.
var qsfpCompliance = []string{"40G active cable (XLPPI)", "40GBASE-LR4", "40GBASE-SR4", "40GBASE-CR4", "10GBASE-SR", "10GBASE-LR", "10GBASE-LRM"}

// extendedCompliance are codes of SFF-8024, table 4-4.
var extendedCompliance = map[byte]string{
	0x01: "100G AOC", 0x02: "100GBASE-SR4", 0x03: "100GBASE-LR4", 0x04: "100GBASE-ER4", 0x05: "100GBASE-SR10", 0x06: "100G CWDM4", 0x07: "100G PSM4",
	0x08: "100G ACC", 0x09: "100G CWDM4 without FEC", 0x0b: "100GBASE-CR4", 0x0c: "25GBASE-CR CA-S", 0x0d: "25GBASE-CR CA-N", 0x10: "40GBASE-ER4",
	0x11: "4x10GBASE-SR", 0x12: "40G PSM4", 0x16: "10GBASE-T", 0x17: "100G CLR4", 0x18: "100G AOC", 0x19: "100G ACC", 0x1c: "10GBASE-T short reach",
	0x1d: "5GBASE-T", 0x1e: "2.5GBASE-T", 0x1f: "40G SWDM4", 0x20: "100G SWDM4", 0x21: "100G PAM4 BiDi", 0x22: "4WDM-10", 0x23: "4WDM-20", 0x24: "4WDM-40",
	0x25: "100GBASE-DR", 0x26: "100GBASE-FR1", 0x27: "100GBASE-LR1",
}

// extendedSFP are the words for the one lane of an SFP where they differ.
var extendedSFP = map[byte]string{
	0x01: "25G AOC", 0x02: "25GBASE-SR", 0x03: "25GBASE-LR", 0x04: "25GBASE-ER", 0x08: "25G ACC", 0x0b: "25GBASE-CR CA-L", 0x18: "25G AOC", 0x19: "25G ACC",
}

// bitWords returns the words of the bits that are set, highest first.
func bitWords(v byte, words []string) (w Words) {
	for i, word := range slices.Backward(words) {
		if v&(1<<i) != 0 && word != "" {
			w = append(w, word)
		}
	}
	return w
}

func complianceSFP(a []byte) (w Words) {
	for _, c := range sfpCompliance {
		w = append(w, bitWords(a[c.at], c.words)...)
	}
	if word := extendedSFP[a[36]]; word != "" {
		return append(w, word)
	}
	if word := extendedCompliance[a[36]]; word != "" {
		w = append(w, word)
	}
	return w
}

func complianceQSFP(up []byte) Words {
	w := bitWords(up[3], qsfpCompliance)
	if word := extendedCompliance[up[64]]; word != "" && up[3]&0x80 != 0 {
		w = append(w, word)
	}
	return w
}
