package link

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"syscall"

	"github.com/netsonde/netsonde/internal/nl"
)

// Commands of SIOCETHTOOL (linux/ethtool.h, ETHTOOL_G*).
const (
	ioctlDriverInfo   = 0x03
	ioctlGetWOL       = 0x05
	ioctlGetMessages  = 0x07
	ioctlGetLink      = 0x0a
	ioctlGetCoalesce  = 0x0e
	ioctlGetRings     = 0x10
	ioctlGetPause     = 0x12
	ioctlGetStrings   = 0x1b
	ioctlGetStats     = 0x1d
	ioctlGetPrivFlags = 0x27
	ioctlGetSetInfo   = 0x37
	ioctlGetFeatures  = 0x3a
	ioctlGetChannels  = 0x3c
	ioctlGetTSInfo    = 0x41
	ioctlModuleInfo   = 0x42
	ioctlModuleEEPROM = 0x43
	ioctlGetEEE       = 0x44
	ioctlGetLinkSet   = 0x4c
	ioctlGetFEC       = 0x50
)

const stringLen = 32 // ETH_GSTRING_LEN

var host = binary.NativeEndian

// call does one command on a structure of n bytes, whose second word is arg.
func (d *Device) call(cmd uint32, arg uint32, n int) ([]byte, error) {
	b := make([]byte, max(n, 8))
	host.PutUint32(b, cmd)
	host.PutUint32(b[4:], arg)
	return b, d.kernel.IOCtl(b)
}

// words32At returns n words that begin at a byte.
func words32At(b []byte, at, n int) []uint32 {
	list := make([]uint32, n)
	for i := range list {
		list[i] = host.Uint32(b[at+4*i:])
	}
	return list
}

func (d *Device) ioctlFlag(cmd uint32) (bool, error) {
	b, err := d.call(cmd, 0, 8)
	return err == nil && host.Uint32(b[4:]) != 0, err
}

// ioctlLinkSettings is ETHTOOL_GLINKSETTINGS (Linux 4.6): the first call tells
// how many words a mask has.
func (d *Device) ioctlLinkSettings() (b []byte, words int, err error) {
	const fixed = 48
	b, err = d.call(ioctlGetLinkSet, 0, fixed)
	if err != nil {
		return nil, 0, err
	}
	words = -int(int8(b[15]))
	if words <= 0 {
		return nil, 0, syscall.EOPNOTSUPP
	}
	b = make([]byte, fixed+3*4*words)
	host.PutUint32(b, ioctlGetLinkSet)
	b[15] = byte(words)
	if err = d.kernel.IOCtl(b); err == nil && int(int8(b[15])) != words {
		err = syscall.EPROTO
	}
	return b, words, err
}

func (d *Device) ioctlLinkModes(names []string) (m LinkModes, err error) {
	b, n, err := d.ioctlLinkSettings()
	if err != nil {
		return m, err
	}
	m.Speed, m.Duplex, m.Autoneg = speedOf(host.Uint32(b[4:])), Duplex(b[8]+1), b[11] == 1
	m.MasterSlave, m.MasterState, m.RateMatching = MasterSlave(b[17]), MasterState(b[18]), RateMatching(b[19])
	var set bitset
	mask := func(i int) Words { return set.words(indices(b[48+4*n*i:48+4*n*(i+1)]), names) }
	m.Supported, m.Advertised, m.Partner = mask(0), mask(1), mask(2)
	return m, nil
}

func (d *Device) ioctlLinkInfo() (i LinkInfo, err error) {
	b, _, err := d.ioctlLinkSettings()
	if err != nil {
		return i, err
	}
	return LinkInfo{Port: Port(b[9] + 1), PHYAddr: b[10], MDIX: MDIX(b[13]), MDIXCtrl: MDIX(b[14]), Transceiver: Transceiver(b[16])}, nil
}

// wordBits returns the set bits of one word.
func wordBits(w uint32) []uint32 { return indices(host.AppendUint32(nil, w)) }

func (d *Device) ioctlWOL(names []string) (w WakeOnLAN, err error) {
	b, err := d.call(ioctlGetWOL, 0, 20)
	if err != nil {
		return w, err
	}
	var set bitset
	w.Supported = append(Words{}, set.words(wordBits(host.Uint32(b[4:])), names)...)
	w.Enabled = append(Words{}, set.words(wordBits(host.Uint32(b[8:])), names)...)
	if w.Supported.Has("magicsecure") {
		w.Password = slices.Clone(b[12:18])
	}
	return w, nil
}

func (d *Device) ioctlMessages(m *MessageLevel, names []string) error {
	b, err := d.call(ioctlGetMessages, 0, 8)
	if err == nil {
		var set bitset
		m.Mask = host.Uint32(b[4:])
		m.Words = set.words(wordBits(m.Mask), names)
	}
	return err
}

// told returns pointers to values that may be left out when all are zero in
// this structure: ioctl cannot say "not there".
func told(list []uint32, to ...**uint32) {
	for i, p := range to {
		if p != nil {
			v := list[i]
			*p = &v
		}
	}
}

func toldBool(v uint32) *bool {
	on := v != 0
	return &on
}

// pair drops a limit and its value where the limit is zero: as over netlink, the
// driver does not have such a queue.
func pair(limit, value **uint32) {
	if *limit != nil && **limit == 0 {
		*limit, *value = nil, nil
	}
}

func (d *Device) ioctlRings() (r Rings, err error) {
	b, err := d.call(ioctlGetRings, 0, 36)
	if err == nil {
		told(words32At(b, 4, 8), &r.RxMax, &r.RxMiniMax, &r.RxJumboMax, &r.TxMax, &r.Rx, &r.RxMini, &r.RxJumbo, &r.Tx)
		pair(&r.RxMax, &r.Rx)
		pair(&r.RxMiniMax, &r.RxMini)
		pair(&r.RxJumboMax, &r.RxJumbo)
		pair(&r.TxMax, &r.Tx)
	}
	return r, err
}

func (d *Device) ioctlChannels() (c Channels, err error) {
	b, err := d.call(ioctlGetChannels, 0, 36)
	if err == nil {
		told(words32At(b, 4, 8), &c.RxMax, &c.TxMax, &c.OtherMax, &c.CombinedMax, &c.Rx, &c.Tx, &c.Other, &c.Combined)
		pair(&c.RxMax, &c.Rx)
		pair(&c.TxMax, &c.Tx)
		pair(&c.OtherMax, &c.Other)
		pair(&c.CombinedMax, &c.Combined)
	}
	return c, err
}

// ioctlCoalesce has no way to tell zero from "does not have".
func (d *Device) ioctlCoalesce() (c Coalesce, err error) {
	b, err := d.call(ioctlGetCoalesce, 0, 92)
	if err == nil {
		w := words32At(b, 4, 22)
		c.AdaptiveRx, c.AdaptiveTx = toldBool(w[9]), toldBool(w[10])
		told(w, &c.RxUsecs, &c.RxFrames, &c.RxUsecsIRQ, &c.RxFramesIRQ, &c.TxUsecs, &c.TxFrames, &c.TxUsecsIRQ, &c.TxFramesIRQ,
			&c.StatsBlockUsecs, nil, nil, &c.PktRateLow, &c.RxUsecsLow, &c.RxFramesLow, &c.TxUsecsLow, &c.TxFramesLow,
			&c.PktRateHigh, &c.RxUsecsHigh, &c.RxFramesHigh, &c.TxUsecsHigh, &c.TxFramesHigh, &c.SampleInterval)
	}
	return c, err
}

func (d *Device) ioctlPause() (p Pause, err error) {
	b, err := d.call(ioctlGetPause, 0, 16)
	if err == nil {
		w := words32At(b, 4, 3)
		p.Autoneg, p.Rx, p.Tx = toldBool(w[0]), toldBool(w[1]), toldBool(w[2])
	}
	return p, err
}

// ioctlEEE has the first 32 link modes only.
func (d *Device) ioctlEEE(names []string) (e EEE, err error) {
	b, err := d.call(ioctlGetEEE, 0, 40)
	if err == nil {
		var set bitset
		w := words32At(b, 4, 7)
		mask := func(i int) Words { return set.words(wordBits(w[i]), names) }
		e = EEE{Supported: mask(0), Advertised: mask(1), Partner: mask(2), Active: toldBool(w[3]), Enabled: toldBool(w[4]), TxLPI: toldBool(w[5]), TxLPITimer: &w[6]}
	}
	return e, err
}

// ioctlFEC puts ETHTOOL_FEC_* into the words of link modes.
func (d *Device) ioctlFEC() (f FEC, err error) {
	b, err := d.call(ioctlGetFEC, 0, 16)
	if err != nil {
		return f, err
	}
	const auto = 1
	words := []string{2: "None", 3: "RS", 4: "BASER", 5: "LLRS"}
	for _, i := range wordBits(host.Uint32(b[8:])) {
		switch {
		case i == auto:
			f.Auto = true
		case i != 0: // ETHTOOL_FEC_NONE: it cannot be set
			f.Configured = append(f.Configured, at(words, int(i), "bit"))
		}
	}
	for _, i := range wordBits(host.Uint32(b[4:])) {
		if i > auto {
			f.Active = at(words, int(i), "bit")
		}
	}
	return f, nil
}

func (d *Device) ioctlTimestamping(names [3][]string) (t Timestamping, err error) {
	b, err := d.call(ioctlGetTSInfo, 0, 44)
	if err != nil {
		return t, err
	}
	var set bitset
	w := words32At(b, 4, 7)
	t.Capabilities, t.TxTypes, t.RxFilters = set.words(wordBits(w[0]), names[0]), set.words(wordBits(w[2]), names[1]), set.words(wordBits(w[6]), names[2])
	if w[1] != math.MaxUint32 {
		t.PHC = &w[1]
	}
	return t, nil
}

func (d *Device) ioctlPrivateFlags(names []string) (list []PrivateFlag, err error) {
	b, err := d.call(ioctlGetPrivFlags, 0, 8)
	if err != nil {
		return nil, err
	}
	for i, name := range names[:min(len(names), 32)] {
		list = append(list, PrivateFlag{name, host.Uint32(b[4:])&(1<<i) != 0})
	}
	return list, nil
}

func (d *Device) ioctlFeatures(names []string) ([]Feature, error) {
	blocks := (len(names) + 31) / 32
	b, err := d.call(ioctlGetFeatures, uint32(blocks), 8+16*blocks)
	if err != nil {
		return nil, err
	}
	var sets [4][]byte
	for i := range min(blocks, int(host.Uint32(b[4:]))) {
		for s := range sets {
			sets[s] = append(sets[s], b[8+16*i+4*s:][:4]...)
		}
	}
	return features(names, indices(sets[0]), indices(sets[1]), indices(sets[2]), indices(sets[3])), nil
}

// setSize asks how many strings a set has (ETHTOOL_GSSET_INFO).
func (d *Device) setSize(set uint32) (uint32, error) {
	b := make([]byte, 20)
	host.PutUint32(b, ioctlGetSetInfo)
	host.PutUint64(b[8:], 1<<set)
	if err := d.kernel.IOCtl(b); err != nil {
		return 0, err
	}
	if host.Uint64(b[8:])&(1<<set) == 0 {
		return 0, syscall.EOPNOTSUPP
	}
	n := host.Uint32(b[16:])
	if n > maxStrings {
		return 0, syscall.EOVERFLOW
	}
	return n, nil
}

// room is for how many strings and counters there is space when n were announced.
// Kernels before 6.15 write what there is by now, which is more than they announced
// when queues were added since: space for many costs little, a write beyond it
// could not be noticed.
func room(n int) int { return 4*n + 4096 }

func (d *Device) ioctlStrings(set uint32) ([]string, error) {
	n, err := d.setSize(set)
	if err != nil || n == 0 {
		return nil, err
	}
	b := make([]byte, 12+stringLen*room(int(n)))
	host.PutUint32(b, ioctlGetStrings)
	host.PutUint32(b[4:], set)
	host.PutUint32(b[8:], n)
	if err := d.kernel.IOCtl(b); err != nil {
		return nil, err
	}
	if host.Uint32(b[8:]) != n { // there are more or fewer by now
		return nil, syscall.EAGAIN
	}
	names := make([]string, n)
	for i := range names {
		names[i] = nl.Text(b[12+stringLen*i:][:stringLen])
	}
	return names, nil
}

// DriverInfo is the driver and where its card is (ETHTOOL_GDRVINFO). Text is the
// driver's and may be anything.
type DriverInfo struct {
	Driver       string `json:"driver"`
	Version      string `json:"version"`
	Firmware     string `json:"firmware_version"`
	ExpansionROM string `json:"expansion_rom_version"`
	Bus          string `json:"bus_info"` // such as a PCI address
	PrivateFlags uint32 `json:"private_flags"`
	Stats        uint32 `json:"stats"`         // how many counters of its own
	TestLen      uint32 `json:"tests"`         // how many self-tests
	EEPROMLen    uint32 `json:"eeprom_len"`    // bytes
	RegistersLen uint32 `json:"registers_len"` // bytes
}

// Driver asks for the driver; there is no netlink message for it.
func (d *Device) Driver(ctx context.Context) (DriverInfo, error) {
	if ctx.Err() != nil {
		return DriverInfo{}, d.failed("driver", context.Cause(ctx))
	}
	b, err := d.call(ioctlDriverInfo, 0, 196)
	if err != nil {
		return DriverInfo{}, d.failed("driver", err)
	}
	text := func(at int) string { return nl.Text(b[at : at+32]) }
	w := words32At(b, 176, 5)
	return DriverInfo{
		Driver: text(4), Version: text(36), Firmware: text(68), Bus: text(100), ExpansionROM: text(132),
		PrivateFlags: w[0], Stats: w[1], TestLen: w[2], EEPROMLen: w[3], RegistersLen: w[4],
	}, nil
}

// Stat is a counter of a driver. Names are the driver's: they may be padded,
// doubled, or no UTF-8.
type Stat struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// DriverStats asks for the driver's own counters, in its order; there is no
// netlink message for them. A driver without is [errors.ErrUnsupported]. Names
// and values are read one after the other, and again when their number has
// changed in between.
func (d *Device) DriverStats(ctx context.Context) ([]Stat, error) {
	const tries = 5
	var list []Stat
	err := error(syscall.EAGAIN)
	for range tries {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
			break
		}
		if list, err = d.driverStats(); err != syscall.EAGAIN {
			break
		}
	}
	return list, d.failed("driver stats", err)
}

func (d *Device) driverStats() ([]Stat, error) {
	names, err := d.ioctlStrings(setStats)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, syscall.EOPNOTSUPP
	}
	b, err := d.call(ioctlGetStats, uint32(len(names)), 8+8*room(len(names)))
	if err != nil {
		return nil, err
	}
	// The kernel counts anew and says what it wrote.
	if n, err := d.setSize(setStats); err != nil || int(n) != len(names) || host.Uint32(b[4:]) != n {
		return nil, syscall.EAGAIN
	}
	list := make([]Stat, len(names))
	for i, name := range names {
		list[i] = Stat{name, host.Uint64(b[8+8*i:])}
	}
	return list, nil
}
