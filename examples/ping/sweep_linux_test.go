package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// bare takes the times out of fping's lines.
var bare = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[0-9.]+ ms`), "T ms"},
	{regexp.MustCompile(`\([0-9.]+ avg`), "(T avg"},
	{regexp.MustCompile(`= [0-9.]+/[0-9.]+/[0-9.]+\n`), "= T\n"},
	{regexp.MustCompile(`: (([0-9]+\.[0-9]+|[0-9]{3}) ?)+`), ": T "},
	{regexp.MustCompile(`[0-9.]+ sec`), "T sec"},
}

func sorted(text string) string {
	for _, b := range bare {
		text = b.re.ReplaceAllString(text, b.with)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// The lines, the statistics of each host and the summary are those of the
// installed fping, in networks where some are silent by chance.
func TestCountsAgainstFping(t *testing.T) {
	if _, err := exec.LookPath("fping"); err != nil {
		t.Skip("needs fping")
	}
	client, gw := twoNets(t)
	for range 3 {
		gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: fmt.Sprintf("10.2.0.%d", 3+rand.IntN(8)), Action: lab.Drop})
	}
	gw.Sysctl("net/ipv4/neigh/wan/retrans_time_ms", "50")
	gw.Sysctl("net/ipv4/neigh/wan/mcast_solicit", "1")
	for _, tc := range []struct{ theirs, ours string }{
		{"-c 3 -p 50 -t 400 10.2.0.2 10.2.0.1", "-c 3 --period 0.05 -W 0.4 10.2.0.2 10.2.0.1"},
		{"-C 3 -p 50 -t 400 10.2.0.2 10.2.0.1", "--vcount 3 --period 0.05 -W 0.4 10.2.0.2 10.2.0.1"},
		{"-q -C 2 -p 50 -t 400 10.2.0.2", "-q --vcount 2 --period 0.05 -W 0.4 10.2.0.2 10.2.0.2"},
		{"-e -s -r 0 10.2.0.2 10.2.0.1", "--elapsed --stats 10.2.0.2 10.2.0.1"},
		{"-a -e -r 0 10.2.0.2", "-a --elapsed 10.2.0.2"},
	} {
		theirOut, theirErr, wantCode := run1(client.Command("fping", strings.Fields(tc.theirs)...))
		out, errs, code := run1(client.ChildCommand("ping", false, strings.Fields(tc.ours)...))
		want, got := sorted(theirOut)+"\n--\n"+sorted(theirErr), sorted(out)+"\n--\n"+sorted(errs)
		if strings.Contains(tc.theirs, "-q") { // what was asked for is data
			want, got = sorted(theirErr), sorted(out)
		}
		if d := cmp.Diff(want, got); d != "" || code != wantCode {
			t.Errorf("%s: exit %d, want %d (-fping +ours):\n%s", tc.ours, code, wantCode, d)
		}
	}
	theirs, _, wantCode := run1(client.Command("fping", strings.Fields("-a -q -r 0 -t 400 -g 10.2.0.0/28")...))
	ours, _, code := run1(client.ChildCommand("ping", false, strings.Fields("-a -W 0.4 -g 10.2.0.0/28")...))
	if d := cmp.Diff(sorted(theirs), sorted(ours)); d != "" || code != wantCode {
		t.Errorf("exit %d, want %d (-fping +ours):\n%s", code, wantCode, d)
	}
}

// What a router says, duplicates and names in counts; a deadline ends both
// kinds of sweep with what there is.
func TestSweepMore(t *testing.T) {
	client, server := forgedPair(t)
	client.Hosts("10.1.0.1 web1\n")
	forge(t, server, "10.1.0.1", "10.1.0.7", []func(*forger, *request){echo(2, same), failure(3, 13, 0), echo(1, same)})
	out, errs, code := run1(client.ChildCommand("ping", false, strings.Fields("--period 0.05 -W 0.3 --vcount 4 web1")...))
	if want := "web1 : [0], 64 bytes, T ms (T avg, 0% loss)\nweb1 : [1], Packet filtered from 10.1.0.1 (T avg, 50% loss)\n" +
		"web1 : [2], 64 bytes, T ms (T avg, 33% loss)\nweb1 : [3], timed out (T avg, 50% loss)\nweb1 : duplicate for [0], 64 bytes, T ms"; sorted(out) != want || code != 0 {
		t.Errorf("exit %d:\n%s\nwant\n%s", code, sorted(out), want)
	}
	if words := strings.Fields(errs); len(words) != 6 || words[3] != "-" || words[5] != "-" {
		t.Errorf("statistics: %q", errs)
	}
	for _, line := range []string{"-w 0.3 -g 10.1.0.0/8 --stats -i 0.01", "-w 0.3 -c 100 -q 10.1.0.99 10.1.0.98"} {
		out, errs, code := run1(client.ChildCommand("ping", false, strings.Fields(line)...))
		if code != 1 || !strings.Contains(out+errs, "targets") && !strings.Contains(out+errs, "xmt/rcv/%loss = ") {
			t.Errorf("%s: exit %d:\n%s%s", line, code, out, errs)
		}
	}
}

// Ctrl-\ tells how far it is and goes on; Ctrl-C ends with what there is.
func TestSweepSignals(t *testing.T) {
	client, _ := twoNets(t)
	for line, quit := range map[string]string{
		"-c 100000 --period 0.05 10.2.0.2 10.2.0.1": "10.2.0.1 : xmt/rcv/%loss = ",
		"-i 0.05 -g 10.2.0.0/16 -W 0.2":             " hosts are alive\n",
	} {
		cmd := client.ChildCommand("ping", false, strings.Fields(line)...)
		var ends [2][2]*os.File
		for i := range ends {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			ends[i] = [2]*os.File{r, w}
		}
		cmd.Stdout, cmd.Stderr = ends[0][1], ends[1][1]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ends[0][1].Close()
		ends[1][1].Close()
		buf := make([]byte, 4096)
		ends[0][0].Read(buf) // it is at work
		var printer sync.WaitGroup
		printer.Go(func() { io.Copy(io.Discard, ends[0][0]) })
		cmd.Process.Signal(syscall.SIGQUIT)
		told := ""
		for !strings.Contains(told, quit) {
			n, err := ends[1][0].Read(buf)
			if told += string(buf[:n]); err != nil {
				break
			}
		}
		cmd.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(ends[1][0])
		printer.Wait()
		cmd.Wait()
		if told += string(rest); !strings.Contains(told, quit) || strings.Count(told, quit) < 2 || strings.Contains(told, "goroutine") {
			t.Errorf("%s: %q", line, told)
		}
	}
}
