package route

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The next marker always comes before the last one goes, so that a consistent list
// has one of them, or two that follow each other. Whatever has not is not allowed to
// come without an error.
const (
	markers = 200
	others  = 1500 // several datagrams
)

// markerOf returns which marker it is that an address of the churn belongs to; ok is
// false for one of the others.
func markerOf(a netip.Addr) (i int, ok bool) {
	b := a.As4()
	return int(b[3]) - 1, b[1] == 3
}

func markerAddr(i int) net.IP { return net.IPv4(10, 3, 0, byte(1+i%markers)) }

func otherAddr(i int) net.IP { return net.IPv4(10, 2, byte(i/250), byte(1+i%250)) }

func TestRulesUnderChurn(t *testing.T) {
	h := three(t)
	rule := func(addr net.IP) *netlink.Rule {
		r := netlink.NewRule()
		// Nearer to the front than what was there before: a reading that goes on
		// there passes it over.
		r.Family, r.Table, r.Src = unix.AF_INET, 100, &net.IPNet{IP: addr.To4(), Mask: net.CIDRMask(32, 32)}
		r.Priority = 1 + int(addr.To4()[3])*37%markers*100
		return r
	}
	underChurn(t, func(addr net.IP) error { return h.Netlink().RuleAdd(rule(addr)) }, func(addr net.IP) error { return h.Netlink().RuleDel(rule(addr)) },
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
	underChurn(t, func(addr net.IP) error { return h.Netlink().NeighSet(neighbor(addr)) }, func(addr net.IP) error { return h.Netlink().NeighDel(neighbor(addr)) },
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

func underChurn(t *testing.T, add, del func(net.IP) error, list func() ([]netip.Addr, error)) {
	for i := range others {
		if err := add(otherAddr(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(markerAddr(0)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			if err := errors.Join(add(markerAddr(i+1)), del(markerAddr(i))); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	clean, interrupted := 0, 0
	for range 200 {
		addrs, err := list()
		if errors.Is(err, ErrInterrupted) {
			if interrupted++; len(addrs) == 0 {
				t.Fatal("an interrupted list came without data")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		clean++
		var there []int
		n := 0
		for _, a := range addrs {
			if i, ok := markerOf(a); ok {
				there = append(there, i)
			} else {
				n++
			}
		}
		follow := len(there) == 2 && ((there[0]+1)%markers == there[1] || (there[1]+1)%markers == there[0])
		if n != others || len(there) != 1 && !follow {
			t.Fatalf("%d of %d others and markers %v without an error", n, others, there)
		}
	}
	t.Logf("%d consistent lists, %d marked as interrupted", clean, interrupted)
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
