package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setLine makes a command line that adds or deletes.
func setLine(c chaos) string {
	verb := c.of("add", "add", "add", "del")
	if c.IntN(3) == 0 {
		dst := c.of("default", "fd00:16:1::/48", "fd00:16::/32", fmt.Sprintf("fd00:16:%d::/64", c.IntN(3)))
		way := c.of("gw fd00:1::2", "gw fd00:2::3", "gw fe80::9 dev eth1", "dev eth0", "gw fd00:9::9")
		if verb == "del" { // without a gateway the call of the classic deletes one way of several
			way = c.of("gw fd00:1::2", "gw fd00:2::3", "gw fe80::9 dev eth1")
		}
		return c.of("-6 ", "-A inet6 ") + verb + " " + dst + " " + way + c.some("metric 7", "metric 1024")
	}
	dst := c.of("default", "-net 10.16.0.0 netmask 255.255.0.0", "-net 10.17.0.0/16", "10.18.1.1", "-host 10.18.1.2", "-net 192.168.7.0/24", "172.16.0.0",
		"-net 10.0.0.0/8", "-net 0.0.0.0 netmask 0.0.0.0", fmt.Sprintf("-net 10.16.%d.0/24", c.IntN(3)))
	if c.IntN(6) == 0 {
		return verb + " " + dst + " reject"
	}
	way := c.of("gw 10.1.0.2", "gw 10.1.0.3", "gw 10.2.0.3 dev eth1", "dev eth0", "gw 10.99.0.1", "dev nosuch", "gw 10.1.0.9 metric 7")
	return verb + " " + dst + " " + way + c.some("metric 5", "mss 1400", "window 7300", "irtt 100", "mss 1400 window 4000 metric 9", "mod")
}

// What is added and deleted is what route adds and deletes.
func TestSetAgainstRoute(t *testing.T) {
	for _, tool := range []string{"route", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := chaos{rand.New(rand.NewPCG(seed, 1))}
	for range 4 {
		classic, our := newHost(t), newHost(t)
		var story []string
		for range 50 {
			line := setLine(c)
			story = append(story, line)
			out, err := classic.Command("route", strings.Fields(line)...).CombinedOutput()
			var stdout, stderr bytes.Buffer
			code := 0
			hostErr := our.Do(func() error { // no names are looked up, which needs a process
				code = run(t.Context(), strings.Fields(line), nil, &stdout, &stderr)
				return nil
			})
			if hostErr != nil || stdout.Len() > 0 {
				t.Fatalf("%s: %v: %s", line, hostErr, stdout.String())
			}
			first, _, _ := strings.Cut(string(out), "\n")
			if words, _, _ := strings.Cut(strings.TrimPrefix(stderr.String(), "route: "), "\n"); words != first || (err != nil) != (code != 0) {
				t.Errorf("%s\nclassic: %v %s\nours: %d %s", strings.Join(story, "\n"), err, out, code, stderr.String())
			}
			for _, args := range [][]string{{"-4", "route"}, {"-6", "route"}} {
				want, err := classic.Output("ip", args...)
				got, err2 := our.Output("ip", args...)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				if d := cmp.Diff(string(want), string(got)); d != "" {
					t.Fatalf("%s (-route +ours):\n%s", strings.Join(story, "\n"), d)
				}
			}
		}
	}
}

func TestSetUnprivileged(t *testing.T) {
	stdout, stderr, code, err := newHost(t).RunChild("route", false, "add", "default", "gw", "10.1.0.2")
	const want = "route: SIOCADDRT: Operation not permitted\nroute: hint: run it as root; it needs CAP_NET_ADMIN\n"
	if err != nil || code != 7 || len(stdout) > 0 || string(stderr) != want {
		t.Errorf("%v, exit code %d, printed %q and %q", err, code, stdout, stderr)
	}
}
