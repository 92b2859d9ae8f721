package diagnose

import "slices"

// What stops working when packets to a peer no longer make the round trip, and
// what may stop working when nothing leaves an interface at all.
var (
	beyondPeer = []string{FactPath, FactAnswers, FactOpen, FactServer}
	beyondLink = append([]string{FactNeighbor}, beyondPeer...)
	upstream   = []string{
		FactAddress, FactDefault, FactRoute, FactForwards, FactAccepted, FactName, FactRecursion, FactSend,
	}
)

// DefaultCauses returns the causes that this library knows, the most basic
// first. The slice is the caller's to extend.
func DefaultCauses() []Cause {
	return slices.Concat(lowerCauses(), linkCauses(), prefixCauses(), routeCauses(), gatewayCauses(), serverCauses(), nameCauses(),
		refusalCauses(), reverseCauses(), silenceCauses(), portCauses(), roomCauses(), serviceCauses(), sideCauses())
}

func linkCauses() []Cause {
	return []Cause{{
		Code: LinkNoInterface, Kind: AtLocal, Place: PlaceIface, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactInterface, State: No}},
		Allows:  append(slices.Clone(upstream), beyondLink...),
		Summary: "this host has no network interface {subject}",
	}, {
		Code: LinkAdminDown, Kind: AtLocal, Place: PlaceIface, Bind: ByIface, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactAdminUp, State: No}},
		Predicts: append([]string{FactCarrier}, beyondLink...), Allows: upstream,
		Summary: "interface {subject} is switched off",
	}, {
		Code: LinkNoCarrier, Kind: AtLocal, Place: PlaceIface, Bind: ByIface, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactCarrier, State: No}, {Fact: FactAdminUp, State: Yes}},
		Predicts: beyondLink, Allows: upstream,
		Summary: "interface {subject} has no link: the cable is unplugged, or what it leads to is off",
	}, {
		Code: AddrNone, Kind: AtLocal, Place: PlaceIface, Bind: ByIface | ByFamily, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactAddress, State: No, Values: []string{"none"}}},
		Predicts: beyondPeer, Allows: append([]string{FactNeighbor}, upstream...),
		Summary: "interface {subject} has no {family} address",
	}, {
		Code: AddrLinkLocalOnly, Kind: AtLocal, Place: PlaceIface, Bind: ByIface | ByFamily, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactAddress, State: No, Values: []string{"linklocal_only"}}},
		Allows:  append(slices.Clone(upstream), beyondLink...),
		Summary: "interface {subject} has only a link-local {family} address: no DHCP server gave it a lease",
	}}
}

func routeCauses() []Cause {
	return []Cause{{
		Code: RouteNoDefault, Kind: AtLocal, Bind: ByFamily, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactDefault, State: No}},
		Allows:  append([]string{FactRoute, FactName, FactForwards}, beyondPeer...),
		Summary: "this host has no {family} default route, so it knows no way off its own networks",
	}, {
		Code: RouteLocalBlackhole, Kind: AtLocal, Bind: ByPeer, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactRoute, State: No, Values: []string{"blackhole", "unreachable", "prohibit"}}},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "this host's own routing table refuses {peer}: {value} route",
	}, {
		Code: RoutePolicyRule, Kind: AtLocal, Bind: ByPeer, Confidence: Confirmed,
		When: []Pattern{{
			Fact: FactRoute, State: No,
			Values: []string{"rule_blackhole", "rule_unreachable", "rule_prohibit", "rule_no_route"},
		}},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "a policy rule of this host refuses {peer} ({value})",
	}, {
		Code: FWLocalEgress, Kind: AtLocal, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactSend, State: No}},
		Predicts: []string{FactAnswers, FactOpen},
		Allows:   []string{FactServer, FactName, FactPath, FactForwards, FactAccepted, FactReset},
		Summary:  "this host's own packet filter stops what it sends to {subject}",
	}, {
		Code: FWLocalIngress, Kind: AtLocal, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactReceive, State: No}},
		Predicts: []string{FactAnswers, FactOpen}, Allows: []string{FactPath},
		Summary: "this host's own packet filter stops what it sends to its own address {subject}",
	}}
}

func gatewayCauses() []Cause {
	return []Cause{{
		Code: GWUnresolved, Kind: AtL2, Place: PlaceGateway, Bind: ByIface | ByGateway, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactNeighbor, State: No, Values: []string{"gateway", "gateway_outside"}}},
		Predicts: beyondPeer, Allows: []string{FactForwards, FactAccepted, FactName, FactRecursion},
		Summary: "the gateway {gateway} does not answer on {iface}: nobody there has that address",
	}, {
		Code: GWUnresolved, Kind: AtL2, Place: PlaceGateway, Bind: ByIface | ByGateway, Confidence: Likely,
		When: []Pattern{
			{Fact: FactForwards, State: No},
			{Fact: FactNeighbor, State: NotChecked, Values: []string{"gateway_stale"}},
		},
		Predicts: beyondPeer, Allows: []string{FactAccepted, FactName, FactRecursion},
		Summary: "the gateway {gateway} has stopped answering: nothing comes back from it or through it",
		Decide:  "arping -I {iface} {gateway}",
	}, {
		Code: GWNotForwarding, Kind: AtHop, Place: PlaceGateway, Bind: ByGateway | ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactForwards, State: No},
			{Fact: FactNeighbor, State: NotChecked, Values: []string{"gateway_stale"}},
		},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "the gateway {gateway} may be there and pass nothing on to {peer}",
		Decide:  "arping -I {iface} {gateway}",
	}, {
		Code: GWNotForwarding, Kind: AtHop, Place: PlaceGateway, Bind: ByGateway | ByPeer, Confidence: Likely,
		When:     []Pattern{{Fact: FactForwards, State: No}, {Fact: FactNeighbor, State: Yes}},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "the gateway {gateway} is there but passes nothing on to {peer}",
		Decide:  "on {gateway}: sysctl net.ipv4.ip_forward",
	}}
}

func serverCauses() []Cause {
	return []Cause{{
		Code: DNSConfUnreadable, Kind: AtLocal, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactConfigured, State: No, Values: []string{"unreadable"}}},
		Allows:  []string{FactName, FactServer},
		Summary: "{detail}, so this user's programs know no name server",
	}, {
		Code: DNSNoNameserver, Kind: AtLocal, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactConfigured, State: No, NotValues: []string{"unreadable"}}},
		Allows:  []string{FactName, FactServer},
		Summary: "no name server is configured in {subject}",
	}, {
		Code: DNSServerDown, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Confirmed,
		When: []Pattern{
			{Fact: FactServer, State: No},
			{Fact: FactNeighbor, State: No, Values: []string{"peer", "peer_far"}},
			{Fact: FactDetour, State: Yes, Absent: true},
			{Fact: FactSomeServer, State: Yes, Absent: true}, // see DNSFirstServerDead
		},
		Predicts: beyondPeer, Allows: []string{FactName, FactAccepted},
		Summary: "the name server {peer} is down: it does not even answer ARP or NDP on {iface}",
	}, {
		Code: DNSServerDown, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactServer, State: No},
			{Fact: FactNeighbor, State: NotChecked, Values: []string{"peer_stale"}},
			{Fact: FactPath, State: No},
			{Fact: FactSomeServer, State: Yes, Absent: true},
		},
		Predicts: beyondPeer, Allows: []string{FactName, FactAccepted},
		Summary: "the name server {peer} has stopped answering, on {iface}'s own network",
		Decide:  "arping -I {iface} {peer}",
	}, {
		Code: DNSPortClosed, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactServer, State: No, Values: []string{"port_unreachable"}, Peer: true}},
		Allows:  []string{FactName},
		Summary: "no name server runs on {peer}: the host is up, port {port} is closed",
	}, {
		Code: DNSPortFiltered, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactServer, State: No, Values: []string{"timeout", "prohibited"}},
			{Fact: FactPath, State: Yes},
			{Fact: FactSomeServer, State: Yes, Absent: true},
		},
		Allows:  []string{FactName},
		Summary: "the name server {peer} is up, but port {port} does not answer: a firewall swallows the questions",
		Decide:  "on {peer}: nft list ruleset, and ss -lun",
	}, {
		Code: DNSFirstServerDead, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactServer, State: No, Values: []string{"timeout"}},
			{Fact: FactSomeServer, State: Yes},
		},
		Degrades: true,
		Allows:   []string{FactNeighbor, FactPath, FactAccepted},
		Summary:  "the name server {peer} does not answer; a later one does, after a wait at every look-up",
	}}
}

func nameCauses() []Cause {
	return []Cause{{
		Code: DNSRecursionBroken, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactRecursion, State: No, Values: []string{"name_and_root"}}},
		Allows:  []string{FactName, FactExists},
		Summary: "the name server {peer} resolves nothing beyond its own zones: {detail}",
	}, {
		Code: DNSRecursionBroken, Kind: AtResolver, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When:    []Pattern{{Fact: FactRecursion, State: No, Values: []string{"root"}}},
		Summary: "the name server {peer} does not resolve names for this host: {detail}",
		Decide:  "dig @{peer} NAME, with a name that must exist",
	}, {
		Code: DNSAuthBroken, Kind: AtResolver, Place: PlaceAt, Bind: ByName, Confidence: Likely,
		When: []Pattern{
			{Fact: FactExists, State: No, NotValues: []string{"nx_domain", "no_data"}},
			{Fact: FactRecursion, State: Yes},
		},
		Summary: "{at} resolves other names and gives {value} for {subject}: the name servers of its own zone are broken",
		Decide:  "dig +trace {subject}",
	}, {
		Code: DNSSearchMissing, Kind: AtLocal, Bind: ByName, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactQualified, State: No}},
		Allows:  []string{FactName, FactExists},
		Summary: "{name} resolves only as {value}, and no search domain is configured that would complete it",
	}, {
		Code: DNSNXDomain, Kind: AtResolver, Place: PlaceAt, Bind: ByName, Confidence: Confirmed,
		When: []Pattern{
			{Fact: FactExists, State: No, Values: []string{"nx_domain"}},
			{Fact: FactQualified, State: No, Absent: true},
		},
		Summary: "the name {subject} does not lead to an address: {detail}",
	}, {
		Code: DNSNoData, Kind: AtResolver, Place: PlaceAt, Bind: ByName, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactExists, State: No, Values: []string{"no_data"}}},
		Summary: "the name {name} is there, but it has no address: {detail}",
	}}
}

func refusalCauses() []Cause {
	refused := func(code Code, value, summary string) Cause {
		return Cause{
			Code: code, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Confirmed,
			When:     []Pattern{{Fact: FactAccepted, State: No, Values: []string{value}}},
			Predicts: beyondPeer, Allows: []string{FactName, FactForwards},
			Summary: summary,
		}
	}
	return []Cause{{
		Code: PathLoop, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactLoopFree, State: No}},
		Predicts: beyondPeer, Allows: []string{FactName, FactAccepted},
		Summary: "routers send packets for {peer} in a circle: {value}",
	},
		refused(PathHostUnreachable, "host_unreachable", "the last router {at} cannot find {peer} on its network: the host is off, or has another address"),
		{
			Code: PathHostUnreachable, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Likely,
			When:     []Pattern{{Fact: FactAccepted, State: No, Values: []string{"host_unreachable_at_once"}}},
			Predicts: beyondPeer, Allows: []string{FactName, FactForwards},
			Summary: "router {at} knows without looking that {peer} cannot be reached: an unreachable route, as a rule",
			Decide:  "on {at}: ip route get {peer}",
		}, {
			Code: PathAdminProhibited, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Likely,
			When:     []Pattern{{Fact: FactAccepted, State: No, Values: []string{"host_unreachable_at_once"}}},
			Predicts: beyondPeer, Allows: []string{FactName, FactForwards},
			Summary: "a packet filter on {at} may answer so",
			Decide:  "on {at}: nft list ruleset",
		},
		refused(PathAdminProhibited, "port_unreachable", "a firewall at {at} rejects packets to {peer} ({detail})"),
		refused(PathAdminProhibited, "refused_otherwise", "router {at} refuses packets to {peer} ({detail})"),
		refused(PathNetUnreachable, "net_unreachable", "router {at} has no route to {peer}"),
		refused(PathProtoUnreachable, "proto_unreachable", "{at} says that {peer} does not speak the protocol"),
		refused(PathAdminProhibited, "prohibited", "router {at} forbids packets to {peer} ({detail})"),
		{
			Code: PathHostUnreachable, Kind: AtL2, Place: PlacePeer, Bind: ByPeer, Confidence: Confirmed,
			When: []Pattern{
				{Fact: FactNeighbor, State: No, Values: []string{"peer", "peer_far"}},
				{Fact: FactServer, State: No, Absent: true},
				{Fact: FactDetour, State: Yes, Absent: true},
			},
			Predicts: beyondPeer, Allows: []string{FactName, FactAccepted},
			Summary: "{peer} should be on {iface}'s own network and does not answer there: it is off, unplugged or has another address",
		}}
}

func silenceCauses() []Cause {
	silent := []Pattern{{Fact: FactPath, State: No, Values: []string{"silent"}, Remote: true}}
	return []Cause{{
		Code: PathBlackhole, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Likely,
		When:     silent,
		Predicts: beyondPeer, Allows: []string{FactName, FactForwards},
		Summary: "packets to {peer} vanish at or behind {at}, the last hop that answers",
		Decide:  "on {at} and the router behind it: ip route get {peer}",
	}, {
		Code: PathNoReturnRoute, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Likely,
		When:     silent,
		Predicts: beyondPeer, Allows: []string{FactName, FactForwards},
		Summary: "the router behind {at} may have no way back to this host",
		Decide:  "traceroute from {peer} to this host",
	}, {
		Code: ServerNoReturnRoute, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When:     silent,
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "{peer} may have no way back to this host",
		Decide:  "on {peer}: ip route",
	}, {
		Code: FWServerPolicyDrop, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When:     silent,
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "{peer} may swallow everything by its own packet filter",
		Decide:  "on {peer}: nft list ruleset, or iptables -L -n",
	}, {
		Code: FWLocalIngress, Kind: AtLocal, Bind: ByPeer, Confidence: Likely,
		When:     silent,
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "this host's own packet filter may swallow the answers of {peer}",
		Decide:  "nft list ruleset, or iptables -L INPUT -n -v",
	}, {
		// A link without neighbours: what is at its other end cannot be asked for.
		Code: PathBlackhole, Kind: AtHop, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactPath, State: No, Values: []string{"silent"}, Local: true},
			{Fact: FactNeighbor, State: NotChecked, Values: []string{"noarp"}},
		},
		Predicts: beyondPeer, Allows: []string{FactName, FactForwards},
		Summary: "packets to {peer} vanish at the other end of {iface}",
	}, {
		Code: PathHostUnreachable, Kind: AtL2, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactPath, State: No, Values: []string{"silent"}},
			{Fact: FactNeighbor, State: NotChecked, Values: []string{"peer_stale"}},
			{Fact: FactServer, State: No, Absent: true},
		},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "{peer} has stopped answering, on {iface}'s own network",
		Decide:  "arping -I {iface} {peer}",
	}, {
		Code: FWServerPolicyDrop, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactPath, State: No, Values: []string{"silent"}},
			{Fact: FactNeighbor, State: NotChecked, Values: []string{"peer_stale"}},
		},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "{peer} may be there and swallow everything that was sent to it",
		Decide:  "arping -I {iface} {peer}",
	}}
}

func portCauses() []Cause {
	silent := Pattern{Fact: FactAnswers, State: No, Values: []string{"silent"}}
	behindHop := silent
	behindHop.Remote = true
	alive := Pattern{Fact: FactPath, State: Yes}
	return []Cause{{
		Code: FWRejectRST, Kind: AtHop, Place: PlaceAt, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactReset, State: No}},
		Allows:  []string{FactOpen, FactAnswers, FactSend},
		Summary: "a firewall at {at} resets connections to {subject}; the host itself is farther away",
	}, {
		// On the same network no hop stands between: silence is the host's own.
		Code: FWServerPolicyDrop, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer, Confidence: Likely,
		When: []Pattern{
			{Fact: FactPath, State: No, Values: []string{"silent"}, Local: true},
			{Fact: FactNeighbor, State: Yes, Values: []string{"peer"}},
		},
		Predicts: beyondPeer, Allows: []string{FactName},
		Summary: "{peer} is there on {iface}'s own network, but swallows everything that was sent to it",
		Decide:  "on {peer}: nft list ruleset, or iptables -L -n",
	}, {
		Code: FWPathReject, Kind: AtHop, Place: PlaceAt, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When: []Pattern{
			{Fact: FactAnswers, State: No, Values: []string{"port_unreachable", "prohibited", "host_unreachable", "net_unreachable", "proto_unreachable"}, Remote: true},
			{Fact: FactPath, State: Yes},
		},
		Predicts: []string{FactOpen},
		Summary:  "a firewall at {at} refuses {subject} ({value}), while {peer} answers otherwise",
	}, {
		Code: FWServerReject, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactAnswers, State: No, Values: []string{"port_unreachable", "prohibited", "host_unreachable", "net_unreachable", "proto_unreachable"}, Peer: true}},
		Predicts: []string{FactOpen},
		Summary:  "the packet filter of {peer} itself refuses port {port} ({value})",
	}, {
		Code: FWPathDrop, Kind: AtHop, Place: PlaceAt, Bind: ByPeer | ByPort, Confidence: Likely,
		When:     []Pattern{behindHop, alive},
		Predicts: []string{FactOpen},
		Summary:  "a firewall swallows packets to port {port} of {peer}: they come as far as {at}, and {peer} answers otherwise",
		Decide:   "on {at}: nft list ruleset, or iptables -L FORWARD -n -v",
	}, {
		Code: FWServerDrop, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer | ByPort, Confidence: Likely,
		When:     []Pattern{silent, alive, {Fact: FactBefore, State: Yes}},
		Predicts: []string{FactOpen},
		Summary:  "the packet filter of {peer} itself swallows packets to port {port}",
		Decide:   "on {peer}: nft list ruleset, or iptables -L INPUT -n -v",
	}, {
		Code: SvcBacklogFull, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer | ByPort, Confidence: Likely,
		When:     []Pattern{silent, alive, {Fact: FactBefore, State: Yes}, {Fact: FactRoom, State: No, Absent: true}},
		Predicts: []string{FactOpen},
		Summary:  "the service of port {port} of {peer} may not accept what waits, so that its host drops what comes",
		Decide:   "on {peer}: ss -lnt sport = :{port} (Recv-Q above Send-Q)",
	}, {
		Code: FWPathDrop, Kind: AtHop, Bind: ByPeer | ByPort, Confidence: Likely,
		When: []Pattern{
			{Fact: FactAnswers, State: No, Values: []string{"silent"}, Local: true}, alive, {Fact: FactForwards, State: Yes},
		},
		Predicts: []string{FactOpen},
		Summary:  "a firewall on the way may swallow packets to port {port} of {peer}; no router answers that would show where",
		Decide:   "on each router: nft list ruleset, or iptables -L FORWARD -n -v",
	}}
}

func serviceCauses() []Cause {
	return []Cause{{
		Code: SvcBoundElsewhere, Kind: AtLocal, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactListening, State: No, Values: []string{"elsewhere"}}},
		Predicts: []string{FactOpen},
		Summary:  "the service of port {port} listens on another address of this host: {detail}",
	}, {
		Code: SvcNotListening, Kind: AtLocal, Place: PlacePeer, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When:     []Pattern{{Fact: FactListening, State: No, Values: []string{"none"}}},
		Predicts: []string{FactOpen},
		Summary:  "nothing listens on port {port} of this host",
	}, {
		Code: SvcNotListening, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer | ByPort, Confidence: Confirmed,
		When: []Pattern{
			{Fact: FactOpen, State: No, Values: []string{"reset"}},
			{Fact: FactReset, State: No, Absent: true},
			{Fact: FactListening, State: No, Absent: true},
		},
		Summary: "nothing listens on port {port} of {peer}: the host is reached and resets the connection",
	}, {
		// A filter can answer as if nothing listened. From outside it looks the same.
		Code: FWServerReject, Kind: AtRemote, Place: PlacePeer, Bind: ByPeer | ByPort, Confidence: Likely,
		When: []Pattern{
			{Fact: FactOpen, State: No, Values: []string{"reset"}},
			{Fact: FactReset, State: No, Absent: true},
			{Fact: FactListening, State: No, Absent: true},
		},
		Summary: "a packet filter on {peer}, or right before it, may reset port {port} as if nothing listened",
		Decide:  "on {peer}: ss -lnt sport = :{port}",
	}}
}
