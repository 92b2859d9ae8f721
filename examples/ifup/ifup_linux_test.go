package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// stanzas makes a file with one to three stanzas of eth0 and an alias.
func stanzas(rng *rand.Rand) string {
	of := func(words ...string) string { return words[rng.IntN(len(words))] }
	var b strings.Builder
	some := func(key string, words ...string) {
		if rng.IntN(3) == 0 {
			fmt.Fprintf(&b, "    %s %s\n", key, of(words...))
		}
	}
	b.WriteString("auto lo\niface lo inet loopback\n")
	gateway := false
	for i := range 1 + rng.IntN(3) {
		net := 10 + i
		name := of("eth0", "eth0", "eth0", "eth0:1")
		switch kind := rng.IntN(6); {
		case kind < 3 || name != "eth0":
			fmt.Fprintf(&b, "iface %s inet static\n", name)
			if rng.IntN(2) == 0 {
				fmt.Fprintf(&b, "    address 10.%d.0.%d/%d\n", net, 2+rng.IntN(9), of2(rng, 8, 30))
			} else {
				fmt.Fprintf(&b, "    address 10.%d.0.%d\n    netmask %s\n", net, 2+rng.IntN(9), of("255.255.255.0", "255.255.0.0", "255.255.255.240"))
			}
			some("broadcast", "+", "-", fmt.Sprintf("10.%d.0.99", net))
			some("pointopoint", fmt.Sprintf("10.%d.0.77", net))
			some("scope", "global", "link", "site")
			if !gateway && name == "eth0" {
				gateway = true
				some("gateway", fmt.Sprintf("10.%d.0.1", net), "192.0.2.1")
				some("metric", "7", "4000")
			}
			some("mtu", "1400", "1280")
			some("hwaddress", "ether 02:00:00:00:00:77", "02:00:00:00:00:78")
		case kind == 3:
			b.WriteString("iface eth0 " + of("inet", "inet6") + " manual\n")
			some("mtu", "1400")
		default:
			fmt.Fprintf(&b, "iface eth0 inet6 static\n    address fd00:%d::%x%s\n", net, 2+rng.IntN(99), of("", "/64", "/48", "\n    netmask 80"))
			some("gateway", fmt.Sprintf("fd00:%d::1", net), "fe80::1")
			some("metric", "7")
			some("accept_ra", "0", "1", "2")
			some("autoconf", "0", "1")
			some("privext", "0", "2")
			some("dad-attempts", "0")
			some("preferred-lifetime", "0", "400")
			some("mtu", "1300", "1400")
		}
	}
	return b.String()
}

func of2(rng *rand.Rand, from, to int) int { return from + rng.IntN(to-from+1) }

// numbers differ from host to host.
var numbers = regexp.MustCompile(`"(ifindex|link_index|link_netnsid|preferred_life_time|valid_life_time)":\d+,?|"(operstate|qdisc|address)":"[^"]*",?|"(NO-CARRIER|LOWER_UP)",?|"tentative":true,?`)

// state is what ip tells of eth0 and the routes.
func state(t *testing.T, h *lab.Host) []string {
	t.Helper()
	var all []string
	for _, args := range []string{"-d addr show eth0", "-4 route show table all", "-6 route show table main"} {
		out, err := h.Output("ip", append([]string{"-j"}, strings.Fields(args)...)...)
		if err != nil {
			t.Fatal(err)
		}
		var list []any
		if err := json.Unmarshal(out, &list); err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			b, _ := json.Marshal(v)
			line := numbers.ReplaceAllString(string(b), "")
			if strings.Contains(line, `"local":"fe80::`) { // made from the hardware address
				line = regexp.MustCompile(`fe80::[0-9a-f:]+`).ReplaceAllString(line, "fe80::")
			}
			all = append(all, line)
		}
	}
	for _, key := range []string{"use_tempaddr", "accept_ra", "autoconf", "mtu"} {
		out, err := h.Output("cat", "/proc/sys/net/ipv6/conf/eth0/"+key)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key+" "+string(out))
	}
	return all
}

// What is set up and down is what Debian's ifup and ifdown set.
func TestAgainstIfup(t *testing.T) {
	for _, tool := range []string{"ifup", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	file := filepath.Join(dir, "interfaces")
	for i := range 25 {
		l := lab.New(t)
		hosts := []*lab.Host{l.Host("classic"), l.Host("ours")}
		for _, h := range hosts {
			l.Connect(h.Port("eth0"), l.Host("peer of "+h.Name).Port("eth0"))
			h.Down("eth0")
		}
		text := stanzas(rng)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		names := []string{"eth0"}
		if strings.Contains(text, "iface eth0:1") {
			names = append(names, "eth0:1")
		}
		if !strings.Contains(text, "iface eth0 ") {
			continue
		}
		states := filepath.Join(dir, fmt.Sprint("state", i))
		if err := os.Mkdir(states, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, tool := range []string{"ifup", "ifdown"} {
			args := append([]string{"-i", file}, names...)
			out, err := hosts[0].Command(tool, append([]string{"-v", "--no-scripts", "--state-dir", states}, args...)...).CombinedOutput()
			stdout, stderr, code, childErr := hosts[1].RunChild(tool, true, append([]string{"-v"}, args...)...)
			if childErr != nil {
				t.Fatal(childErr)
			}
			if (err != nil) != (code != 0) {
				t.Fatalf("set-up %d: %s\n%s\nclassic: %v\n%s\nours: %d\n%s%s", i, tool, text, err, out, code, stdout, stderr)
			}
			if d := cmp.Diff(state(t, hosts[0]), state(t, hosts[1])); d != "" {
				t.Fatalf("set-up %d: %s\n%s\n(-classic +ours):\n%s\n%s\n%s%s", i, tool, text, d, out, stdout, stderr)
			}
		}
	}
}

// What is not done is told, with its line, and makes the exit code 1.
func TestNotDone(t *testing.T) {
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0"), l.Host("peer").Port("eth0"))
	h.Down("eth0")
	file := filepath.Join(t.TempDir(), "interfaces")
	const text = "iface eth0 inet static\n address 10.1.0.5/24\n up touch /nowhere\n bridge_ports none\niface eth1 inet manual\niface eth2 inet static\n address 10.1.0.6\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(file), filepath.Dir(filepath.Dir(file))} { // nobody reads it
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args       string
		privileged bool
		code       int
		stderr     string
	}{
		{"eth0", true, 1, "ifup: " + file + ":4: nothing is done about \"bridge_ports\"\nifup: " + file + ":3: not run: touch /nowhere\n"},
		{"nosuch", true, 1, "ifup: unknown interface nosuch\n"},
		{"eth1", true, 0, ""},
		{"eth2", true, 1, "ifup: link: add address eth2: no such device\nifup: failed to bring up eth2\n"},
		{"eth0 --allow=hotplug", true, 0, ""},
		{"-n eth2", false, 0, ""},
		{"", true, 2, "ifup: which interfaces? name them, or say -a; try --help\n"},
	} {
		_, stderr, code, err := h.RunChild("ifup", tt.privileged, append([]string{"-i", file}, strings.Fields(tt.args)...)...)
		if err != nil || code != tt.code || string(stderr) != tt.stderr {
			t.Errorf("%s: %v, exit code %d, printed %q, want %q", tt.args, err, code, stderr, tt.stderr)
		}
	}
	links, err := h.Output("ip", "-br", "-4", "addr", "show", "eth0")
	if err != nil || !strings.Contains(string(links), "10.1.0.5/24") {
		t.Errorf("%v: %s", err, links)
	}
	stdout, stderr, code, err := h.RunChild("ifdown", false, "-i", file, "--json", "eth0")
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
		t.Errorf("unprivileged: %v, exit code %d, %s%s", err, code, stdout, stderr)
	}
}
