package resolve

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzExchange gives the same reply, with the right ID where there is room for
// it, to every query of an exchange. Whatever it is, the exchange comes to an end
// and its answer survives JSON.
func FuzzExchange(f *testing.F) {
	f.Add(rawMessage(rawRecord{typ: TypeA, data: "\xc0\x00\x02\x01"}), true, false)
	f.Add([]byte("\x00\x01\x82\x80\x00\x01\x00\x00\x00\x00\x00\x00\x01q\x00\x00\x01\x00\x01"), true, false)
	f.Add([]byte("\x00\x01\x80\x81\x00\x00\x00\x00\x00\x00\x00\x00"), true, true)
	f.Add([]byte{1}, false, false)
	server := netip.MustParseAddrPort("192.0.2.53:53")
	f.Fuzz(func(t *testing.T, msg []byte, fixID, tcp bool) {
		x, err := newExchange(server, Question{Name: "q"}, settings{timeout: time.Second, attempts: 3, edns: true, fallback: true, tcp: tcp, recurse: true})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1, 0)
		for n := 0; x.more; n++ {
			if n > 6 {
				t.Fatalf("no end: %+v", x.ans.Attempts)
			}
			x.begin(now)
			reply := append([]byte(nil), msg...)
			if fixID && len(reply) >= 2 {
				reply[0], reply[1] = byte(x.id>>8), byte(x.id)
			}
			now = now.Add(time.Millisecond)
			if !x.receive(reply, server, now) {
				x.expire(now.Add(time.Second))
			}
		}
		a := x.ans
		if a.Outcome == OutcomeUnknown || a.Outcome.Replied() != (a.Raw != nil && a.Outcome != OutcomeMalformed) {
			t.Errorf("%s with %d bytes", a.Outcome, len(a.Raw))
		}
		if a.Outcome == OutcomeAnswer && len(a.Records) == 0 || a.Outcome == OutcomeMalformed && a.Defect == nil {
			t.Errorf("%+v", a)
		}
		roundTrip(t, a)
	})
}
