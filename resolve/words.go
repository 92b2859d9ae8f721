package resolve

import (
	"strconv"

	"github.com/netsonde/netsonde/internal/enum"
)

// Outcome is what came of a query, decided from bytes and errnos.
type Outcome uint8

// The outcomes of a query.
const (
	OutcomeUnknown         Outcome = iota
	OutcomeAnswer                  // NOERROR with records of the type asked
	OutcomeNoData                  // NOERROR without: the name exists, such records do not (SOA may be absent, RFC 2308 type 3)
	OutcomeNXDomain                // the name, or the end of its CNAME chain, does not exist
	OutcomeServFail                // SERVFAIL: the server tried and failed; see EDE
	OutcomeRefused                 // REFUSED: the server does not serve this client or this name
	OutcomeFormErr                 // FORMERR: the server does not understand the query, with and without EDNS
	OutcomeNotImp                  // NOTIMP: the server does not do such queries
	OutcomeOtherRCode              // any other RCODE; see RCode
	OutcomeLame                    // a referral or nothing, from a server that neither knows the zone nor recurses
	OutcomeCNAMELoop               // the CNAME chain of the answer leads back to itself
	OutcomeTruncated               // TC over UDP, and TCP gave no reply: see the last attempt
	OutcomeMalformed               // a reply to this query that is not a DNS message; see Defect
	OutcomeMismatch                // only replies that did not belong to the query until the timeout
	OutcomeTimeout                 // sent, and nothing came back; a limit on the rate of ICMP errors looks the same
	OutcomePortUnreachable         // ICMP: nothing listens on the port, or a firewall says so
	OutcomeHostUnreachable         // ICMP, or a next hop that does not answer ARP or ND (then the sender is this host)
	OutcomeNetUnreachable          // ICMP: a router has no route
	OutcomeProhibited              // ICMP: a rule forbids it
	OutcomeICMPError               // another ICMP error, such as a TTL that ran out; see ICMP
	OutcomeConnRefused             // TCP: reset in answer to the connection request
	OutcomeClosed                  // TCP: the connection ended before the reply was whole
	OutcomeNoRoute                 // this host's own routing table refuses (or the address is a broadcast one): nothing was sent
	OutcomeLocalFirewall           // this host's own packet filter refuses (EPERM): nothing was sent
	OutcomeLocalError              // not tested for another reason on this host, such as EMFILE; see Err
)

var outcomeNames = []string{
	"unknown", "answer", "no_data", "nx_domain", "serv_fail", "refused", "form_err", "not_imp",
	"other_rcode", "lame", "cname_loop", "truncated", "malformed", "mismatch", "timeout",
	"port_unreachable", "host_unreachable", "net_unreachable", "prohibited", "icmp_error",
	"conn_refused", "closed", "no_route", "local_firewall", "local_error",
}

// String returns the word, such as "nx_domain".
func (o Outcome) String() string { return enum.String(outcomeNames, "outcome", o) }

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *Outcome) UnmarshalText(b []byte) (err error) {
	*o, err = enum.Parse[Outcome](outcomeNames, "outcome", b)
	return err
}

// Replied reports whether the server sent a reply that could be read.
func (o Outcome) Replied() bool { return o >= OutcomeAnswer && o <= OutcomeTruncated }

// Final reports whether the outcome tells about the name: it exists with such
// records, without, or not at all. Every other one tells about the server or
// the way to it.
func (o Outcome) Final() bool {
	return o == OutcomeAnswer || o == OutcomeNoData || o == OutcomeNXDomain || o == OutcomeCNAMELoop
}

// Local reports whether the outcome is this host's doing and says nothing about
// the network.
func (o Outcome) Local() bool { return o >= OutcomeNoRoute && o <= OutcomeLocalError }

// Transport is what a query went over.
type Transport uint8

// The transports.
const (
	TransportNone Transport = iota
	TransportUDP
	TransportTCP
)

var transportNames = []string{"none", "udp", "tcp"}

// String returns the word, such as "udp".
func (t Transport) String() string { return enum.String(transportNames, "transport", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t Transport) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Transport) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[Transport](transportNames, "transport", b)
	return err
}

// EDNSState is what a server was seen to make of EDNS (RFC 6891).
type EDNSState uint8

// The states of EDNS.
const (
	EDNSUnknown   EDNSState = iota // not asked with EDNS, or no reply at all
	EDNSSupported                  // the reply carries an OPT record
	EDNSIgnored                    // a good reply without an OPT record: an old server, or something that strips it
	EDNSRejected                   // an error with OPT, a usable reply without
	EDNSDropped                    // silence with OPT, a reply without; one lost packet looks the same
)

var ednsNames = []string{"unknown", "supported", "ignored", "rejected", "dropped"}

// String returns the word, such as "rejected".
func (e EDNSState) String() string { return enum.String(ednsNames, "edns", e) }

// MarshalText implements [encoding.TextMarshaler].
func (e EDNSState) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *EDNSState) UnmarshalText(b []byte) (err error) {
	*e, err = enum.Parse[EDNSState](ednsNames, "edns", b)
	return err
}

// MismatchKind is why a reply was not taken for the answer.
type MismatchKind uint8

// The kinds of mismatch, in the order in which they are tested.
const (
	MismatchUnknown  MismatchKind = iota
	MismatchSource                // from an address or port that was not asked
	MismatchShort                 // shorter than a DNS header
	MismatchID                    // another ID than the query's
	MismatchQuery                 // not a reply: the QR bit is clear, as when something echoes
	MismatchQuestion              // another question than the query's
)

var mismatchNames = []string{"unknown", "source", "short", "id", "query", "question"}

// String returns the word, such as "question".
func (m MismatchKind) String() string { return enum.String(mismatchNames, "mismatch", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m MismatchKind) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *MismatchKind) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[MismatchKind](mismatchNames, "mismatch", b)
	return err
}

// Section is a part of a DNS message.
type Section uint8

// The sections of a message.
const (
	SectionHeader Section = iota
	SectionQuestion
	SectionAnswer
	SectionAuthority
	SectionAdditional
	SectionTrailer // bytes behind the last record
)

var sectionNames = []string{"header", "question", "answer", "authority", "additional", "trailer"}

// String returns the word, such as "authority".
func (s Section) String() string { return enum.String(sectionNames, "section", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Section) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Section) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[Section](sectionNames, "section", b)
	return err
}

// Policy is whose rules a look-up follows: the order of the search list, which
// outcomes go on with it, which go to the next server, and how long to wait.
type Policy uint8

// The policies.
const (
	PolicyGlibc    Policy = iota // getaddrinfo of glibc 2.36: most programs on Linux
	PolicyGo                     // package net of Go 1.26 without cgo
	PolicyNslookup               // nslookup, and host, of BIND 9.18
)

var policyNames = []string{"glibc", "go", "nslookup"}

// String returns the word, such as "glibc".
func (p Policy) String() string { return enum.String(policyNames, "policy", p) }

// MarshalText implements [encoding.TextMarshaler].
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Policy) UnmarshalText(b []byte) (err error) {
	*p, err = enum.Parse[Policy](policyNames, "policy", b)
	return err
}

func itoa(n int) string { return strconv.Itoa(n) }
