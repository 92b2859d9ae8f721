package resolve

import (
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// LookupOptions change a [Lookup]. Nil and the zero value are what this host is
// set up to do.
type LookupOptions struct {
	Config      *Config      // as from ParseConfig; nil: read /etc/resolv.conf
	Hosts       *Hosts       // nil: read /etc/hosts; &Hosts{}: none
	NSSwitch    *NSSwitch    // nil: read /etc/nsswitch.conf; only reported
	Environment *Environment // nil: none; see SystemEnvironment

	Policy     Policy           // whose rules; 0: glibc
	Types      []Type           // what to ask for; nil: A and AAAA, or A alone with the option no-aaaa
	Servers    []netip.AddrPort // instead of those of Config
	AllServers bool             // ask every server about every name at the same time, for comparison
	Timeout    time.Duration    // for each try; 0: as the policy makes it from Config
	Attempts   int              // rounds over all servers; 0: that of Config
	EDNS       bool             // send EDNS also where the policy would not
	TCPOnly    bool             // as the option use-vc

	Device string     // bind to this interface (Linux)
	Mark   uint32     // firewall mark (Linux; CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on)
	Source netip.Addr // local address
	NetNS  int        // descriptor of a network namespace, 0: the caller's (Linux; needs CAP_SYS_ADMIN); files are not those of the namespace
}

// Result is what came of a [Lookup], with everything that was done for it.
type Result struct {
	Name      string         `json:"name"` // as asked for
	Policy    Policy         `json:"policy"`
	Source    Source         `json:"source"`         // where the addresses are from
	Outcome   Outcome        `json:"outcome"`        // answer wherever there are addresses, else what the policy ends with
	Addrs     []netip.Addr   `json:"addrs,omitzero"` // of all families
	Found     string         `json:"found,omitzero"` // the absolute name that was found
	Canonical string         `json:"canonical,omitzero"`
	Server    netip.AddrPort `json:"server,omitzero"` // that gave the deciding answer
	Elapsed   time.Duration  `json:"elapsed_ns"`

	Families []Family     `json:"families,omitzero"` // per type asked for: what and when
	Steps    []Step       `json:"steps,omitzero"`    // the names asked for, in order
	Skipped  []string     `json:"skipped,omitzero"`  // names of the search list that were not asked for any more
	Hosts    []HostsEntry `json:"hosts,omitzero"`    // lines of the hosts file with this name

	Config   Config   `json:"config"`   // as used, the environment included
	NSSwitch NSSwitch `json:"nsswitch"` // as read
}

// Family is the fate of one type over the whole look-up, so that AAAA that
// stalls while A is there shows.
type Family struct {
	Type    Type           `json:"type"`
	Outcome Outcome        `json:"outcome"`
	Addrs   []netip.Addr   `json:"addrs,omitzero"`
	Server  netip.AddrPort `json:"server,omitzero"`
	Elapsed time.Duration  `json:"elapsed_ns"` // from the start of the look-up to this outcome
}

// Step is one name of the search list with everything that was asked about it.
type Step struct {
	Name string `json:"name"`
	Asks []Ask  `json:"asks"`
}

// Ask is one server asked about one name: all types at the same time.
type Ask struct {
	Server  netip.AddrPort `json:"server"`
	Round   int            `json:"round"`    // from 0
	Start   time.Duration  `json:"start_ns"` // since the look-up began
	Answers []Answer       `json:"answers"`  // one per type, in the order asked for
}

// Source is where a look-up found its addresses.
type Source uint8

// The sources.
const (
	SourceNone    Source = iota
	SourceLiteral        // the name is an IP address
	SourceSpecial        // localhost: RFC 6761 wants no DNS for it
	SourceHosts          // the hosts file
	SourceDNS
)

var sourceNames = []string{"none", "literal", "special", "hosts", "dns"}

// String returns the word, such as "hosts".
func (s Source) String() string { return enum.String(sourceNames, "source", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Source) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[Source](sourceNames, "source", b)
	return err
}
