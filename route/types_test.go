package route

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
)

// text checks that a value and its word are each other's.
func text[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, want string, v T) {
	t.Helper()
	if got := fmt.Sprint(v); got != want {
		t.Errorf("%T: got %q, want %q", v, got, want)
	}
	var back T
	if err := P(&back).UnmarshalText([]byte(want)); err != nil || any(back) != any(v) {
		t.Errorf("%T: %q reads as %v, %v", v, want, back, err)
	}
	if err := P(&back).UnmarshalText([]byte("no such word")); err == nil {
		t.Errorf("%T: took nonsense", v)
	}
}

func TestWords(t *testing.T) {
	text(t, "inet6", FamilyIPv6)
	text(t, "any", FamilyAny)
	text(t, "unreachable", TypeUnreachable)
	text(t, "type(99)", Type(99))
	text(t, "dhcp", ProtocolDHCP)
	text(t, "protocol(77)", Protocol(77))
	text(t, "link", ScopeLink)
	text(t, "low", PreferenceLow)
	text(t, "no_route", OutcomeNoRoute)
	text(t, "to_tbl", ActionTable)
	text(t, "action(4)", Action(4))
	text(t, "reachable", NeighborReachable)
	text(t, "none", NeighborNone)
	text(t, "stale|permanent|0x1000", NeighborStale|NeighborPermanent|0x1000)
}

func TestFlagWords(t *testing.T) {
	b, err := json.Marshal([]any{
		FlagOnLink | FlagLinkDown, FlagOffloadFailed, CacheLocal | CacheBroadcast, NeighborRouter | NeighborProxy, RuleInvert, Flags(0),
	})
	const want = `[["onlink","linkdown"],["rt_offload_failed"],["broadcast","local"],["proxy","router"],["invert"],[]]`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v; want %s", b, err, want)
	}
	for _, got := range []string{(FlagDead | 1<<7).String(), CacheRedirected.String(), NeighborExtern.String(), RuleIIFDetached.String()} {
		if got == "" {
			t.Error("a flag without a word")
		}
	}
	sameJSON(t, FlagDead|1<<7)
	sameJSON(t, CacheFlags(0xffff0000))
	sameJSON(t, NeighborFlags(0xff))
	sameJSON(t, RuleFlags(0xffffffff))
}

func TestNextHop(t *testing.T) {
	dst, gw := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		name string
		d    Decision
		want netip.Addr
	}{
		{"gateway", Decision{Dst: dst, Outcome: OutcomeForward, Route: Route{Gateway: gw}}, gw},
		{"on-link", Decision{Dst: dst, Outcome: OutcomeForward}, dst},
		{"multipath", Decision{Dst: dst, Outcome: OutcomeForward, Route: Route{NextHops: []NextHop{{Gateway: gw}}}}, gw},
		{"nowhere", Decision{Dst: dst, Outcome: OutcomeProhibit, Route: Route{Gateway: gw}}, netip.Addr{}},
		{"not asked", Decision{}, netip.Addr{}},
	} {
		if got := tc.d.NextHop(); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestExplain walks through what the random look-ups seldom meet.
func TestExplain(t *testing.T) {
	p := packet{
		src: netip.MustParseAddr("10.0.0.1"), dst: netip.MustParseAddr("198.51.100.1"), oif: "eth0", mark: 0x17, uid: 1000,
		tos: 0x12, proto: 6, sport: 1000, dport: 443,
	}
	prohibit := Route{Type: TypeProhibit, Table: 100, Dst: netip.MustParsePrefix("198.51.100.0/24")}
	lookup := Rule{Priority: 10, Action: ActionTable, Table: 100}
	with := func(change func(*Rule)) Rule {
		r := lookup
		change(&r)
		return r
	}
	shadow := Route{Type: TypeThrow, Table: 100, Dst: netip.MustParsePrefix("198.51.100.0/25")}
	for _, tc := range []struct {
		name   string
		rule   Rule
		routes []Route
		found  bool
	}{
		{"plain", lookup, []Route{prohibit}, true},
		{"other table", with(func(r *Rule) { r.Table = 101 }), []Route{prohibit}, false},
		{"thrown back", lookup, []Route{prohibit, shadow}, false},
		{"shorter throw", lookup, []Route{prohibit, {Type: TypeThrow, Table: 100, Dst: netip.MustParsePrefix("0.0.0.0/0")}}, true},
		{"mark", with(func(r *Rule) { r.Mark, r.Mask = 0x10, 0xf0 }), []Route{prohibit}, true},
		{"other mark", with(func(r *Rule) { r.Mark, r.Mask = 0x10, 0xff }), []Route{prohibit}, false},
		{"source", with(func(r *Rule) { r.Src = netip.MustParsePrefix("10.0.0.0/8") }), []Route{prohibit}, true},
		{"other source", with(func(r *Rule) { r.Src = netip.MustParsePrefix("11.0.0.0/8") }), []Route{prohibit}, false},
		{"not that source", with(func(r *Rule) { r.Src, r.Invert = netip.MustParsePrefix("11.0.0.0/8"), true }), []Route{prohibit}, true},
		{"incoming", with(func(r *Rule) { r.IIF = "eth1" }), []Route{prohibit}, false},
		{"of this host", with(func(r *Rule) { r.IIF = "lo" }), []Route{prohibit}, true},
		{"interface", with(func(r *Rule) { r.OIF = "eth0" }), []Route{prohibit}, true},
		{"interface that went", with(func(r *Rule) { r.OIF, r.Flags = "eth0", RuleOIFDetached }), []Route{prohibit}, false},
		{"user", with(func(r *Rule) { r.UID = &Range{1000, 1000} }), []Route{prohibit}, true},
		{"other user", with(func(r *Rule) { r.UID = &Range{0, 999} }), []Route{prohibit}, false},
		{"type of service", with(func(r *Rule) { r.TOS = 0x10 }), []Route{prohibit}, true},
		{"DSCP", with(func(r *Rule) { r.DSCP = new(uint8(4)) }), []Route{prohibit}, true},
		{"other DSCP", with(func(r *Rule) { r.DSCP = new(uint8(5)) }), []Route{prohibit}, false},
		{"DSCP under a mask", with(func(r *Rule) { r.DSCP, r.DSCPMask = new(uint8(5)), 0x3e }), []Route{prohibit}, true},
		{"protocol", with(func(r *Rule) { r.Proto = 17 }), []Route{prohibit}, false},
		{"ports", with(func(r *Rule) { r.SPort, r.DPort = &Range{1, 2000}, &Range{443, 443} }), []Route{prohibit}, true},
		{"port under a mask", with(func(r *Rule) { r.DPort, r.DPortMask = &Range{0x1bb, 0x1bb}, 0xff }), []Route{prohibit}, true},
		{"other port under a mask", with(func(r *Rule) { r.DPort, r.DPortMask = &Range{0x1ba, 0x1ba}, 0xff }), []Route{prohibit}, false},
		{"flow label", with(func(r *Rule) { r.FlowLabel, r.FlowLabelMask = 1, 1 }), []Route{prohibit}, false},
		{"tunnel", with(func(r *Rule) { r.TunnelID = 1 }), []Route{prohibit}, false},
		{"VRF", with(func(r *Rule) { r.L3MDev = true }), []Route{prohibit}, false},
		{"route for a service", lookup, []Route{{Type: TypeProhibit, Table: 100, Dst: prohibit.Dst, TOS: 0x10}}, true},
		{"route for another service", lookup, []Route{{Type: TypeProhibit, Table: 100, Dst: prohibit.Dst, TOS: 0x20}}, false},
	} {
		route, rule := explain(p, OutcomeProhibit, []Rule{tc.rule}, tc.routes)
		if rule != nil || (route != nil) != tc.found {
			t.Errorf("%s: route %v, rule %v", tc.name, route, rule)
		}
	}
}

func TestExplainOrder(t *testing.T) {
	p := packet{dst: netip.MustParseAddr("198.51.100.1")}
	rules := []Rule{
		{Priority: 1, Action: ActionNop},
		{Priority: 2, Action: ActionGoto, Goto: 5},
		{Priority: 3, Action: ActionBlackhole},
		{Priority: 5, Action: ActionTable, Table: 100},
		{Priority: 6, Action: ActionGoto, Goto: 4711, Flags: RuleUnresolved},
		{Priority: 7, Action: ActionBlackhole},
		{Priority: 8, Action: ActionBlackhole},
	}
	if route, rule := explain(p, OutcomeBlackhole, rules, nil); route != nil || rule == nil || rule.Priority != 7 {
		t.Errorf("route %v, rule %v; want the rule of priority 7", route, rule)
	}
	// A rule that would have given another outcome shows that the tables have
	// changed since: no reason is better than a wrong one.
	if route, rule := explain(p, OutcomeProhibit, rules, nil); route != nil || rule != nil {
		t.Errorf("route %v, rule %v; want none", route, rule)
	}
}
