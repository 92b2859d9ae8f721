package icmperr

import (
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

var (
	from4 = netip.MustParseAddr("192.0.2.1")
	from6 = netip.MustParseAddr("2001:db8::1")
)

// The symbols are those of traceroute(8), which names a code by its number
// where it has no letter for it.
func TestKinds(t *testing.T) {
	tests := []struct {
		from      netip.Addr
		typ, code uint8
		kind      Kind
		symbol    string
	}{
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 0, NetUnreachable, "!N"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 1, HostUnreachable, "!H"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 2, ProtoUnreachable, "!P"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 3, PortUnreachable, ""},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 4, FragNeeded, "!F-0"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 5, SourceRouteFailed, "!S"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 9, NetProhibited, "!X"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 10, HostProhibited, "!X"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 13, AdminProhibited, "!X"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 14, PrecedenceViolated, "!V"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 15, PrecedenceViolated, "!C"},
		{from4, uint8(ipv4.ICMPTypeDestinationUnreachable), 16, Unknown, "!<3-16>"},
		{from4, uint8(ipv4.ICMPTypeTimeExceeded), 0, TimeExceeded, ""},
		{from4, uint8(ipv4.ICMPTypeTimeExceeded), 1, ReassemblyExceeded, "!<11-1>"},
		{from4, uint8(ipv4.ICMPTypeParameterProblem), 0, ParameterProblem, "!<12-0>"},
		{from4, uint8(ipv4.ICMPTypeRedirect), 1, Redirect, ""},
		{from4, 4, 0, SourceQuench, ""},
		{from4, uint8(ipv4.ICMPTypeEcho), 0, Unknown, "!<8-0>"},
		{netip.AddrFrom16(from4.As16()), 3, 1, HostUnreachable, "!H"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 0, NetUnreachable, "!N"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 1, AdminProhibited, "!X"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 2, BeyondScope, "!s"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 3, HostUnreachable, "!H"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 4, PortUnreachable, ""},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 5, PolicyFailed, "!X"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 6, RejectRoute, "!X"},
		{from6, uint8(ipv6.ICMPTypeDestinationUnreachable), 8, Unknown, "!<1-8>"},
		{from6, uint8(ipv6.ICMPTypePacketTooBig), 0, FragNeeded, "!F-0"},
		{from6, uint8(ipv6.ICMPTypeTimeExceeded), 0, TimeExceeded, ""},
		{from6, uint8(ipv6.ICMPTypeParameterProblem), 1, ProtoUnreachable, "!P"},
		{from6, uint8(ipv6.ICMPTypeParameterProblem), 0, ParameterProblem, "!<4-0>"},
		{from6, uint8(ipv6.ICMPTypeRedirect), 0, Redirect, ""},
		{from6, uint8(ipv6.ICMPTypeEchoRequest), 0, Unknown, "!<128-0>"},
	}
	for _, tt := range tests {
		e := New(tt.from, tt.typ, tt.code)
		if e.Kind != tt.kind || e.Symbol() != tt.symbol {
			t.Errorf("%v %d/%d is %v %q, want %v %q", tt.from, tt.typ, tt.code, e.Kind, e.Symbol(), tt.kind, tt.symbol)
		}
	}
}

func TestWords(t *testing.T) {
	for k := Unknown; k <= SourceQuench; k++ {
		text, err := k.MarshalText()
		var back Kind
		if err != nil || back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%d became %q became %d", k, text, back)
		}
		if k.Prohibited() && !k.Unreachable() {
			t.Errorf("%v is prohibited and not unreachable", k)
		}
	}
	if got, want := New(from4, 3, 1).String(), "host_unreachable from 192.0.2.1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
