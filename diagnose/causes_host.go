package diagnose

import "slices"

// lowerCauses blame what an interface rides on, before the interface itself.
func lowerCauses() []Cause {
	lower := func(code Code, value, summary string) Cause {
		return Cause{
			Code: code, Kind: AtLocal, Place: PlaceSubject, Bind: ByIface, Confidence: Confirmed,
			When:     []Pattern{{Fact: FactLower, State: No, Values: []string{value}}},
			Predicts: append([]string{FactCarrier}, beyondLink...), Allows: append([]string{FactAdminUp}, upstream...),
			Summary: summary,
		}
	}
	return []Cause{
		lower(LinkAdminDown, "admin_down", "interface {subject} is switched off, and {iface} rides on it: {detail}"),
		lower(LinkNoCarrier, "no_carrier", "interface {subject} has no link, and {iface} rides on it: {detail}"),
		lower(LinkNoCarrier, "no_ports", "{detail}"),
	}
}

// prefixCauses are about a prefix length, or netmask, that is wrong.
func prefixCauses() []Cause {
	behind := func(value string, confidence Confidence, decide string) Cause {
		return Cause{
			Code: AddrWrongPrefix, Kind: AtLocal, Place: PlaceIface, Bind: ByIface | ByPeer, Confidence: confidence,
			When: []Pattern{
				{Fact: FactNeighbor, State: No, Values: []string{value}},
				{Fact: FactDetour, State: Yes},
			},
			Predicts: beyondPeer, Allows: []string{FactName, FactAccepted},
			Summary: "the prefix length (netmask) of {iface} is too short: {peer} is taken for a neighbour, where nobody answers for it, but it is behind the gateway",
			Decide:  decide,
		}
	}
	return []Cause{
		behind("peer_far", Confirmed, ""),
		// A customary prefix may be right, and the gateway lack proxy ARP for
		// what it has of this network elsewhere.
		behind("peer", Likely, "on another host of this network: ip addr; on the gateway: ip neigh show proxy"), {
			Code: AddrWrongPrefix, Kind: AtLocal, Place: PlaceIface, Bind: ByIface | ByPeer, Confidence: Likely,
			When: []Pattern{
				{Fact: FactNeighbor, State: No, Values: []string{"peer_far"}},
				{Fact: FactPrefix, State: No, Neutral: true},
				{Fact: FactDetour, State: Yes, Absent: true},
			},
			Predicts: beyondPeer, Allows: []string{FactName, FactAccepted},
			Summary: "the prefix length (netmask) of {iface} is too short: {peer} is taken for a neighbour, where nobody answers for it, and is not sent to the gateway",
			Decide:  "on another host of this network: ip addr",
		}, {
			Code: AddrWrongPrefix, Kind: AtLocal, Place: PlaceIface, Bind: ByIface | ByGateway, Confidence: Likely,
			When:     []Pattern{{Fact: FactNeighbor, State: No, Values: []string{"gateway_outside"}}},
			Predicts: beyondPeer, Allows: []string{FactForwards, FactAccepted, FactName, FactRecursion},
			Summary: "the address or the prefix length (netmask) of {iface} is wrong: the gateway {gateway} is outside its networks and does not answer there",
			Decide:  "on another host of this network: ip addr; ip route",
		}}
}

// reverseCauses are about this host throwing answers away by itself.
func reverseCauses() []Cause {
	return []Cause{{
		Code: FWReversePath, Kind: AtLocal, Place: PlaceIface, Bind: ByPeer, Confidence: Likely,
		When:     []Pattern{{Fact: FactReverse, State: No}},
		Predicts: beyondPeer, Allows: []string{FactForwards, FactName},
		Summary: "answers of {peer} come in by another interface than packets to it leave by, and this host's reverse path filter drops them: {detail}",
		Decide:  "sysctl net.ipv4.conf.all.rp_filter; ip route get {peer}",
	}}
}

// soundCauses make a link slow or unsteady; the kinds are those of package link.
func soundCauses() (causes []Cause) {
	for _, c := range []struct {
		code       Code
		value      string
		confidence Confidence
	}{
		{LinkDuplexMismatch, "duplex_mismatch", Likely}, {LinkFlapping, "flapping", Confirmed},
		{LinkErrors, "errors", Confirmed}, {LinkClock, "clock", Confirmed}, {LinkHalfDuplex, "half_duplex", Confirmed},
		{LinkSlow, "slow", Likely}, {LinkModule, "module", Confirmed},
	} {
		causes = append(causes, Cause{
			Code: c.code, Kind: AtLocal, Place: PlaceIface, Bind: ByIface, Confidence: c.confidence, Degrades: true,
			When:    []Pattern{{Fact: FactSound, State: No, Values: []string{c.value}}},
			Summary: "{detail}",
		})
	}
	return causes
}

// roomCauses are about a listener of this host, and memory.
func roomCauses() []Cause {
	return []Cause{{
		Code: SvcBacklogFull, Kind: AtLocal, Bind: ByPort, Confidence: Confirmed,
		When:    []Pattern{{Fact: FactRoom, State: No}},
		Allows:  []string{FactOpen, FactAnswers, FactReceive, FactPath},
		Summary: "the service of port {port} does not accept connections: {detail}",
	}, {
		Code: StackMemory, Kind: AtLocal, Confidence: Confirmed, Degrades: true,
		When:    []Pattern{{Fact: FactMemory, State: No}},
		Summary: "{detail}",
	}}
}

// sideCauses leave the goal reached, and cost time or come back later.
func sideCauses() []Cause {
	return slices.Concat(soundCauses(), []Cause{{
		// What vanishes are echo requests and datagrams; a filter may mind their
		// size alone, and a router may keep TCP below it (MSS clamping).
		Code: PathMTUBlackHole, Kind: AtHop, Place: PlaceAt, Bind: ByPeer, Confidence: Likely, Degrades: true,
		When:    []Pattern{{Fact: FactMTU, State: No}},
		Summary: "packets of more than {value} bytes to {peer} vanish at or behind {at}: connections open and then may hang ({detail})",
		Decide:  "send more than {value} bytes at once over a connection to {peer}",
	}, {
		Code: PathIPv6Broken, Kind: AtRemote, Place: PlaceAt, Bind: ByName, Confidence: Likely, Degrades: true,
		When:    []Pattern{{Fact: FactSeveral, State: No, Values: []string{"ipv6"}}},
		Summary: "IPv6 does not work, IPv4 does: {detail}. Clients that try both (RFC 8305) lose a quarter of a second each time, others wait for minutes",
		Decide:  "diagnose {at}",
	}, {
		Code: NameAddressDead, Kind: AtRemote, Place: PlaceAt, Bind: ByName, Confidence: Likely, Degrades: true,
		When:    []Pattern{{Fact: FactSeveral, State: No, Values: []string{"some"}}},
		Summary: "not all addresses work: {detail}. Clients that take the wrong one fail, or lose time until they try the next",
		Decide:  "diagnose {at}",
	}, {
		Code: DNSHostsUnreadable, Kind: AtLocal, Confidence: Confirmed, Degrades: true,
		When:    []Pattern{{Fact: FactHosts, State: No}},
		Summary: "{detail}; names that are only there are not known to this user",
	}})
}
