package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// path is client - r1 - r2 - web1, with names.
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
	client.Hosts("127.0.0.1 localhost\n10.1.0.1 gate\n10.2.0.2 a-router-with-a-name-that-is-very-long.example\n10.3.0.5 web1\nfd00:3::5 web6\n")
	client.ResolvConf("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	for _, key := range []string{"net/ipv4/icmp_ratemask", "net/ipv6/icmp/ratemask"} {
		web1.Sysctl(key, "0")
	}
	r2.Filter(lab.Forward, lab.Rule{Dst: "10.3.0.8", Action: lab.Drop})
	return client, r2
}

var (
	number  = regexp.MustCompile(`^\d+\.\d+$`)
	element = regexp.MustCompile(`^\d+\.\d+</`)
)

// masked is the text without the times, and with the length of each line.
func masked(text string) (lines []string) {
	for line := range strings.Lines(text) {
		words := strings.FieldsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r == ' ' || r == ',' })
		for i, w := range words {
			switch {
			case number.MatchString(w):
				words[i] = "T"
			case strings.Contains(w, "</"):
				words[i] = element.ReplaceAllString(w, "T</")
			case w == "MTR.0.95" || w == "MTR.netsonde":
				words[i], words[i+1] = "MTR", "time"
			case i > 0 && words[0] == "Start:":
				words[i] = "time"
			}
		}
		if words[0] != "MTR" {
			words = append(words, fmt.Sprint(len(line)))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// The same command line as for the installed one gives the same text: lines,
// columns, widths, counts and losses.
func TestAgainstMtr(t *testing.T) {
	if _, err := exec.LookPath("mtr"); err != nil {
		t.Skip("needs mtr")
	}
	client, _ := path(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	var again []string
	for _, line := range []string{
		"-rc 2 web1", "-rwc 2 web1", "-rnc 2 web1", "-rwbc 1 web1", "-rbc 1 10.3.0.5", "-rnc 1 -6 web6", "-rc 1 web6", "-rnc 2 -u web1",
		"-rnc 1 -T -P 81 web1", "-rnc 1 -f 2 web1", "-rnc 1 -m 2 web1", "-rnc 2 10.3.0.8", "-n -C -c 2 web1", "-Cc 2 10.3.0.8",
		"-rnc 2 -o LDRSNBAWVGJMXI web1", "-rnc 2 -s 100 -i 0.5 web1", "-rnc 1 -I eth0 -a 10.1.0.2 web1", "-rc 1",
		"-rnc 1 -Q 16 web1", "-rnc 1 -s 28 web1", "-rnc 1 -u -L 5000 web1", "-rnc 1 -G 1 10.3.0.8", "-rnc 1 10.2.0.2 web1", "-rnc 1 -F hosts 10.2.0.2",
		"-nxc 2 web1", "-xc 1 -o LDRSNBAWVGJMXI web1", "-rnc 1 -y 0 web1", "-rnc 1 -y 1 web1", "-rwc 1 -y 1 web1",
		"-rnc 1 -y 2 web1", "-rwnc 1 -y 3 web1", "-rnc 1 -y 4 web1", "-nCc 1 -y 2 web1",
		"-rnzc 1 10.3.0.8", "-rwzc 1 web1", "-nCzc 1 10.3.0.8",
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
	// A busy machine loses packets. What differs is compared by itself.
	for _, line := range again {
		d := ""
		for range 3 {
			if d = compare(t, client, line); d == "" {
				break
			}
		}
		if d != "" {
			t.Errorf("%s (-mtr +ours)\n%s", line, d)
		}
	}
}

// compare runs both and returns how they differ.
func compare(t *testing.T, client *lab.Host, line string) string {
	args := strings.Fields(line)
	if i := slices.Index(args, "hosts"); i > 0 {
		args[i] = filepath.Join(t.TempDir(), "hosts")
		if err := os.WriteFile(args[i], []byte("web1\n10.1.0.1\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	var want []byte
	var classic sync.WaitGroup
	classic.Go(func() {
		var err error
		// Five seconds are what it waits for more at the end, unless told.
		if want, err = client.Output("mtr", append([]string{"-G", "1"}, args...)...); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	})
	got, stderr, code, err := client.RunChild("mtr", true, args...)
	if err != nil || code != 0 {
		t.Errorf("%s: %v, exit code %d: %s", line, err, code, stderr)
	}
	classic.Wait()
	return cmp.Diff(masked(string(want)), masked(string(got)))
}

// The classic's JSON is in ours, and the library's report around it; an
// ordinary user gets it too.
func TestJSON(t *testing.T) {
	client, _ := path(t)
	out, stderr, code, err := client.RunChild("mtr", false, "--json", "-n", "-c", "3", "-i", "0.1", "web1")
	var got struct {
		Report struct {
			Mtr  struct{ Src, Dst string }
			Hubs []struct {
				Count int
				Host  string
				Loss  float64 `json:"Loss%"`
				Snt   int
				Avg   float64
			}
		}
		Method  trace.Method
		Reached bool
		Hops    []trace.HopStats
		Verdict trace.Verdict
	}
	if err != nil || code != 0 || len(stderr) > 0 || json.Unmarshal(out, &got) != nil {
		t.Fatalf("%v, exit code %d: %s%s", err, code, out, stderr)
	}
	hubs := got.Report.Hubs
	if len(hubs) != 3 || hubs[1].Host != "10.2.0.2" || hubs[2].Snt != 3 || hubs[2].Avg <= 0 || got.Report.Mtr.Dst != "web1" {
		t.Errorf("the classic's part: %s", out)
	}
	if !got.Reached || got.Method != trace.MethodICMP || len(got.Hops) != 3 || got.Verdict.Loss != trace.LossNone {
		t.Errorf("%s", out)
	}
}

// Another address that answers at a hop is told as it comes.
func TestRaw(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip")
	}
	client, r2 := path(t)
	cmd := client.ChildCommand("mtr", false, "-l", "-i", "0.05", "web1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	named, moved := false, false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		switch lines.Text() {
		case "h 1 10.2.0.2":
			// From now on it answers the client from another address.
			if _, err := r2.Output("ip", "route", "replace", "10.1.0.0/24", "via", "10.2.0.1", "src", "10.3.0.1"); err != nil {
				t.Error(err)
			}
		case "d 2 web1":
			named = true
		case "h 1 10.3.0.1":
			moved = true
		}
		if named && moved {
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Autonomous systems come from the zone asked for, in every layout; without a
// server they are not known.
func TestSystems(t *testing.T) {
	l := lab.New(t)
	client, gate, server := l.Host("client"), l.Router("gate"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), gate.Port("a", "10.1.0.1/24"))
	l.Connect(gate.Port("b", "198.51.100.1/24"), server.Port("eth0", "198.51.100.2/24"))
	client.Route("default", "10.1.0.1")
	server.Route("default", "198.51.100.1")
	zone := lab.Zone{Origin: "asn.example.", Records: map[string][]string{"2.100.51.198.origin": {"TXT 64500 | 198.51.100.0/24 | XX | test |"}}}
	server.ServeDNS("198.51.100.2:53", zone.Answer)
	client.ResolvConf("nameserver 198.51.100.2\noptions timeout:1 attempts:1\n")
	for line, want := range map[string]string{
		"-rnzc 2 -i 0.1": "\n  1. AS???    10.1.0.1             0.0%     2 ", "-rnz -c 2 -i 0.1": "\n  2. AS64500  198.51.100.2         0.0%     2 ",
		"-rny 1 -c 2": "\n  2. 198.51.100.0/24    198.51.10  0.0%     2 ", "-rny 3 -c 2": "\n  2. test    198.51.100.2          0.0%     2 ",
		"-nCz -c 1": ",2,198.51.100.2,AS64500,0.00,1,", "-njz -c 1": `"ASN":"AS64500"`,
	} {
		out, stderr, code, err := client.RunChild("mtr", false, append(strings.Fields(line), "--as-zone", "asn.example", "198.51.100.2")...)
		if err != nil || code != 0 || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, exit code %d: %s%s", line, err, code, out, stderr)
		}
	}
	client.ResolvConf("")
	out, stderr, code, _ := client.RunChild("mtr", false, "-rnzc1", "198.51.100.2")
	if code != 0 || !strings.Contains(string(out), "2. AS???    198.51.100.2") || !strings.Contains(string(stderr), "no name server is set up") {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
}

// Ctrl-C prints what there is, and what it means.
func TestInterrupt(t *testing.T) {
	client, _ := path(t)
	cmd := client.ChildCommand("mtr", false, "-rn", "-c", "100000", "-i", "0.1", "web1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "Start: ") {
		t.Errorf("the first line is %q", lines.Text())
	}
	cmd.Process.Signal(syscall.SIGINT)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "HOST: ") {
		t.Errorf("the second line is %q", lines.Text())
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(stderr.String(), "\nNo") {
		t.Errorf("%v, said %q", err, stderr.String())
	}
}

// What cannot be done is said, with what would help.
func TestFailures(t *testing.T) {
	client, _ := path(t)
	client.Prohibit("10.4.0.0/16")
	for _, tt := range []struct {
		line, stderr string
		code         int
	}{
		{"-rn 10.4.0.1", "mtr: permission denied\n", 1},
		{"-rnu 10.4.0.1", "mtr: connect: permission denied\n", 1},
		{"-6 10.3.0.5", "mtr: 10.3.0.5 has no IPv6 address\n", 2},
		{"nosuch.", "mtr: cannot resolve nosuch.: ", 2},
		{"-n -c 1 web1", "mtr: standard output is no terminal: making a report\n\nNo loss seen: ", 0},
	} {
		_, stderr, code, err := client.RunChild("mtr", false, strings.Fields(tt.line)...)
		if err != nil || code != tt.code || !strings.HasPrefix(string(stderr), tt.stderr) {
			t.Errorf("%s: %v, exit code %d, want %d: %s", tt.line, err, code, tt.code, stderr)
		}
	}
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	_, stderr, code, err := client.RunChild("mtr", false, "-rn", "10.3.0.5")
	if err != nil || code != 1 || !strings.Contains(string(stderr), "ping_group_range") || !strings.Contains(string(stderr), "hint: run it as root") ||
		!strings.Contains(string(stderr), "hint: -u and -T need no permission") {
		t.Errorf("%v, exit code %d: %s", err, code, stderr)
	}
}

// Nobody reads any more: it ends without a word.
func TestClosedPipe(t *testing.T) {
	client, _ := path(t)
	cmd := client.ChildCommand("mtr", false, "-ln", "-i", "0.01", "web1")
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
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || stderr.Len() > 0 {
		t.Errorf("%v, printed %q", err, stderr.String())
	}
}
