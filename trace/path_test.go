package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// addrs reads a sequence such as "abab.c" as addresses, a dot being silence.
func addrs(s string) []netip.Addr {
	var seq []netip.Addr
	for i := range len(s) {
		a := netip.Addr{}
		if s[i] != '.' {
			a = simAddr(int(s[i]))
		}
		seq = append(seq, a)
	}
	return seq
}

func letters(seq []netip.Addr) (s string) {
	for _, a := range seq {
		if !a.IsValid() {
			s += "."
		} else {
			s += string(rune(a.As16()[15]))
		}
	}
	return s
}

func TestLoop(t *testing.T) {
	for seq, want := range map[string]string{
		"":           "",
		"abcdef":     "",
		"ab":         "",
		"abab":       "", // might be chance
		"ababa":      "ab",
		"xyababab":   "ab",
		"xyzabcabc":  "", // one more is wanted
		"xyzabcabca": "abc",
		"abcabca":    "abc",
		"wabcabcabc": "abc",
		"aaaaaaaa":   "",   // address translation
		"a.a.a":      "",   // might be rate limits
		"a.a.a.a":    "a.", // the other router of the loop is silent
		"a.a.a.a.a":  "a.",
		"xab.bab.b":  "ba",
		".babab":     "ab",
		"abababc":    "", // it went on
		"abacabac":   "", // one more is wanted
		"abacabaca":  "abac",
		"ababab....": "ab", // the end is silent
		"......":     "",
	} {
		got := letters(loop(addrs(seq)))
		if len(got) == len(want) && strings.Contains(want+want, got) {
			continue // where it begins does not matter
		}
		t.Errorf("%q: %q, want %q", seq, got, want)
	}
}

func FuzzLoop(f *testing.F) {
	for _, s := range []string{"", "ababab", "a.a.a", "abcabcabcx", "....", "aabbaabbaabb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 255 {
			return
		}
		seq := addrs(s)
		got := loop(seq)
		if got == nil {
			return
		}
		if len(got) < 2 || !differ(got) && !silent(got) {
			t.Errorf("%q: %q is no loop", s, letters(got))
		}
		// What a loop claims to be must be what the sequence ends with.
		for len(seq) > 0 && !seq[len(seq)-1].IsValid() {
			seq = seq[:len(seq)-1]
		}
		for i := range got {
			j := len(seq) - 1 - i
			if j-len(got) < 0 {
				t.Fatalf("%q: %q is too long", s, letters(got))
			}
			a, b := seq[j], seq[j-len(got)]
			if a.IsValid() && b.IsValid() && a != b {
				t.Errorf("%q does not end with %q", s, letters(got))
			}
		}
	})
}

// path makes a path from outcomes by TTL: t time exceeded, . silent, : silent
// twice, r refused, o open, p port unreachable, u unreachable by the hop.
func path(outcomes string) Path {
	p := Path{Target: simTarget}
	for i, c := range outcomes {
		r := Reply{From: simAddr(i + 1)}
		h := Hop{TTL: i + 1}
		switch c {
		case 't':
			r.Outcome = OutcomeTimeExceeded
		case 'r':
			r.Outcome, r.From = OutcomeRefused, simTarget
		case 'o':
			r.Outcome, r.From = OutcomeOpen, simTarget
		case 'p':
			r.Outcome, r.From = OutcomePortUnreachable, simTarget
		case 'u':
			e := icmperr.New(r.From, 1, 1)
			r.Outcome, r.ICMP = OutcomeUnreachable, &e
		case ':':
			r = Reply{}
			h.Replies = append(h.Replies, r)
		default:
			r = Reply{}
		}
		h.Replies = append(h.Replies, r)
		p.Hops = append(p.Hops, h)
	}
	return p
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, refused string
		others        []string
		want          Reset
	}{
		{"alone", "tr", nil, Reset{2, ResetUnknown, 2, simTarget}},
		{"the target is farther", "tr", []string{"tttp"}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"a router answers there", "tr", []string{"tt.."}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"a router answers beyond", "tr", []string{"t.t."}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"silent there, target farther", "tr", []string{"t.p"}, Reset{2, ResetUnknown, 2, simTarget}},
		{"silent twice, target farther", "tr", []string{"t:p"}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"the sender is silent", ".r", []string{".tp"}, Reset{2, ResetHop, 1, netip.Addr{}}},
		{"the sender is known elsewhere", ".r", []string{"ttp"}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"this host", "r", []string{"tp"}, Reset{1, ResetHop, 0, netip.Addr{}}},
		{"at the target's distance", "ttr", []string{"tto"}, Reset{3, ResetTarget, 3, simTarget}},
		{"behind the target's distance", "t..r", []string{"tto"}, Reset{4, ResetTarget, 4, simTarget}},
		{"the other port is reset too", "ttr", []string{"ttr"}, Reset{3, ResetUnknown, 3, simTarget}},
		{"the other port is reset farther off", "tr", []string{"tttr"}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"the other is dead", "ttr", []string{"tt..."}, Reset{3, ResetUnknown, 3, simTarget}},
		{"two others", "tr", []string{"t..", "tto"}, Reset{2, ResetHop, 1, simAddr(1)}},
		{"time exceeded on the path itself", "trt", nil, Reset{2, ResetHop, 1, simAddr(1)}},
	} {
		var others []Path
		for _, o := range tt.others {
			others = append(others, path(o))
		}
		got, ok := path(tt.refused).Refused(others...)
		if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" || !ok {
			t.Errorf("%s: %v (-want +got)\n%s", tt.name, ok, d)
		}
	}
	if got, ok := path("tto").Refused(path("tr")); ok {
		t.Errorf("no reset: %+v", got)
	}
	elsewhere := path("ttto")
	elsewhere.Target = simAddr(99)
	if got, _ := path("tr").Refused(elsewhere); got.Origin != ResetUnknown {
		t.Errorf("against another target: %+v", got)
	}
}

func TestPathQuestions(t *testing.T) {
	for outcomes, want := range map[string]struct{ distance, last, unreachable int }{
		"ttp": {3, 3, 0}, "t.t..": {0, 3, 0}, "": {}, "...": {}, "ttu": {0, 3, 3}, "to": {2, 2, 0}, "..r": {3, 3, 0},
	} {
		p := path(outcomes)
		h, ok := p.LastAnswering()
		ttl, e := p.Unreachable()
		if p.Distance() != want.distance || h.TTL != want.last || ok != (want.last > 0) ||
			ttl != want.unreachable || (e != nil) != (ttl > 0) {
			t.Errorf("%q: distance %d, last %d, unreachable at %d", outcomes, p.Distance(), h.TTL, ttl)
		}
	}
	h := Hop{Replies: []Reply{{}, {Outcome: OutcomeNotSent}, {Outcome: OutcomeOpen, From: simTarget},
		{Outcome: OutcomeTimeExceeded, From: simAddr(1)}, {Outcome: OutcomeOpen, From: simTarget}}}
	if d := cmp.Diff("\xff\x01", string([]byte{h.Addrs()[0].As16()[15], h.Addrs()[1].As16()[15]})); d != "" || len(h.Addrs()) != 2 {
		t.Errorf("%v", h.Addrs())
	}
}

// TestJSON holds the field names and words, which others read.
func TestJSON(t *testing.T) {
	e := icmperr.New(netip.MustParseAddr("192.0.2.2"), 3, 13)
	p := Path{
		Target: netip.MustParseAddr("192.0.2.9"), Method: MethodTCP, Port: 80, Source: netip.MustParseAddr("192.0.2.1"),
		End: EndUnreachable, Flow: FlowPerProbe, Packets: 2, Started: time.Unix(0, 0).UTC(), Elapsed: time.Millisecond,
		Hops: []Hop{
			{TTL: 1, Replies: []Reply{{Outcome: OutcomeUnreachable, From: e.From, ICMP: &e, RTT: 1500, Stamp: StampKernel, ReplyTTL: 64}}},
			{TTL: 2, Replies: []Reply{{Outcome: OutcomeNotSent, Errno: syscall.EPERM, Err: "no"}, {}}},
		},
	}
	got, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"target":"192.0.2.9","method":"tcp","port":80,"source":"192.0.2.1","hops":[` +
		`{"ttl":1,"replies":[{"outcome":"unreachable","from":"192.0.2.2","rtt_ns":1500,"stamp":"kernel",` +
		`"icmp":{"from":"192.0.2.2","kind":"admin_prohibited","type":3,"code":13},"reply_ttl":64}]},` +
		`{"ttl":2,"replies":[{"outcome":"not_sent","errno":1,"err":"no"},{"outcome":"silent"}]}],` +
		`"reached":false,"end":"unreachable","flow":"per_probe","packets":2,"started":"1970-01-01T00:00:00Z","elapsed_ns":1000000}`
	if syscall.EPERM != 1 {
		got = bytes.Replace(got, []byte(`"errno":`+string(mustJSON(syscall.EPERM))), []byte(`"errno":1`), 1)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	var back Path
	if err := json.Unmarshal(mustJSON(p), &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, back, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("there and back (-want +got)\n%s", d)
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// TestWords reads every word back.
func TestWords(t *testing.T) {
	type word interface {
		MarshalText() ([]byte, error)
	}
	for i := range uint8(9) {
		o, e, m, f, s, r := Outcome(i), End(i), Method(i), Flow(i), StampSource(i), ResetOrigin(i)
		for _, w := range []struct {
			word
			back interface{ UnmarshalText([]byte) error }
		}{
			{o, new(Outcome)}, {e, new(End)}, {m, new(Method)}, {f, new(Flow)}, {s, new(StampSource)}, {r, new(ResetOrigin)},
		} {
			text, _ := w.MarshalText()
			if err := w.back.UnmarshalText(text); err != nil {
				t.Error(err)
			}
			if again, _ := w.back.(word).MarshalText(); string(again) != string(text) {
				t.Errorf("%s reads back as %s", text, again)
			}
		}
	}
	if new(Outcome).UnmarshalText([]byte("perhaps")) == nil {
		t.Error("an outcome that there is not")
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{
		{FirstTTL: -1}, {FirstTTL: 256}, {MaxTTL: 256}, {FirstTTL: 5, MaxTTL: 4}, {Queries: 11}, {Queries: -1}, {Timeout: -1},
	} {
		if _, err := (UDP{o}).Trace(t.Context(), netip.IPv6Loopback()); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	for _, tr := range []Tracer{UDP{}, TCP{}} {
		_, err := tr.Trace(t.Context(), netip.Addr{})
		if oe, ok := errors.AsType[*OpError](err); !ok || !strings.HasPrefix(oe.Op, "trace: ") {
			t.Errorf("no target: %v", err)
		}
	}
}
