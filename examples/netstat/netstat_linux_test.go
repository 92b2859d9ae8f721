package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/sockets"
)

// newHost is a host with listeners, connections and routes of every sort.
func newHost(t *testing.T) *lab.Host {
	t.Helper()
	l := lab.New(t)
	host, other := l.Host("host"), l.Host("other")
	l.Connect(host.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), other.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"))
	host.Hosts("127.0.0.1 localhost\n::1 localhost\n10.1.0.1 web1\nfd00:1::1 web1\n10.1.0.2 gateway\n")
	host.Route("default", "10.1.0.2")
	host.Route("10.2.0.0/16", "10.1.0.2")
	host.Route("10.3.0.1/32", "10.1.0.2")
	host.Unreachable("10.4.0.0/24")
	host.Prohibit("10.4.1.0/24")
	host.Blackhole("10.4.2.0/24")
	err := host.Do(func() error {
		for _, at := range [][2]string{{"tcp4", "0.0.0.0:80"}, {"tcp", "127.0.0.1:8080"}, {"tcp", "[::]:443"}, {"tcp", "[fd00:1::1]:8443"}} {
			ln, err := net.Listen(at[0], at[1])
			if err != nil {
				return err
			}
			t.Cleanup(func() { ln.Close() })
		}
		for _, at := range [][2]string{{"udp4", "0.0.0.0:5353"}, {"udp", "[::1]:5353"}, {"udp", "[fd00:1::1]:123"}} {
			pc, err := net.ListenPacket(at[0], at[1])
			if err != nil {
				return err
			}
			t.Cleanup(func() { pc.Close() })
		}
		for _, to := range [][2]string{{"tcp", "127.0.0.1:8080"}, {"tcp", "[fd00:1::1]:8443"}, {"udp", "10.1.0.2:53"}} {
			conn, err := net.Dial(to[0], to[1])
			if err != nil {
				return err
			}
			t.Cleanup(func() { conn.Close() })
		}
		ln, err := net.Listen("unix", "@netsonde-netstat-test")
		if err != nil {
			return err
		}
		t.Cleanup(func() { ln.Close() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// netstat runs the tool inside the host.
func netstat(t *testing.T, host *lab.Host, args ...string) string {
	t.Helper()
	stdout, stderr, code, err := host.RunChild("netstat", true, args...)
	if err != nil || code != 0 {
		t.Fatalf("netstat %v: %v, exit code %d: %s", args, err, code, stderr)
	}
	return string(stdout)
}

// What changes from one run to the next: the time left of a timer.
var seconds = regexp.MustCompile(`\(\d+\.\d\d/`)

// What this program does not tell: the count of references of a unix socket.
var references = regexp.MustCompile(`(?m)^unix  (\d+|-) +`)

func lines(text string) []string {
	text = references.ReplaceAllString(seconds.ReplaceAllString(text, "(…/"), "unix … ")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// The text is the classic's, to the blank.
func TestAgainstNetstat(t *testing.T) {
	if _, err := exec.LookPath("netstat"); err != nil {
		t.Skip("needs netstat")
	}
	host := newHost(t)
	for _, args := range []string{
		"-lnp", "-plunte", "-an", "-ntp", "-nt", "-antu", "-lnt4", "-lnt6", "-nlx", "-ntuaeo", "-n", "-anp", "-nr",
		"-tal", "-ltu", "-tune", "-tue", "-r",
	} {
		classic, err := host.Output("netstat", "--wide", args)
		if err != nil {
			t.Fatalf("netstat %s: %v", args, err)
		}
		if diff := cmp.Diff(lines(string(classic)), lines(netstat(t, host, args))); diff != "" {
			t.Errorf("%s (-netstat +ours):\n%s", args, diff)
		}
	}
}

func TestJSON(t *testing.T) {
	host := newHost(t)
	var table sockets.Table
	if err := json.Unmarshal([]byte(netstat(t, host, "-lt", "--json")), &table); err != nil {
		t.Fatal(err)
	}
	var ports []uint16
	for _, s := range table.Sockets {
		ports = append(ports, s.Local.Port())
	}
	slices.Sort(ports)
	if diff := cmp.Diff([]uint16{80, 443, 8080, 8443}, ports); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	var routes []map[string]any
	if err := json.Unmarshal([]byte(netstat(t, host, "-r", "--json")), &routes); err != nil || len(routes) < 7 {
		t.Errorf("%d routes, %v", len(routes), err)
	}
}

// -c goes on until it is interrupted.
func TestContinuous(t *testing.T) {
	host := newHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	err := host.Do(func() error {
		stop := writerFunc(func(p []byte) (int, error) {
			stdout.Write(p)
			if strings.Count(stdout.String(), "Active Internet") == 2 {
				cancel()
			}
			return len(p), nil
		})
		if code := run(ctx, []string{"-ctn"}, nil, stop, &stderr); code != 0 {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
		return nil
	})
	cancel()
	if n := strings.Count(stdout.String(), "Active Internet"); err != nil || n != 2 {
		t.Errorf("%d tables, %v", n, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Who may not look into other processes is told what would allow it.
func TestUnprivileged(t *testing.T) {
	host := newHost(t)
	stdout, stderr, code, err := host.RunChild("netstat", false, "-lntp")
	if err != nil || code != 0 {
		t.Fatalf("%v, exit code %d: %s", err, code, stderr)
	}
	hidden := strings.Contains(string(stdout), "LISTEN      -    ")
	said := strings.Contains(string(stderr), "could not be looked into") && strings.Contains(string(stderr), "netstat: hint: that needs CAP_")
	if hidden != said || !strings.Contains(string(stdout), "127.0.0.1:8080") {
		t.Errorf("printed %s and %s", stdout, stderr)
	}
}
