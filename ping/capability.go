package ping

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/icmpsock"
	"github.com/netsonde/netsonde/internal/operr"
)

// Fact is what is known about an ability.
type Fact uint8

// The facts.
const (
	NotChecked Fact = iota
	Yes
	No
)

var factNames = []string{"not_checked", "yes", "no"}

// String returns "not_checked", "yes" or "no".
func (f Fact) String() string { return enum.String(factNames, "fact", f) }

// MarshalText implements [encoding.TextMarshaler].
func (f Fact) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Fact) UnmarshalText(b []byte) (err error) {
	*f, err = enum.Parse[Fact](factNames, "fact", b)
	return err
}

// Ability is one thing that a process can or cannot do.
type Ability struct {
	Can Fact   `json:"can"`
	Why string `json:"why,omitzero"` // what the system said
	Fix string `json:"fix,omitzero"` // the capability or sysctl that would allow it
}

// Capability is what this process can do towards pinging.
type Capability struct {
	Method         Method  `json:"method"` // what MethodAuto takes; MethodTCP if there is no ICMP
	ICMPDatagram   Ability `json:"icmp_dgram"`
	ICMPv6Datagram Ability `json:"icmpv6_dgram"`
	ICMPRaw        Ability `json:"icmp_raw"`
	ICMPv6Raw      Ability `json:"icmpv6_raw"`
	TCP            Ability `json:"tcp"`
	Timestamps     Ability `json:"timestamps"` // of the kernel, for both directions
	Mark           Ability `json:"mark"`       // setting Options.Mark
}

// Capabilities tries what this process may do in the network namespace of the
// calling goroutine's thread. It sends nothing. What ctx leaves no time for is
// not checked.
func Capabilities(ctx context.Context) Capability {
	c := Capability{Method: MethodTCP, TCP: Ability{Can: Yes, Why: "a connect needs no privilege"}}
	var stamped bool
	try := func(choice icmpsock.Choice, method Method, v4, v6 *Ability) {
		if ctx.Err() != nil {
			return
		}
		for i, a := range []*Ability{v4, v6} {
			cfg := icmpsock.Config{Choice: choice}
			if cfg.Source = netip.IPv4Unspecified(); i == 1 {
				cfg.Source = netip.IPv6Unspecified()
			}
			conn, err := icmpsock.Open(cfg)
			if err == nil {
				if c.Method == MethodTCP {
					c.Method = method
				}
				stamped = stamped || conn.Stamped()
				*a = Ability{Can: Yes, Why: conn.Why()}
				conn.Close()
				continue
			}
			*a = Ability{Can: No, Why: err.Error(), Fix: operr.NeedOf(err)}
		}
	}
	try(icmpsock.Datagram, MethodICMPDatagram, &c.ICMPDatagram, &c.ICMPv6Datagram)
	try(icmpsock.Raw, MethodICMPRaw, &c.ICMPRaw, &c.ICMPv6Raw)
	if c.Method == MethodTCP || ctx.Err() != nil {
		return c
	}
	c.Timestamps = Ability{Can: No, Why: "the system gives none"}
	if stamped {
		c.Timestamps = Ability{Can: Yes, Why: "SO_TIMESTAMPING; the driver of the interface has a part in it"}
	}
	conn, err := icmpsock.Open(icmpsock.Config{Mark: 1})
	if err != nil {
		c.Mark = Ability{Can: No, Why: err.Error(), Fix: operr.NeedOf(err)}
		return c
	}
	conn.Close()
	c.Mark = Ability{Can: Yes, Why: "SO_MARK was accepted"}
	return c
}
