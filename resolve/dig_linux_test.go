package resolve

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// zone has what servers load and print in special ways.
const zone = `$ORIGIN test.
@ 300 IN SOA ns1 john\.doe.admin 2026 3600 600 86400 60
@ NS ns1
@ NS ns2.other.example.
@ MX 10 mail
@ MX 0 .
@ TXT "v=spf1 -all" "two \"strings\" and a \\ \000\233;"
@ CAA 0 issue "ca.example; policy=ev"
@ CAA 128 iodef "mailto:a@b"
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
mail A 192.0.2.25
alias CNAME chain
chain CNAME mail
dangling CNAME nowhere.test.
outside CNAME a.other.example.
_sip._tcp SRV 1 2 5060 mail
a\.b\@c\032d A 192.0.2.7
*.wild A 192.0.2.8
UPPER.Case A 192.0.2.9
svc SVCB 1 mail alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 no-default-alpn mandatory=alpn
svc HTTPS 0 mail
https HTTPS 1 . alpn="h2"
https HTTPS 2 . ech="AAECAw==" key65000="x y"
tlsa TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
sshfp SSHFP 1 1 123456789abcdef67890123456789abcdef67890
naptr NAPTR 10 20 "u" "E2U+sip" "!^.*$!sip:a@b!" .
ds DS 1 8 2 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
odd TYPE65280 \# 3 0a0b0c
sub NS ns.sub
ns.sub A 192.0.2.54
big TXT "%s"
`

// knot starts knotd in the client's place with the zone and returns its address.
func knot(t *testing.T) netip.AddrPort {
	t.Helper()
	need(t, "knotd", "dig")
	dir, server := t.TempDir(), freePort(t)
	var big []string
	for i := range 12 {
		big = append(big, strings.Repeat(string(rune('a'+i)), 200))
	}
	files := map[string]string{
		"test.zone": fmt.Sprintf(zone, strings.Join(big, `" "`)),
		"knot.conf": fmt.Sprintf(`server:
  rundir: %q
  listen: [ %s@%d ]
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  identity: "a \"name\""
database:
  storage: %q
log:
  - target: stderr
    any: error
template:
  - id: default
    storage: %q
    journal-content: none
    zonefile-load: whole
zone:
  - domain: test.
    file: test.zone
`, dir, server.Addr(), server.Port(), dir, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, server, Question{Name: "test", Type: TypeSOA}, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	return server
}

// freePort returns a port of loopback that nobody uses, over UDP and TCP.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	s := serve(t, "127.0.0.1:0", rcode(0))
	s.close()
	return s.addr
}

// start runs a server until the test ends, and waits for its first answer.
func start(t *testing.T, server netip.AddrPort, q Question, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 500 {
		a, err := Client{Timeout: 100 * time.Millisecond}.Query(t.Context(), server, q)
		if err != nil {
			t.Fatal(err)
		}
		if a.Outcome == OutcomeAnswer {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	cmd.Process.Kill()
	cmd.Wait()
	t.Fatalf("%s does not answer:\n%s", name, &log)
}

// digReply is what dig prints of a reply.
type digReply struct {
	Status                        string
	Flags                         []string
	Answer, Authority, Additional []string
	UDPSize                       string
}

// dig asks like our Client does: no cookie, 1232 bytes, no AD bit.
func dig(t *testing.T, server netip.AddrPort, q Question, more ...string) (r digReply) {
	t.Helper()
	args := append([]string{
		"@" + server.Addr().String(), "-p", fmt.Sprint(server.Port()), "+nocookie", "+bufsize=1232", "+noadflag", "+noidnin", "+tries=1",
		"-q", q.Name, "-t", q.typ().String(), "-c", q.class().String(),
	}, more...)
	out, err := exec.Command("dig", args...).Output()
	if err != nil {
		t.Fatalf("dig %q: %v\n%s", args, err, out)
	}
	var list *[]string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, ";; ->>HEADER<<-"):
			_, rest, _ := strings.Cut(line, "status: ")
			r.Status, _, _ = strings.Cut(rest, ",")
		case strings.HasPrefix(line, ";; flags: "):
			flags, _, _ := strings.Cut(strings.TrimPrefix(line, ";; flags: "), ";")
			r.Flags = strings.Fields(flags)
		case strings.HasPrefix(line, "; EDNS:"):
			_, r.UDPSize, _ = strings.Cut(line, "udp: ")
		case line == ";; ANSWER SECTION:":
			list = &r.Answer
		case line == ";; AUTHORITY SECTION:":
			list = &r.Authority
		case line == ";; ADDITIONAL SECTION:":
			list = &r.Additional
		case line == "", line[0] == ';':
			list = nil
		case list != nil:
			*list = append(*list, fields(line))
		}
	}
	return r
}

// fields joins the columns, which dig separates with tabs or, when they are
// long, with blanks.
func fields(line string) string {
	return strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == '\t' }), " ")
}

func ours(a Answer) digReply {
	r := digReply{Status: a.RCode.String()}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{true, "qr"}, {a.Authoritative, "aa"}, {a.RecursionDesired, "rd"}, {a.RecursionAvailable, "ra"},
		{a.AuthenticData, "ad"}, {a.CheckingDisabled, "cd"},
	} {
		if f.on {
			r.Flags = append(r.Flags, f.name)
		}
	}
	if a.OPT != nil {
		r.UDPSize = fmt.Sprint(a.OPT.UDPSize)
	}
	for _, s := range []struct {
		from []Record
		to   *[]string
	}{{a.Records, &r.Answer}, {a.Authority, &r.Authority}, {a.Additional, &r.Additional}} {
		for _, rec := range s.from {
			*s.to = append(*s.to, rec.String())
		}
	}
	return r
}

// TestAgainstDig compares every field of replies with what dig makes of them.
func TestAgainstDig(t *testing.T) {
	server := knot(t)
	for _, c := range []struct {
		q       Question
		outcome Outcome
	}{
		{Question{Name: "test", Type: TypeSOA}, OutcomeAnswer},
		{Question{Name: "test", Type: TypeNS}, OutcomeAnswer},
		{Question{Name: "test", Type: TypeMX}, OutcomeAnswer},
		{Question{Name: "test", Type: TypeTXT}, OutcomeAnswer},
		{Question{Name: "test", Type: TypeCAA}, OutcomeAnswer},
		{Question{Name: "test", Type: TypeA}, OutcomeNoData},
		{Question{Name: "ns1.test.", Type: TypeAAAA}, OutcomeAnswer},
		{Question{Name: "alias.test", Type: TypeA}, OutcomeAnswer},
		{Question{Name: "alias.test", Type: TypeAAAA}, OutcomeNoData},
		{Question{Name: "dangling.test", Type: TypeA}, OutcomeNXDomain},
		{Question{Name: "outside.test", Type: TypeA}, OutcomeNoData},
		{Question{Name: "outside.test", Type: TypeCNAME}, OutcomeAnswer},
		{Question{Name: "_sip._tcp.test", Type: TypeSRV}, OutcomeAnswer},
		{Question{Name: `a\.b\@c\032d.test`, Type: TypeA}, OutcomeAnswer},
		{Question{Name: "x.wild.test", Type: TypeA}, OutcomeAnswer},
		{Question{Name: "upper.CASE.test", Type: TypeA}, OutcomeAnswer},
		{Question{Name: "svc.test", Type: TypeSVCB}, OutcomeAnswer},
		{Question{Name: "svc.test", Type: TypeHTTPS}, OutcomeAnswer},
		{Question{Name: "https.test", Type: TypeHTTPS}, OutcomeAnswer},
		{Question{Name: "odd.test", Type: 65280}, OutcomeAnswer},
		{Question{Name: "nx.test", Type: TypeA}, OutcomeNXDomain},
		{Question{Name: "big.test", Type: TypeTXT}, OutcomeAnswer},
		{Question{Name: "sub.test", Type: TypeDS}, OutcomeNoData},
		{Question{Name: "a.sub.test", Type: TypeA}, OutcomeLame},
		{Question{Name: "test", Type: TypeANY}, OutcomeAnswer},
		{Question{Name: "elsewhere.example", Type: TypeA}, OutcomeRefused},
		{Question{Name: "id.server", Type: TypeTXT, Class: ClassCH}, OutcomeAnswer},
	} {
		a, err := Client{}.Query(t.Context(), server, c.q)
		if err != nil {
			t.Fatal(err)
		}
		if a.Outcome != c.outcome {
			t.Errorf("%s: %s, want %s", c.q, a.Outcome, c.outcome)
		}
		want := dig(t, server, c.q)
		if diff := cmp.Diff(want, ours(a)); diff != "" {
			t.Errorf("%s (-dig +Query):\n%s", c.q, diff)
		}
		if wantTCP := c.q.Name == "big.test"; (a.Transport == TransportTCP) != wantTCP {
			t.Errorf("%s: over %s", c.q, a.Transport)
		}
	}
	for _, name := range []string{"tlsa TLSA", "sshfp SSHFP", "naptr NAPTR", "ds DS"} {
		name, typ, _ := strings.Cut(name, " ")
		q := Question{Name: name + ".test"}
		if err := q.Type.UnmarshalText([]byte(typ)); err != nil {
			t.Fatal(err)
		}
		a, err := Client{}.Query(t.Context(), server, q)
		if err != nil || a.Outcome != OutcomeAnswer {
			t.Fatalf("%s: %s, %v", q, a.Outcome, err)
		}
		want := dig(t, server, q, "+unknownformat").Answer[0]
		f := strings.Fields(want)
		// dig breaks the hexadecimal digits into groups.
		if got := strings.Fields(a.Records[0].String()); !slices.Equal(got[4:], []string{`\#`, f[5], strings.Join(f[6:], "")}) {
			t.Errorf("%s:\ngot %s\ndig %s", q, a.Records[0], want)
		}
	}
}

// TestWordsAgainstDig compares the names of response codes and extended errors.
func TestWordsAgainstDig(t *testing.T) {
	need(t, "dig")
	var code atomic.Int64
	s := serve(t, "127.0.0.1:0", func(a *asked) []reply {
		n := uint16(code.Load())
		return a.say(RCode(n), opt(uint8(n>>4), dnsmessage.Option{Code: optEDE, Data: append(binary.BigEndian.AppendUint16(nil, n), "why"...)}))
	})
	ede := regexp.MustCompile(`(?m)^; EDE: (.*)$`)
	for n := range int64(25) {
		code.Store(n)
		a, err := Client{TCPOnly: true}.Query(t.Context(), s.addr, Question{Name: "a.example"})
		if err != nil || len(a.Attempts) == 0 {
			t.Fatal(err)
		}
		first := a.Attempts[0]
		out, err := exec.Command("dig", "@127.0.0.1", "-p", fmt.Sprint(s.addr.Port()), "+tcp", "+noednsneg", "+nobadcookie", "a.example").Output()
		if err != nil {
			t.Fatalf("dig: %v\n%s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "status: ")
		status, _, _ := strings.Cut(rest, ",")
		if got := first.RCode.String(); got != status && status[0] != '?' && !strings.HasPrefix(status, "RESERVED") {
			t.Errorf("code %d: %s, dig says %s", n, got, status)
		}
		m := ede.FindStringSubmatch(string(out))
		if m == nil {
			t.Fatalf("no EDE in\n%s", out)
		}
		// dig puts the text in parentheses.
		if got := strings.Replace(a.EDE[0].String(), ": why", ": (why)", 1); got != m[1] && n != 0 { // "Other" there
			t.Errorf("EDE %d: %s, dig says %s", n, got, m[1])
		}
	}
}

// TestRealServers checks outcomes with a forwarder and a recursive server.
func TestRealServers(t *testing.T) {
	t.Run("dnsmasq", func(t *testing.T) {
		need(t, "dnsmasq")
		server := freePort(t)
		start(t, server, Question{Name: "a.test"}, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
			"--bind-interfaces", "--listen-address=127.0.0.1", fmt.Sprintf("--port=%d", server.Port()), "--pid-file=",
			"--host-record=a.test,192.0.2.1", "--local=/test/", "--cname=alias.test,a.test")
		outcomes(t, server, map[string]Outcome{
			"a.test A": OutcomeAnswer, "alias.test A": OutcomeAnswer, "a.test AAAA": OutcomeNoData, "nx.test A": OutcomeNXDomain,
			"elsewhere.example A": OutcomeRefused,
		})
	})
	t.Run("unbound", func(t *testing.T) {
		need(t, "unbound")
		server, dir := freePort(t), t.TempDir()
		dead := serve(t, "127.0.0.1:0", rcode(RCodeServFail))
		conf := filepath.Join(dir, "unbound.conf")
		text := fmt.Sprintf(`server:
  interface: 127.0.0.1
  port: %d
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  module-config: "iterator"
  num-threads: 1
  ede: yes
  local-zone: "test." static
  local-data: "a.test. A 192.0.2.1"
  local-zone: "refused.example." refuse
  local-zone: "dropped.example." deny
  do-not-query-localhost: no
remote-control:
  control-enable: no
forward-zone:
  name: "dead.example."
  forward-addr: 127.0.0.1@%d
`, server.Port(), dir, dead.addr.Port())
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, server, Question{Name: "a.test"}, "unbound", "-d", "-c", conf)
		outcomes(t, server, map[string]Outcome{
			"a.test A": OutcomeAnswer, "a.test AAAA": OutcomeNoData, "nx.test A": OutcomeNXDomain,
			"x.refused.example A": OutcomeRefused, "x.dropped.example A": OutcomeTimeout, "x.dead.example A": OutcomeServFail,
		})
	})
}

func outcomes(t *testing.T, server netip.AddrPort, want map[string]Outcome) {
	t.Helper()
	for q, outcome := range want {
		name, typ, _ := strings.Cut(q, " ")
		typed, err := ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		timeout := 10 * time.Second
		if outcome == OutcomeTimeout {
			timeout = short
		}
		a, err := Client{Timeout: timeout}.Query(t.Context(), server, Question{Name: name, Type: typed})
		if err != nil || a.Outcome != outcome {
			t.Errorf("%s: %s, want %s, %v", q, a.Outcome, outcome, err)
		}
		if a.Outcome == OutcomeAnswer && (len(a.Addrs()) != 1 || a.EDNS != EDNSSupported) {
			t.Errorf("%s: %v, EDNS %s", q, a.Addrs(), a.EDNS)
		}
	}
}
