package route

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// question is a look-up, and the same for ip.
type question struct {
	dst netip.Addr
	o   LookupOptions
}

func (q question) args() []string {
	s := []string{"route", "get"}
	if q.o.FIBMatch {
		s = append(s, "fibmatch")
	}
	s = append(s, q.dst.WithZone("").String())
	if q.o.Source.IsValid() {
		s = append(s, "from", q.o.Source.String())
	}
	if q.o.Device != "" {
		s = append(s, "oif", q.o.Device)
	}
	if q.o.TOS != 0 {
		s = append(s, "tos", fmt.Sprintf("%#x", q.o.TOS))
	}
	for word, v := range map[string]int{
		"mark": int(q.o.Mark), "ipproto": int(q.o.Proto), "sport": int(q.o.SPort), "dport": int(q.o.DPort),
	} {
		if v != 0 {
			s = append(s, word, fmt.Sprint(v))
		}
	}
	if q.o.UID != nil {
		s = append(s, "uid", fmt.Sprint(*q.o.UID))
	}
	return s
}

// foreign is an address that no host here has.
var foreign = netip.MustParseAddr("192.0.2.99")

// answer asks the kernel from inside the host, as nobody in particular.
func (q question) answer(t *testing.T, h *lab.Host) (d Decision, err error) {
	t.Helper()
	h.DoUnprivileged(func() error {
		d, err = Lookup(t.Context(), q.dst, &q.o)
		return nil
	})
	return d, err
}

// errnos are what ip writes for the errnos of a packet that goes nowhere.
var errnos = map[string]syscall.Errno{
	"Network is unreachable": syscall.ENETUNREACH, "No route to host": syscall.EHOSTUNREACH,
	"Permission denied": syscall.EACCES, "Invalid argument": syscall.EINVAL,
}

// check compares with `ip route get` and reports whether the packet is refused.
func (q question) check(t *testing.T, h *lab.Host) (d Decision, refused bool) {
	t.Helper()
	diff := ""
	// Between the ways of a multipath route, and between default routes of one metric,
	// the kernel goes round; further questions keep the two from going in step.
	for i := range 20 {
		if d, refused, diff = q.compare(t, h); diff == "" {
			return d, refused
		}
		for range i % 3 {
			_, _ = q.answer(t, h)
		}
	}
	t.Errorf("%q (-ip +netsonde):\n%s", q.args(), diff)
	return d, refused
}

func (q question) compare(t *testing.T, h *lab.Host) (d Decision, refused bool, diff string) {
	t.Helper()
	d, err := q.answer(t, h)
	out, ipErr := h.Output("ip", append([]string{"-j", "-d"}, q.args()...)...)
	if ipErr != nil {
		_, text, _ := strings.Cut(ipErr.Error(), "RTNETLINK answers: ")
		errno := errnos[text]
		switch {
		case errors.Is(err, syscall.EADDRNOTAVAIL) && q.o.Source == foreign:
			return d, false, "" // the source is at fault
		case q.o.FIBMatch && errno == syscall.EHOSTUNREACH && d.Outcome == OutcomeForward:
			return d, false, "" // no entry of a table, but it goes somewhere
		case errno == 0 || err != nil || d.Error != errno.Error() || !possible[errno][d.Outcome]:
			t.Errorf("%q: ip says %v; got %v: %q, %v", q.args(), ipErr, d.Outcome, d.Error, err)
		case d.Outcome != OutcomeNoRoute && d.Rule == nil && !d.Route.Dst.IsValid() && !q.hidden(t, h, d.Outcome):
			t.Errorf("%q: %v without a reason", q.args(), d.Outcome)
		}
		return d, true, ""
	}
	if err != nil || d.Outcome != OutcomeForward {
		t.Errorf("%q: ip says %s; got %v, %v", q.args(), out, d, err)
		return d, false, ""
	}
	want := decode(t, out)[0]
	for _, k := range []string{"cache", "uid", "mark", "used", "age", "nh_info"} {
		delete(want, k)
	}
	single(want)
	got := view(t, []Route{d.Route}, routeView)[0]
	if !q.o.FIBMatch { // where ip writes other words
		for _, k := range []string{"from", "scope", "protocol", "tos", "flags"} {
			delete(want, k)
			delete(got, k)
		}
	}
	return d, false, cmp.Diff(want, got)
}

// hidden reports whether ip has no route either that would refuse the packet
// this way. IPv6 dumps leave one out that lies between the ways of a multipath
// route with the same prefix and metric (fib6_dump_node).
func (q question) hidden(t *testing.T, h *lab.Host, o Outcome) bool {
	t.Helper()
	if q.dst.Is4() {
		return false
	}
	for _, r := range ip(t, h, "-6", "route", "show", "table", "all", "match", q.dst.String()) {
		// A type that refuses is on lo and no way out of another interface; a next
		// hop object that is a blackhole is on none, and counts.
		if r["type"] == o.String() && (q.o.Device == "" || r["nhid"] != nil) {
			return false
		}
	}
	return true
}

// possible are the outcomes that an errno may stand for.
var possible = map[syscall.Errno]map[Outcome]bool{
	syscall.ENETUNREACH:  {OutcomeNoRoute: true, OutcomeUnreachable: true},
	syscall.EHOSTUNREACH: {OutcomeUnreachable: true},
	syscall.EACCES:       {OutcomeProhibit: true},
	syscall.EINVAL:       {OutcomeBlackhole: true},
}

// proof puts something that forwards in the place of the rule or route that is
// said to refuse the packet. It was the one that decided exactly if the packet
// is now forwarded by what stands in its place.
func (q question) proof(t *testing.T, h *lab.Host, d Decision) {
	t.Helper()
	if q.o.Device != "" || suppressing(t, h) {
		return // what is put in place would not be taken for other reasons
	}
	family := "-4"
	if q.dst.Is6() {
		family = "-6"
	}
	run := func(args ...string) bool {
		t.Helper()
		_, err := h.Output("ip", append([]string{family}, args...)...)
		return err == nil
	}
	const away = 4242
	var undo func()
	switch {
	case d.Rule != nil:
		pref := fmt.Sprint(d.Rule.Priority)
		if !run("route", "add", "default", "dev", "lo", "table", fmt.Sprint(away)) {
			t.Fatal("cannot add a table")
		}
		defer run("route", "flush", "table", fmt.Sprint(away))
		if !run("rule", "add", "pref", pref, "lookup", fmt.Sprint(away)) {
			t.Fatal("cannot add a rule")
		}
		// Of equal priority the older one is first: take it away.
		args := append([]string{"rule", "del"}, ruleArgs(*d.Rule)...)
		if !run(args...) {
			t.Errorf("cannot delete the rule: ip %q", args)
		}
		undo = func() { run("rule", "del", "pref", pref, "lookup", fmt.Sprint(away)) }
	case d.Route.Dst.IsValid():
		where := []string{d.Route.Dst.String(), "table", fmt.Sprint(d.Route.Table), "metric", fmt.Sprint(d.Route.Metric)}
		if d.Route.Src.IsValid() {
			where = append(where, "from", d.Route.Src.String())
		}
		if d.Route.TOS != 0 {
			where = append(where, "tos", fmt.Sprintf("%#x", d.Route.TOS))
		}
		del := append([]string{"route", "del", d.Route.Type.String()}, where...)
		if d.Route.NHID != 0 {
			del = append([]string{"route", "del"}, append(where, "nhid", fmt.Sprint(d.Route.NHID))...)
		}
		if !run(del...) {
			t.Errorf("cannot delete the route: ip %q", del)
		}
		if !run(append([]string{"route", "prepend"}, append(where, "dev", "lo")...)...) {
			return // IPv6 has an equal on the same interface, a throw route for example
		}
		undo = func() { run(append([]string{"route", "del"}, append(where, "dev", "lo")...)...) }
	default:
		return
	}
	defer undo()
	q.o.FIBMatch = true
	now, err := q.answer(t, h)
	ok := err == nil
	if d.Rule != nil {
		ok = ok && now.Outcome == OutcomeForward && now.Route.Table == away
	} else {
		// Of equals, which IPv6 allows, it is now another.
		ok = ok && now.Route.Dst == d.Route.Dst && now.Route.Table == d.Route.Table && now.Route.Metric == d.Route.Metric
	}
	if !ok {
		t.Errorf("%q: not decided by rule %+v, route %+v: without it %v, %v", q.args(), d.Rule, d.Route, now, err)
	}
}

// suppressing reports whether a rule does not take every match of its table.
func suppressing(t *testing.T, h *lab.Host) bool {
	t.Helper()
	rules, err := Rules(t.Context(), &Options{NetNS: h.NetNSFD()})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.SuppressLen != nil || r.SuppressGroup != nil })
}

// ruleArgs are enough for ip to find the rule.
func ruleArgs(r Rule) []string {
	s := []string{"pref", fmt.Sprint(r.Priority)}
	if r.Invert {
		s = append(s, "not")
	}
	for word, p := range map[string]netip.Prefix{"from": r.Src, "to": r.Dst} {
		if p.IsValid() {
			s = append(s, word, p.String())
		}
	}
	return append(s, r.Action.String())
}

func (c *chaos) question() question {
	q := question{dst: netip.MustParseAddr(c.pick(
		c.gw4(), c.gw6(), fmt.Sprintf("10.%d.%d.9", 100+c.rng.IntN(5), c.rng.IntN(4)),
		fmt.Sprintf("10.%d.%d.9", 100+c.rng.IntN(5), c.rng.IntN(4)), fmt.Sprintf("10.%d.0.9", 100+c.rng.IntN(50)),
		fmt.Sprintf("fd%02x:%x::9", 0x10+c.rng.IntN(5), c.rng.IntN(4)), fmt.Sprintf("fd%02x::9", 0x10+c.rng.IntN(50)),
		"10.9.9.9", "10.9.0.1", "fd00::9", "127.0.0.1", "10.1.0.1", "fd00:1::1", "10.1.0.255", "192.0.2.1", "2001:db8::1"))}
	some := func(n int) bool { return c.rng.IntN(n) == 0 }
	if some(3) {
		q.o.Mark = uint32(c.rng.IntN(32))
	}
	if some(4) {
		q.o.UID = new(uint32(c.rng.IntN(12)))
	}
	if some(4) {
		q.o.TOS = 0x10
	}
	if some(3) {
		q.o.Proto = 6
		q.o.SPort, q.o.DPort = uint16(c.rng.IntN(2))*77, uint16(79+c.rng.IntN(13))
	}
	if some(4) {
		q.o.Source = netip.MustParseAddr(c.pick("10.1.0.1", "10.1.0.1", foreign.String()))
		if q.dst.Is6() {
			q.o.Source = netip.MustParseAddr("fd00:1::1")
		}
	}
	if some(6) {
		q.o.Device = c.dev()
	}
	q.o.FIBMatch = some(2)
	return q
}

func TestLookupAgainstIP(t *testing.T) {
	needsIP(t)
	h := three(t)
	batch(h, nextHops)
	c := &chaos{rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))}
	outcomes := map[string]int{}
	for i := range 110 {
		var s strings.Builder
		for range 15 {
			fmt.Fprintln(&s, c.command())
		}
		for range 4 { // more of what refuses
			fmt.Fprintf(&s, "route append %s %s\n", c.pick("blackhole", "unreachable", "prohibit", "throw"), c.dst4())
			fmt.Fprintf(&s, "-6 route append %s %s\n", c.pick("blackhole", "unreachable", "prohibit", "throw"), c.dst6())
		}
		batch(h, s.String())
		for range 6 {
			q := c.question()
			d, refused := q.check(t, h)
			how := "route"
			if d.Rule != nil {
				how = "rule"
			}
			outcomes[d.Outcome.String()+" by "+how]++
			if refused && !t.Failed() {
				q.proof(t, h, d)
			}
		}
		if t.Failed() {
			rules, _ := h.Output("ip", "rule")
			rules6, _ := h.Output("ip", "-6", "rule")
			routes, _ := h.Output("ip", "-d", "route", "show", "table", "all")
			t.Fatalf("set-up %d:\n%s\n%s\n%s", i, rules, rules6, routes)
		}
	}
	t.Log(outcomes)
}
