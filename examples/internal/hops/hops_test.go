package hops

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/leak"
	"github.com/netsonde/netsonde/trace"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

func TestLine(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	reply := func(from netip.Addr, typ, code uint8, labels ...trace.Label) trace.Reply {
		e := icmperr.New(from, typ, code)
		e.Labels, e.MTU = labels, 1400
		return trace.Reply{Outcome: trace.OutcomeTimeExceeded, From: from, RTT: 1234567 * time.Nanosecond, ICMP: &e}
	}
	silent, open := trace.Reply{}, trace.Reply{Outcome: trace.OutcomeOpen, From: a, RTT: time.Second}
	label := trace.Label{Label: 16001, TC: 1, TTL: 2}
	last := trace.Label{Label: 3, Bottom: true, TTL: 255}
	p := &Printer{MPLS: true}
	for _, tt := range []struct {
		ttl     int
		replies []trace.Reply
		want    string
	}{
		{1, []trace.Reply{silent, silent, silent}, " 1  * * *"},
		{10, []trace.Reply{open, open}, "10  192.0.2.1  1000.000 ms  1000.000 ms"},
		{2, []trace.Reply{reply(a, 11, 0), silent, reply(a, 11, 0)}, " 2  192.0.2.1  1.235 ms *  1.235 ms"},
		{2, []trace.Reply{reply(a, 11, 0), reply(b, 11, 0), reply(a, 11, 0)}, " 2  192.0.2.1  1.235 ms 192.0.2.2  1.235 ms 192.0.2.1  1.235 ms"},
		{3, []trace.Reply{silent, reply(a, 3, 1)}, " 3  * 192.0.2.1  1.235 ms !H"},
		{3, []trace.Reply{reply(a, 3, 0), reply(a, 3, 2), reply(a, 3, 13), reply(a, 3, 5), reply(a, 3, 4)},
			" 3  192.0.2.1  1.235 ms !N  1.235 ms !P  1.235 ms !X  1.235 ms !S  1.235 ms !F-1400"},
		{4, []trace.Reply{reply(a, 11, 0, label, last), reply(a, 11, 0, label, last), reply(a, 11, 0)},
			" 4  192.0.2.1 <MPLS:L=16001,E=1,S=0,T=2/L=3,E=0,S=1,T=255>  1.235 ms  1.235 ms 192.0.2.1  1.235 ms"},
	} {
		if got := p.Line(trace.Hop{TTL: tt.ttl, Replies: tt.replies}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// In tcptraceroute's layout an address in the middle stands closer, and the
// target has a mark.
func TestPlain(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	open := trace.Reply{Outcome: trace.OutcomeOpen, From: a, RTT: time.Millisecond}
	p := &Printer{Plain: true, Mark: func(r trace.Reply) string { return "[" + r.Outcome.String() + "]" }}
	got := p.Line(trace.Hop{TTL: 7, Replies: []trace.Reply{{}, open, open}})
	if want := " 7  * 192.0.2.1 [open] 1.000 ms  1.000 ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A probe that did not get out ends the trace, and what was known is printed.
func TestPrintNotSent(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	gone := trace.Reply{Outcome: trace.OutcomeNotSent, Err: "send: no such thing"}
	got := trace.Reply{Outcome: trace.OutcomeTimeExceeded, From: a, RTT: time.Millisecond}
	for _, tt := range []struct {
		hops []trace.Hop
		want string
	}{
		{[]trace.Hop{{TTL: 1, Replies: []trace.Reply{gone}}}, ""},
		{[]trace.Hop{{TTL: 1, Replies: []trace.Reply{got}}, {TTL: 2, Replies: []trace.Reply{got, gone}}},
			" 1  192.0.2.1  1.000 ms\n 2  192.0.2.1  1.000 ms *\n"},
	} {
		var out strings.Builder
		err := (&Printer{Out: &out}).Print(func(yield func(trace.Hop, error) bool) {
			for _, h := range tt.hops {
				if !yield(h, nil) {
					return
				}
			}
		})
		if d := cmp.Diff(tt.want, out.String()); d != "" || err == nil || err.Error() != gone.Err {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		host   string
		family int
		want   string
	}{
		{"127.0.0.1", 0, "127.0.0.1"}, {"::1", 0, "::1"}, {"127.0.0.1", 4, "127.0.0.1"}, {"::1", 6, "::1"},
		{"127.0.0.1", 6, ""}, {"::1", 4, ""},
	} {
		a, err := Lookup(context.Background(), tt.host, tt.family)
		if (err == nil) != (tt.want != "") || err == nil && a.String() != tt.want {
			t.Errorf("%s, IPv%d: %v, %v", tt.host, tt.family, a, err)
		}
	}
}
