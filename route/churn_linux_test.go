package route

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestRulesUnderChurn(t *testing.T) {
	h := three(t)
	rule := func(addr net.IP) *netlink.Rule {
		r := netlink.NewRule()
		// Nearer to the front than what was there before: a reading that goes on
		// there passes it over.
		r.Family, r.Table, r.Src = unix.AF_INET, 100, &net.IPNet{IP: addr.To4(), Mask: net.CIDRMask(32, 32)}
		r.Priority = 1 + int(addr.To4()[3])*37%200*100
		return r
	}
	lab.UnderChurn(t, func(addr net.IP) error { return h.Netlink().RuleAdd(rule(addr)) }, func(addr net.IP) error { return h.Netlink().RuleDel(rule(addr)) },
		func() (addrs []netip.Addr, err error) {
			list, err := Rules(t.Context(), &Options{NetNS: h.NetNSFD(), Family: FamilyIPv4, Table: 100})
			for i := range list {
				addrs = append(addrs, list[i].Src.Addr())
			}
			return addrs, err
		})
}

func TestNeighborsUnderChurn(t *testing.T) {
	h := three(t)
	eth0, err := h.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	neighbor := func(addr net.IP) *netlink.Neigh {
		return &netlink.Neigh{
			LinkIndex: eth0.Attrs().Index, Family: unix.AF_INET, State: unix.NUD_PERMANENT, IP: addr,
			HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
		}
	}
	lab.UnderChurn(t, func(addr net.IP) error { return h.Netlink().NeighSet(neighbor(addr)) }, func(addr net.IP) error { return h.Netlink().NeighDel(neighbor(addr)) },
		func() (addrs []netip.Addr, err error) {
			list, err := Neighbors(t.Context(), &NeighborOptions{NetNS: h.NetNSFD(), Family: FamilyIPv4, OIF: eth0.Attrs().Index})
			for i := range list {
				if list[i].State == NeighborPermanent {
					addrs = append(addrs, list[i].Addr)
				}
			}
			return addrs, err
		})
}

// What was made ahead is all there, and in order; the loop can be left anywhere, and
// the end of the context is told.
func TestAllOfMany(t *testing.T) {
	h := three(t)
	eth0, err := h.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	const many = 6000 // some 13 full datagrams
	for i := range many {
		if err := h.Netlink().RouteAdd(routeTo([4]byte{20, byte(i >> 8), byte(i), 0}, eth0.Attrs().Index)); err != nil {
			t.Fatal(err)
		}
	}
	o := &Options{NetNS: h.NetNSFD(), Family: FamilyIPv4, Protocol: 3}
	for _, leave := range []int{0, 1, 2000, 2500, 5999, many} {
		n := 0
		for r, err := range All(t.Context(), o) {
			if n == many && errors.Is(err, ErrInterrupted) {
				break // by what the kernel tells late of the interfaces
			}
			if err != nil {
				t.Fatal(err)
			}
			if b := r.Dst.Addr().As4(); int(b[1])<<8|int(b[2]) != n {
				t.Fatalf("route %d is %v", n, r.Dst)
			}
			if n++; n > leave {
				break
			}
		}
		if n != min(leave+1, many) {
			t.Errorf("%d routes, left after %d", n, leave)
		}
	}
	cause := errors.New("enough")
	for _, at := range []int{1, 2500, 5000} {
		ctx, cancel := context.WithCancelCause(t.Context())
		n := 0
		var last error
		for _, err := range All(ctx, o) {
			if n, last = n+1, err; n == at {
				cancel(cause)
			}
		}
		cancel(nil)
		if !errors.Is(last, cause) {
			t.Errorf("cancelled at %d: ended with %v after %d", at, last, n)
		}
	}
}
