package main

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("mtr", func([]string) int {
		cli.Main("mtr", run)
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
		{"--help", 0, "Usage: mtr [options] [HOST ...]\n", ""},
		{"--version", 0, "mtr ", ""},
		{"-v", 0, "mtr ", ""},
		{"-S a", 2, "", refused["sctp"]},
		{"-B 255 a", 2, "", refused["bitpattern"]},
		{"-p a", 2, "", refused["split"]},
		{"-Q 256 a", 2, "", "a TOS byte is between 0 and 255"},
		{"-L 5000 a", 2, "", "-L is for -u"},
		{"-u -L 70000 a", 2, "", "a port is between 1 and 65535"},
		{"-G 0 a", 2, "", "-G is more than nothing"},
		{"-y 5 a", 2, "", "-y is between 0 and 4"},
		{"-k a", 2, "", "unknown option -k"},
		{"-4 -6 a", 2, "", "-4 and -6 do not go together"},
		{"-uT a", 2, "", "-u and -T do not go together"},
		{"-jC a", 2, "", "--json, --csv, --xml and --raw do not go together"},
		{"-P 80 a", 2, "", "-P is for -u and -T"},
		{"-u -P 65536 a", 2, "", "a port is between 1 and 65535"},
		{"-m 256 a", 2, "", "TTLs are between 1 and 255, and the first is not beyond the last"},
		{"-f 9 -m 3 a", 2, "", "TTLs are between 1 and 255, and the first is not beyond the last"},
		{"-c -1 a", 2, "", "-c, -U, -M and -Z are not less than nothing"},
		{"-i 0.009 a", 2, "", "-i is 0.01 at least"},
		{"-o LQ a", 2, "", `'Q' is no column`},
		{"--displaymode 3 a", 2, "", "--displaymode is 0, 1 or 2"},
		{"-a x 127.0.0.1", 2, "", `ParseAddr("x"): unable to parse IP`},
		{"-r -s 0 127.0.0.1", 2, "", "a packet is between 1 and 65000 bytes long"},
		{"-r -s 65001 ::1", 2, "", "a packet is between 1 and 65000 bytes long"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if tt.stderr != "" {
			tt.stderr = "mtr: " + tt.stderr + "; try --help\n"
		}
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}

// Values that do not fit are cut off by the next column, as the classic does.
func TestValues(t *testing.T) {
	h := &hop{trace.HopStats{Sent: 123456, Loss: 1, Last: 123456 * time.Millisecond, Best: 1500 * time.Microsecond}}
	for order, want := range map[string]string{
		"LS": " 100.0 123456", "L": " 100.0%", "SL": " 12345 100.0%", "NB": " 12345   1.5", "L B": " 100.0    1.5", "DR": " 123456     0",
	} {
		fields, err := fieldsOf(order)
		if err != nil {
			t.Fatal(err)
		}
		if order == "DR" {
			want = " 1234     0"
		}
		if got := values(fields, h); got != want {
			t.Errorf("%s: %q, want %q", order, got, want)
		}
	}
}

// made is a session that has seen two routers take turns at hop 2, with labels,
// and nothing behind.
func made(args ...string) *session {
	t := cli.New("mtr", "", "", nil, nil)
	s := flags(t)
	t.Parse(args)
	if err := s.options(t.Flags); err != nil {
		panic(err)
	}
	w := &session{settings: s, host: "web1", dst: netip.MustParseAddr("192.0.2.80"), started: time.Unix(1e9, 0)}
	for round := 1; round <= 4; round++ {
		for ttl := 1; ttl <= 3; ttl++ {
			p := trace.Probe{Target: w.dst, Method: trace.MethodICMP, Round: round, TTL: ttl, Sent: time.Unix(1e9+int64(round), 0)}
			if ttl < 3 {
				from := netip.AddrFrom4([4]byte{192, 0, 2, byte(ttl)})
				if ttl == 2 && round > 1 {
					from = netip.MustParseAddr("198.51.100.2")
				}
				p.Reply = trace.Reply{Outcome: trace.OutcomeTimeExceeded, From: from, RTT: time.Duration(ttl*round) * time.Millisecond,
					ICMP: &trace.ICMPError{From: from, Type: 11, Labels: []trace.Label{{Label: 16000 + uint32(ttl), Bottom: true, TTL: 1}}}}
			}
			w.add(p)
		}
	}
	return w
}

func TestReport(t *testing.T) {
	w := made("-rne", "-o", "LSNBAWV")
	var out bytes.Buffer
	w.printReport(&out, w.result())
	_, hops, _ := strings.Cut(out.String(), "\n")
	want := "" +
		"  1.|-- 192.0.2.1                  0.0%     4   4.0   1.0   2.5   4.0   1.3\n" +
		"       [MPLS: Lbl 16001 TC 0 S 1 TTL 1]\n" +
		"  2.|-- 198.51.100.2               0.0%     4   8.0   2.0   5.0   8.0   2.6\n" +
		"       [MPLS: Lbl 16002 TC 0 S 1 TTL 1]\n" +
		"        192.0.2.2                \n" +
		"       [MPLS: Lbl 16002 TC 0 S 1 TTL 1]\n" +
		"  3.|-- ???                       100.0     4   0.0   0.0   0.0   0.0   0.0\n"
	if d := cmp.Diff(want, hops); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestChart(t *testing.T) {
	c := &chart{}
	for round := 1; round <= 600; round++ {
		r := trace.Reply{Outcome: trace.OutcomeTimeExceeded, RTT: time.Duration(round)}
		if round == 599 {
			r = trace.Reply{}
		}
		c.add(round, r)
	}
	if d := cmp.Diff([]time.Duration{597, 598, lost, 600, 0}, c.last(5, 601)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	var line []rune
	for _, d := range []time.Duration{0, lost, 1, 500, 999, 1000} {
		line = append(line, spark(d, 1000))
	}
	if string(line) != " ?▁▅██" {
		t.Errorf("%q", string(line))
	}
}

func TestWrap(t *testing.T) {
	if d := cmp.Diff([]string{"a bc", "def", "longerthan", "g"}, wrap("a bc def longerthan g", 5)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
