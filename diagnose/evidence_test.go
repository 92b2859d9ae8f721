package diagnose

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/portscan"
)

// TestLookedInVain takes this host's own word for a neighbour that it did not
// find, when the table has forgotten it, and nobody else's.
func TestLookedInVain(t *testing.T) {
	own := netip.MustParseAddr("10.1.0.20")
	for name, c := range map[string]struct {
		from netip.Addr
		kind icmperr.Kind
		want State
	}{
		"this host did not find it": {own, icmperr.HostUnreachable, No},
		"a router did not find it":  {gw, icmperr.HostUnreachable, NotChecked},
		"this host has no route":    {own, icmperr.NetUnreachable, NotChecked},
	} {
		e := evidence{
			peer: peer{role: RoleTarget, addr: web, port: 80}, iface: "eth0", own: []netip.Addr{own}, begun: time.Now(),
			connect: &portscan.Result{State: portscan.StateFiltered, ICMP: &icmperr.Error{From: c.from, Kind: c.kind}},
		}
		if f := e.neighborFact(); f.State != c.want {
			t.Errorf("%s: %v %q, want %v", name, f.State, f.Detail+f.Why, c.want)
		}
	}
}
