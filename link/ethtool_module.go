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

	State    ModuleState `json:"state,omitzero"`       // CMIS
	Fault    ModuleFault `json:"fault,omitzero"`       // CMIS, of the state fault
	MaxPower float64     `json:"max_power_w,omitzero"` // QSFP and CMIS; 0: not told

	Temperature *float64     `json:"temperature_c,omitzero"` // nil: not measured
	Voltage     *float64     `json:"voltage_v,omitzero"`
	Lanes       []ModuleLane `json:"lanes,omitzero"` // nil: not measured
	// ExternallyCalibrated: the module (SFP) measures raw values, from which these were
	// made with the constants that it has for that.
	ExternallyCalibrated bool `json:"externally_calibrated,omitzero"`
	// RxOMA: the received powers are modulation amplitudes, not averages.
	RxOMA  bool          `json:"rx_oma,omitzero"`
	Limits *ModuleLimits `json:"limits,omitzero"`
	// Flags are what the module has seen beyond its limits since its flags were last
	// read; nil: it keeps none.
	Flags *ModuleFlags `json:"flags,omitzero"`

	Pages []ModulePage `json:"pages,omitzero"` // as it was read
}

// ModuleLength is how long a link over a medium may be.
type ModuleLength struct {
	Medium string  `json:"medium"` // "smf", "om1" … "om5", "copper"
	Meters float64 `json:"m"`
}

// ModuleLane is what is measured on one channel.
type ModuleLane struct {
	Bias    float64    `json:"bias_ma"`     // current of the laser
	TxPower float64    `json:"tx_power_mw"` // average optical power
	RxPower float64    `json:"rx_power_mw"`
	Flags   *LaneFlags `json:"flags,omitzero"` // nil: not kept
}

// DBm turns milliwatts into dBm; no light is -Inf.
func DBm(mw float64) float64 { return 10 * math.Log10(mw) }

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
	return DecodeModule(memory), nil
}

// modulePages are the halves of pages of a module.
type modulePages []ModulePage

// half returns 128 bytes of bank 0, nil for those that were not read.
func (p modulePages) half(address, page, offset uint8) []byte {
	return p.banked(0, address, page, offset)
}

func (p modulePages) banked(bank, address, page, offset uint8) []byte {
	for _, h := range p {
		if h.Address == address && h.Page == page && h.Offset == offset && h.Bank == bank && len(h.Data) == 128 {
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
	more = append([]ModulePage{upper}, more...)
	for i := 0; i < len(more); i++ {
		p := more[i]
		if d.readPage(ctx, &p) == nil {
			pages = append(pages, p)
			if p.Page == 1 && p.Address == i2cMain {
				more = append(more, moreBanks(p.Data)...)
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return pages, nil
}

// moreBanks are those of lanes 9 and on, which page 1 of CMIS tells of.
func moreBanks(one []byte) (list []ModulePage) {
	for bank := uint8(1); bank < []uint8{1, 2, 4, 1}[one[14]&3]; bank++ {
		list = append(list, ModulePage{Address: i2cMain, Bank: bank, Page: 0x11, Offset: 128})
	}
	return list
}

func (d *Device) readPage(ctx context.Context, p *ModulePage) (err error) {
	p.Data, err = d.ModulePage(ctx, p.Address, p.Bank, p.Page, uint32(p.Offset), 128)
	return unwrapOp(err)
}

// ModuleMemory reads a module's memory as one run of bytes (ETHTOOL_GMODULEEEPROM), in
// the order of the driver: of an SFP address 0x50, then 0x51; of others the lower half,
// then the upper halves of its pages. It needs CAP_NET_ADMIN, and drivers that tell
// single pages (see [Device.Module]) need not have it.
func (d *Device) ModuleMemory(ctx context.Context) ([]byte, error) {
	_, b, err := d.moduleMemory(ctx)
	return b, d.failed("module memory", needAdmin(err))
}

// ModulePage reads part of a page of a module's memory over netlink (Linux 5.13): length
// bytes from an offset, 128 or more in pages but the lowest. It needs CAP_NET_ADMIN.
func (d *Device) ModulePage(ctx context.Context, address, bank, page uint8, offset, length uint32) (b []byte, err error) {
	body := d.header(nil, 1, 0)
	body = nl.AppendU32(nl.AppendU32(body, 2, offset), 3, length)
	body = nl.AppendU8(nl.AppendU8(nl.AppendU8(body, 4, page), 5, bank), 6, address)
	err = d.ask(ctx, msgModuleEEPROMGet, body, func(attrs []byte) error {
		for a := nl.NewAttrs(attrs); a.Next(); {
			if a.Type == 7 {
				nl.SetBytes(&b, a.Data)
			}
		}
		return nil
	}, nil)
	if err == nil && uint32(len(b)) != length {
		err = syscall.EPROTO
	}
	return b, d.failed("module page", needAdmin(err))
}

func (d *Device) ioctlModule(ctx context.Context) (modulePages, error) {
	kind, b, err := d.moduleMemory(ctx)
	return splitMemory(b, kind), err
}

func (d *Device) moduleMemory(ctx context.Context) (kind uint32, memory []byte, err error) {
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	info, err := d.call(ioctlModuleInfo, 0, 44)
	if err != nil {
		return 0, nil, err
	}
	const most = 4096
	kind, size := host.Uint32(info[4:]), min(host.Uint32(info[8:]), most)
	b := make([]byte, 16+size)
	host.PutUint32(b, ioctlModuleEEPROM)
	host.PutUint32(b[12:], size)
	if err := d.kernel.IOCtl(b); err != nil {
		return 0, nil, err
	}
	return kind, b[16:], nil
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

// DecodeModule reads what is known of a module's memory, such as the Pages of a
// [Module] that was recorded.
func DecodeModule(pages []ModulePage) Module {
	p := modulePages(pages)
	m := Module{Pages: pages}
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
