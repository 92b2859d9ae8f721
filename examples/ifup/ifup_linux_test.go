package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// log is a command that appends its environment to a file that is named after
// the network namespace. The shell drops the classic's IFUPDOWN_eth0:1.
const log = `env | grep -v "^PWD=\|^_=\|^SHLVL=\|^IFUPDOWN_eth0_1=" | sort >> LOGS/$(readlink /proc/self/ns/net | tr -dc 0-9)`

// stanzas makes a file with one to three stanzas of eth0 and an alias.
func stanzas(rng *rand.Rand) string {
	of := func(words ...string) string { return words[rng.IntN(len(words))] }
	var b strings.Builder
	some := func(key string, words ...string) {
		if rng.IntN(3) == 0 {
			fmt.Fprintf(&b, "    %s %s\n", key, of(words...))
		}
	}
	b.WriteString("auto lo\niface lo inet loopback\niface small inet static\n    mtu 1350\n    netmask 255.255.240.0\n")
	gateway := false
	commands := func() {
		some("pre-up", "true", "echo pre-up >&2; "+log)
		some("up", "true", log, log, "exit 3")
		some("post-up", log, "echo \"$IF_ADDRESS\" >/dev/null; "+log)
		some("pre-down", "false", log)
		some("down", log)
		some("post-down", log, "kill -9 $$")
		some("description", "a port", "x")
		some("my-own_option.2", "some words  and more", "1")
		some("my-own_option.2", "twice")
	}
	for i := range 1 + rng.IntN(3) {
		net := 10 + i
		name := of("eth0", "eth0", "eth0", "eth0:1")
		switch kind := rng.IntN(6); {
		case kind < 3 || name != "eth0":
			inherits := ""
			if rng.IntN(4) == 0 {
				inherits = " inherits small"
			}
			fmt.Fprintf(&b, "iface %s inet static%s\n", name, inherits)
			if n := rng.IntN(8); n == 0 || inherits != "" { // a line that is inherited too has two values for the classic
				fmt.Fprintf(&b, "    address %s.%d.0.%d\n", of("10", "172", "193"), net, 2+rng.IntN(9))
			} else if n < 4 {
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
			if inherits == "" {
				some("mtu", "1400", "1280")
			}
			some("hwaddress", "ether 02:00:00:00:00:77", "02:00:00:00:00:78")
		case kind == 3:
			b.WriteString("iface eth0 " + of("inet", "inet6") + " manual\n")
			some("mtu", "1400")
			some("hwaddress", "ether 02:00:00:00:00:79", "02:00:00:00:00:7a")
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
		commands()
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
				line = linkLocal.ReplaceAllString(line, "fe80::")
			}
			all = append(all, line)
		}
	}
	err := h.Do(func() error {
		for _, key := range []string{"use_tempaddr", "accept_ra", "autoconf", "mtu"} {
			value, err := os.ReadFile("/proc/sys/net/ipv6/conf/eth0/" + key)
			if err != nil {
				return err
			}
			all = append(all, key+" "+string(value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var linkLocal = regexp.MustCompile(`fe80::[0-9a-f:]+`)

// side is a host, the directory of its state, and the file that its commands
// write to.
type side struct {
	*lab.Host
	dir, log string
}

// newSide makes a host with an interface that is down.
func newSide(t *testing.T, l *lab.Lab, name, logs string) side {
	t.Helper()
	h := l.Host(name)
	l.Connect(h.Port("eth0"), l.Host("peer of "+name).Port("eth0"))
	h.Down("eth0")
	var ns string
	err := h.Do(func() (err error) { ns, err = os.Readlink("/proc/thread-self/ns/net"); return err })
	if err != nil {
		t.Fatal(err)
	}
	return side{h, t.TempDir(), filepath.Join(logs, strings.Trim(ns, "net:[]"))}
}

// ours runs the tool on a thread inside the host.
func (s side) ours(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	err := s.Do(func() error {
		code = tool(name)(t.Context(), args, nil, &out, &errs)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), code
}

// kept is the state that is kept, and what the commands have written.
func (s side) kept(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, name := range []string{filepath.Join(s.dir, "ifstate"), filepath.Join(s.dir, "ifstate.eth0"), s.log} {
		text, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, strings.Split(string(text), "\n")...)
	}
	return all
}

// needs skips the test where programs are absent.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// write makes a file with a text, for everybody.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// What is set up and down, what commands are told, and the state that is kept are
// those of Debian's ifup and ifdown.
func TestAgainstIfup(t *testing.T) {
	needs(t, "ifup", "ip")
	rng := seeded(t)
	dir := t.TempDir()
	const rounds = 8
	var l *lab.Lab
	var classic, our side
	for i := range rounds {
		if i%4 == 0 { // a file finds what those before have left
			l = lab.New(t)
			classic, our = newSide(t, l, "classic", dir), newSide(t, l, "ours", dir)
		}
		text := strings.ReplaceAll(stanzas(rng), "LOGS", dir)
		file := write(t, filepath.Join(dir, "interfaces"), text, 0o600)
		names := []string{"eth0"}
		if strings.Contains(text, "iface eth0:1") {
			names = append(names, "eth0:1")
		}
		if !strings.Contains(text, "iface eth0 ") {
			continue
		}
		for _, line := range []string{"ifup", "ifup --ignore-errors", "ifdown --force"} {
			tool, flag, _ := strings.Cut(line, " ")
			args := func(s side) []string {
				return slices.DeleteFunc(append([]string{flag, "--no-scripts", "--state-dir", s.dir, "-i", file}, names...), func(s string) bool { return s == "" })
			}
			if flag == "--ignore-errors" && rng.IntN(2) == 0 {
				continue
			}
			out, err := classic.Command(tool, args(classic)...).CombinedOutput()
			stdout, stderr, code := our.ours(t, tool, args(our)...)
			told := fmt.Sprintf("file %d: %s\n%s\nclassic: %v\n%s\nours: %d\n%s%s", i, line, text, err, out, code, stdout, stderr)
			if tool == "ifup" && flag == "" && (err != nil) != (code != 0) {
				t.Fatal(told)
			}
			if d := cmp.Diff(classic.kept(t), our.kept(t)); d != "" {
				t.Fatalf("%s\n(-classic +ours):\n%s", told, d)
			}
			// The kernel makes a link-local address, and its routes, when the carrier has
			// come, which is after the call that sets the link up.
			d := ""
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				if d = cmp.Diff(state(t, classic.Host), state(t, our.Host)); d == "" || time.Now().After(end) {
					break
				}
			}
			if d != "" {
				t.Fatalf("%s\n(-classic +ours):\n%s", told, d)
			}
		}
	}
}

// What the classic prints of a plan and we do not: modules, which are loaded by
// whoever opens a socket, how errors are passed over, and the wait for the
// detection of duplicates; it writes masks, and aliases as devices.
var (
	notOurs = regexp.MustCompile(`(?m)^(modprobe|/lib/ifupdown/).*$|(2>&1 )?1?2?>/dev/null( \|\| true)?`)
	mask    = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+)/(\d+\.\d+\.\d+\.\d+)`)
	mtu6    = regexp.MustCompile(`(?m)^if \[.*; else (.*); fi$`)
	alias   = regexp.MustCompile(`dev (\w+):\d+`)
)

func normal(plan string) []string {
	plan = notOurs.ReplaceAllString(plan, "")
	plan = strings.ReplaceAll(alias.ReplaceAllString(plan, "dev $1"), "/128 ", " ")
	plan = mtu6.ReplaceAllString(plan, "$1")
	plan = mask.ReplaceAllStringFunc(plan, func(s string) string {
		a, m, _ := strings.Cut(s, "/")
		ones, _ := net.IPMask(net.ParseIP(m).To4()).Size()
		return fmt.Sprint(a, "/", ones)
	})
	var lines []string
	for line := range strings.Lines(plan) {
		if words := strings.Join(strings.Fields(line), " "); words != "" {
			lines = append(lines, words)
		}
	}
	return lines
}

// The plan is the one that the classic prints, command for command.
func TestPlanAgainstIfup(t *testing.T) {
	needs(t, "ifup")
	rng := seeded(t)
	dir := t.TempDir()
	s := newSide(t, lab.New(t), "host", dir)
	for i := range 200 {
		text := stanzas(rng)
		if strings.Contains(text, "random") || !strings.Contains(text, "iface eth0 ") {
			continue
		}
		file := write(t, filepath.Join(dir, "interfaces"), text, 0o600)
		tool := []string{"ifup", "ifdown"}[i%2]
		args := []string{"-n", "--force", "--state-dir", s.dir, "-i", file, "eth0"}
		if strings.Contains(text, "iface eth0:1") {
			args = append(args, "eth0:1")
		}
		out, err := s.Command(tool, args...).CombinedOutput()
		stdout, stderr, code := s.ours(t, tool, args...)
		if d := cmp.Diff(normal(string(out)), normal(stdout)); d != "" || err != nil || code != 0 || stderr != "" {
			t.Fatalf("%s\n%s\nclassic: %v\nours: %d\n%s\n(-classic +ours):\n%s", tool, text, err, code, stderr, d)
		}
	}
}
