package diagnose_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

// also gives the server's name further addresses.
func (n *network) also(records ...string) {
	z := n.zone()
	z.Records[n.fqdn()+"."] = append(z.Records[n.fqdn()+"."], records...)
	n.serve(z.Answer)
}

// dualStack gives the client and the server IPv6 as well, by way of the router.
func (n *network) dualStack() (server netip.Addr) {
	for i, h := range []*lab.Host{n.client, n.server} {
		port, side := n.clientIf, "in"
		if i == 1 {
			port, side = "eth0", "out"
		}
		h.Addr(port, fmt.Sprintf("2001:db8:%d::7/64", i))
		n.routers[0].Addr(side, fmt.Sprintf("2001:db8:%d::1/64", i))
		h.Route("::/0", fmt.Sprintf("2001:db8:%d::1", i))
	}
	return netip.MustParseAddr("2001:db8:1::7")
}

// TestSeveralAddresses tries all addresses of a name: one that works is enough,
// and that another one does not is told.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	n := build(t, 1)
	n.also("A " + n.absent().String())
	r := diagnoseFrom(t, n.client, false, n.named())
	if !r.Verdict.Reached || !slices.Equal(codesOf(r.Causes), []diagnose.Code{diagnose.NameAddressDead}) || r.Verdict.Where.Addr != n.absent() {
		t.Errorf("the first address works, got %v at %v\n%s", codesOf(r.Causes), r.Verdict.Where, dump(r))
	}
	if r.Causes[0].Severity != diagnose.Degraded || !strings.Contains(r.Verdict.Summary, "is reachable, but") {
		t.Errorf("got %+v, %q", r.Causes[0], r.Verdict.Summary)
	}
}

// TestNoAddressWorks gives each address its cause, and a shared one once.
func TestNoAddressWorks(t *testing.T) {
	t.Parallel()
	closed := func(n *network) string { return fmt.Sprintf("%s:%d", n.name, n.port+1) }
	for name, c := range map[string]struct {
		inject func(n *network) []netip.Addr // returns the addresses that the first cause is about
		target func(n *network) string
		want   []diagnose.Code
	}{
		"different causes": {
			inject: func(n *network) []netip.Addr { n.also("A " + n.absent().String()); return []netip.Addr{n.absent()} },
			target: closed, want: []diagnose.Code{diagnose.PathHostUnreachable, diagnose.SvcNotListening},
		},
		"the same cause twice": {
			inject: func(n *network) []netip.Addr {
				second := sibling(n.serverAddr, 99)
				n.server.Addr("eth0", prefixed(second, 24))
				n.also("A " + second.String())
				return []netip.Addr{n.serverAddr, second}
			},
			target: closed, want: []diagnose.Code{diagnose.SvcNotListening},
		},
		"a gateway that is nobody": {
			inject: func(n *network) []netip.Addr {
				n.also("A " + sibling(n.serverAddr, 99).String())
				n.client.DelRoute(n.anywhere())
				n.client.Route(n.anywhere(), n.absent().String())
				return nil
			},
			target: (*network).named, want: []diagnose.Code{diagnose.GWUnresolved},
		},
		"both families": {
			inject: func(n *network) []netip.Addr {
				six := n.dualStack()
				n.also("AAAA " + six.String())
				n.routers[0].Filter(lab.Forward, lab.Rule{Family: 6, Dst: six.String(), Action: lab.RejectAdmin})
				return []netip.Addr{six}
			},
			target: closed, want: []diagnose.Code{diagnose.PathAdminProhibited, diagnose.SvcNotListening},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			peers := c.inject(n)
			r := diagnoseFrom(t, n.client, false, c.target(n))
			if r.Verdict.Reached || !slices.Equal(codesOf(r.Causes), c.want) || len(r.Unexplained) > 0 {
				t.Fatalf("got %v, unexplained %v, want %v\n%s", codesOf(r.Causes), r.Unexplained, c.want, dump(r))
			}
			byValue := cmpopts.EquateComparable(netip.Addr{})
			sorted := cmpopts.SortSlices(netip.Addr.Less)
			if diff := cmp.Diff(peers, r.Causes[0].Peers, byValue, sorted, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the first cause is about (-want +got)\n%s", diff)
			}
			checkCost(t, r)
		})
	}
}

// TestIPv6Broken tells a name that works over IPv4 alone from one that works
// over both, and from a host that has no IPv6.
func TestIPv6Broken(t *testing.T) {
	t.Parallel()
	for _, broken := range []bool{false, true} {
		t.Run(fmt.Sprintf("broken %v", broken), func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			six := n.dualStack()
			n.also("AAAA " + six.String())
			n.server.ListenTCP(netip.AddrPortFrom(six, uint16(n.port)).String(), lab.Discard)
			var want []diagnose.Code
			if broken {
				n.routers[0].Filter(lab.Forward, lab.Rule{Family: 6, Proto: "tcp"})
				want = []diagnose.Code{diagnose.PathIPv6Broken}
			}
			r := diagnoseFrom(t, n.client, false, n.named())
			if !r.Verdict.Reached || !slices.Equal(codesOf(r.Causes), want) {
				t.Fatalf("got %v, want %v\n%s", codesOf(r.Causes), want, dump(r))
			}
			if broken && r.Verdict.Where.Addr != six {
				t.Errorf("located at %v, want %v", r.Verdict.Where, six)
			}
		})
	}
}
