package main

import (
	"fmt"
	"strings"

	"github.com/netsonde/netsonde/link"
)

// cmis prints a module of the Common Management Interface Specification: its lower half,
// and the upper one of page 0. What it says not to measure has no row, where ethtool
// prints a zero.
func (w moduleWriter) cmis(m *link.Module, low, up []byte) {
	one := half(m, 0x50, 1, 128)
	if low[2]&0x80 != 0 { // flat memory
		one = nil
	}
	w.row("Power class", "%d", up[72]>>5+1)
	w.row("Max power", "%.2fW", m.MaxPower)
	w.row("Connector", "0x%02x (%s)", up[75], known(connectorNames, up[75]))
	if up[74] == 0xff {
		w.row("Cable assembly length", "> 6.3km")
	} else {
		w.row("Cable assembly length", "%.2fm", float64(up[74]&0x3f)*[]float64{0.1, 1, 10, 100}[up[74]>>6])
	}
	if one != nil {
		w.yesNo("Tx CDR bypass control", one[33]&0x02 != 0)
		w.yesNo("Rx CDR bypass control", one[34]&0x02 != 0)
		w.yesNo("Tx CDR", one[33]&0x01 != 0)
		w.yesNo("Rx CDR", one[34]&0x01 != 0)
	}
	w.cmisMedium(m, up, one)
	w.vendor(up[1:17], up[17:20], up[20:36], up[36:38])
	w.text("Vendor SN", up[38:54])
	w.text("Date code", up[54:62])
	if up[62] != 0 && strings.Trim(string(up[62:72]), " ") != "" {
		w.text("CLEI code", up[62:72])
	}
	w.row("Revision compliance", "Rev. %d.%d", low[1]>>4, low[1]&15)
	state := low[3] >> 1 & 7
	w.row("Module State", "0x%02x (%s)", state, known(cmisStates, state))
	if m.State == link.ModuleStateFault {
		w.row("Module Fault Cause", "0x%02x (%s)", low[41], known(cmisFaults, low[41]))
	}
	w.onOff("LowPwrAllowRequestHW", low[26]&0x40 != 0)
	w.onOff("LowPwrRequestSW", low[26]&0x10 != 0)
	if one != nil {
		w.cmisMeasured(m, one[32])
	}
}

// tunable are the lasers that ethtool 6.1 takes for copper.
var tunable = map[byte]string{0x10: "C-band tunable laser", 0x11: "L-band tunable laser"}

// cmisMedium prints the laser or the cable.
func (w moduleWriter) cmisMedium(m *link.Module, up, one []byte) {
	technology := up[84]
	laser := technology < 0x0a || tunable[technology] != ""
	switch text := tunable[technology] + cmisTechnologies[technology]; text {
	case "":
		w.row("Transmitter technology", "0x%02x", technology)
	default:
		w.row("Transmitter technology", "0x%02x (%s)", technology, text)
	}
	switch {
	case !laser:
		for i, at := range []string{"5", "7", "12.9", "25.8"} {
			w.row("Attenuation at "+at+"GHz", "%ddb", up[76+i])
		}
	case one != nil:
		w.wavelength(m)
	}
	if one == nil {
		return
	}
	w.row("Length (SMF)", "%.2fkm", float64(one[4]&0x3f)*[]float64{0.1, 1, 1, 1}[one[4]>>6])
	w.row("Length (OM5)", "%dm", int(one[5])*2)
	w.row("Length (OM4)", "%dm", int(one[6])*2)
	w.row("Length (OM3 50/125um)", "%dm", int(one[7])*2)
	w.row("Length (OM2 50/125um)", "%dm", one[8])
}

// cmisMeasured prints what is measured: by lane what has its bit in lanes.
func (w moduleWriter) cmisMeasured(m *link.Module, lanes byte) {
	if m.Temperature != nil {
		w.row("Module temperature", "%s", degrees(*m.Temperature))
	}
	if m.Voltage != nil {
		w.row("Module voltage", "%.4f V", *m.Voltage)
	}
	for i, l := range m.Lanes {
		if lanes&1 != 0 {
			w.row(fmt.Sprintf("Laser tx bias current (Channel %d)", i+1), "%.3f mA", l.Bias)
		}
	}
	for i, l := range m.Lanes {
		if lanes&2 != 0 {
			w.row(fmt.Sprintf("Transmit avg optical power (Channel %d)", i+1), "%s", milliwatts(l.TxPower))
		}
	}
	for i, l := range m.Lanes {
		if lanes&4 != 0 {
			w.row(received(m, i), "%s", milliwatts(l.RxPower))
		}
	}
	if m.Temperature != nil {
		w.crossed("Module temperature %s", m.Flags.Temperature)
	}
	if m.Voltage != nil {
		w.crossed("Module voltage %s", m.Flags.Voltage)
	}
	for i, l := range m.Lanes {
		if lanes&1 != 0 {
			w.crossed(fmt.Sprintf("Laser bias current %%s (Chan %d)", i+1), l.Flags.Bias)
		}
		if lanes&2 != 0 {
			w.crossed(fmt.Sprintf("Laser tx power %%s (Channel %d)", i+1), l.Flags.TxPower)
		}
		if lanes&4 != 0 {
			w.crossed(fmt.Sprintf("Laser rx power %%s (Channel %d)", i+1), l.Flags.RxPower)
		}
	}
	w.limits(m)
}
