package wire

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/netsonde/netsonde/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

var addrs = cmpopts.EquateComparable(netip.Addr{})

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 1071, section 3, and odd lengths against the plain way.
func TestChecksum(t *testing.T) {
	if got := Sum(0, unhex(t, "0001f203f4f5f6f7")); got != 0xddf2 {
		t.Errorf("RFC 1071 example: sum %#x, want 0xddf2", got)
	}
	plain := func(b []byte) uint16 {
		var s uint32
		for i, c := range b {
			s += uint32(c) << (8 * (1 - i&1))
		}
		for s>>16 != 0 {
			s = s&0xffff + s>>16
		}
		return ^uint16(s)
	}
	b := make([]byte, 70)
	for i := range b {
		b[i] = byte(i*i*7 + 0xf0)
	}
	for n := range b {
		if got, want := Checksum(b[:n]), plain(b[:n]); got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}

// A SYN from 192.0.2.1:1024 to 192.0.2.2:80, built by hand: a checksum over
// data and checksum is 0.
func TestTCPOverIPv4(t *testing.T) {
	ip := IPv4{TOS: 0x10, Length: 44, ID: 0x1234, DF: true, TTL: 64, Protocol: ProtoTCP,
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2")}
	tcp := TCP{SrcPort: 1024, DstPort: 80, Seq: 1, Flags: SYN, Window: 1024, Options: []byte{2, 4, 5, 0xb4}}
	var b [64]byte
	n := ip.Put(b[:])
	m := tcp.Put(b[n:])
	src, dst := ip.Src.As4(), ip.Dst.As4()
	sum := PseudoHeader(src[:], dst[:], ProtoTCP, m)
	tcp.Checksum = Fold(Sum(sum, b[n:n+m]))
	tcp.Put(b[n:])
	if Fold(Sum(sum, b[n:n+m])) != 0 || Checksum(b[:n]) != 0 {
		t.Error("checksums do not verify")
	}
	gotIP, payload, ok := ParseIPv4(b[:])
	if !ok || len(payload) != m {
		t.Fatalf("ParseIPv4: ok %t, payload %d bytes, want %d", ok, len(payload), m)
	}
	ip.Checksum, ip.Options = binary.BigEndian.Uint16(b[10:]), []byte{}
	if d := cmp.Diff(ip, gotIP, addrs); d != "" {
		t.Error("IPv4 (-want +got):\n", d)
	}
	gotTCP, data, ok := ParseTCP(payload)
	if !ok || len(data) != 0 {
		t.Fatalf("ParseTCP: ok %t, %d bytes of data", ok, len(data))
	}
	if d := cmp.Diff(tcp, gotTCP); d != "" {
		t.Error("TCP (-want +got):\n", d)
	}
	if h, err := ipv4.ParseHeader(b[:n]); err != nil || h.TTL != 64 || h.Flags != ipv4.DontFragment || h.ID != 0x1234 {
		t.Errorf("x/net reads %+v, %v", h, err)
	}
}

func TestEchoAgainstXNet(t *testing.T) {
	want, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Seq: 88, Data: []byte("hello")}}).Marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 13)
	h := ICMP{Type: ICMPEchoRequest, ID: 77, Seq: 88}
	copy(got[h.Put(got):], "hello")
	SetICMPChecksum(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error("echo (-x/net +ours):\n", d)
	}
}

func quoteV6(ext ...byte) []byte {
	h := IPv6{TrafficClass: 0xb8, FlowLabel: 0xabcde, Length: uint16(len(ext)) + 8, NextHeader: ProtoUDP, HopLimit: 1,
		Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2")}
	if len(ext) > 0 {
		h.NextHeader = ProtoHopByHop
	}
	b := make([]byte, IPv6Len)
	h.Put(b)
	udp := UDP{SrcPort: 5, DstPort: 33434, Length: 8}
	var u [8]byte
	udp.Put(u[:])
	return append(append(b, ext...), u[:]...)
}

func TestQuote(t *testing.T) {
	want := Quote{V6: true, Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"),
		Protocol: ProtoUDP, TTL: 1, TOS: 0xb8, FlowLabel: 0xabcde, Length: 48}
	for _, tc := range []struct {
		name string
		ext  []byte
		frag uint16
	}{
		{"plain", nil, 0},
		{"hop by hop", []byte{ProtoUDP, 0, 1, 4, 0, 0, 0, 0}, 0},
		{"hop by hop, first fragment", []byte{ProtoFragment, 0, 1, 4, 0, 0, 0, 0, ProtoUDP, 0, 0, 1, 0, 0, 0, 9}, 0},
		{"later fragment", []byte{ProtoFragment, 0, 1, 4, 0, 0, 0, 0, ProtoUDP, 0, 0x05, 0xa8, 0, 0, 0, 9}, 0x5a8},
	} {
		got, ok := ParseQuote(quoteV6(tc.ext...))
		if !ok {
			t.Errorf("%s: not parsed", tc.name)
			continue
		}
		src, dst, _, _ := QuotedPorts(got.Transport)
		if src != 5 || dst != 33434 {
			t.Errorf("%s: ports %d %d", tc.name, src, dst)
		}
		want.Length, want.FragOff = 48+len(tc.ext), tc.frag
		if d := cmp.Diff(want, got, addrs, cmpopts.IgnoreFields(Quote{}, "Transport")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

func TestBrokenPackets(t *testing.T) {
	good := quoteV6(ProtoUDP, 0, 1, 4, 0, 0, 0, 0)
	for n := range 48 {
		if _, ok := ParseQuote(good[:n]); ok {
			t.Errorf("%d bytes of an IPv6 packet with an extension header parsed", n)
		}
	}
	for _, s := range []string{"", "45", "4400000000000000000000000000000000000000", "4f00000000000000000000000000000000000000"} {
		if _, _, ok := ParseIPv4(unhex(t, s)); ok {
			t.Errorf("IPv4 %q parsed", s)
		}
	}
	tcp := make([]byte, 20)
	for _, off := range []byte{0, 4, 6, 15} {
		tcp[12] = off << 4
		if _, _, ok := ParseTCP(tcp); ok {
			t.Errorf("TCP with a data offset of %d words in 20 bytes parsed", off)
		}
	}
}

func extension(good bool) []byte {
	e := []byte{0x20, 0, 0, 0, 0, 8, 1, 1, 0x00, 0x01, 0x01, 0xff}
	c := Checksum(e)
	if !good {
		c ^= 0x0101
	}
	binary.BigEndian.PutUint16(e[2:], c)
	return e
}

func TestSplitExtensions(t *testing.T) {
	body := append(make([]byte, 128), extension(true)...)
	bad := append(make([]byte, 128), extension(false)...)
	hdr := func(typ, b4, b5 byte) []byte { return []byte{typ, 0, 0, 0, b4, b5, 0, 0} }
	for _, tc := range []struct {
		name      string
		v6        bool
		hdr, body []byte
		quoted    int
		ext       bool
	}{
		{"v4 told", false, hdr(11, 0, 32), body, 128, true},
		{"v4 not told", false, hdr(3, 0, 0), body, 128, true},
		{"v4 wrong checksum", false, hdr(11, 0, 32), bad, 128, false},
		{"v4 not told, wrong checksum", false, hdr(11, 0, 0), bad, 140, false},
		{"v4 too short to be padded", false, hdr(11, 0, 16), body, 64, false},
		{"v4 length beyond the end", false, hdr(11, 0, 255), body, 140, false},
		{"v4 redirect has none", false, hdr(5, 0, 32), body, 140, false},
		{"v6 told", true, hdr(3, 16, 0), body, 128, true},
		{"v6 packet too big has none", true, hdr(2, 16, 0), body, 140, false},
		{"no header", false, nil, body, 140, false},
	} {
		q, e := SplitExtensions(tc.v6, tc.hdr, tc.body)
		if len(q) != tc.quoted || (e != nil) != tc.ext {
			t.Errorf("%s: quoted %d bytes, extension %t; want %d, %t", tc.name, len(q), e != nil, tc.quoted, tc.ext)
		}
	}
}

// Whatever arrives: no panic, and nothing outside the bytes given.
func FuzzParse(f *testing.F) {
	f.Add(quoteV6(ProtoFragment, 0, 1, 4, 0, 0, 0, 0, ProtoUDP, 0, 0, 1, 0, 0, 0, 9))
	f.Add(append([]byte{11, 0, 0, 0, 0, 32, 0, 0}, append(make([]byte, 128), extension(true)...)...))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, ok := ParseQuote(b); ok {
			if len(q.Transport) > len(b) {
				t.Error("transport longer than the packet")
			}
			ParseTCP(q.Transport)
			ParseUDP(q.Transport)
			QuotedPorts(q.Transport)
		}
		if _, body, ok := ParseICMP(b); ok {
			for _, v6 := range []bool{false, true} {
				quoted, ext := SplitExtensions(v6, b, body)
				if len(quoted)+len(ext) > len(body) {
					t.Error("extension and quote overlap")
				}
			}
		}
		if h, _, ok := ParseIPv4(b); ok {
			out := make([]byte, 60)
			n := h.Put(out)
			again, _, ok := ParseIPv4(out[:n])
			h.Checksum = again.Checksum
			if d := cmp.Diff(h, again, addrs, cmpopts.EquateEmpty()); !ok || d != "" {
				t.Errorf("round trip, ok %t (-want +got):\n%s", ok, d)
			}
		}
	})
}

func TestNoAllocations(t *testing.T) {
	b := quoteV6()
	if n := testing.AllocsPerRun(100, func() {
		q, _ := ParseQuote(b)
		ParseUDP(q.Transport)
		Checksum(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChecksum64(b *testing.B) {
	buf := make([]byte, 64)
	for b.Loop() {
		Checksum(buf)
	}
}

func BenchmarkParseQuote(b *testing.B) {
	buf := quoteV6()
	for b.Loop() {
		ParseQuote(buf)
	}
}
