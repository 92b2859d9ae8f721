package resolve

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// server is a DNS server that does what a test tells it to, over UDP and TCP on
// the same port. It reads queries with dnsmessage, so that nothing of this
// package is its own witness.
type server struct {
	t      testing.TB
	addr   netip.AddrPort
	udp    *net.UDPConn
	other  *net.UDPConn // another port, to answer from where nobody asked
	tcp    *net.TCPListener
	handle func(*asked) []reply
	wg     sync.WaitGroup

	mu    sync.Mutex
	log   []*asked
	open  map[net.Conn]bool
	ended bool
}

// asked is one query as the server saw it.
type asked struct {
	dnsmessage.Question
	header  dnsmessage.Header
	network string // "udp", "tcp"
	edns    bool
	size    uint16 // advertised with EDNS
	at      time.Time
	from    netip.AddrPort
	raw     []byte
	number  int // from 1
}

func (a *asked) name() string { return a.Name.String() }

// typ is "A", "AAAA" … of any question.
func (a *asked) typ() string { return Type(a.Type).String() }

// reply is one message to send back. A server that wants to be silent sends none.
type reply struct {
	msg   []byte
	delay time.Duration
	other bool // from another port
	short int  // TCP: send only so many bytes and close
}

// serve starts a server on addr, whose port may be 0; it ends with the test.
// The sockets belong to the network namespace of the calling thread.
func serve(t testing.TB, addr string, handle func(*asked) []reply) *server {
	t.Helper()
	s := &server{t: t, handle: handle, open: map[net.Conn]bool{}}
	// A port that UDP gives may be taken for TCP.
	for try := 0; ; try++ {
		err := s.listen(netip.MustParseAddrPort(addr))
		if err == nil {
			break
		}
		if try == 20 {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.close)
	s.wg.Go(s.loopUDP)
	s.wg.Go(s.loopTCP)
	return s
}

func (s *server) listen(addr netip.AddrPort) (err error) {
	if s.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)); err != nil {
		return err
	}
	s.addr = s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	if s.tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(s.addr)); err != nil {
		s.udp.Close()
		return err
	}
	s.other, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr.Addr(), 0)))
	if err != nil {
		s.udp.Close()
		s.tcp.Close()
	}
	return err
}

func (s *server) close() {
	s.udp.Close()
	s.other.Close()
	s.tcp.Close()
	s.mu.Lock()
	s.ended = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// seen returns what was asked so far.
func (s *server) seen() []*asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*asked(nil), s.log...)
}

func (s *server) loopUDP() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		for _, r := range s.ask(buf[:n], "udp", from) {
			send := func() {
				c := s.udp
				if r.other {
					c = s.other
				}
				c.WriteToUDPAddrPort(r.msg, from)
			}
			if r.delay > 0 {
				s.wg.Go(func() { time.Sleep(r.delay); send() })
			} else {
				send()
			}
		}
	}
}

func (s *server) loopTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = true
		if s.ended {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Go(func() { s.talk(c) })
	}
}

func (s *server) talk(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
	}()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, msg); err != nil {
			return
		}
		for _, r := range s.ask(msg, "tcp", netip.MustParseAddrPort(c.RemoteAddr().String())) {
			time.Sleep(r.delay)
			out := append(binary.BigEndian.AppendUint16(nil, uint16(len(r.msg))), r.msg...)
			if r.short > 0 {
				c.Write(out[:r.short])
				return
			}
			c.Write(out)
		}
	}
}

func (s *server) ask(msg []byte, network string, from netip.AddrPort) []reply {
	a := &asked{network: network, at: time.Now(), from: from, raw: append([]byte(nil), msg...)}
	var p dnsmessage.Parser
	var err error
	if a.header, err = p.Start(a.raw); err != nil {
		s.t.Errorf("query: %v", err)
		return nil
	}
	if a.Question, err = p.Question(); err != nil {
		s.t.Errorf("query: %v", err)
		return nil
	}
	p.SkipAllQuestions()
	p.SkipAllAnswers()
	p.SkipAllAuthorities()
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			break
		}
		if h.Type == dnsmessage.TypeOPT {
			a.edns, a.size = true, uint16(h.Class)
		}
		p.SkipAdditional()
	}
	s.mu.Lock()
	s.log = append(s.log, a)
	a.number = len(s.log)
	s.mu.Unlock()
	return s.handle(a)
}

// msg is a reply to the query with records and changes to be made.
func (a *asked) msg(rcode RCode, parts ...any) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: a.header.ID, Response: true, RCode: dnsmessage.RCode(rcode & 15),
			RecursionDesired: a.header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{a.Question},
	}
	for _, p := range parts {
		switch p := p.(type) {
		case dnsmessage.Resource:
			m.Answers = append(m.Answers, p)
		case func(*dnsmessage.Message):
			p(&m)
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// say is the reply of a server that works.
func (a *asked) say(rcode RCode, parts ...any) []reply { return []reply{{msg: a.msg(rcode, parts...)}} }

func rr(name string, body dnsmessage.ResourceBody, typ dnsmessage.Type) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET, TTL: 300},
		Body:   body,
	}
}

func rrA(name, addr string) dnsmessage.Resource {
	return rr(name, &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()}, dnsmessage.TypeA)
}

func rrCNAME(name, target string) dnsmessage.Resource {
	return rr(name, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target)}, dnsmessage.TypeCNAME)
}

// authority puts records into the authority section.
func authority(rrs ...dnsmessage.Resource) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) { m.Authorities = append(m.Authorities, rrs...) }
}

func soa(name string, minimum uint32) func(*dnsmessage.Message) {
	return authority(rr(name, &dnsmessage.SOAResource{
		NS: dnsmessage.MustNewName("ns." + name), MBox: dnsmessage.MustNewName("admin." + name),
		Serial: 7, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: minimum,
	}, dnsmessage.TypeSOA))
}

// opt adds an EDNS record with options, and the upper bits of an RCODE.
func opt(upper uint8, options ...dnsmessage.Option) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		var h dnsmessage.ResourceHeader
		h.SetEDNS0(4096, dnsmessage.RCode(upper)<<4, false)
		m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{Options: options}})
	}
}

func truncated(m *dnsmessage.Message)   { m.Truncated = true }
func noRecursion(m *dnsmessage.Message) { m.RecursionAvailable = false }
func noQuestion(m *dnsmessage.Message)  { m.Questions = nil }

func texts(addrs []netip.Addr) []string {
	var list []string
	for _, a := range addrs {
		list = append(list, a.String())
	}
	slices.Sort(list)
	return list
}
