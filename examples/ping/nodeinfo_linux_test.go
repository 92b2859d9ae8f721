package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
)

// responder answers node information queries, and sometimes wrongly: what is
// asked decides.
func responder(query []byte) [][]byte {
	ttl := "\x00\x00\x00\x3c"
	reply := func(data string) []byte {
		b := append(bytes.Clone(query[:16]), data...)
		b[0], b[1], b[2], b[3] = 140, 0, 0, 0
		return b
	}
	v6 := func(a string) string { return ttl + string(netip.MustParseAddr(a).AsSlice()) }
	switch question, flags := query[5], query[7]; {
	case question == 2 && query[1] == 0:
		return [][]byte{reply(ttl + "\x06server\x07example\x00")}
	case question == 2 && query[1] == 1:
		return [][]byte{reply(ttl + "\x06server\x00\x00" + "\x05a\x1bb.c\x00")}
	case question == 2:
		return [][]byte{reply(ttl + "\x09short")}
	case question == 3 && flags == 2:
		b := reply(v6("2001:db8::1") + v6("fe80::1") + "xyz")
		b[7] = 1
		return [][]byte{b}
	case question == 3:
		return [][]byte{reply(v6("2001:db8::1") + v6("2001:db8::2"))}
	case flags == 0:
		return [][]byte{reply(ttl + "\xc0\x00\x02\x01")}
	}
	return [][]byte{reply("")}
}

func TestNodeInfoAgainstPing(t *testing.T) {
	t.Parallel()
	client, server := forgedPair(t)
	server.AnswerICMPv6(139, responder)
	server.Addr("eth0", "fe80::1/64")
	to := "fd00:1::1"
	compareAll(t, client, true, []string{
		"-c 2 -i 0.05 -N name " + to, "-c 1 -N name -N subject-name=server " + to, "-c 1 -N name -N subject-ipv4=192.0.2.1 " + to,
		"-c 1 -N ipv6 " + to, "-c 1 -N ipv6-all " + to, "-c 1 -N ipv6-global -N ipv6-linklocal " + to,
		"-c 1 -N ipv4 " + to, "-c 1 -N ipv4-all " + to, "-c 1 -q -N name " + to, "-c 2 -f -N name " + to, "-c 1 -D -N name " + to,
		"-c 1 -N name fe80::1%eth0", "-c 1 -W 0.3 -N name fd00:1::99", "-N help " + to,
	})
	out, errs, code := run1(client.ChildCommand("ping", true, "-c", "1", "--json", "-N", "ipv4", to))
	var r struct {
		Node struct {
			Question string
			Addrs    []string
		}
	}
	first, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(first), &r); err != nil || code != 0 || errs != "" || r.Node.Question != "ipv4" || !slices.Equal(r.Node.Addrs, []string{"192.0.2.1"}) {
		t.Errorf("exit %d, %v, %s\n%s", code, err, errs, out)
	}
}

// What a flag of ping(8) does where it cannot be compared.
func TestNewFlags(t *testing.T) {
	client, _ := twoNets(t)
	for line, want := range map[string]string{
		"-c 1 -F 0x4d fd00:2::2":             "PING fd00:2::2(fd00:2::2) , flow 0x0004d, 56 data bytes\n64 bytes from fd00:2::2: icmp_seq=1 ttl=63 ",
		"-c 1 -e 4712 -v 10.2.0.2":           ": icmp_seq=1 ident=4712 ttl=63 ",
		"-c 1 -e 4713 -v fd00:2::2":          ": icmp_seq=1 ident=4713 ttl=63 ",
		"-c 1 -C -I 10.1.0.2 10.2.0.2":       "64 bytes from 10.2.0.2",
		"-c 3 -i 0.01 -S 1 -s 1200 10.2.0.2": "3 received",
		"-r -c 1 10.1.0.1":                   "1 received",
		"-c 1 -r 10.1.0.1":                   "1 received",
		"-r 1 10.1.0.1 10.2.0.2":             "10.2.0.2 is alive\n",
		"-r1 10.1.0.1 10.2.0.2":              "10.2.0.2 is alive\n",
		"-ar 1 10.1.0.1 10.2.0.2":            "10.2.0.2\n",
		"-r 10.1.0.1 10.1.0.2":               "10.1.0.1 is alive\n",
	} {
		if out, errs, code := tool(t, client, "", strings.Fields(line)...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, want %q in:\n%s%s", line, code, want, out, errs)
		}
	}
	// The installed one is silent about why nothing went out.
	out, errs, code := tool(t, client, "", strings.Fields("-r -c 1 -W 0.2 10.2.0.2")...)
	if code != 1 || !strings.Contains(errs, "sendmsg: Network is unreachable") || !strings.Contains(out, "0 received") {
		t.Errorf("past the routing table: exit %d\n%s%s", code, out, errs)
	}
	if _, errs, code := tool(t, client, "", strings.Fields("-r -c 1 fd00:2::2")...); code != 0 || !strings.Contains(errs, "-r is of no effect") {
		t.Errorf("past the routing table of IPv6: exit %d\n%s", code, errs)
	}
	if out, errs, code := tool(t, client, "", strings.Fields("-e 0 -c 1 10.2.0.2")...); code != 2 || out != "" || !strings.Contains(errs, "setcap cap_net_raw") {
		t.Errorf("identifier 0 without privileges: exit %d\n%s%s", code, out, errs)
	}
	server := lab.New(t).Host("other")
	taken, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- server.Do(func() error {
			s := &settings{}
			s.opt.Identifier = 99
			v := &view{settings: s}
			verbose := false
			s.verbose = &verbose
			_, closer, err := v.stream()
			close(taken)
			if err == nil {
				<-release
				closer()
			}
			return err
		})
	}()
	<-taken
	if _, errs, code := tool(t, server, "", "-e", "99", "-c", "1", "127.0.0.1"); code != 2 || !strings.Contains(errs, "identifier 99: address already in use") {
		t.Errorf("a taken identifier: exit %d\n%s", code, errs)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRetriesFlag(t *testing.T) {
	for line, want := range map[string]string{
		"-r 3 a b":    "--retries=3 a b",
		"-r3 a b":     "--retries=3 a b",
		"-ur 2 a":     "-u --retries=2 a",
		"-ur2 a":      "-u --retries=2 a",
		"-r a":        "-r a",
		"-r -c 1 a":   "-r -c 1 a",
		"-rc 1 a":     "-rc 1 a",
		"-c 1 -r a":   "-c 1 -r a",
		"-I -r 3":     "-I -r 3",
		"-r":          "-r",
		"-- -r 3":     "-- -r 3",
		"-p r 3":      "-p r 3",
		"--retries 3": "--retries 3",
		"-":           "-",
	} {
		tl := cli.New("ping", "", "", nil, nil)
		flags(tl)
		if diff := cmp.Diff(strings.Fields(want), retries(tl, strings.Fields(line))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}
