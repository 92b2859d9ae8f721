package sockets

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rounds is how many random hosts are compared with each program.
var rounds = flag.Uint64("rounds", 8, "random hosts that each program is asked about")

// each calls fn for every random host; those of one are gone before the next.
func each(t *testing.T, fn func(t *testing.T, seed uint64)) {
	t.Helper()
	for seed := range *rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { fn(t, seed) })
	}
}

// everything lists what the zoo may hold.
var everything = []Protocol{TCP, UDP, Raw, Unix, Packet}

func needsTool(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skip("needs " + tool)
	}
}

func (z *zoo) read(o Options) Table {
	z.t.Helper()
	var table Table
	z.check(z.host.Do(func() (err error) {
		table, err = Read(z.t.Context(), &o)
		return err
	}))
	return table
}

func TestAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, seed)
		out, err := z.host.Output("ss", "-H", "-O", "-n", "-t", "-u", "-a", "-p", "-e")
		z.check(err)
		// This ss does not ask for ports that are merely taken.
		got := z.read(Options{Processes: true})
		got.Sockets = slices.DeleteFunc(got.Sockets, func(s Socket) bool { return s.State == StateBoundInactive })
		if diff := cmp.Diff(ssLines(t, out), ownLines(got.Sockets)); diff != "" {
			t.Errorf("seed %d (-ss +ours):\n%s", seed, diff)
		}
		if len(got.FromProc) > 0 || got.Walk.Unowned > 0 {
			t.Errorf("seed %d: read from /proc: %v, %d without owner", seed, got.FromProc, got.Walk.Unowned)
		}
	})
}

// The listeners of ss -lntup, with their processes.
func TestListenersAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 100+seed)
		out, err := z.host.Output("ss", "-H", "-O", "-l", "-n", "-t", "-u", "-p", "-e")
		z.check(err)
		var got []Socket
		z.check(z.host.Do(func() (err error) {
			got, err = Listeners(t.Context(), nil)
			return err
		}))
		if diff := cmp.Diff(ssLines(t, out), ownLines(got)); diff != "" {
			t.Errorf("seed %d (-ss +ours):\n%s", seed, diff)
		}
	})
}

// Someone without privileges sees the same sockets, and of the processes only
// some; which ones must be what ss sees.
func TestUnprivilegedAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	for seed := range uint64(2) {
		z := newZoo(t, 200+seed)
		out, err := z.host.OutputUnprivileged("ss", "-H", "-O", "-n", "-t", "-u", "-a", "-p", "-e")
		z.check(err)
		stdout, stderr, code, err := z.host.RunChild("read", false)
		if err != nil || code != 0 {
			t.Fatalf("child: %v, code %d: %s", err, code, stderr)
		}
		var got Table
		z.check(json.Unmarshal(stdout, &got))
		inet := slices.DeleteFunc(slices.Clone(got.Sockets), func(s Socket) bool {
			return s.State == StateBoundInactive || s.Protocol != TCP && s.Protocol != UDP
		})
		if diff := cmp.Diff(ssLines(t, out), ownLines(inet)); diff != "" {
			t.Errorf("seed %d (-ss +ours):\n%s", seed, diff)
		}
		held := 0
		for _, s := range got.Sockets {
			if s.Inode != 0 && s.Ownership == OwnershipUnknown {
				held++
			}
		}
		if held != got.Walk.Unowned || (held > 0) != (got.Walk.Refused > 0) || got.Walk.Refused > 0 && got.Walk.Need == "" {
			t.Errorf("seed %d: %d sockets without owner, account %+v", seed, held, got.Walk)
		}
	}
}

func TestUnixAgainstSS(t *testing.T) {
	needsTool(t, "ss")
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 300+seed)
		out, err := z.host.Output("ss", "-H", "-O", "-x", "-a", "-p")
		z.check(err)
		var ours []string
		for _, s := range z.read(Options{Protocols: []Protocol{Unix}, Processes: true}).Sockets {
			ours = append(ours, unixLine(s))
		}
		slices.Sort(ours)
		if diff := cmp.Diff(ssUnixLines(t, out), ours); diff != "" {
			t.Errorf("seed %d (-ss +ours):\n%s", seed, diff)
		}
	})
}

func TestAgainstNetstat(t *testing.T) {
	needsTool(t, "netstat")
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 400+seed)
		out, err := z.host.Output("netstat", "-tuwanpe", "--wide")
		z.check(err)
		got := z.read(Options{Protocols: []Protocol{TCP, UDP, Raw}, Processes: true})
		var ours []string
		for _, s := range got.Sockets {
			if s.State != StateBoundInactive {
				ours = append(ours, netstatLine(s))
			}
		}
		slices.Sort(ours)
		if diff := cmp.Diff(netstatLines(t, out), ours); diff != "" {
			t.Errorf("seed %d (-netstat +ours):\n%s", seed, diff)
		}
	})
}

// What /proc tells where there is no sock_diag is the same, less what it does
// not know.
func TestProcIsTheSame(t *testing.T) {
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 500+seed)
		diag := z.read(Options{Protocols: everything})
		var proc Table
		z.check(z.host.Do(func() (err error) {
			l := fromProc(Options{Protocols: everything}, procRoot)
			proc, err = l.table(t.Context())
			return err
		}))
		if diff := cmp.Diff(everything, proc.FromProc); diff != "" {
			t.Errorf("from /proc (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(knownToProc(diag.Sockets), knownToProc(proc.Sockets)); diff != "" {
			t.Errorf("seed %d (-sock_diag +proc):\n%s", seed, diff)
		}
	})
}

func knownToProc(sockets []Socket) (lines []string) {
	for _, s := range sockets {
		if s.State == StateBoundInactive {
			continue
		}
		local := netip.AddrPortFrom(s.Local.Addr().WithZone(""), s.Local.Port())
		line := fmt.Sprint(s.Protocol, s.Family, local, s.Remote, s.State, s.Inode, s.Type, s.Path)
		if s.Protocol.internet() { // a packet socket hears more while it is looked at
			line += fmt.Sprint(" ", s.UID, s.RecvQueue, s.SendQueue, s.AcceptQueue, s.Timer)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// ssState are the words of ss.
var ssState = map[State]string{
	StateEstablished: "ESTAB", StateSynSent: "SYN-SENT", StateSynRecv: "SYN-RECV", StateFinWait1: "FIN-WAIT-1",
	StateFinWait2: "FIN-WAIT-2", StateTimeWait: "TIME-WAIT", StateClose: "UNCONN", StateCloseWait: "CLOSE-WAIT",
	StateLastAck: "LAST-ACK", StateListen: "LISTEN", StateClosing: "CLOSING",
}

// ssEndpoint writes an address as ss does.
func ssEndpoint(s Socket, ap netip.AddrPort) string {
	a := ap.Addr().WithZone("")
	text := a.String()
	switch {
	case a == netip.IPv6Unspecified() && s.V6Only != V6OnlyYes:
		text = "*"
	case a.Is6():
		text = "[" + text + "]"
	}
	if s.Device != "" && ap == s.Local {
		text += "%" + s.Device
	}
	if ap.Port() == 0 {
		return text + ":*"
	}
	return fmt.Sprintf("%s:%d", text, ap.Port())
}

func queues(s Socket) string {
	if s.State == StateListen {
		return fmt.Sprint(s.AcceptQueue, " ", s.Backlog)
	}
	return fmt.Sprint(s.RecvQueue, " ", s.SendQueue)
}

func ownLines(sockets []Socket) (lines []string) {
	for _, s := range sockets {
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s users:%s uid:%d ino:%d sk:%x", s.Protocol, ssState[s.State], queues(s),
			ssEndpoint(s, s.Local), ssEndpoint(s, s.Remote), owners(s), s.UID, s.Inode, s.Cookie))
	}
	slices.Sort(lines)
	return lines
}

func owners(s Socket) string {
	var text []string
	for _, p := range s.Owners {
		text = append(text, fmt.Sprintf("%q,pid=%d,fd=%d", p.Name, p.PID, p.FD))
	}
	slices.Sort(text)
	return strings.Join(text, " ")
}

var (
	ssUser = regexp.MustCompile(`\("([^"]*)",pid=(\d+),fd=(\d+)\)`)
	ssUID  = regexp.MustCompile(` uid:(\d+)`)
	ssIno  = regexp.MustCompile(` ino:(\d+) sk:([0-9a-f]+)`)
)

func ssOwners(line string) string {
	var text []string
	for _, m := range ssUser.FindAllStringSubmatch(line, -1) {
		text = append(text, fmt.Sprintf("%q,pid=%s,fd=%s", m[1], m[2], m[3]))
	}
	slices.Sort(text)
	return strings.Join(text, " ")
}

func ssLines(t *testing.T, out []byte) (lines []string) {
	t.Helper()
	for line := range strings.Lines(string(out)) {
		col := strings.Fields(line)
		if len(col) < 6 {
			t.Fatalf("ss printed %q", line)
		}
		uid, ino, cookie := "0", "0", ""
		if m := ssUID.FindStringSubmatch(line); m != nil {
			uid = m[1]
		}
		if m := ssIno.FindStringSubmatch(line); m != nil {
			ino, cookie = m[1], m[2]
		}
		lines = append(lines, fmt.Sprintf("%s users:%s uid:%s ino:%s sk:%s", strings.Join(col[:6], " "), ssOwners(line), uid, ino, cookie))
	}
	if len(lines) == 0 {
		t.Fatal("ss printed nothing")
	}
	slices.Sort(lines)
	return lines
}

var ssType = map[SocketType]string{TypeStream: "u_str", TypeDatagram: "u_dgr", TypeSeqPacket: "u_seq"}

func unixLine(s Socket) string {
	path := s.Path
	if path == "" {
		path = "*"
	}
	return fmt.Sprintf("%s %s %s %s %d * %d users:%s", ssType[s.Type], ssState[s.State], queues(s), path, s.Inode, s.Peer, owners(s))
}

func ssUnixLines(t *testing.T, out []byte) (lines []string) {
	t.Helper()
	for line := range strings.Lines(string(out)) {
		col := strings.Fields(line)
		if len(col) < 8 {
			t.Fatalf("ss printed %q", line)
		}
		lines = append(lines, strings.Join(col[:8], " ")+" users:"+ssOwners(line))
	}
	slices.Sort(lines)
	return lines
}

var netstatState = map[State]string{
	StateEstablished: "ESTABLISHED", StateSynSent: "SYN_SENT", StateSynRecv: "SYN_RECV", StateFinWait1: "FIN_WAIT1",
	StateFinWait2: "FIN_WAIT2", StateTimeWait: "TIME_WAIT", StateClose: "CLOSE", StateCloseWait: "CLOSE_WAIT",
	StateLastAck: "LAST_ACK", StateListen: "LISTEN", StateClosing: "CLOSING",
}

// netstatLine is a line of netstat -anpe, columns one blank apart.
func netstatLine(s Socket) string {
	proto := s.Protocol.String()
	if s.Family == FamilyIPv6 {
		proto += "6"
	}
	state := netstatState[s.State]
	switch {
	case s.Protocol == Raw:
		state = strconv.Itoa(int(s.State)) // it knows no words there
	case s.Protocol == UDP && s.State == StateClose:
		state = ""
	}
	program := "-"
	if len(s.Owners) > 0 {
		program = fmt.Sprintf("%d/%s", s.Owners[0].PID, s.Owners[0].Program)
	}
	recv := s.RecvQueue
	if s.State == StateListen {
		recv = s.AcceptQueue
	}
	line := fmt.Sprintf("%s %d %d %s %s %s %d %d %s", proto, recv, s.SendQueue, netstatEndpoint(s.Local), netstatEndpoint(s.Remote),
		state, s.UID, s.Inode, program)
	return strings.Join(strings.Fields(line), " ")
}

func netstatEndpoint(ap netip.AddrPort) string {
	port := "*"
	if ap.Port() != 0 {
		port = strconv.Itoa(int(ap.Port()))
	}
	return ap.Addr().WithZone("").String() + ":" + port
}

func netstatLines(t *testing.T, out []byte) (lines []string) {
	t.Helper()
	for line := range strings.Lines(string(out)) {
		if col := strings.Fields(line); regexp.MustCompile(`^(tcp|udp|raw)6?$`).MatchString(col[0]) {
			lines = append(lines, strings.Join(col, " "))
		}
	}
	if len(lines) == 0 {
		t.Fatalf("netstat printed %q", out)
	}
	slices.Sort(lines)
	return lines
}
