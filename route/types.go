package route

import "github.com/netsonde/netsonde/internal/enum"

// Family is an address family (AF_*).
type Family uint8

// The families.
const (
	FamilyAny  Family = 0
	FamilyIPv4 Family = 2
	FamilyIPv6 Family = 10
)

var families = enum.Table[Family]{0: "any", 2: "inet", 10: "inet6"}

// String returns "inet" or "inet6", and "any" for 0.
func (f Family) String() string { return families.String("family", f) }

// MarshalText implements [encoding.TextMarshaler].
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Family) UnmarshalText(b []byte) (err error) {
	*f, err = families.Parse("family", b)
	return err
}

// Type is what a route does with a packet (RTN_*).
type Type uint8

// The types.
const (
	TypeUnspec      Type = iota
	TypeUnicast          // to a gateway or on-link
	TypeLocal            // an address of this host
	TypeBroadcast        // sent as a broadcast
	TypeAnycast          // taken as a broadcast, sent as unicast
	TypeMulticast        //
	TypeBlackhole        // dropped in silence
	TypeUnreachable      // refused: host unreachable
	TypeProhibit         // refused: administratively prohibited
	TypeThrow            // not in this table: on to the next rule
	TypeNAT              // not used by current kernels
	TypeXResolve         // not used by current kernels
)

var typeNames = []string{
	"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw",
	"nat", "xresolve",
}

// String returns the word of ip-route(8).
func (t Type) String() string { return enum.String(typeNames, "type", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[Type](typeNames, "type", b)
	return err
}

// Protocol is who set a route, rule or neighbour (RTPROT_*).
type Protocol uint8

// The protocols.
const (
	ProtocolUnspec     Protocol = 0
	ProtocolRedirect   Protocol = 1 // an ICMP redirect
	ProtocolKernel     Protocol = 2
	ProtocolBoot       Protocol = 3 // `ip route add` that did not say
	ProtocolStatic     Protocol = 4 // an administrator
	ProtocolGated      Protocol = 8
	ProtocolRA         Protocol = 9 // a router advertisement
	ProtocolMRT        Protocol = 10
	ProtocolZebra      Protocol = 11
	ProtocolBird       Protocol = 12
	ProtocolDNRouted   Protocol = 13
	ProtocolXorp       Protocol = 14
	ProtocolNTK        Protocol = 15
	ProtocolDHCP       Protocol = 16
	ProtocolMRouted    Protocol = 17
	ProtocolKeepalived Protocol = 18
	ProtocolBabel      Protocol = 42
	ProtocolOVN        Protocol = 84
	ProtocolOpenR      Protocol = 99
	ProtocolBGP        Protocol = 186
	ProtocolISIS       Protocol = 187
	ProtocolOSPF       Protocol = 188
	ProtocolRIP        Protocol = 189
	ProtocolEIGRP      Protocol = 192
)

var protocols = enum.Table[Protocol]{
	0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
	12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 18: "keepalived", 42: "babel",
	84: "ovn", 99: "openr", 186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
}

// String returns the word of /etc/iproute2/rt_protos as it is shipped.
func (p Protocol) String() string { return protocols.String("protocol", p) }

// MarshalText implements [encoding.TextMarshaler].
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Protocol) UnmarshalText(b []byte) (err error) {
	*p, err = protocols.Parse("protocol", b)
	return err
}

// Scope is how far away a destination is (RT_SCOPE_*).
type Scope uint8

// The scopes. The larger, the closer.
const (
	ScopeGlobal  Scope = 0   // beyond a gateway
	ScopeSite    Scope = 200 //
	ScopeLink    Scope = 253 // on the link
	ScopeHost    Scope = 254 // this host
	ScopeNowhere Scope = 255 //
)

var scopes = enum.Table[Scope]{0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

// String returns the word of ip-route(8).
func (s Scope) String() string { return scopes.String("scope", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Scope) UnmarshalText(b []byte) (err error) {
	*s, err = scopes.Parse("scope", b)
	return err
}

// Preference is that of a router or route among equals (RFC 4191).
type Preference uint8

// The preferences. Zero is told of IPv4 routes.
const (
	PreferenceNone Preference = iota
	PreferenceMedium
	PreferenceHigh
	PreferenceReserved
	PreferenceLow
)

var preferenceNames = []string{"none", "medium", "high", "reserved", "low"}

// String returns the word.
func (p Preference) String() string { return enum.String(preferenceNames, "pref", p) }

// MarshalText implements [encoding.TextMarshaler].
func (p Preference) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Preference) UnmarshalText(b []byte) (err error) {
	*p, err = enum.Parse[Preference](preferenceNames, "pref", b)
	return err
}
