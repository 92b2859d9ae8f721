package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// The tool as a process of its own, all of it inside a host.
	lab.Child("route", func(args []string) int {
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
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
		{"--help", 0, "Usage: route [options] [add|del [-net|-host] TARGET [gw GATEWAY] ...]\n", ""},
		{"--version", 0, "route ", ""},
		{"-nZ", 2, "", "route: unknown option -Z; try --help\n"},
		{"-n web1", 2, "", "route: what is \"web1\"?; try --help\n"},
		{"-A ipx", 2, "", "route: unknown address family \"ipx\"; try --help\n"},
		{"add", 2, "", "route: a route to where?; try --help\n"},
		{"add -net 10.0.0.0 gw 192.0.2.9", 2, "", "route: a network of what length? say -net 10.0.0.0/LENGTH; try --help\n"},
		{"add default gw", 2, "", "route: gw of what?; try --help\n"},
		{"add default gw web1", 2, "", "route: web1: Unknown host; try --help\n"},
		{"add -net 192.0.2.1/24 gw 192.0.2.9", 2, "", "route: netmask doesn't match route address; try --help\n"},
		{"add default gw 2001:db8::1", 2, "", "route: 2001:db8::1 is a gateway of another family; try --help\n"},
		{"flush", 2, "", "route: flushing a table is not supported; ip route flush does it; try --help\n"},
		{"-C", 2, "", "route: there is no routing cache since Linux 3.6; to see what is decided for an address: ip route get ADDRESS; try --help\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.line), nil, &stdout, &stderr)
		if code != tt.code || !strings.HasPrefix(stdout.String(), tt.stdout) || stderr.String() != tt.stderr {
			t.Errorf("%s: exit code %d, printed %q and %q", tt.line, code, stdout.String(), stderr.String())
		}
	}
}

func TestNetworks(t *testing.T) {
	got := parseNetworks(strings.NewReader(`# networks
default    0.0.0.0
loopback   127        lo-net
link-local 169.254.0.0 # RFC 3927
again      169.254
short
six        fd00::
wrong      300.1
`))
	want := map[netip.Addr]string{}
	for name, a := range map[string]string{"default": "0.0.0.0", "loopback": "127.0.0.0", "link-local": "169.254.0.0"} {
		want[netip.MustParseAddr(a)] = name
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
