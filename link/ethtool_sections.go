package link

import (
	"context"
	"math"

	"github.com/netsonde/netsonde/internal/nl"
)

// Rings are the queues of descriptors between driver and card, in entries
// (ETHTOOL_MSG_RINGS_GET). Nil is what the driver does not have.
type Rings struct {
	RxMax        *uint32     `json:"rx_max,omitzero"`
	RxMiniMax    *uint32     `json:"rx_mini_max,omitzero"`
	RxJumboMax   *uint32     `json:"rx_jumbo_max,omitzero"`
	TxMax        *uint32     `json:"tx_max,omitzero"`
	Rx           *uint32     `json:"rx,omitzero"`
	RxMini       *uint32     `json:"rx_mini,omitzero"`
	RxJumbo      *uint32     `json:"rx_jumbo,omitzero"`
	Tx           *uint32     `json:"tx,omitzero"`
	RxBufLen     *uint32     `json:"rx_buf_len,omitzero"` // bytes
	TCPDataSplit *bool       `json:"tcp_data_split,omitzero"`
	CQESize      *uint32     `json:"cqe_size,omitzero"` // bytes
	TxPush       *bool       `json:"tx_push,omitzero"`
	RxPush       *bool       `json:"rx_push,omitzero"`
	TxPushBuf    *uint32     `json:"tx_push_buf_len,omitzero"`     // bytes
	TxPushBufMax *uint32     `json:"tx_push_buf_len_max,omitzero"` // bytes
	Unknown      []Attribute `json:"unknown,omitzero"`
}

// Channels are the queues with an interrupt of their own
// (ETHTOOL_MSG_CHANNELS_GET). Nil is what the driver does not have.
type Channels struct {
	RxMax       *uint32     `json:"rx_max,omitzero"`
	TxMax       *uint32     `json:"tx_max,omitzero"`
	OtherMax    *uint32     `json:"other_max,omitzero"`
	CombinedMax *uint32     `json:"combined_max,omitzero"`
	Rx          *uint32     `json:"rx,omitzero"`
	Tx          *uint32     `json:"tx,omitzero"`
	Other       *uint32     `json:"other,omitzero"`
	Combined    *uint32     `json:"combined,omitzero"`
	Unknown     []Attribute `json:"unknown,omitzero"`
}

// Coalesce is how long a card waits before it interrupts: until so many
// microseconds, or so many frames (ETHTOOL_MSG_COALESCE_GET). Nil is what the
// driver does not have.
type Coalesce struct {
	RxUsecs         *uint32     `json:"rx_usecs,omitzero"`
	RxFrames        *uint32     `json:"rx_frames,omitzero"`
	RxUsecsIRQ      *uint32     `json:"rx_usecs_irq,omitzero"`
	RxFramesIRQ     *uint32     `json:"rx_frames_irq,omitzero"`
	TxUsecs         *uint32     `json:"tx_usecs,omitzero"`
	TxFrames        *uint32     `json:"tx_frames,omitzero"`
	TxUsecsIRQ      *uint32     `json:"tx_usecs_irq,omitzero"`
	TxFramesIRQ     *uint32     `json:"tx_frames_irq,omitzero"`
	StatsBlockUsecs *uint32     `json:"stats_block_usecs,omitzero"`
	AdaptiveRx      *bool       `json:"adaptive_rx,omitzero"`
	AdaptiveTx      *bool       `json:"adaptive_tx,omitzero"`
	PktRateLow      *uint32     `json:"pkt_rate_low,omitzero"` // packets a second
	RxUsecsLow      *uint32     `json:"rx_usecs_low,omitzero"`
	RxFramesLow     *uint32     `json:"rx_frames_low,omitzero"`
	TxUsecsLow      *uint32     `json:"tx_usecs_low,omitzero"`
	TxFramesLow     *uint32     `json:"tx_frames_low,omitzero"`
	PktRateHigh     *uint32     `json:"pkt_rate_high,omitzero"` // packets a second
	RxUsecsHigh     *uint32     `json:"rx_usecs_high,omitzero"`
	RxFramesHigh    *uint32     `json:"rx_frames_high,omitzero"`
	TxUsecsHigh     *uint32     `json:"tx_usecs_high,omitzero"`
	TxFramesHigh    *uint32     `json:"tx_frames_high,omitzero"`
	SampleInterval  *uint32     `json:"sample_interval,omitzero"` // s
	CQEModeTx       *bool       `json:"cqe_mode_tx,omitzero"`
	CQEModeRx       *bool       `json:"cqe_mode_rx,omitzero"`
	TxAggrMaxBytes  *uint32     `json:"tx_aggr_max_bytes,omitzero"`
	TxAggrMaxFrames *uint32     `json:"tx_aggr_max_frames,omitzero"`
	TxAggrTimeUsecs *uint32     `json:"tx_aggr_time_usecs,omitzero"`
	Unknown         []Attribute `json:"unknown,omitzero"` // profiles of adaptive coalescing
}

// Pause is flow control (ETHTOOL_MSG_PAUSE_GET).
type Pause struct {
	Autoneg  *bool       `json:"autoneg,omitzero"`
	Rx       *bool       `json:"rx,omitzero"`
	Tx       *bool       `json:"tx,omitzero"`
	TxFrames *uint64     `json:"tx_pause_frames,omitzero"`
	RxFrames *uint64     `json:"rx_pause_frames,omitzero"`
	Unknown  []Attribute `json:"unknown,omitzero"`
}

// FEC is forward error correction (ETHTOOL_MSG_FEC_GET). Words are those of link
// modes: "None", "RS", "BASER", "LLRS".
type FEC struct {
	Configured Words  `json:"configured,omitzero"`
	Auto       bool   `json:"auto"`            // the driver chooses
	Active     string `json:"active,omitzero"` // "" is not told or none
	// Counters of blocks and bits, the whole port first, then a lane each.
	Corrected     []uint64    `json:"corrected,omitzero"`
	Uncorrectable []uint64    `json:"uncorrectable,omitzero"`
	CorrectedBits []uint64    `json:"corrected_bits,omitzero"`
	Unknown       []Attribute `json:"unknown,omitzero"`
}

// EEE is Energy-Efficient Ethernet (IEEE 802.3az, ETHTOOL_MSG_EEE_GET).
type EEE struct {
	Enabled    *bool       `json:"enabled,omitzero"`
	Active     *bool       `json:"active,omitzero"` // both sides agreed
	TxLPI      *bool       `json:"tx_lpi,omitzero"`
	TxLPITimer *uint32     `json:"tx_lpi_timer,omitzero"` // µs
	Supported  Words       `json:"supported,omitzero"`
	Advertised Words       `json:"advertised,omitzero"`
	Partner    Words       `json:"partner,omitzero"`
	Unknown    []Attribute `json:"unknown,omitzero"`
}

// Timestamping is what can stamp packets (ETHTOOL_MSG_TSINFO_GET).
type Timestamping struct {
	Capabilities Words       `json:"capabilities,omitzero"` // "software-transmit", "hardware-receive" …
	PHC          *uint32     `json:"phc_index,omitzero"`    // n of /dev/ptpN; nil: none
	TxTypes      Words       `json:"tx_types,omitzero"`
	RxFilters    Words       `json:"rx_filters,omitzero"`
	Unknown      []Attribute `json:"unknown,omitzero"` // counters of stamps, other providers
}

// field is where an attribute goes: one of **uint32, **bool, **uint64.
type field struct {
	typ uint16
	to  any
}

// fillFields stores the attributes of a section.
func fillFields(b []byte, fields []field, unknown *[]Attribute) {
	for a := nl.NewAttrs(b); a.Next(); {
		ok := a.Type == 1 || a.Type == 0
		for _, f := range fields {
			if f.typ == a.Type {
				ok = fillOne(f.to, a.Data)
				break
			}
		}
		if !ok {
			*unknown = append(*unknown, a.Keep())
		}
	}
}

func fillOne(to any, b []byte) bool {
	switch p := to.(type) {
	case **uint32:
		return setPointer(p, b)
	case **bool:
		v, ok := nl.U8(b)
		if ok {
			on := v != 0
			*p = &on
		}
		return ok
	case *func([]byte):
		(*p)(b)
		return true
	}
	return false
}

// Rings asks for the sizes of the queues.
func (d *Device) Rings(ctx context.Context) (r Rings, err error) {
	err = d.ask(ctx, msgRingsGet, nil, func(b []byte) error { r = parseRings(b); return nil },
		func() (err error) { r, err = d.ioctlRings(); return err })
	return r, d.failed("rings", err)
}

func parseRings(b []byte) (r Rings) {
	var split *uint32
	special := func(b []byte) {
		if v, ok := nl.U8(b); ok && v > 0 { // 0 is unknown, 1 off, 2 on
			w := uint32(v)
			split = &w
		}
	}
	fillFields(b, []field{
		{2, &r.RxMax}, {3, &r.RxMiniMax}, {4, &r.RxJumboMax}, {5, &r.TxMax}, {6, &r.Rx}, {7, &r.RxMini}, {8, &r.RxJumbo}, {9, &r.Tx},
		{10, &r.RxBufLen}, {11, &special}, {12, &r.CQESize}, {13, &r.TxPush}, {14, &r.RxPush}, {15, &r.TxPushBuf}, {16, &r.TxPushBufMax},
	}, &r.Unknown)
	if split != nil {
		on := *split == 2
		r.TCPDataSplit = &on
	}
	return r
}

// Channels asks for the number of queues.
func (d *Device) Channels(ctx context.Context) (c Channels, err error) {
	err = d.ask(ctx, msgChannelsGet, nil, func(b []byte) error { c = parseChannels(b); return nil },
		func() (err error) { c, err = d.ioctlChannels(); return err })
	return c, d.failed("channels", err)
}

func parseChannels(b []byte) (c Channels) {
	fillFields(b, []field{
		{2, &c.RxMax}, {3, &c.TxMax}, {4, &c.OtherMax}, {5, &c.CombinedMax}, {6, &c.Rx}, {7, &c.Tx}, {8, &c.Other}, {9, &c.Combined},
	}, &c.Unknown)
	return c
}

// Coalesce asks for interrupt moderation.
func (d *Device) Coalesce(ctx context.Context) (c Coalesce, err error) {
	err = d.ask(ctx, msgCoalesceGet, nil, func(b []byte) error { c = parseCoalesce(b); return nil },
		func() (err error) { c, err = d.ioctlCoalesce(); return err })
	return c, d.failed("coalesce", err)
}

func parseCoalesce(b []byte) (c Coalesce) {
	fillFields(b, []field{
		{2, &c.RxUsecs}, {3, &c.RxFrames}, {4, &c.RxUsecsIRQ}, {5, &c.RxFramesIRQ}, {6, &c.TxUsecs}, {7, &c.TxFrames},
		{8, &c.TxUsecsIRQ}, {9, &c.TxFramesIRQ}, {10, &c.StatsBlockUsecs}, {11, &c.AdaptiveRx}, {12, &c.AdaptiveTx},
		{13, &c.PktRateLow}, {14, &c.RxUsecsLow}, {15, &c.RxFramesLow}, {16, &c.TxUsecsLow}, {17, &c.TxFramesLow},
		{18, &c.PktRateHigh}, {19, &c.RxUsecsHigh}, {20, &c.RxFramesHigh}, {21, &c.TxUsecsHigh}, {22, &c.TxFramesHigh},
		{23, &c.SampleInterval}, {24, &c.CQEModeTx}, {25, &c.CQEModeRx}, {26, &c.TxAggrMaxBytes}, {27, &c.TxAggrMaxFrames},
		{28, &c.TxAggrTimeUsecs},
	}, &c.Unknown)
	return c
}

// Pause asks for flow control and its counters.
func (d *Device) Pause(ctx context.Context) (p Pause, err error) {
	err = d.ask(ctx, msgPauseGet, d.header(nil, 1, flagCompact|flagStats), func(b []byte) error { p = parsePause(b); return nil },
		func() (err error) { p, err = d.ioctlPause(); return err })
	return p, d.failed("pause", err)
}

func parsePause(b []byte) (p Pause) {
	stats := func(b []byte) {
		for a := nl.NewAttrs(b); a.Next(); {
			v, ok := nl.U64(a.Data)
			switch {
			case !ok || v == math.MaxUint64: // not counted
			case a.Type == 2:
				p.TxFrames = &v
			case a.Type == 3:
				p.RxFrames = &v
			}
		}
	}
	fillFields(b, []field{{2, &p.Autoneg}, {3, &p.Rx}, {4, &p.Tx}, {5, &stats}}, &p.Unknown)
	return p
}

// FEC asks for forward error correction and its counters.
func (d *Device) FEC(ctx context.Context) (f FEC, err error) {
	names, err := d.nameSet(ctx, setLinkModes)
	if err == nil {
		err = d.ask(ctx, msgFECGet, d.header(nil, 1, flagCompact|flagStats), func(b []byte) error { f = parseFEC(b, names); return nil },
			func() (err error) { f, err = d.ioctlFEC(); return err })
	}
	return f, d.failed("fec", err)
}

func parseFEC(b []byte, names []string) (f FEC) {
	var auto *bool
	modes := func(b []byte) {
		set := parseBitset(b)
		f.Configured = set.words(set.value, names)
	}
	active := func(b []byte) {
		if v, ok := nl.U32(b); ok {
			var set bitset
			f.Active = set.words([]uint32{v}, names)[0]
		}
	}
	stats := func(b []byte) {
		for a := nl.NewAttrs(b); a.Next(); {
			switch a.Type {
			case 2:
				f.Corrected = counters64(a.Data)
			case 3:
				f.Uncorrectable = counters64(a.Data)
			case 4:
				f.CorrectedBits = counters64(a.Data)
			}
		}
	}
	fillFields(b, []field{{2, &modes}, {3, &auto}, {4, &active}, {5, &stats}}, &f.Unknown)
	f.Auto = auto != nil && *auto
	return f
}

func counters64(b []byte) (list []uint64) {
	for ; len(b) >= 8; b = b[8:] {
		list = append(list, host.Uint64(b))
	}
	return list
}

// EEE asks for Energy-Efficient Ethernet.
func (d *Device) EEE(ctx context.Context) (e EEE, err error) {
	names, err := d.nameSet(ctx, setLinkModes)
	if err == nil {
		err = d.ask(ctx, msgEEEGet, nil, func(b []byte) error { e = parseEEE(b, names); return nil },
			func() (err error) { e, err = d.ioctlEEE(names); return err })
	}
	return e, d.failed("eee", err)
}

func parseEEE(b []byte, names []string) (e EEE) {
	ours := func(b []byte) {
		set := parseBitset(b)
		e.Supported, e.Advertised = set.words(set.mask, names), set.words(set.value, names)
	}
	peer := func(b []byte) {
		set := parseBitset(b)
		e.Partner = set.words(set.value, names)
	}
	fillFields(b, []field{{2, &ours}, {3, &peer}, {4, &e.Active}, {5, &e.Enabled}, {6, &e.TxLPI}, {7, &e.TxLPITimer}}, &e.Unknown)
	return e
}

// Timestamping asks who can stamp packets.
func (d *Device) Timestamping(ctx context.Context) (t Timestamping, err error) {
	var names [3][]string
	for i, set := range []uint32{setTimestamp, setTxTypes, setRxFilters} {
		if names[i], err = d.nameSet(ctx, set); err != nil {
			return t, d.failed("timestamping", err)
		}
	}
	err = d.ask(ctx, msgTSInfoGet, nil, func(b []byte) error { t = parseTimestamping(b, names); return nil },
		func() (err error) { t, err = d.ioctlTimestamping(names); return err })
	return t, d.failed("timestamping", err)
}

func parseTimestamping(b []byte, names [3][]string) (t Timestamping) {
	words := func(to *Words, names []string) *func([]byte) {
		f := func(b []byte) {
			set := parseBitset(b)
			*to = set.words(set.value, names)
		}
		return &f
	}
	fillFields(b, []field{
		{2, words(&t.Capabilities, names[0])}, {3, words(&t.TxTypes, names[1])}, {4, words(&t.RxFilters, names[2])}, {5, &t.PHC},
	}, &t.Unknown)
	return t
}
