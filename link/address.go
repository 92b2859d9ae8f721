package link

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// Forever is the lifetime of an address that does not end.
const Forever time.Duration = -1

// Address is an IP address of an interface (RTM_NEWADDR).
type Address struct {
	Prefix    netip.Prefix  `json:"prefix"`        // the address itself with the length of its network, not masked
	Peer      netip.Prefix  `json:"peer,omitzero"` // the other end of a point-to-point link; invalid for none
	Broadcast netip.Addr    `json:"broadcast,omitzero"`
	Anycast   netip.Addr    `json:"anycast,omitzero"`
	Multicast netip.Addr    `json:"multicast,omitzero"`
	Scope     Scope         `json:"scope"`
	Label     string        `json:"label,omitzero"` // IPv4: the name it had as an alias, "eth0:1"
	Flags     AddressFlags  `json:"flags"`
	Valid     time.Duration `json:"valid_ns"`            // time left; negative: forever
	Preferred time.Duration `json:"preferred_ns"`        // time left as a source for new connections; negative: forever
	Created   time.Duration `json:"created_ns,omitzero"` // since boot
	Updated   time.Duration `json:"updated_ns,omitzero"` // since boot
	Metric    uint32        `json:"metric,omitzero"`     // of its prefix route; 0: the kernel's default
	Protocol  AddressProto  `json:"protocol,omitzero"`   // who set it (Linux 5.18)
	Unknown   []Attribute   `json:"unknown,omitzero"`    // IFA_* that this library has no field for
}

// Dynamic reports whether the address goes away by itself when Valid is over.
func (a Address) Dynamic() bool { return a.Flags&AddressPermanent == 0 }

// AddressFlags are the flags of an address (IFA_F_*).
type AddressFlags uint32

// The flags.
const (
	AddressSecondary     AddressFlags = 1 << iota // IPv4: not the first of its network; IPv6: temporary (RFC 8981)
	AddressNoDAD                                  // no duplicate address detection
	AddressOptimistic                             // used while detection runs (RFC 4429)
	AddressDADFailed                              // somebody else has it
	AddressHome                                   // mobile IPv6
	AddressDeprecated                             // no longer preferred
	AddressTentative                              // detection is running or failed: not used
	AddressPermanent                              // without an end
	AddressManageTemp                             // temporary ones are made from it
	AddressNoPrefixRoute                          // made no route to its network
	AddressMulticastJoin                          //
	AddressStablePrivacy                          // RFC 7217
)

var addressFlagNames = []string{
	"secondary", "nodad", "optimistic", "dadfailed", "homeaddress", "deprecated", "tentative", "permanent",
	"managetempaddr", "noprefixroute", "mcautojoin", "stable_privacy",
}

// String returns "permanent|noprefixroute", in the order of the bits.
func (f AddressFlags) String() string { return enum.Join(addressFlagNames, f) }

// MarshalJSON returns an array of words.
func (f AddressFlags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(addressFlagNames, f) }

// UnmarshalJSON reads an array of words.
func (f *AddressFlags) UnmarshalJSON(b []byte) (err error) {
	*f, err = enum.UnmarshalWords[AddressFlags](addressFlagNames, "address flag", b)
	return err
}

// Scope is how far an address is valid (RT_SCOPE_*).
type Scope uint8

// The scopes. The larger, the closer.
const (
	ScopeGlobal  Scope = 0
	ScopeSite    Scope = 200
	ScopeLink    Scope = 253
	ScopeHost    Scope = 254
	ScopeNowhere Scope = 255
)

var scopes = enum.Table[Scope]{0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

// String returns the word of ip-address(8).
func (s Scope) String() string { return scopes.String("scope", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Scope) UnmarshalText(b []byte) (err error) {
	*s, err = scopes.Parse("scope", b)
	return err
}

// AddressProto is who set an address (IFAPROT_*).
type AddressProto uint8

// The ones that the kernel gives; others are an administrator's.
const (
	AddressProtoUnspec    AddressProto = iota
	AddressProtoLoopback               // the kernel, on the loopback
	AddressProtoRA                     // the kernel, from a router advertisement
	AddressProtoLinkLocal              // the kernel, link-local
)

var addressProtoNames = []string{"unspec", "kernel_lo", "kernel_ra", "kernel_ll"}

// String returns the kernel's word.
func (p AddressProto) String() string { return enum.String(addressProtoNames, "addrproto", p) }

// MarshalText implements [encoding.TextMarshaler].
func (p AddressProto) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *AddressProto) UnmarshalText(b []byte) (err error) {
	*p, err = enum.Parse[AddressProto](addressProtoNames, "addrproto", b)
	return err
}

// The attributes of linux/if_addr.h.
const (
	ifaAddress = iota + 1
	ifaLocal
	ifaLabel
	ifaBroadcast
	ifaAnycast
	ifaCacheInfo
	ifaMulticast
	ifaFlags
	ifaRTPriority
	ifaTargetNetNSID
	ifaProto
)

const sizeofIfaddrmsg = 8

// parseAddress reads a struct ifaddrmsg and its attributes.
func parseAddress(b []byte) (index int, a Address, err error) {
	if len(b) < sizeofIfaddrmsg {
		return 0, a, nl.ErrMalformed
	}
	bits := int(b[1])
	a.Flags, a.Scope = AddressFlags(b[2]), Scope(b[3])
	a.Valid, a.Preferred = Forever, Forever
	index = int(binary.NativeEndian.Uint32(b[4:]))
	var local, address netip.Addr
	it := nl.NewAttrs(b[sizeofIfaddrmsg:])
	for it.Next() {
		switch ok := true; it.Type {
		case ifaAddress, ifaLocal:
			if it.Type == ifaLocal {
				local, ok = nl.Addr(it.Data)
			} else {
				address, ok = nl.Addr(it.Data)
			}
			if !ok {
				a.Unknown = append(a.Unknown, it.Keep())
			}
		default:
			if !a.attribute(it.Type, it.Data) {
				a.Unknown = append(a.Unknown, it.Keep())
			}
		}
	}
	if !local.IsValid() {
		local = address // IPv6 without a peer
	}
	if p := netip.PrefixFrom(local, bits); p.IsValid() {
		a.Prefix = p
	}
	if p := netip.PrefixFrom(address, bits); address != local && p.IsValid() {
		a.Peer = p
	}
	return index, a, it.Err()
}

// attribute takes one attribute in, and reports false when it cannot.
func (a *Address) attribute(typ uint16, b []byte) (ok bool) {
	switch typ {
	case ifaLabel:
		a.Label, ok = nl.Text(b), true
	case ifaBroadcast:
		a.Broadcast, ok = nl.Addr(b)
	case ifaAnycast:
		a.Anycast, ok = nl.Addr(b)
	case ifaMulticast:
		a.Multicast, ok = nl.Addr(b)
	case ifaCacheInfo:
		ok = a.cacheInfo(b)
	case ifaFlags:
		var f uint32
		if f, ok = nl.U32(b); ok {
			a.Flags = AddressFlags(f)
		}
	case ifaRTPriority:
		a.Metric, ok = nl.U32(b)
	case ifaProto:
		var p uint8
		p, ok = nl.U8(b)
		a.Protocol = AddressProto(p)
	}
	return ok
}

// cacheInfo reads struct ifa_cacheinfo: two lifetimes in seconds and two
// stamps in hundredths of a second since boot.
func (a *Address) cacheInfo(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	a.Preferred, a.Valid = lifetime(b), lifetime(b[4:])
	a.Created = time.Duration(binary.NativeEndian.Uint32(b[8:])) * 10 * time.Millisecond
	a.Updated = time.Duration(binary.NativeEndian.Uint32(b[12:])) * 10 * time.Millisecond
	return true
}

func lifetime(b []byte) time.Duration {
	const infinity = 0xffffffff
	if s := binary.NativeEndian.Uint32(b); s != infinity {
		return time.Duration(s) * time.Second
	}
	return Forever
}
