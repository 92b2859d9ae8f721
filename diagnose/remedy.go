package diagnose

import (
	"slices"
	"strings"
)

// Remedy is one thing to do about a cause.
type Remedy struct {
	For       Code         `json:"for"`
	Finding   int          `json:"finding"` // index into Report.Causes
	Where     LocationKind `json:"where"`   // on which machine
	Text      string       `json:"text"`
	Command   string       `json:"command,omitzero"` // to type there; {…} is for the reader to fill in
	NeedsRoot bool         `json:"needs_root,omitzero"`
}

// manager is what configures the network of a distribution: its file for an
// interface, and the command that brings the interface up from it.
type manager struct{ file, up, dns string }

// managers by the words that the fact host.distribution uses.
var managers = map[string]manager{
	"ifupdown":       {"/etc/network/interfaces", "ifup {iface}", "/etc/resolv.conf, or dns-nameservers in /etc/network/interfaces"},
	"netplan":        {"/etc/netplan/*.yaml", "netplan apply", "nameservers: in /etc/netplan/*.yaml, then netplan apply"},
	"networkd":       {"/etc/systemd/network/*.network", "networkctl reconfigure {iface}", "DNS= in /etc/systemd/network/*.network"},
	"networkmanager": {"nmcli connection edit", "nmcli device connect {iface}", "nmcli connection modify {connection} ipv4.dns {address}"},
	"ifcfg":          {"/etc/sysconfig/network-scripts/ifcfg-{iface}", "ifup {iface}", "DNS1= in /etc/sysconfig/network-scripts/ifcfg-{iface}"},
	"wicked":         {"/etc/sysconfig/network/ifcfg-{iface}", "wicked ifup {iface}", "NETCONFIG_DNS_STATIC_SERVERS in /etc/sysconfig/network/config"},
	"":               {"the network configuration", "ip link set {iface} up", "/etc/resolv.conf"},
}

// remedy is a template. {file}, {up} and {dns} stand for the distribution's.
type remedy struct {
	where         LocationKind
	text, command string
	root          bool
}

var remedies = map[Code][]remedy{
	LinkNoInterface: {{AtLocal, "look whether the card is there and its driver loaded", "ip link; dmesg | grep -i eth", false}},
	LinkAdminDown: {
		{AtLocal, "switch it on as {file} says", "{up}", true},
		{AtLocal, "or only for now", "ip link set {iface} up", true},
	},
	LinkNoCarrier:       {{AtLocal, "check the cable and the switch port; then look again", "ethtool {iface}", false}},
	LinkDuplexMismatch:  {{AtLocal, "let both ends negotiate, or set both alike", "ethtool -s {iface} autoneg on", true}},
	LinkHalfDuplex:      {{AtLocal, "let both ends negotiate full duplex", "ethtool -s {iface} autoneg on", true}},
	LinkSlow:            {{AtLocal, "try another cable and another port; then look again", "ethtool {iface}", false}},
	LinkErrors:          {{AtLocal, "check the cable, the module and the port; watch the counters", "ip -s link show {iface}", false}},
	LinkFlapping:        {{AtLocal, "check the cable and the port at both ends; look at the kernel's log", "dmesg | grep {iface}", true}},
	LinkModule:          {{AtLocal, "clean or replace the module or the fibre", "ethtool -m {iface}", true}},
	LinkClock:           {{AtLocal, "let one end prefer the other role", "ethtool -s {iface} master-slave preferred-slave", true}},
	AddrWrongPrefix:     {{AtLocal, "compare the prefix length (netmask) of {iface} with the network's, and correct it in {file}", "{up}", true}},
	AddrNone:            {{AtLocal, "configure the address in {file}, then bring the interface up", "{up}", true}},
	AddrLinkLocalOnly:   {{AtLocal, "find out why the DHCP server gives no lease, then ask again", "{up}", true}},
	RouteNoDefault:      {{AtLocal, "set the gateway in {file} (or on the DHCP server), and check the prefix there if the kernel refuses it; for now", "ip route add default via {gateway address} dev {interface}", true}},
	RouteLocalBlackhole: {{AtLocal, "find who set the route, and remove it if it is not meant", "ip route get {peer}; ip route del {prefix}", true}},
	RoutePolicyRule:     {{AtLocal, "find the rule, and remove it if it is not meant", "ip rule; ip rule del pref {priority}", true}},
	FWLocalEgress:       {{AtLocal, "find the output rule that stops it", "nft list ruleset; iptables -L OUTPUT -n -v", true}},
	FWLocalIngress:      {{AtLocal, "find the input rule that stops it", "nft list ruleset; iptables -L INPUT -n -v", true}},
	FWReversePath: {
		{AtLocal, "let packets leave by the interface that the answers come by", "ip route get {peer}", true},
		{AtLocal, "or let the filter be loose, where that is safe", "sysctl -w net.ipv4.conf.all.rp_filter=2", true},
	},
	GWUnresolved: {
		{AtLocal, "check the gateway's address in {file}", "ip route; ip neigh", false},
		{AtHop, "check that the gateway is on and in the same VLAN", "", false},
	},
	GWNotForwarding: {
		{AtHop, "on {gateway}: switch forwarding on", "sysctl -w net.ipv4.ip_forward=1", true},
		{AtLocal, "or use the right gateway: correct it in {file}", "{up}", true},
	},
	DNSNoNameserver:      {{AtLocal, "name one in {dns}", "", true}},
	DNSConfUnreadable:    {{AtLocal, "let everybody read it", "chmod a+r {subject}", true}},
	DNSHostsUnreadable:   {{AtLocal, "let everybody read it", "chmod a+r {subject}", true}},
	NameAddressDead:      {{AtRemote, "repair {at}, or take it out of the DNS", "dig {name}", false}},
	PathIPv6Broken:       {{AtRemote, "find out why {at} is not reached, or take it out of the DNS", "ping -6 {at}", false}},
	DNSServerDown:        {{AtResolver, "bring {peer} back, or use another name server: {dns}", "", true}},
	DNSPortClosed:        {{AtResolver, "start the name server on {peer}, or use another one: {dns}", "ss -lun sport = :53", true}},
	DNSPortFiltered:      {{AtResolver, "let port 53 through on {peer}, UDP and TCP", "nft list ruleset", true}},
	DNSFirstServerDead:   {{AtLocal, "repair {peer}, or remove it: {dns}", "", true}},
	DNSSearchMissing:     {{AtLocal, "use the full name {value}, or add a search domain: {dns}", "", true}},
	DNSNXDomain:          {{AtResolver, "check the spelling, then the zone", "dig {name}", false}},
	DNSNoData:            {{AtResolver, "add an address record to the zone", "dig {name} ANY", false}},
	DNSRecursionBroken:   {{AtResolver, "allow recursion for this host on {peer}, or repair its forwarders", "dig @{peer} . NS", false}},
	DNSAuthBroken:        {{AtResolver, "repair the zone's own name servers", "dig +trace {name}", false}},
	PathLoop:             {{AtHop, "correct the routes to {peer} on each of these routers ({value})", "ip route get {peer}", true}},
	PathNetUnreachable:   {{AtHop, "on {at}: add the missing route", "ip route get {peer}", true}},
	PathHostUnreachable:  {{AtRemote, "switch {peer} on, check its cable, address and prefix", "ip -br addr", false}},
	PathProtoUnreachable: {{AtRemote, "check what {peer} is: it speaks IP, but not this protocol", "", false}},
	PathAdminProhibited:  {{AtHop, "on {at}: allow the traffic", "nft list ruleset; ip route get {peer}", true}},
	PathBlackhole:        {{AtHop, "on {at} and the router behind it: look for a blackhole route or a filter", "ip route get {peer}; nft list ruleset", true}},
	PathMTUBlackHole: {
		{AtHop, "on {at}: let ICMP \"fragmentation needed\" and \"packet too big\" through", "nft list ruleset", true},
		{AtHop, "or limit the segments of TCP there", "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", true},
		{AtLocal, "or for now, on this host", "ip route change {route} mtu {value}", true},
	},
	FWRejectRST:  {{AtHop, "on {at}: allow port {port}", "nft list ruleset; iptables -L FORWARD -n -v", true}},
	FWPathReject: {{AtHop, "on {at}: allow port {port}", "nft list ruleset; iptables -L FORWARD -n -v", true}},
	FWPathDrop: {
		{AtHop, "on {at}: allow port {port}", "nft list ruleset; iptables -L FORWARD -n -v", true},
		{AtRemote, "on {peer}: look at its own filter too", "nft list ruleset; iptables -L INPUT -n -v", true},
	},
	FWServerReject:     {{AtRemote, "on {peer}: allow port {port}", "nft list ruleset; iptables -L INPUT -n -v", true}},
	FWServerDrop:       {{AtRemote, "on {peer}: allow port {port}", "nft list ruleset; iptables -L INPUT -n -v", true}},
	FWServerPolicyDrop: {{AtRemote, "on {peer}: look at the default policy", "nft list ruleset; iptables -L INPUT -n -v", true}},
	SvcNotListening:    {{AtRemote, "on {peer}: start the service, or find the port it uses", "ss -lntp sport = :{port}", true}},
	SvcBacklogFull:     {{AtRemote, "restart the service of port {port}, or find out why it does not accept", "ss -lntp sport = :{port}", true}},
	StackMemory:        {{AtLocal, "find who holds it, or allow TCP more", "ss -tm; sysctl net.ipv4.tcp_mem", true}},
	SvcBoundElsewhere:  {{AtLocal, "let the service listen on all addresses, or on this one", "ss -lntp sport = :{port}", true}},
}

// remediesFor fills the templates of the causes in with what the facts say.
func remediesFor(causes []Finding, facts []Fact) []Remedy {
	m := managers[""]
	if i := slices.IndexFunc(facts, func(f Fact) bool { return f.Name == FactHost }); i >= 0 {
		if known, ok := managers[facts[i].Value]; ok {
			m = known
		}
	}
	out := []Remedy{}
	for i, c := range causes {
		f := firstFact(c, facts)
		if f.Name == FactLower { // it is to be done to what is below
			f.Scope.Iface = f.Subject
		}
		expand := func(s string) string {
			s = strings.NewReplacer("{file}", m.file, "{up}", m.up, "{dns}", m.dns).Replace(s)
			return fill(s, f)
		}
		for _, r := range remedies[c.Code] {
			out = append(out, Remedy{For: c.Code, Finding: i, Where: r.where, Text: expand(r.text), Command: expand(r.command), NeedsRoot: r.root})
		}
	}
	return out
}

func firstFact(c Finding, facts []Fact) Fact {
	for _, f := range facts {
		if len(c.Evidence) > 0 && f.ID == c.Evidence[0] {
			return f
		}
	}
	return Fact{}
}
