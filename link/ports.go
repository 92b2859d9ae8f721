package link

import (
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/nl"
)

// BridgePort is what a bridge keeps for an interface that is a port of it
// (IFLA_BRPORT_*).
type BridgePort struct {
	State             PortState     `json:"state"`
	Priority          uint16        `json:"priority"`
	Cost              uint32        `json:"cost"`
	Hairpin           bool          `json:"hairpin"`    // frames may leave where they came from
	Guard             bool          `json:"guard"`      // spanning tree frames are not taken
	RootBlock         bool          `json:"root_block"` // may not lead to the root
	FastLeave         bool          `json:"fastleave"`
	Learning          bool          `json:"learning"`
	LearningSync      bool          `json:"learning_sync,omitzero"`
	Flood             bool          `json:"flood"` // of unknown unicast
	McastFlood        bool          `json:"mcast_flood"`
	BcastFlood        bool          `json:"bcast_flood"`
	McastToUnicast    bool          `json:"mcast_to_unicast"`
	ProxyARP          bool          `json:"proxy_arp"`
	ProxyARPWiFi      bool          `json:"proxy_arp_wifi"`
	NeighSuppress     bool          `json:"neigh_suppress"`
	NeighVLANSuppress bool          `json:"neigh_vlan_suppress,omitzero"`
	VLANTunnel        bool          `json:"vlan_tunnel"`
	MRPRingOpen       bool          `json:"mrp_ring_open,omitzero"`
	MRPInOpen         bool          `json:"mrp_in_open,omitzero"`
	Isolated          bool          `json:"isolated"` // speaks only with ports that are not
	Locked            bool          `json:"locked"`   // takes frames of known senders only
	MAB               bool          `json:"mab,omitzero"`
	ID                uint16        `json:"id"`
	Number            uint16        `json:"no"`
	RootID            BridgeID      `json:"root_id"`
	BridgeID          BridgeID      `json:"bridge_id"` // of the designated bridge
	DesignatedPort    uint16        `json:"designated_port"`
	DesignatedCost    uint16        `json:"designated_cost"`
	TopologyAck       bool          `json:"topology_change_ack"`
	ConfigPending     bool          `json:"config_pending"`
	MessageAge        time.Duration `json:"message_age_timer_ns"` // time left; so the next two
	ForwardDelay      time.Duration `json:"forward_delay_timer_ns"`
	Hold              time.Duration `json:"hold_timer_ns"`
	McastRouter       uint8         `json:"multicast_router"`
	GroupFwdMask      uint16        `json:"group_fwd_mask"`
	BackupPort        int           `json:"backup_port,omitzero"` // index of an interface
	BackupNHID        uint32        `json:"backup_nhid,omitzero"`
	McastHosts        uint32        `json:"mcast_eht_hosts_cnt"`
	McastHostLimit    uint32        `json:"mcast_eht_hosts_limit"`
	McastGroups       uint32        `json:"mcast_n_groups,omitzero"`
	McastGroupMax     uint32        `json:"mcast_max_groups,omitzero"`
	Unknown           []Attribute   `json:"unknown,omitzero"`
}

func (p *BridgePort) unknown() *[]Attribute { return &p.Unknown }

func (p *BridgePort) attribute(typ uint16, b []byte) bool {
	if f := p.flag(typ); f != nil {
		return nl.SetBool(f, b)
	}
	return p.tree(typ, b) || p.mcast(typ, b)
}

// flag returns the field of a switch.
func (p *BridgePort) flag(typ uint16) *bool {
	if int(typ) >= 44 {
		return nil
	}
	return [44]*bool{
		4: &p.Hairpin, 5: &p.Guard, 6: &p.RootBlock, 7: &p.FastLeave, 8: &p.Learning, 9: &p.Flood,
		10: &p.ProxyARP, 11: &p.LearningSync, 12: &p.ProxyARPWiFi, 19: &p.TopologyAck, 20: &p.ConfigPending,
		27: &p.McastFlood, 28: &p.McastToUnicast, 29: &p.VLANTunnel, 30: &p.BcastFlood, 32: &p.NeighSuppress,
		33: &p.Isolated, 35: &p.MRPRingOpen, 36: &p.MRPInOpen, 39: &p.Locked, 40: &p.MAB, 43: &p.NeighVLANSuppress,
	}[typ]
}

func (p *BridgePort) tree(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set8(&p.State, b)
	case 2:
		return nl.Set16(&p.Priority, b)
	case 3:
		return nl.Set32(&p.Cost, b)
	case 13:
		return p.RootID.set(b)
	case 14:
		return p.BridgeID.set(b)
	case 15:
		return nl.Set16(&p.DesignatedPort, b)
	case 16:
		return nl.Set16(&p.DesignatedCost, b)
	case 17:
		return nl.Set16(&p.ID, b)
	case 18:
		return nl.Set16(&p.Number, b)
	case 21:
		return setTimer(&p.MessageAge, b)
	case 22:
		return setTimer(&p.ForwardDelay, b)
	case 23:
		return setTimer(&p.Hold, b)
	}
	return false
}

func (p *BridgePort) mcast(typ uint16, b []byte) bool {
	switch typ {
	case 25:
		return nl.Set8(&p.McastRouter, b)
	case 26:
		return true // padding
	case 31:
		return nl.Set16(&p.GroupFwdMask, b)
	case 34:
		return nl.Set32(&p.BackupPort, b)
	case 37:
		return nl.Set32(&p.McastHostLimit, b)
	case 38:
		return nl.Set32(&p.McastHosts, b)
	case 41:
		return nl.Set32(&p.McastGroups, b)
	case 42:
		return nl.Set32(&p.McastGroupMax, b)
	case 44:
		return nl.Set32(&p.BackupNHID, b)
	}
	return false
}

// Bond is an aggregate of interfaces (IFLA_BOND_*,
// Documentation/networking/bonding.rst, which explains each option).
type Bond struct {
	Mode            uint8        `json:"mode"`                  // 0 balance-rr, 1 active-backup, 2 xor, 3 broadcast, 4 802.3ad, 5 tlb, 6 alb
	ActiveSlave     int          `json:"active_slave,omitzero"` // index; in modes that have one
	Primary         int          `json:"primary,omitzero"`      // index
	MIIMonitor      uint32       `json:"miimon"`                // ms; 0: the link is not watched
	UpDelay         uint32       `json:"updelay"`               // ms
	DownDelay       uint32       `json:"downdelay"`             // ms
	PeerNotifDelay  uint32       `json:"peer_notify_delay"`     // ms
	UseCarrier      uint8        `json:"use_carrier"`
	ARPInterval     uint32       `json:"arp_interval"` // ms
	ARPTargets      []netip.Addr `json:"arp_ip_target,omitzero"`
	NSTargets       []netip.Addr `json:"ns_ip6_target,omitzero"`
	ARPValidate     uint32       `json:"arp_validate"`
	ARPAllTargets   uint32       `json:"arp_all_targets"`
	MissedMax       uint8        `json:"arp_missed_max"`
	PrimaryReselect uint8        `json:"primary_reselect"`
	FailOverMAC     uint8        `json:"fail_over_mac"`
	HashPolicy      uint8        `json:"xmit_hash_policy"`
	ResendIGMP      uint32       `json:"resend_igmp"`
	NumPeerNotif    uint8        `json:"num_peer_notif"`
	AllSlavesActive uint8        `json:"all_slaves_active"`
	MinLinks        uint32       `json:"min_links"`
	LPInterval      uint32       `json:"lp_interval"` // s
	PacketsPerSlave uint32       `json:"packets_per_slave"`
	LACPRate        uint8        `json:"ad_lacp_rate"` // 0 slow, 1 fast
	LACPActive      uint8        `json:"ad_lacp_active"`
	ADSelect        uint8        `json:"ad_select"`
	ADInfo          *ADInfo      `json:"ad_info,omitzero"` // 802.3ad
	TLBDynamic      uint8        `json:"tlb_dynamic_lb"`
	Unknown         []Attribute  `json:"unknown,omitzero"`
}

// ADInfo is the active aggregate of an 802.3ad bond. A partner that does not
// speak LACP has the address 00:00:00:00:00:00.
type ADInfo struct {
	Aggregator uint16       `json:"aggregator"`
	Ports      uint16       `json:"num_ports"`
	ActorKey   uint16       `json:"actor_key"`
	PartnerKey uint16       `json:"partner_key"`
	PartnerMAC HardwareAddr `json:"partner_mac"`
}

func (d *Bond) unknown() *[]Attribute { return &d.Unknown }

func (d *Bond) attribute(typ uint16, b []byte) bool {
	switch typ {
	case 8:
		return setAddrs(&d.ARPTargets, b)
	case 23:
		return d.adInfo(b)
	case 31:
		return setAddrs(&d.NSTargets, b)
	}
	return d.bytes(typ, b) || d.numbers(typ, b)
}

func (d *Bond) bytes(typ uint16, b []byte) bool {
	if int(typ) >= 31 {
		return false
	}
	p := [31]*uint8{
		1: &d.Mode, 6: &d.UseCarrier, 12: &d.PrimaryReselect, 13: &d.FailOverMAC, 14: &d.HashPolicy,
		16: &d.NumPeerNotif, 17: &d.AllSlavesActive, 21: &d.LACPRate, 22: &d.ADSelect, 27: &d.TLBDynamic,
		29: &d.LACPActive, 30: &d.MissedMax,
	}[typ]
	return p != nil && nl.Set8(p, b)
}

func (d *Bond) numbers(typ uint16, b []byte) bool {
	switch typ {
	case 2:
		return nl.Set32(&d.ActiveSlave, b)
	case 3:
		return nl.Set32(&d.MIIMonitor, b)
	case 4:
		return nl.Set32(&d.UpDelay, b)
	case 5:
		return nl.Set32(&d.DownDelay, b)
	case 7:
		return nl.Set32(&d.ARPInterval, b)
	case 9:
		return nl.Set32(&d.ARPValidate, b)
	case 10:
		return nl.Set32(&d.ARPAllTargets, b)
	case 11:
		return nl.Set32(&d.Primary, b)
	case 15:
		return nl.Set32(&d.ResendIGMP, b)
	case 18:
		return nl.Set32(&d.MinLinks, b)
	case 19:
		return nl.Set32(&d.LPInterval, b)
	case 20:
		return nl.Set32(&d.PacketsPerSlave, b)
	case 28:
		return nl.Set32(&d.PeerNotifDelay, b)
	}
	return false
}

func (d *Bond) adInfo(b []byte) bool {
	var a ADInfo
	it := nl.NewAttrs(b)
	for it.Next() {
		ok := false
		switch it.Type {
		case 1:
			ok = nl.Set16(&a.Aggregator, it.Data)
		case 2:
			ok = nl.Set16(&a.Ports, it.Data)
		case 3:
			ok = nl.Set16(&a.ActorKey, it.Data)
		case 4:
			ok = nl.Set16(&a.PartnerKey, it.Data)
		case 5:
			ok = nl.SetBytes(&a.PartnerMAC, it.Data)
		}
		if !ok {
			return false
		}
	}
	d.ADInfo = &a
	return it.Err() == nil
}

// setAddrs reads a list whose types are places.
func setAddrs(p *[]netip.Addr, b []byte) bool {
	it := nl.NewAttrs(b)
	for it.Next() {
		a, ok := nl.Addr(it.Data)
		if !ok {
			return false
		}
		*p = append(*p, a)
	}
	return it.Err() == nil
}

// BondPort is what a bond keeps for an interface that is a port of it
// (IFLA_BOND_SLAVE_*).
type BondPort struct {
	State        uint8        `json:"state"`      // 0 active, 1 backup
	MIIStatus    uint8        `json:"mii_status"` // 0 up, 1 going down, 2 down, 3 coming back
	LinkFailures uint32       `json:"link_failure_count"`
	PermAddr     HardwareAddr `json:"perm_hwaddr,omitzero"`
	QueueID      uint16       `json:"queue_id"`
	Prio         int32        `json:"prio"`
	Aggregator   uint16       `json:"ad_aggregator_id,omitzero"` // 802.3ad
	ActorState   uint8        `json:"ad_actor_oper_port_state,omitzero"`
	PartnerState uint16       `json:"ad_partner_oper_port_state,omitzero"`
	Unknown      []Attribute  `json:"unknown,omitzero"`
}

func (p *BondPort) unknown() *[]Attribute { return &p.Unknown }

func (p *BondPort) attribute(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set8(&p.State, b)
	case 2:
		return nl.Set8(&p.MIIStatus, b)
	case 3:
		return nl.Set32(&p.LinkFailures, b)
	case 4:
		return nl.SetBytes(&p.PermAddr, b)
	case 5:
		return nl.Set16(&p.QueueID, b)
	case 6:
		return nl.Set16(&p.Aggregator, b)
	case 7:
		return nl.Set8(&p.ActorState, b)
	case 8:
		return nl.Set16(&p.PartnerState, b)
	case 9:
		return nl.Set32(&p.Prio, b)
	}
	return false
}
