package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("ifconfig", func(args []string) int {
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	})
	os.Exit(lab.Main(m))
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"--help", 0, "Usage: ifconfig [options] [IF [WORD...]]\n", ""},
		{"--version", 0, "ifconfig ", ""},
		{"-Z", 2, "", "ifconfig: unknown option -Z; try --help\n"},
		{"eth0 mtu", 2, "", "ifconfig: mtu of what?; try --help\n"},
		{"eth0 mtu 0", 2, "", "ifconfig: 0: mtu is no number of them; try --help\n"},
		{"eth0 web1", 2, "", "ifconfig: web1: Unknown host; try --help\n"},
		{"eth0 192.0.2.1/33", 2, "", "ifconfig: 192.0.2.1/33: invalid prefix length; try --help\n"},
		{"eth0 192.0.2.1 netmask 255.0.255.0", 2, "", "ifconfig: 255.0.255.0: a netmask with holes; try --help\n"},
		{"eth0 add 2001:db8::g", 2, "", "ifconfig: 2001:db8::g/128: invalid IPv6 address; try --help\n"},
		{"eth0 metric 3", 2, "", "ifconfig: metric is not set here: Linux interfaces have no metric; routes do: route add … metric N; try --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}
