package link

import (
	"fmt"
	"math/bits"
	"os/user"
	"strings"
	"time"
)

// view tells an interface in the words of `ip -j -d -s -s link` and `ip -j -d
// addr`: whatever ip prints must be here, and nothing else.
func view(l Link, names map[int]string) object {
	o := object{
		"ifindex": l.Index, "ifname": l.Name, "flags": flagsView(l.Flags), "mtu": l.MTU, "qdisc": l.Qdisc,
		"operstate": strings.ToUpper(l.OperState.String()), "linkmode": strings.ToUpper(l.LinkMode.String()),
		"group": group(l.Group), "link_type": l.Type.String(), "promiscuity": l.Promiscuity, "allmulti": l.AllMulti,
		"min_mtu": l.MinMTU, "max_mtu": l.MaxMTU, "num_tx_queues": l.TxQueues, "num_rx_queues": l.RxQueues,
		"gso_max_size": l.Offload.GSOMaxSize, "gso_max_segs": l.Offload.GSOMaxSegs, "tso_max_size": l.Offload.TSOMaxSize,
		"tso_max_segs": l.Offload.TSOMaxSegs, "gro_max_size": l.Offload.GROMaxSize, "stats64": countersView(l),
	}
	var addrs []object
	for _, a := range l.Addresses {
		addrs = append(addrs, addressView(a))
	}
	o["addr_info"] = addrs
	if addrs == nil {
		o["addr_info"] = []object{}
	}
	put(o, "txqlen", l.TxQueueLen)
	put(o, "address", l.HardwareAddr.String())
	if l.Flags&FlagPointToPoint != 0 {
		put(o, "link_pointtopoint", l.Broadcast.String() != "")
		put(o, "broadcast", l.Broadcast.String())
	} else {
		put(o, "broadcast", l.Broadcast.String())
	}
	if l.PermAddr.String() != l.HardwareAddr.String() {
		put(o, "permaddr", l.PermAddr.String())
	}
	put(o, "master", names[l.Master])
	if l.LinkNetNS != nil {
		o["link_index"], o["link_netnsid"] = l.LinkIndex, *l.LinkNetNS
	} else {
		put(o, "link", names[l.LinkIndex])
	}
	put(o, "ifalias", l.Alias)
	if l.AltNames != nil {
		o["altnames"] = l.AltNames
	}
	put(o, "proto_down", l.ProtoDown)
	if l.IPv6 != nil {
		o["inet6_addr_gen_mode"] = l.IPv6.AddrGenMode.String()
	}
	if info := infoView(l, names); len(info) > 0 {
		o["linkinfo"] = info
	}
	return o
}

// put adds what ip leaves out when it is zero.
func put[T comparable](o object, key string, v T) {
	var zero T
	if v != zero {
		o[key] = v
	}
}

func flagsView(f Flags) []string {
	// The order is ip's, and RUNNING is its NO-CARRIER.
	order := []Flags{
		FlagLoopback, FlagBroadcast, FlagPointToPoint, FlagMulticast, FlagNoARP, FlagAllMulti, FlagPromisc, FlagMaster,
		FlagSlave, FlagDebug, FlagDynamic, FlagAutoMedia, FlagPortSel, FlagNoTrailers, FlagUp, FlagLowerUp, FlagDormant, FlagEcho,
	}
	var words []string
	for _, w := range order {
		if f&w != 0 {
			words = append(words, w.String())
		}
	}
	return words
}

func group(g uint32) string {
	if g == 0 {
		return "default"
	}
	return fmt.Sprint(g)
}

func countersView(l Link) object {
	c := l.Counters
	rx := object{
		"bytes": c.RxBytes, "packets": c.RxPackets, "errors": c.RxErrors, "dropped": c.RxDropped,
		"over_errors": c.RxOverErrors, "multicast": c.Multicast, "length_errors": c.RxLengthErrors,
		"crc_errors": c.RxCRCErrors, "frame_errors": c.RxFrameErrors, "fifo_errors": c.RxFIFOErrors,
		"missed_errors": c.RxMissedErrors,
	}
	put(rx, "nohandler", c.RxNoHandler)
	put(rx, "otherhost_dropped", c.RxOtherHost)
	put(rx, "compressed", c.RxCompressed)
	tx := object{
		"bytes": c.TxBytes, "packets": c.TxPackets, "errors": c.TxErrors, "dropped": c.TxDropped,
		"carrier_errors": c.TxCarrierErrors, "collisions": c.Collisions, "aborted_errors": c.TxAbortedErrors,
		"fifo_errors": c.TxFIFOErrors, "window_errors": c.TxWindowErrors, "heartbeat_errors": c.TxHeartbeatErrors,
		"carrier_changes": l.CarrierChanges,
	}
	put(tx, "compressed", c.TxCompressed)
	return object{"rx": rx, "tx": tx}
}

func addressView(a Address) object {
	o := object{
		"local": a.Prefix.Addr().String(), "prefixlen": a.Prefix.Bits(), "scope": a.Scope.String(),
		"valid_life_time": seconds(a.Valid), "preferred_life_time": seconds(a.Preferred),
	}
	if strings.HasPrefix(o["scope"].(string), "scope(") {
		o["scope"] = fmt.Sprint(uint8(a.Scope))
	}
	secondary := "temporary"
	o["family"] = "inet6"
	if a.Prefix.Addr().Is4() {
		o["family"], secondary = "inet", "secondary"
	}
	if a.Peer.IsValid() {
		o["address"] = a.Peer.Addr().String()
		o["prefixlen"] = a.Peer.Bits()
	}
	if a.Broadcast.IsValid() {
		o["broadcast"] = a.Broadcast.String()
	}
	put(o, "metric", a.Metric)
	put(o, "label", a.Label)
	for flag, word := range map[AddressFlags]string{
		AddressSecondary: secondary, AddressNoDAD: "nodad", AddressOptimistic: "optimistic", AddressDADFailed: "dadfailed",
		AddressHome: "home", AddressDeprecated: "deprecated", AddressTentative: "tentative", AddressManageTemp: "mngtmpaddr",
		AddressNoPrefixRoute: "noprefixroute", AddressMulticastJoin: "autojoin", AddressStablePrivacy: "stable-privacy",
	} {
		put(o, word, a.Flags&flag != 0)
	}
	put(o, "dynamic", a.Dynamic())
	return o
}

func seconds(d time.Duration) uint32 {
	if d < 0 {
		return 1<<32 - 1
	}
	return uint32(d / time.Second)
}

func infoView(l Link, names map[int]string) object {
	o := object{}
	put(o, "info_kind", l.Kind)
	put(o, "info_slave_kind", l.SlaveKind)
	var data object
	switch {
	case l.Bridge != nil:
		data = bridgeView(l.Bridge)
	case l.MACVLAN != nil:
		data = macvlanView(l.MACVLAN)
	case l.VXLAN != nil:
		data = vxlanView(l.VXLAN, names)
	case l.Tun != nil:
		data = tunView(l.Tun)
	}
	if data != nil {
		o["info_data"] = data
	}
	if l.BridgePort != nil {
		o["info_slave_data"] = portView(l.BridgePort)
	}
	return o
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// brctlID is ip's way to write an identifier: no leading zeroes.
func brctlID(id BridgeID) string {
	a := id[2:]
	return fmt.Sprintf("%02x%02x.%x:%x:%x:%x:%x:%x", id[0], id[1], a[0], a[1], a[2], a[3], a[4], a[5])
}

func bridgeView(b *Bridge) object {
	const noLinkLocalLearn, mcastVLANSnooping = 1, 2
	o := object{
		"forward_delay": b.ForwardDelay, "hello_time": b.HelloTime, "max_age": b.MaxAge, "ageing_time": b.AgeingTime,
		"stp_state": b.STPState, "priority": b.Priority, "vlan_filtering": bit(b.VLANFiltering),
		"bridge_id": brctlID(b.BridgeID), "root_id": brctlID(b.RootID), "root_port": b.RootPort,
		"root_path_cost": b.RootPathCost, "topology_change": bit(b.TopologyChange),
		"topology_change_detected": bit(b.TopologyNoted), "group_fwd_mask": hexC(b.GroupFwdMask),
		"group_addr": b.GroupAddr.String(), "mcast_snooping": bit(b.McastSnooping), "mcast_router": b.McastRouter,
		"mcast_query_use_ifaddr": bit(b.McastQueryUseIfAddr), "mcast_querier": bit(b.McastQuerier),
		"mcast_hash_elasticity": b.McastHashElasticity, "mcast_hash_max": b.McastHashMax,
		"mcast_last_member_cnt": b.McastLastMemberCount, "mcast_startup_query_cnt": b.McastStartupCount,
		"mcast_last_member_intvl": b.McastLastMember, "mcast_membership_intvl": b.McastMembership,
		"mcast_querier_intvl": b.McastQuerierInterval, "mcast_query_intvl": b.McastQuery,
		"mcast_query_response_intvl": b.McastQueryResponse, "mcast_startup_query_intvl": b.McastStartupQuery,
		"mcast_stats_enabled": bit(b.McastStats), "mcast_igmp_version": b.IGMPVersion, "mcast_mld_version": b.MLDVersion,
		"nf_call_iptables": bit(b.CallIPTables), "nf_call_ip6tables": bit(b.CallIP6Tables), "nf_call_arptables": bit(b.CallARPTables),
		"no_linklocal_learn": bit(b.BoolOptions&noLinkLocalLearn != 0), "mcast_vlan_snooping": bit(b.BoolOptions&mcastVLANSnooping != 0),
	}
	if b.VLANProtocol != 0 { // compiled in
		o["vlan_protocol"] = map[uint16]string{0x8100: "802.1Q", 0x88a8: "802.1ad"}[b.VLANProtocol]
		o["vlan_default_pvid"], o["vlan_stats_enabled"] = b.DefaultPVID, bit(b.VLANStats)
		o["vlan_stats_per_port"] = bit(b.PortVLANStats)
	}
	return o
}

func portView(p *BridgePort) object {
	return object{
		"state": p.State.String(), "priority": p.Priority, "cost": p.Cost, "hairpin": p.Hairpin, "guard": p.Guard,
		"root_block": p.RootBlock, "fastleave": p.FastLeave, "learning": p.Learning, "flood": p.Flood,
		"id": fmt.Sprintf("%#x", p.ID), "no": fmt.Sprintf("%#x", p.Number), "designated_port": p.DesignatedPort,
		"designated_cost": p.DesignatedCost, "bridge_id": brctlID(p.BridgeID), "root_id": brctlID(p.RootID),
		"topology_change_ack": bit(p.TopologyAck), "config_pending": bit(p.ConfigPending), "proxy_arp": p.ProxyARP,
		"proxy_arp_wifi": p.ProxyARPWiFi, "multicast_router": p.McastRouter, "mcast_flood": p.McastFlood,
		"bcast_flood": p.BcastFlood, "mcast_to_unicast": p.McastToUnicast, "neigh_suppress": p.NeighSuppress,
		"group_fwd_mask": hexC(p.GroupFwdMask), "group_fwd_mask_str": forwarded(p.GroupFwdMask),
		"vlan_tunnel": p.VLANTunnel, "isolated": p.Isolated, "locked": p.Locked,
	}
}

func macvlanView(m *MACVLAN) object {
	o := object{
		"mode":       []string{"private", "vepa", "bridge", "passthru", "source"}[bits.TrailingZeros32(m.Mode)],
		"bcqueuelen": m.BCQueueLen, "usedbcqueuelen": m.BCQueueInUse,
	}
	if m.Flags&1 != 0 {
		o["nopromisc"] = true
	}
	if m.Mode == 16 {
		o["macaddr_count"] = len(m.Sources)
	}
	return o
}

func vxlanView(v *VXLAN, names map[int]string) object {
	o := object{
		"id": v.ID, "port": v.Port, "port_range": object{"low": v.PortLow, "high": v.PortHigh}, "learning": v.Learning,
		"ttl": v.TTL, "df": []string{"unset", "set", "inherit"}[v.DF], "ageing": v.Ageing, "udp_csum": v.UDPCsum,
		"udp_zero_csum6_tx": v.ZeroCsum6Tx, "udp_zero_csum6_rx": v.ZeroCsum6Rx,
	}
	six := ""
	if v.Remote.Is6() || v.Local.Is6() {
		six = "6"
	}
	if v.Remote.IsValid() {
		key := "remote"
		if v.Remote.IsMulticast() {
			key = "group"
		}
		o[key+six] = v.Remote.String()
	}
	if v.Local.IsValid() {
		o["local"+six] = v.Local.String()
	}
	put(o, "link", names[v.Link])
	if v.TOS != 0 {
		o["tos"] = fmt.Sprintf("%#x", v.TOS)
	}
	put(o, "limit", v.Limit)
	for key, on := range map[string]bool{
		"proxy": v.Proxy, "rsc": v.RSC, "l2miss": v.L2Miss, "l3miss": v.L3Miss, "gbp": v.GBP, "gpe": v.GPE, "external": v.External,
	} {
		put(o, key, on)
	}
	return o
}

func tunView(t *Tun) object {
	o := object{
		"type": []string{"", "tun", "tap"}[t.Type], "pi": t.PacketInfo, "vnet_hdr": t.VNetHeader, "persist": t.Persist,
		"multi_queue": t.MultiQueue,
	}
	if t.MultiQueue {
		o["numqueues"], o["numdisabled"] = t.Queues, t.DisabledQueues
	}
	if t.Owner != nil {
		o["user"] = fmt.Sprint(*t.Owner)
		if u, err := user.LookupId(fmt.Sprint(*t.Owner)); err == nil {
			o["user"] = u.Username
		}
	}
	return o
}

// hexC is C's %#x, which gives zero no prefix.
func hexC(n uint16) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}

// forwarded is the mask as ip spells it, bit by bit.
func forwarded(mask uint16) string {
	if mask == 0 {
		return "0x0"
	}
	var words []string
	for bit := uint16(1); bit != 0; bit <<= 1 {
		switch {
		case mask&bit == 0:
		case bit == 1<<2:
			words = append(words, "lacp")
		case bit == 1<<14:
			words = append(words, "lldp")
		default:
			words = append(words, hexC(bit))
		}
	}
	return strings.Join(words, ",")
}
