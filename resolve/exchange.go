package resolve

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// settings are what an exchange goes by.
type settings struct {
	timeout  time.Duration // of each attempt; 0: none
	attempts int           // at least 1
	edns     bool
	fallback bool // ask without EDNS where it may be what fails
	tcp      bool // no UDP
	recurse  bool
}

// exchange is one question to one server: it decides what to send next and what
// a reply means. It does no I/O, so that drivers can differ; they call begin,
// send what packet returns, and then one of receive, fail and expire until the
// attempt is over, and begin again while more is true.
type exchange struct {
	ans  Answer
	name []byte // on the wire
	set  settings

	began    time.Time
	att      Attempt // the current one
	id       uint16
	start    time.Time // of the current attempt
	deadline time.Time // of the current attempt; zero: none
	tries    int       // attempts that count against settings.attempts
	next     struct {
		transport Transport
		edns      bool
	}
	more  bool
	query []byte // with the length that TCP wants
	buf   [2 + headerLen + maxName + 4 + minRecord]byte
}

var errServer = errors.New("not an address of a server")

func newExchange(server netip.AddrPort, q Question, set settings) (*exchange, error) {
	if !server.Addr().IsValid() || server.Addr().IsMulticast() {
		return nil, errServer
	}
	server = withPort(server)
	name, err := wireName(q.Name)
	if err != nil {
		return nil, err
	}
	x := &exchange{name: name, set: set, more: true}
	x.ans.Server = netip.AddrPortFrom(server.Addr().Unmap(), server.Port())
	x.ans.Question = Question{Name: nameText(name), Type: q.typ(), Class: q.class()}
	x.ans.Canonical = x.ans.Question.Name
	x.next.transport, x.next.edns = TransportUDP, set.edns
	if set.tcp {
		x.next.transport = TransportTCP
	}
	return x, nil
}

// withPort replaces port 0 by that of the DNS.
func withPort(server netip.AddrPort) netip.AddrPort {
	if server.Port() == 0 {
		return netip.AddrPortFrom(server.Addr(), port)
	}
	return server
}

// begin starts the next attempt.
func (x *exchange) begin(now time.Time) {
	if x.began.IsZero() {
		x.began = now
	}
	x.att = Attempt{Transport: x.next.transport, EDNS: x.next.edns}
	x.start, x.deadline, x.more = now, time.Time{}, false
	if x.set.timeout > 0 {
		x.deadline = now.Add(x.set.timeout)
	}
	var id [2]byte
	rand.Read(id[:]) // never fails: it ends the program instead
	x.id = binary.BigEndian.Uint16(id[:])
	msg, err := appendQuery(x.buf[:2], x.id, x.name, x.ans.Question, x.att.EDNS, x.set.recurse)
	if err != nil {
		// The name was checked, so that the builder has nothing to refuse.
		msg = x.buf[:2]
	}
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	x.query = msg
}

// packet returns what to send.
func (x *exchange) packet() []byte {
	if x.att.Transport == TransportTCP {
		return x.query
	}
	return x.query[2:]
}

// maxMismatches is how many mismatches are kept of each attempt.
const maxMismatches = 4

// receive takes a message that came in and reports whether that ends the
// attempt. It keeps msg in that case.
func (x *exchange) receive(msg []byte, from netip.AddrPort, now time.Time) bool {
	if kind := x.mismatch(msg, from); kind != MismatchUnknown {
		x.att.Ignored++
		if len(x.att.Mismatches) < maxMismatches {
			x.att.Mismatches = append(x.att.Mismatches, Mismatch{kind, from})
		}
		return false
	}
	m := parseMessage(msg)
	filled := x.ans
	x.att.Outcome = filled.fill(&m, x.att.Transport)
	if x.decides() {
		filled.Raw = msg
		x.ans = filled
	}
	x.att.RCode, x.att.OPT, x.att.Size, x.att.Defect = m.rcode, m.opt != nil, len(msg), m.defect
	x.att.RTT = now.Sub(x.start)
	x.finish(now)
	return true
}

func (x *exchange) mismatch(msg []byte, from netip.AddrPort) MismatchKind {
	if !sameServer(from, x.ans.Server) {
		return MismatchSource
	}
	h, ok := parseHeader(msg)
	switch {
	case len(msg) < 2, !ok && binary.BigEndian.Uint16(msg) != x.id:
		return MismatchShort
	case !ok:
		return MismatchUnknown // the ID is right: it is a reply, and malformed
	case h.id != x.id:
		return MismatchID
	case !h.response():
		return MismatchQuery
	case h.counts[0] == 0:
		// Servers that could not read a query have nothing to repeat.
		if h.rcode() == RCodeNoError && !h.truncated() {
			return MismatchQuestion
		}
		return MismatchUnknown
	}
	if same, ok := parseQuestion(msg, x.name, x.ans.Question); ok && !same {
		return MismatchQuestion
	}
	return MismatchUnknown
}

// sameServer compares without zones: the kernel's are numbers, the caller's may
// be names.
func sameServer(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Addr().WithZone("").Unmap() == b.Addr().WithZone("")
}

// fail ends the attempt with an error; RTT is only that of ICMP errors and
// resets.
func (x *exchange) fail(o Outcome, icmp *ICMPError, text string, now time.Time) {
	x.att.Outcome, x.att.ICMP, x.att.Err = o, icmp, text
	if icmp != nil || o == OutcomeConnRefused {
		x.att.RTT = now.Sub(x.start)
	}
	x.finish(now)
}

// expire ends the attempt at its deadline.
func (x *exchange) expire(now time.Time) {
	x.att.Outcome = OutcomeTimeout
	if x.att.Ignored > 0 {
		x.att.Outcome = OutcomeMismatch
	}
	x.finish(now)
}

// abandon ends the exchange because the caller's context did.
func (x *exchange) abandon(cause error, now time.Time) {
	x.att.Outcome, x.att.Err = OutcomeUnknown, cause.Error()
	x.finish(now)
	x.more = false
}

// rank orders outcomes by how much they tell. What the server says is worth
// more than what the network says, and that more than silence.
func rank(o Outcome) int {
	switch {
	case o.Replied():
		return 5
	case o == OutcomeMalformed:
		return 4
	case o >= OutcomePortUnreachable && o <= OutcomeClosed:
		return 3
	case o == OutcomeMismatch:
		return 2
	case o == OutcomeTimeout:
		return 1
	}
	return 0
}

// decides reports whether the current attempt tells no less than those before.
func (x *exchange) decides() bool { return rank(x.att.Outcome) >= rank(x.ans.Outcome) }

// finish files the attempt and decides what follows.
func (x *exchange) finish(now time.Time) {
	x.ans.Attempts = append(x.ans.Attempts, x.att)
	x.ans.Mismatches += x.att.Ignored
	x.ans.Elapsed = now.Sub(x.began)
	if x.decides() {
		x.ans.Outcome, x.ans.Transport, x.ans.RTT = x.att.Outcome, x.att.Transport, x.att.RTT
		x.ans.ICMP, x.ans.Err = x.att.ICMP, x.att.Err
	}
	x.plan()
	if !x.more {
		x.ans.EDNS = ednsState(x.ans)
	}
}

// plan decides whether another attempt follows, and which.
func (x *exchange) plan() {
	x.more = false
	switch o := x.att.Outcome; {
	case o == OutcomeTruncated:
		x.next.transport, x.more = TransportTCP, true
	case x.att.EDNS && x.set.fallback && refusesEDNS(o, x.att.RCode):
		x.next.edns, x.more = false, true
	case x.att.Transport == TransportTCP && !x.set.tcp:
		// The TCP attempt behind a truncated reply is the only one.
	case o == OutcomeTimeout, o == OutcomeMismatch, o == OutcomeMalformed, o == OutcomeClosed:
		x.tries++
		if x.tries < x.set.attempts {
			x.more = true
			x.next.edns = x.next.edns && !(x.set.fallback && x.tries == x.set.attempts-1)
		}
	}
}

func refusesEDNS(o Outcome, r RCode) bool {
	return o == OutcomeFormErr || o == OutcomeNotImp || o == OutcomeOtherRCode && r == RCodeBadVers
}

// ednsState tells what the attempts together say about EDNS. That a server
// refuses or drops it is only said where it does better without.
func ednsState(a Answer) EDNSState {
	without := slices.ContainsFunc(a.Attempts, func(t Attempt) bool {
		return !t.EDNS && t.Outcome.Replied() && !refusesEDNS(t.Outcome, t.RCode)
	})
	state := EDNSUnknown
	for _, t := range a.Attempts {
		switch o := t.Outcome; {
		case !t.EDNS:
		case refusesEDNS(o, t.RCode) && without:
			return EDNSRejected
		case t.OPT:
			return EDNSSupported
		case o.Replied() && !refusesEDNS(o, t.RCode):
			state = EDNSIgnored
		case (o == OutcomeTimeout || o == OutcomeMismatch || o == OutcomeMalformed) && without:
			state = max(state, EDNSDropped)
		}
	}
	return state
}
