package ping

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The bytes are those that ping(8) of iputils sends.
func TestNodeQueryMessage(t *testing.T) {
	nonce := [nonceLen]byte{1, 2, 3, 4, 5, 6, 7, 8}
	dst := netip.MustParseAddr("::1")
	const self = "00000000000000000000000000000001"
	for _, tc := range []struct {
		q    NodeQuery
		want string // type, code, question and flags; subject
	}{
		{NodeQuery{}, "8b00 0000 0000 " + self},
		{NodeQuery{Question: NodeName}, "8b00 0002 0000 " + self},
		{NodeQuery{Question: NodeIPv6}, "8b00 0003 0000 " + self},
		{NodeQuery{Question: NodeIPv6, Scope: NodeAll}, "8b00 0003 0002 " + self},
		{NodeQuery{Question: NodeIPv6, Scope: NodeCompatible}, "8b00 0003 0004 " + self},
		{NodeQuery{Question: NodeIPv6, Scope: NodeLinkLocal | NodeGlobal}, "8b00 0003 0028 " + self},
		{NodeQuery{Question: NodeIPv6, Scope: NodeSiteLocal}, "8b00 0003 0010 " + self},
		{NodeQuery{Question: NodeIPv4, Scope: NodeAll, Name: "foo.bar"}, "8b01 0004 0002 03666f6f0362617200"},
		{NodeQuery{Question: NodeName, Name: "Foo"}, "8b01 0002 0000 03666f6f0000"},
		{NodeQuery{Question: NodeName, Name: "foo."}, "8b01 0002 0000 03666f6f00"},
		{NodeQuery{Question: NodeName, Subject: netip.MustParseAddr("1.2.3.4")}, "8b02 0002 0000 01020304"},
		{NodeQuery{Question: NodeName, Subject: netip.MustParseAddr("fe80::2%7")}, "8b00 0002 0000 fe800000000000000000000000000002"},
	} {
		b, err := tc.q.message(dst, nonce)
		if err != nil {
			t.Errorf("%+v: %v", tc.q, err)
			continue
		}
		got := hex.EncodeToString(b[:2]) + " " + hex.EncodeToString(b[4:6]) + " " + hex.EncodeToString(b[6:8]) + " " + hex.EncodeToString(b[16:])
		if got != tc.want || !bytes.Equal(b[8:16], nonce[:]) {
			t.Errorf("%+v: %s, want %s", tc.q, got, tc.want)
		}
	}
	for _, q := range []NodeQuery{
		{Question: 9},
		{Question: NodeName, Scope: NodeAll},
		{Question: NodeIPv4, Scope: NodeGlobal},
		{Name: "a..b"}, {Name: strings.Repeat("a", 64)}, {Name: strings.Repeat("a.", 128)},
		{Name: "a", Subject: dst},
	} {
		if b, err := q.message(dst, nonce); err == nil {
			t.Errorf("%+v: %x", q, b)
		}
	}
	for _, dst := range []string{"192.0.2.1", "::ffff:192.0.2.1"} {
		if _, err := (&NodeQuery{}).message(netip.MustParseAddr(dst), nonce); err == nil {
			t.Errorf("a query to %s", dst)
		}
	}
}

// nodeReply is a reply up to its data.
func nodeReply(code, question, flags byte, data ...byte) []byte {
	return append([]byte{nodeReplyType, code, 0, 0, 0, question, 0, flags, 1, 2, 3, 4, 5, 6, 7, 8}, data...)
}

var ttl = []byte{0, 0, 0, 60}

func TestNodeReply(t *testing.T) {
	name := func(s string) []byte { return append(bytes.Clone(ttl), s...) }
	for what, tc := range map[string]struct {
		b    []byte
		want NodeInfo
	}{
		"a full name":         {nodeReply(0, 2, 0, name("\x03foo\x03bar\x00")...), NodeInfo{Question: NodeName, Names: []string{"foo.bar."}}},
		"a name alone":        {nodeReply(0, 2, 0, name("\x03foo\x00\x00")...), NodeInfo{Question: NodeName, Names: []string{"foo"}}},
		"two names":           {nodeReply(0, 2, 0, name("\x03foo\x00\x00\x01a\xc0\x04")...), NodeInfo{Question: NodeName, Names: []string{"foo", "a.foo."}}},
		"what is not plain":   {nodeReply(0, 2, 0, name("\x05\x1b[.;\x80\x00")...), NodeInfo{Question: NodeName, Names: []string{`\027[\.\;\128.`}}},
		"a loop":              {nodeReply(0, 2, 0, name("\xc0\x04")...), NodeInfo{Question: NodeName, Malformed: "truncated"}},
		"a pointer forward":   {nodeReply(0, 2, 0, name("\xc0\x06\x01a\x00")...), NodeInfo{Question: NodeName, Malformed: "truncated"}},
		"cut in a label":      {nodeReply(0, 2, 0, name("\x03fo")...), NodeInfo{Question: NodeName, Malformed: "truncated"}},
		"cut in the time":     {nodeReply(0, 2, 0, 0, 0), NodeInfo{Question: NodeName, Malformed: "too short"}},
		"refused":             {nodeReply(1, 2, 0), NodeInfo{Question: NodeName, Code: 1}},
		"an unknown question": {nodeReply(0, 77, 0, 1, 2, 3), NodeInfo{Type: 77}},
		"IPv4": {nodeReply(0, 4, 1, append(append(bytes.Clone(ttl), 192, 0, 2, 1), append(ttl, 192, 0, 2, 2)...)...),
			NodeInfo{Question: NodeIPv4, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, Truncated: true}},
		"IPv6, cut": {nodeReply(0, 3, 0, append(append(bytes.Clone(ttl), netip.MustParseAddr("2001:db8::1").AsSlice()...), 9)...),
			NodeInfo{Question: NodeIPv6, Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, Malformed: "truncated"}},
	} {
		nonce, got, ok := parseNodeReply(tc.b)
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateComparable(netip.Addr{})); !ok || nonce[7] != 8 || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, ok, diff)
		}
	}
	for _, b := range [][]byte{nil, {nodeReplyType}, nodeReply(0, 2, 0)[:15], append([]byte{129}, nodeReply(0, 2, 0)[1:]...)} {
		if _, info, ok := parseNodeReply(b); ok {
			t.Errorf("%x: %+v", b, info)
		}
	}
	// Pointers make little of much.
	if _, info, _ := parseNodeReply(nodeReply(0, 2, 0, name("\x3f"+strings.Repeat("\x01", 63)+"\x00"+strings.Repeat("\xc0\x04", 30000))...)); info.Malformed != "too many names" {
		t.Errorf("%d names, malformed: %q", len(info.Names), info.Malformed)
	}
}

// Answers while the caller was away, and errors after the answer.
func TestNodeOutcomes(t *testing.T) {
	now := clocks{real: wallStart}
	var got []string
	r := NodeQuery{}.newRun(netip.IPv6Loopback(), Options{Timeout: time.Second}, nil, func(res Result, _ error) bool {
		got = append(got, res.Outcome.String())
		return true
	})
	r.clock = func() clocks { return now }
	first := r.flight().nonce
	second := r.flight().nonce
	now.real, now.mono = now.real+3e9, now.mono+3e9
	for _, a := range []struct {
		nonce [nonceLen]byte
		after int64
		res   Result
	}{
		{first, 1e6, Result{Outcome: OutcomeReply}}, {first, 2e6, Result{Outcome: OutcomeReply}}, {first, 3e6, Result{Outcome: OutcomeICMPError, ICMP: &ICMPError{}}},
		{second, 2e9, Result{Outcome: OutcomeReply}}, {[nonceLen]byte{}, 1e6, Result{Outcome: OutcomeReply}},
	} {
		r.answer(a.nonce, wallStart+a.after, a.res)
	}
	r.expire(now.mono)
	if want := []string{"reply", "duplicate", "timeout", "late"}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzNodeReply(f *testing.F) {
	f.Add(nodeReply(0, 2, 0, append(bytes.Clone(ttl), "\x03foo\x00\x00\x01a\xc0\x04"...)...))
	f.Add(nodeReply(0, 3, 1, make([]byte, 41)...))
	f.Add(nodeReply(2, 4, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, info, ok := parseNodeReply(b)
		if len(info.Names) > maxNodeNames || 8*len(info.Addrs) > len(b) || !ok && len(info.Names)+len(info.Addrs) > 0 {
			t.Errorf("%d names and %d addresses in %d bytes", len(info.Names), len(info.Addrs), len(b))
		}
		for _, name := range info.Names {
			if len(name) > 4*255 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Errorf("name %q", name)
			}
		}
	})
}

func BenchmarkNodeReply(b *testing.B) {
	msg := nodeReply(0, 2, 0, append(bytes.Clone(ttl), "\x03foo\x03bar\x07example\x00"...)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, info, ok := parseNodeReply(msg); !ok || len(info.Names) != 1 {
			b.Fatal(info)
		}
	}
}
