package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still not: ", what)
		}
	}
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

// What one of the tools set up the other knows of, and sets down.
func TestMixedWithIfup(t *testing.T) {
	needs(t, "ifup")
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet static\n address 10.1.0.5/24\niface home inet manual\nallow-x eth0\n", 0o600)
	classic := func(tool string, args ...string) string {
		out, err := s.Command(tool, append([]string{"--no-scripts", "--state-dir", s.dir, "-i", file}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %s: %v: %s", tool, args, err, out)
		}
		return string(out)
	}
	ours := func(tool string, args ...string) string {
		stdout, stderr, code := s.ours(t, tool, append([]string{"--no-scripts", "--state-dir", s.dir, "-i", file}, args...)...)
		if code != 0 {
			t.Errorf("%s %s: exit code %d: %s", tool, args, code, stderr)
		}
		return stdout + stderr
	}
	type run func(string, ...string) string
	for _, pair := range [][2]run{{classic, ours}, {ours, classic}} {
		first, second := pair[0], pair[1]
		for _, step := range []struct {
			run  run
			line string
			want string
		}{
			{first, "ifup eth0", ""},
			{second, "ifup eth0", "ifup: interface eth0 already configured\n"},
			{second, "ifup eth0=home", "ifup: interface eth0 already configured\n"},
			{second, "ifdown eth0", ""},
			{first, "ifdown eth0", "ifdown: interface eth0 not configured\n"},
			{first, "ifup eth0=home", ""},
			{ours, "ifup --state", "eth0=home\n"},
			{ours, "ifup --state eth0", "eth0=home\n"},
			{second, "ifdown --allow=x -a", ""},
			{ours, "ifup --state", ""},
			{second, "ifup --allow=nosuch eth0", ""},
		} {
			words := strings.Fields(step.line)
			if got := step.run(words[0], words[1:]...); got != step.want {
				t.Errorf("%s: printed %q, want %q", step.line, got, step.want)
			}
		}
		if _, stderr, code := s.ours(t, "ifup", "--state", "--state-dir", s.dir, "eth0"); code != 1 || stderr != "" {
			t.Errorf("state of what is down: exit code %d: %s", code, stderr)
		}
	}
}

// An ifdown asks the ifup that is still at it to end, and waits for it. (The
// classic only waits, whatever its manual page says.)
func TestDownWhileUp(t *testing.T) {
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	begun := filepath.Join(dir, "begun")
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet manual\n up touch "+begun+"; exec sleep 60\n", 0o600)
	args := []string{"--no-scripts", "--state-dir", s.dir, "-i", file, "eth0"}
	up := s.ChildCommand("ifup", true, args...)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the command is run", func() bool { return exists(begun) })
	out, err := s.ChildCommand("ifdown", true, args...).CombinedOutput()
	if want := "ifdown: waiting for lock on " + s.dir + "/ifstate.eth0\nifdown: interface eth0 not configured\n"; err != nil || string(out) != want {
		t.Errorf("ifdown: %v: %s", err, out)
	}
	if err := up.Wait(); err == nil {
		t.Error("ifup says that all went well")
	}
	if d := cmp.Diff([]string{"", "", "", ""}, s.kept(t)); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
}

// The scripts of the directories are run as run-parts runs them, with what the
// stanza says.
func TestScripts(t *testing.T) {
	needs(t, "ifup", "unshare", "mount", "run-parts")
	dir := t.TempDir()
	l := lab.New(t)
	classic, our := newSide(t, l, "classic", dir), newSide(t, l, "ours", dir)
	scripts := filepath.Join(dir, "network")
	name := "#!/bin/sh\necho \"${0##*/if-} $#\" >> LOGS/$(readlink /proc/self/ns/net | tr -dc 0-9)\n"
	name = strings.ReplaceAll(name, "LOGS", dir)
	script := name + strings.ReplaceAll(log, "LOGS", dir) + "\n"
	for _, phase := range []string{"if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d"} {
		if err := os.MkdirAll(filepath.Join(scripts, phase, "directory"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(scripts, phase, "10first"), script, 0o755)
		for file, mode := range map[string]os.FileMode{"Second-one_": 0o755, "no.dots": 0o755, "not-executable": 0o644} {
			write(t, filepath.Join(scripts, phase, file), name, mode)
		}
	}
	write(t, filepath.Join(scripts, "if-up.d", "last"), "#!/bin/sh\n[ \"$LOGICAL\" != bad ]\n", 0o755)
	write(t, filepath.Join(scripts, "if-down.d", "last"), "#!/bin/sh\nfalse\n", 0o755)
	file := write(t, filepath.Join(scripts, "interfaces"), strings.ReplaceAll(`auto eth0
iface eth0 inet static
 address 10.1.0.5/24
 up true
 wpa-some_thing yes
 broadcast -
iface eth0 inet6 static
 address fd00::5/64
 dad-attempts 0
iface bad inet manual
 post-up true
`, "LOGS", dir), 0o644)
	for _, line := range []string{"ifup eth0", "ifdown eth0", "ifup -a -X lo", "ifdown -a -X lo", "ifup eth0=bad", "ifup -v --ignore-errors eth0=bad", "ifdown eth0", "ifup -a --allow=nosuch"} {
		words := strings.Fields(line)
		args := []string{"-m", "sh", "-c", `mount --bind "$0" /etc/network && exec "$@"`, scripts, words[0], "--state-dir", classic.dir}
		out, err := classic.Command("unshare", append(args, words[1:]...)...).CombinedOutput()
		if strings.Contains(string(out), "mount:") || strings.Contains(string(out), "unshare:") {
			t.Skipf("needs to mount: %s", out)
		}
		_, stderr, code := our.ours(t, words[0], append([]string{"--scripts", scripts, "-i", file, "--state-dir", our.dir}, words[1:]...)...)
		if (err != nil) != (code != 0) {
			t.Errorf("%s: classic: %v: %s\nours: %d: %s", line, err, out, code, stderr)
		}
		if d := cmp.Diff(classic.kept(t), our.kept(t)); d != "" {
			t.Fatalf("%s (-classic +ours):\n%s\n%s\n%s", line, d, out, stderr)
		}
	}
	if got := our.kept(t); !slices.Contains(got, "up.d/10first 0") || !slices.Contains(got, "IF_WPA_SOME_THING=yes") || !slices.Contains(got, "IFACE=--all") {
		t.Errorf("scripts were not run: %q", got)
	}
}

// Nobody who reads what is told is no reason to leave the work half done.
func TestClosedPipe(t *testing.T) {
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet manual\n up echo one\n up touch "+dir+"/done\n", 0o600)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, tell := range []string{"-v", "--json"} {
		c := s.ChildCommand("ifup", true, tell, "--force", "--ignore-errors", "--no-scripts", "--state-dir", s.dir, "-i", file, "eth0")
		c.Stdout, c.Stderr = w, w
		c.Run()
		if !exists(filepath.Join(dir, "done")) || s.kept(t)[0] != "eth0=eth0" {
			t.Errorf("with %s it was not ended: %v, %q", tell, c.ProcessState, s.kept(t))
		}
		os.Remove(filepath.Join(dir, "done"))
	}
}

// An interface that is not begun because the state cannot be written does not
// count as up; with --force it is set all the same.
func TestStateNotWritten(t *testing.T) {
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet manual\n up touch "+dir+"/done\n", 0o600)
	args := []string{"--no-scripts", "--state-dir", s.dir, "-i", file, "eth0"}
	if err := os.Mkdir(filepath.Join(s.dir, ".ifstate.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, stderr, code := s.ours(t, "ifup", args...); code != 1 || !strings.Contains(stderr, ".ifstate.lock") || exists(filepath.Join(dir, "done")) {
			t.Errorf("exit code %d: %s", code, stderr)
		}
	}
	if _, stderr, code := s.ours(t, "ifup", append(args, "--force")...); code != 0 || !exists(filepath.Join(dir, "done")) {
		t.Errorf("with --force: exit code %d: %s", code, stderr)
	}
	stdout, stderr, code := s.ours(t, "ifup", append(args, "-f", "-n", "-o", "hwaddress=random")...)
	if code != 0 || !strings.Contains(stdout, "ip link set dev eth0 address ") {
		t.Errorf("a random address: exit code %d: %s%s", code, stdout, stderr)
	}
	if _, stderr, code := s.ours(t, "ifup", append(args[:5:5], " eth0=eth0")...); code != 1 || !strings.Contains(stderr, "is no name") {
		t.Errorf("a blank in a name: exit code %d: %s", code, stderr)
	}
}

// Ctrl-C ends the command, and the interface does not count as up.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet manual\n up : > "+dir+"/begun; exec sleep 300\niface other inet manual\n", 0o600)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() {
		for !exists(filepath.Join(dir, "begun")) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel(context.Canceled)
	}()
	var stderr strings.Builder
	code := -1
	err := s.Do(func() error {
		code = tool("ifup")(ctx, []string{"--no-scripts", "--state-dir", s.dir, "-i", file, "eth0", "other"}, nil, os.Stdout, &stderr)
		return nil
	})
	if err != nil || code != 1 || !strings.HasSuffix(stderr.String(), "ifup: failed to bring up eth0\nifup: interrupted\n") {
		t.Errorf("%v, exit code %d: %s", err, code, stderr.String())
	}
	if d := cmp.Diff([]string{"", "", "", ""}, s.kept(t)); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "ifup-eth0.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the process: %v", err)
	}
}
