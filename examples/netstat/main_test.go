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
