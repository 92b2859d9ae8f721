package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/internal/nic"
)

// MII is the state of a copper port as its PHY has it in the registers of IEEE
// 802.3 clause 22, which mii-tool(8) shows. Abilities are words such as
// "100baseTx-FD" (full duplex), "10baseT-HD" (half duplex) and "flow-control".
type MII struct {
	// Derived: the driver gives no registers, and this was made from link modes
	// (see LinkModes): there is no product then, and no partner unless the driver
	// tells of it.
	Derived bool `json:"derived"`
	// Why it was derived: no registers, or no permission to read them.
	Why string `json:"why,omitzero"`
	// Virtual says that the port is made of software: see Device.Virtual.
	Virtual bool `json:"virtual"`

	PHY      uint8  `json:"phy"`                // address on the MDIO bus
	OUI      Hex    `json:"phy_oui,omitzero"`   // of the PHY's maker; parts of it are not in the registers
	Model    uint8  `json:"phy_model,omitzero"` //
	Revision uint8  `json:"phy_revision,omitzero"`
	Product  string `json:"product,omitzero"` // "" for most

	Link            bool `json:"link"`
	LinkLost        bool `json:"link_lost,omitzero"` // it was down since it was last asked for
	Autoneg         bool `json:"autoneg"`
	AutonegComplete bool `json:"autoneg_complete"`
	AutonegRestart  bool `json:"autoneg_restart,omitzero"` // has begun anew
	PartnerAutoneg  bool `json:"partner_autoneg"`          // the partner negotiates too; without, its duplex mode cannot be known
	RemoteFault     bool `json:"remote_fault,omitzero"`
	Jabber          bool `json:"jabber,omitzero"` // sent for too long
	Reset           bool `json:"reset,omitzero"`
	Loopback        bool `json:"loopback,omitzero"`
	PowerDown       bool `json:"power_down,omitzero"`
	Isolate         bool `json:"isolate,omitzero"`
	CollisionTest   bool `json:"collision_test,omitzero"`
	ClockFault      bool `json:"master_slave_fault,omitzero"` // 1000BASE-T: both sides want to be master

	Speed  Speed  `json:"speed"` // forced, or negotiated
	Duplex Duplex `json:"duplex"`
	// Negotiated is the best that both sides offer; "" for nothing.
	Negotiated  string `json:"negotiated,omitzero"`
	FlowControl bool   `json:"flow_control"` // both sides offer it

	Capabilities Words `json:"capabilities,omitzero"`
	Advertised   Words `json:"advertised,omitzero"`
	Partner      Words `json:"partner,omitzero"`

	Registers []uint16 `json:"registers,omitzero"` // 0 to 15; nil when derived
}

// ErrNoTransceiver says that a driver has registers and nothing behind them.
var ErrNoTransceiver = errors.New("no MII transceiver present")

// Registers of IEEE 802.3 clause 22 (linux/mii.h, MII_*).
const (
	regControl    = 0
	regStatus     = 1
	regID1        = 2
	regID2        = 3
	regAdvertise  = 4
	regPartner    = 5
	regControl1G  = 9
	regStatus1G   = 10
	regExtended   = 15
	miiRegisters  = 16
	flowControl   = "flow-control"
	bitExtended   = 0x0100 // of the status: there is a register 15
	bitAutoneg    = 0x1000 // of the control
	bitAckPartner = 0x4000
)

// MII reads the registers of the PHY (SIOCGMIIREG, which needs CAP_NET_ADMIN). Where
// that cannot be done it is derived from link modes, and says so and why.
func (d *Device) MII(ctx context.Context) (MII, error) {
	m, err := d.miiRegisters(ctx, nil)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		why := needAdmin(err).Error()
		modes, modesErr := d.LinkModes(ctx)
		if modesErr != nil {
			if errors.Is(err, errors.ErrUnsupported) || ctx.Err() != nil {
				err = unwrapOp(modesErr)
			}
			return MII{}, d.failed("mii", needAdmin(err))
		}
		state, _ := d.LinkState(ctx) // without, there is no link
		m, err = DeriveMII(modes, state), nil
		m.Why = why
	}
	m.Virtual = d.virtual
	return m, d.failed("mii", err)
}

// MIIAt reads the registers of another PHY on the same MDIO bus, by its address (0 to
// 31; others are EINVAL). There is nothing that they could be derived from.
func (d *Device) MIIAt(ctx context.Context, phy uint8) (MII, error) {
	if phy > 31 { // not every kernel looks before it indexes by it
		return MII{}, d.failed("mii", syscall.EINVAL)
	}
	m, err := d.miiRegisters(ctx, &phy)
	m.Virtual = d.virtual
	return m, d.failed("mii", needAdmin(err))
}

// unwrapOp returns the cause of a section's error.
func unwrapOp(err error) error {
	if e, ok := errors.AsType[*OpError](err); ok {
		return e.Err
	}
	return err
}

// miiRegisters reads those of a PHY; nil is the one that the driver uses.
func (d *Device) miiRegisters(ctx context.Context, other *uint8) (MII, error) {
	if ctx.Err() != nil {
		return MII{}, context.Cause(ctx)
	}
	var data nic.MIIData
	if err := d.kernel.MII(false, &data); err != nil {
		return MII{}, err
	}
	phy := data.PHY
	if other != nil {
		phy = uint16(*other)
	}
	regs := make([]uint16, miiRegisters)
	read := func(r uint16) error {
		data = nic.MIIData{PHY: phy, Register: r}
		err := d.kernel.MII(true, &data)
		regs[r] = data.Out
		return err
	}
	for _, r := range []uint16{regControl, regStatus, regID1, regID2, regAdvertise, regPartner, 6, 7, 8, regControl1G, regStatus1G, regExtended} {
		if err := read(r); err != nil {
			return MII{}, err
		}
	}
	if regs[regControl] == 0xffff || regs[regStatus] == 0 {
		return MII{}, ErrNoTransceiver
	}
	// A lost link is remembered until it is asked for: the second answer is now.
	first := regs[regStatus]
	if err := read(regStatus); err != nil {
		return MII{}, err
	}
	m := DecodeMII(regs)
	m.PHY, m.LinkLost = uint8(phy), m.Link && first&4 == 0
	return m, nil
}

// ability is a way to talk, best first (IEEE 802.3, 28B.3).
type ability struct {
	word   string
	speed  Speed
	duplex Duplex
	base   uint16 // bit of the advertisement
	status uint16 // bit of the status
	gig    uint16 // bit of the 1000BASE-T control
}

var abilities = []ability{
	{"1000baseT-FD", 1000, DuplexFull, 0, 0, 0x0200},
	{"1000baseT-HD", 1000, DuplexHalf, 0, 0, 0x0100},
	{"100baseTx-FD", 100, DuplexFull, 0x0100, 0x4000, 0},
	{"100baseT4", 100, DuplexHalf, 0x0200, 0x8000, 0},
	{"100baseTx-HD", 100, DuplexHalf, 0x0080, 0x2000, 0},
	{"10baseT-FD", 10, DuplexFull, 0x0040, 0x1000, 0},
	{"10baseT-HD", 10, DuplexHalf, 0x0020, 0x0800, 0},
}

// DecodeMII reads the registers 0 to 15 of a PHY; those that are missing are zero.
func DecodeMII(registers []uint16) MII {
	regs := make([]uint16, miiRegisters)
	copy(regs, registers)
	control, status := regs[regControl], regs[regStatus]
	id := uint32(regs[regID1])<<16 | uint32(regs[regID2])
	m := MII{
		OUI: Hex{byte(id >> 26), byte(id >> 18), byte(id >> 10)}, Model: uint8(id >> 4 & 0x3f), Revision: uint8(id & 15), Product: phyProducts[id&^15],
		Link: status&0x0004 != 0, AutonegComplete: status&0x0020 != 0, RemoteFault: status&0x0010 != 0, Jabber: status&0x0002 != 0,
		Autoneg: control&bitAutoneg != 0, AutonegRestart: control&0x0200 != 0, Reset: control&0x8000 != 0, Loopback: control&0x4000 != 0,
		PowerDown: control&0x0800 != 0, Isolate: control&0x0400 != 0, CollisionTest: control&0x0080 != 0,
		PartnerAutoneg: regs[regPartner]&bitAckPartner != 0, ClockFault: regs[regStatus1G]&0x8000 != 0,
		Registers: regs,
	}
	if control == 0xffff {
		return m
	}
	m.Capabilities = wordsOf(func(a ability) bool {
		if a.gig == 0 {
			return status&a.status != 0
		}
		if status&bitExtended != 0 && regs[regExtended]&0x3000 != 0 {
			return regs[regExtended]&(a.gig<<4) != 0
		}
		return regs[regControl1G]&a.gig != 0
	}, 0)
	m.Advertised = wordsOf(func(a ability) bool { return regs[regAdvertise]&a.base != 0 || regs[regControl1G]&a.gig != 0 }, regs[regAdvertise])
	m.Partner = wordsOf(func(a ability) bool { return regs[regPartner]&a.base != 0 || regs[regStatus1G]&(a.gig<<2) != 0 }, regs[regPartner])
	m.settle(control)
	return m
}

func wordsOf(has func(ability) bool, pause uint16) (w Words) {
	for _, a := range abilities {
		if has(a) {
			w = append(w, a.word)
		}
	}
	if pause&0x0400 != 0 {
		w = append(w, flowControl)
	}
	return w
}

// settle finds out what is talked: what was forced, or the best common ability.
func (m *MII) settle(control uint16) {
	if !m.Autoneg {
		m.Duplex = DuplexHalf
		if control&0x0100 != 0 {
			m.Duplex = DuplexFull
		}
		switch {
		case control&0x2040 == 0x2040: // reserved
		case control&0x0040 != 0:
			m.Speed = 1000
		case control&0x2000 != 0:
			m.Speed = 100
		default:
			m.Speed = 10
		}
		return
	}
	if m.AutonegComplete {
		m.negotiate()
	}
}

func (m *MII) negotiate() {
	for _, a := range abilities {
		if m.Advertised.Has(a.word) && m.Partner.Has(a.word) {
			m.Negotiated, m.Speed, m.Duplex = a.word, a.speed, a.duplex
			break
		}
	}
	m.FlowControl = m.Advertised.Has(flowControl) && m.Partner.Has(flowControl)
}

// phyProducts are the PHYs of the documents; there are too many to keep a list.
var phyProducts = map[uint32]string{0x02a80150: "Intel 82555"}

// DeriveMII makes the same from what a driver tells over netlink.
func DeriveMII(modes LinkModes, state LinkState) MII {
	m := MII{
		Derived: true, Link: state.Detected, Autoneg: modes.Autoneg, Speed: modes.Speed, Duplex: modes.Duplex,
		Capabilities: miiWords(modes.Supported, false), Advertised: miiWords(modes.Advertised, true), Partner: miiWords(modes.Partner, true),
		PartnerAutoneg: modes.Partner.Has("Autoneg"),
	}
	if m.Autoneg && m.Link && m.Speed != 0 {
		m.AutonegComplete = true
		m.FlowControl = m.Advertised.Has(flowControl) && m.Partner.Has(flowControl)
		for _, w := range m.Advertised { // what the driver says is talked
			if s, duplex := miiSpeed(w); s == m.Speed && duplex == m.Duplex && (modes.Partner == nil || m.Partner.Has(w)) {
				m.Negotiated = w
				break
			}
		}
	}
	return m
}

// miiWords turns "100baseT/Full" into "100baseTx-FD", fastest first.
func miiWords(set Words, pause bool) (w Words) {
	for _, mode := range set.Modes() {
		kind, half := strings.CutSuffix(mode, "/Half")
		kind, full := strings.CutSuffix(kind, "/Full")
		if kind == "100baseT" {
			kind = "100baseTx"
		}
		switch {
		case half:
			kind += "-HD"
		case full:
			kind += "-FD"
		}
		w = append(w, kind)
	}
	slices.SortStableFunc(w, func(a, b string) int {
		sa, da := miiSpeed(a)
		sb, db := miiSpeed(b)
		return cmp.Or(cmp.Compare(sb, sa), cmp.Compare(db, da))
	})
	if pause && set.Has("Pause") {
		w = append(w, flowControl)
	}
	return w
}

func miiSpeed(word string) (Speed, Duplex) {
	kind, half := strings.CutSuffix(word, "-HD")
	kind, full := strings.CutSuffix(kind, "-FD")
	s, _, _ := ModeSpeed(kind)
	switch {
	case half:
		return s, DuplexHalf
	case full:
		return s, DuplexFull
	}
	return s, DuplexUnknown
}

// Summary returns what mii-tool(8) says on one line, without the name.
func (m MII) Summary() string {
	link := "no link"
	if m.Link {
		link = "link ok"
	}
	how := ""
	switch {
	case !m.Autoneg && m.Speed == 0:
		how = "speed unknown"
	case !m.Autoneg:
		how = fmt.Sprintf("%d Mbit, %v duplex", uint32(m.Speed), m.Duplex)
	case m.AutonegComplete && m.Negotiated == "" && m.Derived:
		how = fmt.Sprintf("%d Mbit, %v duplex", uint32(m.Speed), m.Duplex)
	case m.AutonegComplete && m.Negotiated == "":
		how = "autonegotiation failed"
	case m.AutonegComplete:
		how = "negotiated"
		if !m.PartnerAutoneg && !m.Derived {
			how = "no autonegotiation,"
		}
		how += " " + m.Negotiated
		if m.FlowControl {
			how += " " + flowControl
		}
	case m.AutonegRestart:
		how = "autonegotiation restarted"
	}
	if how == "" {
		return link
	}
	return how + ", " + link
}
