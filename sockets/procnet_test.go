package sockets

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const procTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E8 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 1579 1 00000000219de12c 100 0 0 10 0
   1: 0100007F:0016 0200007F:C001 01 00000010:00000020 02:00000F9C 00000001  1000        0 4242 4 0000000000000000 20 4 31 10 -1
   2: 0100007F:0016 0200007F:C002 06 00000000:00000000 03:000016F8 00000000     0        0 0 3 0000000000000000
`

const procTCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  65534        0 77 1 0000000000000000 100 0 0 10 0
   1: B80D0120000000000000000001000000:01BB 0000000000000000FFFF0000010200C0:0400 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0000000000000000 20 0 0 10 -1
`

func TestParseProcInet(t *testing.T) {
	ap := netip.MustParseAddrPort
	tests := []struct {
		name, text string
		family     Family
		order      binary.ByteOrder
		want       []Socket
	}{
		{"IPv4", procTCP, FamilyIPv4, binary.LittleEndian, []Socket{
			{Family: FamilyIPv4, Local: ap("0.0.0.0:2024"), Remote: ap("0.0.0.0:0"), State: StateListen, AcceptQueue: 3, Inode: 1579},
			{Family: FamilyIPv4, Local: ap("127.0.0.1:22"), Remote: ap("127.0.0.2:49153"), State: StateEstablished, RecvQueue: 32, SendQueue: 16,
				Timer: TimerKeepalive, Expires: 39960 * time.Millisecond, Retransmits: 1, UID: 1000, Inode: 4242},
			{Family: FamilyIPv4, Local: ap("127.0.0.1:22"), Remote: ap("127.0.0.2:49154"), State: StateTimeWait, Timer: TimerTimeWait, Expires: 58800 * time.Millisecond},
		}},
		{"IPv6", procTCP6, FamilyIPv6, binary.LittleEndian, []Socket{
			{Family: FamilyIPv6, Local: ap("[::]:80"), Remote: ap("[::]:0"), State: StateListen, UID: 65534, Inode: 77},
			{Family: FamilyIPv6, Local: ap("[2001:db8::1]:443"), Remote: ap("[::ffff:192.0.2.1]:1024"), State: StateEstablished, Inode: 78},
		}},
		{"another byte order", firstLines(procTCP, 2), FamilyIPv4, binary.BigEndian, []Socket{
			{Family: FamilyIPv4, Local: ap("0.0.0.0:2024"), Remote: ap("0.0.0.0:0"), State: StateListen, AcceptQueue: 3, Inode: 1579},
		}},
	}
	for _, tt := range tests {
		var got []Socket
		if err := parseProcInet([]byte(tt.text), TCP, tt.family, tt.order, func(s *Socket) error { got = append(got, *s); return nil }); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		for i := range tt.want {
			tt.want[i].Protocol = TCP
		}
		if diff := cmp.Diff(tt.want, got, sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestParseProcInetRefuses(t *testing.T) {
	line := "0: 00000000:07E8 00000000:0000 0A 00000000:00000003 00:00000000 00000000 0 0 1579"
	for name, bad := range map[string]string{
		"too few columns": "0: 00000000:07E8",
		"short address":   "0: 000000:07E8" + line[16:],
		"no number":       "0: 0000000x:07E8" + line[16:],
		"a large port":    "0: 00000000:17E80" + line[16:],
	} {
		err := parseProcInet([]byte("heading\n"+bad+"\n"), TCP, FamilyIPv4, binary.LittleEndian, func(*Socket) error { return nil })
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

const procUnix = `Num       RefCount Protocol Flags    Type St Inode Path
000000008aa1156b: 00000003 00000000 00000000 0001 03  1576
000000009a40201c: 00000002 00000000 00010000 0001 01  1575 /run/a name: with
a line break
0000000000000000: 00000002 00000000 00000000 0002 01 12 @abstract
0000000000000000: 00000002 00000000 00000000 0005 02 13
`

func TestParseProcUnix(t *testing.T) {
	want := []Socket{
		{Type: TypeStream, State: StateEstablished, Inode: 1576},
		{Type: TypeStream, State: StateListen, Inode: 1575, Path: "/run/a name: with"},
		{Type: TypeDatagram, State: StateClose, Inode: 12, Path: "@abstract"},
		{Type: TypeSeqPacket, State: StateSynSent, Inode: 13},
	}
	var got []Socket
	if err := parseProcUnix([]byte(procUnix), func(s *Socket) error { got = append(got, *s); return nil }); err != nil {
		t.Error(err)
	}
	for i := range want {
		want[i].Protocol, want[i].Family = Unix, FamilyUnix
	}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseProc(f *testing.F) {
	f.Add([]byte(procTCP))
	f.Add([]byte(procTCP6))
	f.Add([]byte(procUnix))
	f.Fuzz(func(t *testing.T, text []byte) {
		check := func(s *Socket) error {
			if s.State == StateListen && s.RecvQueue != 0 {
				t.Errorf("a listener with bytes to read: %+v", s)
			}
			if _, err := json.Marshal(s); err != nil {
				t.Error(err)
			}
			return nil
		}
		_ = parseProcInet(text, TCP, FamilyIPv4, binary.LittleEndian, check)
		_ = parseProcInet(text, UDP, FamilyIPv6, binary.BigEndian, check)
		_ = parseProcUnix(text, check)
		_ = parseProcPacket(text, check)
	})
}

func firstLines(text string, n int) string {
	return strings.Join(strings.SplitAfter(text, "\n")[:n], "")
}
