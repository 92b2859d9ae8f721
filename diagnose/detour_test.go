package diagnose

import (
	"net/netip"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// TestDetourPacket reads the packets back with another codec, and takes the
// answer and nothing else for the answer.
func TestDetourPacket(t *testing.T) {
	for _, c := range []struct{ src, dst string }{{"10.1.0.2", "10.3.0.9"}, {"2001:db8::2", "2001:db8:3::9"}} {
		d := &detour{src: netip.MustParseAddr(c.src), dst: netip.MustParseAddr(c.dst), id: 0xabcd, nonce: [16]byte{1, 2, 3}}
		b := d.packet()
		var msg []byte
		proto, echo, reply := 1, icmp.Type(ipv4.ICMPTypeEcho), icmp.Type(ipv4.ICMPTypeEchoReply)
		if d.dst.Is4() {
			h, err := ipv4.ParseHeader(b)
			if err != nil || h.TotalLen != len(b) || h.Dst.String() != c.dst || h.Src.String() != c.src || h.Protocol != 1 {
				t.Fatalf("%s: %v, %v", c.dst, h, err)
			}
			msg = b[h.Len:]
		} else {
			h, err := ipv6.ParseHeader(b)
			if err != nil || h.PayloadLen != len(b)-ipv6.HeaderLen || h.Dst.String() != c.dst || h.Src.String() != c.src || h.NextHeader != 58 {
				t.Fatalf("%s: %v, %v", c.dst, h, err)
			}
			msg, proto, echo, reply = b[ipv6.HeaderLen:], 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
		}
		m, err := icmp.ParseMessage(proto, msg)
		if err != nil || m.Type != echo {
			t.Fatalf("%s: %+v, %v", c.dst, m, err)
		}
		want := *m
		var pseudo []byte
		if d.dst.Is6() {
			pseudo = icmp.IPv6PseudoHeader(d.src.AsSlice(), d.dst.AsSlice())
		}
		if same, _ := want.Marshal(pseudo); d.dst.Is4() && string(same) != string(msg) {
			t.Errorf("%s: % x, another codec writes % x", c.dst, msg, same)
		} else if d.dst.Is6() && string(same[2:4]) != string(msg[2:4]) {
			t.Errorf("%s: checksum % x, another codec's % x", c.dst, msg[2:4], same[2:4])
		}
		m.Type = reply
		answer, _ := m.Marshal(pseudo)
		head := b[:len(b)-len(msg)]
		if d.dst.Is6() {
			head = nil
		}
		answer = append(append([]byte{}, head...), answer...)
		if !d.answeredBy(answer, d.dst) {
			t.Errorf("%s: the answer is not taken", c.dst)
		}
		changed := append([]byte{}, answer...)
		changed[len(changed)-1] ^= 1
		for name, ok := range map[string]bool{
			"another host": d.answeredBy(answer, d.src), "another nonce": d.answeredBy(changed, d.dst),
			"the request": d.answeredBy(append(append([]byte{}, head...), msg...), d.dst), "nothing": d.answeredBy(nil, d.dst),
			"a piece": d.answeredBy(answer[:len(answer)-1], d.dst),
		} {
			if ok {
				t.Errorf("%s: %s is taken for the answer", c.dst, name)
			}
		}
	}
}

func FuzzDetourAnswer(f *testing.F) {
	d := &detour{src: netip.MustParseAddr("10.1.0.2"), dst: netip.MustParseAddr("10.3.0.9"), id: 7, nonce: [16]byte{9, 8, 7}}
	f.Add(d.packet(), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		x := *d
		if six {
			x.dst = netip.MustParseAddr("2001:db8::9")
		}
		if x.answeredBy(b, x.src) {
			t.Error("an answer from somebody else was taken")
		}
		x.answeredBy(b, x.dst)
	})
}
