package link

import "math/bits"

// decodeCMIS reads the Common Management Interface Specification: pages 0, 1, 2, 0x11.
func (m *Module) decodeCMIS(low []byte, p modulePages) {
	up := p.half(i2cMain, 0, 128)
	if up == nil {
		return
	}
	m.Vendor, m.OUI, m.Part, m.Revision = vendorText(up[1:17]), up[17:20:20], vendorText(up[20:36]), vendorText(up[36:38])
	m.Serial, m.Date, m.CLEI = vendorText(up[38:54]), vendorText(up[54:62]), vendorText(up[62:72])
	m.Connector, m.MaxPower = Connector(up[75]), float64(up[73])/4
	if m.State = ModuleState(low[3] >> 1 & 7); m.State == ModuleStateFault {
		m.Fault = ModuleFault(low[41])
	}
	optical := up[84] < 0x0a || up[84] == 0x10 || up[84] == 0x11 // tunable ones, too
	if !optical {
		m.Lengths = append(m.Lengths, ModuleLength{"copper", cableLength(up[74])})
	}
	one := p.half(i2cMain, 1, 128)
	if one == nil || low[2]&0x80 != 0 { // flat memory: a passive cable
		return
	}
	m.RxOMA = one[23]&0x10 == 0
	m.Flags = &ModuleFlags{}
	if t := celsius(low, 14); one[31]&1 != 0 {
		m.Temperature, m.Flags.Temperature = &t, flagNibble(bits.Reverse8(low[9])>>4)
	}
	if v := volts(low, 16); one[31]&2 != 0 {
		m.Voltage, m.Flags.Voltage = &v, flagNibble(bits.Reverse8(low[9])&15)
	}
	scale := []float64{1, 2, 4, 1}[one[32]>>3&3] // of laser currents
	scaled := func(b []byte, at int) float64 { return bias(b, at) * scale }
	if two := p.half(i2cMain, 2, 128); two != nil {
		m.Limits = &ModuleLimits{limits(two, 0, celsius), limits(two, 8, volts), limits(two, 56, scaled), limits(two, 48, power), limits(two, 64, power)}
	}
	for bank := uint8(0); one[32]&7 != 0 && bank < 4; bank++ {
		if lanes := p.banked(bank, i2cMain, 0x11, 128); lanes != nil {
			m.lanesCMIS(one, lanes, scaled)
		}
	}
	if !optical {
		return
	}
	m.Wavelength, m.Tolerance = be16(one, 10)/20, be16(one, 12)/200
	if unit := one[4] >> 6; unit < 2 { // the others are reserved
		m.length("smf", one[4]&0x3f, []float64{100, 1000}[unit])
	}
	m.length("om5", one[5], 2)
	m.length("om4", one[6], 2)
	m.length("om3", one[7], 2)
	m.length("om2", one[8], 1)
}

// lanesCMIS reads the eight lanes of a bank: page 0x11.
// What the module does not have is zero.
func (m *Module) lanesCMIS(one, b []byte, scaled func([]byte, int) float64) {
	for i := range 8 {
		flags := func(at int) Crossed {
			return Crossed{laneBit(b[at], i), laneBit(b[at+1], i), laneBit(b[at+2], i), laneBit(b[at+3], i)}
		}
		lane := ModuleLane{Flags: &LaneFlags{
			TxFault: one[29]&1 != 0 && laneBit(b[7], i), TxLOS: one[29]&2 != 0 && laneBit(b[8], i), TxLOL: one[29]&4 != 0 && laneBit(b[9], i),
			TxEqualizer: one[29]&8 != 0 && laneBit(b[10], i), RxLOS: one[30]&2 != 0 && laneBit(b[19], i), RxLOL: one[30]&4 != 0 && laneBit(b[20], i),
		}}
		if one[32]&1 != 0 {
			lane.Bias, lane.Flags.Bias = scaled(b, 42+2*i), flags(15)
		}
		if one[32]&2 != 0 {
			lane.TxPower, lane.Flags.TxPower = power(b, 26+2*i), flags(11)
		}
		if one[32]&4 != 0 {
			lane.RxPower, lane.Flags.RxPower = power(b, 58+2*i), flags(21)
		}
		m.Lanes = append(m.Lanes, lane)
	}
}

// cableLength reads a length in metres whose two upper bits are its power of ten.
func cableLength(v byte) float64 {
	return float64(v&0x3f) * []float64{0.1, 1, 10, 100}[v>>6]
}
