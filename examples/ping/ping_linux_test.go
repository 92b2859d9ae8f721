package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/ping"
)

// twoNets is client - gw - server; the wire to the server has an MTU of 1300.
func twoNets(t testing.TB) (client, gw *lab.Host) {
	t.Helper()
	l := lab.New(t)
	client, gw, server := l.Host("client"), l.Router("gw"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), gw.Port("lan", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), server.Port("eth0", "10.2.0.2/24", "fd00:2::2/64"))
	for h, via := range map[*lab.Host][]string{client: {"10.1.0.1", "fd00:1::1"}, server: {"10.2.0.1", "fd00:2::1"}} {
		h.Route("default", via[0])
		h.Route("default", via[1])
	}
	gw.MTU("wan", 1300)
	server.MTU("eth0", 1300)
	return client, gw
}

// tool runs ours inside a host.
func tool(t testing.TB, h *lab.Host, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := h.DoUnprivileged(func() error {
		code = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), code
}

// What the installed ping cannot be asked for, or only once: a router's MTU is
// remembered by the host.
func TestLines(t *testing.T) {
	client, _ := twoNets(t)
	for line, want := range map[string]string{
		"-c 1 -M probe -s 1372 10.2.0.2":   "From 10.1.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1300)\n",
		"-c 1 -M probe -s 1372 fd00:2::2":  "From fd00:1::1 icmp_seq=1 Packet too big: mtu=1300\n",
		"-c 3 -i 0.01 -O -W 0.2 10.1.0.99": "no answer yet for icmp_seq=1\n",
	} {
		if out, _, code := tool(t, client, "", strings.Fields(line)...); !strings.Contains(out, want) || code != 1 {
			t.Errorf("%s: exit %d, want %q in:\n%s", line, code, want, out)
		}
	}
}

// With a deadline it is replies that -c counts, and the time of a run is that
// of its sending: waiting for the last reply is no part of it.
func TestDeadlineAndTime(t *testing.T) {
	client, gw := twoNets(t)
	first := gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.2.0.2", Share: 0.5, Action: lab.Drop})
	out, _, code := tool(t, client, "", strings.Fields("-c 3 -w 20 -i 0.05 10.2.0.2")...)
	if code != 0 || !strings.Contains(out, " 3 received") || first.Packets() > 0 == strings.Contains(out, "\n3 packets") {
		t.Errorf("exit %d, %d dropped:\n%s", code, first.Packets(), out)
	}
	client.Blackhole("10.9.2.0/24")
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.2.0.8", Action: lab.Drop})
	if out, _, _ := tool(t, client, "", "-c", "1", "-W", "1", "10.2.0.8"); !shortRun.MatchString(out) {
		t.Errorf("waiting is counted:\n%s", out)
	}
}

// shortRun is the line of a run whose sending took less than the second that
// was waited for the reply.
var shortRun = regexp.MustCompile(`loss, time \d{1,3}ms`)

// A neighbour is shown with the name of its interface.
func TestZoneShown(t *testing.T) {
	client, _ := twoNets(t)
	if out, _, code := tool(t, client, "", "-c", "1", "-W", "1", "ff02::1%eth0"); code != 0 || !strings.Contains(out, "%eth0: icmp_seq=1 ") {
		t.Errorf("no zone:\n%s", out)
	}
}

func TestSweep(t *testing.T) {
	client, gw := twoNets(t)
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.2.0.9", Action: lab.RejectAdmin})
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.2.0.8", Action: lab.Drop})
	client.Unreachable("10.9.1.0/24")
	for _, tc := range []struct {
		line, stdin, want string
		code              int
	}{
		{"-g 10.2.0.1 10.2.0.2", "", "10.2.0.1 is alive\n10.2.0.2 is alive\n", 0},
		{"10.2.0.2 10.2.0.9", "", "10.2.0.2 is alive\n10.2.0.9 is unreachable (Packet filtered from 10.1.0.1)\n", 1},
		{"-a -i 0 -g 10.2.0.0/30", "", "10.2.0.1\n10.2.0.2\n", 0},
		{"-u -W 0.1 -r 1 -", "10.2.0.2 # here\n\n10.2.0.8\n", "10.2.0.8\n", 1},
		{"10.9.1.1 10.2.0.2", "", "10.9.1.1 is not tested (no route to host)\n10.2.0.2 is alive\n", 1},
	} {
		out, errs, code := tool(t, client, tc.stdin, strings.Fields(tc.line)...)
		if d := cmp.Diff(tc.want, out); d != "" || code != tc.code || errs != "" {
			t.Errorf("%s: exit %d, want %d, %q (-want +got):\n%s", tc.line, code, tc.code, errs, d)
		}
	}
}

// The same hosts are alive, and not alive, for the installed fping.
func TestAgainstFping(t *testing.T) {
	if _, err := exec.LookPath("fping"); err != nil {
		t.Skip("needs fping")
	}
	client, gw := twoNets(t)
	gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: "10.2.0.4/30", Action: lab.Drop})
	for _, tc := range []struct{ theirs, ours string }{
		{"-a -q -r 0 -t 300 -g 10.2.0.0/29", "-a -W 0.3 -g 10.2.0.0/29"},
		{"-u -q -r 0 -t 300 -g 10.2.0.1 10.2.0.7", "-u -W 0.3 -g 10.2.0.1 10.2.0.7"},
		{"-a -r 0 -t 300 10.2.0.1 10.2.0.2", "-a -W 0.3 10.2.0.1 10.2.0.2"},
	} {
		cmd := client.Command("fping", strings.Fields(tc.theirs)...)
		var theirs bytes.Buffer
		cmd.Stdout = &theirs
		wantCode := 0
		if exit, ok := cmd.Run().(*exec.ExitError); ok {
			wantCode = exit.ExitCode()
		}
		out, _, code := tool(t, client, "", strings.Fields(tc.ours)...)
		want, got := strings.Fields(theirs.String()), strings.Fields(out)
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" || code != wantCode || len(got) == 0 {
			t.Errorf("%s: exit %d, want %d (-fping +ours):\n%s", tc.ours, code, wantCode, d)
		}
	}
}

func TestJSON(t *testing.T) {
	client, _ := twoNets(t)
	out, _, code := tool(t, client, "", "--json", "-c", "2", "-i", "0.01", "10.2.0.2")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 3 {
		t.Fatalf("exit %d:\n%s", code, out)
	}
	var r ping.Result
	if err := json.Unmarshal([]byte(lines[1]), &r); err != nil || r.Outcome != ping.OutcomeReply || r.Seq != 2 || r.RTT <= 0 {
		t.Errorf("%v: %+v", err, r)
	}
	var s ping.Summary
	if err := json.Unmarshal([]byte(lines[2]), &s); err != nil || s.Received != 2 || !strings.Contains(lines[2], `"type":"summary"`) {
		t.Errorf("%v: %+v", err, s)
	}
}

func TestUsage(t *testing.T) {
	client := lab.New(t).Host("client")
	for line, want := range map[string]string{
		"":                                "which host?",
		"-4 -6 ::1":                       "do not go together",
		"-M never 127.0.0.1":              "-M: do, want, dont or probe, not \"never\"",
		"-c 1 fe80::1%nosuch0":            "fe80::1%nosuch0: there is no interface nosuch0",
		"-c 1 fe80::1%99":                 "there is no interface 99",
		"-T always 127.0.0.1":             "-T",
		"-p xyz 127.0.0.1":                "-p",
		"-Q 256 127.0.0.1":                "-Q",
		"-c -1 127.0.0.1":                 "at least one",
		"-c 0 127.0.0.1":                  "at least one",
		"-T tsprespec ::1":                "given hops",
		"-T tsprespec b 1.1.1.1":          "not an address",
		"-g 1.2.3":                        "not a prefix such as",
		"-g 127.0.0.1":                    "-g",
		"-I nosuch0 127.0.0.1":            "SO_BINDTODEVICE nosuch0: No such device",
		"-I nosuch0 -g ::1/128":           "-I nosuch0: no such device",
		"-W -1 127.0.0.1":                 "-W: less",
		"-w -1 127.0.0.1":                 "-w: less",
		"-i -1 127.0.0.1":                 "-i: less",
		"-s -1 127.0.0.1":                 "-s: 0 to 65507",
		"-s 65508 127.0.0.1":              "-s: 0 to 65507",
		"-t 0 127.0.0.1":                  "-t: 1 to 255",
		"-t 256 127.0.0.1":                "-t: 1 to 255",
		"-l 0 127.0.0.1":                  "-l: 1 to 65536",
		"-Q EF 127.0.0.1":                 "-Q",
		"-R -T tsonly 127.0.0.1":          "only one of -T or -R",
		"-C 127.0.0.1 ::1":                "--connect is for one host",
		"-N name ::1 ::2":                 "--nodeinfo is for one host",
		"-e -1 ::1":                       "-e: 0 to 65535",
		"-e 65536 ::1":                    "-e: 0 to 65535",
		"-e x ::1":                        "-e/--identifier",
		"-F zz ::1":                       "-F: \"zz\" is not a number",
		"-F 0x100000 ::1":                 "greater than 20 bits",
		"-F 1 127.0.0.1":                  "family for hostname",
		"-4 -F 1 localhost":               "-4 and -F do not go together",
		"-4 -N name localhost":            "-4 and -N do not go together",
		"-N name 127.0.0.1":               "family for hostname",
		"-N what ::1":                     "no such query or subject: \"what\"",
		"-N name -N ipv6 ::1":             "one question at a time",
		"-N subject-name=a ::1":           "what is asked?",
		"-N name -A ::1":                  "does not go together with -A",
		"-N name ::1":                     "operation not permitted",
		"-S 0 ::1":                        "-S: 1 to",
		"-S x ::1":                        "-S/--sndbuf",
		"-ur 1x ::1":                      "1x",
		"-N name -N subject-name= ::1":    "which name?",
		"-N name -N subject-ipv4=::1 ::1": "-N subject-ipv4=::1: ",
		"-N name -N subject-name=a -N subject-ipv6=::1 ::1": "one subject at a time",
		"-c 2 -u 127.0.0.1":    "do not go together",
		"-f -g 127.0.0.0/30":   "--flood is for one host",
		"-O ::1 127.0.0.1":     "--outstanding is for one host",
		"--period 1 127.0.0.1": "--period is for",
		"-c 1 -g ::/64":        "too many",
		"-c 1 127.256.1":       "127.256.1: ",
		"-6 127.0.0.1":         "family for hostname",
		"-a -":                 "",
	} {
		out, errs, code := tool(t, client, "", strings.Fields(line)...)
		if code != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d, %q %q", line, code, out, errs)
		}
	}
	client = lab.New(t).Host("closed")
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	if _, errs, code := tool(t, client, "", "127.0.0.1"); code != 2 || !strings.Contains(errs, "ping_group_range") || !strings.Contains(errs, "setcap cap_net_raw") {
		t.Errorf("no permission: exit %d, %q", code, errs)
	}
}

// Ctrl-\ shows the statistics and does not end the run.
func TestQuitSignal(t *testing.T) {
	var shown bytes.Buffer
	v := &view{sent: 4}
	for seq := range 3 {
		v.stats.Add(&ping.Result{Seq: seq + 1, Outcome: ping.OutcomeReply, RTT: time.Millisecond})
	}
	done := make(chan struct{})
	stop := onQuit(func() { v.short(&shown); close(done) })
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-done
	stop()
	if got, want := shown.String(), "\r3/4 packets, 25% loss, min/avg/ewma/max = 1.000/1.000/1.000/1.000 ms\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Ctrl-\ goes on, Ctrl-C ends with the statistics; so it is for Windows' layout.
func TestSignals(t *testing.T) {
	client, _ := twoNets(t)
	for _, tc := range []struct{ line, quit, statistics string }{
		{"-i 0.05 10.2.0.2", "packets, 0% loss, min/avg/ewma/max = ", "ping statistics ---\n"},
		{"--windows -t 10.2.0.2", "Lost = 0 (0% loss)", "Ping statistics for 10.2.0.2:\n"},
	} {
		cmd := client.ChildCommand("ping", false, strings.Fields(tc.line)...)
		var stderr bytes.Buffer
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = w, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		lines := bufio.NewScanner(r)
		var all strings.Builder
		next := func() { lines.Scan(); all.WriteString(lines.Text() + "\n") }
		for !strings.Contains(all.String(), "from 10.2.0.2") {
			next()
		}
		cmd.Process.Signal(syscall.SIGQUIT)
		for seen := strings.Count(all.String(), "from 10.2.0.2"); strings.Count(all.String(), "from 10.2.0.2") <= seen; {
			next()
		}
		cmd.Process.Signal(os.Interrupt)
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
		}
		err = cmd.Wait()
		r.Close()
		if err != nil || !strings.Contains(all.String()+stderr.String(), tc.quit) || !strings.Contains(all.String(), tc.statistics) {
			t.Errorf("%s: %v\n%s%s", tc.line, err, all.String(), stderr.String())
		}
	}
}
