package trace

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// pathOf makes a path out of words, one a hop: a number is the router that
// answers, "*" silence, "T" the target, "R" its reset, "T!" its time exceeded,
// "3!H" a refusal.
func pathOf(m Method, port uint16, end End, words string) Path {
	p := Path{Target: simTarget, Method: m, Port: port, End: end, Reached: end == EndReached}
	for i, w := range strings.Fields(words) {
		r := Reply{Outcome: OutcomeTimeExceeded}
		var n int
		switch {
		case w == "*":
			r.Outcome = OutcomeSilent
		case w == "T":
			r.Outcome, r.From = OutcomePortUnreachable, simTarget
			if m == MethodTCP {
				r.Outcome = OutcomeOpen
			}
		case w == "R":
			r.Outcome, r.From = OutcomeRefused, simTarget
		case w == "T!":
			r.From = simTarget
		case strings.HasSuffix(w, "!H"):
			fmt.Sscan(strings.TrimSuffix(w, "!H"), &n)
			e := icmperr.New(simAddr(n), 1, 3)
			r.Outcome, r.From, r.ICMP = OutcomeUnreachable, simAddr(n), &e
		default:
			var ttl int
			fmt.Sscanf(strings.ReplaceAll(w, "/", " "), "%d %d", &n, &ttl)
			e := icmperr.New(simAddr(n), 3, 0)
			r.From, r.ReplyTTL, r.ICMP = simAddr(n), ttl, &e
		}
		p.Hops = append(p.Hops, Hop{TTL: i + 1, Replies: []Reply{r}})
	}
	return p
}

func TestFindings(t *testing.T) {
	udp := func(end End, words string) Path { return pathOf(MethodUDP, 33434, end, words) }
	tcp := func(end End, words string) Path { return pathOf(MethodTCP, 80, end, words) }
	labelled := udp(EndReached, "1 2 T")
	labelled.Hops[1].Replies[0].ICMP.Labels = []Label{{Label: 77}}
	for _, tt := range []struct {
		name   string
		p      Path
		others []Path
		want   string // what was seen, and what was not tested
	}{
		{"well", udp(EndReached, "1/64 2/63 T"), nil, "; nat reset"},
		{"loop", udp(EndLoop, "1 2 3 2 3 2 3"), nil, "loop 2 2001:db8::2; nat asymmetric reset"},
		{"bad hop", udp(EndSilent, "1 2 * * * *"), nil, "bad_hop 2 2001:db8::2 next 3; filter nat asymmetric reset"},
		{"nothing answers", udp(EndSilent, "* * *"), nil, "bad_hop 0 invalid IP next 1; filter nat asymmetric reset mpls"},
		{"broken off", udp(EndUnknown, "1 *"), nil, "; loop bad_hop refusal filter nat asymmetric reset"},
		{"not let out", Path{Target: simTarget, Method: MethodTCP, End: EndNotSent}, nil, "; loop bad_hop refusal filter nat asymmetric reset mpls"},
		{"refusal", udp(EndUnreachable, "1 2 2!H"), nil, "refusal 2 2001:db8::2 !H; filter nat asymmetric reset"},
		{"refusal, other port too", udp(EndUnreachable, "1 2 2!H"), []Path{tcp(EndUnreachable, "1 2 2!H")},
			"refusal 2 2001:db8::2 !H; nat asymmetric reset"},
		{"port filter", tcp(EndSilent, "1 2 * *"), []Path{pathOf(MethodTCP, 81, EndReached, "1 2 3 R")},
			"filter 2 2001:db8::2 next 3 2001:db8::3; nat asymmetric"},
		{"port filter at the target", tcp(EndSilent, "1 2 * *"), []Path{udp(EndReached, "1 2 T")},
			"filter 2 2001:db8::2 next 3 2001:db8::ffff; nat asymmetric"},
		{"refused port", tcp(EndUnreachable, "1 2 2!H"), []Path{udp(EndReached, "1 2 3 T")},
			"refusal 2 2001:db8::2 !H, filter 2 2001:db8::2 next 3 2001:db8::3; nat asymmetric"},
		{"another target's path", tcp(EndSilent, "1 2 * *"), []Path{{Target: simAddr(1), Reached: true, End: EndReached}},
			"bad_hop 2 2001:db8::2 next 3; filter nat asymmetric"},
		{"translated", tcp(EndReached, "1 T! T"), nil, "nat 2 2001:db8::ffff; asymmetric"},
		{"hidden", udp(EndReached, "1/64 2/63 2/62 T"), nil, "nat 2 2001:db8::2; reset"},
		{"one router twice", udp(EndReached, "1/64 2/63 2/63 T"), nil, "asymmetric 3 2001:db8::2; nat reset"},
		{"forwarded port", tcp(EndReached, "1 2 T"), []Path{udp(EndReached, "1 T")}, "nat 2 2001:db8::ffff; asymmetric"},
		{"other way back", udp(EndReached, "1/64 2/251 T"), nil, "asymmetric 2 2001:db8::2; nat reset"},
		{"reset", tcp(EndReached, "1 R"), []Path{udp(EndReached, "1 2 T")}, "reset 1 2001:db8::1; nat asymmetric"},
		{"reset, unknown", tcp(EndReached, "1 R"), nil, "reset 2 2001:db8::ffff; nat asymmetric"},
		{"labels", labelled, nil, "mpls 2 2001:db8::2; nat asymmetric reset"},
	} {
		var seen, not []string
		for _, f := range tt.p.Checks(tt.others...) {
			if f.Why == "" || strings.Contains(f.Why, "%!") {
				t.Errorf("%s: %v has the reason %q", tt.name, f.Kind, f.Why)
			}
			switch f.Seen {
			case Yes:
				w := fmt.Sprintf("%v %d %v", f.Kind, f.TTL, f.From)
				if f.Next != 0 {
					w += fmt.Sprintf(" next %d", f.Next)
				}
				if f.NextFrom.IsValid() {
					w += " " + f.NextFrom.String()
				}
				if f.Symbol != "" && f.Kind == FindingRefusal {
					w += " " + f.Symbol
				}
				seen = append(seen, w)
			case NotTested:
				not = append(not, f.Kind.String())
			}
		}
		if got := strings.Join(seen, ", ") + "; " + strings.Join(not, " "); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if n := len(tt.p.Findings(tt.others...)); n != len(seen) {
			t.Errorf("%s: %d findings, %d seen", tt.name, n, len(seen))
		}
	}
	b, err := json.Marshal(Finding{Kind: FindingBadHop, Seen: Yes, Why: "w", TTL: 2, From: netip.MustParseAddr("192.0.2.1")})
	if want := `{"kind":"bad_hop","seen":"yes","why":"w","ttl":2,"from":"192.0.2.1"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
