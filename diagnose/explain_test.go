package diagnose

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	gw  = netip.MustParseAddr("10.1.0.1")
	r2  = netip.MustParseAddr("10.2.0.2")
	web = netip.MustParseAddr("10.3.0.9")
	ns  = netip.MustParseAddr("10.1.0.53")
)

// world is a healthy set of facts for web:80 by gw on eth0; tests break it.
func world() []Fact {
	local, far := Scope{Iface: "eth0"}, Scope{Iface: "eth0", Family: 4, Gateway: gw, Peer: web, Port: 80, Role: RoleTarget}
	return []Fact{
		{Name: FactAdminUp, Subject: "eth0", State: Yes, Scope: local},
		{Name: FactCarrier, Subject: "eth0", State: Yes, Scope: local},
		{Name: FactAddress, Subject: "eth0", State: Yes, Scope: Scope{Iface: "eth0", Family: 4}},
		{Name: FactDefault, Subject: "IPv4", State: Yes, Scope: Scope{Family: 4}},
		{Name: FactRoute, Subject: web.String(), State: Yes, Scope: far},
		{Name: FactNeighbor, Subject: gw.String(), State: Yes, Value: "gateway", Scope: Scope{Iface: "eth0", Family: 4, Gateway: gw}},
		{Name: FactForwards, Subject: gw.String(), State: Yes, Scope: far},
		{Name: FactPath, Subject: web.String(), State: Yes, Scope: far},
		{Name: FactAnswers, Subject: web.String() + ":80", State: Yes, Scope: far},
		{Name: FactReset, Subject: web.String() + ":80", State: NotChecked, Scope: far},
		{Name: FactOpen, Subject: web.String() + ":80", State: Yes, Scope: far},
	}
}

// broken changes facts of the healthy world; a fact that is not there is added.
func broken(changes ...Fact) []Fact {
	facts := world()
	for _, c := range changes {
		i := slices.IndexFunc(facts, func(f Fact) bool { return f.Name == c.Name && (c.Subject == "" || f.Subject == c.Subject) })
		if i < 0 {
			facts = append(facts, c)
			continue
		}
		f := &facts[i]
		f.State, f.Value, f.At = c.State, c.Value, c.At
	}
	return facts
}

func codes(findings []Finding) (out []Code) {
	for _, f := range findings {
		out = append(out, f.Code)
	}
	return out
}

func TestExplain(t *testing.T) {
	far := Scope{Iface: "eth0", Family: 4, Gateway: gw, Peer: web, Port: 80, Role: RoleTarget}
	resolver := Scope{Iface: "eth0", Family: 4, Peer: ns, Port: 53, Role: RoleResolver}
	silence := []Fact{
		{Name: FactAnswers, State: No, Value: "silent", At: r2}, {Name: FactOpen, State: No, Value: "no_answer"},
	}
	lost := append(slices.Clone(silence), Fact{Name: FactPath, State: No, Value: "silent", At: r2})
	for name, c := range map[string]struct {
		facts     []Fact
		want      []Code
		where     netip.Addr
		ambiguous []Code
	}{
		"healthy":                  {facts: world()},
		"a neutral no is no fault": {facts: broken(Fact{Name: FactEcho, Subject: web.String(), State: No, Neutral: true, Scope: far})},
		"a dead link explains everything beyond it": {
			facts: broken(append(slices.Clone(lost),
				Fact{Name: FactCarrier, State: No}, Fact{Name: FactNeighbor, State: No, Value: "gateway"},
				Fact{Name: FactForwards, State: No, Value: "silent"})...),
			want: []Code{LinkNoCarrier},
		},
		"a dead link explains nothing that goes elsewhere": {
			facts: append(broken(silence...),
				Fact{Name: FactAdminUp, Subject: "eth1", State: Yes, Scope: Scope{Iface: "eth1"}},
				Fact{Name: FactCarrier, Subject: "eth1", State: No, Scope: Scope{Iface: "eth1"}}),
			want: []Code{LinkNoCarrier, FWPathDrop},
		},
		"no address, no route": {
			facts: broken(Fact{Name: FactAddress, State: No, Value: "none"}, Fact{Name: FactDefault, State: No},
				Fact{Name: FactRoute, State: No, Value: "no_route"}, Fact{Name: FactOpen}, Fact{Name: FactAnswers},
				Fact{Name: FactPath}, Fact{Name: FactNeighbor}, Fact{Name: FactForwards}),
			want: []Code{AddrNone},
		},
		"no default route": {
			facts: broken(Fact{Name: FactDefault, State: No}, Fact{Name: FactRoute, State: No, Value: "no_route"},
				Fact{Name: FactOpen}, Fact{Name: FactAnswers}, Fact{Name: FactPath}, Fact{Name: FactNeighbor}, Fact{Name: FactForwards}),
			want: []Code{RouteNoDefault},
		},
		"nobody is the gateway": {
			facts: broken(append(slices.Clone(lost), Fact{Name: FactNeighbor, State: No, Value: "gateway"}, Fact{Name: FactForwards})...),
			want:  []Code{GWUnresolved}, where: gw,
		},
		"a refusal by a router": {
			facts: broken(append(slices.Clone(silence), Fact{Name: FactPath, State: No, Value: "refused"},
				Fact{Name: FactAccepted, Subject: web.String(), State: No, Value: "net_unreachable", At: r2, Scope: far})...),
			want: []Code{PathNetUnreachable}, where: r2,
		},
		"packets vanish": {
			facts: broken(lost...), want: []Code{PathBlackhole}, where: r2,
			ambiguous: []Code{PathNoReturnRoute, ServerNoReturnRoute, FWServerPolicyDrop, FWLocalIngress},
		},
		"nothing listens": {
			facts: broken(Fact{Name: FactOpen, State: No, Value: "reset"}, Fact{Name: FactReset, State: Yes}),
			want:  []Code{SvcNotListening}, where: web, ambiguous: []Code{FWServerReject},
		},
		"a reset from the way": {
			facts: broken(Fact{Name: FactOpen, State: No, Value: "reset"}, Fact{Name: FactReset, State: No, At: gw}),
			want:  []Code{FWRejectRST}, where: gw,
		},
		"two faults at once": {
			facts: append(broken(Fact{Name: FactOpen, State: No, Value: "reset"}, Fact{Name: FactReset, State: Yes}),
				Fact{Name: FactServer, Subject: ns.String(), State: No, Value: "timeout", Scope: resolver},
				Fact{Name: FactPath, Subject: ns.String(), State: Yes, Scope: resolver},
				Fact{Name: FactSomeServer, Subject: "any", State: Yes, Neutral: true}),
			want: []Code{SvcNotListening, DNSFirstServerDead}, where: web, ambiguous: []Code{FWServerReject},
		},
		"an anomaly that no cause predicts": {facts: broken(Fact{Name: FactPath, State: No, Value: "strange"})},
	} {
		t.Run(name, func(t *testing.T) {
			got := Explain(c.facts)
			if diff := cmp.Diff(c.want, codes(got.Causes), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("causes (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(c.ambiguous, codes(got.Ambiguous), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("ambiguous (-want +got)\n%s", diff)
			}
			if c.where.IsValid() && len(got.Causes) > 0 && got.Causes[0].Where.Addr != c.where {
				t.Errorf("where = %v, want %v", got.Causes[0].Where, c.where)
			}
			if name == "an anomaly that no cause predicts" && len(got.Unexplained) != 1 {
				t.Errorf("unexplained = %v, want the strange path", got.Unexplained)
			}
			for _, f := range got.Causes {
				if len(f.Evidence) == 0 || f.Summary == "" {
					t.Errorf("%s cites no fact or says nothing: %+v", f.Code, f)
				}
			}
		})
	}
}

// TestExplainReplays holds Explain to being a function of the facts alone: saved
// and read back, and in any order, they give the same causes.
func TestExplainReplays(t *testing.T) {
	facts := broken(Fact{Name: FactOpen, State: No, Value: "reset"}, Fact{Name: FactReset, State: No, At: gw})
	want := Explain(facts)
	b, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	var again []Fact
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(facts, again, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Fatalf("facts do not survive JSON (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, Explain(again), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("replayed (-want +got)\n%s", diff)
	}
	for range 50 {
		rand.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if diff := cmp.Diff(codes(want.Causes), codes(Explain(again).Causes)); diff != "" {
			t.Fatalf("in another order (-want +got)\n%s", diff)
		}
	}
}

// TestCausesAreSound checks the table itself: every cause can be found, has
// something to say and to do, and speaks only of facts that exist.
func TestCausesAreSound(t *testing.T) {
	known := []string{
		FactInterface, FactAdminUp, FactCarrier, FactAddress, FactDefault, FactRoute, FactSend, FactNeighbor,
		FactForwards, FactGatewayRTT, FactEcho, FactPath, FactAccepted, FactLoopFree, FactAnswers, FactOpen,
		FactBefore, FactReset, FactListening, FactConfigured, FactServer, FactRecursion, FactName, FactQualified,
		FactReceive, FactSomeServer, FactExists, FactLower, FactPrefix, FactReverse, FactSound, FactRoom, FactMemory,
		FactMTU, FactSeveral, FactHosts, FactDetour,
	}
	for _, c := range DefaultCauses() {
		if len(c.When) == 0 || c.When[0].Absent || c.When[0].State != No {
			t.Errorf("%s: its first pattern must be an anomaly, or it is never needed", c.Code)
		}
		if c.Summary == "" || c.Kind == NoLocation || c.Confidence == Unsure {
			t.Errorf("%s: no summary, place or confidence", c.Code)
		}
		if len(remedies[c.Code]) == 0 && c.Decide == "" {
			t.Errorf("%s: nothing to do about it", c.Code)
		}
		names := slices.Concat(c.Predicts, c.Allows)
		for _, p := range c.When {
			names = append(names, p.Fact)
		}
		for _, n := range names {
			if !slices.Contains(known, n) {
				t.Errorf("%s: speaks of %q, which is no fact", c.Code, n)
			}
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	facts := broken(
		Fact{Name: FactAnswers, State: No, Value: "silent"}, Fact{Name: FactOpen, State: No, Value: "no_answer"},
		Fact{Name: FactPath, State: No, Value: "silent", At: r2})
	b.ReportAllocs()
	for b.Loop() {
		Explain(facts)
	}
}
