package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("tcptraceroute", func([]string) int {
		cli.Brief("tcptraceroute", run)
		return 0
	})
	os.Exit(lab.Main(m))
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line, stderr string
	}{
		{"", "which host?"},
		{"a 80 100", "the kernel makes the packets, the length cannot be set"},
		{"a 80 100 b", `what is "b"?`},
		{"-A a", refused["ack"]},
		{"-E a", refused["ecn"]},
		{"-l 100 a", refused["length"]},
		{"-d a", refused["debug"]},
		{"--dnat a", refused["dnat"]},
		{"-p 65536 a", `option -p/--source-port: cannot use "65536": value out of range`},
		{"-Z a", "unknown option -Z"},
		{"a 65536", `"65536" is not a port`},
		{"a nosuch", `"nosuch" is not a port`},
		{"-m 256 a", "TTLs are between 1 and 255, and the first is not behind the last"},
		{"-f 9 -m 3 a", "TTLs are between 1 and 255, and the first is not behind the last"},
		{"-q 11 a", "-q is between 1 and 10"},
		{"-t 256 a", "a TOS byte is between 0 and 255"},
		{"-s x a", `ParseAddr("x"): unable to parse IP`},
		{"-w 0 a", "-w is more than nothing"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if want := "tcptraceroute: " + tt.stderr + "; try --help\n"; code != cli.Failed || stdout.Len() > 0 || stderr.String() != want {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}
