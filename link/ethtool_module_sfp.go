package link

import (
	"encoding/binary"
	"math"
)

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
	if d != nil && a[92]&0x40 != 0 {
		m.diagnostics(a, d)
	}
}

// diagnostics reads address 0xA2 of SFF-8472.
func (m *Module) diagnostics(a, d []byte) {
	m.RxOMA = a[92]&0x08 == 0
	m.ExternallyCalibrated = a[92]&0x10 != 0
	c := internalCalibration
	if m.ExternallyCalibrated {
		c = externalCalibration(d)
	}
	t, v := c.celsius(d, 96), c.volts(d, 98)
	m.Temperature, m.Voltage = &t, &v
	lane := ModuleLane{Bias: c.bias(d, 100), TxPower: c.txPower(d, 102), RxPower: c.rxPower(d, 104)}
	m.Limits = &ModuleLimits{limits(d, 0, c.celsius), limits(d, 8, c.volts), limits(d, 16, c.bias), limits(d, 24, c.txPower), limits(d, 32, c.rxPower)}
	if a[93]&0x80 != 0 { // alarms and warnings, for all that is measured
		pairs := func(at int, shift uint) Crossed { return flagNibble(d[at]>>shift&3<<2 | d[at+4]>>shift&3) }
		m.Flags = &ModuleFlags{Temperature: pairs(112, 6), Voltage: pairs(112, 4)}
		lane.Flags = &LaneFlags{Bias: pairs(112, 2), TxPower: pairs(112, 0), RxPower: pairs(113, 6)}
	}
	if status := a[93] & 0x30; status != 0 { // the pins, as bits of byte 110
		if lane.Flags == nil {
			lane.Flags = &LaneFlags{}
		}
		lane.Flags.TxFault = status&0x20 != 0 && d[110]&0x04 != 0
		lane.Flags.RxLOS = status&0x10 != 0 && d[110]&0x02 != 0
	}
	m.Lanes = []ModuleLane{lane}
}

// calibration makes measurements of what stands at a place.
type calibration struct {
	celsius, volts, bias, txPower, rxPower func(b []byte, at int) float64
}

var internalCalibration = calibration{celsius, volts, bias, power, power}

// externalCalibration is that of SFF-8472, 9.3: a factor of 8.8 bits and an offset each,
// for the received power a polynomial of the fourth degree. Results are numbers of 16
// bits like those of a module that calibrates itself; constants that lead out of them,
// which are wrong, lead to the next one within.
func externalCalibration(d []byte) calibration {
	linear := func(at int, unit func([]byte, int) float64, signed bool) func([]byte, int) float64 {
		slope, offset := int64(binary.BigEndian.Uint16(d[at:])), int64(int16(binary.BigEndian.Uint16(d[at+2:])))
		return func(b []byte, at int) float64 {
			raw := binary.BigEndian.Uint16(b[at:])
			if signed {
				v := slope*int64(int16(raw))/256 + offset
				raw = uint16(int16(min(max(v, math.MinInt16), math.MaxInt16)))
			} else {
				raw = uint16(min(max(slope*int64(raw)/256+offset, 0), math.MaxUint16))
			}
			return unit(binary.BigEndian.AppendUint16(nil, raw), 0)
		}
	}
	var factors [5]float64 // of the fourth power and on
	for i := range factors {
		factors[i] = float64(math.Float32frombits(binary.BigEndian.Uint32(d[56+4*i:])))
	}
	received := func(b []byte, at int) (v float64) {
		raw := be16(b, at)
		for _, f := range factors {
			v = v*raw + f
		}
		if !(v > 0) { // constants that are no numbers, too
			return 0
		}
		return math.Trunc(min(v, math.MaxUint16)) / 10000
	}
	return calibration{linear(84, celsius, true), linear(88, volts, false), linear(76, bias, false), linear(80, power, false), received}
}
