package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
)

// twoHosts is a client and a server on one segment.
func twoHosts(t *testing.T) (client, server *lab.Host) {
	t.Helper()
	l := lab.New(t)
	client, server = l.Host("client"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), server.Port("eth0", "10.1.0.3/24"))
	server.ListenTCP("10.1.0.3:80", lab.Discard)
	return client, server
}

// tool runs the tool on a host without capabilities, as a user types it.
func tool(t *testing.T, h *lab.Host, env string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := h.ChildCommand("tool", false, args...)
	c.Env = append(c.Env, env)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), 0
}

func TestReachable(t *testing.T) {
	client, _ := twoHosts(t)
	out, errs, code := tool(t, client, "", "10.1.0.3:80")
	if code != cli.Yes || errs != "" || !strings.Contains(out, "10.1.0.3:80 is reachable") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestCauseFound(t *testing.T) {
	client, _ := twoHosts(t)
	out, errs, code := tool(t, client, "", "10.1.0.3:81")
	if code != cli.No || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"svc.not_listening at the target 10.1.0.3", "✗ Does the port answer?", "$ telnet 10.1.0.3 81", "# ss -lntp sport = :81", "or   fw.server_reject"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestJSON(t *testing.T) {
	client, _ := twoHosts(t)
	out, _, code := tool(t, client, "", "--json", "10.1.0.3:81")
	var r diagnose.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != cli.No {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	if r.Version != 1 || r.Verdict.Code != diagnose.SvcNotListening || r.Verdict.Where.Kind != diagnose.AtRemote {
		t.Errorf("got %+v", r.Verdict)
	}
	for _, key := range []string{`"version":1`, `"target":`, `"verdict":`, `"causes":`, `"ambiguous":`, `"steps":`, `"facts":`, `"remedies":`, `"cost":{"packets":`, `"wall_ns":`} {
		if !strings.Contains(out, key) {
			t.Errorf("no %s in the report", key)
		}
	}
}

// TestRefuses holds what cannot be examined to one clear line and exit 2.
func TestRefuses(t *testing.T) {
	client, _ := twoHosts(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"web1:0"}, "port 0 is not between 1 and 65535"},
		{[]string{"web1:70000"}, "port 70000 is not between 1 and 65535"},
		{[]string{"http:///x"}, "the URL has no host"},
		{[]string{"bad name"}, "a host name cannot hold"},
		{[]string{"-I", "nosuch0", "10.1.0.3"}, "nosuch0"},
		{[]string{"a", "b"}, "one target at a time"},
		{[]string{"--budget", "0", "a"}, "budget"},
		{[]string{"--nonsense"}, "nonsense"},
	} {
		out, errs, code := tool(t, client, "", c.args...)
		lines := strings.Count(errs, "\n")
		if code != cli.Failed || out != "" || !strings.Contains(errs, c.want) || lines < 1 || lines > 2 {
			t.Errorf("%q: exit %d, %q on standard output, on standard error:\n%s", c.args, code, out, errs)
		}
	}
}

// TestNarrow fits the report into 60 columns, commands apart, which are for
// copying.
func TestNarrow(t *testing.T) {
	client, _ := twoHosts(t)
	out, _, _ := tool(t, client, "COLUMNS=60", "10.1.0.3:81")
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 60 && !strings.ContainsAny(line, "$#") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestNoPing says what would allow ping, and finds the cause without.
func TestNoPing(t *testing.T) {
	client, server := twoHosts(t)
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	server.PowerOff()
	out, _, code := tool(t, client, "", "--json", "10.1.0.3:80")
	var r diagnose.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != cli.No {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	if r.Verdict.Code != diagnose.PathHostUnreachable {
		t.Errorf("got %q", r.Verdict.Code)
	}
	for _, f := range r.Facts {
		if f.Name == diagnose.FactEcho && (f.State != diagnose.NotChecked || !strings.Contains(f.Need, "ping_group_range")) {
			t.Errorf("echo: %+v; want not checked, and the sysctl that would allow it", f)
		}
	}
}

// TestInterrupt prints what is known when the user loses patience.
func TestInterrupt(t *testing.T) {
	client, server := twoHosts(t)
	server.PowerOff()
	sent := client.Filter(lab.Output, lab.Rule{Proto: "tcp", Action: lab.Count})
	c := client.ChildCommand("tool", false, "10.1.0.3:80")
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); sent.Packets() == 0 && time.Now().Before(deadline); { // in the middle of it: the fault takes three seconds to show
		time.Sleep(10 * time.Millisecond)
	}
	c.Process.Signal(os.Interrupt)
	err := c.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != cli.No || !strings.Contains(out.String(), "not enough could be checked") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestClosedPipe is quiet when the reader goes away.
func TestClosedPipe(t *testing.T) {
	client, _ := twoHosts(t)
	c := client.ChildCommand("tool", false, "10.1.0.3:81")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var errs bytes.Buffer
	c.Stdout, c.Stderr = w, &errs
	err = c.Run()
	w.Close()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || errs.Len() > 0 {
		t.Errorf("%v: %s", err, errs.String())
	}
}

// TestDemo plays the demonstration: each fault is named right.
func TestDemo(t *testing.T) {
	twoHosts(t) // skips where there is no lab
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"--demo"}, nil, io.Writer(&out), io.Writer(&errs))
	if code != cli.Yes || !strings.Contains(out.String(), "7 of 7 named right") {
		t.Errorf("exit %d\n%s\n%s", code, out.String(), errs.String())
	}
}
