package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// setLine makes a command line that sets something.
func setLine(rng *rand.Rand) string {
	of := func(words ...string) string { return words[rng.IntN(len(words))] }
	name := of("eth0", "eth0", "eth0:1", "eth0:2", "tun7")
	// Each name has addresses of its own: one that another name has already is
	// refused by the classic, which gives it the length of its class first.
	addr := fmt.Sprintf("10.%d.%d.%d", rng.IntN(3), rng.IntN(3), 1+rng.IntN(60)+60*(1+slices.Index([]string{"eth0", "eth0:1", "eth0:2"}, name)))
	mask := of("255.255.255.0", "255.255.0.0", "255.255.255.252", "255.255.255.254", "255.255.255.255", "0xfffff000")
	if strings.Contains(name, ":") {
		return name + " " + of(addr, addr+"/24", addr+" netmask "+mask, addr+" netmask 255.255.255.0 broadcast 10.0.0.255 up", "down", "0.0.0.0")
	}
	return name + " " + of("up", "down", "mtu 1400", "mtu 1280", "txqueuelen 77", "promisc", "-promisc", "arp", "-arp", "allmulti", "-allmulti", "multicast",
		"-multicast", "dynamic", "-dynamic", addr, addr+"/20", addr+" netmask "+mask, "netmask "+mask, addr+" broadcast 10.9.9.9", "broadcast 10.8.8.8",
		addr+" netmask "+mask+" broadcast 10.7.7.7 mtu 1300 up", "0.0.0.0", "inet "+addr+" down", "add fd00:5::5/64", "inet6 add fd00:6::6/80", "del fd00:5::5/64",
		"inet6 del fd00:6::6/80", addr+" pointopoint 10.66.0.1", addr+" down", "up down", "up mtu 1500 -arp", "172.16.3.4", "192.168.7.8", "127.0.0.9/8")
}

// state is what ip tells of a host's interfaces, but for names of hardware.
func state(t *testing.T, h *lab.Host) any {
	t.Helper()
	out, err := h.Output("ip", "-j", "-d", "addr")
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		for _, k := range []string{"address", "ifindex", "link_index", "link_netnsid", "operstate", "qdisc"} { // the last two come later
			delete(l, k)
		}
		words, _ := l["flags"].([]any)
		l["flags"] = slices.DeleteFunc(words, func(w any) bool { return w == "NO-CARRIER" || w == "LOWER_UP" })
		kept := []any{}
		infos, _ := l["addr_info"].([]any)
		for _, a := range infos {
			m := a.(map[string]any)
			delete(m, "tentative")
			if l["ifname"] == "eth0" && m["scope"] == "link" {
				continue // made from the hardware address
			}
			if m["prefixlen"] == 64.0 && m["scope"] == "link" {
				continue
			}
			kept = append(kept, m)
		}
		l["addr_info"] = kept
	}
	return list
}

// What is set is what ifconfig sets.
func TestSetAgainstIfconfig(t *testing.T) {
	for _, tool := range []string{"ifconfig", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	agreed := 0
	for range 8 {
		l := lab.New(t)
		hosts := []*lab.Host{l.Host("classic"), l.Host("ours")}
		for _, h := range hosts {
			l.Connect(h.Port("eth0"), l.Host("peer of "+h.Name).Port("eth0"))
			if out, err := h.Command("ip", "tuntap", "add", "tun7", "mode", "tun").CombinedOutput(); err != nil {
				t.Skipf("needs tun devices: %s", out)
			}
		}
		var story []string
		for range 40 {
			line := setLine(rng)
			if strings.HasPrefix(line, "eth0:") {
				// Of an interface that is down the classic takes the alias away again,
				// or not.
				hosts[0].Up("eth0")
				hosts[1].Up("eth0")
			}
			story = append(story, line)
			out, classicErr := hosts[0].Command("ifconfig", strings.Fields(line)...).CombinedOutput()
			var stdout, stderr bytes.Buffer
			code := 0
			err := hosts[1].Do(func() error {
				code = run(t.Context(), strings.Fields(line), nil, &stdout, &stderr)
				return nil
			})
			if err != nil || stdout.Len() > 0 || code > 1 {
				t.Fatalf("%s: %v, exit code %d: %s%s", line, err, code, stdout.String(), stderr.String())
			}
			// The classic's exit code does not tell much: its words do.
			if strings.Contains(string(out), "SIOC") != (code != 0) {
				t.Errorf("%s:\nclassic: %v %sours: %d %s", strings.Join(story, "\n"), classicErr, out, code, stderr.String())
			}
			if d := cmp.Diff(state(t, hosts[0]), state(t, hosts[1])); d != "" {
				t.Fatalf("%s\n(-ifconfig +ours):\n%s\n%s\n%s", strings.Join(story, "\n"), d, out, stderr.String())
			}
			agreed++
		}
	}
	t.Logf("%d command lines", agreed)
}

func TestSetRefused(t *testing.T) {
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0", "10.1.0.1/24"), l.Host("peer").Port("eth0"))
	for _, tt := range []struct {
		line       string
		privileged bool
		stderr     string
	}{
		{"eth0 up", false, "ifconfig: SIOCSIFFLAGS: Operation not permitted\nifconfig: hint: run it as root; it needs CAP_NET_ADMIN\n"},
		{"eth0 mtu 99999", true, "ifconfig: SIOCSIFMTU: Invalid argument: mtu greater than device maximum"},
		{"eth0 netmask 255.255.255.0 0 del fd00::1/64", true, "ifconfig: SIOCDIFADDR: Cannot assign requested address\n"},
		{"nosuch up", true, "ifconfig: nosuch: ERROR while getting interface flags: No such device\n"},
		{"eth0:9 down", true, "ifconfig: SIOCSIFFLAGS: Cannot assign requested address\n"},
	} {
		stdout, stderr, code, err := h.RunChild("ifconfig", tt.privileged, strings.Fields(tt.line)...)
		if err != nil || code != 1 || len(stdout) > 0 || !strings.HasPrefix(string(stderr), tt.stderr) {
			t.Errorf("%s: %v, exit code %d, printed %q and %q", tt.line, err, code, stdout, stderr)
		}
	}
}
