package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

// public opens the way to a file for nobody.
func public(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// What is refused is told, with what would help.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	public(t, dir)
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), `iface eth0 inet static
 address 10.1.0.5/24
 up exit 7
 bridge_ports none
iface good inet static
 address 10.1.0.6/24
iface eth1 inet manual
 mtu 1400
iface eth2 inet static
 address 10.1.0.6
iface eth0.7 inet static
 address 10.1.0.6
iface wrong inet static
 pre-up touch `+dir+`/touched
 address 10.1.0.300
iface lease inet dhcp
 up touch `+dir+`/touched
iface hostile inet manual
 up printf 'x' # `+"\x1b]0;owned\a"+`
 up exit 1 # `+"\x1b[2J"+`
`, 0o644)
	for _, tt := range []struct {
		line       string
		privileged bool
		code       int
		stderr     string
	}{
		{"ifup eth0", true, 1, "ifup: " + file + ":3: exit 7: exit status 7\nifup: failed to bring up eth0\n"},
		{"ifup --ignore-errors eth0", true, 1, "ifup: " + file + ":3: exit 7: exit status 7\nifup: failed to bring up eth0\n"},
		{"ifdown eth0", true, 0, ""},
		{"ifup -v eth0=good", true, 0, "ifup: eth0 is good\nifup: configuring interface eth0=good (inet)\nip addr add 10.1.0.6/24 broadcast 10.1.0.255 dev eth0 label eth0\nip link set dev eth0 up\n"},
		{"ifdown eth0", true, 0, ""},
		{"ifup nosuch", true, 1, "ifup: unknown interface nosuch\n"},
		{"ifup eth0=nosuch", true, 1, "ifup: unknown interface eth0=nosuch\n"},
		{"ifup ..=good", true, 1, "ifup: " + file + ":5: \"..\" is no name of an interface\nifup: failed to bring up ..\n"},
		{"ifup eth1", true, 1, "ifup: link: set eth1: no such device\nifup: failed to bring up eth1\n"},
		{"ifup eth2", true, 1, "ifup: link: add address eth2: no such device\nifup: failed to bring up eth2\n"},
		{
			"ifup eth0.7", true, 1, "ifup: link: add address eth0.7: no such device\n" +
				"ifup: hint: VLANs are not made here; a line before: pre-up ip link add link eth0 name eth0.7 type vlan id 7\nifup: failed to bring up eth0.7\n",
		},
		{"ifup eth0=wrong", true, 1, "ifup: " + file + ":15: address: \"10.1.0.300\" is none of inet\nifup: failed to bring up eth0\n"},
		{"ifup eth0=hostile", true, 1, "ifup: " + file + ":20: exit 1 # \\x1b[2J: exit status 1\nifup: failed to bring up eth0\n"},
		{"ifup -n eth0=hostile eth2 eth0=lease", false, 0, ""},
		{"ifup --allow=hotplug eth0", true, 0, ""},
		{"ifup", true, 2, "ifup: which interfaces? name them, or say -a; try --help\n"},
		{"ifup -o mtu eth0", true, 2, "ifup: -o mtu: say KEY=VALUE; try --help\n"},
		{"ifup -Z eth0", true, 2, "ifup: unknown option -Z; try --help\n"},
		{"ifup /et*/x", true, 2, "ifup: /et*/x: a number, from 1, comes after the second slash\n"},
	} {
		words := strings.Fields(tt.line)
		args := append([]string{"--no-scripts", "-i", file, "--state-dir", s.dir}, words[1:]...)
		_, stderr, code := s.ours(t, words[0], args...)
		if !tt.privileged {
			_, out, child, err := s.RunChild(words[0], false, args...)
			stderr, code = string(out), child
			if err != nil {
				t.Fatal(err)
			}
		}
		if code != tt.code || stderr != tt.stderr {
			t.Errorf("%s: exit code %d, printed\n%s\nwant %d\n%s", tt.line, code, stderr, tt.code, tt.stderr)
		}
	}
	if exists(filepath.Join(dir, "touched")) {
		t.Error("a command was run for a stanza that makes no sense, or without an address")
	}
	if got := s.kept(t)[0]; got != "" {
		t.Errorf("up: %q", got)
	}
}

// A DHCP stanza tells the client that is to run, and does not count as up.
func TestClientNotRun(t *testing.T) {
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet dhcp\n up touch "+dir+"/touched\n", 0o644)
	_, stderr, code := s.ours(t, "ifup", "--no-scripts", "-i", file, "--state-dir", s.dir, "eth0")
	if code != 1 || !strings.HasPrefix(stderr, "ifup: "+file+":1: not run: ") || !strings.HasSuffix(stderr, "ifup: failed to bring up eth0\n") || !strings.Contains(stderr, "dhc") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if exists(filepath.Join(dir, "touched")) || s.kept(t)[0] != "" {
		t.Errorf("it counts as up: %q", s.kept(t))
	}
}

// Nobody is told what is missing, and nothing is run.
func TestUnprivileged(t *testing.T) {
	dir := t.TempDir()
	public(t, dir)
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0 inet static\n address 10.1.0.5/24\n pre-down touch "+dir+"/touched\n", 0o644)
	states := filepath.Join(dir, "states")
	if err := os.Mkdir(states, 0o555); err != nil {
		t.Fatal(err)
	}
	_, stderr, code, err := s.RunChild("ifdown", false, "--no-scripts", "-i", file, "--state-dir", states, "eth0")
	if want := "ifdown: hint: run it as root, or keep the state elsewhere with --state-dir, or go without with --force\n"; err != nil || code != 1 || !strings.HasSuffix(string(stderr), want) {
		t.Errorf("%v, exit code %d: %s", err, code, stderr)
	}
	if exists(filepath.Join(dir, "touched")) {
		t.Error("a command was run")
	}
	manual := write(t, filepath.Join(dir, "manual"), "iface eth0 inet manual\n", 0o644)
	_, stderr, code, err = s.RunChild("ifup", false, "-f", "--no-scripts", "-i", manual, "--state-dir", states, "eth0")
	if err != nil || code != 1 || !strings.Contains(string(stderr), "ifup: link: set eth0: operation not permitted (needs CAP_NET_ADMIN)\n") {
		t.Errorf("what may fail for other reasons: %v, exit code %d: %s", err, code, stderr)
	}
	stdout, stderr, code, err := s.RunChild("ifdown", false, "-f", "--json", "--no-scripts", "-i", write(t, filepath.Join(dir, "short"), "iface eth0 inet static\n address 10.1.0.5/24\n", 0o644), "--state-dir", states, "eth0")
	var step struct {
		Do    string
		Done  bool
		Error string
		Line  int
	}
	if err == nil {
		err = json.NewDecoder(strings.NewReader(string(stdout))).Decode(&step)
	}
	if err != nil || code != 1 || step.Do != "delete_address" || step.Done || step.Line != 1 || !strings.Contains(string(stderr), "needs CAP_NET_ADMIN") {
		t.Errorf("with --force: %v, exit code %d, %s%s", err, code, stdout, stderr)
	}
}

// What an interface inside a command sets again is an endless loop.
func TestRecursion(t *testing.T) {
	t.Setenv("IFUPDOWN_eth0_1", "pre-up")
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	file := write(t, filepath.Join(dir, "interfaces"), "iface eth0:1 inet manual\n", 0o644)
	_, stderr, code := s.ours(t, "ifup", "-i", file, "--state-dir", s.dir, "eth0:1")
	if code != 1 || stderr != "ifup: recursion detected for interface eth0:1 in pre-up phase\n" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// A mapping's script chooses the stanza, unless that is not wanted.
func TestMapping(t *testing.T) {
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	script := write(t, filepath.Join(dir, "script"), "#!/bin/sh\n[ \"$1\" = eth0 ] && sed 's/.* //'\n", 0o755)
	file := write(t, filepath.Join(dir, "interfaces"), "mapping eth* wlan*\n script "+script+"\n map 1 home\niface home inet static\n address 10.1.0.5/24\n mtu 1444\n", 0o644)
	common := []string{"--no-scripts", "-i", file, "--state-dir", s.dir}
	_, stderr, code := s.ours(t, "ifup", append(common, "eth0")...)
	if code != 0 || stderr != "" || s.kept(t)[0] != "eth0=home" {
		t.Errorf("exit code %d: %s%q", code, stderr, s.kept(t))
	}
	if _, stderr, code = s.ours(t, "ifup", append(common, "--force", "--no-mappings", "eth0")...); code != 1 || stderr != "ifup: unknown interface eth0\n" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if stdout, stderr, code := s.ours(t, "ifup", append(common, "--query", "home")...); code != 0 || stderr != "" ||
		stdout != "address: 10.1.0.5\nmtu: 1444\nbroadcast: 10.1.0.255\nnetmask: 255.255.255.0\n" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := s.ours(t, "ifdown", append(common, "-n", "/et*/1")...); code != 0 || stderr != "" || !strings.Contains(stdout, "ip addr del 10.1.0.5/24") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}
