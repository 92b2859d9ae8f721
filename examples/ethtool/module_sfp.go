package main

import (
	"cmp"

	"github.com/netsonde/netsonde/link"
)

// sfp prints an SFP (SFF-8472; a is address 0xA0).
func (w moduleWriter) sfp(m *link.Module, a []byte) {
	if a[1] == 4 {
		w.row("Extended identifier", "0x04 (GBIC/SFP defined by 2-wire interface ID)")
		w.sfpIdentity(m, a)
	}
	switch {
	case len(m.Lanes) == 1 && m.Limits != nil:
		w.sfpDiagnostics(m)
	case half(m, 0x51, 0, 0) != nil: // over netlink ethtool does not say so
		w.yesNo("Optical diagnostics support", false)
	}
}

func (w moduleWriter) sfpIdentity(m *link.Module, a []byte) {
	w.row("Connector", "0x%02x (%s)", a[2], known(connectorNames, a[2]))
	c := a[3:]
	w.row("Transceiver codes", "0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x", c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], a[36])
	w.bits(c, sfpTypes)
	if text := cmp.Or(sfpExtended[a[36]], extendedNames[a[36]]); text != "" {
		w.row("Transceiver type", "Extended: %s", text)
	}
	w.row("Encoding", "0x%02x (%s)", a[11], known(sfpEncodings, a[11]))
	w.row("BR, Nominal", "%dMBd", m.BitRate)
	w.row("Rate identifier", "0x%02x (%s)", a[13], known(sfpRates, a[13]))
	w.row("Length (SMF,km)", "%dkm", a[14])
	w.row("Length (SMF)", "%dm", int(a[15])*100)
	w.row("Length (50um)", "%dm", int(a[16])*10)
	w.row("Length (62.5um)", "%dm", int(a[17])*10)
	w.row("Length (Copper)", "%dm", a[18])
	w.row("Length (OM3)", "%dm", int(a[19])*10)
	switch {
	case a[8]&0x04 != 0:
		w.cable("Passive Cu cmplnce.", a[60], "unspecified", "SFF-8431 appendix E")
	case a[8]&0x08 != 0:
		w.cable("Active Cu cmplnce.", a[60], "unspecified", "SFF-8431 appendix E", "", "", "SFF-8431 limiting")
	default:
		w.row("Laser wavelength", "%.0fnm", m.Wavelength)
	}
	w.vendor(a[20:36], a[37:40], a[40:56], a[56:60])
	w.row("Option values", "0x%02x 0x%02x", a[64], a[65])
	w.sfpOptions(a)
	most, least := a[66], a[67]
	switch a[12] {
	case 255: // then these are something else
		most = least
	case 0:
		most, least = 0, 0
	}
	w.row("BR margin, max", "%d%%", most)
	w.row("BR margin, min", "%d%%", least)
	w.text("Vendor SN", a[68:84])
	w.text("Date code", a[84:92])
}

func (w moduleWriter) cable(name string, code byte, words ...string) {
	text := "unknown"
	if int(code) < len(words) && words[code] != "" {
		text = words[code]
	}
	w.row(name, "0x%02x (%s) [SFF-8472 rev10.4 only]", code, text)
}

func (w moduleWriter) sfpOptions(a []byte) {
	for _, o := range []struct {
		at, bit int
		text    string
	}{
		{65, 1, "RX_LOS implemented"}, {65, 2, "RX_LOS implemented, inverted"}, {65, 3, "TX_FAULT implemented"}, {65, 4, "TX_DISABLE implemented"},
		{65, 5, "RATE_SELECT implemented"}, {65, 6, "Tunable transmitter technology"}, {65, 7, "Receiver decision threshold implemented"},
		{64, 0, "Linear receiver output implemented"}, {64, 1, "Power level 2 requirement"}, {64, 2, "Cooled transceiver implemented"},
		{64, 3, "Retimer or CDR implemented"}, {64, 4, "Paging implemented"}, {64, 5, "Power level 3 requirement"},
	} {
		if a[o.at]&(1<<o.bit) != 0 {
			w.row("Option", "%s", o.text)
		}
	}
}

// sfpDiagnostics prints what address 0xA2 measures, and what it has flagged.
func (w moduleWriter) sfpDiagnostics(m *link.Module) {
	lane := m.Lanes[0]
	w.yesNo("Optical diagnostics support", true)
	w.row("Laser bias current", "%.3f mA", lane.Bias)
	w.row("Laser output power", "%s", milliwatts(lane.TxPower))
	received := "Receiver signal average optical power"
	if m.RxOMA {
		received = "Receiver signal OMA"
	}
	w.row(received, "%s", milliwatts(lane.RxPower))
	w.row("Module temperature", "%s", degrees(*m.Temperature))
	w.row("Module voltage", "%.4f V", *m.Voltage)
	w.yesNo("Alarm/warning flags implemented", m.Flags != nil)
	if m.Flags == nil {
		return
	}
	w.crossed("Laser bias current %s", lane.Flags.Bias)
	w.crossed("Laser output power %s", lane.Flags.TxPower)
	w.crossed("Module temperature %s", m.Flags.Temperature)
	w.crossed("Module voltage %s", m.Flags.Voltage)
	w.crossed("Laser rx power %s", lane.Flags.RxPower)
	w.limits(m)
}
