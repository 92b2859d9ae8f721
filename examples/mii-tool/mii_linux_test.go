package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func newHost(t *testing.T) *lab.Host {
	t.Helper()
	for _, tool := range []string{"ethtool", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	host := lab.New(t).Host("host")
	cmd := host.Command("ip", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader("tuntap add tap0 mode tap\nlink add ifb0 type ifb\n")
	cmd.Run()
	if _, err := host.Output("ip", "link", "show", "dev", "tap0"); err != nil {
		t.Skip("needs to write /dev/net/tun")
	}
	if out, err := host.Command("ethtool", "-s", "tap0", "speed", "100", "duplex", "half", "autoneg", "off").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return host
}

// Without registers the link modes are told, and standard error says so; what
// has neither is refused as mii-tool does.
func TestDerived(t *testing.T) {
	host := newHost(t)
	for _, privileged := range []bool{true, false} {
		stdout, stderr, code, err := host.RunChild("mii-tool", privileged, "tap0")
		if want := "tap0: 100 Mbit, half duplex, no link\n"; err != nil || code != 0 || string(stdout) != want {
			t.Errorf("%v, exit code %d, printed %q, want %q", err, code, stdout, want)
		}
		why := "operation not supported"
		if !privileged {
			why = "operation not permitted (needs CAP_NET_ADMIN)"
		}
		want := "mii-tool: tap0: from link modes, not from MII registers: " + why + "\nmii-tool: tap0 is made of software: its speed and duplex mode are made up\n"
		if string(stderr) != want {
			t.Errorf("said %q, want %q", stderr, want)
		}
	}
	for _, name := range []string{"ifb0", "nosuch0"} {
		classic := host.Command("mii-tool", name)
		var out bytes.Buffer
		classic.Stderr = &out
		classic.Run()
		_, stderr, code, err := host.RunChild("mii-tool", true, name)
		if err != nil || code != 1 || string(stderr) != out.String() && out.Len() > 0 {
			t.Errorf("%s: %v, exit code %d, said %q; mii-tool %q", name, err, code, stderr, out.String())
		}
	}
}

// A host without hardware has none to show.
func TestNone(t *testing.T) {
	stdout, stderr, code, err := newHost(t).RunChild("mii-tool", true, "-v")
	if err != nil || code != 1 || len(stdout) > 0 || string(stderr) != "mii-tool: no MII interfaces found\n" {
		t.Errorf("%v, exit code %d, printed %q and %q", err, code, stdout, stderr)
	}
}

func TestJSON(t *testing.T) {
	stdout, _, code, err := newHost(t).RunChild("mii-tool", true, "--json", "tap0")
	var p port
	if err == nil {
		err = json.Unmarshal(stdout, &p)
	}
	if err != nil || code != 0 || p.Name != "tap0" || !p.Derived || !p.Virtual || p.Speed != 100 {
		t.Errorf("%v, exit code %d: %+v", err, code, p)
	}
}
