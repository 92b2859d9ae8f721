package main

import (
	"bufio"
	"encoding/json"
	"errors"
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

// path is client - r1 - r2 - web1, with names.
func path(t *testing.T) (client *lab.Host) {
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
	client.Hosts("127.0.0.1 localhost\n10.1.0.1 gate\n10.2.0.2 second\nfd00:2::2 second\n10.3.0.5 web1\nfd00:3::5 web1\n")
	client.ResolvConf("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	for _, key := range []string{"net/ipv4/icmp_ratemask", "net/ipv6/icmp/ratemask"} {
		web1.Sysctl(key, "0")
	}
	for dst, a := range map[string]lab.Action{"10.3.0.6": lab.RejectAdmin, "10.3.0.7": lab.RejectHost, "10.3.0.8": lab.Drop, "10.3.0.9": lab.RejectNet, "fd00:3::8": lab.Drop} {
		r2.Filter(lab.Forward, lab.Rule{Dst: dst, Action: a})
	}
	client.Prohibit("10.4.0.0/16")
	r2.MTU("b", 1400)
	web1.MTU("eth0", 1400)
	return client
}

var times = regexp.MustCompile(`  \d+\.\d{3} ms`)

func masked(text string) string {
	return strings.TrimSpace(times.ReplaceAllString(text, "  T ms"))
}

// The same command line as for the installed one gives the same text, as an
// ordinary user also with -T, and the same exit code.
func TestAgainstTraceroute(t *testing.T) {
	if _, err := exec.LookPath("traceroute"); err != nil {
		t.Skip("needs traceroute")
	}
	client := path(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	var again []string
	for _, line := range []string{
		"-n 10.3.0.5", "10.3.0.5", "web1", "-4 -n web1", "-6 web1", "-n fd00:3::5", "fd00:3::5",
		"-I -n 10.3.0.5", "-I web1", "-I -n fd00:3::5", "-T -n 10.3.0.5", "-T -p 443 web1", "-Tn fd00:3::5",
		"-U -n 10.3.0.5", "-n -p 5000 10.3.0.5", "-n -q 1 10.3.0.5", "-n -q1 -f2 10.3.0.5", "-n -q 5 -m 2 10.3.0.5",
		"-n -N 1 10.3.0.5", "-n -N 50 -z 0.001 10.3.0.5", "-n -e 10.3.0.5", "-n -i eth0 10.3.0.5", "-n -s 10.1.0.2 10.3.0.5",
		"-n 10.3.0.5 100", "-I -n fd00:3::5 200", "-n 10.1.0.1", "-n 10.1.0.2",
		"-n 10.3.0.6", "-I -n 10.3.0.6", "-T -n 10.3.0.6", "-n 10.3.0.7", "-n 10.3.0.99", "-n fd00:3::99", "-n 10.3.0.9", "-I -n 10.3.0.9",
		"-n 0.0.0.0", "-n ::", "-I -n 0.0.0.0", "-UL -n 10.3.0.5", "-n -M udplite fd00:3::5", "-n -U -p domain 10.3.0.5", "-n -T -p https 10.3.0.5", "-n -M tcpconn 10.3.0.5",
		"-n -l 77 fd00:3::5", "-n -l 77 10.3.0.5", "-n -T -l 77 fd00:3::5", "-n -r 10.1.0.1",
		"-n --sport=5000 10.3.0.5", "-n -T --sport=5001 10.3.0.5", "-n -T -O info,mss=1000 10.3.0.5", "-n -T -F 10.3.0.5 100", "-n -F -T fd00:3::5",
		"-n -M icmp 10.3.0.5", "-n -M tcp 10.3.0.5", "-n -w 2,3,10 10.3.0.5", "-n -w 1/0/0 10.3.0.5", "-n -t 16 10.3.0.5", "-n -F 10.3.0.5 1400",
		"-n -F 10.3.0.5 1450", "-n -F fd00:3::5 1450", "-n -q 1 -IF 10.3.0.5 1450",
		"-n -w 1 -m 5 10.3.0.8", "-n -I -w 1 -m 5 10.3.0.8", "-n -T -w 0.5 -m 5 fd00:3::8", "-n -w 0.5 10.3.0.8",
	} {
		all.Go(func() {
			if compare(t, client, line) == "" {
				return
			}
			mu.Lock()
			again = append(again, line)
			mu.Unlock()
		})
	}
	all.Wait()
	// The classic is impatient with answers that come much later than others,
	// as they do while all run at once. What differs is compared by itself.
	for _, line := range again {
		d := ""
		for range 3 {
			if d = compare(t, client, line); d == "" {
				break
			}
		}
		if d != "" {
			t.Errorf("%s (-traceroute +ours)\n%s", line, d)
		}
	}
}

// compare runs both and returns how they differ, in text or in exit code.
func compare(t *testing.T, client *lab.Host, line string) string {
	args := strings.Fields(line)
	var want []byte
	wantCode := 0
	var classic sync.WaitGroup
	classic.Go(func() {
		var err error
		want, err = client.Output("traceroute", args...)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			wantCode = exit.ExitCode()
		}
	})
	got, stderr, code, err := client.RunChild("traceroute", false, args...)
	classic.Wait()
	if err != nil || len(stderr) > 0 {
		t.Errorf("%s: %v, %s", line, err, stderr)
	}
	return cmp.Diff(fmt.Sprintln(masked(string(want)), wantCode), fmt.Sprintln(masked(string(got)), code))
}

// The exit codes are the classic's where it could not go on.
func TestFailures(t *testing.T) {
	client := path(t)
	for _, tt := range []struct {
		line, stderr string
		code         int
	}{
		{"-n 10.4.0.1", "traceroute: connect: permission denied\n", 1},
		{"-n -r 10.3.0.5", "traceroute: connect: network is unreachable\n", 1},
		{"-n -T 10.4.0.1", "traceroute: connect: permission denied\n", 1},
		{"-n -I 10.4.0.1", "traceroute: permission denied\n", 1},
		{"-n fe80::1", "traceroute: connect: invalid argument: a link-local address needs an interface that is there, as in fe80::1%eth0\n", 1},
		{"-n -T fe80::1%nosuch", "traceroute: connect: invalid argument: a link-local", 1},
		{"-6 10.3.0.5", "traceroute: 10.3.0.5 has no IPv6 address\n", 2},
		{"-i eth7 -n 10.3.0.5", "", 1},
		{"nosuch.", "traceroute: cannot resolve nosuch.: ", 2},
	} {
		_, stderr, code, err := client.RunChild("traceroute", false, strings.Fields(tt.line)...)
		if err != nil || code != tt.code || !strings.HasPrefix(string(stderr), tt.stderr) || len(stderr) == 0 {
			t.Errorf("%s: %v, exit code %d, want %d: %s", tt.line, err, code, tt.code, stderr)
		}
	}
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	_, stderr, code, err := client.RunChild("traceroute", false, "-I", "-n", "10.3.0.5")
	if err != nil || code != 1 || !strings.Contains(string(stderr), "ping_group_range") || !strings.Contains(string(stderr), "hint: run it as root") {
		t.Errorf("%v, exit code %d: %s", err, code, stderr)
	}
}

func TestJSON(t *testing.T) {
	client := path(t)
	out, stderr, code, err := client.RunChild("traceroute", false, "--json", "-I", "-q", "2", "web1")
	var p trace.Path
	if err != nil || code != 0 || json.Unmarshal(out, &p) != nil {
		t.Fatalf("%v, exit code %d: %s%s", err, code, out, stderr)
	}
	if !p.Reached || p.Method != trace.MethodICMP || len(p.Hops) != 3 || len(p.Hops[2].Replies) != 2 || p.Hops[2].Replies[0].Outcome != trace.OutcomeEchoReply {
		t.Errorf("%s", out)
	}
}

// Lines come while the trace goes on, and Ctrl-C ends it with them.
func TestInterrupt(t *testing.T) {
	client := path(t)
	cmd := client.ChildCommand("traceroute", false, "-n", "-w", "3600", "10.3.0.8")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for range 3 {
		lines.Scan()
	}
	if masked(lines.Text()) != "2  10.2.0.2  T ms  T ms  T ms" {
		t.Errorf("the third line is %q", lines.Text())
	}
	cmd.Process.Signal(syscall.SIGINT)
	if lines.Scan() {
		t.Errorf("printed %q", lines.Text())
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Errorf("ended with %v", err)
	}
}

// Nobody reads any more: it ends without a word.
func TestClosedPipe(t *testing.T) {
	client := path(t)
	cmd := client.ChildCommand("traceroute", false, "-n", "-w", "3600", "10.3.0.8")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Errorf("%v, printed %q", err, stderr.String())
	}
}
