package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
)

// The document's ping of a routing loop, and what else Windows says.
func TestWindows(t *testing.T) {
	client, gw := twoNets(t)
	client.Hosts("10.2.0.2 web1\n")
	gw.Route("10.9.0.0/16", "10.2.0.2") // and the server sends it back
	for address, a := range map[string]lab.Action{"10.2.0.7": lab.RejectAdmin, "10.2.0.8": lab.Drop, "10.2.0.9": lab.RejectHost, "fd00:2::9": lab.RejectHost} {
		gw.Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Dst: address, Action: a})
	}
	statistics := func(host, counts string, times bool) string {
		text := "\nPing statistics for " + host + ":\n    Packets: " + counts + " loss),\n"
		if times {
			text += "Approximate round trip times in milli-seconds:\n    Minimum = 0ms, Maximum = 0ms, Average = 0ms\n"
		}
		return text
	}
	const expired = "Reply from 10.1.0.1: TTL expired in transit.\n"
	for _, tc := range []struct {
		line, want string
		code       int
	}{
		{"-i 1 10.9.17.153", "\nPinging 10.9.17.153 with 32 bytes of data:\n" + strings.Repeat(expired, 4) +
			statistics("10.9.17.153", "Sent = 4, Received = 4, Lost = 0 (0%", true), 1},
		{"-n 2 -l 100 web1", "\nPinging web1 [10.2.0.2] with 100 bytes of data:\n" + strings.Repeat("Reply from 10.2.0.2: bytes=100 time<1ms TTL=63\n", 2) +
			statistics("10.2.0.2", "Sent = 2, Received = 2, Lost = 0 (0%", true), 0},
		{"-n 1 fd00:2::2", "\nPinging fd00:2::2 with 32 bytes of data:\nReply from fd00:2::2: time<1ms\n" +
			statistics("fd00:2::2", "Sent = 1, Received = 1, Lost = 0 (0%", true), 0},
		{"-n 1 -w 200 10.2.0.8", "\nPinging 10.2.0.8 with 32 bytes of data:\nRequest timed out.\n" +
			statistics("10.2.0.8", "Sent = 1, Received = 0, Lost = 1 (100%", false), 1},
		{"-n 1 10.2.0.9", "\nPinging 10.2.0.9 with 32 bytes of data:\nReply from 10.1.0.1: Destination host unreachable.\n" +
			statistics("10.2.0.9", "Sent = 1, Received = 1, Lost = 0 (0%", true), 1},
		{"-n 1 10.2.0.7", "\nPinging 10.2.0.7 with 32 bytes of data:\nReply from 10.1.0.1: Destination net unreachable.\n" +
			statistics("10.2.0.7", "Sent = 1, Received = 1, Lost = 0 (0%", true), 1},
		{"-n 1 fd00:2::9", "\nPinging fd00:2::9 with 32 bytes of data:\nReply from fd00:1::1: Destination host unreachable.\n" +
			statistics("fd00:2::9", "Sent = 1, Received = 1, Lost = 0 (0%", true), 1},
		{"-n 1 -f -l 3000 10.2.0.2", "\nPinging 10.2.0.2 with 3000 bytes of data:\nPacket needs to be fragmented but DF set.\n" +
			statistics("10.2.0.2", "Sent = 1, Received = 0, Lost = 1 (100%", false), 1},
	} {
		out, errs, code := run1(client.ChildCommand("ping", false, append([]string{"--windows"}, strings.Fields(tc.line)...)...))
		if d := cmp.Diff(tc.want, out); d != "" || code != tc.code || errs != "" {
			t.Errorf("%s: exit %d, want %d, %q (-want +got):\n%s", tc.line, code, tc.code, errs, d)
		}
	}
	for line, want := range map[string]string{
		"nosuch": "could not find host nosuch.", "": "which host", "-n 0 web1": "bad value", "-S x web1": "no address", "-4 -6 web1": "go together", "a b": "which host",
	} {
		out, errs, code := run1(client.ChildCommand("ping", false, append([]string{"--windows"}, strings.Fields(line)...)...))
		if out != "" || code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %q %q", line, code, out, errs)
		}
	}
	out, _, code := run1(client.ChildCommand("ping", false, "--windows", "--json", "-n", "1", "web1"))
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || len(lines) != 2 || !strings.Contains(lines[0], `"outcome":"reply"`) {
		t.Errorf("JSON: exit %d\n%s", code, out)
	}
}

func TestWinWords(t *testing.T) {
	r4, r6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for code := range 255 {
		for typ := range 20 {
			for _, from := range []netip.Addr{r4, r6} {
				e := icmperr.New(from, uint8(typ), uint8(code))
				if words := winWords(&e); !strings.HasSuffix(words, ".") {
					t.Errorf("%v %d/%d: %q", from, typ, code, words)
				}
			}
		}
	}
}

// Who may not ping is told what would allow it, in every mode.
func TestNoPermission(t *testing.T) {
	client := lab.New(t).Host("closed")
	client.Sysctl("net/ipv4/ping_group_range", "1 0")
	for _, line := range []string{"127.0.0.1", "--windows 127.0.0.1", "-g 127.0.0.0/30", "-c 1 ::1 127.0.0.1"} {
		out, errs, code := run1(client.ChildCommand("ping", false, strings.Fields(line)...))
		if out != "" || code != 2 || !strings.Contains(errs, "ping_group_range") || !strings.Contains(errs, "setcap cap_net_raw") {
			t.Errorf("%s: exit %d, %q %q", line, code, out, errs)
		}
	}
}
