package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// path is client - r1 - r2 - web1, with 1400 bytes behind r2.
func path(t *testing.T) (client, r2 *lab.Host) {
	t.Helper()
	l := lab.New(t)
	client, r1, r2, web1 := l.Host("client"), l.Router("r1"), l.Router("r2"), l.Host("web1")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), r1.Port("a", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(r1.Port("b", "10.2.0.1/24", "fd00:2::1/64"), r2.Port("a", "10.2.0.2/24", "fd00:2::2/64"))
	l.Connect(r2.Port("b", "10.3.0.1/24", "fd00:3::1/64"), web1.Port("eth0", "10.3.0.5/24", "fd00:3::5/64"))
	for _, r := range []struct {
		h        *lab.Host
		dst, via string
	}{
		{client, "default", "10.1.0.1"}, {client, "default", "fd00:1::1"},
		{r1, "10.3.0.0/16", "10.2.0.2"}, {r1, "fd00:3::/64", "fd00:2::2"},
		{r2, "10.1.0.0/24", "10.2.0.1"}, {r2, "fd00:1::/64", "fd00:2::1"},
		{web1, "default", "10.3.0.1"}, {web1, "default", "fd00:3::1"},
	} {
		r.h.Route(r.dst, r.via)
	}
	r2.MTU("b", 1400)
	web1.MTU("eth0", 1400)
	client.Hosts("127.0.0.1 localhost\n10.1.0.1 gate\n10.2.0.2 second\n10.3.0.5 web1\nfd00:1::1 gate\nfd00:2::2 second\nfd00:3::5 web1\n")
	client.ResolvConf("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	for dst, a := range map[string]lab.Action{"10.3.0.7": lab.RejectHost, "10.3.0.8": lab.Drop, "10.3.0.9": lab.RejectNet, "fd00:3::7": lab.RejectAdmin} {
		r2.Filter(lab.Forward, lab.Rule{Dst: dst, Action: a})
	}
	return client, r2
}

var (
	times = regexp.MustCompile(` +\d+\.\d{3}ms`)
	ours  = regexp.MustCompile(`(?m)^     (Shrinks|Note): .*\n`)
)

// masked leaves out what differs from run to run, the classic's second answer
// of a hop, and what it does not say.
func masked(text string) string {
	text = strings.ReplaceAll(text, "[LOCALHOST]  ", "[LOCALHOST]")
	text = ours.ReplaceAllString(times.ReplaceAllString(text, " T"), "")
	text = regexp.MustCompile(` 1\?: \[LOCALHOST\]( T)?`).ReplaceAllString(text, " 1?: [LOCALHOST]")
	var lines []string
	for l := range strings.Lines(text) {
		l = strings.Join(strings.Fields(l), " ")
		if len(lines) == 0 || lines[len(lines)-1] != l {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "\n")
}

// The same command line as for the installed one gives the same lines, as an
// ordinary user. The classic keeps to what the kernel has learnt, so that has
// to be forgotten.
func TestAgainstTracepath(t *testing.T) {
	for _, tool := range []string{"tracepath", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	lines := []string{
		"-n 10.3.0.5", "10.3.0.5", "-b 10.3.0.5", "-b -4 web1", "-4 web1", "-6 web1", "-n fd00:3::5", "-b fd00:3::5", "-n -p 99 10.3.0.5",
		"-n -l 1300 10.3.0.5", "-n -l 1450 10.3.0.5", "-n -l 1450 fd00:3::5", "-n 10.1.0.1", "-n -m 2 10.3.0.5",
		"-n 10.3.0.7", "-n 10.3.0.9", "-n -l 1400 fd00:3::7", "-n -m 3 10.3.0.8",
	}
	const labs = 6
	var all sync.WaitGroup
	for n := range labs {
		client, _ := path(t)
		all.Go(func() {
			for i := n; i < len(lines); i += labs {
				compare(t, client, lines[i])
			}
		})
	}
	all.Wait()
}

// compare runs both. A busy machine is slower than the classic waits.
func compare(t *testing.T, client *lab.Host, line string) {
	d := ""
	for range 3 {
		for _, family := range []string{"-4", "-6"} {
			if _, err := client.Output("ip", family, "route", "flush", "cache"); err != nil {
				t.Error(err)
			}
		}
		want, err := client.Output("tracepath", strings.Fields(line)...)
		if err != nil {
			t.Errorf("%s: tracepath: %v", line, err)
		}
		got, stderr, code, err := client.RunChild("tracepath", false, strings.Fields(line)...)
		if err != nil || code != 0 || len(stderr) > 0 {
			t.Errorf("%s: %v, exit code %d, %s", line, err, code, stderr)
		}
		if d = cmp.Diff(masked(string(want)), masked(string(got))); d == "" {
			return
		}
		d += fmt.Sprintf("\n%s%s", want, got)
	}
	t.Errorf("%s (-tracepath +ours)\n%s", line, d)
}

// Where the classic waits in vain.
func TestSilent(t *testing.T) {
	client, r2 := path(t)
	r2.Filter(lab.Output, lab.Rule{ICMP: lab.TooBig})
	want := ` 1?: [LOCALHOST] pmtu 1500
 1:  10.1.0.1 T 
 2:  10.2.0.2 T 
 3?: [SILENT] pmtu 1400
 3:  10.3.0.5 T reached
     Resume: pmtu 1400 hops 3 back 3 
     Shrinks: behind hop 2 (10.2.0.2) the path MTU shrinks from 1500 to 1400 bytes, and longer packets vanish without a word: a black hole
`
	out, stderr, code, err := client.RunChild("tracepath", false, "-n", "10.3.0.5")
	got := regexp.MustCompile(`\] +pmtu`).ReplaceAllString(times.ReplaceAllString(string(out), " T"), "] pmtu")
	if err != nil || code != 0 || len(stderr) > 0 {
		t.Errorf("%v, exit code %d: %s", err, code, stderr)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	out, _, code, err = client.RunChild("tracepath", false, "--json", "web1")
	var p trace.PathMTU
	if err != nil || code != 0 || json.Unmarshal(out, &p) != nil || p.MTU != 1400 || len(p.Steps) != 1 || p.Steps[0].How != trace.MTUSilent {
		t.Errorf("%v, exit code %d: %s", err, code, out)
	}
}

func TestFailures(t *testing.T) {
	client, _ := path(t)
	client.Prohibit("10.4.0.0/16")
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	for _, tt := range []struct {
		line, stderr string
	}{
		{"-n 10.4.0.1", "tracepath: trace: mtu 10.4.0.1: connect: permission denied\n"},
		{"-6 10.3.0.5", "tracepath: 10.3.0.5 has no IPv6 address\n"},
		{"nosuch.", "tracepath: cannot resolve nosuch.: "},
		{"-i eth7 10.3.0.5", "tracepath: trace: mtu 10.3.0.5: no such device\n"},
	} {
		_, stderr, code, err := client.RunChild("tracepath", false, strings.Fields(tt.line)...)
		if err != nil || code != 2 || !strings.HasPrefix(string(stderr), tt.stderr) {
			t.Errorf("%s: %v, exit code %d: %s", tt.line, err, code, stderr)
		}
	}
	// Nothing at all may be sent as an ICMP request, and it still works.
	if out, stderr, code, err := client.RunChild("tracepath", false, "-n", "10.3.0.5"); err != nil || code != 0 || !strings.Contains(string(out), "pmtu 1400") {
		t.Errorf("%v, exit code %d: %s%s", err, code, out, stderr)
	}
}

func TestInterrupt(t *testing.T) {
	client, _ := path(t)
	cmd := client.ChildCommand("tracepath", false, "-n", "-m", "255", "10.3.0.8")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Errorf("ended with %v", err)
	}
}
