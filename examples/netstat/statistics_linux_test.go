package main

import (
	"encoding/json"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/sockets"
)

// group returns the lines of one group of netstat -s, sorted by the tool.
func group(text, name string) (lines []string) {
	in := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, " ") {
			in = strings.TrimSpace(line) == name+":"
			continue
		}
		if in {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// The groups that netstat has words for are worded the same.
func TestStatisticsAgainstNetstat(t *testing.T) {
	if _, err := exec.LookPath("netstat"); err != nil {
		t.Skip("needs netstat")
	}
	host := newHost(t)
	err := host.Do(func() error {
		c, err := net.Dial("udp4", "127.0.0.1:9") // nobody listens
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, _ = net.Dial("tcp4", "127.0.0.1:9")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ours := netstat(t, host, "-s")
	out, err := host.Output("netstat", "-s")
	if err != nil {
		t.Fatal(err)
	}
	// The child that prints ours counts nothing itself.
	for _, name := range []string{"Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "UdpLite", "IpExt"} {
		want := group(string(out), name)
		if name != "UdpLite" && len(want) == 0 {
			t.Errorf("netstat has no %s", name)
		}
		if diff := cmp.Diff(want, group(ours, name)); diff != "" {
			t.Errorf("%s (-netstat +ours):\n%s", name, diff)
		}
	}
	if g := group(netstat(t, host, "-st"), "Tcp"); len(g) == 0 || strings.Contains(netstat(t, host, "-st"), "Udp:") {
		t.Errorf("-st: %q", g)
	}
	six := netstat(t, host, "-s6")
	if !strings.Contains(six, "Ip6:\n") || strings.Contains(six, "Ip:\n") || !strings.Contains(six, "Tcp:\n") {
		t.Errorf("-s6: %q", six)
	}
	var groups []sockets.CounterGroup
	if err := json.Unmarshal([]byte(netstat(t, host, "-s", "--json")), &groups); err != nil || len(groups) < 5 {
		t.Errorf("--json: %d groups, %v", len(groups), err)
	}
}

func TestInterfacesAgainstNetstat(t *testing.T) {
	if _, err := exec.LookPath("netstat"); err != nil {
		t.Skip("needs netstat")
	}
	host := newHost(t)
	for _, flags := range []string{"-i", "-ia", "-ie", "-aie"} {
		out, err := host.Output("netstat", flags)
		if err != nil {
			t.Fatal(err)
		}
		// Packets go on between the two, and netstat reads IPv6 addresses from a
		// file that has them in no order.
		lines := func(text string) []string {
			list := strings.Split(counts.ReplaceAllString(text, " N"), "\n")
			slices.Sort(list)
			return list
		}
		want, got := lines(string(out)), lines(netstat(t, host, flags))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-netstat +ours):\n%s", flags, diff)
		}
	}
}

var counts = regexp.MustCompile(` +\d+(\.\d+)?( \([0-9.]+ \w+\))?`)
