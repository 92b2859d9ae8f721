package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/operr"
)

// fixture is a tool with the flags of several classics, and what it printed.
type fixture struct {
	*Tool
	out, err bytes.Buffer

	listen, numeric, programs, report bool
	count                             int
	ports                             string
	wait                              *time.Duration
}

func newFixture() *fixture {
	f := &fixture{}
	f.Tool = New("tool", "[options] HOST", "Does a thing.", &f.out, &f.err)
	f.Flags.BoolVarP(&f.listen, "listening", "l", false, "listeners")
	f.Flags.BoolVarP(&f.numeric, "numeric", "n", false, "no names")
	f.Flags.BoolVarP(&f.programs, "programs", "p", false, "programs")
	f.Flags.BoolVarP(&f.report, "report", "r", false, "report")
	f.Flags.IntVarP(&f.count, "count", "c", 10, "stop after `N`")
	f.Flags.StringVarP(&f.ports, "connect", "P", "", "`HOST:PORT`")
	f.wait = f.Seconds("wait", "i", time.Second, "`seconds` between two")
	return f
}

func (f *fixture) state() string {
	return fmt.Sprintf("l=%v n=%v p=%v r=%v c=%d P=%s i=%v %q",
		f.listen, f.numeric, f.programs, f.report, f.count, f.ports, *f.wait, f.Flags.Args())
}

func TestCommandLinesAsTyped(t *testing.T) {
	const none = "l=false n=false p=false r=false c=10 P= i=1s "
	tests := []struct {
		line string
		want string // differences to none, then the operands
	}{
		{"-lnp", `l=true n=true p=true []`},
		{"-rc 100 host", `r=true c=100 ["host"]`},
		{"-c5 host", `c=5 ["host"]`},
		{"-nrc5 host", `n=true r=true c=5 ["host"]`},
		{"--count=3 host", `c=3 ["host"]`},
		{"--count 3 host", `c=3 ["host"]`},
		{"host -c 1 -n", `n=true c=1 ["host"]`},
		{"-n -- -c 1", `n=true ["-c" "1"]`},
		{"-i 0.2 host", `i=200ms ["host"]`},
		{"-i 200ms host", `i=200ms ["host"]`},
		{"-i0 -", `i=0s ["-"]`},
		{"-c -5", `c=-5 []`},
		{"-P80 host", `P=80 ["host"]`},
	}
	for _, tt := range tests {
		f := newFixture()
		if code, done := f.Parse(strings.Fields(tt.line)); done {
			t.Errorf("%s: done with %d: %s", tt.line, code, f.err.String())
			continue
		}
		if diff := cmp.Diff(changed(none, tt.want), f.state()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}

// changed applies "c=5 n=true [operands]" to a state.
func changed(state, diff string) string {
	fields := strings.Fields(state)
	i := strings.IndexByte(diff, '[')
	for d := range strings.FieldsSeq(diff[:i]) {
		for j, f := range fields {
			if f[:2] == d[:2] {
				fields[j] = d
			}
		}
	}
	return strings.Join(fields, " ") + " " + diff[i:]
}

func TestLongDashAndDigits(t *testing.T) {
	tests := []struct{ line, want string }{
		{"-connect h:993 -numeric", `n=true P=h:993 []`},
		{"-connect=h:993 x", `P=h:993 ["x"]`},
		{"-100 x", `c=100 ["x"]`},
		{"-c -7", `c=-7 []`},
		{"-nc -7", `n=true c=-7 []`},
		{"--count -7", `c=-7 []`},
		{"-lnp -5", `l=true n=true p=true c=5 []`},
		{"-connect -- -5", `P=-- c=5 []`},
		{"-- -5 -connect", `["-5" "-connect"]`},
		{"- -c3", `c=3 ["-"]`},
	}
	for _, tt := range tests {
		f := newFixture()
		f.LongDash, f.Digits = true, "count"
		if code, done := f.Parse(strings.Fields(tt.line)); done {
			t.Errorf("%s: done with %d: %s", tt.line, code, f.err.String())
			continue
		}
		if diff := cmp.Diff(changed("l=false n=false p=false r=false c=10 P= i=1s", tt.want), f.state()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct{ line, want string }{
		{"-lz", "unknown option -z"},
		{"--no-such", "unknown option --no-such"},
		{"-c", "option -c/--count needs a value"},
		{"--count", "option -c/--count needs a value"},
		{"-c many", `option -c/--count: cannot use "many": invalid syntax`},
		{"-i soon", `option -i/--wait: cannot use "soon": want seconds such as "0.2", or "200ms"`},
		{"-i 1e300", `option -i/--wait: cannot use "1e300": out of range`},
		{"-i nan", `option -i/--wait: cannot use "nan": out of range`},
		{"--=x", `bad flag syntax: --=x`},
	}
	for _, tt := range tests {
		f := newFixture()
		code, done := f.Parse(strings.Fields(tt.line))
		if !done || code != Failed || f.out.Len() > 0 {
			t.Errorf("%s: done %v, code %d, standard output %q", tt.line, done, code, f.out.String())
		}
		if want := "tool: " + tt.want + "; try --help\n"; f.err.String() != want {
			t.Errorf("%s: %q, want %q", tt.line, f.err.String(), want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, line := range []string{"--help", "-h", "-n --help host"} {
		f := newFixture()
		code, done := f.Parse(strings.Fields(line))
		if !done || code != Yes || f.err.Len() > 0 {
			t.Errorf("%s: done %v, code %d, standard error %q", line, done, code, f.err.String())
		}
		for _, want := range []string{"Usage: tool [options] HOST\n", "\nDoes a thing.\n", "-c, --count N", "--version"} {
			if !strings.Contains(f.out.String(), want) {
				t.Errorf("%s: no %q in:\n%s", line, want, f.out.String())
			}
		}
	}
}

func TestVersion(t *testing.T) {
	f := newFixture()
	code, done := f.Parse([]string{"--version"})
	if !done || code != Yes || !strings.HasPrefix(f.out.String(), "tool ") || !strings.Contains(f.out.String(), " go1.") {
		t.Errorf("done %v, code %d, %q", done, code, f.out.String())
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	tests := []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{GoVersion: "go1.26"}, "(devel) go1.26"},
		{debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{revision}}, "v1.2.3 go1.26"},
		{debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}},
			"(devel) 0123456789ab modified go1.26"},
	}
	for _, tt := range tests {
		if got := versionOf(&tt.info, true); got != tt.want {
			t.Errorf("version %q, want %q", got, tt.want)
		}
	}
	if got := versionOf(nil, false); got != "unknown" {
		t.Errorf("without build information %q", got)
	}
}

func TestErrorLines(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	refused := operr.New("tool: open socket", nil, operr.Need(os.ErrPermission, "CAP_NET_RAW"))
	sysctl := operr.New("ping: open socket", nil, operr.Need(os.ErrPermission, "net.ipv4.ping_group_range"))
	tests := []struct {
		err  error
		want string
	}{
		{nil, ""},
		{context.Canceled, ""},
		{fmt.Errorf("scan: %w", context.Canceled), ""},
		{errors.New("no such host"), "tool: no such host\n"},
		{errors.New("bad \x1b[31mname\n"), `tool: bad \x1b[31mname\x0a` + "\n"},
		{refused, "tool: open socket: permission denied (needs CAP_NET_RAW)\n" +
			"tool: hint: run it as root, or once: setcap cap_net_raw+ep " + exe + "\n"},
		{sysctl, "tool: ping: open socket: permission denied (needs net.ipv4.ping_group_range)\n"},
	}
	for _, tt := range tests {
		f := newFixture()
		if code := f.Fail(tt.err); code != Failed {
			t.Errorf("Fail returned %d", code)
		}
		if diff := cmp.Diff(tt.want, f.err.String()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.err, diff)
		}
	}
	f := newFixture()
	f.Warn("%d lost", 3)
	f.Hint("wait")
	if got, want := f.err.String(), "tool: 3 lost\ntool: hint: wait\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
