package main

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// last runs the tool and returns what it printed.
func last(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, nil, &out, &err)
	return out.String(), err.String(), code
}

// write writes records to a file named wtmp.
func write(t *testing.T, records ...utmp.Record) (path string) {
	t.Helper()
	var b []byte
	for _, r := range records {
		b = r.Append(b)
	}
	path = filepath.Join(t.TempDir(), "wtmp")
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
		{"--help", 0, "Usage: last [options] [USER or TTY]...\n", ""},
		{"--version", 0, "last ", ""},
		{"-Z", 2, "", "last: unknown option -Z; try --help\n"},
		{"-n x", 2, "", "last: option -n/--limit: cannot use \"x\": invalid syntax; try --help\n"},
		{"-n -3", 2, "", "last: -3 lines?; try --help\n"},
		{"-f no-such-file", 2, "", "last: open no-such-file: "},
	} {
		stdout, stderr, code := last(t, strings.Fields(tt.line)...)
		if code != tt.code || !strings.HasPrefix(stdout, tt.stdout) || !strings.HasPrefix(stderr, tt.stderr) || (stderr == "") != (tt.stderr == "") {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout, stderr)
		}
	}
}

// life is a random history of a machine up to now.
func life(rng *rand.Rand) (records []utmp.Record) {
	lines := []string{"tty1", "tty2", "pts/0", "pts/1", "pts/12", "null", "zero", "ftpd77", "uucp3", "a/very/long/line"}
	users := []string{"root", "ann", "bob", "a-name-longer-than-eight", "ftp"}
	hosts := []string{"", "10.1.0.2", "host.example", "a-host-with-a-name.longer.than.its.column", ":0", "fd00::1"}
	now := time.Now().Unix() - 1000
	stamp := now - 400*86400
	for n := 60 + rng.IntN(60); n > 0; n-- {
		if stamp += rng.Int64N(100) * rng.Int64N(100) * rng.Int64N(60); stamp > now {
			break
		}
		r := utmp.Record{Time: time.Unix(stamp, rng.Int64N(1e6)*1000), PID: rng.Int32N(5000) + 1<<30}
		switch rng.IntN(14) {
		case 0:
			r.Type, r.Line, r.User, r.Host = utmp.BootTime, "~", "reboot", "6.1.0-13-some-architecture"
		case 1:
			r.Type, r.Line, r.User, r.Host = utmp.RunLevel, "~", "shutdown", "6.1.0"
		case 2:
			r.Type, r.Line, r.User, r.Host = utmp.RunLevel, "~", "runlevel", "6.1.0"
			r.PID = int32('N')<<8 | int32("0123456S"[rng.IntN(8)])
		case 3:
			r.Type, r.Line, r.User = utmp.NewTime, "{", "date"
			stamp -= rng.Int64N(200000) // back
		case 4:
			r.Type, r.Line, r.User = utmp.LoginProcess, lines[rng.IntN(len(lines))], "LOGIN"
		case 5:
			r.Type, r.ID = utmp.InitProcess, "si"
		case 6, 7, 8:
			r.Type, r.Line = utmp.DeadProcess, lines[rng.IntN(len(lines))]
		default:
			r.Type, r.Line, r.User, r.Host = utmp.UserProcess, lines[rng.IntN(len(lines))], users[rng.IntN(len(users))], hosts[rng.IntN(len(hosts))]
			if rng.IntN(2) == 0 {
				r.Addr = netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + rng.IntN(200))})
			} else if rng.IntN(2) == 0 {
				r.Addr = netip.MustParseAddr(fmt.Sprintf("fd00:1::%x", rng.IntN(65535)+1))
			}
		}
		records = append(records, r)
	}
	// Of a shutdown without a boot behind it last says that it lasted until 1970.
	records = append(records, utmp.Record{Type: utmp.BootTime, Line: "~", User: "reboot", Time: time.Unix(min(stamp, now)+1, 0)})
	if rng.IntN(2) == 0 { // one that is still there, since root owns /dev/full
		records = append(records, utmp.Record{Type: utmp.UserProcess, Line: "full", User: "root", PID: 1 << 30, Time: time.Now()})
	}
	return records
}

// The text is the classic's, to the blank.
func TestAgainstLast(t *testing.T) {
	if _, err := exec.LookPath("last"); err != nil {
		t.Skip("needs last")
	}
	if out, err := exec.Command("last", "--version").Output(); err != nil || !strings.Contains(string(out), "util-linux") {
		t.Skip("needs last of util-linux")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	lines := 0
	for i := range 30 {
		path := write(t, life(rng)...)
		if i == 0 {
			path = write(t)
		}
		for _, args := range []string{
			"", "-x", "-F", "-xF", "-a", "-ax", "-ai", "-iw", "-w", "-R", "-xR", "-Fa", "-xFiaw", "-n 3", "-2", "-x -5", "-n 0",
			"root", "reboot", "-x shutdown", "pts/0 ann", "1", "ftp", "-w -7 a-name-longer-than-eight",
		} {
			words := append([]string{"-f", path}, strings.Fields(args)...)
			classic, err := exec.Command("last", words...).Output()
			if err != nil {
				t.Fatalf("last %s: %v", args, err)
			}
			stdout, stderr, code := last(t, words...)
			if code != 0 || stderr != "" {
				t.Fatalf("last %s: exit code %d: %s", args, code, stderr)
			}
			lines += strings.Count(stdout, "\n") - 2
			if diff := cmp.Diff(string(classic), stdout); diff != "" {
				t.Fatalf("%s (-last +ours):\n%s", args, diff)
			}
		}
	}
	t.Logf("%d lines compared", lines)
	if lines < 1000 {
		t.Errorf("only %d lines compared", lines)
	}
}

// What is no record is skipped and told; text cannot reach the terminal raw.
func TestCorrupt(t *testing.T) {
	begin := time.Date(2026, 3, 9, 8, 7, 6, 0, time.Local)
	path := write(t,
		utmp.Record{Type: utmp.UserProcess, Line: "pts/0", User: "a\x1b[2Jn", Host: "evil\nhost", Time: begin},
		utmp.Record{Type: utmp.DeadProcess, Line: "pts/0", Time: begin.Add(time.Hour)})
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte{0x7f}, utmp.Size+10)); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := last(t, "-wf", path)
	want := `a\x1b[2Jn pts/0        evil\x0ahost     Mon Mar  9 08:07 - 09:07  (01:00)` + "\n\nwtmp begins Mon Mar  9 08:07:06 2026\n"
	if code != 0 || stdout != want {
		t.Errorf("exit code %d (-want +got):\n%s", code, cmp.Diff(want, stdout))
	}
	want = fmt.Sprintf("last: %[1]s: no record in the 394 bytes at 768: type 32639\n", path)
	if stderr != want {
		t.Errorf("said (-want +got):\n%s", cmp.Diff(want, stderr))
	}
}

func TestJSON(t *testing.T) {
	begin := time.Unix(1700000000, 0)
	path := write(t,
		utmp.Record{Type: utmp.UserProcess, Line: "pts/0", User: "ann", Time: begin},
		utmp.Record{Type: utmp.DeadProcess, Line: "pts/0", Time: begin.Add(time.Minute)})
	stdout, stderr, code := last(t, "--json", "-f", path)
	var list []utmp.Session
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 {
		t.Fatalf("%v, exit code %d: %s", err, code, stderr)
	}
	if len(list) != 1 || list[0].User != "ann" || list[0].How != utmp.EndLogout || list[0].Duration() != time.Minute {
		t.Errorf("printed %s", stdout)
	}
}
