package link

import (
	"fmt"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// Bridge is a software switch (IFLA_BR_*). Times marked 1/100 s are as the
// kernel tells them.
type Bridge struct {
	STPState       uint32       `json:"stp_state"`     // 0 off, 1 the kernel's, 2 a daemon's
	Priority       uint16       `json:"priority"`      // of the bridge in the spanning tree
	ForwardDelay   uint32       `json:"forward_delay"` // 1/100 s
	HelloTime      uint32       `json:"hello_time"`    // 1/100 s
	MaxAge         uint32       `json:"max_age"`       // 1/100 s
	AgeingTime     uint32       `json:"ageing_time"`   // 1/100 s
	BridgeID       BridgeID     `json:"bridge_id"`
	RootID         BridgeID     `json:"root_id"`
	RootPort       uint16       `json:"root_port"` // 0: this is the root
	RootPathCost   uint32       `json:"root_path_cost"`
	TopologyChange bool         `json:"topology_change"`
	TopologyNoted  bool         `json:"topology_change_detected"`
	GroupAddr      HardwareAddr `json:"group_addr,omitzero"` // where it sends its spanning tree frames
	GroupFwdMask   uint16       `json:"group_fwd_mask"`

	HelloTimer          time.Duration `json:"hello_timer_ns"` // time left; so the next three
	TCNTimer            time.Duration `json:"tcn_timer_ns"`
	TopologyChangeTimer time.Duration `json:"topology_change_timer_ns"`
	GCTimer             time.Duration `json:"gc_timer_ns"`

	VLANFiltering bool   `json:"vlan_filtering"`
	VLANProtocol  uint16 `json:"vlan_protocol"` // EtherType
	DefaultPVID   uint16 `json:"vlan_default_pvid"`
	VLANStats     bool   `json:"vlan_stats_enabled"`
	PortVLANStats bool   `json:"vlan_stats_per_port"`

	McastSnooping        bool   `json:"mcast_snooping"`
	McastRouter          uint8  `json:"mcast_router"` // 0 never, 1 when queries are heard, 2 always
	McastQuerier         bool   `json:"mcast_querier"`
	McastQueryUseIfAddr  bool   `json:"mcast_query_use_ifaddr"`
	McastStats           bool   `json:"mcast_stats_enabled"`
	McastHashElasticity  uint32 `json:"mcast_hash_elasticity"`
	McastHashMax         uint32 `json:"mcast_hash_max"`
	McastLastMemberCount uint32 `json:"mcast_last_member_cnt"`
	McastStartupCount    uint32 `json:"mcast_startup_query_cnt"`
	McastLastMember      uint64 `json:"mcast_last_member_intvl"`    // 1/100 s
	McastMembership      uint64 `json:"mcast_membership_intvl"`     // 1/100 s
	McastQuerierInterval uint64 `json:"mcast_querier_intvl"`        // 1/100 s
	McastQuery           uint64 `json:"mcast_query_intvl"`          // 1/100 s
	McastQueryResponse   uint64 `json:"mcast_query_response_intvl"` // 1/100 s
	McastStartupQuery    uint64 `json:"mcast_startup_query_intvl"`  // 1/100 s
	IGMPVersion          uint8  `json:"mcast_igmp_version"`
	MLDVersion           uint8  `json:"mcast_mld_version"`

	CallIPTables  bool `json:"nf_call_iptables"` // bridged packets pass the IP packet filter
	CallIP6Tables bool `json:"nf_call_ip6tables"`
	CallARPTables bool `json:"nf_call_arptables"`

	BoolOptions uint32 `json:"boolopt"`      // BR_BOOLOPT_*, linux/if_bridge.h
	BoolMask    uint32 `json:"boolopt_mask"` // which of them this kernel knows
	FDBLearned  uint32 `json:"fdb_n_learned"`
	FDBMax      uint32 `json:"fdb_max_learned"` // 0: no bound

	Unknown []Attribute `json:"unknown,omitzero"`
}

func (r *Bridge) unknown() *[]Attribute { return &r.Unknown }

func (r *Bridge) attribute(typ uint16, b []byte) bool {
	return r.tree(typ, b) || r.vlan(typ, b) || r.mcast(typ, b)
}

func (r *Bridge) tree(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set32(&r.ForwardDelay, b)
	case 2:
		return nl.Set32(&r.HelloTime, b)
	case 3:
		return nl.Set32(&r.MaxAge, b)
	case 4:
		return nl.Set32(&r.AgeingTime, b)
	case 5:
		return nl.Set32(&r.STPState, b)
	case 6:
		return nl.Set16(&r.Priority, b)
	case 9:
		return nl.Set16(&r.GroupFwdMask, b)
	case 10:
		return r.RootID.set(b)
	case 11:
		return r.BridgeID.set(b)
	case 12:
		return nl.Set16(&r.RootPort, b)
	case 13:
		return nl.Set32(&r.RootPathCost, b)
	case 14:
		return nl.SetBool(&r.TopologyChange, b)
	case 15:
		return nl.SetBool(&r.TopologyNoted, b)
	case 16:
		return setTimer(&r.HelloTimer, b)
	case 17:
		return setTimer(&r.TCNTimer, b)
	case 18:
		return setTimer(&r.TopologyChangeTimer, b)
	case 19:
		return setTimer(&r.GCTimer, b)
	case 20:
		return nl.SetBytes(&r.GroupAddr, b)
	case 40:
		return true // padding
	}
	return false
}

func (r *Bridge) vlan(typ uint16, b []byte) bool {
	switch typ {
	case 7:
		return nl.SetBool(&r.VLANFiltering, b)
	case 8:
		return nl.SetBE16(&r.VLANProtocol, b)
	case 36:
		return nl.SetBool(&r.CallIPTables, b)
	case 37:
		return nl.SetBool(&r.CallIP6Tables, b)
	case 38:
		return nl.SetBool(&r.CallARPTables, b)
	case 39:
		return nl.Set16(&r.DefaultPVID, b)
	case 41:
		return nl.SetBool(&r.VLANStats, b)
	case 45:
		return nl.SetBool(&r.PortVLANStats, b)
	case 46: // struct br_boolopt_multi
		return len(b) >= 8 && nl.Set32(&r.BoolOptions, b) && nl.Set32(&r.BoolMask, b[4:])
	case 48:
		return nl.Set32(&r.FDBLearned, b)
	case 49:
		return nl.Set32(&r.FDBMax, b)
	}
	return false
}

func (r *Bridge) mcast(typ uint16, b []byte) bool {
	switch typ {
	case 22:
		return nl.Set8(&r.McastRouter, b)
	case 23:
		return nl.SetBool(&r.McastSnooping, b)
	case 24:
		return nl.SetBool(&r.McastQueryUseIfAddr, b)
	case 25:
		return nl.SetBool(&r.McastQuerier, b)
	case 26:
		return nl.Set32(&r.McastHashElasticity, b)
	case 27:
		return nl.Set32(&r.McastHashMax, b)
	case 28:
		return nl.Set32(&r.McastLastMemberCount, b)
	case 29:
		return nl.Set32(&r.McastStartupCount, b)
	case 30:
		return nl.Set64(&r.McastLastMember, b)
	case 31:
		return nl.Set64(&r.McastMembership, b)
	case 32:
		return nl.Set64(&r.McastQuerierInterval, b)
	case 33:
		return nl.Set64(&r.McastQuery, b)
	case 34:
		return nl.Set64(&r.McastQueryResponse, b)
	case 35:
		return nl.Set64(&r.McastStartupQuery, b)
	case 42:
		return nl.SetBool(&r.McastStats, b)
	case 43:
		return nl.Set8(&r.IGMPVersion, b)
	case 44:
		return nl.Set8(&r.MLDVersion, b)
	}
	return false
}

// BridgeID is a bridge in the spanning tree (struct ifla_bridge_id): two bytes of
// priority and a hardware address.
type BridgeID [8]byte

// String returns "8000.02:00:5e:10:00:01", as brctl(8) shows it.
func (i BridgeID) String() string {
	return fmt.Sprintf("%02x%02x.%s", i[0], i[1], HardwareAddr(i[2:]))
}

// MarshalText implements [encoding.TextMarshaler].
func (i BridgeID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *BridgeID) UnmarshalText(b []byte) error {
	var prio Hex
	var addr HardwareAddr
	if len(b) < 5 || b[4] != '.' || prio.UnmarshalText(b[:4]) != nil || addr.UnmarshalText(b[5:]) != nil || len(addr) != 6 {
		return fmt.Errorf("bridge identifier %q is not priority.address", b)
	}
	*i = BridgeID(append(prio, addr...))
	return nil
}

func (i *BridgeID) set(b []byte) bool {
	if len(b) < len(i) {
		return false
	}
	*i = BridgeID(b[:len(i)])
	return true
}

// PortState is the state of a bridge port in the spanning tree (BR_STATE_*).
// Without spanning tree a port is disabled or forwarding.
type PortState uint8

// The states.
const (
	PortDisabled PortState = iota
	PortListening
	PortLearning
	PortForwarding
	PortBlocking
)

var portStateNames = []string{"disabled", "listening", "learning", "forwarding", "blocking"}

// String returns the word of bridge(8).
func (s PortState) String() string { return enum.String(portStateNames, "portstate", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s PortState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *PortState) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[PortState](portStateNames, "portstate", b)
	return err
}
