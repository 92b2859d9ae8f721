// Package resolve is DNS seen from outside: which server was asked what, which
// way, and what came of it, decided from the bytes on the wire.
//
// A [Client] puts one [Question] to one server and returns an [Answer] whose
// [Outcome] tells apart what the usual resolver calls run together: a name that
// does not exist and a name without such records, a server that fails, refuses
// or knows nothing of the zone, silence, and an ICMP error with its sender. Every
// datagram and connection it took is kept as an [Attempt].
//
// [Lookup] is the whole procedure for a name as this host would do it: IP
// literals, the hosts file, the search list of resolv.conf and its servers in
// order, with A and AAAA asked in parallel and timed apart. The three common
// resolvers disagree on the search list and on when to give up on a server;
// [Policy] says whose rules to follow. [ReadConfig], [ReadHosts] and
// [ReadNSSwitch] read the host's files and keep what they could not use, with
// line numbers.
//
// Nothing here judges. That NXDOMAIN is bad news, or that a server is to blame,
// is for the caller to say.
//
// # Names and bytes
//
// Names in results are absolute and in the form of a zone file (RFC 1035 section
// 5.1, RFC 4343): bytes that are not printable ASCII appear as \DDD, so that no
// byte from the network reaches a terminal as it is. Names in questions are read
// the same way; they need no final dot, and no search list is applied except by
// [Lookup].
//
// # Privileges and systems
//
// Nothing here needs privileges, except Mark, NetNS and a Device other than the
// one a socket is bound to already. On Linux each query has a fresh socket with
// an error queue (ip(7), IP_RECVERR), which tells ICMP errors with their sender,
// and replies from an address that was not asked are seen and counted. Elsewhere
// sockets come from package net: ICMP errors have no sender, replies from other
// addresses look like silence, and Device, Mark and NetNS are unsupported.
//
// Sources: RFC 1034, 1035, 2181, 2308 (negative answers), 3597 (unknown types), 6761
// (special names), 6891 (EDNS), 7766 (TCP), 8914 (extended errors), 9460 (SVCB);
// resolv.conf(5), hosts(5), nsswitch.conf(5) and the behaviour of glibc 2.36, of
// package net of Go 1.26 and of nslookup of BIND 9.18.
package resolve

import (
	"context"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/operr"
)

// OpError is the error of this package: which operation failed on what, and
// why. It unwraps to an errno, os.ErrPermission, os.ErrNotExist or
// errors.ErrUnsupported.
type OpError = operr.Error

// ICMPError is an ICMP or ICMPv6 error about a packet of ours, with its sender.
type ICMPError = icmperr.Error

// Resolver puts one question to one server. [Client] is the one that uses the
// network.
type Resolver interface {
	// Query returns what came of asking server. That there was no reply, or a
	// bad one, is in the Answer; an error means that q could not be asked at all
	// or that ctx ended, with what was learnt until then in the Answer.
	Query(ctx context.Context, server netip.AddrPort, q Question) (Answer, error)
}

// Question is what is asked.
type Question struct {
	Name  string `json:"name"`           // with or without a final dot; \DDD and \. as in a zone file
	Type  Type   `json:"type"`           // 0: A
	Class Class  `json:"class,omitzero"` // 0: IN
}

// String returns "name TYPE", and the class where it is not IN.
func (q Question) String() string {
	s := q.Name + " " + q.typ().String()
	if c := q.class(); c != ClassIN {
		s += " " + c.String()
	}
	return s
}

func (q Question) typ() Type {
	if q.Type == 0 {
		return TypeA
	}
	return q.Type
}

func (q Question) class() Class {
	if q.Class == 0 {
		return ClassIN
	}
	return q.Class
}

// Answer is what came of one question to one server.
//
// The attempt that tells most decides: a reply before an ICMP error, that before
// silence, the later before the earlier. The fields from RCode to Raw are those
// of the reply that decided, and zero where there was none; outcome malformed has
// what could be read.
type Answer struct {
	Server    netip.AddrPort `json:"server"`
	Question  Question       `json:"question"`
	Outcome   Outcome        `json:"outcome"`
	Transport Transport      `json:"transport"`  // of the attempt that decided
	RTT       time.Duration  `json:"rtt_ns"`     // of the attempt that decided; 0 when nothing came back
	Elapsed   time.Duration  `json:"elapsed_ns"` // over all attempts
	Attempts  []Attempt      `json:"attempts"`   // in order

	RCode              RCode           `json:"rcode"` // with the extension of EDNS
	Authoritative      bool            `json:"authoritative"`
	RecursionDesired   bool            `json:"recursion_desired"`
	RecursionAvailable bool            `json:"recursion_available"`
	AuthenticData      bool            `json:"authentic_data"` // the server says that it has validated
	CheckingDisabled   bool            `json:"checking_disabled"`
	Records            []Record        `json:"records,omitzero"` // answer section
	Authority          []Record        `json:"authority,omitzero"`
	Additional         []Record        `json:"additional,omitzero"`      // without the OPT pseudo-record
	Canonical          string          `json:"canonical,omitzero"`       // end of the CNAME chain that starts at the question, or the question's name
	SOA                *SOA            `json:"soa,omitzero"`             // of the authority section: who says that there is nothing
	NegativeTTL        time.Duration   `json:"negative_ttl_ns,omitzero"` // no_data, nx_domain: how long caches may believe it (RFC 2308)
	EDNS               EDNSState       `json:"edns"`                     // what the server makes of EDNS
	OPT                *OPT            `json:"opt,omitzero"`             // of the reply
	EDE                []ExtendedError `json:"ede,omitzero"`             // RFC 8914: the server's own reasons
	Raw                []byte          `json:"raw,omitzero"`             // the reply as it came, without the length of TCP

	Mismatches int        `json:"mismatches,omitzero"` // replies over all attempts that did not belong to the query
	ICMP       *ICMPError `json:"icmp,omitzero"`       // of the attempt that decided
	Defect     *Defect    `json:"defect,omitzero"`     // malformed: where
	Err        string     `json:"err,omitzero"`        // local text for outcomes that are this host's doing
}

// Addrs returns the addresses of the type asked for at the end of the CNAME
// chain, in the server's order. They are there for outcome answer and, as far as
// they came, truncated.
func (a Answer) Addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, r := range a.Records {
		if r.Type != a.Question.typ() && a.Question.typ() != TypeANY || !sameName(r.Name, a.Canonical) {
			continue
		}
		switch d := r.Data.(type) {
		case A:
			addrs = append(addrs, d.Addr)
		case AAAA:
			addrs = append(addrs, d.Addr)
		}
	}
	return addrs
}

// Attempt is one query sent, or the try to send one, and what ended it.
type Attempt struct {
	Transport  Transport     `json:"transport"`
	EDNS       bool          `json:"edns"`                // the query carried an OPT record
	Sent       time.Time     `json:"sent,omitzero"`       // zero when it never left
	Connect    time.Duration `json:"connect_ns,omitzero"` // TCP: until the connection stood
	RTT        time.Duration `json:"rtt_ns"`              // from the start to the reply or the error; 0 when nothing came
	Outcome    Outcome       `json:"outcome"`
	RCode      RCode         `json:"rcode"`               // where Outcome.Replied
	OPT        bool          `json:"opt,omitzero"`        // the reply carried an OPT record
	Size       int           `json:"size,omitzero"`       // bytes of the reply
	Mismatches []Mismatch    `json:"mismatches,omitzero"` // the first few; Ignored counts them all
	Ignored    int           `json:"ignored,omitzero"`    // replies that did not belong to the query; listening went on
	ICMP       *ICMPError    `json:"icmp,omitzero"`       // with sender on Linux
	Defect     *Defect       `json:"defect,omitzero"`     // malformed: where
	Err        string        `json:"err,omitzero"`        // text of a local error
}

// Mismatch is a datagram that arrived on the query's socket but did not answer
// the query: a forgery, a broken NAT, or a server that answers from another
// address than the one asked.
type Mismatch struct {
	Kind MismatchKind   `json:"kind"`
	From netip.AddrPort `json:"from"`
}

// Defect is the place where a reply stops being a DNS message.
type Defect struct {
	Section Section `json:"section"`
	Offset  int     `json:"offset"` // in bytes from the start of the message
	Reason  string  `json:"reason"`
}

// String returns "answer section, byte 31: compression loop".
func (d Defect) String() string {
	return d.Section.String() + " section, byte " + itoa(d.Offset) + ": " + d.Reason
}

// OPT is the EDNS record of a reply (RFC 6891).
type OPT struct {
	Version uint8  `json:"version"`
	UDPSize uint16 `json:"udp_size"` // bytes the server takes over UDP
	DNSSEC  bool   `json:"do"`
	NSID    string `json:"nsid,omitzero"` // escaped; only if the server volunteers it
}

// ExtendedError is a reason the server gives (RFC 8914).
type ExtendedError struct {
	Code uint16 `json:"code"`
	Name string `json:"name"`          // as registered with IANA, "" for a code unknown here
	Text string `json:"text,omitzero"` // the server's words, escaped
}

// String returns "15 (Blocked): text".
func (e ExtendedError) String() string {
	s := itoa(int(e.Code))
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Client asks servers over the network. The zero value is ready and safe for
// concurrent use; it keeps nothing between queries.
//
// A query goes over UDP with an EDNS record (RFC 6891, 1232 bytes). A server that
// answers FORMERR, NOTIMP or BADVERS to it is asked again without, at once and
// beyond Attempts; after silence the last of several attempts goes without.
// A truncated reply is asked for again over TCP. Each has a random ID and a
// socket, and so a port, of its own.
type Client struct {
	Timeout     time.Duration // for each attempt; 0: 2 s, negative: until ctx ends
	Attempts    int           // over UDP while there is no reply; 0: 1
	NoEDNS      bool          // never send an OPT record
	TCPOnly     bool          // no UDP at all
	NoRecursion bool          // do not ask for recursion: clear the RD bit
	Device      string        // bind to this interface (Linux)
	Mark        uint32        // firewall mark, SO_MARK (Linux; needs CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on)
	Source      netip.Addr    // local address
	NetNS       int           // descriptor of a network namespace, 0: the caller's (Linux; needs CAP_SYS_ADMIN)
}
