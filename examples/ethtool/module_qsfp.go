package main

import (
	"cmp"
	"fmt"

	"github.com/netsonde/netsonde/link"
)

// qsfp prints a QSFP (SFF-8636): its lower half, and the upper one of page 0.
func (w moduleWriter) qsfp(m *link.Module, low, up []byte) {
	w.row("Extended identifier", "0x%02x", up[1])
	w.qsfpPower(low[93], up[1])
	w.row("Connector", "0x%02x (%s)", up[2], known(connectorNames, up[2]))
	c := up[3:]
	w.row("Transceiver codes", "0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x 0x%02x", c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
	w.qsfpTypes(c, up[64])
	w.row("Encoding", "0x%02x (%s)", up[11], known(qsfpEncodings, up[11]))
	rate := m.BitRate
	if rate == 0 { // where a long one belongs there is none
		rate = uint32(up[12]) * 100
	}
	w.row("BR, Nominal", "%dMbps", rate)
	w.row("Rate identifier", "0x%02x", up[13])
	w.row("Length (SMF,km)", "%dkm", up[14])
	w.row("Length (OM3 50um)", "%dm", int(up[15])*2)
	w.row("Length (OM2 50um)", "%dm", up[16])
	w.row("Length (OM1 62.5um)", "%dm", up[17])
	w.row("Length (Copper or Active cable)", "%dm", up[18])
	w.row("Transmitter technology", "0x%02x (%s)", up[19]&0xf0, known(qsfpTechnologies, up[19]>>4))
	if up[19]>>4 < 0x0a {
		w.wavelength(m)
	} else {
		for i, at := range []string{"2.5", "5.0", "7.0", "12.9"} {
			w.row("Attenuation at "+at+"GHz", "%ddb", up[58+i])
		}
	}
	w.vendor(up[20:36], up[37:40], up[40:56], up[56:58])
	w.text("Vendor SN", up[68:84])
	w.text("Date code", up[84:92])
	w.row("Revision Compliance", "%s", cmp.Or(qsfpRevisions[low[1]], "Unallocated"))
	w.row("Module temperature", "%s", degrees(celsius(low, 22)))
	w.row("Module voltage", "%.4f V", float64(int(low[26])<<8|int(low[27]))/10000)
	if m.Lanes == nil { // it measures nothing: these two read as zero
		return
	}
	w.yesNo("Alarm/warning flags implemented", m.Flags != nil)
	w.lanes(m)
	if m.Flags == nil {
		return
	}
	for i, l := range m.Lanes {
		w.crossed(fmt.Sprintf("Laser bias current %%s (Chan %d)", i+1), l.Flags.Bias)
	}
	w.crossed("Module temperature %s", m.Flags.Temperature)
	w.crossed("Module voltage %s", m.Flags.Voltage)
	for i, l := range m.Lanes {
		w.crossed(fmt.Sprintf("Laser tx power %%s (Channel %d)", i+1), l.Flags.TxPower)
	}
	for i, l := range m.Lanes {
		w.crossed(fmt.Sprintf("Laser rx power %%s (Channel %d)", i+1), l.Flags.RxPower)
	}
	w.limits(m)
}

func celsius(b []byte, at int) float64 { return float64(int16(uint16(b[at])<<8|uint16(b[at+1]))) / 256 }

// qsfpPower prints what the module may take, and what was allowed to it.
func (w moduleWriter) qsfpPower(control, extended byte) {
	const name = "Extended identifier description"
	w.row(name, "%s max. Power consumption", []string{"1.5W", "2.0W", "2.5W", "3.5W"}[extended>>6])
	present := []string{"No CDR", "CDR present"}
	w.row(name, "%s in TX, %s in RX", present[extended>>3&1], present[extended>>2&1])
	enabled := "not enabled"
	if control&0x04 != 0 {
		enabled = "enabled"
	}
	most := []string{"", "4.0W max. Power consumption, ", "4.5W max. Power consumption,  ", "5.0W max. Power consumption,  "}[extended&3]
	w.row(name, "%sHigh Power Class (> 3.5 W) %s", most, enabled)
	w.onOff("Power set", control&0x02 != 0)
	w.onOff("Power override", control&0x01 != 0)
}

func (w moduleWriter) qsfpTypes(c []byte, extended byte) {
	w.bits(c[:1], qsfpTypes[:1])
	if c[0]&0x80 != 0 {
		w.row("Transceiver type", "%s", cmp.Or(qsfpExtended[extended], extendedNames[extended], "(reserved or unknown)"))
	}
	w.bits(c[1:], qsfpTypes[1:])
}

// lanes print what is measured on each.
func (w moduleWriter) lanes(m *link.Module) {
	for i, l := range m.Lanes {
		w.row(fmt.Sprintf("Laser tx bias current (Channel %d)", i+1), "%.3f mA", l.Bias)
	}
	for i, l := range m.Lanes {
		w.row(fmt.Sprintf("Transmit avg optical power (Channel %d)", i+1), "%s", milliwatts(l.TxPower))
	}
	for i, l := range m.Lanes {
		w.row(received(m, i), "%s", milliwatts(l.RxPower))
	}
}

// received names the received power of a lane; the standards differ by a blank.
func received(m *link.Module, lane int) string {
	name := "Rcvr signal avg optical power"
	if m.RxOMA {
		name = "Receiver signal OMA"
	}
	if cmis(m.Type) {
		name += " "
	}
	return fmt.Sprintf("%s(Channel %d)", name, lane+1)
}
