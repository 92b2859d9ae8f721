package resolve

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/netsonde/netsonde/internal/lab"
	"golang.org/x/net/dns/dnsmessage"
)

// need skips a test whose witness is not installed.
func need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
}

// byName answers as a label of the name says; the name has to end in test to
// exist.
func byName(a *asked) []reply {
	ok := func(types ...string) []reply {
		switch {
		case len(types) > 0 && !slices.Contains(types, a.typ()):
			return nil
		case a.typ() == "A":
			return a.say(0, rrA(a.name(), "192.0.2.1"))
		case a.typ() == "AAAA":
			return a.say(0, rrAAAA(a.name(), "2001:db8::1"))
		}
		return a.say(0, soa("test.", 60))
	}
	for l := range strings.SplitSeq(strings.ToLower(a.name()), ".") {
		what, six := strings.CutPrefix(l, "six-")
		what, four := strings.CutPrefix(what, "four-")
		if six && a.typ() != "AAAA" || four && a.typ() != "A" {
			return ok()
		}
		switch what {
		case "nx":
			return a.say(RCodeNXDomain, soa("test.", 60))
		case "nd":
			return a.say(0, soa("test.", 60))
		case "sf":
			return a.say(RCodeServFail)
		case "rf":
			return a.say(RCodeRefused)
		case "fe":
			return a.say(RCodeFormErr)
		case "ni":
			return a.say(RCodeNotImp)
		case "lame":
			return a.say(0, noRecursion)
		case "dangle":
			return a.say(0, rrCNAME(a.name(), "gone.nx.test."))
		case "drop":
			return nil
		case "test":
			return ok()
		}
	}
	return a.say(RCodeNXDomain, soa("root.", 60))
}

func rrAAAA(name, addr string) dnsmessage.Resource {
	return rr(name, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(addr).As16()}, dnsmessage.TypeAAAA)
}

// resolverLab is a client and a host with three servers that answer byName, and
// keep one common log of "server name type".
type resolverLab struct {
	client, far *lab.Host
	mu          sync.Mutex
	log         []string
}

var labServers = []string{"10.0.0.1", "10.0.0.3", "10.0.0.4"}

func newResolverLab(t testing.TB) *resolverLab {
	t.Helper()
	l := lab.New(t)
	r := &resolverLab{client: l.Host("client"), far: l.Host("far")}
	// getaddrinfo asks for a family only where there is an address of it.
	l.Connect(r.client.Port("eth0", "10.0.0.2/24", "fd00::2/64"),
		r.far.Port("eth0", "10.0.0.1/24", "10.0.0.3/24", "10.0.0.4/24", "fd00::1/64"))
	err := r.far.Do(func() error {
		for i, addr := range labServers {
			serve(t, addr+":53", func(a *asked) []reply {
				r.mu.Lock()
				r.log = append(r.log, fmt.Sprintf("s%d %s %s", i+1, a.name(), a.typ()))
				r.mu.Unlock()
				return byName(a)
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asked returns the log and begins a new one.
func (r *resolverLab) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := r.log
	r.log = nil
	return log
}

// lookup runs Lookup in the client, as anybody.
func (r *resolverLab) lookup(t testing.TB, name string, o LookupOptions) (res Result) {
	t.Helper()
	err := r.client.DoUnprivileged(func() (err error) {
		res, err = Lookup(t.Context(), name, &o)
		return err
	})
	if err != nil {
		t.Fatalf("Lookup(%q): %v", name, err)
	}
	return res
}

// witness is a program that looks a name up: it returns the addresses, sorted.
type witness struct {
	policy Policy
	tool   string
	run    func(*lab.Host, string) []string
}

var witnesses = []witness{
	{PolicyGlibc, "getent", func(h *lab.Host, name string) []string {
		out, _ := h.Command("getent", "ahosts", name).Output()
		return addresses(regexp.MustCompile(`(?m)^(\S+) +STREAM`), out)
	}},
	{PolicyGo, "", func(h *lab.Host, name string) []string {
		out, _, _, _ := h.RunChild("go-resolver", true, name)
		return addresses(regexp.MustCompile(`(?m)^(\S+)$`), out)
	}},
	{PolicyNslookup, "nslookup", func(h *lab.Host, name string) []string {
		out, _ := h.Command("nslookup", name).Output()
		return addresses(regexp.MustCompile(`(?m)^Address: (\S+)$`), out)
	}},
}

func addresses(re *regexp.Regexp, out []byte) []string {
	var list []string
	for _, m := range re.FindAllSubmatch(out, -1) {
		list = append(list, string(m[1]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestLookupAgainstWitnesses generates configurations, fates of suffixes and
// names, and compares every query that a server sees, in order, and the
// addresses found, with those of getent, of package net and of nslookup.
func TestLookupAgainstWitnesses(t *testing.T) {
	r := newResolverLab(t)
	for _, w := range witnesses {
		t.Run(w.policy.String(), func(t *testing.T) {
			if w.tool != "" {
				need(t, w.tool)
			}
			cases := map[Policy]int{PolicyGlibc: 150, PolicyGo: 60, PolicyNslookup: 40}[w.policy]
			rnd := rand.New(rand.NewPCG(1, 2))
			for range cases {
				conf, name := randomConf(rnd, w.policy)
				r.client.ResolvConf(conf)
				r.asked()
				wantAddrs := w.run(r.client, name)
				want := r.asked()
				got := r.lookup(t, name, LookupOptions{Policy: w.policy})
				gotAsked := r.asked()
				if w.policy == PolicyGo || strings.Contains(conf, "use-vc") {
					sortRuns(want, gotAsked)
				}
				if diff := cmp.Diff(want, gotAsked); diff != "" {
					t.Fatalf("%q in\n%s(-%s +Lookup):\n%s", name, conf, w.policy, diff)
				}
				if diff := cmp.Diff(wantAddrs, texts(got.Addrs)); diff != "" {
					t.Fatalf("%q in\n%s(-%s +Lookup):\n%s", name, conf, w.policy, diff)
				}
			}
			t.Logf("%d cases", cases)
		})
	}
}

// sortRuns puts what was asked about one name in a row in the order of types,
// where that is up to goroutines: those of package net, or of the server's TCP.
func sortRuns(logs ...[]string) {
	for _, log := range logs {
		for len(log) > 0 {
			name, n := strings.Fields(log[0])[1], 1
			for n < len(log) && strings.Fields(log[n])[1] == name {
				n++
			}
			slices.SortStableFunc(log[:n], func(a, b string) int {
				return strings.Compare(strings.Fields(a)[2], strings.Fields(b)[2])
			})
			log = log[n:]
		}
	}
}

func randomConf(rnd *rand.Rand, p Policy) (conf, name string) {
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	for _, s := range labServers[:1+rnd.IntN(3)] {
		conf += "nameserver " + s + "\n"
	}
	suffixes := []string{
		"nx.test", "nx.test", "nd.test", "sf.test", "rf.test", "fe.test", "ni.test", "lame.test", "test", "test",
		"TEST.", "six-sf.test", "four-sf.test", "six-nx.test", "four-nx.test", "four-rf.test", "dangle.test", ".",
	}
	if n := rnd.IntN(5); n > 0 {
		conf += "search"
		for range n {
			conf += " " + pick(suffixes...)
		}
		conf += "\n"
	}
	if rnd.IntN(3) == 0 {
		conf += "options " + pick("ndots:0", "ndots:2", "ndots:3", "attempts:1", "attempts:3", "no-tld-query", "use-vc") + "\n"
	}
	return conf, pick("ok", "ok", "a.b", "x.y.z", "ok.", "a.nd", "a.sf", "a.rf", "a.test", "a.nx.test", "OK.Test", "w.lame")
}

// TestSilentFamily is the stall that a server causes which never answers AAAA:
// A is there at once, and the look-up still takes several timeouts.
func TestSilentFamily(t *testing.T) {
	need(t, "getent")
	for _, options := range []string{"timeout:1", "timeout:1 single-request", "timeout:1 single-request-reopen"} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			r := newResolverLab(t)
			r.client.ResolvConf("nameserver 10.0.0.1\noptions " + options + "\n")
			if _, err := r.client.Output("getent", "ahosts", "six-drop.test"); err != nil {
				t.Fatal(err)
			}
			want := countSuffix(r.asked(), " AAAA")
			got := r.lookup(t, "six-drop.test", LookupOptions{})
			if n := countSuffix(r.asked(), " AAAA"); n != want {
				t.Errorf("AAAA asked for %d times, getent %d times", n, want)
			}
			four, six := got.Families[0], got.Families[1]
			if got.Outcome != OutcomeAnswer || four.Outcome != OutcomeAnswer || six.Outcome != OutcomeTimeout {
				t.Errorf("%s, A %s, AAAA %s", got.Outcome, four.Outcome, six.Outcome)
			}
			if six.Elapsed <= four.Elapsed {
				t.Errorf("A after %s, AAAA after %s", four.Elapsed, six.Elapsed)
			}
		})
	}
}

func countSuffix(list []string, suffix string) (n int) {
	for _, l := range list {
		if strings.HasSuffix(l, suffix) {
			n++
		}
	}
	return n
}

// TestSilenceAgainstGetent compares which servers are asked in which order with
// glibc, where nobody replies.
func TestSilenceAgainstGetent(t *testing.T) {
	need(t, "getent")
	t.Parallel()
	r := newResolverLab(t)
	r.client.ResolvConf("nameserver 10.0.0.1\nnameserver 10.0.0.3\nnameserver 10.0.0.4\noptions timeout:1 attempts:1\n")
	r.client.Output("getent", "ahosts", "a.drop")
	want := r.asked()
	got := r.lookup(t, "a.drop", LookupOptions{})
	if diff := cmp.Diff(want, r.asked()); diff != "" {
		t.Error(diff)
	}
	if got.Outcome != OutcomeTimeout || len(got.Steps) != 1 || len(got.Steps[0].Asks) != 3 {
		t.Errorf("%+v", got)
	}
}

// TestNobodyListens compares the number of packets that ports without a server
// get: glibc gives the search list up where every server is unreachable.
func TestNobodyListens(t *testing.T) {
	need(t, "getent")
	r := newResolverLab(t)
	r.far.Sysctl("net/ipv6/icmp/ratelimit", "0")
	counter := r.far.Filter(lab.Input, lab.Rule{Proto: "udp", DPort: 53, Action: lab.Count})
	r.client.ResolvConf("nameserver fd00::1\nsearch a.test b.test\n")
	r.client.Output("getent", "ahosts", "ok")
	want := counter.Packets()
	got := r.lookup(t, "ok", LookupOptions{})
	if n := counter.Packets() - want; n != want || want == 0 {
		t.Errorf("%d packets, getent sends %d", n, want)
	}
	if got.Outcome != OutcomePortUnreachable || len(got.Skipped) != 2 {
		t.Errorf("%s, skipped %q", got.Outcome, got.Skipped)
	}
	if icmp := got.Steps[0].Asks[0].Answers[0].ICMP; icmp == nil || icmp.From.String() != "fd00::1" {
		t.Errorf("sender of the ICMP error: %v", icmp)
	}
}

// TestNothingConfigured is what glibc makes of attempts:0, of a keyword behind a
// blank, and of no file at all.
func TestNothingConfigured(t *testing.T) {
	need(t, "getent")
	r := newResolverLab(t)
	for _, conf := range []string{"nameserver 10.0.0.1\noptions attempts:0\n", " nameserver 10.0.0.1\n", ""} {
		r.client.ResolvConf(conf)
		if out, err := r.client.Output("getent", "ahosts", "ok.test"); err == nil {
			t.Fatalf("%q: getent finds %s", conf, out)
		}
		got := r.lookup(t, "ok.test", LookupOptions{})
		if log := r.asked(); len(log) > 0 || got.Outcome == OutcomeAnswer {
			t.Errorf("%q: %s, asked %q", conf, got.Outcome, log)
		}
		if got.Config.NoServer != !strings.HasPrefix(conf, "nameserver") {
			t.Errorf("%q: NoServer %t", conf, got.Config.NoServer)
		}
	}
}

// TestEnvironmentAgainstGetent sets what changes the resolver from outside.
func TestEnvironmentAgainstGetent(t *testing.T) {
	need(t, "getent")
	r := newResolverLab(t)
	r.client.ResolvConf("nameserver 10.0.0.1\nsearch nd.test\noptions ndots:2\n")
	for _, env := range []Environment{
		{LocalDomain: "nx.test test"}, {ResOptions: "ndots:0"}, {ResOptions: "no-aaaa ndots:1"}, {LocalDomain: "test", ResOptions: "ndots:1"},
	} {
		for _, name := range []string{"ok", "a.nx"} {
			r.asked()
			args := []string{"RES_OPTIONS=" + env.ResOptions, "getent", "ahosts", name}
			if env.LocalDomain != "" { // set but empty is not the same as not set
				args = append([]string{"LOCALDOMAIN=" + env.LocalDomain}, args...)
			}
			r.client.Command("env", args...).Run()
			want := r.asked()
			r.lookup(t, name, LookupOptions{Environment: &env})
			if diff := cmp.Diff(want, r.asked()); diff != "" {
				t.Errorf("%s with %+v (-getent +Lookup):\n%s", name, env, diff)
			}
		}
	}
}

func TestLookupSources(t *testing.T) {
	need(t, "getent")
	r := newResolverLab(t)
	r.client.ResolvConf("nameserver 10.0.0.1\nsearch test\n")
	r.client.Hosts("127.0.0.1 localhost\n10.9.9.9 Box.example box # a comment\n10.9.9.8 box\nfd00::9 box\n10.9.9.7 four.example\n")
	for _, name := range []string{"localhost", "box", "BOX.example", "box.", "four.example", "10.1.2.3", "127.1", "fd00::1", "ok"} {
		want := witnesses[0].run(r.client, name)
		got := r.lookup(t, name, LookupOptions{})
		if diff := cmp.Diff(want, texts(got.Addrs)); diff != "" {
			t.Errorf("%s (-getent +Lookup):\n%s", name, diff)
		}
	}
	if got := r.lookup(t, "box", LookupOptions{}); got.Source != SourceHosts || got.Hosts[0].Line != 2 {
		t.Errorf("box: %s, %+v", got.Source, got.Hosts)
	}
	if got := r.lookup(t, "box", LookupOptions{Policy: PolicyNslookup}); got.Source != SourceDNS || got.Found != "box.test." {
		t.Errorf("box for nslookup: %s, found %q", got.Source, got.Found)
	}
	r.asked()
	for _, name := range []string{"x.localhost", "x.onion"} {
		if got := r.lookup(t, name, LookupOptions{}); len(got.Steps) > 0 || len(r.asked()) > 0 {
			t.Errorf("%s was asked for: %+v", name, got)
		}
	}
}
