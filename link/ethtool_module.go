package link

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/internal/nl"
)

// Module is what a plugged-in transceiver or cable says of itself: SFF-8472 (SFP),
// SFF-8636 (QSFP) or CMIS (QSFP-DD, OSFP, DSFP). Reading it needs CAP_NET_ADMIN. Text is
// the vendor's. A module of a kind that is not known has only its pages.
type Module struct {
	Type      ModuleType `json:"type"`
	Connector Connector  `json:"connector"`
	Vendor    string     `json:"vendor,omitzero"`
	OUI       Hex        `json:"vendor_oui,omitzero"` // IEEE company identifier
	Part      string     `json:"part,omitzero"`
	Revision  string     `json:"revision,omitzero"`
	Serial    string     `json:"serial,omitzero"`
	Date      string     `json:"date_code,omitzero"` // YYMMDD and lot
	CLEI      string     `json:"clei,omitzero"`

	Compliance Words          `json:"compliance,omitzero"`    // "10GBASE-SR", "passive cable" …
	BitRate    uint32         `json:"bit_rate,omitzero"`      // MBd a lane, nominal
	Wavelength float64        `json:"wavelength_nm,omitzero"` // 0: copper, or not told
	Tolerance  float64        `json:"wavelength_tolerance_nm,omitzero"`
	Lengths    []ModuleLength `json:"lengths,omitzero"` // what the link may measure

	Temperature *float64     `json:"temperature_c,omitzero"` // nil: not measured
	Voltage     *float64     `json:"voltage_v,omitzero"`
	Lanes       []ModuleLane `json:"lanes,omitzero"` // nil: not measured
	// ExternallyCalibrated: what is measured is raw and cannot be read without
	// the module's own constants, so nothing measured is given.
	ExternallyCalibrated bool `json:"externally_calibrated,omitzero"`
	// RxOMA: the received powers are modulation amplitudes, not averages.
	RxOMA  bool          `json:"rx_oma,omitzero"`
	Limits *ModuleLimits `json:"limits,omitzero"`

	Pages []ModulePage `json:"pages,omitzero"` // as it was read
}

// ModuleLength is how long a link over a medium may be.
type ModuleLength struct {
	Medium string  `json:"medium"` // "smf", "om1" … "om5", "copper"
	Meters float64 `json:"m"`
}

// ModuleLane is what is measured on one channel.
type ModuleLane struct {
	Bias    float64 `json:"bias_ma"`     // current of the laser
	TxPower float64 `json:"tx_power_mw"` // average optical power
	RxPower float64 `json:"rx_power_mw"`
}

// DBm turns milliwatts into dBm; no light is -Inf.
func DBm(mw float64) float64 { return 10 * math.Log10(mw) }

// ModuleLimits are the bounds that the vendor sets.
type ModuleLimits struct {
	Temperature Limits `json:"temperature_c"`
	Voltage     Limits `json:"voltage_v"`
	Bias        Limits `json:"bias_ma"`
	TxPower     Limits `json:"tx_power_mw"`
	RxPower     Limits `json:"rx_power_mw"`
}

// Limits are the bounds of one measurement.
type Limits struct {
	HighAlarm   float64 `json:"high_alarm"`
	LowAlarm    float64 `json:"low_alarm"`
	HighWarning float64 `json:"high_warning"`
	LowWarning  float64 `json:"low_warning"`
}

// ModulePage is a half of a page of a module's memory: 128 bytes.
type ModulePage struct {
	Address uint8 `json:"i2c_address"` // 0x50 or 0x51
	Bank    uint8 `json:"bank,omitzero"`
	Page    uint8 `json:"page,omitzero"`
	Offset  uint8 `json:"offset"` // 0 or 128
	Data    Hex   `json:"data"`
}

// Module asks the plugged-in module what it is and what it measures; it needs
// CAP_NET_ADMIN. Going over the module's slow bus takes up to some 0.1 s.
func (d *Device) Module(ctx context.Context) (m Module, err error) {
	var memory modulePages
	if d.ops[msgModuleEEPROMGet] {
		memory, err = d.modulePages(ctx)
	} else {
		memory, err = d.ioctlModule(ctx)
	}
	if err != nil {
		return m, d.failed("module", needAdmin(err))
	}
	return decodeModule(memory), nil
}

// modulePages are the halves of pages of a module.
type modulePages []ModulePage

// half returns 128 bytes, nil for those that were not read.
func (p modulePages) half(address, page, offset uint8) []byte {
	for _, h := range p {
		if h.Address == address && h.Page == page && h.Offset == offset && h.Bank == 0 && len(h.Data) == 128 {
			return h.Data
		}
	}
	return nil
}

const (
	i2cMain        = 0x50
	i2cDiagnostics = 0x51
)

// morePages says what is to be read beside the two halves of page 0.
func morePages(lower []byte) (list []ModulePage) {
	switch ModuleType(lower[0]) {
	case ModuleSFP, 2, 11:
		if lower[92]&0x40 != 0 && lower[92]&0x04 == 0 { // diagnostics, without a change of address
			list = append(list, ModulePage{Address: i2cDiagnostics})
		}
	case ModuleQSFP, ModuleQSFPPlus, ModuleQSFP28:
		if lower[2]&0x04 == 0 { // paged
			list = append(list, ModulePage{Address: i2cMain, Page: 3, Offset: 128})
		}
	case ModuleQSFPDD, ModuleOSFP, ModuleDSFP, ModuleQSFPCMIS:
		if lower[2]&0x80 == 0 {
			for _, page := range []uint8{1, 2, 0x11} {
				list = append(list, ModulePage{Address: i2cMain, Page: page, Offset: 128})
			}
		}
	}
	return list
}

func (d *Device) modulePages(ctx context.Context) (pages modulePages, err error) {
	lower := ModulePage{Address: i2cMain}
	if err := d.readPage(ctx, &lower); err != nil {
		return nil, err
	}
	pages = append(pages, lower)
	upper := ModulePage{Address: i2cMain, Offset: 128}
	more := morePages(lower.Data)
	// Not every module has the rest, and what there is counts.
	for _, p := range append([]ModulePage{upper}, more...) {
		if d.readPage(ctx, &p) == nil {
			pages = append(pages, p)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return pages, nil
}

func (d *Device) readPage(ctx context.Context, p *ModulePage) error {
	body := d.header(nil, 1, 0)
	body = nl.AppendU32(body, 2, uint32(p.Offset))
	body = nl.AppendU32(body, 3, 128)
	body = nl.AppendU8(body, 4, p.Page)
	body = nl.AppendU8(body, 5, p.Bank)
	body = nl.AppendU8(body, 6, p.Address)
	err := d.ask(ctx, msgModuleEEPROMGet, body, func(b []byte) error {
		for a := nl.NewAttrs(b); a.Next(); {
			if a.Type == 7 {
				nl.SetBytes(&p.Data, a.Data)
			}
		}
		return nil
	}, nil)
	if err == nil && len(p.Data) != 128 {
		err = syscall.EPROTO
	}
	return err
}

// ioctlModule reads the memory as one run (ETHTOOL_GMODULEEEPROM).
func (d *Device) ioctlModule(ctx context.Context) (pages modulePages, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	info, err := d.call(ioctlModuleInfo, 0, 44)
	if err != nil {
		return nil, err
	}
	const most = 4096
	kind, size := host.Uint32(info[4:]), min(host.Uint32(info[8:]), most)
	b := make([]byte, 16+size)
	host.PutUint32(b, ioctlModuleEEPROM)
	host.PutUint32(b[12:], size)
	if err := d.kernel.ioctl(b); err != nil {
		return nil, err
	}
	return splitMemory(b[16:], kind), nil
}

// splitMemory cuts a run into halves: of the two addresses of an SFP (kinds 1 and
// 2, ETH_MODULE_SFF_*), or of the pages of a QSFP.
func splitMemory(b []byte, kind uint32) (pages modulePages) {
	for i := 0; len(b) >= 128; i, b = i+1, b[128:] {
		p := ModulePage{Address: i2cMain, Data: b[:128:128]}
		switch {
		case kind <= 2:
			p.Address, p.Offset = i2cMain+uint8(i/2), uint8(i%2)*128
		case i > 0:
			p.Page, p.Offset = uint8(i-1), 128
		}
		pages = append(pages, p)
	}
	return pages
}

// decodeModule reads what is known of the memory.
func decodeModule(p modulePages) Module {
	m := Module{Pages: p}
	lower := p.half(i2cMain, 0, 0)
	if lower == nil {
		return m
	}
	m.Type = ModuleType(lower[0])
	switch m.Type {
	case ModuleSFP, 2, 11:
		m.decodeSFP(lower, p.half(i2cDiagnostics, 0, 0))
	case ModuleQSFP, ModuleQSFPPlus, ModuleQSFP28:
		m.decodeQSFP(lower, p.half(i2cMain, 0, 128), p.half(i2cMain, 3, 128))
	case ModuleQSFPDD, ModuleOSFP, ModuleDSFP, ModuleQSFPCMIS:
		m.decodeCMIS(lower, p)
	}
	return m
}

// vendorText reads text that is padded with blanks.
func vendorText(b []byte) string { return strings.Trim(string(b), " \x00") }

func be16(b []byte, at int) float64 { return float64(binary.BigEndian.Uint16(b[at:])) }

// The units of measurements, the same in all three standards.
func celsius(b []byte, at int) float64 { return float64(int16(binary.BigEndian.Uint16(b[at:]))) / 256 }
func volts(b []byte, at int) float64   { return be16(b, at) / 10000 }
func bias(b []byte, at int) float64    { return be16(b, at) / 500 }   // 2 µA
func power(b []byte, at int) float64   { return be16(b, at) / 10000 } // 0.1 µW

func limits(b []byte, at int, unit func([]byte, int) float64) Limits {
	return Limits{unit(b, at), unit(b, at+2), unit(b, at+4), unit(b, at+6)}
}

func (m *Module) length(medium string, v byte, unit float64) {
	if v != 0 {
		m.Lengths = append(m.Lengths, ModuleLength{medium, float64(v) * unit})
	}
}

// decodeSFP reads SFF-8472: address 0xA0 and, where there is one, 0xA2.
func (m *Module) decodeSFP(a, d []byte) {
	m.Connector, m.BitRate = Connector(a[2]), uint32(a[12])*100
	m.Compliance = complianceSFP(a)
	if a[12] == 255 { // more than a byte can say
		m.BitRate = uint32(a[66]) * 250
	}
	if a[14] != 0 {
		m.length("smf", a[14], 1000)
	} else {
		m.length("smf", a[15], 100)
	}
	m.length("om2", a[16], 10)
	m.length("om1", a[17], 10)
	m.length("om3", a[19], 10)
	if copper := a[8]&0x0c != 0; copper { // passive or active cable
		m.length("copper", a[18], 1)
	} else {
		m.length("om4", a[18], 10)
		m.Wavelength = be16(a, 60)
	}
	m.Vendor, m.OUI, m.Part, m.Revision = vendorText(a[20:36]), a[37:40:40], vendorText(a[40:56]), vendorText(a[56:60])
	m.Serial, m.Date = vendorText(a[68:84]), vendorText(a[84:92])
	if d == nil || a[92]&0x40 == 0 {
		return
	}
	if a[92]&0x10 != 0 && a[92]&0x20 == 0 {
		m.ExternallyCalibrated = true
		return
	}
	m.RxOMA = a[92]&0x08 == 0
	t, v := celsius(d, 96), volts(d, 98)
	m.Temperature, m.Voltage = &t, &v
	m.Lanes = []ModuleLane{{bias(d, 100), power(d, 102), power(d, 104)}}
	m.Limits = &ModuleLimits{limits(d, 0, celsius), limits(d, 8, volts), limits(d, 16, bias), limits(d, 24, power), limits(d, 32, power)}
}

// decodeQSFP reads SFF-8636: the lower half, the upper of page 0, and page 3.
func (m *Module) decodeQSFP(low, up, third []byte) {
	if up == nil {
		return
	}
	m.Connector, m.BitRate = Connector(up[2]), uint32(up[12])*100
	m.Compliance = complianceQSFP(up)
	if up[12] == 255 {
		m.BitRate = uint32(up[94]) * 250
	}
	m.length("smf", up[14], 1000)
	m.length("om3", up[15], 2)
	m.length("om2", up[16], 1)
	m.length("om1", up[17], 1)
	optical := up[19]>>4 < 0x0a // the rest are kinds of copper
	if optical {
		m.Wavelength, m.Tolerance = be16(up, 58)/20, be16(up, 60)/200
	} else {
		m.length("copper", up[18], 1)
	}
	m.Vendor, m.OUI, m.Part, m.Revision = vendorText(up[20:36]), up[37:40:40], vendorText(up[40:56]), vendorText(up[56:58])
	m.Serial, m.Date = vendorText(up[68:84]), vendorText(up[84:92])
	if !optical {
		return
	}
	t, v := celsius(low, 22), volts(low, 26)
	m.Temperature, m.Voltage = &t, &v
	for i := range 4 {
		m.Lanes = append(m.Lanes, ModuleLane{bias(low, 42+2*i), power(low, 50+2*i), power(low, 34+2*i)})
	}
	if third != nil {
		m.Limits = &ModuleLimits{limits(third, 0, celsius), limits(third, 16, volts), limits(third, 56, bias), limits(third, 64, power), limits(third, 48, power)}
	}
}

// decodeCMIS reads the Common Management Interface Specification: pages 0, 1, 2, 0x11.
func (m *Module) decodeCMIS(low []byte, p modulePages) {
	up := p.half(i2cMain, 0, 128)
	if up == nil {
		return
	}
	m.Vendor, m.OUI, m.Part, m.Revision = vendorText(up[1:17]), up[17:20:20], vendorText(up[20:36]), vendorText(up[36:38])
	m.Serial, m.Date, m.CLEI = vendorText(up[38:54]), vendorText(up[54:62]), vendorText(up[62:72])
	m.Connector = Connector(up[75])
	optical := up[84] < 0x0a || up[84] == 0x10
	if !optical {
		m.Lengths = append(m.Lengths, ModuleLength{"copper", cableLength(up[74])})
	}
	one := p.half(i2cMain, 1, 128)
	if one == nil { // flat memory: a passive cable
		return
	}
	if t := celsius(low, 14); one[31]&1 != 0 {
		m.Temperature = &t
	}
	if v := volts(low, 16); one[31]&2 != 0 {
		m.Voltage = &v
	}
	if !optical {
		return
	}
	m.Wavelength, m.Tolerance = be16(one, 10)/20, be16(one, 12)/200
	m.RxOMA = one[23]&0x10 == 0
	smf := []float64{100, 1000, 0, 0}[one[4]>>6] // the other units are reserved
	m.length("smf", one[4]&0x3f, smf)
	m.length("om5", one[5], 2)
	m.length("om4", one[6], 2)
	m.length("om3", one[7], 2)
	m.length("om2", one[8], 1)
	scale := []float64{1, 2, 4, 1}[one[32]>>3&3] // of laser currents
	scaled := func(b []byte, at int) float64 { return bias(b, at) * scale }
	if two := p.half(i2cMain, 2, 128); two != nil {
		m.Limits = &ModuleLimits{limits(two, 0, celsius), limits(two, 8, volts), limits(two, 56, scaled), limits(two, 48, power), limits(two, 64, power)}
	}
	if lanes := p.half(i2cMain, 0x11, 128); lanes != nil && one[32]&7 != 0 {
		for i := range 8 {
			m.Lanes = append(m.Lanes, ModuleLane{scaled(lanes, 42+2*i), power(lanes, 26+2*i), power(lanes, 58+2*i)})
		}
	}
}

// cableLength reads a length in metres whose two upper bits are its power of ten.
func cableLength(v byte) float64 {
	return float64(v&0x3f) * []float64{0.1, 1, 10, 100}[v>>6]
}
