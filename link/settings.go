package link

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// IPv4 is what the IPv4 layer keeps for an interface.
type IPv4 struct {
	Settings IPv4Settings `json:"conf,omitzero"`
	Unknown  []Attribute  `json:"unknown,omitzero"`
}

// IPv6 is what the IPv6 layer keeps for an interface. It is absent where IPv6
// is not compiled in or the MTU is below 1280.
type IPv6 struct {
	Flags       uint32        `json:"flags"` // IF_READY and others, linux/if_link.h
	AddrGenMode AddrGenMode   `json:"addr_gen_mode"`
	Token       netip.Addr    `json:"token,omitzero"`         // host part for addresses from router advertisements
	RAMTU       uint32        `json:"ra_mtu,omitzero"`        // as advertised by the router; 0: not
	Reachable   time.Duration `json:"reachable_ns,omitzero"`  // how long a neighbour is believed
	Retransmit  time.Duration `json:"retrans_ns,omitzero"`    // between neighbour solicitations
	MaxReasm    uint32        `json:"max_reasm_len,omitzero"` // bytes
	Updated     time.Duration `json:"updated_ns,omitzero"`    // since boot
	Settings    IPv6Settings  `json:"conf,omitzero"`
	Unknown     []Attribute   `json:"unknown,omitzero"`
}

// AddrGenMode is how the link-local address is made (IN6_ADDR_GEN_MODE_*).
type AddrGenMode uint8

// The modes.
const (
	AddrGenEUI64         AddrGenMode = iota // from the hardware address
	AddrGenNone                             // it is not made
	AddrGenStablePrivacy                    // RFC 7217, from a given secret
	AddrGenRandom                           // RFC 7217, from a random secret
)

var addrGenNames = []string{"eui64", "none", "stable_secret", "random"}

// String returns the word of ip-link(8).
func (m AddrGenMode) String() string { return enum.String(addrGenNames, "addrgenmode", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m AddrGenMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *AddrGenMode) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[AddrGenMode](addrGenNames, "addrgenmode", b)
	return err
}

// IPv4Settings are the sysctls net.ipv4.conf.IFACE.* in the kernel's order
// (IPV4_DEVCONF_*), in the kernel's units. JSON is an object of their names.
type IPv4Settings []int32

// Value returns the setting of that name, such as "rp_filter".
func (s IPv4Settings) Value(name string) (int32, bool) { return value(s, ipv4Settings, name) }

// MarshalJSON implements [json.Marshaler].
func (s IPv4Settings) MarshalJSON() ([]byte, error) { return marshalNamed(s, ipv4Settings) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *IPv4Settings) UnmarshalJSON(b []byte) error { return unmarshalNamed(s, ipv4Settings, b) }

// IPv6Settings are the sysctls net.ipv6.conf.IFACE.* in the kernel's order
// (DEVCONF_*); intervals are milliseconds. JSON is an object of their names.
type IPv6Settings []int32

// Value returns the setting of that name, such as "accept_ra".
func (s IPv6Settings) Value(name string) (int32, bool) { return value(s, ipv6Settings, name) }

// MarshalJSON implements [json.Marshaler].
func (s IPv6Settings) MarshalJSON() ([]byte, error) { return marshalNamed(s, ipv6Settings) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *IPv6Settings) UnmarshalJSON(b []byte) error { return unmarshalNamed(s, ipv6Settings, b) }

// A named list is an array of the kernel whose places have names. A newer
// kernel appends; places without a name are "#60".

func value(s []int32, names []string, name string) (v int32, ok bool) {
	if i := slices.Index(names, name); i >= 0 && i < len(s) && name != "" {
		return s[i], true
	}
	return v, false
}

func placeName(names []string, i int) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return "#" + strconv.Itoa(i)
}

func marshalNamed(s []int32, names []string) ([]byte, error) {
	b := []byte{'{'}
	for i, v := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q:%d", placeName(names, i), v)
	}
	return append(b, '}'), nil
}

// maxNamed bounds what a recorded list may make us allocate.
const maxNamed = 1 << 12

func unmarshalNamed[S ~[]int32](s *S, names []string, b []byte) error {
	var values map[string]int32
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	*s = nil
	for name, v := range values {
		i := slices.Index(names, name)
		if num, ok := strings.CutPrefix(name, "#"); ok && i < 0 {
			n, err := strconv.ParseUint(num, 10, 16)
			if err == nil && n < maxNamed {
				i = int(n)
			}
		}
		if i < 0 || name == "" {
			return fmt.Errorf("unknown setting %q", name)
		}
		if i >= len(*s) {
			*s = append(*s, make(S, i+1-len(*s))...)
		}
		(*s)[i] = v
	}
	return nil
}

// families reads IFLA_AF_SPEC: one attribute for each address family.
func (l *Link) families(b []byte) bool {
	const afInet, afInet6 = 2, 10
	it := nl.NewAttrs(b)
	for it.Next() {
		switch it.Type {
		case afInet:
			l.IPv4 = parseIPv4(it.Data)
		case afInet6:
			l.IPv6 = parseIPv6(it.Data)
		default:
			l.Families = append(l.Families, it.Keep())
		}
	}
	return it.Err() == nil
}

func parseIPv4(b []byte) *IPv4 {
	const inetConf = 1
	var f IPv4
	for it := nl.NewAttrs(b); it.Next(); {
		if it.Type == inetConf {
			f.Settings = words32(it.Data)
		} else {
			f.Unknown = append(f.Unknown, it.Keep())
		}
	}
	return &f
}

// The attributes of enum IFLA_INET6_*. The counters (3, 6) are not asked for:
// their places have changed from kernel to kernel, and nothing tells the names.
const (
	inet6Flags     = 1
	inet6Conf      = 2
	inet6CacheInfo = 5
	inet6Token     = 7
	inet6AddrGen   = 8
	inet6RAMTU     = 9
)

func parseIPv6(b []byte) *IPv6 {
	var f IPv6
	for it := nl.NewAttrs(b); it.Next(); {
		if !f.attribute(it.Type, it.Data) {
			f.Unknown = append(f.Unknown, it.Keep())
		}
	}
	return &f
}

func (f *IPv6) attribute(typ uint16, b []byte) bool {
	switch typ {
	case inet6Flags:
		return nl.Set32(&f.Flags, b)
	case inet6Conf:
		f.Settings = words32(b)
		return true
	case inet6CacheInfo:
		return f.cacheInfo(b)
	case inet6Token:
		var a netip.Addr
		if !nl.SetAddr(&a, b) {
			return false
		}
		if !a.IsUnspecified() {
			f.Token = a
		}
		return true
	case inet6AddrGen:
		return nl.Set8(&f.AddrGenMode, b)
	case inet6RAMTU:
		return nl.Set32(&f.RAMTU, b)
	}
	return false
}

// cacheInfo reads struct ifla_cacheinfo.
func (f *IPv6) cacheInfo(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	e := binary.NativeEndian
	f.MaxReasm = e.Uint32(b)
	f.Updated = time.Duration(e.Uint32(b[4:])) * 10 * time.Millisecond
	f.Reachable = time.Duration(e.Uint32(b[8:])) * time.Millisecond
	f.Retransmit = time.Duration(e.Uint32(b[12:])) * time.Millisecond
	return true
}

func words32(b []byte) []int32 {
	v := make([]int32, 0, len(b)/4)
	for ; len(b) >= 4; b = b[4:] {
		v = append(v, int32(binary.NativeEndian.Uint32(b)))
	}
	return v
}
