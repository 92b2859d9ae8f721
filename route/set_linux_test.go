package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/operr"
)

// What ip has set is deleted and set again here, and ip sees no difference.
func TestChangeAgainstIP(t *testing.T) {
	needsIP(t)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 0))}
	total := 0
	for i := range 30 {
		h := three(t)
		o := &Options{NetNS: h.NetNSFD()}
		var s strings.Builder
		for range 60 {
			fmt.Fprintln(&s, c.pick(c.route4(), c.route6()))
		}
		batch(h, s.String())
		routes, err := List(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		before := sortedRoutes(oracle(t, h))
		var mine []Route
		ids := map[routeID]int{}
		for _, r := range routes {
			ids[routeIDOf(r)]++
			// An identifier of a next hop object and the time that is left are not set here.
			if r.Protocol != ProtocolKernel && r.NHID == 0 && r.Expires == 0 && r.Unknown == nil && r.Flow == 0 &&
				!slices.ContainsFunc(r.NextHops, func(n NextHop) bool { return n.Flow != 0 }) {
				mine = append(mine, r)
			}
		}
		mine = slices.DeleteFunc(mine, func(r Route) bool {
			// IPv6 routes to one destination become one route of ways that differ in more
			// than the way; a scope of zero is one that is not given.
			return ids[routeIDOf(r)] > 1 || r.Family == FamilyIPv6 && (r.Dst.Bits() <= 16 || strings.Count(s.String(), " "+r.Dst.String()+" ") > 1) ||
				r.Family == FamilyIPv4 && r.scope(changeAdd) != r.Scope || orderMatters(r, routes)
		})
		for _, r := range mine {
			if err := Delete(t.Context(), r, o); err != nil {
				t.Fatalf("set-up %d: %v: %+v\n%s", i, err, r, &s)
			}
			if err := Delete(t.Context(), r, o); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("set-up %d: deleted twice: %v: %+v", i, err, r)
			}
		}
		for _, r := range mine {
			if err := Add(t.Context(), r, o); err != nil {
				t.Fatalf("set-up %d: %v: %+v", i, err, r)
			}
			if err := Add(t.Context(), r, o); !errors.Is(err, os.ErrExist) {
				t.Fatalf("set-up %d: added twice: %v: %+v", i, err, r)
			}
			if err := Replace(t.Context(), r, o); err != nil {
				t.Fatalf("set-up %d: replaced: %v: %+v", i, err, r)
			}
		}
		total += len(mine)
		if d := cmp.Diff(before, sortedRoutes(oracle(t, h))); d != "" {
			t.Fatalf("set-up %d (-before +after):\n%s", i, d)
		}
	}
	if t.Log(total, "routes"); total < 150 {
		t.Error("too few")
	}
}

// routeIDOf tells apart what Delete tells apart: to the kernel an IPv4 metric of
// zero is any.
func routeIDOf(r Route) routeID {
	if r.Family == FamilyIPv4 {
		r.Metric = 0
	}
	return routeID{r.Dst, r.Src, r.Table, r.Metric, r.TOS}
}

// orderMatters reports whether the kernel takes r only before another route: it
// looks for the gateway in the table of r and by the rules, where the local table
// is first.
func orderMatters(r Route, all []Route) bool {
	return r.Table != unix.RT_TABLE_MAIN && slices.ContainsFunc(r.NextHops, func(n NextHop) bool {
		return slices.ContainsFunc(all, func(other Route) bool {
			return (other.Table == r.Table || other.Table == unix.RT_TABLE_LOCAL) && n.Gateway.IsValid() && other.Dst.Contains(n.Gateway)
		})
	})
}

func sortedRoutes(all map[string][]dict) (lines []string) {
	for _, f := range []string{"routes inet", "routes inet6"} {
		for _, r := range all[f] {
			delete(r, "expires")
			b, err := json.Marshal(r)
			lines = append(lines, fmt.Sprint(string(b), err))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestChangeErrors(t *testing.T) {
	h := three(t)
	o := &Options{NetNS: h.NetNSFD()}
	dst := netip.MustParsePrefix("10.50.0.0/16")
	gw := netip.MustParseAddr("10.1.0.9")
	for name, tt := range map[string]struct {
		r    Route
		want error
	}{
		"no destination":     {Route{Gateway: gw}, nil},
		"bits":               {Route{Dst: netip.MustParsePrefix("10.50.0.1/16"), Gateway: gw}, nil},
		"no interface":       {Route{Dst: dst, Device: "nosuch"}, os.ErrNotExist},
		"no such index":      {Route{Dst: dst, OIF: 4711}, os.ErrNotExist},
		"gateway not on net": {Route{Dst: dst, Gateway: netip.MustParseAddr("192.0.2.1")}, unix.ENETUNREACH},
		"nothing":            {Route{Dst: dst}, os.ErrNotExist},
	} {
		err := Add(t.Context(), tt.r, o)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	err := h.DoUnprivileged(func() error { return Add(t.Context(), Route{Dst: dst, Gateway: gw}, nil) })
	if !errors.Is(err, os.ErrPermission) || operr.NeedOf(err) != "CAP_NET_ADMIN" {
		t.Errorf("unprivileged: %v", err)
	}
}

// A table that changes while it is read is said to have changed.
func TestChangedWhileRead(t *testing.T) {
	h := three(t)
	o := &Options{NetNS: h.NetNSFD(), Family: FamilyIPv4}
	n := 0
	var last error
	for _, err := range All(t.Context(), o) {
		if last = err; n == 0 {
			if err := Add(t.Context(), Route{Dst: netip.MustParsePrefix("10.99.0.0/16"), Device: "eth0"}, o); err != nil {
				t.Fatal(err)
			}
		}
		n++
	}
	if !errors.Is(last, ErrInterrupted) || n < 5 {
		t.Errorf("%d routes, %v", n, last)
	}
	for range 3 {
		if _, err := List(t.Context(), o); err != nil {
			t.Errorf("at rest: %v", err)
		}
	}
}
