package route

import (
	"net/netip"
	"testing"
)

func TestLookupLoopback(t *testing.T) {
	dst := netip.MustParseAddr("127.0.0.5")
	d, err := Lookup(t.Context(), dst, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.Outcome != OutcomeForward || d.Route.Type != TypeLocal || d.NextHop() != dst {
		t.Errorf("got %+v", d)
	}
}
