package main

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/link"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("mii-tool", func(args []string) int {
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	})
	os.Exit(lab.Main(m))
}

// testdata is what mii-tool of net-tools 2.10 prints when its system calls are
// answered with these registers; it names more PHYs.
func TestAgainstMiiTool(t *testing.T) {
	b, err := os.ReadFile("testdata/mii-tool.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(b), "# ")[1:]
	if len(cases) < 15 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		first, want, _ := strings.Cut(c, "\n")
		var regs []uint16
		for f := range strings.FieldsSeq(first) {
			v, err := strconv.ParseUint(f, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			regs = append(regs, uint16(v))
		}
		m := link.DecodeMII(regs)
		got := "lo: " + m.Summary() + "\n" + details(&m, false)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-mii-tool +ours):\n%s", first, diff)
		}
	}
}

// The documents' own example: negotiation off, a partner that offers half duplex.
func TestDocument(t *testing.T) {
	m := link.DecodeMII([]uint16{0x2100, 0x780d, 0x02a8, 0x0154, 0x05e1, 0x0081})
	want := `eth0: 100 Mbit, full duplex, link ok
  product info: Intel 82555 rev 4
  basic mode:   100 Mbit, full duplex
  basic status: link ok
  capabilities: 100baseTx-FD 100baseTx-HD 10baseT-FD 10baseT-HD
  advertising:  100baseTx-FD 100baseTx-HD 10baseT-FD 10baseT-HD flow-control
  link partner: 100baseTx-HD
`
	if diff := cmp.Diff(want, "eth0: "+m.Summary()+"\n"+details(&m, false)); diff != "" {
		t.Errorf("(-document +ours):\n%s", diff)
	}
}

func TestRegisters(t *testing.T) {
	m := link.DecodeMII([]uint16{0x4880, 0x7807, 0x0141, 0x0cb1})
	m.PHY = 1
	want := `  registers for MII PHY 1: 
    4880 7807 0141 0cb1 0000 0000 0000 0000
    0000 0000 0000 0000 0000 0000 0000 0000
  product info: vendor 00:0a:c2 or 00:50:43, model 11 rev 1
  basic mode:   loopback, power down, collision test, 10 Mbit, half duplex
  basic status: jabber, link ok
`
	if got := details(&m, true); !strings.HasPrefix(got, want) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"--help", 0, "Usage: mii-tool [options] [IF...]\n", ""},
		{"-V", 0, "mii-tool ", ""},
		{"-Z", 2, "", "mii-tool: unknown option -Z; try --help\n"},
		{"-r eth0", 2, "", "mii-tool: this program only shows; to set: /sbin/ethtool -s IF, or /sbin/ethtool -r IF to negotiate anew; try --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}
