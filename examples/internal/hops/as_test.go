package hops

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.1":       "1.2.0.192.origin.asn.example.",
		"2001:db8::1:2ab": "b.a.2.0.1.0.0.0" + strings.Repeat(".0", 16) + ".8.b.d.0.1.0.0.2.origin6.asn.example.",
	} {
		if got := originName(netip.MustParseAddr(a), "asn.example."); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	for o, want := range map[Origin]string{OriginAS: "AS1/AS2", OriginPrefix: "192.0.2.0/24", OriginDate: "2001-02-03", Origins: ""} {
		if got := o.Of("AS1/AS2| 192.0.2.0/24 | XX | test | 2001-02-03"); got != want {
			t.Errorf("field %d: %q, want %q", o, got, want)
		}
	}
	for text, want := range map[string]string{
		"64500 | 192.0.2.0/24 | XX | test |": "AS64500",
		"64500 64501 | 192.0.2.0/24":         "AS64500/AS64501",
		"64500\n64500 64502|":                "AS64500/AS64502",
		"\x1b[31m | x":                       "",
		"":                                   "",
	} {
		if got := strings.Join(origins(strings.Split(text, "\n")), ";"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
