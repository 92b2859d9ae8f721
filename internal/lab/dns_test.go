package lab_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// TestServeDNS asks the server without a lab, as other systems use it.
func TestServeDNS(t *testing.T) {
	zone := lab.Zone{Origin: "corp.test.", Recursive: true, Records: map[string][]string{
		"web": {"A 10.2.0.2", "AAAA fd00:2::2"}, "www": {"CNAME web"},
	}}
	s := lab.ServeDNS(t, "127.0.0.1:0", zone.Answer)
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Addr.String())
	}}
	addrs, err := r.LookupNetIP(t.Context(), "ip", "www.corp.test.")
	got := map[string]bool{}
	for _, a := range addrs {
		got[a.Unmap().String()] = true
	}
	if want := map[string]bool{"10.2.0.2": true, "fd00:2::2": true}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("look-up: %v, %v; want %v", got, err, want)
	}
	if _, err := netip.ParseAddrPort(s.Addr.String()); err != nil || s.Addr.Port() == 0 {
		t.Errorf("address %v: %v", s.Addr, err)
	}
}
