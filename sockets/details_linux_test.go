package sockets

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// ss asks ss for sockets, one a line.
func (z *zoo) ss(args ...string) []byte {
	z.t.Helper()
	out, err := z.host.Output("ss", append([]string{"-H", "-O", "-n"}, args...)...)
	z.check(err)
	return out
}

// endpoint makes a set of ends that some sockets of the list have.
func (z *zoo) endpoint(list []Socket) Endpoint {
	prefixes := []string{"127.0.0.0/8", "10.1.0.0/24", "10.1.0.1/32", "0.0.0.0/0", "::1/128", "fd00:1::/64", "::/0", "::ffff:0:0/96"}
	var e Endpoint
	if z.rand.IntN(4) > 0 {
		e.Prefix = netip.MustParsePrefix(prefixes[z.rand.IntN(len(prefixes))])
	}
	port := list[z.rand.IntN(len(list))].Local.Port()
	switch z.rand.IntN(4) {
	case 0:
		e.From = max(1, port)
	case 1:
		e.From, e.To = max(1, port-min(port, 2000)), max(1, port)
	case 2:
		e.From, e.To = max(1, port), 65535
	}
	return e
}

// expression writes ends as ss wants them.
func expression(list []Endpoint, addr, port string) string {
	var rows []string
	for _, e := range list {
		var and []string
		if e.Prefix.IsValid() {
			p := e.Prefix.String()
			if e.Prefix.Addr().Is6() {
				p = fmt.Sprintf("[%s/%d]", e.Prefix.Addr().StringExpanded(), e.Prefix.Bits())
			}
			and = append(and, addr+" "+p)
		}
		if from, to := e.ports(); from != 0 || to != 65535 {
			and = append(and, fmt.Sprintf("%s >= :%d", port, from), fmt.Sprintf("%s <= :%d", port, to))
		}
		if and == nil {
			and = []string{"sport >= :0"}
		}
		rows = append(rows, "( "+strings.Join(and, " and ")+" )")
	}
	return "( " + strings.Join(rows, " or ") + " )"
}

// What the kernel's filter lets pass is what ss lists with the same filter, and
// what is left when the whole list is filtered here.
func TestFilterAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	passed := 0
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 600+seed)
		z.check(z.host.Do(func() error { z.pair(); z.listener(); return nil }))
		all := z.read(Options{}).Sockets
		for range 12 {
			var f Filter
			var and []string
			for range 1 + z.rand.IntN(2) {
				e := z.endpoint(all)
				switch z.rand.IntN(3) {
				case 0:
					f.Local = append(f.Local, e)
				case 1:
					f.Remote = append(f.Remote, e)
				default:
					f.Either = append(f.Either, e)
				}
			}
			if f.Local != nil {
				and = append(and, expression(f.Local, "src", "sport"))
			}
			if f.Remote != nil {
				and = append(and, expression(f.Remote, "dst", "dport"))
			}
			if f.Either != nil {
				and = append(and, "( "+expression(f.Either, "src", "sport")+" or "+expression(f.Either, "dst", "dport")+" )")
			}
			text := strings.Join(and, " and ")
			got := z.read(Options{Filter: f}).Sockets
			got = slices.DeleteFunc(got, func(s Socket) bool { return s.State == StateBoundInactive })
			passed += len(got)
			if diff := cmp.Diff(cookies(z.ss("-t", "-u", "-a", "-e", text)), own(got)); diff != "" {
				t.Errorf("seed %d: %s (-ss +ours):\n%s", seed, text, diff)
			}
			kept := slices.DeleteFunc(slices.Clone(all), func(s Socket) bool { return s.State == StateBoundInactive || !f.match(&s) })
			if diff := cmp.Diff(own(kept), own(got)); diff != "" {
				t.Errorf("seed %d: %s (-without the kernel +with it):\n%s", seed, text, diff)
			}
		}
	})
	if passed == 0 {
		t.Error("no filter let a socket pass")
	}
}

var ssCookie = regexp.MustCompile(` sk:([0-9a-f]+)`)

// cookies are the sockets that ss lists. Cookies are given on first request and
// stay, whoever asks.
func cookies(out []byte) (list []string) {
	for _, m := range ssCookie.FindAllSubmatch(out, -1) {
		list = append(list, string(m[1]))
	}
	slices.Sort(list)
	return list
}

func own(sockets []Socket) (list []string) {
	for _, s := range sockets {
		list = append(list, strconv.FormatUint(s.Cookie, 16))
	}
	slices.Sort(list)
	return list
}

// A long list of ends compiles, is accepted by the kernel and means the same.
func TestLongFilter(t *testing.T) {
	z := newZoo(t, 700)
	z.check(z.host.Do(func() error { z.pair(); return nil }))
	all := z.read(Options{Protocols: []Protocol{TCP}}).Sockets
	for _, n := range []int{100, 1500, 5000} { // 60 kB hold about 1,700
		var f Filter
		for i := range n {
			f.Either = append(f.Either, Endpoint{Prefix: netip.MustParsePrefix("192.0.2.0/24"), From: uint16(1 + i)})
		}
		f.Either = append(f.Either, Endpoint{From: all[0].Local.Port()})
		want := slices.DeleteFunc(slices.Clone(all), func(s Socket) bool { return !f.match(&s) })
		if got := z.read(Options{Protocols: []Protocol{TCP}, Filter: f}).Sockets; len(want) == 0 || !cmp.Equal(own(want), own(got)) {
			t.Errorf("%d ends: %d sockets, want %d", n, len(got), len(want))
		}
	}
	f := Filter{Interface: 1}
	if got := z.read(Options{Filter: f, Protocols: everything}).Sockets; slices.ContainsFunc(got, func(s Socket) bool { return s.Interface != 1 }) {
		t.Errorf("sockets of other interfaces: %+v", got)
	}
}

// What ss -i and -m tell of each connection is what the library tells.
func TestInfoAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	seen := map[string]bool{}
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 800+seed)
		z.check(z.host.Do(func() error { z.pair(); z.halfClosed(); z.fullListener(); z.multipath(); return nil }))
		for _, p := range []Protocol{TCP, MPTCP} {
			table := z.read(Options{Protocols: []Protocol{p}, Info: true, Memory: true})
			flag := map[Protocol]string{TCP: "-t", MPTCP: "-M"}[p]
			for line := range strings.Lines(string(z.ss(flag, "-a", "-i", "-m", "-e"))) {
				m := ssCookie.FindStringSubmatch(line)
				i := slices.IndexFunc(table.Sockets, func(s Socket) bool { return m != nil && strconv.FormatUint(s.Cookie, 16) == m[1] })
				if i < 0 {
					t.Errorf("ss alone has: %s", line)
					continue
				}
				if s := table.Sockets[i]; s.State != StateTimeWait && s.State != StateSynSent {
					compareInfo(t, s, line, seen)
				}
			}
		}
	})
	for _, word := range []string{"rto", "rtt", "mss", "pmtu", "cwnd", "bytes_acked", "segs_out", "minrtt", "snd_wnd", "wscale", "skmem", "sack"} {
		if !seen[word] {
			t.Errorf("ss never told %s", word)
		}
	}
}

// compareInfo compares every word of ss that ours knows.
func compareInfo(t *testing.T, s Socket, line string, seen map[string]bool) {
	t.Helper()
	ours := infoWords(s)
	for word := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(word, ":")
		want, ok := ours[key]
		if !ok {
			continue
		}
		seen[key] = true
		if want != value {
			t.Errorf("%v %v %s: ss says %q, ours %q\n%s", s.Local, s.State, key, value, want, line)
		}
	}
}

// infoWords writes what is known as ss does.
func infoWords(s Socket) map[string]string {
	w := map[string]string{}
	if m := s.Memory; m != nil {
		w["skmem"] = fmt.Sprintf("(r%d,rb%d,t%d,tb%d,f%d,w%d,o%d,bl%d,d%d)", m.RecvAlloc, m.RecvBuffer, m.SendAlloc, m.SendBuffer,
			m.Forward, m.SendQueued, m.Options, m.Backlog, m.Drops)
	}
	if m := s.MPTCP; m != nil {
		w["token"], w["subflows_max"] = fmt.Sprintf("%x", m.Token), fmt.Sprint(m.MaxSubflows)
		w["write_seq"], w["rcv_nxt"] = fmt.Sprintf("%x", m.WriteSeq), fmt.Sprintf("%x", m.RecvNext)
	}
	i := s.TCP
	if i == nil {
		return w
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%g", float64(d.Microseconds())/1000) }
	for key, v := range map[string]uint64{
		"mss": uint64(i.SendMSS), "rcvmss": uint64(i.RecvMSS), "advmss": uint64(i.AdvMSS), "pmtu": uint64(i.PMTU), "cwnd": uint64(i.SendCwnd),
		"bytes_sent": i.BytesSent, "bytes_acked": i.BytesAcked, "bytes_received": i.BytesReceived, "bytes_retrans": i.BytesRetrans,
		"segs_out": uint64(i.SegsOut), "segs_in": uint64(i.SegsIn), "data_segs_out": uint64(i.DataSegsOut), "data_segs_in": uint64(i.DataSegsIn),
		"unacked": uint64(i.Unacked), "lost": uint64(i.Lost), "sacked": uint64(i.Sacked), "delivered": uint64(i.Delivered), "notsent": uint64(i.NotSent),
		"rcv_space": uint64(i.RecvSpace), "rcv_ssthresh": uint64(i.RecvSsthresh), "snd_wnd": uint64(i.SendWindow), "backoff": uint64(i.Backoff),
	} {
		w[key] = fmt.Sprint(v)
	}
	if i.SendSsthresh < 0xffff {
		w["ssthresh"] = fmt.Sprint(i.SendSsthresh)
	}
	w["rto"], w["ato"] = ms(i.RTO), ms(i.ATO)
	w["rtt"], w["minrtt"] = ms(i.RTT)+"/"+ms(i.RTTVar), ms(i.MinRTT)
	w["wscale"] = fmt.Sprintf("%d,%d", i.SendScale, i.RecvScale)
	for name, word := range map[string]string{"timestamps": "ts", "sack": "sack", "ecn": "ecn"} {
		if i.Options.Has(name) {
			w[word] = ""
		}
	}
	if i.AppLimited {
		w["app_limited"] = ""
	}
	if b := i.BBR; b == nil && i.Congestion != "" {
		w[i.Congestion] = ""
	}
	return w
}

// nstat reads the same files.
func TestCountersAgainstNstat(t *testing.T) {
	needsTool(t, "nstat")
	z := newZoo(t, 950)
	var groups []CounterGroup
	z.check(z.host.Do(func() (err error) {
		groups, err = Counters(t.Context(), nil)
		return err
	}))
	out, err := z.host.Output("nstat", "-a", "-s", "-z", "-j")
	z.check(err)
	var theirs struct{ Kernel map[string]int64 }
	z.check(json.Unmarshal(out, &theirs))
	compared, differ := 0, 0
	for _, g := range groups {
		for _, c := range g.Counters {
			if v, ok := theirs.Kernel[g.Name+c.Name]; ok {
				compared++
				if v != c.Value {
					differ++ // packets go on, such as those of IPv6 neighbours
				}
			}
		}
	}
	if compared < 200 || differ > 20 {
		t.Errorf("%d counters compared, %d differ", compared, differ)
	}
	tcp := groups[slices.IndexFunc(groups, func(g CounterGroup) bool { return g.Name == "Tcp" })]
	if v, ok := tcp.Value("ActiveOpens"); !ok || v != theirs.Kernel["TcpActiveOpens"] {
		t.Errorf("ActiveOpens is %d, nstat has %d", v, theirs.Kernel["TcpActiveOpens"])
	}
}

// Who captures what.
func TestPacketAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 900+seed)
		z.check(z.host.Do(func() error { z.packet(); z.packet(); return nil }))
		table := z.read(Options{Protocols: []Protocol{Packet}, Processes: true, Memory: true})
		var ours []string
		for _, s := range table.Sockets {
			ours = append(ours, fmt.Sprintf("p_%s %s ino:%d %s", map[SocketType]string{TypeRaw: "raw", TypeDatagram: "dgr"}[s.Type],
				packetEnd(s), s.Inode, owners(s)))
		}
		var theirs []string
		for line := range strings.Lines(string(z.ss("-0", "-a", "-e", "-p"))) {
			col := strings.Fields(line)
			ino := regexp.MustCompile(`ino:\d+`).FindString(line)
			theirs = append(theirs, fmt.Sprintf("%s %s %s %s", col[0], col[4], ino, ssOwners(line)))
		}
		slices.Sort(ours)
		slices.Sort(theirs)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("seed %d (-ss +ours):\n%s", seed, diff)
		}
		var proc Table
		z.check(z.host.Do(func() (err error) {
			l := fromProc(Options{Protocols: []Protocol{Packet}}, procRoot)
			proc, err = l.table(t.Context())
			return err
		}))
		if diff := cmp.Diff(packetsInProc(table.Sockets), packetsInProc(proc.Sockets)); diff != "" {
			t.Errorf("seed %d (-sock_diag +proc):\n%s", seed, diff)
		}
	})
}

func packetEnd(s Socket) string {
	protocol := "*"
	if s.Packet.Protocol != 3 {
		protocol = fmt.Sprintf("[%d]", s.Packet.Protocol)
	}
	if s.Device == "" {
		return protocol + ":*"
	}
	return protocol + ":" + s.Device
}

func packetsInProc(list []Socket) (lines []string) {
	for _, s := range list {
		lines = append(lines, fmt.Sprint(s.Type, s.Packet.Protocol, s.Device, s.Inode, s.UID, s.Packet.Flags.Has("running")))
	}
	slices.Sort(lines)
	return lines
}

// Nobody is refused what the kernel lets everybody see.
func TestDetailsUnprivileged(t *testing.T) {
	z := newZoo(t, 1000)
	z.check(z.host.Do(func() error { z.pair(); z.packet(); return nil }))
	const class = 6
	marked := uint16(0)
	control := func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, class),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, 7))
		})
		return errors.Join(err, cerr)
	}
	z.check(z.host.Do(func() error {
		ln, err := (&net.ListenConfig{Control: control}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if err == nil {
			t.Cleanup(func() { ln.Close() })
			marked = netip.MustParseAddrPort(ln.Addr().String()).Port()
		}
		return err
	}))
	var table Table
	list := func() (err error) {
		table, err = Read(t.Context(), &Options{Protocols: []Protocol{TCP, Packet, Unix}, Info: true, Memory: true})
		return err
	}
	for mark, do := range map[uint32]func(func() error) error{7: z.host.Do, 0: z.host.DoUnprivileged} {
		z.check(do(list))
		i := slices.IndexFunc(table.Sockets, func(s Socket) bool { return s.Local.Port() == marked && s.State == StateListen })
		if i < 0 || table.Sockets[i].Mark != mark || table.Sockets[i].ClassID != class {
			t.Errorf("mark %d and class %d: told of socket %d %+v", mark, class, i, table.Sockets[max(i, 0)])
		}
	}
	z.check(z.host.DoUnprivileged(list))
	var told [3]bool
	for _, s := range table.Sockets {
		told[0] = told[0] || s.TCP != nil && s.TCP.SegsIn > 0
		told[1] = told[1] || s.Memory != nil && s.Memory.RecvBuffer > 0
		told[2] = told[2] || s.Packet != nil && s.Packet.Flags.Has("running")
		if b, err := json.Marshal(s); err != nil || !json.Valid(b) {
			t.Error(err)
		}
	}
	if told != [3]bool{true, true, true} {
		t.Errorf("TCP, memory, packet sockets told: %v", told)
	}
}

func TestParseTCPInfo(t *testing.T) {
	b := make([]byte, 280)
	for i := range b {
		b[i] = byte(i)
	}
	var i TCPInfo
	i.parse(b)
	ne := binary.NativeEndian
	if i.State != 0 || i.Retransmits != 2 || i.RTO != time.Duration(ne.Uint32(b[8:]))*time.Microsecond || i.TotalRetrans != ne.Uint32(b[100:]) ||
		i.PacingRate != ne.Uint64(b[104:]) || i.DeliveryRate != ne.Uint64(b[160:]) || i.SendWindow != ne.Uint32(b[228:]) ||
		i.ReceivedCE != ne.Uint32(b[248:]) || len(i.More) != 28 {
		t.Errorf("%+v", i)
	}
	for n := range b { // every older kernel
		var short TCPInfo
		short.parse(b[:n])
		if len(short.More) != max(0, n-252) {
			t.Fatalf("%d bytes leave %d over", n, len(short.More))
		}
	}
}
