package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/leak"
	"github.com/netsonde/netsonde/internal/utmp"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// who runs the tool and returns what it printed.
func who(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, stdin, &out, &err)
	return out.String(), err.String(), code
}

// write writes records to a file named utmp.
func write(t *testing.T, records ...utmp.Record) (path string) {
	t.Helper()
	var b []byte
	for _, r := range records {
		b = r.Append(b)
	}
	path = filepath.Join(t.TempDir(), "utmp")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"--help", 0, "Usage: who [options] [FILE | am i]\n", ""},
		{"--version", 0, "who ", ""},
		{"-aZ", 2, "", "who: unknown option -Z; try --help\n"},
		{"am i there", 2, "", "who: what is \"there\"?; try --help\n"},
		{"no-such-file", 2, "", "who: open no-such-file: "},
	} {
		stdout, stderr, code := who(t, nil, strings.Fields(tt.line)...)
		if code != tt.code || !strings.HasPrefix(stdout, tt.stdout) || !strings.HasPrefix(stderr, tt.stderr) || (stderr == "") != (tt.stderr == "") {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout, stderr)
		}
	}
}

// file is a random file: every type, with terminals that are there and others.
func file(rng *rand.Rand) (records []utmp.Record) {
	lines := []string{"tty1", "pts/0", "pts/1234567890/longer", "null", "zero", "full", "", "/dev/null", "no/such"}
	users := []string{"root", "ann", "", "a-name-longer-than-eight"}
	hosts := []string{"", "10.1.0.2", "host.example", "host.example:10.0", ":0", "fd00::1"}
	stamp := time.Now().Unix() - 40*86400
	for range 5 + rng.IntN(30) {
		stamp += rng.Int64N(100000)
		r := utmp.Record{
			Type: utmp.Type(rng.IntN(10)), PID: rng.Int32N(5000000), Line: lines[rng.IntN(len(lines))], ID: []string{"", "1", "ts/0"}[rng.IntN(3)],
			User: users[rng.IntN(len(users))], Host: hosts[rng.IntN(len(hosts))], Time: time.Unix(stamp, 0),
			Termination: int16(rng.IntN(16)), Exit: int16(rng.IntN(300) - 100), Addr: netip.AddrFrom4([4]byte{10, 1, 0, 2}),
		}
		if r.Type == utmp.RunLevel {
			r.PID = int32("N0123456S\x00"[rng.IntN(10)])<<8 | int32("0123456S\x00"[rng.IntN(9)])
		}
		records = append(records, r)
	}
	return records
}

func compare(t *testing.T, words []string) (stdout, diff string) {
	t.Helper()
	classic, err := exec.Command("who", words...).Output()
	if err != nil {
		t.Fatalf("who %s: %v", words, err)
	}
	stdout, stderr, code := who(t, nil, words...)
	if code != 0 || stderr != "" {
		t.Fatalf("who %s: exit code %d: %s", words, code, stderr)
	}
	return stdout, cmp.Diff(string(classic), stdout)
}

// The text is the classic's, to the blank, in both forms of a date.
func TestAgainstWho(t *testing.T) {
	out, err := exec.Command("who", "--version").Output()
	if err != nil || !strings.Contains(string(out), "GNU coreutils") {
		t.Skip("needs who of GNU coreutils")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	lines := 0
	for i := range 30 {
		path := write(t, file(rng)...)
		if i == 0 {
			path = write(t)
		}
		t.Setenv("LC_ALL", []string{"C", "C.UTF-8", "POSIX"}[i%3])
		for _, args := range []string{
			"", "-a", "-b", "-r", "-H", "-q", "-aH", "-u", "-p", "-d", "-l", "-t", "-T", "-w", "-s", "-Hu", "-Hb", "-Hqa", "-su", "-sd",
			"-Hd", "-Tl", "-rH", "-sa", "-bT", "-pH", "-aHs", "--heading --boot --runlevel",
		} {
			words := append(strings.Fields(args), path)
			stdout, diff := compare(t, words)
			if diff != "" { // a minute of idle time may have passed in between
				stdout, diff = compare(t, words)
			}
			if diff != "" {
				t.Fatalf("%s (-who +ours):\n%s", args, diff)
			}
			lines += strings.Count(stdout, "\n")
		}
	}
	t.Logf("%d lines compared", lines)
	if lines < 1000 {
		t.Errorf("only %d lines compared", lines)
	}
}

// What is no record is skipped and told; text cannot reach the terminal raw.
func TestCorrupt(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	begin := time.Date(2026, 3, 9, 8, 7, 6, 0, time.Local)
	path := write(t, utmp.Record{Type: utmp.UserProcess, Line: "no\tsuch", User: "a\x1b[2Jn", Host: "evil\nhost", Time: begin})
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte{0x7f}, utmp.Size+10)); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := who(t, nil, path)
	want := `a\x1b[2Jn no\x09such   Mar  9 08:07 (evil\x0ahost)` + "\n"
	if code != 0 || stdout != want {
		t.Errorf("exit code %d (-want +got):\n%s", code, cmp.Diff(want, stdout))
	}
	want = fmt.Sprintf("who: %[1]s: no record in the 394 bytes at 384: type 32639\n", path)
	if stderr != want {
		t.Errorf("said (-want +got):\n%s", cmp.Diff(want, stderr))
	}
}

func TestJSON(t *testing.T) {
	path := write(t,
		utmp.Record{Type: utmp.BootTime, Line: "~", User: "reboot", Time: time.Unix(1700000000, 0)},
		utmp.Record{Type: utmp.UserProcess, Line: "pts/0", User: "ann", Time: time.Unix(1700000100, 0)})
	for args, want := range map[string]string{"": "ann", "-b": "reboot", "-a": "reboot ann", "-d": ""} {
		stdout, stderr, code := who(t, nil, append(strings.Fields(args), "--json", path)...)
		var list []utmp.Record
		if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 {
			t.Fatalf("%s: %v, exit code %d: %s", args, err, code, stderr)
		}
		var users []string
		for _, r := range list {
			users = append(users, r.User)
		}
		if got := strings.Join(users, " "); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}
