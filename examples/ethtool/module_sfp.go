package main

import "github.com/netsonde/netsonde/link"

// half is a half of a page of a module's memory, nil where it was not read.
func half(m *link.Module, address uint8) []byte {
	for _, p := range m.Pages {
		if p.Address == address && p.Page == 0 && p.Offset == 0 && len(p.Data) == 128 {
			return p.Data
		}
	}
	return nil
}

// sfp prints an SFP as ethtool does, with the codes of SFF-8472 (address 0xA0, a)
// that say how to talk to it. Of the types of transceivers only those for
// Ethernet are named.
func (w moduleWriter) sfp(m *link.Module, a []byte) {
	if a[1] == 4 {
		w.row("Extended identifier", "0x04 (GBIC/SFP defined by 2-wire interface ID)")
	}
	w.row("Connector", "0x%02x (%s)", uint8(m.Connector), connectorName(m.Connector))
	c := a[3:]
	w.row("Transceiver codes", "0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x", c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], a[36])
	for _, s := range m.Compliance {
		w.row("Transceiver type", "%s", standard(s, true))
	}
	w.row("Encoding", "0x%02x (%s)", a[11], code(sfpEncodings, a[11]))
	w.row("BR, Nominal", "%dMBd", m.BitRate)
	w.row("Rate identifier", "0x%02x (%s)", a[13], code(sfpRates, a[13]))
	w.row("Length (SMF,km)", "%dkm", a[14])
	w.row("Length (SMF)", "%dm", int(a[15])*100)
	w.row("Length (50um)", "%dm", int(a[16])*10)
	w.row("Length (62.5um)", "%dm", int(a[17])*10)
	w.row("Length (Copper)", "%dm", a[18])
	w.row("Length (OM3)", "%dm", int(a[19])*10)
	if m.Wavelength != 0 {
		w.row("Laser wavelength", "%.0fnm", m.Wavelength)
	}
	w.vendor(m)
	w.row("Option values", "0x%02x 0x%02x", a[64], a[65])
	w.sfpOptions(a)
	most, least := int(a[66]), int(a[67])
	if a[12] == 255 { // then these are something else
		most = least
	}
	w.row("BR margin, max", "%d%%", most)
	w.row("BR margin, min", "%d%%", least)
	w.row("Vendor SN", "%s", m.Serial)
	w.row("Date code", "%s", m.Date)
	if d := half(m, 0x51); d != nil && len(m.Lanes) == 1 {
		w.sfpDiagnostics(m, a, d)
	}
}

func (w moduleWriter) vendor(m *link.Module) {
	w.row("Vendor name", "%s", m.Vendor)
	if len(m.OUI) == 3 {
		w.row("Vendor OUI", "%02x:%02x:%02x", m.OUI[0], m.OUI[1], m.OUI[2])
	}
	w.row("Vendor PN", "%s", m.Part)
	w.row("Vendor rev", "%s", m.Revision)
}

func code(names []string, v byte) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "reserved or unknown"
}

var (
	sfpEncodings = []string{"unspecified", "8B/10B", "4B/5B", "NRZ", "Manchester", "SONET Scrambled", "64B/66B", "(256B/257B (transcoded FEC-enabled data)", "PAM4"}
	sfpRates     = []string{"unspecified", "4/2/1G Rate_Select & AS0/AS1", "8/4/2G Rx Rate_Select only", "8/4/2G Independent Rx & Tx Rate_Select",
		"8/4/2G Tx Rate_Select only"}
)

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

// sfpDiagnostics prints what address 0xA2, d, measures, and what it has flagged.
func (w moduleWriter) sfpDiagnostics(m *link.Module, a, d []byte) {
	w.row("Optical diagnostics support", "Yes")
	w.row("Laser bias current", "%.3f mA", m.Lanes[0].Bias)
	w.row("Laser output power", "%s", milliwatts(m.Lanes[0].TxPower))
	received := "Receiver signal average optical power"
	if m.RxOMA {
		received = "Receiver signal OMA"
	}
	w.row(received, "%s", milliwatts(m.Lanes[0].RxPower))
	w.row("Module temperature", "%s", degrees(*m.Temperature))
	w.row("Module voltage", "%.4f V", *m.Voltage)
	if a[93]&0x80 == 0 {
		w.row("Alarm/warning flags implemented", "No")
		return
	}
	w.row("Alarm/warning flags implemented", "Yes")
	for _, f := range []struct {
		name    string
		at, bit int // of the high alarm; the low one is the bit below, the warnings are four bytes on
	}{
		{"Laser bias current", 112, 3}, {"Laser output power", 112, 1}, {"Module temperature", 112, 7}, {"Module voltage", 112, 5}, {"Laser rx power", 113, 7},
	} {
		for i, kind := range []string{" high alarm", " low alarm", " high warning", " low warning"} {
			text := "Off"
			if d[f.at+i/2*4]&(1<<(f.bit-i%2)) != 0 {
				text = "On"
			}
			w.row(f.name+kind, "%s", text)
		}
	}
	w.limits(m)
}
