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
	lab.Child("traceroute", func([]string) int {
		cli.Brief("traceroute", run)
		return 0
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
		{"--help", 0, "Usage: traceroute [options] HOST [BYTES]\n", ""},
		{"--version", 0, "traceroute ", ""},
		{"", 2, "", "which host?"},
		{"a 60 b", 2, "", `what is "b"?`},
		{"-Z a", 2, "", "unknown option -Z"},
		{"-4 -6 a", 2, "", "-4 and -6 do not go together"},
		{"-IT a", 2, "", "-I, -T, -U and -M do not go together"},
		{"-p nosuch a", 2, "", "there is no service \"nosuch\""},
		{"-g 10.0.0.1 a", 2, "", refused["gateway"]},
		{"-D a", 2, "", refused["dccp"]},
		{"-M dccp a", 2, "", refused["dccp"]},
		{"-P 47 a", 2, "", refused["protocol"]},
		{"-L a", 2, "", "-L goes with -U"},
		{"-T --classic --sport=5 a", 2, "", "with -T, --classic and --sport do not go together: connections from one port are one flow"},
		{"-Ir a", 2, "", "--sport, -l and -r do not go with -I"},
		{"-l 1048576 a", 2, "", "a flow label is between 0 and 1048575"},
		{"-l 1 --mtu a", 2, "", "-L, -l, -r and --sport do not go with --mtu"},
		{"-l 1 --multipath a", 2, "", "-l, -L, -O, -r and --sport do not go with --multipath"},
		{"-T -O mss=87 a", 2, "", "a maximum segment size is between 88 and 32767, not \"87\""},
		{"-T -O ack a", 2, "", "-O ack: the kernel makes the packets of -T"},
		{"-O mss=900 a", 2, "", "-O mss=900: only -T has options"},
		{"-O help", 0, "No options for this method\n", ""},
		{"-T -O help", 0, "  syn, sysctl", ""},
		{"-M tcpconn -O info,help", 0, "  syn, sysctl", ""},
		{"-p 65536 a", 2, "", "a port is between 1 and 65535"},
		{"-m 256 a", 2, "", "max hops cannot be more than 255, or less than 1"},
		{"-f 9 -m 3 a", 2, "", "first hop out of range"},
		{"-q 11 a", 2, "", "no more than 10 probes per hop, and no less than 1"},
		{"-z nan a", 2, "", "-N, -w and -z are more than nothing"},
		{"-z inf a", 2, "", "-N, -w and -z are more than nothing"},
		{"-w 0 a", 2, "", "-N, -w and -z are more than nothing"},
		{"-w 1,a 127.0.0.1", 2, "", `-w is MAX,HERE,NEAR, not "1,a"`},
		{"-w 1,2,3,4 127.0.0.1", 2, "", `-w is MAX,HERE,NEAR, not "1,2,3,4"`},
		{"-w NaN 127.0.0.1", 2, "", `-w is MAX,HERE,NEAR, not "NaN"`},
		{"-M foo 127.0.0.1", 2, "", `unknown method "foo"`},
		{"-t 256 127.0.0.1", 2, "", "a TOS byte is between 0 and 255"},
		{"-T --mtu 127.0.0.1", 2, "", "with -T the kernel makes the packets, --mtu does not go with it"},
		{"-d 127.0.0.1", 2, "", "-d and -h go with --tracert"},
		{"--tracert -w 0.5 127.0.0.1", 2, "", "-w of tracert is in milliseconds"},
		{"-s x 127.0.0.1", 2, "", `ParseAddr("x"): unable to parse IP`},
		{"127.0.0.1 x", 2, "", `"x" is not a number`},
		{"127.0.0.1 65001", 2, "", "a packet has no more than 65000 bytes, not 65001"},
		{"127.0.0.1 39", 0, "traceroute to 127.0.0.1 (127.0.0.1), 30 hops max, 40 byte packets\n", ""},
		{"-T 127.0.0.1 100", 0, "traceroute to 127.0.0.1 (127.0.0.1), 30 hops max, 60 byte packets\n", ""},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if tt.stderr != "" {
			tt.stderr = "traceroute: " + tt.stderr + "; try --help\n"
		}
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}
