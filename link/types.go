package link

import "github.com/netsonde/netsonde/internal/enum"

// Flags are the flags of an interface (IFF_*, netdevice(7)).
type Flags uint32

// The flags. FlagRunning is the kernel's opinion on whether it can be used
// (OperState), FlagLowerUp that the driver has a carrier.
const (
	FlagUp           Flags = 1 << iota // set up by the administrator
	FlagBroadcast                      // has a broadcast address
	FlagDebug                          //
	FlagLoopback                       //
	FlagPointToPoint                   // has a peer instead of a network
	FlagNoTrailers                     //
	FlagRunning                        // operational: OperState is up or unknown
	FlagNoARP                          // does not resolve neighbours
	FlagPromisc                        // asked by the administrator; see Link.Promiscuity
	FlagAllMulti                       //
	FlagMaster                         // of a bond
	FlagSlave                          // of a bond
	FlagMulticast                      //
	FlagPortSel                        //
	FlagAutoMedia                      //
	FlagDynamic                        //
	FlagLowerUp                        // carrier
	FlagDormant                        // waits for something, such as 802.1X
	FlagEcho                           // echoes what is sent (CAN)
)

var flagNames = []string{
	"UP", "BROADCAST", "DEBUG", "LOOPBACK", "POINTOPOINT", "NOTRAILERS", "RUNNING", "NOARP", "PROMISC", "ALLMULTI",
	"MASTER", "SLAVE", "MULTICAST", "PORTSEL", "AUTOMEDIA", "DYNAMIC", "LOWER_UP", "DORMANT", "ECHO",
}

// String returns "UP|LOWER_UP", in the order of the bits.
func (f Flags) String() string { return enum.Join(flagNames, f) }

// MarshalJSON returns an array of words.
func (f Flags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(flagNames, f) }

// UnmarshalJSON reads an array of words.
func (f *Flags) UnmarshalJSON(b []byte) (err error) {
	*f, err = enum.UnmarshalWords[Flags](flagNames, "flag", b)
	return err
}

// OperState is the operational state of RFC 2863 (IF_OPER_*,
// Documentation/networking/operstates.rst).
type OperState uint8

// The states.
const (
	OperUnknown        OperState = iota // the driver does not tell; loopback and most tunnels
	OperNotPresent                      // not used by current kernels
	OperDown                            // the administrator set it down, or no carrier
	OperLowerLayerDown                  // no carrier, for an interface on top of another
	OperTesting                         //
	OperDormant                         // waits for something, such as 802.1X
	OperUp                              //
)

var operNames = []string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}

// String returns the kernel's word, such as "lowerlayerdown".
func (s OperState) String() string { return enum.String(operNames, "operstate", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s OperState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *OperState) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[OperState](operNames, "operstate", b)
	return err
}

// Carrier is whether the interface has a signal, a peer or a lower interface.
type Carrier uint8

// The answers. A driver detects a carrier only while the interface is up, so
// that of one that is down is not known, whatever the kernel remembers.
const (
	CarrierUnknown Carrier = iota
	CarrierOff
	CarrierOn
)

var carrierNames = []string{"unknown", "off", "on"}

// String returns "unknown", "off" or "on".
func (c Carrier) String() string { return enum.String(carrierNames, "carrier", c) }

// MarshalText implements [encoding.TextMarshaler].
func (c Carrier) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Carrier) UnmarshalText(b []byte) (err error) {
	*c, err = enum.Parse[Carrier](carrierNames, "carrier", b)
	return err
}

// LinkMode is what the operational state becomes when the carrier comes
// (IF_LINK_MODE_*).
type LinkMode uint8

// The modes.
const (
	LinkModeDefault LinkMode = iota // up
	LinkModeDormant                 // dormant, until a supplicant says up
	LinkModeTesting                 //
)

var linkModeNames = []string{"default", "dormant", "testing"}

// String returns the kernel's word.
func (m LinkMode) String() string { return enum.String(linkModeNames, "linkmode", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m LinkMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *LinkMode) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[LinkMode](linkModeNames, "linkmode", b)
	return err
}

// XDPMode is where an XDP program runs (XDP_ATTACHED_*).
type XDPMode uint8

// The modes.
const (
	XDPNone  XDPMode = iota
	XDPDrv           // in the driver
	XDPSkb           // generic, after the driver
	XDPHW            // in the card
	XDPMulti         // several of them
)

var xdpNames = []string{"none", "drv", "skb", "hw", "multi"}

// String returns the kernel's word.
func (m XDPMode) String() string { return enum.String(xdpNames, "xdp", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m XDPMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *XDPMode) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[XDPMode](xdpNames, "xdp", b)
	return err
}

// HardwareType is the kind of link layer (ARPHRD_*, linux/if_arp.h).
type HardwareType uint16

// The types most often met.
const (
	TypeEther      HardwareType = 1
	TypeInfiniband HardwareType = 32
	TypePPP        HardwareType = 512
	TypeIPIP       HardwareType = 768
	TypeIP6Tunnel  HardwareType = 769
	TypeLoopback   HardwareType = 772
	TypeSIT        HardwareType = 776
	TypeGRE        HardwareType = 778
	TypeWiFi       HardwareType = 801
	TypeGRE6       HardwareType = 823
	TypeNone       HardwareType = 0xfffe // no link layer: tun, WireGuard
	TypeVoid       HardwareType = 0xffff
)

// hardwareTypes uses the words of ip-link(8).
var hardwareTypes = enum.Table[HardwareType]{
	0: "generic", 1: "ether", 2: "eether", 3: "ax25", 4: "pronet", 5: "chaos", 6: "ieee802", 7: "arcnet",
	8: "atalk", 15: "dlci", 19: "atm", 23: "metricom", 24: "ieee1394", 27: "eui64", 32: "infiniband",
	256: "slip", 257: "cslip", 258: "slip6", 259: "cslip6", 260: "rsrvd", 264: "adapt", 270: "rose", 271: "x25",
	272: "hwx25", 280: "can", 290: "mctp", 512: "ppp", 513: "hdlc", 516: "lapb", 517: "ddcmp", 518: "rawhdlc",
	519: "rawip", 768: "ipip", 769: "tunnel6", 770: "frad", 771: "skip", 772: "loopback", 773: "ltalk", 774: "fddi",
	775: "bif", 776: "sit", 777: "ip/ddp", 778: "gre", 779: "pimreg", 780: "hippi", 781: "ash", 782: "econet",
	783: "irda", 784: "fcpp", 785: "fcal", 786: "fcpl", 787: "fcfb0", 800: "ieee802_tr", 801: "ieee802.11",
	802: "ieee802.11/prism", 803: "ieee802.11/radiotap", 804: "ieee802.15.4", 805: "ieee802.15.4/monitor",
	820: "phonet", 821: "phonet_pipe", 822: "caif", 823: "gre6", 824: "netlink", 825: "6lowpan", 826: "vsockmon",
	0xfffe: "none", 0xffff: "void",
}

// String returns the word of ip-link(8), such as "ether".
func (t HardwareType) String() string { return hardwareTypes.String("link_type", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t HardwareType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *HardwareType) UnmarshalText(b []byte) (err error) {
	*t, err = hardwareTypes.Parse("link_type", b)
	return err
}
