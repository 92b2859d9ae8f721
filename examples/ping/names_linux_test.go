package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netsonde/netsonde/internal/lab"
)

// A name server that never answers holds no line up, and with -n, and for an
// address, it is not asked.
func TestNamesNeverHold(t *testing.T) {
	client, _ := twoNets(t)
	client.Hosts("10.2.0.2 web1\nfd00:2::2 web6\n")
	printed := client.CheckNames("ping",
		[]string{"-n -c 2 -i 0.01 web1", "-n -c 2 -i 0.01 -t 1 web1", "-c 2 -i 0.01 -t 1 10.2.0.2", "-A -n -c 3 web1", "-c 1 fd00:2::2",
			"-q -c 2 -i 0.01 --period 0.01 -g 10.2.0.0/30", "-a 10.2.0.1 10.2.0.2", "--windows -n 1 10.2.0.2"},
		[]string{"-c 3 -i 0.01 -t 1 web1", "-c 3 -i 0.01 -t 1 web6", "--windows -a -n 2 10.1.0.1"}) // the second a second later, when the name has surely been asked for
	for i, want := range []string{"From 10.1.0.1 icmp_seq=3 ", "From fd00:1::1 icmp_seq=3 ", "Pinging 10.1.0.1 with 32 bytes of data:\nReply from 10.1.0.1: bytes=32 time<1ms TTL=64\n"} {
		if i < len(printed) && !strings.Contains(printed[i], want) {
			t.Errorf("%q is missing in:\n%s", want, printed[i])
		}
	}
}

// nameAndAddress is a host with its name, which the first lines may be without.
var nameAndAddress = regexp.MustCompile(`(from |From |\()[^ (]+ \(([0-9a-f.:]+)\)(\)?)`)

// With a name server that answers, the names are those of the installed ping,
// in every place.
func TestNamesAgainstPing(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ping"); err != nil {
		t.Skip("needs ping")
	}
	client, _ := twoNets(t)
	reverse4, reverse6 := "10.in-addr.arpa.", "ip6.arpa."
	client.ServeDNS("127.0.0.1:53", lab.Zones(
		lab.Zone{Origin: "lab.", Recursive: true, Records: map[string][]string{"web1": {"A 10.2.0.2"}, "web6": {"AAAA fd00:2::2"}, "www": {"CNAME web1"}}},
		lab.Zone{Origin: reverse4, Recursive: true, Records: map[string][]string{"2.0.2": {"PTR server.lab."}, "1.0.1": {"PTR gw.lab."}}},
		lab.Zone{Origin: reverse6, Recursive: true, Records: map[string][]string{
			arpa("fd000002000000000000000000000002"): {"PTR server6.lab."}, arpa("fd000001000000000000000000000001"): {"PTR gw6.lab."}}},
	))
	client.ResolvConf("nameserver 127.0.0.1\nsearch lab\n")
	for _, line := range []string{"-c 4 -i 0.2 web1", "-c 2 -i 0.2 www", "-c 2 -i 0.2 -6 web6", "-c 3 -i 0.2 -t 1 web1", "-c 3 -i 0.2 -t 1 web6", "-n -c 2 -i 0.2 web1", "-n -c 2 -i 0.2 web6", "-c 1 10.2.0.2", "-c 1 nosuch", "-4 -c 1 web6"} {
		args := strings.Fields(line)
		wantOut, wantErr, wantCode := run1(client.CommandUnprivileged("ping", args...))
		out, errs, code := run1(client.ChildCommand("ping", false, args...))
		got, want := nameAndAddress.ReplaceAllString(out, "$1$2$3"), nameAndAddress.ReplaceAllString(wantOut, "$1$2$3")
		if got != want || errs != wantErr || code != wantCode {
			t.Errorf("ping %s: exit %d, want %d:\n%s%s\nping:\n%s%s", line, code, wantCode, out, errs, wantOut, wantErr)
		}
		if n, m := lastName(out), lastName(wantOut); n != m {
			t.Errorf("ping %s: the last name is %q, want %q", line, n, m)
		}
	}
}

// lastName is the last host with a name.
func lastName(out string) string {
	all := nameAndAddress.FindAllString(out, -1)
	if len(all) == 0 || strings.Count(out, "icmp_seq=") == 0 {
		return ""
	}
	return all[len(all)-1]
}

// arpa is the name of an IPv6 address below ip6.arpa.
func arpa(hex string) string {
	b := make([]byte, 0, 2*len(hex))
	for i := len(hex) - 1; i >= 0; i-- {
		b = append(b, hex[i], '.')
	}
	return string(b[:len(b)-1])
}

// What a name server says never reaches the terminal as it is.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	client, _ := twoNets(t)
	client.Hosts("10.2.0.2 web1\n10.1.0.1 evil\x1b[31m\n")
	client.ServeDNS("127.0.0.1:53", func(q lab.DNSQuery) lab.DNSReply {
		name, _ := dnsmessage.NewName("a\x1b]0;owned\a.")
		return lab.DNSReply{RecursionAvailable: true, Answers: []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(q.Name), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.PTRResource{PTR: name},
		}}}
	})
	client.ResolvConf("nameserver 127.0.0.1\n")
	for _, line := range []string{"-c 3 -i 0.1 -t 1 web1", "--windows -a -n 1 10.1.0.1", "-c 1 evil\x1b[31m", "-a evil\x1b[31m 10.2.0.2"} {
		out, errs, _ := run1(client.ChildCommand("ping", false, strings.Split(line, " ")...))
		if strings.ContainsAny(out+errs, "\x1b\a") {
			t.Errorf("%q: %q %q", line, out, errs)
		}
	}
}

// Ctrl-C ends also the search for the host itself, in every mode.
func TestInterruptedLookup(t *testing.T) {
	client, _ := twoNets(t)
	queries := client.SilentDNS()
	for _, line := range []string{"web9", "-6 web9", "web8 web9", "--windows web9"} {
		cmd := client.ChildCommand("ping", false, strings.Fields(line)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			if queries.Load() > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cmd.Process.Signal(os.Interrupt)
		killer := time.AfterFunc(25*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		if !killer.Stop() {
			t.Errorf("ping %s: goes on after Ctrl-C:\n%s", line, out.String())
		}
		if out.Len() > 0 {
			t.Errorf("ping %s: %s", line, out.String())
		}
		queries.Store(0)
	}
}
