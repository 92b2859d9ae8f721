package resolve

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addrPorts(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.AddrPortFrom(netip.MustParseAddr(s), port))
	}
	return out
}

func TestParseConfig(t *testing.T) {
	base := Config{Servers: addrPorts("127.0.0.1"), NoServer: true, Ndots: 1, Timeout: 5 * time.Second, Attempts: 2}
	for _, c := range []struct {
		text string
		want func(*Config)
	}{
		{"", func(*Config) {}},
		{"# all\n;comments\n\n   \n  # and this\n", func(*Config) {}},
		{"nameserver 192.0.2.1\nnameserver\tfe80::1%eth0  # rest\nnameserver ::1\r\nnameserver 192.0.2.4\nnameserver 192.0.2.5", func(c *Config) {
			c.Servers, c.NoServer = addrPorts("192.0.2.1", "fe80::1%eth0", "::1"), false
			c.Ignored = []IgnoredServer{{4, addrPorts("192.0.2.4")[0]}, {5, addrPorts("192.0.2.5")[0]}}
		}},
		{"nameserver\nnameserver x\x1b\nnameserver 192.0.2.256\nnameserverx 1\nnameserver 10.1\nnameserver 10.1 10.2", func(c *Config) {
			c.Servers, c.NoServer = addrPorts("10.0.0.1", "10.0.0.1"), false
			c.Unknown = []Directive{{4, "nameserverx 1"}}
			c.Problems = []Problem{
				{1, "", "not an IP address"}, {2, `x\027`, "not an IP address"}, {3, "192.0.2.256", "not an IP address"},
				{5, "10.1", "glibc reads this as 10.0.0.1, package net ignores it"},
				{6, "10.2", "only the first address of a nameserver line is used"},
				{6, "10.1", "glibc reads this as 10.0.0.1, package net ignores it"},
				{6, "10.1", "listed twice: it takes the place of another server"},
			}
		}},
		{"domain a.test b.test\n", func(c *Config) { c.Search, c.SearchOrigin = []string{"a.test"}, SearchDomain }},
		{"search a.test\tb.test  .\nsearch\n", func(c *Config) {
			c.Search, c.SearchOrigin = []string{"a.test", "b.test", "."}, SearchLine
			c.Problems = []Problem{{2, "search", "without a domain"}}
		}},
		{"search a b\ndomain c\nsearch d # e", func(c *Config) {
			c.Search, c.SearchOrigin = []string{"d", "#", "e"}, SearchLine
			c.Problems = []Problem{
				{2, "c", "replaces the search list of an earlier line: only the last one counts"},
				{3, "d # e", "replaces the search list of an earlier line: only the last one counts"},
				{3, "#", "a comment has to begin its line: this is taken for a domain"},
			}
		}},
		{" search a\n\tnameserver 10.0.0.1\n", func(c *Config) {
			const reason = "blanks before the keyword: glibc does not use this line, package net does"
			c.Problems = []Problem{{1, "search", reason}, {2, "nameserver", reason}}
		}},
		{"options ndots:3 timeout:2 attempts:4 rotate edns0 trust-ad use-vc\noptions single-request single-request-reopen no-reload no-tld-query no-aaaa inet6 debug", func(c *Config) {
			c.Ndots, c.Timeout, c.Attempts = 3, 2*time.Second, 4
			c.Rotate, c.EDNS0, c.TrustAD, c.UseVC, c.SingleRequest, c.SingleRequestReopen = true, true, true, true, true, true
			c.NoReload, c.NoTLDQuery, c.NoAAAA, c.Inet6, c.Debug = true, true, true, true, true
			for i, o := range strings.Fields("ndots:3 timeout:2 attempts:4 rotate edns0 trust-ad use-vc single-request single-request-reopen no-reload no-tld-query no-aaaa inet6 debug") {
				c.Options = append(c.Options, Directive{1 + i/7, o})
			}
		}},
		{"options ndots:99 timeout:x attempts:-1 attempts:7x blue ndots rotate:1\nsortlist 10.0.0.0/8 b\nlookup file bind", func(c *Config) {
			c.Ndots, c.Timeout, c.Attempts = 15, 0, 5
			for o := range strings.FieldsSeq("ndots:99 timeout:x attempts:-1 attempts:7x blue ndots rotate:1") {
				c.Options = append(c.Options, Directive{1, o})
			}
			c.Problems = []Problem{
				{1, "ndots:99", "above the limit: taken as 15"}, {1, "timeout:x", "not a number: taken as 0"},
				{1, "attempts:-1", "not a number: taken as 0"}, {1, "attempts:7x", "not a number: taken as 7"},
				{1, "attempts:7x", "above the limit: taken as 5"},
			}
			c.Unknown = []Directive{{1, "blue"}, {1, "ndots"}, {1, "rotate:1"}, {3, "lookup file bind"}}
			c.Sortlist = []string{"10.0.0.0/8", "b"}
		}},
	} {
		got, err := ParseConfig(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		want := base
		c.want(&want)
		if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var back Config
		if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(got, back, compareAddrs) {
			t.Errorf("JSON: %v\n%s", err, cmp.Diff(got, back, compareAddrs))
		}
	}
}

func TestConfigWith(t *testing.T) {
	file, err := ParseConfig(strings.NewReader("search a.test\noptions ndots:2 rotate\n"))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := ParseConfig(strings.NewReader("nameserver 10.0.0.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		env    Environment
		search []string
		origin SearchOrigin
		ndots  int
	}{
		{file, Environment{}, []string{"a.test"}, SearchLine, 2},
		{file, Environment{LocalDomain: "x.test y.test"}, []string{"x.test", "y.test"}, SearchLocalDomain, 2},
		{file, Environment{Hostname: "box.corp.test", ResOptions: "ndots:4"}, []string{"a.test"}, SearchLine, 4},
		{bare, Environment{Hostname: "box.corp.test"}, []string{"corp.test"}, SearchHostname, 1},
		{bare, Environment{Hostname: "box"}, nil, SearchNone, 1},
	} {
		before := fmt.Sprintf("%+v", c.config)
		got := c.config.With(c.env)
		if !cmp.Equal(got.Search, c.search) || got.SearchOrigin != c.origin || got.Ndots != c.ndots {
			t.Errorf("%+v: %q from %s, ndots %d", c.env, got.Search, got.SearchOrigin, got.Ndots)
		}
		if c.env.ResOptions != "" && !cmp.Equal(got.Options[len(got.Options)-1], Directive{0, c.env.ResOptions}) {
			t.Errorf("%+v: options %v", c.env, got.Options)
		}
		if after := fmt.Sprintf("%+v", c.config); after != before {
			t.Errorf("With changed what it was called on:\n%s\n%s", before, after)
		}
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	c, err := ReadConfig(missing)
	if err != nil || !c.Missing || !c.NoServer || c.Path != missing || c.Attempts != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if h, err := ReadHosts(missing); err != nil || !h.Missing {
		t.Errorf("%+v, %v", h, err)
	}
	if n, err := ReadNSSwitch(missing); err != nil || !n.Missing {
		t.Errorf("%+v, %v", n, err)
	}
	path := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver ::1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadConfig(path); err != nil || c.Missing || c.Servers[0].String() != "[::1]:53" {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = ReadHosts(dir)
	if op, ok := err.(*OpError); !ok || op.Op != "resolve: read hosts" || op.Target != dir {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ParseHosts(strings.NewReader(strings.Repeat("x", maxLine+1))); err == nil {
		t.Error("a line without an end is taken")
	}
}

func TestParseHosts(t *testing.T) {
	h, err := ParseHosts(strings.NewReader("127.0.0.1 localhost loop# x\n\n# nothing\n::1\tlocalhost\nfe80::1%lo ll\n10.0.0.1\nfoo bar\n10.1 old\n10.0.0.2 \x1b[2J\n10.0.0.3 LOCALHOST"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Problem{{6, "10.0.0.1", "an address without a name"}, {7, "foo", "not an IP address"}, {8, "10.1", "not an IP address"}}
	if diff := cmp.Diff(want, h.Problems); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(h.Lookup("localHOST")); got != "[127.0.0.1 ::1 10.0.0.3]" {
		t.Error(got)
	}
	if got := h.Find("loop"); len(got) != 1 || got[0].Line != 1 {
		t.Errorf("%+v", got)
	}
	if got := h.Entries[3].Names[0]; got != `\027[2J` {
		t.Errorf("%q", got)
	}
}

func TestParseNSSwitch(t *testing.T) {
	for _, c := range []struct {
		text string
		want NSSwitch
	}{
		{"passwd: files\n", NSSwitch{}},
		{"hosts: files dns", NSSwitch{Line: 1, Sources: []NSSSource{{Name: "files"}, {Name: "dns"}}}},
		{
			"# x\nhosts:files mdns4_minimal[NOTFOUND=return] resolve [!UNAVAIL=return success=merge] dns # y\n",
			NSSwitch{Line: 2, Sources: []NSSSource{
				{Name: "files"}, {Name: "mdns4_minimal", Actions: []NSSAction{{false, "notfound", "return"}}},
				{Name: "resolve", Actions: []NSSAction{{true, "unavail", "return"}, {false, "success", "merge"}}}, {Name: "dns"},
			}},
		},
		{"hosts: files\nhosts: dns\n", NSSwitch{Line: 2, Sources: []NSSSource{{Name: "dns"}}, Problems: []Problem{{1, "hosts:", "another hosts line follows"}}}},
		{"hosts: [a] dns [b=c] [notfound=return", NSSwitch{Line: 1, Sources: []NSSSource{{Name: "dns"}}, Problems: []Problem{
			{1, "[a]", "an action without a service before it"}, {1, "b=c", "not of the form STATUS=ACTION"}, {1, "[notfound=return", "no closing bracket"},
		}}},
	} {
		got, err := ParseNSSwitch(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
		if got.Has("dns") != strings.Contains(c.text, "dns") {
			t.Errorf("%q: Has(dns) is %t", c.text, got.Has("dns"))
		}
	}
}

func TestWords(t *testing.T) {
	for typ := range 1 << 16 {
		s := Type(typ).String()
		if back, err := ParseType(strings.ToLower(s)); err != nil || back != Type(typ) {
			t.Fatalf("type %d is %s is %d, %v", typ, s, back, err)
		}
	}
	for n := range 1 << 12 {
		var c Class
		if b, _ := Class(n).MarshalText(); c.UnmarshalText(b) != nil || c != Class(n) {
			t.Fatalf("class %d is %s is %d", n, b, c)
		}
		var r RCode
		if b, _ := RCode(n).MarshalText(); r.UnmarshalText(b) != nil || r != RCode(n) {
			t.Fatalf("rcode %d is %s is %d", n, b, r)
		}
	}
	for n := range 26 {
		var o Outcome
		if b, _ := Outcome(n).MarshalText(); o.UnmarshalText(b) != nil || o != Outcome(n) {
			t.Fatalf("outcome %d is %s is %d", n, b, o)
		}
	}
	if _, err := ParseType("NOPE"); err == nil {
		t.Error("a type NOPE")
	}
	if got := (Question{Name: "version.bind", Type: TypeTXT, Class: ClassCH}).String(); got != "version.bind TXT CH" {
		t.Error(got)
	}
}

// printable fails for text with bytes that a terminal would act on.
func printable(t *testing.T, v any) {
	t.Helper()
	for _, c := range fmt.Sprintf("%+v", v) {
		if c < ' ' || c > '~' {
			t.Fatalf("%#x in %+v", c, v)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("nameserver 10.0.0.1\nsearch a b\noptions ndots:2 timeout:x\n", "x ndots:3", "box.a", "a.b")
	f.Add(" nameserver ::1%x\ndomain .\nsortlist 1\nfoo\n", "", "", `a\.b`)
	f.Fuzz(func(t *testing.T, text, options, host, name string) {
		c, err := ParseConfig(strings.NewReader(text))
		if err != nil {
			return
		}
		c = c.With(Environment{ResOptions: options, Hostname: host})
		if len(c.Servers) == 0 || len(c.Servers) > MaxServers || c.Ndots > maxNdots || c.Attempts > maxAttempts || c.Timeout > maxTimeout*time.Second {
			t.Errorf("%+v", c)
		}
		for _, p := range []Policy{PolicyGlibc, PolicyGo, PolicyNslookup} {
			for _, n := range p.SearchList(name, c) {
				if w, err := wireName(n); err != nil || nameText(w) != n || len(w) > maxName {
					t.Errorf("%s is not a name: %v", n, err)
				}
			}
		}
		printable(t, c)
	})
}

func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 a b # c\nx\n", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		h, err := ParseHosts(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(h.Lookup(name)) > len(h.Find(name)) {
			t.Error("more addresses than lines")
		}
		for i, e := range h.Entries {
			if len(e.Names) == 0 || !e.Addr.IsValid() || i > 0 && e.Line <= h.Entries[i-1].Line {
				t.Errorf("%+v", e)
			}
			printable(t, e)
		}
		printable(t, h.Problems)
	})
}

func FuzzNSSwitch(f *testing.F) {
	f.Add("hosts: files [NOTFOUND=return] dns\n")
	f.Add("hosts: [x\nhosts:a[!b=c]")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNSSwitch(strings.NewReader(text))
		if err == nil {
			printable(t, n)
		}
	})
}
