package link

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
	if optical := up[19]>>4 < 0x0a; optical { // the rest are kinds of copper
		m.Wavelength, m.Tolerance = be16(up, 58)/20, be16(up, 60)/200
	} else {
		m.length("copper", up[18], 1)
	}
	m.Vendor, m.OUI, m.Part, m.Revision = vendorText(up[20:36]), up[37:40:40], vendorText(up[40:56]), vendorText(up[56:58])
	m.Serial, m.Date = vendorText(up[68:84]), vendorText(up[84:92])
	m.MaxPower = []float64{1.5, 2, 2.5, 3.5}[up[1]>>6]
	if class := up[1] & 3; class != 0 {
		m.MaxPower = []float64{4, 4.5, 5}[class-1]
	}
	// Old revisions have no bit that says whether it is measured; what is not reads as zero.
	if low[22] == 0 && low[23] == 0 || low[22] == 0xff && low[23] == 0xff {
		return
	}
	t, v := celsius(low, 22), volts(low, 26)
	m.Temperature, m.Voltage, m.RxOMA = &t, &v, up[92]&0x08 == 0
	paged := low[2]&0x04 == 0
	for i := range 4 {
		lane := ModuleLane{Bias: bias(low, 42+2*i), TxPower: power(low, 50+2*i), RxPower: power(low, 34+2*i)}
		if paged {
			nibble := func(at int) Crossed { return flagNibble(low[at+i/2] >> (4 - i%2*4)) }
			lane.Flags = &LaneFlags{Bias: nibble(11), TxPower: nibble(13), RxPower: nibble(9),
				RxLOS: laneBit(low[3], i), TxLOS: laneBit(low[3], i+4), TxFault: laneBit(low[4], i), TxEqualizer: laneBit(low[4], i+4),
				RxLOL: laneBit(low[5], i), TxLOL: laneBit(low[5], i+4)}
		}
		m.Lanes = append(m.Lanes, lane)
	}
	if paged {
		m.Flags = &ModuleFlags{Temperature: flagNibble(low[6] >> 4), Voltage: flagNibble(low[7] >> 4)}
		if third != nil {
			m.Limits = &ModuleLimits{limits(third, 0, celsius), limits(third, 16, volts), limits(third, 56, bias), limits(third, 64, power), limits(third, 48, power)}
		}
	}
}
