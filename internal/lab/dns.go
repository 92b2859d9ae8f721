package lab

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// DNSHandler decides on the answer to a query. It is called from several
// goroutines. Zone.Answer is one; scripts of a test are others.
type DNSHandler func(DNSQuery) DNSReply

// DNSQuery is a question as a server has received it.
type DNSQuery struct {
	Name     string // fully qualified, as it was written
	Type     dnsmessage.Type
	Header   dnsmessage.Header
	EDNS     bool // the query has an OPT record
	UDPSize  int  // longest answer over UDP; 512 without EDNS
	DNSSECOK bool
	TCP      bool
	From     netip.AddrPort
	Message  []byte // the whole query

	question dnsmessage.Question
}

// DNSReply is an answer, or a misbehaviour. The zero value is an empty answer
// without error.
type DNSReply struct {
	RCode              dnsmessage.RCode // above 15 it needs EDNS
	Authoritative      bool
	RecursionAvailable bool
	AuthenticData      bool
	Answers            []dnsmessage.Resource
	Authorities        []dnsmessage.Resource
	Additionals        []dnsmessage.Resource
	Options            []dnsmessage.Option // of the OPT record, such as an extended error

	Drop          bool          // no answer at all; over TCP the connection is closed
	Delay         time.Duration // before the answer
	Truncate      bool          // over UDP: nothing but the flag
	WrongID       bool
	WrongQuestion bool   // the answer repeats another question
	NoOPT         bool   // no OPT record although the query has one
	Raw           []byte // instead of all that, behind the id of the query
}

// DropEDNS makes a server that never answers a query with EDNS, as some
// firewalls do.
func DropEDNS(handler DNSHandler) DNSHandler {
	return func(q DNSQuery) DNSReply {
		if q.EDNS {
			return DNSReply{Drop: true}
		}
		return handler(q)
	}
}

// RefuseEDNS makes a server from before RFC 2671: a query with an OPT record
// is a format error to it.
func RefuseEDNS(handler DNSHandler) DNSHandler {
	return func(q DNSQuery) DNSReply {
		if q.EDNS {
			return DNSReply{RCode: dnsmessage.RCodeFormatError, NoOPT: true}
		}
		return handler(q)
	}
}

// ServeDNS answers DNS queries over UDP and TCP at an address of this process,
// such as "127.0.0.1:0", until the test ends. Host.ServeDNS does it in a lab.
func ServeDNS(t testing.TB, addr string, handler DNSHandler) *Server {
	t.Helper()
	s, err := listenDNS(addr, handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func listenDNS(addr string, handler DNSHandler) (*Server, error) {
	ln, conn, err := listenBoth(addr)
	if err != nil {
		return nil, err
	}
	s := newServer(ln.Addr())
	s.serveTCP(ln, func(conn net.Conn) { s.dnsStream(conn, handler) })
	s.serveUDP(conn.(*net.UDPConn), func(packet []byte, from netip.AddrPort, reply func([]byte)) {
		q, err := parseQuery(append([]byte(nil), packet...))
		if err != nil {
			return
		}
		q.From = from
		s.handlers.Go(func() {
			if answer := s.answer(q, handler); answer != nil {
				reply(answer)
			}
		})
	})
	return s, nil
}

// listenBoth listens over TCP and UDP at the same port. One that the kernel has
// chosen for TCP may be in use for UDP; then it is asked for another.
func listenBoth(addr string) (ln net.Listener, conn net.PacketConn, err error) {
	for range 10 {
		if ln, err = net.Listen("tcp", addr); err != nil {
			return nil, nil, err
		}
		if conn, err = net.ListenPacket("udp", ln.Addr().String()); err == nil {
			return ln, conn, nil
		}
		ln.Close()
		if ln.Addr().String() == addr {
			break
		}
	}
	return nil, nil, err
}

// dnsStream answers the queries of one TCP connection, RFC 1035, 4.2.2.
func (s *Server) dnsStream(conn net.Conn, handler DNSHandler) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		q, err := parseQuery(packet)
		if err != nil {
			return
		}
		q.TCP, q.UDPSize = true, 1<<16-1
		if from, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
			q.From = from.AddrPort()
		}
		answer := s.answer(q, handler)
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func parseQuery(packet []byte) (DNSQuery, error) {
	q := DNSQuery{UDPSize: 512, Message: packet}
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil {
		return q, err
	}
	if len(m.Questions) != 1 {
		return q, dnsmessage.ErrSectionDone
	}
	q.Header, q.question = m.Header, m.Questions[0]
	q.Name, q.Type = q.question.Name.String(), q.question.Type
	for _, r := range m.Additionals {
		if r.Header.Type == dnsmessage.TypeOPT {
			q.EDNS, q.DNSSECOK = true, r.Header.DNSSECAllowed()
			q.UDPSize = max(512, int(r.Header.Class))
		}
	}
	return q, nil
}

// answer asks the handler and returns the message to send, nil for none.
func (s *Server) answer(q DNSQuery, handler DNSHandler) []byte {
	r := handler(q)
	if r.Delay > 0 {
		timer := time.NewTimer(r.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.stop:
			return nil
		}
	}
	switch {
	case r.Drop:
		return nil
	case r.Raw != nil:
		return append(binary.BigEndian.AppendUint16(nil, r.id(q)), r.Raw...)
	case r.Truncate && !q.TCP:
		return r.pack(q, true)
	}
	answer := r.pack(q, false)
	if len(answer) > q.UDPSize {
		return r.pack(q, true)
	}
	return answer
}

func (r *DNSReply) id(q DNSQuery) uint16 {
	if r.WrongID {
		return q.Header.ID + 1
	}
	return q.Header.ID
}

// pack encodes the reply; a truncated one has only its header and question.
func (r *DNSReply) pack(q DNSQuery, truncated bool) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: r.id(q), Response: true, OpCode: q.Header.OpCode, RCode: r.RCode & 0xf,
			Authoritative: r.Authoritative, Truncated: truncated, AuthenticData: r.AuthenticData,
			RecursionDesired: q.Header.RecursionDesired, RecursionAvailable: r.RecursionAvailable,
			CheckingDisabled: q.Header.CheckingDisabled,
		},
		Questions: []dnsmessage.Question{q.question},
	}
	if r.WrongQuestion {
		m.Questions[0].Name = dnsmessage.MustNewName("wrong.question.test.")
	}
	if !truncated {
		m.Answers, m.Authorities, m.Additionals = r.Answers, r.Authorities, r.Additionals
	}
	if q.EDNS && !r.NoOPT {
		const udpSize = 1232
		opt := dnsmessage.Resource{Body: &dnsmessage.OPTResource{Options: r.Options}}
		opt.Header.SetEDNS0(udpSize, r.RCode, q.DNSSECOK)
		m.Additionals = append(m.Additionals[:len(m.Additionals):len(m.Additionals)], opt)
	}
	packet, err := m.Pack()
	if err != nil {
		panic("lab: DNS reply cannot be encoded: " + err.Error()) // the test's own mistake
	}
	return packet
}
