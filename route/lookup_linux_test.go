package route

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestLookupOutcomes(t *testing.T) {
	h := three(t)
	needsIP(t)
	batch(h, `route add blackhole 10.71.0.0/16
route add unreachable 10.72.0.0/16
route add prohibit 10.73.0.0/16
route add throw 10.74.0.0/16
nexthop add id 5 blackhole
route add 10.75.0.0/16 nhid 5
rule add to 10.76.0.0/16 blackhole
rule add to 10.77.0.0/16 unreachable
rule add to 10.78.0.0/16 prohibit
route add 10.80.0.0/16 via 10.1.0.9
-6 route add blackhole fd71::/16
-6 route add unreachable fd72::/16
-6 route add prohibit fd73::/16
-6 route add throw fd74::/16
-6 nexthop add id 6 blackhole
-6 route add fd75::/16 nhid 6
-6 rule add to fd76::/16 blackhole
-6 rule add to fd77::/16 unreachable
-6 rule add to fd78::/16 prohibit
-6 route add fd80::/16 via fe80::9 dev eth1
`)
	type answer struct {
		Outcome Outcome
		Error   string
		Rule    bool
		Route   string
		NextHop string
	}
	text := func(e syscall.Errno) string { return e.Error() }
	tables := []struct {
		dst  string
		want answer
	}{
		{"%d71%s1", answer{OutcomeBlackhole, text(syscall.EINVAL), false, "blackhole %d71%s0/16", ""}},
		{"%d72%s1", answer{OutcomeUnreachable, text(syscall.EHOSTUNREACH), false, "unreachable %d72%s0/16", ""}},
		{"%d73%s1", answer{OutcomeProhibit, text(syscall.EACCES), false, "prohibit %d73%s0/16", ""}},
		{"%d74%s1", answer{OutcomeNoRoute, text(syscall.ENETUNREACH), false, "", ""}},
		{"%d75%s1", answer{OutcomeBlackhole, text(syscall.EINVAL), false, "blackhole %d75%s0/16", ""}},
		{"%d76%s1", answer{OutcomeBlackhole, text(syscall.EINVAL), true, "", ""}},
		{"%d77%s1", answer{OutcomeUnreachable, text(syscall.ENETUNREACH), true, "", ""}},
		{"%d78%s1", answer{OutcomeProhibit, text(syscall.EACCES), true, "", ""}},
		{"%d79%s1", answer{OutcomeNoRoute, text(syscall.ENETUNREACH), false, "", ""}},
	}
	for _, f := range []struct{ head, tail, net string }{{"10.", ".0.", ".0."}, {"fd", "::", "::"}} {
		place := func(s, tail string) string {
			s = strings.ReplaceAll(s, "%d", f.head)
			s = strings.ReplaceAll(s, "%s", tail)
			return strings.ReplaceAll(s, "::0/", "::/")
		}
		for _, tc := range tables {
			dst := netip.MustParseAddr(place(tc.dst, f.tail))
			d, err := question{dst: dst}.answer(t, h)
			if err != nil {
				t.Fatal(err)
			}
			got := answer{Outcome: d.Outcome, Error: d.Error, Rule: d.Rule != nil}
			if d.Route.Dst.IsValid() {
				got.Route = d.Route.Type.String() + " " + d.Route.Dst.String()
			}
			if d.NextHop().IsValid() {
				got.NextHop = d.NextHop().String()
			}
			want := tc.want
			want.Route = place(want.Route, f.net)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", dst, diff)
			}
		}
	}
}

func TestLookupForward(t *testing.T) {
	h := three(t)
	h.Route("10.80.0.0/16", "10.1.0.9")
	index := fmt.Sprint(portIndex(t, h, "eth1"))
	for _, tc := range []struct {
		dst  string
		o    LookupOptions
		next string
		dev  string
		src  string
		typ  Type
	}{
		{"10.80.0.1", LookupOptions{}, "10.1.0.9", "eth0", "10.1.0.1", TypeUnicast},
		{"::ffff:10.80.0.1", LookupOptions{}, "10.1.0.9", "eth0", "10.1.0.1", TypeUnicast},
		{"10.2.0.77", LookupOptions{}, "10.2.0.77", "eth1", "10.2.0.1", TypeUnicast},
		{"10.2.0.1", LookupOptions{}, "10.2.0.1", "lo", "10.2.0.1", TypeLocal},
		{"10.2.0.255", LookupOptions{}, "10.2.0.255", "eth1", "10.2.0.1", TypeBroadcast},
		{"fd00:2::77", LookupOptions{}, "fd00:2::77", "eth1", "fd00:2::1", TypeUnicast},
		{"fe80::77%eth1", LookupOptions{}, "fe80::77%" + index, "eth1", "", TypeUnicast},
		{"fe80::77%" + index, LookupOptions{}, "fe80::77%" + index, "eth1", "", TypeUnicast},
		{"fe80::77", LookupOptions{Device: "eth1"}, "fe80::77%" + index, "eth1", "", TypeUnicast},
		{"fe80::77", LookupOptions{OIF: portIndex(t, h, "eth1")}, "fe80::77%" + index, "eth1", "", TypeUnicast},
		{"ff02::1%eth1", LookupOptions{}, "ff02::1%" + index, "eth1", "", TypeMulticast},
		{"10.99.0.1", LookupOptions{Device: "eth2"}, "10.99.0.1", "eth2", "10.3.0.1", TypeUnicast}, // Assumed
	} {
		d, err := question{dst: netip.MustParseAddr(tc.dst), o: tc.o}.answer(t, h)
		if err != nil {
			t.Errorf("%s: %v", tc.dst, err)
			continue
		}
		if d.Outcome != OutcomeForward || d.NextHop().String() != tc.next || d.Route.Device != tc.dev || d.Route.Type != tc.typ {
			t.Errorf("%s: got %v, %v to %v on %q; want %v to %s on %s", tc.dst, d.Outcome, d.Route.Type, d.NextHop(), d.Route.Device, tc.typ, tc.next, tc.dev)
		}
		if tc.src != "" && d.Source().String() != tc.src {
			t.Errorf("%s: from %v, want %s", tc.dst, d.Source(), tc.src)
		}
		if d.Assumed != strings.HasPrefix(tc.dst, "10.99.") {
			t.Errorf("%s: assumed %v", tc.dst, d.Assumed)
		}
	}
}

func portIndex(t *testing.T, h *lab.Host, name string) int {
	t.Helper()
	l, err := h.Netlink().LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

func TestLookupErrors(t *testing.T) {
	h := three(t)
	for _, tc := range []struct {
		name string
		q    question
		is   error
	}{
		{"no destination", question{}, nil},
		{"link-local without zone", question{dst: netip.MustParseAddr("fe80::1")}, nil},
		{"unknown zone", question{dst: netip.MustParseAddr("fe80::1%eth7")}, os.ErrNotExist},
		{"unknown device", question{netip.MustParseAddr("10.1.0.9"), LookupOptions{Device: "eth7"}}, os.ErrNotExist},
		{"unknown index", question{netip.MustParseAddr("10.1.0.9"), LookupOptions{OIF: 4711}}, os.ErrNotExist},
		{"two devices", question{netip.MustParseAddr("fe80::1%eth1"), LookupOptions{Device: "eth2"}}, nil},
		{"foreign source", question{netip.MustParseAddr("10.1.0.9"), LookupOptions{Source: netip.MustParseAddr("192.0.2.1")}}, syscall.EADDRNOTAVAIL},
		{"strange protocol", question{netip.MustParseAddr("10.1.0.9"), LookupOptions{Proto: 99}}, errors.ErrUnsupported},
	} {
		d, err := tc.q.answer(t, h)
		if err == nil || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: got %v, %v; want %v", tc.name, d.Outcome, err, tc.is)
		}
		if d.Outcome != OutcomeUnknown {
			t.Errorf("%s: an error of ours gave the outcome %v", tc.name, d.Outcome)
		}
		if _, ok := errors.AsType[*OpError](err); !ok {
			t.Errorf("%s: %T", tc.name, err)
		}
	}
}

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

func TestLookupOddities(t *testing.T) {
	needsIP(t)
	for _, tc := range []struct {
		name, setup, dst string
		o                LookupOptions
		outcome          Outcome
		route            string
	}{
		// A socket that is bound to an interface does not see IPv6 routes to
		// nowhere, which are on the loopback, but for next hop objects.
		{"throw unseen", `-6 nexthop add id 14 blackhole
-6 route add throw fd90::/32
-6 route add fd90::/16 nhid 14
`, "fd90::9", LookupOptions{Device: "eth1"}, OutcomeBlackhole, "blackhole fd90::/16"},
		{"throw seen", `-6 nexthop add id 14 blackhole
-6 route add throw fd90::/32
-6 route add fd90::/16 nhid 14
`, "fd90::9", LookupOptions{}, OutcomeNoRoute, ""},
		// A rule for VRFs that is turned round means the main table.
		{"not a VRF", `rule add pref 50 not l3mdev
rule add pref 60 to 10.90.0.0/16 prohibit
route add unreachable 10.90.0.0/16
`, "10.90.0.9", LookupOptions{}, OutcomeUnreachable, "unreachable 10.90.0.0/16"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := three(t)
			if refused := batch(h, tc.setup); refused != "" {
				t.Skip("this kernel refuses: ", refused)
			}
			d, err := question{netip.MustParseAddr(tc.dst), tc.o}.answer(t, h)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if d.Route.Dst.IsValid() {
				got = d.Route.Type.String() + " " + d.Route.Dst.String()
			}
			if d.Outcome != tc.outcome || got != tc.route || d.Rule != nil {
				t.Errorf("got %v by %q, rule %v; want %v by %q", d.Outcome, got, d.Rule, tc.outcome, tc.route)
			}
		})
	}
}
