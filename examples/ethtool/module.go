package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// printModule prints what a module says of itself as ethtool does: codes from its
// memory, measurements as the library reads them.
func printModule(b *strings.Builder, o *options, r *link.EthtoolReport) int {
	if o.dump != nil {
		b.WriteString(o.dump.text)
		return 0
	}
	m := r.Module
	if m == nil {
		return 0
	}
	w := moduleWriter{b}
	low := half(m, 0x50, 0, 0)
	switch {
	case low == nil:
	case m.Type == link.ModuleSFP || m.Type == 2:
		w.identifier(m)
		w.sfp(m, low)
	case qsfp(m.Type):
		w.identifier(m)
		if up := half(m, 0x50, 0, 128); up != nil {
			w.qsfp(m, low, up)
		}
	case cmis(m.Type):
		w.identifier(m)
		if up := half(m, 0x50, 0, 128); up != nil {
			w.cmis(m, low, up)
		}
	default:
		b.WriteString(hexDump(low, 0))
	}
	return 0
}

func qsfp(t link.ModuleType) bool {
	return t == link.ModuleQSFP || t == link.ModuleQSFPPlus || t == link.ModuleQSFP28
}

func cmis(t link.ModuleType) bool {
	return t == link.ModuleQSFPDD || t == link.ModuleOSFP || t == link.ModuleDSFP || t == link.ModuleQSFPCMIS
}

// half is a half of a page of a module's memory, nil where it was not read.
func half(m *link.Module, address, page, offset uint8) []byte {
	for _, p := range m.Pages {
		if p.Address == address && p.Bank == 0 && p.Page == page && p.Offset == offset && len(p.Data) == 128 {
			return p.Data
		}
	}
	return nil
}

// moduleWriter prints rows as ethtool does.
type moduleWriter struct{ b *strings.Builder }

func (w moduleWriter) row(name, format string, args ...any) {
	fmt.Fprintf(w.b, "\t%-41s : %s\n", name, cli.Escape(fmt.Sprintf(format, args...)))
}

func (w moduleWriter) onOff(name string, on bool) {
	text := "Off"
	if on {
		text = "On"
	}
	w.row(name, "%s", text)
}

func (w moduleWriter) yesNo(name string, yes bool) {
	text := "No"
	if yes {
		text = "Yes"
	}
	w.row(name, "%s", text)
}

func (w moduleWriter) identifier(m *link.Module) {
	w.row("Identifier", "0x%02x (%s)", uint8(m.Type), known(moduleNames, uint8(m.Type)))
}

// known is the word for a code.
func known(names map[uint8]string, code uint8) string {
	if text, ok := names[code]; ok {
		return text
	}
	return "reserved or unknown"
}

// bits are the words of the bits that are set, the highest of a byte first.
func (w moduleWriter) bits(b []byte, names [][8]string) {
	for i, of := range names {
		for n := 7; n >= 0; n-- {
			if b[i]&(1<<n) != 0 && of[n] != "" {
				w.row("Transceiver type", "%s", of[n])
			}
		}
	}
}

// text is vendor's text: what cannot be printed is an underscore.
func (w moduleWriter) text(name string, b []byte) {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, string(latin1(b)))
	w.row(name, "%s", strings.TrimRight(clean, " "))
}

// latin1 gives each byte a character.
func latin1(b []byte) []rune {
	text := make([]rune, len(b))
	for i, c := range b {
		text[i] = rune(c)
	}
	return text
}

// vendor prints who made it: name, identifier, part and revision stand one after the
// other in all three standards.
func (w moduleWriter) vendor(name, oui, part, revision []byte) {
	w.text("Vendor name", name)
	w.row("Vendor OUI", "%02x:%02x:%02x", oui[0], oui[1], oui[2])
	w.text("Vendor PN", part)
	w.text("Vendor rev", revision)
}

func (w moduleWriter) wavelength(m *link.Module) {
	w.row("Laser wavelength", "%.3fnm", m.Wavelength)
	w.row("Laser wavelength tolerance", "%.3fnm", m.Tolerance)
}

// crossed prints the four flags of one measurement; name has a place for them.
func (w moduleWriter) crossed(name string, c link.Crossed) {
	for _, f := range []struct {
		kind string
		on   bool
	}{{"high alarm", c.HighAlarm}, {"low alarm", c.LowAlarm}, {"high warning", c.HighWarning}, {"low warning", c.LowWarning}} {
		kind := f.kind
		if strings.Contains(name, "(") { // of a lane: these are aligned
			kind = fmt.Sprintf("%-12s", kind)
		}
		w.onOff(fmt.Sprintf(name, kind), f.on)
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
