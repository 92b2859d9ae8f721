package main

import (
	"bufio"
	"encoding/json"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// path is client - gate - web1, where port 8080 is open.
func path(t *testing.T) *lab.Host {
	t.Helper()
	l := lab.New(t)
	client, gate, web1 := l.Host("client"), l.Router("gate"), l.Host("web1")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), gate.Port("a", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(gate.Port("b", "10.3.0.1/24", "fd00:3::1/64"), web1.Port("eth0", "10.3.0.5/24", "fd00:3::5/64"))
	for h, via := range map[*lab.Host][]string{client: {"10.1.0.1", "fd00:1::1"}, web1: {"10.3.0.1", "fd00:3::1"}} {
		h.Route("default", via[0])
		h.Route("default", via[1])
	}
	client.Prohibit("10.4.0.0/16")
	client.Hosts("10.1.0.1 gate\n10.3.0.5 web1\n")
	client.ResolvConf("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	gate.Filter(lab.Forward, lab.Rule{Dst: "10.3.0.6"})
	gate.Filter(lab.Forward, lab.Rule{Dst: "10.3.0.7", Action: lab.RejectHost})
	web1.ListenTCP(":8080", func(c net.Conn) { c.Close() })
	return client
}

var times = regexp.MustCompile(`\d+\.\d{3} ms`)

// The lines are those of tcptraceroute 1.5beta7 on the same path, but for the
// source port, of which it has one and ours has many.
func TestLines(t *testing.T) {
	client := path(t)
	device := "Selected device eth0, address 10.1.0.2 for outgoing packets\n"
	gate := " 1  10.1.0.1  T  T  T\n"
	for _, tt := range []struct {
		line, stdout, stderr string
		code                 int
	}{
		{"-n 10.3.0.5 8080", gate + " 2  10.3.0.5 [open]  T  T  T\n",
			device + "Tracing the path to 10.3.0.5 on TCP port 8080, 30 hops max\n", 0},
		{"-n 10.3.0.5", gate + " 2  10.3.0.5 [closed]  T  T  T\n",
			device + "Tracing the path to 10.3.0.5 on TCP port 80, 30 hops max\n", 0},
		{"web1 81", " 1  gate (10.1.0.1)  T  T  T\n 2  web1 (10.3.0.5) [closed]  T  T  T\n",
			device + "Tracing the path to web1 (10.3.0.5) on TCP port 81, 30 hops max\n", 0},
		{"-n -m 4 -w 1 10.3.0.6", gate + " 2  * * *\n 3  * * *\n 4  * * *\n",
			device + "Tracing the path to 10.3.0.6 on TCP port 80, 4 hops max\nDestination not reached\n", 1},
		{"-n -m 4 10.3.0.7", gate + " 2  10.1.0.1  T !H  T !H  T !H\n",
			device + "Tracing the path to 10.3.0.7 on TCP port 80, 4 hops max\n", 0},
		{"-n -q 1 -f 2 -i eth0 10.3.0.5 8080", " 2  10.3.0.5 [open]  T\n",
			device + "Tracing the path to 10.3.0.5 on TCP port 8080, 30 hops max\n", 0},
		{"-n -q 1 -S -t 16 -s 10.1.0.2 10.3.0.5 8080", " 1  10.1.0.1  T\n 2  10.3.0.5 [open]  T\n",
			device + "Tracing the path to 10.3.0.5 on TCP port 8080, 30 hops max\n", 0},
		{"-n -m 1 10.3.0.5", gate,
			device + "Tracing the path to 10.3.0.5 on TCP port 80, 1 hops max\nDestination not reached\n", 1},
		{"-n -q 2 fd00:3::5", " 1  fd00:1::1  T  T\n 2  fd00:3::5 [closed]  T  T\n",
			"Selected device eth0, address fd00:1::2 for outgoing packets\nTracing the path to fd00:3::5 on TCP port 80, 30 hops max\n", 0},
		{"-n 10.4.0.1", "",
			"Tracing the path to 10.4.0.1 on TCP port 80, 30 hops max\ntcptraceroute: connect: permission denied\n", 2},
		{"nosuch.", "", "tcptraceroute: cannot resolve nosuch.: port_unreachable\n", 2},
	} {
		stdout, stderr, code, err := client.RunChild("tcptraceroute", false, strings.Fields(tt.line)...)
		if err != nil || code != tt.code {
			t.Errorf("%s: %v, exit code %d, want %d", tt.line, err, code, tt.code)
		}
		if d := cmp.Diff(tt.stdout, times.ReplaceAllString(string(stdout), "T")); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.line, d)
		}
		// Names of ports are those of this machine, if it has any.
		if d := cmp.Diff(tt.stderr, regexp.MustCompile(` \([a-z-]+\), `).ReplaceAllString(string(stderr), ", ")); d != "" {
			t.Errorf("%s, standard error (-want +got)\n%s", tt.line, d)
		}
	}
}

func TestJSON(t *testing.T) {
	client := path(t)
	out, stderr, code, err := client.RunChild("tcptraceroute", false, "--json", "10.3.0.5", "8080")
	var p trace.Path
	if err != nil || code != 0 || len(stderr) > 0 || json.Unmarshal(out, &p) != nil {
		t.Fatalf("%v, exit code %d: %s%s", err, code, out, stderr)
	}
	if !p.Reached || p.Port != 8080 || len(p.Hops) < 2 || p.Hops[1].Replies[0].Outcome != trace.OutcomeOpen {
		t.Errorf("%s", out)
	}
}

func TestInterrupt(t *testing.T) {
	cmd := path(t).ChildCommand("tcptraceroute", false, "-n", "-w", "3600", "10.3.0.6")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if lines.Scan(); !strings.HasPrefix(lines.Text(), " 1  10.1.0.1  ") {
		t.Errorf("printed %q", lines.Text())
	}
	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Errorf("ended with %v", err)
	}
}
