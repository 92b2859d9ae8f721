package lab_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestListenTCP(t *testing.T) {
	need(t, "ss")
	_, client, _, server := twoNets(t)
	s := server.ListenTCP(":7", lab.Echo)
	for _, dst := range bothServers {
		err := client.Do(func() error {
			conn, err := net.Dial("tcp", net.JoinHostPort(dst, "7"))
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.Write([]byte("hello")); err != nil {
				return err
			}
			buf := make([]byte, 5)
			_, err = io.ReadFull(conn, buf)
			if string(buf) != "hello" {
				t.Errorf("echo from %s: %q", dst, buf)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	listening := func(h *lab.Host) string {
		out, err := h.Output("ss", "-Hltn")
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := listening(server); !strings.Contains(got, "*:7 ") {
		t.Errorf("ss in the server: %q", got)
	}
	if got := listening(client); got != "" {
		t.Errorf("ss in the client: %q", got)
	}
	s.Close()
	if got := listening(server); got != "" {
		t.Errorf("ss after Close: %q", got)
	}
}

func TestListenUDP(t *testing.T) {
	_, client, _, server := twoNets(t)
	s := server.ListenUDP("10.2.0.2:0", lab.EchoPacket)
	err := client.Do(func() error {
		conn, err := net.Dial("udp", s.Addr.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.Write([]byte("hello"))
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 9)
		n, err := conn.Read(buf)
		if string(buf[:n]) != "hello" {
			t.Errorf("echo: %q", buf[:n])
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestServeHTTP(t *testing.T) {
	need(t, "curl")
	_, client, _, server := twoNets(t)
	server.ServeHTTP(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s", r.URL.Path, netip.MustParseAddrPort(r.RemoteAddr).Addr())
	}))
	for url, want := range map[string]string{
		"http://10.2.0.2/a":    "/a for 10.1.0.2",
		"http://[fd00:2::2]/b": "/b for fd00:1::2",
	} {
		out, err := client.OutputUnprivileged("curl", "-sS", "--max-time", "5", "--noproxy", "*", url)
		if err != nil || string(out) != want {
			t.Errorf("curl %s: %q, %v", url, out, err)
		}
	}
}

var corp = lab.Zone{Origin: "corp.test.", Recursive: true, Records: map[string][]string{
	"@":        {"MX 10 mail", "NS ns", "TXT v=spf1 -all"},
	"web":      {"A 10.2.0.2", "AAAA fd00:2::2"},
	"two":      {"A 10.0.0.1", "A 10.0.0.2"},
	"www":      {"CNAME web"},
	"out":      {"CNAME www.example.net."},
	"deep.sub": {"A 10.0.0.9"},
	"_sip._udp": {
		"SRV 1 2 5060 web",
	},
}}

// dig runs dig in the host and returns the status, the flags and the answers.
func dig(t *testing.T, h *lab.Host, args ...string) (status, flags string, answers []string) {
	t.Helper()
	need(t, "dig")
	out, _ := h.Command("dig", append([]string{"+noall", "+comments", "+answer", "+tries=1", "+time=2"}, args...)...).CombinedOutput()
	text := string(out)
	if _, rest, ok := strings.Cut(text, "status: "); ok {
		status, _, _ = strings.Cut(rest, ",")
	}
	if _, rest, ok := strings.Cut(text, ";; flags: "); ok {
		flags, _, _ = strings.Cut(rest, ";")
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 4 && f[0][0] != ';' {
			answers = append(answers, strings.Join(append(f[:1:1], f[3:]...), " "))
		}
	}
	return status, flags, answers
}

func TestZoneAgainstDig(t *testing.T) {
	t.Parallel()
	_, client, _, server := twoNets(t)
	server.ServeDNS("10.2.0.2:53", corp.Answer)
	for _, c := range []struct {
		question, status string
		answers          []string
	}{
		{"web.corp.test A", "NOERROR", []string{"web.corp.test. A 10.2.0.2"}},
		{"wEb.CORP.test AAAA", "NOERROR", []string{"wEb.CORP.test. AAAA fd00:2::2"}},
		{"two.corp.test A", "NOERROR", []string{"two.corp.test. A 10.0.0.1", "two.corp.test. A 10.0.0.2"}},
		{"www.corp.test A", "NOERROR", []string{"www.corp.test. CNAME web.corp.test.", "web.corp.test. A 10.2.0.2"}},
		{"www.corp.test CNAME", "NOERROR", []string{"www.corp.test. CNAME web.corp.test."}},
		{"out.corp.test A", "NOERROR", []string{"out.corp.test. CNAME www.example.net."}},
		{"corp.test MX", "NOERROR", []string{"corp.test. MX 10 mail.corp.test."}},
		{"corp.test TXT", "NOERROR", []string{`corp.test. TXT "v=spf1 -all"`}},
		{"_sip._udp.corp.test SRV", "NOERROR", []string{"_sip._udp.corp.test. SRV 1 2 5060 web.corp.test."}},
		{"web.corp.test MX", "NOERROR", nil},
		{"sub.corp.test A", "NOERROR", nil},
		{"none.corp.test A", "NXDOMAIN", nil},
		{"example.net A", "REFUSED", nil},
	} {
		for _, transport := range []string{"+notcp", "+tcp"} {
			status, flags, answers := dig(t, client, append([]string{transport, "@10.2.0.2"}, strings.Fields(c.question)...)...)
			if status != c.status || flags != "qr rd ra" || !cmp.Equal(answers, c.answers) {
				t.Errorf("dig %s %s: %s, flags %q, %q; want %s, %q", transport, c.question, status, flags, answers, c.status, c.answers)
			}
		}
	}
	status, flags, answers := dig(t, client, "@10.2.0.2", "corp.test", "SOA")
	if status != "NOERROR" || flags != "qr rd ra" || len(answers) != 1 || !strings.Contains(answers[0], "SOA ns.corp.test. hostmaster.corp.test. 1 ") {
		t.Errorf("SOA: %s %s %q", status, flags, answers)
	}
	client.ResolvConf("nameserver 10.2.0.2\nsearch corp.test\n")
	need(t, "getent")
	if out, err := client.Output("getent", "ahosts", "www"); err != nil || !strings.Contains(string(out), "10.2.0.2") {
		t.Errorf("getent: %q, %v", out, err)
	}
}

func TestDNSMisbehaviour(t *testing.T) {
	t.Parallel()
	_, client, _, server := twoNets(t)
	zone := corp.Answer
	script := map[string]func(lab.DNSQuery) lab.DNSReply{
		"drop.":    func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{Drop: true} },
		"cut.":     func(q lab.DNSQuery) lab.DNSReply { return lab.DNSReply{Truncate: true, Answers: zone(q).Answers} },
		"id.":      func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{WrongID: true} },
		"wrong.":   func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{WrongQuestion: true} },
		"noedns.":  lab.DropEDNS(zone),
		"oldedns.": lab.RefuseEDNS(zone),
		"fail.":    func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{RCode: dnsmessage.RCodeServerFailure} },
		"badvers.": func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{RCode: 16} },
		"slow.":    func(q lab.DNSQuery) lab.DNSReply { return lab.DNSReply{Delay: 300 * time.Millisecond} },
		"raw.":     func(lab.DNSQuery) lab.DNSReply { return lab.DNSReply{Raw: []byte("no message")} },
		"ede.": func(lab.DNSQuery) lab.DNSReply {
			return lab.DNSReply{RCode: dnsmessage.RCodeServerFailure, Options: []dnsmessage.Option{{Code: 15, Data: []byte{0, 22}}}}
		},
		"big.": func(q lab.DNSQuery) lab.DNSReply {
			r := lab.DNSReply{}
			for i := range 100 {
				r.Answers = append(r.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(q.Name), Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: [4]byte{10, 0, 0, byte(i)}},
				})
			}
			return r
		},
	}
	server.ServeDNS("10.2.0.2:53", func(q lab.DNSQuery) lab.DNSReply { return script[q.Name](q) })
	for _, c := range []struct{ name, args, want string }{
		{"drop.", "", "timed out"},
		{"cut.", "+ignore", "flags: qr tc rd"},
		{"cut.", "+noignore", "Truncated, retrying in TCP mode"},
		{"id.", "", "ID mismatch"},
		{"wrong.", "", "Question section mismatch: got wrong.question.test"},
		{"noedns.", "", "timed out"},
		{"noedns.", "+noedns", "status: REFUSED"},
		{"oldedns.", "", "status: FORMERR"},
		{"oldedns.", "+noedns", "status: REFUSED"},
		{"fail.", "", "status: SERVFAIL"},
		{"badvers.", "+noednsnegotiation", "status: BADVERS"},
		{"raw.", "", "malformed message packet"},
		{"ede.", "", "EDE: 22 (No Reachable Authority)"},
		{"big.", "+ignore", "flags: qr tc rd"},
		{"big.", "+tcp", "ANSWER: 100"},
	} {
		need(t, "dig")
		args := append([]string{"@10.2.0.2", "+tries=1", "+time=1", c.name}, strings.Fields(c.args)...)
		out, _ := client.Command("dig", args...).CombinedOutput()
		if !strings.Contains(string(out), c.want) {
			t.Errorf("dig %q: no %q in\n%s", args, c.want, out)
		}
	}
	start := time.Now()
	if status, _, _ := dig(t, client, "@10.2.0.2", "slow."); status != "NOERROR" || time.Since(start) < 300*time.Millisecond {
		t.Errorf("slow answer %s after %v", status, time.Since(start))
	}
}
