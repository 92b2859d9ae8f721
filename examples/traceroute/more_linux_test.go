package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// The path MTU stands where the classic has it. The classic loses its first
// answer now and then, and prints a star.
func TestMTU(t *testing.T) {
	client := path(t)
	star := regexp.MustCompile(`( \*)?  T ms( F=\d+)?`)
	norm := func(text string) string {
		text = regexp.MustCompile(`\* F=1500 10.1.0.1`).ReplaceAllString(text, "10.1.0.1  T ms F=1500")
		return star.ReplaceAllString(text, "$2")
	}
	for _, line := range []string{"-n --mtu 10.3.0.5", "-n --mtu -I 10.3.0.5", "-n --mtu fd00:3::5", "-n --mtu -q 1 -I 10.3.0.5"} {
		args := strings.Fields(line)
		got, stderr, code, err := client.RunChild("traceroute", false, args...)
		if err != nil || code != 0 || len(stderr) > 0 {
			t.Errorf("%s: %v, exit code %d: %s", line, err, code, stderr)
		}
		lines := strings.Split(masked(string(got)), "\n")
		if len(lines) != 4 || !strings.Contains(lines[1], "T ms F=1500") || strings.Contains(lines[2], "F=") || !strings.Contains(lines[3], "T ms F=1400") {
			t.Errorf("%s: %s", line, got)
		}
		if _, err := exec.LookPath("traceroute"); err != nil {
			continue
		}
		d := ""
		for range 3 {
			client.Output("ip", "-6", "route", "flush", "cache")
			want, err := client.Output("traceroute", args...)
			if err != nil {
				t.Fatal(err)
			}
			if d = cmp.Diff(norm(masked(string(want))), norm(masked(string(got)))); d == "" {
				break
			}
		}
		if d != "" {
			t.Errorf("%s (-traceroute +ours)\n%s", line, d)
		}
	}
}

// Answers of the server take another way back, over a router more.
func TestBack(t *testing.T) {
	l := lab.New(t)
	client, r1, r2, server := l.Host("client"), l.Router("r1"), l.Router("r2"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), r1.Port("a", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(r1.Port("b", "10.2.0.1/24", "fd00:2::1/64"), server.Port("eth0", "10.2.0.2/24", "fd00:2::2/64"))
	l.Connect(server.Port("eth1", "10.3.0.2/24", "fd00:3::2/64"), r2.Port("a", "10.3.0.1/24", "fd00:3::1/64"))
	l.Connect(r2.Port("b", "10.4.0.2/24", "fd00:4::2/64"), r1.Port("c", "10.4.0.1/24", "fd00:4::1/64"))
	for _, r := range []struct {
		h        *lab.Host
		dst, via string
	}{
		{client, "default", "10.1.0.1"}, {client, "default", "fd00:1::1"}, {server, "default", "10.3.0.1"}, {server, "default", "fd00:3::1"},
		{r2, "default", "10.4.0.1"}, {r2, "default", "fd00:4::1"},
	} {
		r.h.Route(r.dst, r.via)
	}
	for _, key := range []string{"net/ipv4/icmp_ratemask", "net/ipv6/icmp/ratemask"} {
		server.Sysctl(key, "0")
	}
	for _, line := range []string{"-n --back 10.2.0.2", "-n -I --back 10.2.0.2", "-n --back fd00:2::2"} {
		got, _, code, err := client.RunChild("traceroute", false, strings.Fields(line)...)
		if err != nil || code != 0 || !strings.Contains(string(got), "2 '-3'  ") {
			t.Errorf("%s: %v, exit code %d: %s", line, err, code, got)
		}
		if _, err := exec.LookPath("traceroute"); err == nil {
			d := ""
			for range 3 {
				if d = compare(t, client, line); d == "" {
					break
				}
			}
			if d != "" {
				t.Errorf("%s (-traceroute +ours)\n%s", line, d)
			}
		}
	}
}

// The systems are asked for at the server that is set up, and only about
// addresses that can have one.
func TestSystems(t *testing.T) {
	l := lab.New(t)
	client, gate, server := l.Host("client"), l.Router("gate"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), gate.Port("a", "10.1.0.1/24"))
	l.Connect(gate.Port("b", "198.51.100.1/24"), server.Port("eth0", "198.51.100.2/24"))
	client.Route("default", "10.1.0.1")
	server.Route("default", "198.51.100.1")
	asked := make(chan string, 100)
	zone := lab.Zone{Origin: "asn.example.", Records: map[string][]string{"2.100.51.198.origin": {"TXT 64500 64501 | 198.51.100.0/24 | XX | test |"}}}
	server.ServeDNS("198.51.100.2:53", func(q lab.DNSQuery) lab.DNSReply {
		asked <- q.Name
		return zone.Answer(q)
	})
	client.ResolvConf("nameserver 198.51.100.2\noptions timeout:1 attempts:1\n")
	want := "traceroute to 198.51.100.2 (198.51.100.2), 30 hops max, 60 byte packets\n 1  10.1.0.1 [*]  T ms\n 2  198.51.100.2 [AS64500/AS64501]  T ms"
	for try := 1; ; try++ { // lines do not wait long for an answer
		out, stderr, code, err := client.RunChild("traceroute", false, "-n", "-A", "-q", "1", "--as-zone", "asn.example", "198.51.100.2")
		if err == nil && code == 0 && masked(string(out)) == want {
			break
		}
		if try == 5 {
			t.Errorf("%v, exit code %d: %s%s", err, code, out, stderr)
			break
		}
	}
	for len(asked) > 0 {
		if name := <-asked; !strings.HasPrefix(name, "2.100.51.198.origin.asn.example") {
			t.Errorf("asked for %s", name)
		}
	}
	client.ResolvConf("")
	if _, stderr, code, _ := client.RunChild("traceroute", false, "-A", "198.51.100.2"); code != 1 || !strings.Contains(string(stderr), "no name server is set up") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// Windows' layout, as the documents have it.
func TestTracert(t *testing.T) {
	client := path(t)
	for _, tt := range []struct{ line, want string }{
		{"-d 10.3.0.5", "\nTracing route to 10.3.0.5 over a maximum of 30 hops\n\n" +
			"  1    <1 ms    <1 ms    <1 ms  10.1.0.1\n  2    <1 ms    <1 ms    <1 ms  10.2.0.2\n  3    <1 ms    <1 ms    <1 ms  10.3.0.5\n\nTrace complete.\n"},
		{"web1", "\nTracing route to web1 [10.3.0.5]\nover a maximum of 30 hops:\n\n" +
			"  1    <1 ms    <1 ms    <1 ms  gate [10.1.0.1]\n  2    <1 ms    <1 ms    <1 ms  second [10.2.0.2]\n  3    <1 ms    <1 ms    <1 ms  web1 [10.3.0.5]\n\nTrace complete.\n"},
		{"-d -h 3 -w 500 10.3.0.8", "\nTracing route to 10.3.0.8 over a maximum of 3 hops\n\n" +
			"  1    <1 ms    <1 ms    <1 ms  10.1.0.1\n  2    <1 ms    <1 ms    <1 ms  10.2.0.2\n  3     *        *        *     Request timed out.\n\nTrace complete.\n"},
		{"-d 10.3.0.7", "\nTracing route to 10.3.0.7 over a maximum of 30 hops\n\n" +
			"  1    <1 ms    <1 ms    <1 ms  10.1.0.1\n  2    <1 ms    <1 ms    <1 ms  10.2.0.2\n  3  10.2.0.2  reports: Destination host unreachable.\n\nTrace complete.\n"},
	} {
		out, stderr, code, err := client.RunChild("traceroute", false, append([]string{"--tracert"}, strings.Fields(tt.line)...)...)
		got := regexp.MustCompile(` {1,4}\d+ ms`).ReplaceAllString(string(out), "    <1 ms") // on a busy machine
		if err != nil || code != 0 || len(stderr) > 0 {
			t.Errorf("%s: %v, exit code %d: %s", tt.line, err, code, stderr)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.line, d)
		}
	}
}
