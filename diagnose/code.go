package diagnose

import "github.com/netsonde/netsonde/internal/enum"

// Code names a cause. Codes are stable: they are what scripts and agents test
// for. The text around them may change.
type Code string

// The causes that [Explain] can name.
const (
	LinkNoInterface     Code = "link.no_interface"     // the named interface, or any interface at all, is missing
	LinkAdminDown       Code = "link.admin_down"       // the interface is switched off
	LinkNoCarrier       Code = "link.no_carrier"       // no cable, or the far end is off
	LinkDuplexMismatch  Code = "link.duplex_mismatch"  // the ends of the cable disagree
	LinkHalfDuplex      Code = "link.half_duplex"      // one side at a time
	LinkSlow            Code = "link.slow"             // slower than both sides offer
	LinkErrors          Code = "link.errors"           // errors were counted during the run
	LinkFlapping        Code = "link.flapping"         // the link came and went during the run
	LinkModule          Code = "link.module"           // beyond the limits of its vendor
	LinkClock           Code = "link.clock"            // both ends want to be clock master
	AddrWrongPrefix     Code = "addr.wrong_prefix"     // the prefix length puts the wrong hosts on this network
	AddrNone            Code = "addr.none"             // the interface has no address of the family
	AddrLinkLocalOnly   Code = "addr.linklocal_only"   // only 169.254.0.0/16: DHCP gave no lease
	RouteNoDefault      Code = "route.no_default"      // no default route, and the target is elsewhere
	RouteLocalBlackhole Code = "route.local_blackhole" // this host's own table refuses the destination
	RoutePolicyRule     Code = "route.policy_rule"     // a policy rule of this host refuses it
	FWLocalEgress       Code = "fw.local_egress"       // this host's own packet filter stops it going out
	FWReversePath       Code = "fw.reverse_path"       // this host's reverse path filter drops the answers
	FWLocalIngress      Code = "fw.local_ingress"      // this host's own packet filter stops what comes in
	GWUnresolved        Code = "gw.unresolved"         // nobody answers ARP or NDP for the gateway
	GWNotForwarding     Code = "gw.not_forwarding"     // the gateway is there but passes nothing on

	DNSNoNameserver      Code = "dns.no_nameserver"
	DNSConfUnreadable    Code = "dns.conf_unreadable"   // resolv.conf is there and cannot be read
	DNSHostsUnreadable   Code = "dns.hosts_unreadable"  // the hosts file is there and cannot be read
	NameAddressDead      Code = "name.address_dead"     // one address of the name works, another does not
	PathIPv6Broken       Code = "path.ipv6_broken"      // the name works over IPv4 alone
	DNSServerDown        Code = "dns.server_down"       // on our own network and silent to ARP or NDP
	DNSPortClosed        Code = "dns.port_closed"       // the host is there, nothing listens on the port
	DNSPortFiltered      Code = "dns.port_filtered"     // the host is there, the port is silent
	DNSFirstServerDead   Code = "dns.first_server_dead" // slow: a later server answers
	DNSSearchMissing     Code = "dns.search_missing"    // resolves only with a suffix that is not configured
	DNSNXDomain          Code = "dns.nxdomain"          // the zone has no such name
	DNSNoData            Code = "dns.no_data"           // the name is there, without an address
	DNSRecursionBroken   Code = "dns.recursion_broken"
	DNSAuthBroken        Code = "dns.auth_broken" // only the servers of this zone are broken
	PathLoop             Code = "path.loop"
	PathNetUnreachable   Code = "path.net_unreachable"
	PathHostUnreachable  Code = "path.host_unreachable"
	PathProtoUnreachable Code = "path.proto_unreachable"
	PathAdminProhibited  Code = "path.admin_prohibited"
	PathBlackhole        Code = "path.blackhole_after_hop" // packets vanish behind the hop
	PathMTUBlackHole     Code = "path.mtu_black_hole"      // packets that are too big vanish, and nobody says so
	PathNoReturnRoute    Code = "path.no_return_route"     // a router behind the hop has no way back
	ServerNoReturnRoute  Code = "server.no_return_route"   // the target has no way back
	FWRejectRST          Code = "fw.reject_rst"            // a firewall on the way resets the connection
	FWPathReject         Code = "fw.path_reject"           // a firewall on the way refuses the port by ICMP
	FWPathDrop           Code = "fw.path_drop"             // a firewall on the way swallows the port
	FWServerReject       Code = "fw.server_reject"         // the target's own firewall refuses the port
	FWServerDrop         Code = "fw.server_drop"           // the target's own firewall swallows the port
	FWServerPolicyDrop   Code = "fw.server_policy_drop"    // the target's own firewall swallows everything
	SvcNotListening      Code = "svc.not_listening"
	SvcBoundElsewhere    Code = "svc.bound_elsewhere" // listens, but on another address
	SvcBacklogFull       Code = "svc.backlog_full"    // listens, but does not accept what waits
	StackMemory          Code = "stack.memory"        // TCP of this host runs out of memory
)

// LocationKind tells what kind of place a cause sits in.
type LocationKind uint8

// The kinds of place.
const (
	NoLocation LocationKind = iota
	AtLocal                 // this host
	AtL2                    // this host's own network segment
	AtHop                   // a router on the way
	AtResolver              // a name server
	AtRemote                // the target
)

var locationNames = []string{"", "local", "l2", "hop", "resolver", "remote"}

// String returns "local", "l2", "hop", "resolver" or "remote".
func (k LocationKind) String() string { return enum.String(locationNames, "location", k) }

// MarshalText implements [encoding.TextMarshaler].
func (k LocationKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *LocationKind) UnmarshalText(b []byte) (err error) {
	*k, err = enum.Parse[LocationKind](locationNames, "location", b)
	return err
}

// Severity tells what a cause does to the goal of the run.
type Severity uint8

// The severities.
const (
	NoSeverity Severity = iota
	Degraded            // it works, but slowly or only for now
	Broken              // it does not work
)

var severityNames = []string{"", "degraded", "broken"}

// String returns "degraded" or "broken".
func (s Severity) String() string { return enum.String(severityNames, "severity", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Severity) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[Severity](severityNames, "severity", b)
	return err
}

// Confidence tells how much a cause rests on.
type Confidence uint8

// The degrees of confidence.
const (
	Unsure    Confidence = iota
	Likely               // the facts also allow what Report.Ambiguous lists, or rest on inference
	Confirmed            // the facts allow nothing else
)

var confidenceNames = []string{"", "likely", "confirmed"}

// String returns "likely" or "confirmed".
func (c Confidence) String() string { return enum.String(confidenceNames, "confidence", c) }

// MarshalText implements [encoding.TextMarshaler].
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Confidence) UnmarshalText(b []byte) (err error) {
	*c, err = enum.Parse[Confidence](confidenceNames, "confidence", b)
	return err
}
