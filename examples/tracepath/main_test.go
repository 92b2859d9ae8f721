package main

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("tracepath", func([]string) int {
		cli.Brief("tracepath", run)
		return 0
	})
	os.Exit(lab.Main(m))
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line, stdout, stderr string
		code                 int
	}{
		{"--help", "Usage: tracepath [options] HOST\n", "", 0},
		{"-V", "tracepath ", "", 0},
		{"", "", "which host?", 2},
		{"a b", "", `what is "b"?`, 2},
		{"-z a", "", "unknown option -z", 2},
		{"-4 -6 a", "", "-4 and -6 do not go together", 2},
		{"-p 0 a", "", "a port is between 1 and 65535", 2},
		{"-m 256 a", "", "-m is between 1 and 255", 2},
		{"-l 59 a", "", "-l is between 60 and 65535", 2},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if tt.stderr != "" {
			tt.stderr = "tracepath: " + tt.stderr + "; try --help\n"
		}
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}

// What the classic does not have: a black hole, a router that lies, answers
// that come back another way, and nothing at all.
func TestText(t *testing.T) {
	a := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
	lie := &trace.ICMPError{From: a(2), MTU: 1200}
	m := trace.PathMTU{
		Target: a(9), LocalMTU: 1500, MTU: 1400, Exact: true, Reached: true, Scope: trace.MTUForward,
		Steps: []trace.MTUStep{
			{TTL: 1, From: a(1), Next: 2, NextFrom: a(2), Before: 1500, MTU: 1480, How: trace.MTUSilent},
			{TTL: 2, From: a(2), Next: 4, NextFrom: a(9), Before: 1480, MTU: 1400, How: trace.MTUWrong, ICMP: lie, RTT: 3000000},
		},
		Hops: []trace.MTUHop{
			{TTL: 1, From: a(1), RTT: 1234567, ReplyTTL: 64}, {TTL: 2, From: a(2), RTT: 2000, ReplyTTL: 250}, {TTL: 3},
			{TTL: 4, From: a(9), RTT: 1234567890, ReplyTTL: 125, Final: true},
		},
	}
	want := ` 1?: [LOCALHOST]                      pmtu 1500
 1:  192.0.2.1                                             1.234ms 
 2?: [SILENT]                         pmtu 1480
 2:  192.0.2.2                                             0.002ms asymm  6 
 3:  no reply
 4:  192.0.2.2                                             3.000ms pmtu 1400
 4:  192.0.2.9                                           1234.567ms reached
     Resume: pmtu 1400 hops 4 back 4 
     Shrinks: behind hop 1 (192.0.2.1) the path MTU shrinks from 1500 to 1480 bytes, and longer packets vanish without a word: a black hole
     Shrinks: between hop 2 (192.0.2.2) and hop 4 (192.0.2.9) the path MTU shrinks from 1480 to 1400 bytes, though 192.0.2.2 says 1200
`
	p := printer{max: 30}
	if d := cmp.Diff(want, p.text(m)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	p.max = 2
	want = " 1?: [LOCALHOST]                      pmtu 1500\n 1:  no reply\n 2:  no reply\n     Too many hops: pmtu 1500\n     Resume: pmtu 1500 \n     Note: nothing\n"
	if d := cmp.Diff(want, p.text(trace.PathMTU{LocalMTU: 1500, Why: "nothing"})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
