package link

import "github.com/netsonde/netsonde/internal/enum"

var sectionNames = []string{
	"none", "link_modes", "link_info", "link_state", "wake_on_lan", "messages", "driver", "stats", "standard_stats", "features",
	"rings", "channels", "coalesce", "pause", "fec", "eee", "timestamping", "private_flags", "module", "mii",
	"rss",
}

// String returns a word, such as "wake_on_lan".
func (s Section) String() string { return enum.String(sectionNames, "section", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Section) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Section) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[Section](sectionNames, "section", b)
	return err
}

// Duplex is whether both sides may talk at once (DUPLEX_*).
type Duplex uint8

// The modes.
const (
	DuplexUnknown Duplex = iota
	DuplexHalf
	DuplexFull
)

var duplexNames = []string{"unknown", "half", "full"}

// String returns "half", "full" or "unknown".
func (d Duplex) String() string { return enum.String(duplexNames, "duplex", d) }

// MarshalText implements [encoding.TextMarshaler].
func (d Duplex) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duplex) UnmarshalText(b []byte) (err error) {
	*d, err = enum.Parse[Duplex](duplexNames, "duplex", b)
	return err
}

// Port is the socket that the cable goes into (PORT_*, linux/ethtool.h, plus one,
// so that what is not known is zero).
type Port uint8

// The ports.
const (
	PortOther Port = 0
	PortTP    Port = 1 // twisted pair
	PortAUI   Port = 2
	PortMII   Port = 3
	PortFibre Port = 4
	PortBNC   Port = 5
	PortDA    Port = 6 // direct attach copper
	PortNone  Port = 0xf0
)

var portNames = enum.Table[Port]{
	PortOther: "other", PortTP: "tp", PortAUI: "aui", PortMII: "mii", PortFibre: "fibre", PortBNC: "bnc", PortDA: "da", PortNone: "none",
}

// String returns a word, such as "tp".
func (p Port) String() string { return portNames.String("port", p) }

// MarshalText implements [encoding.TextMarshaler].
func (p Port) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Port) UnmarshalText(b []byte) (err error) {
	*p, err = portNames.Parse("port", b)
	return err
}

// Transceiver is where the PHY is (XCVR_*).
type Transceiver uint8

// The places.
const (
	TransceiverInternal Transceiver = iota // with the MAC
	TransceiverExternal
)

var transceiverNames = []string{"internal", "external"}

// String returns "internal" or "external".
func (t Transceiver) String() string { return enum.String(transceiverNames, "transceiver", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t Transceiver) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Transceiver) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[Transceiver](transceiverNames, "transceiver", b)
	return err
}

// MDIX is whether pairs are crossed (ETH_TP_MDI_*).
type MDIX uint8

// The states, and as a setting also MDIXAuto.
const (
	MDIXUnknown MDIX = iota
	MDIXOff          // straight: MDI
	MDIXOn           // crossed: MDI-X
	MDIXAuto
)

var mdixNames = []string{"unknown", "mdi", "mdi_x", "auto"}

// String returns a word, such as "mdi_x".
func (m MDIX) String() string { return enum.String(mdixNames, "mdix", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m MDIX) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *MDIX) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[MDIX](mdixNames, "mdix", b)
	return err
}

// MasterSlave is which end of a 1000BASE-T or single-pair link is to give the
// clock (MASTER_SLAVE_CFG_*).
type MasterSlave uint8

// The settings.
const (
	MasterSlaveUnsupported MasterSlave = iota
	MasterSlaveUnknown
	MasterPreferred
	SlavePreferred
	MasterForced
	SlaveForced
)

var masterSlaveNames = []string{"unsupported", "unknown", "preferred_master", "preferred_slave", "forced_master", "forced_slave"}

// String returns a word, such as "preferred_master".
func (m MasterSlave) String() string { return enum.String(masterSlaveNames, "master_slave", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m MasterSlave) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *MasterSlave) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[MasterSlave](masterSlaveNames, "master_slave", b)
	return err
}

// MasterState is which end gives the clock (MASTER_SLAVE_STATE_*).
type MasterState uint8

// The states.
const (
	MasterStateUnsupported MasterState = iota
	MasterStateUnknown
	MasterStateMaster
	MasterStateSlave
	MasterStateError // both want to be the same
)

var masterStateNames = []string{"unsupported", "unknown", "master", "slave", "resolution_error"}

// String returns a word, such as "slave".
func (m MasterState) String() string { return enum.String(masterStateNames, "master_state", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m MasterState) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *MasterState) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[MasterState](masterStateNames, "master_state", b)
	return err
}

// RateMatching is how a PHY reconciles the speed of its two sides (RATE_MATCH_*).
type RateMatching uint8

// The ways.
const (
	RateMatchNone RateMatching = iota
	RateMatchPause
	RateMatchCRS
	RateMatchOpenLoop
)

var rateMatchingNames = []string{"none", "pause", "crs", "open_loop"}

// String returns a word, such as "pause".
func (r RateMatching) String() string { return enum.String(rateMatchingNames, "rate_matching", r) }

// MarshalText implements [encoding.TextMarshaler].
func (r RateMatching) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *RateMatching) UnmarshalText(b []byte) (err error) {
	*r, err = enum.Parse[RateMatching](rateMatchingNames, "rate_matching", b)
	return err
}
