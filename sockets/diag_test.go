package sockets

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/nl"
)

var sameAddr = cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})

// inetMessage makes an answer of the kernel.
func inetMessage(family, state uint8, local, remote netip.AddrPort, attrs ...[]byte) []byte {
	b := make([]byte, sizeofInetMsg)
	ne := binary.NativeEndian
	b[0], b[1], b[2], b[3] = family, state, 2, 5
	binary.BigEndian.PutUint16(b[4:], local.Port())
	binary.BigEndian.PutUint16(b[6:], remote.Port())
	copy(b[8:24], local.Addr().AsSlice())
	copy(b[24:40], remote.Addr().AsSlice())
	ne.PutUint32(b[40:], 3)       // interface
	ne.PutUint32(b[44:], 0x11)    // cookie, low
	ne.PutUint32(b[48:], 0x22)    // cookie, high
	ne.PutUint32(b[52:], 1500)    // expires
	ne.PutUint32(b[56:], 7)       // receive queue
	ne.PutUint32(b[60:], 128)     // send queue
	ne.PutUint32(b[64:], 1000)    // user
	ne.PutUint32(b[68:], 1234567) // inode
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func TestParseInet(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("[2001:db8::1]:443")
	local6, mapped := netip.MustParseAddrPort("[fe80::1]:546"), netip.MustParseAddrPort("[::ffff:192.0.2.1]:80")
	any4, any6 := netip.MustParseAddrPort("0.0.0.0:0"), netip.MustParseAddrPort("[::]:0")
	base := Socket{Protocol: TCP, Timer: TimerKeepalive, Retransmits: 5, Interface: 3, Cookie: 0x22_0000_0011,
		Expires: 1500 * time.Millisecond, UID: 1000, Inode: 1234567}
	tests := []struct {
		name string
		in   []byte
		want func(s *Socket)
	}{
		{"listener", inetMessage(afInet, 10, v4, any4), func(s *Socket) {
			s.Family, s.Local, s.Remote, s.State = FamilyIPv4, v4, any4, StateListen
			s.AcceptQueue, s.Backlog = 7, 128
		}},
		{"established", inetMessage(afInet6, 1, v6, v6), func(s *Socket) {
			s.Family, s.Local, s.Remote, s.State = FamilyIPv6, v6, v6, StateEstablished
			s.RecvQueue, s.SendQueue = 7, 128
		}},
		{"a taken port", inetMessage(afInet6, 7, v6, any6), func(s *Socket) {
			s.Family, s.Local, s.Remote, s.State = FamilyIPv6, v6, any6, StateBoundInactive
			s.RecvQueue, s.SendQueue = 7, 128
		}},
		{"link-local", inetMessage(afInet6, 2, local6, any6), func(s *Socket) {
			s.Family, s.Remote, s.State = FamilyIPv6, any6, StateSynSent
			s.Local = netip.MustParseAddrPort("[fe80::1%3]:546")
			s.RecvQueue, s.SendQueue = 7, 128
		}},
		{"IPv4 over an IPv6 socket", inetMessage(afInet6, 1, mapped, mapped), func(s *Socket) {
			s.Family, s.Local, s.Remote, s.State = FamilyIPv6, mapped, mapped, StateEstablished
			s.RecvQueue, s.SendQueue = 7, 128
		}},
		{"attributes", inetMessage(afInet6, 13, v6, any6,
			nl.AppendU8(nil, inetDiagShutdown, 3), nl.AppendU8(nil, inetDiagV6Only, 1), nl.AppendU32(nil, inetDiagMark, 9),
			nl.Append(nil, inetDiagCgroupID, binary.NativeEndian.AppendUint64(nil, 77)),
			nl.AppendU8(nil, inetDiagProtocol, 6), nl.AppendU32(nil, 99, 1)),
			func(s *Socket) {
				s.Family, s.Local, s.Remote, s.State = FamilyIPv6, v6, any6, StateBoundInactive
				s.RecvQueue, s.SendQueue = 7, 128
				s.Shutdown, s.V6Only, s.Mark, s.CgroupID = ShutdownReceive|ShutdownSend, V6OnlyYes, 9, 77
				s.Unknown = []Attribute{{Type: 99, Data: binary.NativeEndian.AppendUint32(nil, 1)}}
			}},
		{"attributes that are too short are kept", inetMessage(afInet, 1, v4, v4, nl.Append(nil, inetDiagMark, []byte{1})), func(s *Socket) {
			s.Family, s.Local, s.Remote, s.State = FamilyIPv4, v4, v4, StateEstablished
			s.RecvQueue, s.SendQueue = 7, 128
			s.Unknown = []Attribute{{Type: inetDiagMark, Data: []byte{1}}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := base
			tt.want(&want)
			got := Socket{Path: "left over"}
			if err := parseInet(tt.in, TCP, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, sameAddr); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseInetRefuses(t *testing.T) {
	ap := netip.MustParseAddrPort("192.0.2.1:80")
	whole := inetMessage(afInet, 1, ap, ap)
	for name, b := range map[string][]byte{
		"nothing": nil, "short": whole[:71], "another family": inetMessage(afUnix, 1, ap, ap),
		"an attribute that is too long": append(whole, 200, 0, 8, 0),
	} {
		if err := parseInet(b, TCP, new(Socket)); err != nl.ErrMalformed {
			t.Errorf("%s: %v, want %v", name, err, nl.ErrMalformed)
		}
	}
}

func TestSockOpts(t *testing.T) {
	// recverr is the first bit, transparent the sixth, freebind the third;
	// defer_connect the third of the second byte.
	in := []byte{0b0010_0101, 0b0000_0100}
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		in = []byte{0b1010_0100, 0b0010_0000}
	}
	got := sockOpts(in)
	if got.String() != "recverr|freebind|transparent|defer_connect" || !got.Has("transparent") || got.Has("nodefrag") {
		t.Errorf("options %v", got)
	}
}

// unixMessage makes an answer of the kernel about a unix socket.
func unixMessage(typ, state uint8, attrs ...[]byte) []byte {
	b := make([]byte, sizeofUnixMsg)
	b[0], b[1], b[2] = afUnix, typ, state
	binary.NativeEndian.PutUint32(b[4:], 42)
	binary.NativeEndian.PutUint32(b[8:], 0x11)
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func TestParseUnix(t *testing.T) {
	queues := func(r, w uint32) []byte {
		return nl.Append(nil, unixDiagRQLen, binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, r), w))
	}
	tests := []struct {
		name string
		in   []byte
		want Socket
	}{
		{"a listener with a path", unixMessage(1, 10, nl.AppendText(nil, unixDiagName, "/run/x"), queues(2, 5), nl.AppendU32(nil, unixDiagUID, 7)),
			Socket{Type: TypeStream, State: StateListen, Path: "/run/x", AcceptQueue: 2, Backlog: 5, UID: 7}},
		{"an abstract name", unixMessage(5, 1, nl.Append(nil, unixDiagName, []byte("\x00a\x00b")), nl.AppendU32(nil, unixDiagPeer, 43), queues(2, 5)),
			Socket{Type: TypeSeqPacket, State: StateEstablished, Path: "@a@b", Peer: 43, RecvQueue: 2, SendQueue: 5}},
		{"shut down", unixMessage(2, 7, nl.AppendU8(nil, unixDiagShutdown, 2), nl.AppendU8(nil, 50, 1), nl.Append(nil, unixDiagRQLen, []byte{1})),
			Socket{Type: TypeDatagram, State: StateClose, Shutdown: ShutdownSend,
				Unknown: []Attribute{{Type: 50, Data: []byte{1}}, {Type: unixDiagRQLen, Data: []byte{1}}}}},
	}
	for _, tt := range tests {
		tt.want.Protocol, tt.want.Family, tt.want.Inode, tt.want.Cookie = Unix, FamilyUnix, 42, 0x11
		var got Socket
		if err := parseUnix(tt.in, &got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got, sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 15), inetMessage(afInet, 1, netip.AddrPort{}, netip.AddrPort{})} {
		if err := parseUnix(b, new(Socket)); err != nl.ErrMalformed {
			t.Errorf("%d bytes: %v, want %v", len(b), err, nl.ErrMalformed)
		}
	}
}

func FuzzParseDiag(f *testing.F) {
	ap := netip.MustParseAddrPort("[fe80::1]:80")
	f.Add(inetMessage(afInet6, 10, ap, ap, nl.AppendU8(nil, inetDiagV6Only, 1)))
	f.Add(unixMessage(1, 10, nl.AppendText(nil, unixDiagName, "/run/x")))
	f.Add(inetMessage(afInet, 1, ap, ap, nl.Append(nil, inetDiagInfo, make([]byte, 232)), nl.Append(nil, inetDiagMemory, make([]byte, 36)),
		nl.AppendText(nil, inetDiagCong, "bbr"), nl.Append(nil, inetDiagBBR, make([]byte, 20)), nl.AppendNested(nil, inetDiagULP, func(b []byte) []byte {
			return nl.AppendText(b, 1, "tls")
		})))
	f.Add(append([]byte{afPacket, 3, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, nl.Append(nil, packetDiagGroups, make([]byte, 44))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func(*Socket) error{
			func(s *Socket) error { return parseInet(b, TCP, s) },
			func(s *Socket) error { return parseInet(b, MPTCP, s) },
			func(s *Socket) error { return parseUnix(b, s) },
			func(s *Socket) error { return parsePacket(b, s) },
		} {
			var s Socket
			if parse(&s) != nil {
				continue
			}
			if s.Protocol == TCP && s.Local.Addr().Is4() != (s.Family == FamilyIPv4) {
				t.Errorf("%v with address %v", s.Family, s.Local)
			}
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var back Socket
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	})
}

func TestWords(t *testing.T) {
	want := Socket{Protocol: UDP, Family: FamilyIPv6, State: State(42), Timer: TimerProbe, Type: TypeDatagram, V6Only: V6OnlyYes,
		Shutdown: ShutdownSend, SockOpts: 1 << 2, Ownership: OwnershipFound, Owners: []Process{{PID: 1, Name: "x", FD: 3}},
		Local: netip.MustParseAddrPort("[::1]:53")}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	wantText := `{"protocol":"udp","family":"inet6","local":"[::1]:53","state":"state(42)","recv_queue":0,"send_queue":0,` +
		`"timer":"probe","uid":0,"inode":0,"v6only":"yes","shutdown":["send"],"sockopts":["freebind"],"type":"dgram",` +
		`"ownership":"found","owners":[{"pid":1,"name":"x","fd":3}]}`
	if diff := cmp.Diff(wantText, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var got Socket
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Errorf("there and back (-want +got):\n%s", diff)
	}
}

func TestParseState(t *testing.T) {
	for text, want := range map[string]State{
		"ESTAB": StateEstablished, "ESTABLISHED": StateEstablished, "time-wait": StateTimeWait, "TIME_WAIT": StateTimeWait,
		"UNCONN": StateClose, "FIN-WAIT-2": StateFinWait2, "FIN_WAIT2": StateFinWait2, "LISTEN": StateListen, "LISTENING": StateListen,
		"bound_inactive": StateBoundInactive,
	} {
		if got, err := ParseState(text); err != nil || got != want {
			t.Errorf("ParseState(%q) = %v, %v", text, got, err)
		}
	}
	if s, err := ParseState("open"); err == nil {
		t.Errorf("ParseState accepts %q as %v", "open", s)
	}
}

func TestStateMask(t *testing.T) {
	o := Options{States: []State{StateEstablished, StateListen}}
	if got, want := o.stateMask(), uint32(1<<1|1<<10); got != want {
		t.Errorf("mask %#x, want %#x", got, want)
	}
	if got := (&Options{}).stateMask(); got != ^uint32(0) {
		t.Errorf("mask of all states %#x", got)
	}
}

func BenchmarkParseInet(b *testing.B) {
	ap := netip.MustParseAddrPort("192.0.2.1:80")
	msg := inetMessage(afInet, 1, ap, ap, nl.AppendU8(nil, inetDiagShutdown, 0), nl.Append(nil, inetDiagCgroupID, make([]byte, 8)))
	var s Socket
	b.ReportAllocs()
	for b.Loop() {
		if err := parseInet(msg, TCP, &s); err != nil {
			b.Fatal(err)
		}
	}
}
