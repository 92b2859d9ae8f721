package ping

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// NodeQuestion is what an IPv6 node can be asked about itself (RFC 4620).
type NodeQuestion uint8

// The questions.
const (
	NodeNothing NodeQuestion = iota // "nothing": whether it answers at all
	NodeName                        // "name"
	NodeIPv6                        // "ipv6": the IPv6 addresses of an interface
	NodeIPv4                        // "ipv4"
)

var nodeQuestionNames = []string{"nothing", "name", "ipv6", "ipv4"}

// nodeTypes are the numbers that the protocol has for the questions.
var nodeTypes = [...]uint16{NodeNothing: 0, NodeName: 2, NodeIPv6: 3, NodeIPv4: 4}

// String returns the word, such as "ipv6".
func (q NodeQuestion) String() string { return enum.String(nodeQuestionNames, "node_question", q) }

// MarshalText implements [encoding.TextMarshaler].
func (q NodeQuestion) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (q *NodeQuestion) UnmarshalText(b []byte) (err error) {
	*q, err = enum.Parse[NodeQuestion](nodeQuestionNames, "node_question", b)
	return err
}

// NodeScope says which addresses are asked for; 0 is those of the interface
// that has the subject, as the node sees fit.
type NodeScope uint16

// The scopes, as they are on the wire.
const (
	NodeAll        NodeScope = 1 << 1 // of all interfaces
	NodeCompatible NodeScope = 1 << 2 // IPv6: IPv4-compatible and IPv4-mapped ones
	NodeLinkLocal  NodeScope = 1 << 3 // IPv6
	NodeSiteLocal  NodeScope = 1 << 4 // IPv6
	NodeGlobal     NodeScope = 1 << 5 // IPv6
)

// NodeQuery is a node information query.
type NodeQuery struct {
	Question NodeQuestion
	Scope    NodeScope  // with NodeIPv6; of NodeIPv4 NodeAll alone
	Subject  netip.Addr // whom it is about; the zero Addr is the host that is asked
	Name     string     // whom it is about, instead of Subject: with a dot in it a full name, else the name of the host alone
}

// NodeInfo is the answer to a NodeQuery: what the node says of itself, and no
// more true than that.
type NodeInfo struct {
	Question  NodeQuestion `json:"question"`
	Code      uint8        `json:"code"`                // 0 is success, 1 refused, 2 a question that it does not know
	Names     []string     `json:"names,omitzero"`      // in the form of DNS, with a dot at the end of full names; what is not plain is escaped with a backslash
	Addrs     []netip.Addr `json:"addrs,omitzero"`      //
	Truncated bool         `json:"truncated,omitzero"`  // there are more addresses than found room
	Malformed string       `json:"malformed,omitzero"`  // why the rest could not be read
	Type      uint16       `json:"query_type,omitzero"` // number of a question that this package does not know
}

// Sizes and types of RFC 4620.
const (
	nodeQueryType, nodeReplyType = 139, 140

	nodeHeaderLen = 16
	nonceLen      = 8
	maxNodeNames  = 256 // names that are pointers may be many in a big packet
)

// Stream asks a host, or an IPv6 multicast group, again and again, and yields as
// [Engine.Stream] does. Result.Node is what was answered; of a group the first
// answer is the reply, and further ones are [OutcomeDuplicate]. Of o it uses
// what concerns the packet and its way (not Size and Pattern), of so Interval,
// Count and Sent. It needs CAP_NET_RAW and Linux. Few systems answer: Linux
// itself does not, the BSDs do.
//
// Answers are matched by a nonce of eight random bytes.
func (q NodeQuery) Stream(ctx context.Context, dst netip.Addr, o *Options, so *StreamOptions) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		q.stream(ctx, dst, o.resolved(), so, yield)
	}
}

const opNodeQuery = "ping: node query"

// message builds the query up to the checksum, which the kernel writes.
func (q *NodeQuery) message(dst netip.Addr, nonce [nonceLen]byte) ([]byte, error) {
	if !dst.Is6() || dst.Is4In6() {
		return nil, fmt.Errorf("%v is not an IPv6 address", dst)
	}
	if int(q.Question) >= len(nodeTypes) {
		return nil, fmt.Errorf("unknown question %v", q.Question)
	}
	allowed := NodeScope(0)
	switch q.Question {
	case NodeIPv6:
		allowed = NodeAll | NodeCompatible | NodeLinkLocal | NodeSiteLocal | NodeGlobal
	case NodeIPv4:
		allowed = NodeAll
	}
	if q.Scope&^allowed != 0 {
		return nil, fmt.Errorf("scope %#x does not go with question %v", uint16(q.Scope), q.Question)
	}
	code, subject := byte(0), q.Subject
	var data []byte
	switch {
	case q.Name != "" && subject.IsValid():
		return nil, errors.New("both a name and an address as the subject")
	case q.Name != "":
		var err error
		if data, err = packNodeName(q.Name); err != nil {
			return nil, err
		}
		code = 1
	case subject.Is4():
		code, data = 2, subject.AsSlice()
	case subject.IsValid():
		data = subject.AsSlice()
	default:
		data = dst.AsSlice()
	}
	b := make([]byte, nodeHeaderLen, nodeHeaderLen+len(data))
	b[0], b[1] = nodeQueryType, code
	binary.BigEndian.PutUint16(b[4:], nodeTypes[q.Question])
	binary.BigEndian.PutUint16(b[6:], uint16(q.Scope))
	copy(b[8:], nonce[:])
	return append(b, data...), nil
}

// packNodeName writes a name as DNS does, in lower case; one without a dot ends
// with a second zero, which says that it is not a full one.
func packNodeName(name string) ([]byte, error) {
	var b []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return nil, fmt.Errorf("%q is not a host name", name)
		}
		b = append(append(b, byte(len(label))), strings.ToLower(label)...)
	}
	b = append(b, 0)
	if len(b) > 255 {
		return nil, fmt.Errorf("%q is longer than 253 bytes", name)
	}
	if !strings.Contains(name, ".") {
		b = append(b, 0)
	}
	return b, nil
}

// parseNodeReply reads a reply from its ICMPv6 header on.
func parseNodeReply(b []byte) (nonce [nonceLen]byte, info NodeInfo, ok bool) {
	if len(b) < nodeHeaderLen || b[0] != nodeReplyType {
		return nonce, info, false
	}
	nonce = [nonceLen]byte(b[8:])
	info.Code = b[1]
	typ, flags, data := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), b[nodeHeaderLen:]
	switch typ {
	case nodeTypes[NodeNothing]:
	case nodeTypes[NodeName]:
		info.Question = NodeName
		info.names(data)
	case nodeTypes[NodeIPv6], nodeTypes[NodeIPv4]:
		info.Question, info.Truncated = NodeIPv6, flags&1 != 0
		size := 16
		if typ == nodeTypes[NodeIPv4] {
			info.Question, size = NodeIPv4, 4
		}
		info.addrs(data, size)
	default:
		info.Type = typ
	}
	return nonce, info, true
}

// addrs reads addresses, each behind the time for which it is valid.
func (i *NodeInfo) addrs(b []byte, size int) {
	for ; len(b) >= 4+size; b = b[4+size:] {
		a, _ := netip.AddrFromSlice(b[4 : 4+size])
		i.Addrs = append(i.Addrs, a)
	}
	if len(b) > 0 {
		i.Malformed = "truncated"
	}
}

// names reads the names behind the time for which they are valid.
func (i *NodeInfo) names(b []byte) {
	if len(b) == 0 && i.Code != 0 {
		return // refused, or not known
	}
	if len(b) < 4 {
		i.Malformed = "too short"
		return
	}
	for at := 4; at < len(b); {
		name, next := unpackNodeName(b, at)
		if next < 0 {
			i.Malformed = "truncated"
			return
		}
		if len(i.Names) == maxNodeNames {
			i.Malformed = "too many names"
			return
		}
		if next < len(b) && b[next] == 0 { // a second zero: not a full name
			next++
		} else {
			name += "."
		}
		i.Names = append(i.Names, name)
		at = next
	}
}

// unpackNodeName reads the name at b[at:], and returns it without a dot at its
// end and where it ends; a negative end is a name that is broken. Pointers lead
// backwards only, so that they come to an end.
func unpackNodeName(b []byte, at int) (name string, end int) {
	var out strings.Builder
	end = -1
	for bound, wire := at, 0; at < len(b); {
		n := int(b[at])
		switch {
		case n == 0:
			if end < 0 {
				end = at + 1
			}
			return out.String(), end
		case n >= 0xc0:
			if at+1 >= len(b) {
				return "", -1
			}
			to := n&0x3f<<8 | int(b[at+1])
			if end < 0 {
				end = at + 2
			}
			if to >= bound {
				return "", -1
			}
			at, bound = to, to
		case n > 63 || at+1+n > len(b) || wire+1+n > 254:
			return "", -1
		default:
			if wire += 1 + n; out.Len() > 0 {
				out.WriteByte('.')
			}
			escapeLabel(&out, b[at+1:at+1+n])
			at += 1 + n
		}
	}
	return "", -1
}

// escapeLabel writes a label in the form of a zone file (RFC 1035, 5.1).
func escapeLabel(out *strings.Builder, label []byte) {
	for _, c := range label {
		switch {
		case strings.IndexByte(`".;\()@$`, c) >= 0:
			out.WriteByte('\\')
			out.WriteByte(c)
		case c <= ' ' || c >= 0x7f:
			fmt.Fprintf(out, "\\%03d", c)
		default:
			out.WriteByte(c)
		}
	}
}

// nodeRun is the queries of one Stream.
type nodeRun struct {
	opt     Options
	so      StreamOptions
	dst     netip.Addr
	yield   func(Result, error) bool
	clock   func() clocks
	flights []nodeFlight // in the order of sending
	next    int64        // when the next one is due
	seq     int
}

// nodeFlight is a query that went out.
type nodeFlight struct {
	slot
	nonce [nonceLen]byte
}

func (q NodeQuery) newRun(dst netip.Addr, opt Options, so *StreamOptions, yield func(Result, error) bool) *nodeRun {
	r := &nodeRun{opt: opt, dst: dst, yield: yield, clock: systemClock()}
	if so != nil {
		r.so = *so
	}
	switch {
	case r.so.Interval == 0:
		r.so.Interval = time.Second
	case r.so.Interval < 0:
		r.so.Interval = 10 * time.Millisecond
	}
	return r
}

// nodeWhy is Result.Why of node queries.
const nodeWhy = "node information queries take a raw socket"

// tell completes a result and yields it; false ends the run.
func (r *nodeRun) tell(s *nodeFlight, res Result) bool {
	res.Target, res.Seq, res.Method, res.Why, res.Sent = s.dst, int(s.seq), MethodICMPRaw, nodeWhy, time.Unix(0, s.real)
	return r.yield(res, nil)
}

// answer tells of a reply or an ICMP error to the query with this nonce, if it
// is one of ours.
func (r *nodeRun) answer(nonce [nonceLen]byte, stamp int64, res Result) bool {
	for i := range r.flights {
		s := &r.flights[i]
		if s.nonce != nonce {
			continue
		}
		now := r.clock()
		res.RTT, res.Stamp = roundTrip(&s.slot, stamp, now)
		if sameHost(res.From, s.dst) {
			res.From = s.dst
		}
		if s.state == waiting && res.RTT > r.opt.Timeout { // the caller was away
			s.state = expired
			if !r.tell(s, Result{Outcome: OutcomeTimeout}) {
				return false
			}
		}
		switch s.state {
		case answered:
			if res.Outcome == OutcomeICMPError {
				return true
			}
			res.Outcome = OutcomeDuplicate
		case expired:
			res.Outcome = OutcomeLate
		}
		s.state = answered
		return r.tell(s, res)
	}
	return true
}

// expire tells of queries whose time is over, and forgets those that have been
// over for long.
func (r *nodeRun) expire(now int64) bool {
	for i := range r.flights {
		s := &r.flights[i]
		if s.state == waiting && now-s.mono >= int64(r.opt.Timeout) {
			s.state = expired
			if !r.tell(s, Result{Outcome: OutcomeTimeout}) {
				return false
			}
		}
	}
	old := 0
	for old < len(r.flights) && r.flights[old].state != waiting && now-r.flights[old].mono > 2*int64(r.opt.Timeout) {
		old++
	}
	r.flights = r.flights[old:]
	return true
}

// more reports whether there is another query to be sent.
func (r *nodeRun) more() bool { return r.so.Count <= 0 || r.seq < r.so.Count }

// over reports whether every query has its outcome.
func (r *nodeRun) over(now int64) bool {
	if r.more() {
		return false
	}
	for i := range r.flights {
		// A group may have more to say until the time is over.
		if s := &r.flights[i]; s.state == waiting || r.dst.IsMulticast() && now-s.mono < int64(r.opt.Timeout) {
			return false
		}
	}
	return true
}

// wait returns how long nothing is due.
func (r *nodeRun) wait(now int64) time.Duration {
	d := time.Duration(1<<63 - 1)
	if r.more() {
		d = time.Duration(r.next - now)
	}
	for i := range r.flights {
		if s := &r.flights[i]; s.state == waiting || r.dst.IsMulticast() {
			if left := time.Duration(s.mono-now) + r.opt.Timeout; left > 0 || s.state == waiting {
				d = min(d, left)
			}
		}
	}
	return max(0, d)
}

// flight begins the next query.
func (r *nodeRun) flight() *nodeFlight {
	now := r.clock()
	r.seq++
	r.next = now.mono + int64(r.so.Interval)
	f := nodeFlight{slot: slot{dst: r.dst, real: now.real, mono: now.mono, seq: uint32(r.seq), state: waiting}}
	rand.Read(f.nonce[:])
	r.flights = append(r.flights, f)
	return &r.flights[len(r.flights)-1]
}
