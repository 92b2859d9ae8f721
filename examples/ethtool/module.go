package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

func printModule(b *strings.Builder, o *options, r *link.EthtoolReport) int {
	m := r.Module
	if m == nil {
		return 0
	}
	for i := 0; i+1 < len(o.words); i += 2 {
		if on := o.words[i+1] == "on"; on && o.words[i] == "hex" {
			writeHex(b, m)
			return 0
		} else if on && o.words[i] == "raw" {
			for _, p := range m.Pages {
				b.Write(p.Data)
			}
			return 0
		}
	}
	w := moduleWriter{b}
	w.row("Identifier", "0x%02x (%s)", uint8(m.Type), moduleName(m.Type))
	if len(m.OUI) == 0 {
		return 0
	}
	if a := half(m, 0x50); a != nil && m.Type == link.ModuleSFP {
		w.sfp(m, a)
		return 0
	}
	w.row("Connector", "0x%02x (%s)", uint8(m.Connector), connectorName(m.Connector))
	w.identity(m)
	w.measured(m)
	w.limits(m)
	return 0
}

// moduleWriter prints rows as ethtool does.
type moduleWriter struct{ b *strings.Builder }

func (w moduleWriter) row(name, format string, args ...any) {
	fmt.Fprintf(w.b, "\t%-41s : %s\n", name, cli.Escape(fmt.Sprintf(format, args...)))
}

func cmis(m *link.Module) bool {
	return m.Type == link.ModuleQSFPDD || m.Type == link.ModuleOSFP || m.Type == link.ModuleDSFP || m.Type == link.ModuleQSFPCMIS
}

func (w moduleWriter) identity(m *link.Module) {
	for _, c := range m.Compliance {
		w.row("Transceiver type", "%s", standard(c, false))
	}
	if m.BitRate != 0 {
		w.row("BR, Nominal", "%dMbps", m.BitRate)
	}
	if m.Wavelength != 0 {
		w.row("Laser wavelength", "%.3fnm", m.Wavelength)
		w.row("Laser wavelength tolerance", "%.3fnm", m.Tolerance)
	}
	w.vendor(m)
	w.row("Vendor SN", "%s", m.Serial)
	w.row("Date code", "%s", m.Date)
	if m.CLEI != "" {
		w.row("CLEI code", "%s", m.CLEI)
	}
}

func (w moduleWriter) measured(m *link.Module) {
	if m.Temperature != nil {
		w.row("Module temperature", "%s", degrees(*m.Temperature))
	}
	if m.Voltage != nil {
		w.row("Module voltage", "%.4f V", *m.Voltage)
	}
	for i, l := range m.Lanes {
		w.row(fmt.Sprintf("Laser tx bias current (Channel %d)", i+1), "%.3f mA", l.Bias)
	}
	for i, l := range m.Lanes {
		w.row(fmt.Sprintf("Transmit avg optical power (Channel %d)", i+1), "%s", milliwatts(l.TxPower))
	}
	for i, l := range m.Lanes {
		name := "Rcvr signal avg optical power(Channel %d)"
		switch {
		case m.RxOMA:
			name = "Receiver signal OMA (Channel %d)"
		case cmis(m):
			name = "Rcvr signal avg optical power (Channel %d)"
		}
		w.row(fmt.Sprintf(name, i+1), "%s", milliwatts(l.RxPower))
	}
}

func (w moduleWriter) limits(m *link.Module) {
	if m.Limits == nil {
		return
	}
	milliamperes := func(v float64) string { return fmt.Sprintf("%.3f mA", v) }
	volts := func(v float64) string { return fmt.Sprintf("%.4f V", v) }
	for _, l := range []struct {
		name string
		of   link.Limits
		text func(float64) string
	}{
		{"Laser bias current", m.Limits.Bias, milliamperes}, {"Laser output power", m.Limits.TxPower, milliwatts},
		{"Module temperature", m.Limits.Temperature, degrees}, {"Module voltage", m.Limits.Voltage, volts}, {"Laser rx power", m.Limits.RxPower, milliwatts},
	} {
		w.row(l.name+" high alarm threshold", "%s", l.text(l.of.HighAlarm))
		w.row(l.name+" low alarm threshold", "%s", l.text(l.of.LowAlarm))
		w.row(l.name+" high warning threshold", "%s", l.text(l.of.HighWarning))
		w.row(l.name+" low warning threshold", "%s", l.text(l.of.LowWarning))
	}
}

func milliwatts(mw float64) string {
	dbm := link.DBm(mw)
	if math.IsInf(dbm, -1) {
		return fmt.Sprintf("%.4f mW / -inf dBm", mw)
	}
	return fmt.Sprintf("%.4f mW / %.2f dBm", mw, dbm)
}

func degrees(c float64) string {
	return fmt.Sprintf("%.2f degrees C / %.2f degrees F", c, c*1.8+32)
}

func moduleName(t link.ModuleType) string {
	switch t {
	case link.ModuleSFP:
		return "SFP"
	case link.ModuleQSFP:
		return "QSFP"
	case link.ModuleQSFPPlus:
		return "QSFP+"
	case link.ModuleQSFP28:
		return "QSFP28"
	case link.ModuleQSFPDD:
		return "QSFP-DD Double Density 8X Pluggable Transceiver (INF-8628)"
	case link.ModuleOSFP:
		return "OSFP 8X Pluggable Transceiver"
	case link.ModuleDSFP:
		return "DSFP Dual Small Form Factor Pluggable Transceiver"
	}
	return t.String()
}

// standard is a standard in ethtool's words, which have the speed in front.
func standard(c string, sfp bool) string {
	if text, ok := standards[c]; ok && !sfp {
		return text
	}
	speed, kind, ok := strings.Cut(c, "BASE-")
	switch {
	case !ok:
		return c
	case c == "10GBASE-ER" && sfp:
		return "10G Ethernet: 10G Base-ER [SFF-8472 rev10.4 onwards]"
	case strings.HasSuffix(speed, "G") && (speed == "10G" || !sfp):
		return fmt.Sprintf("%s Ethernet: %s Base-%s", speed, speed, kind)
	case strings.HasSuffix(speed, "G"):
		return "Extended: " + c
	case c == "100BASE-LX10":
		return "Ethernet: 100BASE-LX/LX10"
	}
	return "Ethernet: " + c
}

var standards = map[string]string{
	"100G CWDM4": "100G Ethernet: 100G CWDM4 MSA with FEC", "100G PSM4": "100G Ethernet: 100G PSM4 Parallel SMF",
	"100G CWDM4 without FEC": "100G Ethernet: 100G CWDM4 MSA without FEC", "100GBASE-SR4": "100G Ethernet: 100G Base-SR4 or 25GBase-SR",
	"100GBASE-CR4": "100G Ethernet: 100G Base-CR4 or 25G Base-CR CA-L", "40G PSM4": "40G Ethernet: 40G PSM4 Parallel SMF",
	"40G active cable (XLPPI)": "40G Ethernet: 40G Active Cable (XLPPI)", "4x10GBASE-SR": "4x10G Ethernet: 10G Base-SR",
}

var connectorNames = map[string]string{
	"unknown": "unknown or unspecified", "sc": "SC", "fc_style_1_copper": "Fibre Channel Style 1 copper", "fc_style_2_copper": "Fibre Channel Style 2 copper",
	"bnc_tnc": "BNC/TNC", "fc_coaxial": "Fibre Channel coaxial headers", "fibrejack": "FibreJack", "lc": "LC", "mt_rj": "MT-RJ", "mu": "MU", "sg": "SG",
	"optical_pigtail": "Optical pigtail", "mpo": "MPO Parallel Optic", "mpo_2x16": "MPO Parallel Optic - 2x16", "hssdc_2": "HSSDC II",
	"copper_pigtail": "Copper pigtail", "rj45": "RJ45", "none": "No separable connector", "mxc_2x16": "MXC 2x16", "cs": "CS optical connector",
	"sn": "Mini CS optical connector", "mpo_2x12": "MPO 2x12", "mpo_1x16": "MPO 1x16",
}

func connectorName(c link.Connector) string {
	if text, ok := connectorNames[c.String()]; ok {
		return text
	}
	return "reserved or unknown"
}

// writeHex prints the memory page by page, sixteen bytes to a line.
func writeHex(b *strings.Builder, m *link.Module) {
	for _, p := range m.Pages {
		fmt.Fprintf(b, "I2C address 0x%02x, bank %d, page 0x%02x\n", p.Address, p.Bank, p.Page)
		for at := 0; at < len(p.Data); at += 16 {
			fmt.Fprintf(b, "0x%04x:", int(p.Offset)+at)
			for _, v := range p.Data[at:min(at+16, len(p.Data))] {
				b.WriteString(" " + hex.EncodeToString([]byte{v}))
			}
			b.WriteString("\n")
		}
	}
}
