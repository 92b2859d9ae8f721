package ping

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/icmpsock"
)

// What is no outcome is told as it comes to a stream that asks for it, and to
// no other; the outcome follows.
func TestNotices(t *testing.T) {
	redirect := icmperr.New(router4, 5, 1)
	redirect.Via = netip.MustParseAddr("192.0.2.253")
	const ms = time.Millisecond
	for _, tc := range []struct {
		name    string
		change  func(m *icmpsock.Message)
		notice  Result // without what all have
		outcome Outcome
	}{
		{"redirect", func(m *icmpsock.Message) {
			*m = icmpsock.Message{Kind: icmpsock.Error, Dst: host4, Seq: m.Seq, ID: m.ID, ICMP: redirect}
		}, Result{From: router4, ICMP: &redirect}, OutcomeReply},
		{"a wrong byte", func(m *icmpsock.Message) { m.Payload[20] ^= 0x40 },
			Result{From: host4, RTT: 2 * ms, Stamp: StampUser, TTL: 64, Size: 64, Damage: &Damage{Offset: 20, Want: 20, Got: 20 ^ 0x40}}, OutcomeReply},
		{"cut off", func(m *icmpsock.Message) { m.Payload = m.Payload[:40] },
			Result{From: host4, RTT: 2 * ms, Stamp: StampUser, TTL: 64, Size: 64, Damage: &Damage{Missing: 16}}, OutcomeReply},
		{"checksum", func(m *icmpsock.Message) { m.Damaged = true },
			Result{From: host4, RTT: 2 * ms, Stamp: StampUser, TTL: 64, Size: 64, Damage: &Damage{Checksum: true}}, OutcomeReply},
	} {
		for _, asked := range []bool{true, false} {
			w := &wireTime{}
			e := w.engine(t, nil)
			w.script = func(p icmpsock.Packet, _ bool) []answer {
				m := reply(e, p)
				tc.change(&m)
				return []answer{{after: 2 * ms, msg: m}, {after: 5 * ms, msg: reply(e, p)}}
			}
			want := []Result{tc.notice}
			want[0].Target, want[0].Seq, want[0].Method, want[0].Outcome, want[0].Why = host4, 1, MethodICMPDatagram, OutcomeNotice, "test"
			if !asked {
				want = nil
			}
			var got []Result
			for r, err := range e.Stream(t.Context(), []netip.Addr{host4}, &StreamOptions{Count: 1, Notices: asked}) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Outcome != OutcomeNotice {
					if r.Outcome != tc.outcome {
						t.Errorf("%s: %v", tc.name, r.Outcome)
					}
					continue
				}
				if r.Damage != nil {
					if len(r.Damage.Payload) == 0 {
						t.Errorf("%s: no payload", tc.name)
					}
					r.Damage.Payload = nil
				}
				got = append(got, r)
			}
			if d := cmp.Diff(want, got, equal); d != "" {
				t.Errorf("%s, asked %t (-want +got):\n%s", tc.name, asked, d)
			}
		}
	}
}

// As many probes as preloaded go out at once, the next ones at the interval.
func TestPreload(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, &Options{Timeout: 10 * time.Second})
	w.script = func(p icmpsock.Packet, _ bool) []answer { return []answer{{after: 5 * time.Second, msg: reply(e, p)}} }
	var sent []time.Duration
	start := w.clock().mono
	for r, err := range e.Stream(t.Context(), []netip.Addr{host4}, &StreamOptions{Count: 5, Preload: 3, Sent: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome == OutcomeSent {
			sent = append(sent, time.Duration(w.clock().mono-start).Round(time.Second))
		}
	}
	if d := cmp.Diff([]time.Duration{0, 0, 0, time.Second, 2 * time.Second}, sent); d != "" {
		t.Errorf("sent at (-want +got):\n%s", d)
	}
}
