package icmperr

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// stack is an extension structure with two labels, after RFC 4950, section 3.
var stack = []byte{
	0x20, 0, 0, 0,
	0, 12, 1, 1,
	0x00, 0x3e, 0x90, 0x01, // label 1001, class 0, not the last, TTL 1
	0x00, 0x7d, 0x0b, 0xff, // label 2000, class 5, the last, TTL 255
}

func TestParseMPLS(t *testing.T) {
	want := []Label{{Label: 1001, TTL: 1}, {Label: 2000, TC: 5, Bottom: true, TTL: 255}}
	other := append([]byte{0x20, 0, 0, 0, 0, 8, 2, 1, 1, 2, 3, 4}, stack[4:]...) // an object of another class first
	for name, tt := range map[string]struct {
		in   []byte
		want []Label
	}{
		"two labels": {stack, want}, "another object first": {other, want}, "nothing": {nil, nil},
		"another version":            {append([]byte{0x10}, stack[1:]...), nil},
		"an object that is cut":      {stack[:12], nil},
		"an object that is no size":  {[]byte{0x20, 0, 0, 0, 0, 3, 1, 1}, nil},
		"bytes behind the last":      {append(append([]byte{}, stack...), 1, 2), want},
		"an object that is too long": {append(append([]byte{}, stack...), 0xff, 0xff, 1, 1), want},
	} {
		if diff := cmp.Diff(tt.want, ParseMPLS(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzParseMPLS(f *testing.F) {
	f.Add(stack)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range ParseMPLS(b) {
			if l.Label >= 1<<20 || l.TC > 7 {
				t.Errorf("label %+v", l)
			}
		}
	})
}
