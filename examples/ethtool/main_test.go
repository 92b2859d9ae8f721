package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/link"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("ethtool", func(args []string) int {
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	})
	os.Exit(lab.Main(m))
}

// recorded reads what package link decodes from the messages of hardware.
func recorded(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "link", "testdata", "ethtool", name+".json"))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// text prints a report as the command line asks for it.
func text(t *testing.T, r *link.EthtoolReport, args ...string) string {
	t.Helper()
	o, code, done := parse(append(args, "eth0"), &bytes.Buffer{}, &bytes.Buffer{})
	if done {
		t.Fatalf("%s: exit code %d", args, code)
	}
	var b strings.Builder
	o.mode.print(&b, o, r)
	return b.String()
}

// For hardware that is not here: testdata is what ethtool 6.1 prints when it is
// given the same messages (its system calls were answered from a file).
func TestHardware(t *testing.T) {
	for file, args := range map[string]string{
		"gigabit": "", "half": "", "fibre": "", "phy": "",
		"gigabit-S": "-S", "gigabit-i": "-i", "gigabit-g": "-g", "gigabit-l": "-l", "gigabit-c": "-c", "gigabit-I-a": "-I -a", "gigabit-T": "-T",
		"gigabit--show-eee": "--show-eee", "gigabit--show-priv-flags": "--show-priv-flags", "gigabit-S--all-groups": "-S --all-groups",
		"rss-x": "-x", "fibre-g": "-g", "fibre-c": "-c", "fibre-I--show-fec": "-I --show-fec",
	} {
		var r link.EthtoolReport
		card, _, _ := strings.Cut(file, "-")
		if card == "rss" {
			card = "gigabit"
		}
		recorded(t, card, &r)
		want, err := os.ReadFile(filepath.Join("testdata", file+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if card == "gigabit" && args == "" { // a secret is not recorded
			r.Wake.Password = link.Hex{0, 0x11, 0x22, 0x33, 0x44, 0x55}
		}
		if diff := cmp.Diff(string(want), text(t, &r, strings.Fields(args)...)); diff != "" {
			t.Errorf("%s (-ethtool +ours):\n%s", file, diff)
		}
	}
}

// A module is printed as ethtool prints it. (Random ones: module_linux_test.go.)
func TestModule(t *testing.T) {
	for _, name := range []string{"sfp", "qsfp", "cmis"} {
		r := link.EthtoolReport{Module: &link.Module{}}
		recorded(t, "module-"+name, r.Module)
		b, err := os.ReadFile(filepath.Join("testdata", name+"-m.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(b), text(t, &r, "-m")); diff != "" {
			t.Errorf("%s (-ethtool +ours):\n%s", name, diff)
		}
	}
}

// The layout of the documents, which were written with an ethtool of before
// 2.6.35: what they show is there, field for field.
func TestDocuments(t *testing.T) {
	var r link.EthtoolReport
	recorded(t, "half", &r)
	out := text(t, &r)
	for _, line := range []string{
		"Supported ports: [ TP\t MII ]", "Supported link modes:   10baseT/Half 10baseT/Full", "100baseT/Half 100baseT/Full", "Supports auto-negotiation: Yes",
		"Advertised auto-negotiation: No", "Speed: 100Mb/s", "Port: MII", "PHYAD: 1", "Auto-negotiation: off", "Current message level: 0x00000000 (0)", "Link detected: yes",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in:\n%s", line, out)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"--help", 0, "Usage: ethtool [options] IF...\n", ""},
		{"--version", 0, "ethtool ", ""},
		{"", 2, "", "ethtool: which interface?; try --help\n"},
		{"-S -k lo", 2, "", "ethtool: one question at a time: -S or -k; try --help\n"},
		{"-s eth0 speed 100", 2, "", "ethtool: this program only shows; to set: /sbin/ethtool -s eth0 speed 100; try --help\n"},
		{"-K eth0 tso off", 2, "", "ethtool: this program only shows; to set: /sbin/ethtool -K eth0 tso off; try --help\n"},
		{"--groups eth0 eth-mac", 2, "", "ethtool: groups of counters are asked for with -S; try --help\n"},
		{"-S eth0 --groups", 2, "", "ethtool: which groups? such as eth-mac; try --help\n"},
		{"-9", 2, "", "ethtool: unknown option -9; try --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}

// What a driver calls its counters, and a vendor its modules, never steers a terminal.
func TestEscaped(t *testing.T) {
	r := link.EthtoolReport{DriverStats: []link.Stat{{Name: "rx\x1b[2J\xff", Value: 1}}, PrivateFlags: []link.PrivateFlag{{Name: "a\x07b"}},
		Driver: &link.DriverInfo{Driver: "\x1b]0;x\x07"}}
	r.Modes = &link.LinkModes{Supported: link.Words{"1000base\x1bT"}}
	for _, name := range []string{"sfp", "qsfp", "cmis"} {
		var m link.Module
		recorded(t, "module-"+name, &m)
		for _, p := range m.Pages {
			for at := 20; at < 60 && p.Offset == 128 || at < 60 && name == "sfp"; at++ {
				p.Data[at] = []byte("\x1b[2J\x9b\x07\xff\x00")[at%8]
			}
		}
		m = link.DecodeModule(m.Pages)
		r.Module = &m
		for _, flag := range []string{"-S", "-i", "-m", "--show-priv-flags", "-v"} {
			if out := text(t, &r, flag); strings.ContainsAny(out, "\x1b\x07\u009b") || !utf8.ValidString(out) || out == "" {
				t.Errorf("%s: %q", flag, out)
			}
		}
	}
}

func TestNegotiatedPause(t *testing.T) {
	sym, asym := link.Words{"Pause"}, link.Words{"Asym_Pause"}
	both := link.Words{"Pause", "Asym_Pause"}
	for _, tt := range []struct {
		ours, partner link.Words
		rx, tx        bool
	}{
		{nil, both, false, false}, {sym, sym, true, true}, {both, asym, true, false}, {asym, both, false, true}, {both, both, true, true}, {asym, asym, false, false}, {sym, asym, false, false},
	} {
		if rx, tx := negotiated(tt.ours, tt.partner); rx != tt.rx || tx != tt.tx {
			t.Errorf("%v, %v: %v %v", tt.ours, tt.partner, rx, tx)
		}
	}
}
