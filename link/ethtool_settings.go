package link

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/internal/nl"
)

// Settings are what `ethtool IF` shows. Nil is a section that could not be had;
// Errors says why.
type Settings struct {
	Index    int           `json:"ifindex"`
	Name     string        `json:"ifname"`
	Modes    *LinkModes    `json:"link_modes,omitzero"`
	Info     *LinkInfo     `json:"link_info,omitzero"`
	State    *LinkState    `json:"link_state,omitzero"`
	Wake     *WakeOnLAN    `json:"wake_on_lan,omitzero"` // needs CAP_NET_ADMIN
	Messages *MessageLevel `json:"messages,omitzero"`
	Errors   Errors        `json:"errors,omitzero"`
}

// Words are the kernel's words for the bits of a set, lowest bit first. A bit
// that it has no word for is "bit130".
type Words []string

// Has reports whether a word is among them.
func (w Words) Has(word string) bool { return slices.Contains(w, word) }

// LinkModes is how a port talks, could talk, and what it offers to its partner
// (ETHTOOL_MSG_LINKMODES_GET). The sets hold more than modes, as in the kernel:
// "Autoneg", the ports "TP", "MII", "FIBRE" …, "Pause", "Asym_Pause", "None", "RS",
// "BASER" and "LLRS" for forward error correction. [Words.Modes] and its
// neighbours tell them apart.
type LinkModes struct {
	Speed   Speed  `json:"speed"` // Mb/s
	Duplex  Duplex `json:"duplex"`
	Autoneg bool   `json:"autoneg"`
	// Virtual says that speed and duplex mode are made up: see Device.Virtual.
	Virtual bool `json:"virtual"`

	Supported  Words `json:"supported,omitzero"`
	Advertised Words `json:"advertised,omitzero"`
	Partner    Words `json:"partner,omitzero"` // nil: not told

	Lanes        uint32       `json:"lanes,omitzero"`
	MasterSlave  MasterSlave  `json:"master_slave_cfg,omitzero"` // what was asked for
	MasterState  MasterState  `json:"master_slave_state,omitzero"`
	RateMatching RateMatching `json:"rate_matching,omitzero"`

	Unknown []Attribute `json:"unknown,omitzero"`
}

// Speed is a speed in Mb/s, 0 for unknown. In JSON it is a number or "unknown".
type Speed uint32

// String returns "1000Mb/s" or "unknown".
func (s Speed) String() string {
	if s == 0 {
		return "unknown"
	}
	return strconv.FormatUint(uint64(s), 10) + "Mb/s"
}

// MarshalJSON implements [json.Marshaler].
func (s Speed) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte(`"unknown"`), nil
	}
	return strconv.AppendUint(nil, uint64(s), 10), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Speed) UnmarshalJSON(b []byte) error {
	if string(b) == `"unknown"` {
		*s = 0
		return nil
	}
	return json.Unmarshal(b, (*uint32)(s))
}

// speedOf reads SPEED_UNKNOWN, which is -1, and its 16-bit form of old drivers.
func speedOf(v uint32) Speed {
	if v == math.MaxUint32 || v == math.MaxUint16 {
		return 0
	}
	return Speed(v)
}

// ModeKind is what a word of a set of link modes is about.
type ModeKind uint8

// The kinds.
const (
	ModeLink    ModeKind = iota // a mode proper: speed, medium, duplex
	ModeAutoneg                 //
	ModePort                    //
	ModePause                   // flow control
	ModeFEC                     // forward error correction
)

// modeKinds are the words that are no modes.
func modeKind(word string) ModeKind {
	switch word {
	case "Autoneg":
		return ModeAutoneg
	case "TP", "AUI", "MII", "FIBRE", "BNC", "Backplane":
		return ModePort
	case "Pause", "Asym_Pause":
		return ModePause
	case "None", "RS", "BASER", "LLRS":
		return ModeFEC
	}
	return ModeLink
}

// Kind returns the words of one kind.
func (w Words) Kind(k ModeKind) Words {
	var of Words
	for _, word := range w {
		if modeKind(word) == k {
			of = append(of, word)
		}
	}
	return of
}

// Modes returns the link modes proper, such as "1000baseT/Full".
func (w Words) Modes() Words { return w.Kind(ModeLink) }

// ModeSpeed reads a link mode: "100baseT/Half" is 100 Mb/s, half duplex.
func ModeSpeed(mode string) (Speed, Duplex, bool) {
	digits := len(mode) - len(strings.TrimLeft(mode, "0123456789"))
	v, err := strconv.ParseUint(mode[:digits], 10, 31)
	if err != nil || !strings.HasPrefix(mode[digits:], "base") {
		return 0, 0, false
	}
	switch {
	case strings.HasSuffix(mode, "/Half"):
		return Speed(v), DuplexHalf, true
	case strings.HasSuffix(mode, "/Full"):
		return Speed(v), DuplexFull, true
	}
	return Speed(v), DuplexUnknown, true
}

// LinkInfo is where the cable goes in (ETHTOOL_MSG_LINKINFO_GET).
type LinkInfo struct {
	Port        Port        `json:"port"`
	PHYAddr     uint8       `json:"phyad"` // address of the PHY on the MDIO bus
	Transceiver Transceiver `json:"transceiver"`
	MDIX        MDIX        `json:"mdix"`      // what is: mdi, mdi_x, or unknown
	MDIXCtrl    MDIX        `json:"mdix_ctrl"` // what was asked for; unknown: cannot be set
	Unknown     []Attribute `json:"unknown,omitzero"`
}

// LinkState is whether there is a link (ETHTOOL_MSG_LINKSTATE_GET).
type LinkState struct {
	Detected bool    `json:"link_detected"`
	SQI      *uint32 `json:"sqi,omitzero"`     // signal quality index, of SQIMax
	SQIMax   *uint32 `json:"sqi_max,omitzero"` //
	// ExtState says why there is none, ExtSubstate what exactly: one of the
	// ETHTOOL_LINK_EXT_SUBSTATE_* of that state. "" is not told.
	ExtState    string      `json:"ext_state,omitzero"`
	ExtSubstate string      `json:"ext_substate,omitzero"`
	DownCount   *uint32     `json:"ext_down_count,omitzero"` // how often the PHY lost the link (Linux 6.2)
	Unknown     []Attribute `json:"unknown,omitzero"`
}

// WakeOnLAN is what wakes the machine (ETHTOOL_MSG_WOL_GET): the words are "phy",
// "ucast", "mcast", "bcast", "arp", "magic", "magicsecure" and "filter". Reading it needs
// CAP_NET_ADMIN.
type WakeOnLAN struct {
	Supported Words `json:"supported"`
	Enabled   Words `json:"enabled"`
	Password  Hex   `json:"-"` // SecureOn, six bytes; a secret, so not in JSON
}

// MessageLevel is what the driver writes to the kernel's log
// (ETHTOOL_MSG_DEBUG_GET, NETIF_MSG_*).
type MessageLevel struct {
	Mask  uint32 `json:"mask"`
	Words Words  `json:"words,omitzero"` // "drv", "probe", "link" …
}

// LinkModes asks for speed, duplex mode and link modes.
func (d *Device) LinkModes(ctx context.Context) (LinkModes, error) {
	modes, err := d.nameSet(ctx, setLinkModes)
	m := LinkModes{}
	if err == nil {
		err = d.ask(ctx, msgLinkModesGet, nil, func(b []byte) error { m = parseLinkModes(b, modes); return nil },
			func() (err error) { m, err = d.ioctlLinkModes(modes); return err })
	}
	m.Virtual = d.virtual
	return m, d.failed("link modes", err)
}

// LinkInfo asks for the port and the transceiver.
func (d *Device) LinkInfo(ctx context.Context) (i LinkInfo, err error) {
	err = d.ask(ctx, msgLinkInfoGet, nil, func(b []byte) error { i = parseLinkInfo(b); return nil },
		func() (err error) { i, err = d.ioctlLinkInfo(); return err })
	return i, d.failed("link info", err)
}

// LinkState asks whether there is a link.
func (d *Device) LinkState(ctx context.Context) (s LinkState, err error) {
	err = d.ask(ctx, msgLinkStateGet, nil, func(b []byte) (err error) { s, err = parseLinkState(b); return err },
		func() (err error) { s.Detected, err = d.ioctlFlag(ioctlGetLink); return err })
	return s, d.failed("link state", err)
}

// WakeOnLAN asks what wakes the machine; it needs CAP_NET_ADMIN.
func (d *Device) WakeOnLAN(ctx context.Context) (w WakeOnLAN, err error) {
	names, err := d.nameSet(ctx, setWOL)
	if err == nil {
		err = d.ask(ctx, msgWOLGet, nil, func(b []byte) error { w = parseWOL(b, names); return nil },
			func() (err error) { w, err = d.ioctlWOL(names); return err })
	}
	return w, d.failed("wake on lan", needAdmin(err))
}

// MessageLevel asks what the driver logs.
func (d *Device) MessageLevel(ctx context.Context) (m MessageLevel, err error) {
	names, err := d.nameSet(ctx, setMessages)
	if err == nil {
		err = d.ask(ctx, msgDebugGet, nil, func(b []byte) error { m = parseMessages(b, names); return nil },
			func() error { return d.ioctlMessages(&m, names) })
	}
	return m, d.failed("message level", err)
}

func parseLinkModes(b []byte, names []string) LinkModes {
	var m LinkModes
	for a := nl.NewAttrs(b); a.Next(); {
		ok := true
		switch a.Type {
		case 1:
		case 2:
			ok = nl.SetBool(&m.Autoneg, a.Data)
		case 3:
			set := parseBitset(a.Data)
			m.Supported, m.Advertised = set.words(set.mask, names), set.words(set.value, names)
		case 4:
			set := parseBitset(a.Data)
			m.Partner = set.words(set.value, names)
		case 5:
			var v uint32
			ok = nl.Set32(&v, a.Data)
			m.Speed = speedOf(v)
		case 6:
			ok = setPlusOne(&m.Duplex, a.Data)
		case 7:
			ok = nl.Set8(&m.MasterSlave, a.Data)
		case 8:
			ok = nl.Set8(&m.MasterState, a.Data)
		case 9:
			ok = nl.Set32(&m.Lanes, a.Data)
		case 10:
			ok = nl.Set8(&m.RateMatching, a.Data)
		default:
			ok = false
		}
		if !ok {
			m.Unknown = append(m.Unknown, a.Keep())
		}
	}
	return m
}

// setPlusOne stores a byte whose 255 is "unknown" so that unknown is zero.
func setPlusOne[T ~uint8](p *T, b []byte) bool {
	v, ok := nl.U8(b)
	if ok {
		*p = T(v + 1)
	}
	return ok
}

func parseLinkInfo(b []byte) LinkInfo {
	var i LinkInfo
	for a := nl.NewAttrs(b); a.Next(); {
		ok := true
		switch a.Type {
		case 1:
		case 2:
			ok = setPlusOne(&i.Port, a.Data)
		case 3:
			ok = nl.Set8(&i.PHYAddr, a.Data)
		case 4:
			ok = nl.Set8(&i.MDIX, a.Data)
		case 5:
			ok = nl.Set8(&i.MDIXCtrl, a.Data)
		case 6:
			ok = nl.Set8(&i.Transceiver, a.Data)
		default:
			ok = false
		}
		if !ok {
			i.Unknown = append(i.Unknown, a.Keep())
		}
	}
	return i
}

// parseLinkState fails when the driver cannot tell whether there is a link.
func parseLinkState(b []byte) (LinkState, error) {
	var s LinkState
	var state, sub uint8
	var told, has, hasSub bool
	for a := nl.NewAttrs(b); a.Next(); {
		ok := true
		switch a.Type {
		case 1:
		case 2:
			told = nl.SetBool(&s.Detected, a.Data)
			ok = told
		case 3:
			ok = setPointer(&s.SQI, a.Data)
		case 4:
			ok = setPointer(&s.SQIMax, a.Data)
		case 5:
			has = nl.Set8(&state, a.Data)
			ok = has
		case 6:
			hasSub = nl.Set8(&sub, a.Data)
			ok = hasSub
		case 7:
			ok = setPointer(&s.DownCount, a.Data)
		default:
			ok = false
		}
		if !ok {
			s.Unknown = append(s.Unknown, a.Keep())
		}
	}
	if has {
		s.ExtState = at(extStates, int(state), "state")
	}
	if hasSub && has {
		var of []string
		if int(state) < len(extSubstates) {
			of = extSubstates[state]
		}
		s.ExtSubstate = at(of, int(sub), "substate")
	}
	if !told {
		return s, syscall.EOPNOTSUPP
	}
	return s, nil
}

// at returns a word of a table, "typ(42)" where it has none.
func at(names []string, i int, typ string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", typ, i)
}

// extStates are ETHTOOL_LINK_EXT_STATE_*.
var extStates = []string{
	"autoneg", "link_training_failure", "link_logical_mismatch", "bad_signal_integrity", "no_cable", "cable_issue",
	"eeprom_issue", "calibration_failure", "power_budget_exceeded", "overheat", "module", "otp_speed_violation",
	"bmc_request_down",
}

// extSubstates are ETHTOOL_LINK_EXT_SUBSTATE_* by state.
var extSubstates = [][]string{
	0: {"", "no_partner_detected", "ack_not_received", "next_page_exchange_failed", "no_partner_detected_force_mode",
		"fec_mismatch_during_override", "no_hcd"},
	1: {"", "kr_frame_lock_not_acquired", "kr_link_inhibit_timeout", "kr_link_partner_did_not_set_receiver_ready", "remote_fault"},
	2: {"", "pcs_did_not_acquire_block_lock", "pcs_did_not_acquire_am_lock", "pcs_did_not_get_align_status",
		"fc_fec_is_not_locked", "rs_fec_is_not_locked"},
	3:  {"", "large_number_of_physical_errors", "unsupported_rate", "serdes_reference_clock_lost", "serdes_alos"},
	5:  {"", "unsupported_cable", "cable_test_failure"},
	10: {"", "cmis_not_ready"},
}

func parseWOL(b []byte, names []string) WakeOnLAN {
	w := WakeOnLAN{Supported: Words{}, Enabled: Words{}}
	for a := nl.NewAttrs(b); a.Next(); {
		switch a.Type {
		case 2:
			set := parseBitset(a.Data)
			w.Supported, w.Enabled = append(w.Supported, set.words(set.mask, names)...), append(w.Enabled, set.words(set.value, names)...)
		case 3:
			nl.SetBytes(&w.Password, a.Data)
		}
	}
	return w
}

func parseMessages(b []byte, names []string) MessageLevel {
	var m MessageLevel
	for a := nl.NewAttrs(b); a.Next(); {
		if a.Type == 2 {
			set := parseBitset(a.Data)
			m.Words = set.words(set.value, names)
			for _, i := range set.value {
				if i < 32 {
					m.Mask |= 1 << i
				}
			}
		}
	}
	return m
}
