package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/sockets"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("netstat", func(args []string) int {
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
		{"--help", 0, "Usage: netstat [options]\n", ""},
		{"--version", 0, "netstat ", ""},
		{"-lZ", 2, "", "netstat: unknown option -Z; try --help\n"},
		{"-l web1", 2, "", "netstat: what is \"web1\"?; try --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}

// A dash for a program is never printed without the reason.
func TestUnseen(t *testing.T) {
	for _, tt := range []struct {
		walk sockets.Walk
		want string
	}{
		{sockets.Walk{Read: 9, Refused: 3}, ""},
		{sockets.Walk{Unowned: 2, Err: "open /proc: no such file"}, "netstat: processes could not be looked at, so programs are not known: open /proc: no such file\n"},
		{sockets.Walk{Unowned: 2, Read: 1, Refused: 3, Need: "CAP_X"},
			"netstat: 3 of 4 processes could not be looked into, so some programs are not known\nnetstat: hint: that needs CAP_X, or root\n"},
		{sockets.Walk{Unowned: 2, Read: 4},
			"netstat: the programs of 2 sockets are not known: they run in another PID namespace, /proc hides them (hidepid), or it is the kernel\n"},
	} {
		var stdout, stderr bytes.Buffer
		o, _, _ := parse([]string{"-p"}, &stdout, &stderr)
		o.unseen(tt.walk)
		if stdout.Len() > 0 || stderr.String() != tt.want {
			t.Errorf("%+v: printed %q and %q", tt.walk, stdout.String(), stderr.String())
		}
	}
}
