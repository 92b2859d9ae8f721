package link

import "github.com/netsonde/netsonde/internal/nl"

// Details is what belongs to the kind of an interface (IFLA_LINKINFO). At most
// one of the structures is there for the kind and one for the master's kind; the
// attributes of other kinds are in Data and PortData.
type Details struct {
	Bridge  *Bridge  `json:"bridge,omitzero"`
	Bond    *Bond    `json:"bond,omitzero"`
	VLAN    *VLAN    `json:"vlan,omitzero"`
	MACVLAN *MACVLAN `json:"macvlan,omitzero"` // and macvtap
	IPVLAN  *IPVLAN  `json:"ipvlan,omitzero"`  // and ipvtap
	VXLAN   *VXLAN   `json:"vxlan,omitzero"`
	VRF     *VRF     `json:"vrf,omitzero"`
	Tun     *Tun     `json:"tun,omitzero"`    // and tap
	Tunnel  *Tunnel  `json:"tunnel,omitzero"` // ipip, sit, ip6tnl, gre and its relatives, vti

	BridgePort *BridgePort `json:"bridge_port,omitzero"`
	BondPort   *BondPort   `json:"bond_port,omitzero"`
	VRFPort    *VRF        `json:"vrf_port,omitzero"`

	Data       []Attribute `json:"info_data,omitzero"`
	PortData   []Attribute `json:"info_slave_data,omitzero"`
	Statistics Hex         `json:"info_xstats,omitzero"` // of the kind, as they came
}

// VLAN is an 802.1Q interface (IFLA_VLAN_*).
type VLAN struct {
	ID       uint16      `json:"id"`       // 0 to 4094
	Protocol uint16      `json:"protocol"` // EtherType: 0x8100 802.1Q, 0x88a8 802.1ad
	Flags    uint32      `json:"flags"`    // VLAN_FLAG_*, linux/if_vlan.h
	Unknown  []Attribute `json:"unknown,omitzero"`
}

func (v *VLAN) attribute(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set16(&v.ID, b)
	case 2:
		return nl.Set32(&v.Flags, b) // struct ifla_vlan_flags: flags, mask
	case 5:
		return nl.SetBE16(&v.Protocol, b)
	}
	return false
}

func (v *VLAN) unknown() *[]Attribute { return &v.Unknown }

// MACVLAN is an interface with a hardware address of its own on top of another
// (IFLA_MACVLAN_*).
type MACVLAN struct {
	Mode         uint32         `json:"mode"` // one bit: 1 private, 2 vepa, 4 bridge, 8 passthru, 16 source
	Flags        uint16         `json:"flags"`
	Sources      []HardwareAddr `json:"macaddr_data,omitzero"` // let in, in source mode
	BCQueueLen   uint32         `json:"bcqueuelen,omitzero"`
	BCQueueInUse uint32         `json:"usedbcqueuelen,omitzero"`
	BCCutoff     int32          `json:"bclim,omitzero"`
	Unknown      []Attribute    `json:"unknown,omitzero"`
}

func (m *MACVLAN) attribute(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set32(&m.Mode, b)
	case 2:
		return nl.Set16(&m.Flags, b)
	case 5:
		it := nl.NewAttrs(b)
		for it.Next() {
			m.Sources = append(m.Sources, HardwareAddr(it.Keep().Data))
		}
		return it.Err() == nil
	case 6:
		return true // how many of them there are
	case 7:
		return nl.Set32(&m.BCQueueLen, b)
	case 8:
		return nl.Set32(&m.BCQueueInUse, b)
	case 9:
		return nl.Set32(&m.BCCutoff, b)
	}
	return false
}

func (m *MACVLAN) unknown() *[]Attribute { return &m.Unknown }

// IPVLAN is an interface with the hardware address of the one below it
// (IFLA_IPVLAN_*).
type IPVLAN struct {
	Mode    uint16      `json:"mode"`  // 0 l2, 1 l3, 2 l3s
	Flags   uint16      `json:"flags"` // 1 private, 2 vepa
	Unknown []Attribute `json:"unknown,omitzero"`
}

func (i *IPVLAN) attribute(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set16(&i.Mode, b)
	case 2:
		return nl.Set16(&i.Flags, b)
	}
	return false
}

func (i *IPVLAN) unknown() *[]Attribute { return &i.Unknown }

// VRF is a routing domain or a port of one (IFLA_VRF_*).
type VRF struct {
	Table   uint32      `json:"table"` // its routes
	Unknown []Attribute `json:"unknown,omitzero"`
}

func (v *VRF) attribute(typ uint16, b []byte) bool {
	return typ == 1 && nl.Set32(&v.Table, b)
}

func (v *VRF) unknown() *[]Attribute { return &v.Unknown }

// Tun is a tun or tap device (IFLA_TUN_*).
type Tun struct {
	Type           uint8       `json:"type"`               // 1 tun (IP packets), 2 tap (frames)
	Owner          *uint32     `json:"owner,omitzero"`     // user who may attach to it; nil: anybody who may make one
	Group          *uint32     `json:"tun_group,omitzero"` // group that may attach to it; nil: as Owner
	PacketInfo     bool        `json:"pi"`
	VNetHeader     bool        `json:"vnet_hdr"`
	Persist        bool        `json:"persist"` // stays when no process has it open
	MultiQueue     bool        `json:"multi_queue"`
	Queues         uint32      `json:"numqueues,omitzero"`   // with MultiQueue
	DisabledQueues uint32      `json:"numdisabled,omitzero"` // with MultiQueue
	Unknown        []Attribute `json:"unknown,omitzero"`
}

func (t *Tun) attribute(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return setPointer(&t.Owner, b)
	case 2:
		return setPointer(&t.Group, b)
	case 3:
		return nl.Set8(&t.Type, b)
	case 4:
		return nl.SetBool(&t.PacketInfo, b)
	case 5:
		return nl.SetBool(&t.VNetHeader, b)
	case 6:
		return nl.SetBool(&t.Persist, b)
	case 7:
		return nl.SetBool(&t.MultiQueue, b)
	case 8:
		return nl.Set32(&t.Queues, b)
	case 9:
		return nl.Set32(&t.DisabledQueues, b)
	}
	return false
}

func setPointer(p **uint32, b []byte) bool {
	v, ok := nl.U32(b)
	if ok {
		*p = &v
	}
	return ok
}

func (t *Tun) unknown() *[]Attribute { return &t.Unknown }
