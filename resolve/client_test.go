package resolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/netsonde/netsonde/internal/operr"
)

// drivers are the two ways to do I/O; on systems other than Linux they are one.
var drivers = map[string]func(context.Context, []*exchange, place) error{"native": drive, "portable": drivePortable}

// eachDriver runs a test over both.
func eachDriver(t *testing.T, test func(*testing.T, func(context.Context, Client, netip.AddrPort, Question) (Answer, error))) {
	for name, d := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(ctx context.Context, c Client, server netip.AddrPort, q Question) (Answer, error) {
				x, err := newExchange(server, q, c.settings())
				if err != nil {
					return Answer{}, err
				}
				err = d(ctx, []*exchange{x}, c.place())
				return x.ans, err
			})
		})
	}
}

// nth is silent for the first n queries of a server.
func nth(n int, then func(*asked) []reply) func(*asked) []reply {
	return func(a *asked) []reply {
		if a.number <= n {
			return nil
		}
		return then(a)
	}
}

func defect(want string) func(*testing.T, Answer) {
	return func(t *testing.T, a Answer) {
		if a.Defect == nil || a.Defect.String() != want {
			t.Errorf("defect %v, want %q", a.Defect, want)
		}
	}
}

// verdictOf is an answer in the words of fault.want.
func verdictOf(a Answer) string {
	r := "-"
	if len(a.Raw) >= headerLen {
		r = a.RCode.String()
	}
	var attempts []string
	for _, t := range a.Attempts {
		s := t.Transport.String()
		if t.EDNS {
			s += "+"
		}
		s += " " + t.Outcome.String()
		var kinds []string
		for _, m := range t.Mismatches {
			kinds = append(kinds, m.Kind.String())
		}
		if t.Ignored > 0 {
			s += fmt.Sprintf(" %v %d", kinds, t.Ignored)
		}
		attempts = append(attempts, s)
	}
	return fmt.Sprintf("%s %s %s | %s", a.Outcome, r, a.EDNS, strings.Join(attempts, ", "))
}

func TestFaults(t *testing.T) {
	eachDriver(t, func(t *testing.T, query func(context.Context, Client, netip.AddrPort, Question) (Answer, error)) {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				s := serve(t, "127.0.0.1:0", f.handle)
				if f.q.Name == "" {
					f.q.Name = "q.example"
				}
				a, err := query(t.Context(), f.client, s.addr, f.q)
				if err != nil {
					t.Fatal(err)
				}
				if got := verdictOf(a); got != f.want {
					t.Errorf("got  %s\nwant %s", got, f.want)
				}
				if f.check != nil {
					f.check(t, a)
				}
				checkSent(t, s, a)
				roundTrip(t, a)
			})
		}
	})
}

// checkSent compares the attempts with what the server saw: none is made up,
// none left out, and IDs and ports differ.
func checkSent(t *testing.T, s *server, a Answer) {
	t.Helper()
	seen := s.seen()
	if len(seen) != len(a.Attempts) {
		t.Fatalf("the server saw %d queries, attempts are %+v", len(seen), a.Attempts)
	}
	for i, q := range seen {
		t.Logf("query %d: id %d from %s", i, q.header.ID, q.from)
		if q.network != a.Attempts[i].Transport.String() || q.edns != a.Attempts[i].EDNS {
			t.Errorf("attempt %d is %+v, the server saw %s, EDNS %t", i, a.Attempts[i], q.network, q.edns)
		}
		if q.edns && q.size != udpSize || !q.header.RecursionDesired {
			t.Errorf("query %d: size %d, header %+v", i, q.size, q.header)
		}
		if i > 0 && q.network == seen[i-1].network && q.from == seen[i-1].from {
			t.Errorf("queries %d and %d both come from %s", i-1, i, q.from)
		}
	}
}

// roundTrip checks that JSON keeps everything.
func roundTrip(t *testing.T, a Answer) {
	t.Helper()
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back Answer
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for i := range a.Attempts { // the monotonic clock is not for others
		a.Attempts[i].Sent = a.Attempts[i].Sent.Round(0).UTC()
		back.Attempts[i].Sent = back.Attempts[i].Sent.UTC()
	}
	if diff := cmp.Diff(a, back, compareAddrs); diff != "" {
		t.Errorf("JSON (-in +out):\n%s", diff)
	}
}

var compareAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func TestOtherSource(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(a *asked) []reply {
		r := ok(a)
		r[0].other = true
		return r
	})
	a, err := Client{Timeout: short}.Query(t.Context(), s.addr, Question{Name: "q.example"})
	if err != nil {
		t.Fatal(err)
	}
	want := "timeout - unknown | udp+ timeout"
	if runtime.GOOS == "linux" {
		want = "mismatch - unknown | udp+ mismatch [source] 1"
		if got := a.Attempts[0].Mismatches[0].From.Port(); got == s.addr.Port() {
			t.Errorf("from port %d", got)
		}
	}
	if got := verdictOf(a); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestClosedPort(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		s := serve(t, addr, ok)
		s.close()
		eachDriver(t, func(t *testing.T, query func(context.Context, Client, netip.AddrPort, Question) (Answer, error)) {
			for _, c := range []Client{{}, {TCPOnly: true}} {
				a, err := query(t.Context(), c, s.addr, Question{Name: "q.example"})
				if err != nil {
					t.Fatal(err)
				}
				want := "port_unreachable - unknown | udp+ port_unreachable"
				if c.TCPOnly {
					want = "conn_refused - unknown | tcp+ conn_refused"
				}
				if got := verdictOf(a); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

// TestTruncatedWithoutTCP is the firewall that lets only UDP through.
func TestTruncatedWithoutTCP(t *testing.T) {
	eachDriver(t, func(t *testing.T, query func(context.Context, Client, netip.AddrPort, Question) (Answer, error)) {
		s := serve(t, "127.0.0.1:0", cut)
		s.tcp.Close()
		a, err := query(t.Context(), Client{}, s.addr, Question{Name: "q.example"})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := verdictOf(a), "truncated NOERROR ignored | udp+ truncated, tcp+ conn_refused"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestCancel(t *testing.T) {
	eachDriver(t, func(t *testing.T, query func(context.Context, Client, netip.AddrPort, Question) (Answer, error)) {
		for _, c := range []Client{{Timeout: -1}, {Timeout: -1, TCPOnly: true}} {
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			s := serve(t, "127.0.0.1:0", func(*asked) []reply { cancel(cause); return nil })
			a, err := query(ctx, c, s.addr, Question{Name: "q.example"})
			if !errors.Is(err, cause) {
				t.Errorf("error %v, want %v", err, cause)
			}
			if len(a.Attempts) != 1 || a.Outcome != OutcomeUnknown || a.Attempts[0].Err != cause.Error() {
				t.Errorf("%+v", a)
			}
			if _, err := query(ctx, c, s.addr, Question{Name: "q.example"}); !errors.Is(err, cause) {
				t.Errorf("after the end: %v", err)
			}
		}
	})
}

func TestCancelLookup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, "127.0.0.1:0", func(a *asked) []reply {
		if a.typ() == "AAAA" {
			cancel()
			return nil
		}
		return ok(a)
	})
	for _, all := range []bool{false, true} {
		r, err := Lookup(ctx, "a.example", &LookupOptions{
			Config: &Config{Ndots: 1, Attempts: 1, Timeout: time.Hour}, Servers: []netip.AddrPort{s.addr},
			Hosts: &Hosts{}, NSSwitch: &NSSwitch{}, AllServers: all,
		})
		if !errors.Is(err, context.Canceled) || r.Outcome != OutcomeUnknown || len(r.Steps) != 1 || len(r.Steps[0].Asks) != 1 {
			t.Errorf("all %t: %+v, %v", all, r, err)
		}
	}
}

// TestEnvironment looks up with what environ(7) says.
func TestEnvironment(t *testing.T) {
	s := serve(t, "127.0.0.1:0", ok)
	r, err := Lookup(t.Context(), "www", &LookupOptions{
		Config: &Config{Ndots: 1, Attempts: 1, Timeout: time.Hour, Search: []string{"file.example"}, SearchOrigin: SearchLine},
		Hosts:  &Hosts{}, NSSwitch: &NSSwitch{}, Servers: []netip.AddrPort{netip.AddrPortFrom(s.addr.Addr(), s.addr.Port())},
		Environment: &Environment{LocalDomain: "env.example", ResOptions: "use-vc edns0"}, Types: []Type{TypeA},
	})
	if err != nil || r.Found != "www.env.example." {
		t.Fatalf("%+v, %v", r, err)
	}
	if seen := s.seen(); len(seen) != 1 || seen[0].network != "tcp" || !seen[0].edns {
		t.Errorf("%+v", seen[0])
	}
}

func TestQueryErrors(t *testing.T) {
	server := netip.MustParseAddrPort("127.0.0.1:53")
	for _, c := range []struct {
		server netip.AddrPort
		name   string
		want   string
	}{
		{server, "", "empty name"},
		{server, "a..b", "empty label"},
		{server, ".a", "empty label"},
		{server, strings.Repeat("a", 64), "label longer than 63 bytes"},
		{server, strings.Repeat("abcdefg.", 33), "name longer than 255 bytes"},
		{server, "bücher.example", "byte 0xc3 is not ASCII: give the name in its xn-- form (RFC 5891)"},
		{netip.AddrPort{}, "a", "not an address of a server"},
		{netip.MustParseAddrPort("224.0.0.251:5353"), "a", "not an address of a server"},
	} {
		_, err := Client{}.Query(t.Context(), c.server, Question{Name: c.name})
		op, isOp := errors.AsType[*OpError](err)
		if !isOp || op.Op != "resolve: query" || op.Err.Error() != c.want {
			t.Errorf("%q at %s: %v, want %q", c.name, c.server, err, c.want)
		}
	}
}

// TestQueryNames checks what goes over the wire against dnsmessage, except where
// that cannot express it.
func TestQueryNames(t *testing.T) {
	for in, want := range map[string]string{
		"a.example": "\x01a\x07example\x00", "a.example.": "\x01a\x07example\x00", ".": "\x00",
		`a\.b.c`: "\x03a.b\x01c\x00", `\097\\\200.`: "\x03a\\\xc8\x00", "_sip._tcp.x": "\x04_sip\x04_tcp\x01x\x00",
	} {
		s := serve(t, "127.0.0.1:0", rcode(0))
		w, err := wireName(in)
		if err != nil || string(w) != want {
			t.Errorf("%q: %q, %v", in, w, err)
			continue
		}
		if strings.Contains(in, `\.`) {
			msg, err := appendQuery(nil, 1, w, Question{Type: TypeA}, true, true)
			if err != nil || string(msg[headerLen:headerLen+len(want)]) != want {
				t.Errorf("%q: query %q, %v", in, msg, err)
			}
			continue
		}
		a, err := Client{NoRecursion: true}.Query(t.Context(), s.addr, Question{Name: in, Type: TypeHTTPS, Class: ClassCH})
		if err != nil || a.Outcome != OutcomeLame && a.Outcome != OutcomeNoData {
			t.Errorf("%q: %s, %v", in, a.Outcome, err)
			continue
		}
		sent := s.seen()[0]
		if got := string(sent.raw[headerLen : headerLen+len(want)]); got != want {
			t.Errorf("%q: sent %q", in, got)
		}
		if sent.header.RecursionDesired || sent.typ() != "HTTPS" || sent.Class != dnsmessage.ClassCHAOS {
			t.Errorf("%q: %+v", in, sent)
		}
	}
}

// TestConcurrent runs many queries through one Client and checks that no result
// is another's.
func TestConcurrent(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(a *asked) []reply {
		var n int
		fmt.Sscanf(a.name(), "n%d.", &n)
		return []reply{{msg: a.msg(0, rrA(a.name(), fmt.Sprintf("10.0.0.%d", n))), delay: time.Duration(n%7) * time.Millisecond}}
	})
	c := Client{Timeout: 10 * time.Second}
	results := make(chan error)
	for n := range 100 {
		go func() {
			a, err := c.Query(t.Context(), s.addr, Question{Name: fmt.Sprintf("n%d.example", n)})
			if got, want := texts(a.Addrs()), []string{fmt.Sprintf("10.0.0.%d", n)}; err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("query %d: %v", n, got)
			}
			results <- err
		}()
	}
	for range 100 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	x, err := newExchange(netip.MustParseAddrPort("127.0.0.1:9"), Question{Name: "a"}, Client{}.settings())
	if err != nil {
		t.Fatal(err)
	}
	err = drivePortable(t.Context(), []*exchange{x}, place{mark: 7})
	if !errors.Is(err, errors.ErrUnsupported) || operr.NeedOf(err) != "" {
		t.Errorf("mark: %v", err)
	}
}
