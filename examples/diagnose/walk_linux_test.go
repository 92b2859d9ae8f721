package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
)

// TestCauseFirst holds the report to begin with the cause, then what to do,
// then what was checked.
func TestCauseFirst(t *testing.T) {
	client, _ := twoHosts(t)
	out, _, _ := tool(t, client, "", "10.1.0.3:81")
	last := -1
	for _, want := range []string{"✗ svc.not_listening", "  why  ", "  do   ", "✓ Is the interface on", "✗ Does the port answer?", "packets sent"} {
		at := strings.Index(out, want)
		if at <= last {
			t.Errorf("%q at %d, after %d, in\n%s", want, at, last, out)
		}
		last = at
	}
}

// TestNothingChecked has no network at all: each step that was not checked
// says why, and none is called in order.
func TestNothingChecked(t *testing.T) {
	l := lab.New(t)
	alone := l.Host("alone")
	alone.ResolvConf("nameserver 192.0.2.53\n")
	for _, target := range []string{"", "web1", "192.0.2.1:80"} {
		args := []string{target}
		if target == "" {
			args = nil
		}
		out, errs, code := tool(t, alone, "COLUMNS=100", args...)
		if code != cli.No || errs != "" || !strings.Contains(out, "✗ link.no_interface on this host, confirmed") {
			t.Errorf("%q: exit %d\n%s%s", target, code, out, errs)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "not checked") && strings.TrimSpace(line[strings.Index(line, "not checked")+len("not checked"):]) == ":" {
				t.Errorf("%q: no reason: %s", target, line)
			}
			if strings.HasPrefix(line, "✓") && !strings.Contains(line, "Who listens here?") {
				t.Errorf("%q: called in order: %s", target, line)
			}
		}
	}
}

// TestDiskFull says so and fails, as text and as JSON.
func TestDiskFull(t *testing.T) {
	client, _ := twoHosts(t)
	for _, args := range [][]string{{"10.1.0.3:80"}, {"--json", "10.1.0.3:80"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("needs /dev/full")
		}
		c := client.ChildCommand("tool", false, args...)
		var errs bytes.Buffer
		c.Stdout, c.Stderr = full, &errs
		err = c.Run()
		full.Close()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != cli.Failed || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%q: %v, %q", args, err, errs.String())
		}
	}
}

// TestAddressForms takes the forms in which people write addresses and ports.
func TestAddressForms(t *testing.T) {
	client, _ := twoHosts(t)
	for arg, want := range map[string]string{
		"::ffff:10.1.0.3": "10.1.0.3 is reachable", "[::ffff:10.1.0.3]:80": "10.1.0.3:80 is reachable",
		"10.1.0.3:http": "10.1.0.3:80 is reachable", "http://user:secret@10.1.0.3/x?y": "10.1.0.3:80 is reachable",
	} {
		out, errs, code := tool(t, client, "", arg)
		if code != cli.Yes || errs != "" || !strings.Contains(out, want) || strings.Contains(out, "secret") {
			t.Errorf("%s: exit %d\n%s%s", arg, code, out, errs)
		}
	}
	for arg, want := range map[string]string{
		"fe80::1": "needs its interface", "fe80::1%nosuch": "there is no interface nosuch", "[fe80::1%nosuch]:80": "there is no interface nosuch",
		"10.1.0.255": "a broadcast address is no single host's", "web1\x1b[31m": "a host name cannot hold '\\x1b'", "web1:htpt": "nor a service",
		"münchen": "ASCII form", "[::1": "a [ without its ]",
	} {
		out, errs, code := tool(t, client, "", arg)
		if code != cli.Failed || out != "" || !strings.Contains(errs, want) || strings.Contains(errs, "\x1b") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit %d, %q, %q", arg, code, out, errs)
		}
	}
}

// TestHostileNames prints nothing that the network says as it is.
func TestHostileNames(t *testing.T) {
	l := lab.New(t)
	client, ns := l.Host("client"), l.Host("ns")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), ns.Port("eth0", "10.1.0.53/24"))
	client.ResolvConf("nameserver 10.1.0.53\n")
	client.Hosts("127.0.0.1 localhost\n10.1.0.9 evil\x1b[2J host\n")
	ns.ServeDNS("10.1.0.53:53", lab.Zone{Origin: ".", Recursive: true, Records: map[string][]string{
		"@": {"NS a.root.test."}, "web1.": {"A 10.1.0.53"}, "53.0.1.10.in-addr.arpa.": {"PTR evil\\027[2J.test."},
	}}.Answer)
	for _, args := range [][]string{{"web1:1"}, {"--json", "web1:1"}, {}, {"nosuch:1"}} {
		out, errs, _ := tool(t, client, "COLUMNS=60", args...)
		if strings.Contains(out+errs, "\x1b[2J") || !utf8.ValidString(out) {
			t.Errorf("%q: %q %q", args, out, errs)
		}
		if len(args) > 0 && args[0] == "--json" {
			var r diagnose.Report
			if err := json.Unmarshal([]byte(out), &r); err != nil || strings.Count(out, "\n") != 1 {
				t.Errorf("%v, %d lines", err, strings.Count(out, "\n"))
			}
		}
	}
}

// TestSeveral prints a cause of several addresses once, with all of them.
func TestSeveral(t *testing.T) {
	l := lab.New(t)
	client, server := l.Host("client"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), server.Port("eth0", "10.1.0.3/24", "10.1.0.4/24"))
	client.Hosts("10.1.0.3 web1\n10.1.0.4 web1\n")
	out, _, code := tool(t, client, "COLUMNS=110", "web1:81")
	if code != cli.No || strings.Count(out, "svc.not_listening at the target") != 1 || !strings.Contains(out, "the same holds for 10.1.0.4") {
		t.Errorf("exit %d\n%s", code, out)
	}
	server.ListenTCP("10.1.0.4:81", lab.Discard)
	out, _, code = tool(t, client, "COLUMNS=110", "web1:81")
	if code != cli.Yes || !strings.Contains(out, "name.address_dead at the target 10.1.0.3") || !strings.Contains(out, "connection refused") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
