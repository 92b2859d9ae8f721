package main

import (
	"bytes"
	"context"
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
	"github.com/netsonde/netsonde/link"
)

// devices are what this kernel has to offer.
const devices = `link add veth0 numtxqueues 4 numrxqueues 4 type veth peer name veth1 numtxqueues 4 numrxqueues 4
tuntap add tap0 mode tap multi_queue
tuntap add tun0 mode tun
link add br0 type bridge
link add vxlan0 type vxlan id 4 dstport 4789
link add ifb0 type ifb
link add macvlan0 link veth0 type macvlan
link property add dev veth0 altname an-alternative-name-of-veth0
`

// questions are those that ethtool has one answer to; it prints nothing else.
var questions = []string{"", "-S", "-i", "-g", "-l", "-c", "-k", "-a", "-m", "-T", "-P", "--show-fec", "--show-eee", "--show-priv-flags", "-x", "-I -a", "-I --show-fec"}

// newHost returns a host with the devices that the user may make.
func newHost(t *testing.T) (host *lab.Host, names []string) {
	t.Helper()
	for _, tool := range []string{"ethtool", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	host = lab.New(t).Host("host")
	cmd := host.Command("ip", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(devices)
	cmd.Run()
	if err := host.Do(func() error {
		links, err := link.List(t.Context(), nil)
		for _, l := range links {
			names = append(names, l.Name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return host, names
}

// needTun is for tests that are about a tap device.
func needTun(t *testing.T, names []string) {
	t.Helper()
	if !slices.Contains(names, "tap0") {
		t.Skip("needs to write /dev/net/tun")
	}
}

// change sets something on the device at random with ethtool or ip; what the
// driver refuses stays as it is.
func change(host *lab.Host, rng *rand.Rand, name string) {
	word := func(list ...string) string { return list[rng.IntN(len(list))] }
	for range 3 {
		line := ""
		switch rng.IntN(6) {
		case 0, 1:
			line = fmt.Sprintf("ethtool -s %s speed %s duplex %s autoneg %s port %s", name,
				word("10", "100", "1000", "2500", "65535", "0", "123456"), word("half", "full"), word("on", "off"), word("tp", "mii", "fibre", "bnc", "aui", "da"))
		case 2:
			line = fmt.Sprintf("ethtool -s %s msglvl %s", name, word("0", "7", "0x8001", "0xff", "drv on", "rx_err on tx_err on"))
		case 3:
			line = fmt.Sprintf("ethtool -K %s %s %s", name, word("tso", "gso", "gro", "sg", "tx", "rx", "rx-gro-list", "tx-nocache-copy", "rxvlan", "tx-checksum-ip-generic", "lro"), word("on", "off"))
		case 4:
			line = fmt.Sprintf("ethtool %s %s %s", word("-L", "-C"), name, word("rx 2 tx 2", "rx 1 tx 3", "rx-frames 5", "rx-frames 64"))
		case 5:
			line = "ip link set " + name + " " + word("up", "down")
		}
		f := strings.Fields(line)
		host.Command(f[0], f[1:]...).Run()
	}
}

// answer runs ethtool and this program with the same words.
func answer(t *testing.T, host *lab.Host, words []string) (classic, ours [3]string) {
	t.Helper()
	cmd := host.Command("ethtool", words...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Run()
	classic = [3]string{out.String(), errOut.String(), fmt.Sprint(cmd.ProcessState.ExitCode())}
	var stdout, stderr bytes.Buffer
	code := 0
	if err := host.Do(func() error {
		code = run(context.Background(), words, nil, &stdout, &stderr)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return classic, [3]string{stdout.String(), stderr.String(), fmt.Sprint(code)}
}

// Every answer about every device in random states is ethtool's, to the blank:
// output, errors and exit code.
func TestAgainstEthtool(t *testing.T) {
	host, names := newHost(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	compared, setups, lines := 0, 0, 0
	failed := 0
	for setups < 400 && failed < 5 {
		name := names[rng.IntN(len(names))]
		change(host, rng, name)
		setups++
		asked := []string{"", questions[1+rng.IntN(len(questions)-1)]}
		if setups <= len(names) {
			name, asked = names[setups-1], questions
		}
		for _, q := range asked {
			words := append(strings.Fields(q), name)
			var ours [3]string
			var diff string
			for range 5 { // counters and carriers may change in between
				var classic [3]string
				classic, ours = answer(t, host, words)
				if diff = cmp.Diff(classic, ours); diff == "" {
					break
				}
			}
			if diff != "" {
				failed++
				t.Errorf("%s (-ethtool +ours):\n%s", words, diff)
			}
			compared++
			lines += strings.Count(ours[0], "\n")
		}
	}
	t.Logf("%d set-ups, %d answers, %d lines compared", setups, compared, lines)
}

// Offloads are those of ethtool --json, which has them by name.
func TestAgainstJSON(t *testing.T) {
	host, names := newHost(t)
	rng := rand.New(rand.NewPCG(3, 4))
	compared := 0
	for range 10 {
		for _, name := range names {
			change(host, rng, name)
			b, err := host.Output("ethtool", "--json", "-k", name)
			var list []map[string]json.RawMessage
			if err == nil {
				err = json.Unmarshal(b, &list)
			}
			if err != nil || len(list) != 1 {
				t.Fatalf("%v: %s", err, b)
			}
			var features []link.Feature
			if err := host.DoUnprivileged(func() error {
				d, err := link.OpenDevice(t.Context(), name, nil)
				if err != nil {
					return err
				}
				defer d.Close()
				features, err = d.Features(t.Context())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, f := range features {
				old := f.Name
				for _, g := range groups {
					if g[1] == f.Name {
						old = g[0]
					}
				}
				var want struct{ Active, Fixed, Requested bool }
				if list[0][old] == nil {
					t.Errorf("%s: ethtool has no %s", name, old)
				} else if err := json.Unmarshal(list[0][old], &want); err != nil {
					t.Error(err)
				} else if want.Active != f.Active || want.Fixed != f.Fixed || want.Requested != f.Requested {
					t.Errorf("%s %s: %+v, ethtool says %+v", name, f.Name, f, want)
				}
				compared++
			}
		}
	}
	t.Logf("%d offloads compared", compared)
	if compared < 1000 {
		t.Errorf("only %d offloads", compared)
	}
}

// The words and codes for what is not there are ethtool's; that an interface is
// not there is said once, not for each part of the answer.
func TestAbsent(t *testing.T) {
	host, _ := newHost(t)
	for _, q := range questions {
		words := append(strings.Fields(q), "nosuch0")
		classic, ours := answer(t, host, words)
		if q == "" {
			said := strings.SplitAfter(classic[1], "\n")
			slices.Sort(said)
			said = slices.DeleteFunc(slices.Compact(said), func(s string) bool { return s == "" })
			got := strings.SplitAfter(strings.TrimSuffix(ours[1], "\n"), "\n")
			got[len(got)-1] += "\n"
			slices.Sort(got)
			if diff := cmp.Diff(said, got); diff != "" {
				t.Errorf("(-ethtool +ours):\n%s", diff)
			}
			classic[1], ours[1] = "", ""
		}
		if diff := cmp.Diff(classic, ours); diff != "" {
			t.Errorf("%s (-ethtool +ours):\n%s", words, diff)
		}
	}
}

// As nobody: what the kernel tells everybody is told, a refusal says what would
// allow it and hides nothing.
func TestUnprivileged(t *testing.T) {
	host, names := newHost(t)
	needTun(t, names)
	host.Command("ethtool", "-s", "tap0", "speed", "100", "duplex", "half").Run()
	stdout, stderr, code, err := host.RunChild("ethtool", false, "tap0")
	for _, want := range []string{"Speed: 100Mb/s", "Duplex: Half", "Link detected: "} {
		if !strings.Contains(string(stdout), want) {
			t.Errorf("no %q in %q", want, stdout)
		}
	}
	if want := "netlink error: Operation not permitted\nethtool: hint: the kernel tells that only to CAP_NET_ADMIN: run it as root\n"; err != nil || code != 0 || string(stderr) != want {
		t.Errorf("%v, exit code %d, said %q, want %q", err, code, stderr, want)
	}
	_, stderr, code, err = host.RunChild("ethtool", false, "-m", "tap0")
	if err != nil || code != 1 || !strings.Contains(string(stderr), "run it as root") {
		t.Errorf("%v, exit code %d, said %q", err, code, stderr)
	}
}

func TestJSON(t *testing.T) {
	host, names := newHost(t)
	needTun(t, names)
	stdout, stderr, code, err := host.RunChild("ethtool", true, "--json", "-k", "tap0", "lo", "an-alternative-name-of-veth0")
	var got []string
	for line := range strings.Lines(string(stdout)) {
		var r link.EthtoolReport
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r.Name, " ", len(r.Features) > 20))
	}
	if diff := cmp.Diff([]string{"tap0 true", "lo true", "veth0 true"}, got); diff != "" || err != nil || code != 0 {
		t.Errorf("%v, exit code %d: %s (-want +got):\n%s", err, code, stderr, diff)
	}
	stdout, _, _, err = host.RunChild("ethtool", true, "--json", "tap0")
	if err != nil || !strings.Contains(string(stdout), `"virtual":true`) {
		t.Errorf("%v: the speed of a tap device is not marked: %s", err, stdout)
	}
}

// An end of a cable that is set down: the other has no link.
func TestCheck(t *testing.T) {
	host, _ := newHost(t)
	if out, err := host.Command("ip", "link", "set", "veth0", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, privileged := range []bool{true, false} {
		stdout, stderr, code, err := host.RunChild("ethtool", privileged, "--check", "0.01", "veth0")
		want := "no_link: veth0 is up and has no link\nvirtual_speed: veth0 is made of software; its 10000Mb/s say nothing about the path\n"
		// Packets of the kernel's own may be dropped meanwhile, which comes next.
		if err != nil || code != 1 || !strings.HasPrefix(string(stdout), want) || len(stderr) > 0 {
			t.Errorf("%v, exit code %d, printed %q, said %q; want %q", err, code, stdout, stderr, want)
		}
	}
	stdout, _, code, err := host.RunChild("ethtool", false, "--check", "0", "--json", "lo")
	if err != nil || code != 0 || string(stdout) != "[]\n" {
		t.Errorf("%v, exit code %d, printed %q", err, code, stdout)
	}
	if _, stderr, code, _ := host.RunChild("ethtool", false, "--check", "0", "nosuch0"); code == 0 || len(stderr) == 0 {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
}

func BenchmarkEthtool(b *testing.B) {
	for b.Loop() {
		var stdout, stderr bytes.Buffer
		if run(b.Context(), []string{"lo"}, nil, &stdout, &stderr) != 0 {
			b.Fatal(stderr.String())
		}
	}
}
