package resolve_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netsonde/netsonde/resolve"
)

// One question to one server, and everything that is known of the answer.
func ExampleClient_Query() {
	server, stop := exampleServer(true)
	defer stop()
	a, err := resolve.Client{Timeout: 5 * time.Second}.Query(context.Background(), server, resolve.Question{Name: "www.example"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Outcome, a.RCode, a.EDNS)
	for _, r := range a.Records {
		fmt.Println(r)
	}
	fmt.Println(a.Addrs())
	for _, t := range a.Attempts {
		fmt.Println(t.Transport, "EDNS", t.EDNS, t.Outcome)
	}
	// Output:
	// answer NOERROR rejected
	// www.example. 300 IN CNAME web.example.
	// web.example. 300 IN A 192.0.2.1
	// [192.0.2.1]
	// udp EDNS true form_err
	// udp EDNS false answer
}

// The name does not exist, and the server says why it thinks so and for how long.
func ExampleAnswer() {
	server, stop := exampleServer(false)
	defer stop()
	a, err := resolve.Client{Timeout: 5 * time.Second}.Query(context.Background(), server, resolve.Question{Name: "nobody.example", Type: resolve.TypeMX})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Question, a.Outcome, a.NegativeTTL)
	fmt.Println(a.SOA)
	// Output:
	// nobody.example. MX nx_domain 1m0s
	// ns.example. admin.example. 1 3600 600 86400 60
}

// A whole look-up with a search list, under the rules of two programs.
func ExampleLookup() {
	server, stop := exampleServer(false)
	defer stop()
	config, err := resolve.ParseConfig(strings.NewReader("search refused.example example\n"))
	if err != nil {
		log.Fatal(err)
	}
	for _, policy := range []resolve.Policy{resolve.PolicyGlibc, resolve.PolicyGo} {
		r, err := resolve.Lookup(context.Background(), "www", &resolve.LookupOptions{
			Config: &config, Hosts: &resolve.Hosts{}, NSSwitch: &resolve.NSSwitch{},
			Policy: policy, Servers: []netip.AddrPort{server}, Attempts: 1, Types: []resolve.Type{resolve.TypeA},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(policy, r.Outcome, r.Found, r.Addrs)
		for _, s := range r.Steps {
			fmt.Println("  asked for", s.Name, s.Asks[0].Answers[0].Outcome)
		}
		for _, name := range r.Skipped {
			fmt.Println("  gave up before", name)
		}
	}
	// Output:
	// glibc nx_domain  []
	//   asked for www.refused.example. refused
	//   asked for www. nx_domain
	//   gave up before www.example.
	// go answer www.example. [192.0.2.1]
	//   asked for www.refused.example. refused
	//   asked for www.example. answer
	//   gave up before www.
}

// What of a resolv.conf is used, and what is not.
func ExampleParseConfig() {
	c, err := resolve.ParseConfig(strings.NewReader(`nameserver 192.0.2.1
nameserver fe80::1%eth0
 nameserver 192.0.2.2
nameserver 192.0.2.3
nameserver 192.0.2.4
search corp.example # the office
options ndots:2 timeout:60 colour
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Servers, c.Search, c.Ndots, c.Timeout)
	for _, s := range c.Ignored {
		fmt.Printf("line %d: %s is one too many\n", s.Line, s.Server.Addr())
	}
	for _, p := range c.Problems {
		fmt.Printf("line %d: %s: %s\n", p.Line, p.Text, p.Reason)
	}
	for _, d := range c.Unknown {
		fmt.Printf("line %d: %s is unknown\n", d.Line, d.Text)
	}
	// Output:
	// [192.0.2.1:53 [fe80::1%eth0]:53 192.0.2.3:53] [corp.example # the office] 2 30s
	// line 5: 192.0.2.4 is one too many
	// line 3: nameserver: blanks before the keyword: glibc does not use this line, package net does
	// line 6: #: a comment has to begin its line: this is taken for a domain
	// line 7: timeout:60: above the limit: taken as 30
	// line 7: colour is unknown
}

func ExampleSearchList() {
	c, err := resolve.ParseConfig(strings.NewReader("search corp.example example\noptions ndots:2\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resolve.SearchList("www", c))
	fmt.Println(resolve.SearchList("a.b.c", c))
	fmt.Println(resolve.SearchList("www.", c))
	fmt.Println(resolve.PolicyNslookup.SearchList("a.b.c", c))
	// Output:
	// [www.corp.example. www.example. www.]
	// [a.b.c. a.b.c.corp.example. a.b.c.example.]
	// [www.]
	// [a.b.c.]
}

func ExampleParseHosts() {
	h, err := resolve.ParseHosts(strings.NewReader("127.0.0.1 localhost\n192.0.2.1 www.example www\n2001:db8::1 www\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Lookup("WWW"), h.Find("www.example")[0].Line)
	// Output: [192.0.2.1 2001:db8::1] 2
}

func ExampleParseNSSwitch() {
	n, err := resolve.ParseNSSwitch(strings.NewReader("hosts: files mdns4_minimal [NOTFOUND=return] dns\n"))
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range n.Sources {
		fmt.Println(s.Name, s.Actions)
	}
	// Output:
	// files []
	// mdns4_minimal [{false notfound return}]
	// dns []
}

func ExampleReverseName() {
	fmt.Println(resolve.ReverseName(netip.MustParseAddr("192.0.2.10")))
	// Output: 10.2.0.192.in-addr.arpa.
}

// exampleServer has one name; an old one does not know EDNS.
func exampleServer(old bool) (addr netip.AddrPort, stop func()) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			exampleAnswer(&m, old)
			if b, err := m.Pack(); err == nil {
				c.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), func() { c.Close(); <-done }
}

func exampleAnswer(m *dnsmessage.Message, old bool) {
	old = old && len(m.Additionals) > 0
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	header := func(name string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 300}
	}
	switch name := m.Questions[0].Name.String(); {
	case old:
		m.RCode = dnsmessage.RCodeFormatError
	case strings.HasSuffix(name, ".refused.example."):
		m.RCode = dnsmessage.RCodeRefused
	case name == "www.example.":
		m.Answers = []dnsmessage.Resource{
			{Header: header(name), Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("web.example.")}},
			{Header: header("web.example."), Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}},
		}
	default:
		m.RCode = dnsmessage.RCodeNameError
		m.Authorities = []dnsmessage.Resource{{Header: header("example."), Body: &dnsmessage.SOAResource{
			NS: dnsmessage.MustNewName("ns.example."), MBox: dnsmessage.MustNewName("admin.example."),
			Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: 60,
		}}}
	}
}
