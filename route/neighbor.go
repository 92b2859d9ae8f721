package route

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// NeighborOptions choose what is listed. Nil is everything but proxies.
type NeighborOptions struct {
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN.
	NetNS  int
	Family Family // 0: both
	OIF    int    // on this interface; 0: any
	// Proxies lists the addresses that this host answers for instead.
	Proxies bool
}

// Neighbor is an entry of a neighbour table (RTM_NEWNEIGH).
type Neighbor struct {
	Family       Family        `json:"family"`
	Addr         netip.Addr    `json:"dst"`
	Index        int           `json:"ifindex,omitzero"` // 0: a proxy on every interface
	Device       string        `json:"dev,omitzero"`     // the name of Index
	HardwareAddr HardwareAddr  `json:"lladdr,omitzero"`  // empty: not known
	State        NeighborState `json:"state"`
	Flags        NeighborFlags `json:"flags"`
	ExtFlags     uint32        `json:"ext_flags,omitzero"` // NTF_EXT_*: 1 managed, 2 locked, 4 externally validated
	Type         Type          `json:"type,omitzero"`
	Probes       uint32        `json:"probes"`            // questions sent without an answer
	Protocol     Protocol      `json:"protocol,omitzero"` // who set it
	Confirmed    time.Duration `json:"confirmed_ns"`      // ago, that it was known to answer
	LastUsed     time.Duration `json:"used_ns"`           // ago
	Updated      time.Duration `json:"updated_ns"`        // ago, that the state changed
	Refs         uint32        `json:"refcnt,omitzero"`   // users
	VLAN         uint16        `json:"vlan,omitzero"`     // as on FDB entries
	VNI          uint32        `json:"vni,omitzero"`      //
	Master       int           `json:"master,omitzero"`   // index
	NHID         uint32        `json:"nhid,omitzero"`     // next hop object
	Unknown      []Attribute   `json:"unknown,omitzero"`  // NDA_* that this library has no field for
}

// NeighborState is how sure the kernel is of a neighbour (NUD_*, RFC 4861
// section 7.3.2). The kernel sets one bit at a time.
type NeighborState uint16

// The states.
const (
	NeighborNone       NeighborState = 0
	NeighborIncomplete NeighborState = 1 << 0 // asked, no answer yet
	NeighborReachable  NeighborState = 1 << 1 // answered lately
	NeighborStale      NeighborState = 1 << 2 // was there; will be checked when used
	NeighborDelay      NeighborState = 1 << 3 // in use; checked in a moment
	NeighborProbe      NeighborState = 1 << 4 // being checked
	NeighborFailed     NeighborState = 1 << 5 // did not answer
	NeighborNoARP      NeighborState = 1 << 6 // needs no resolution
	NeighborPermanent  NeighborState = 1 << 7 // set by an administrator
)

var neighborStateNames = []string{
	"incomplete", "reachable", "stale", "delay", "probe", "failed", "noarp", "permanent",
}

// Usable reports whether packets are sent to the neighbour's address without
// waiting for it.
func (s NeighborState) Usable() bool {
	const valid = NeighborReachable | NeighborStale | NeighborDelay | NeighborProbe | NeighborNoARP | NeighborPermanent
	return s&valid != 0
}

// String returns the kernel's word, such as "reachable", and "none" for 0.
func (s NeighborState) String() string {
	if s == 0 {
		return "none"
	}
	return enum.Join(neighborStateNames, s)
}

// MarshalText implements [encoding.TextMarshaler].
func (s NeighborState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *NeighborState) UnmarshalText(b []byte) error {
	*s = 0
	if string(b) == "none" {
		return nil
	}
	for word := range strings.SplitSeq(string(b), "|") {
		bit, err := enum.ParseBit[NeighborState](neighborStateNames, "neighbour state", word)
		if err != nil {
			return err
		}
		*s |= bit
	}
	return nil
}

// NeighborFlags are the flags of a neighbour (NTF_*).
type NeighborFlags uint8

// The flags.
const (
	NeighborUse       NeighborFlags = 1 << iota
	NeighborSelf                    // bridge forwarding entries
	NeighborMaster                  // bridge forwarding entries
	NeighborProxy                   // this host answers for it
	NeighborExtern                  // learnt by somebody else than the kernel
	NeighborOffloaded               // in hardware
	NeighborSticky                  // bridge forwarding entries
	NeighborRouter                  // says that it is a router (IPv6)
)

var neighborFlagNames = []string{"use", "self", "master", "proxy", "extern_learn", "offload", "sticky", "router"}

// String returns "router|extern_learn", in the order of the bits.
func (f NeighborFlags) String() string { return enum.Join(neighborFlagNames, f) }

// MarshalJSON returns an array of words.
func (f NeighborFlags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(neighborFlagNames, f) }

// UnmarshalJSON reads an array of words.
func (f *NeighborFlags) UnmarshalJSON(b []byte) (err error) {
	*f, err = enum.UnmarshalWords[NeighborFlags](neighborFlagNames, "neighbour flag", b)
	return err
}

// The attributes of linux/neighbour.h.
const (
	ndaDst       = 1
	ndaLLAddr    = 2
	ndaCacheInfo = 3
	ndaProbes    = 4
	ndaVLAN      = 5
	ndaVNI       = 7
	ndaMaster    = 9
	ndaProtocol  = 12
	ndaNHID      = 13
	ndaFlagsExt  = 15
)

const sizeofNdmsg = 12

// parseNeighbor reads a struct ndmsg and its attributes.
func parseNeighbor(b []byte) (Neighbor, error) {
	var n Neighbor
	if len(b) < sizeofNdmsg {
		return n, nl.ErrMalformed
	}
	n.Family = Family(b[0])
	n.Index = int(binary.NativeEndian.Uint32(b[4:]))
	n.State = NeighborState(binary.NativeEndian.Uint16(b[8:]))
	n.Flags, n.Type = NeighborFlags(b[10]), Type(b[11])
	it := nl.NewAttrs(b[sizeofNdmsg:])
	for it.Next() {
		if !n.attribute(it.Type, it.Data) {
			n.Unknown = append(n.Unknown, it.Keep())
		}
	}
	n.Addr = zoned(n.Addr, n.Index)
	return n, it.Err()
}

func (n *Neighbor) attribute(typ uint16, b []byte) bool {
	switch typ {
	case ndaDst:
		return nl.SetAddr(&n.Addr, b)
	case ndaLLAddr:
		return nl.SetBytes(&n.HardwareAddr, b)
	case ndaCacheInfo:
		return n.cacheInfo(b)
	case ndaProbes:
		return nl.Set32(&n.Probes, b)
	case ndaVLAN:
		return nl.Set16(&n.VLAN, b)
	case ndaVNI:
		return nl.Set32(&n.VNI, b)
	case ndaMaster:
		return nl.Set32(&n.Master, b)
	case ndaProtocol:
		return nl.Set8(&n.Protocol, b)
	case ndaNHID:
		return nl.Set32(&n.NHID, b)
	case ndaFlagsExt:
		return nl.Set32(&n.ExtFlags, b)
	}
	return false
}

// cacheInfo reads struct nda_cacheinfo: ages in clock ticks, and users.
func (n *Neighbor) cacheInfo(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	e := binary.NativeEndian
	n.Confirmed, n.LastUsed, n.Updated = ticks(e.Uint32(b)), ticks(e.Uint32(b[4:])), ticks(e.Uint32(b[8:]))
	n.Refs = e.Uint32(b[12:])
	return true
}

// ticks converts clock_t, which is hundredths of a second on every Linux.
func ticks(v uint32) time.Duration { return time.Duration(v) * 10 * time.Millisecond }
