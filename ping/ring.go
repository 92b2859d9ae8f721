package ping

import (
	"encoding/binary"
	"net/netip"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// state is what is known of a probe.
type state uint8

const (
	unsent   state = iota
	sending        // given to the kernel, which has not said yet whether it takes it
	waiting        // in flight
	damaged        // in flight, and a reply with wrong bytes has come
	answered       // has its reply or ICMP error
	expired        // its deadline has passed
)

// sink takes results. It is called with the engine locked.
type sink interface {
	result(r *Result, key uint32)
}

// slot is a probe that is in flight, or that was a short time ago.
type slot struct {
	num   uint64 // 1, 2, 3 …; the low 16 bits are the sequence number on the wire
	sink  sink   // nil when nobody waits any more
	dst   netip.Addr
	real  int64 // program's clocks before sending, ns
	mono  int64
	tx    int64 // kernel's time of sending, 0 not known
	head  [icmpsock.HeadLen]byte
	key   uint32 // the sink's
	seq   uint32 // the target's
	ident uint8  // index of its ICMP identifier
	state state
}

// Limits of the table. It grows while probes are in flight and for as long as
// late and repeated replies are worth recognising.
const (
	minSlots    = 256
	memorySlots = 1 << 16 // never grown beyond this only to remember
	maxSlots    = seqs * icmpsock.MaxIDs
	seqs        = 1 << 16 // sequence numbers of an identifier
)

// lane is the sequence space of one family: a ring of slots in the order of
// sending, which is the order of the deadlines too.
type lane struct {
	v6     bool
	next   uint64 // number of the next probe
	oldest uint64 // no probe before this one is in flight
	slots  []slot // a power of two
	idents identifiers
	terse  bool // payloads are too short to tell probes apart by

	dropped uint32 // packets that the kernel threw away, as far as we know
	suspect uint64 // replies to probes before this one may be among them
}

func newLane(v6 bool, idents int, terse bool) lane {
	return lane{v6: v6, next: 1, oldest: 1, idents: identifiers{n: max(1, idents), width: 1}, terse: terse}
}

func (l *lane) slot(num uint64) *slot { return &l.slots[num&uint64(len(l.slots)-1)] }

// inFlight reports whether s waits for its answer.
func (s *slot) inFlight() bool { return s.state == sending || s.state == waiting || s.state == damaged }

// first returns the probe that has been in flight the longest, or nil.
func (l *lane) first() *slot {
	for ; l.oldest < l.next; l.oldest++ {
		if s := l.slot(l.oldest); s.num == l.oldest && s.inFlight() {
			return s
		}
	}
	return nil
}

// room makes sure that probe number num has a slot, and reports false when too
// many are in flight. Probes sent after keep (monotonic clock) are remembered.
func (l *lane) room(num uint64, keep int64) bool {
	n := uint64(len(l.slots))
	if n == 0 {
		l.slots = make([]slot, minSlots)
		return true
	}
	if num <= n {
		return true
	}
	old := l.slot(num)
	if old.num+n != num || !old.inFlight() && (old.mono < keep || n >= memorySlots && !l.terse) {
		return true
	}
	if n >= maxSlots {
		return !old.inFlight()
	}
	grown := make([]slot, 2*n)
	for _, s := range l.slots {
		if s.num != 0 {
			grown[s.num&(2*n-1)] = s
		}
	}
	l.slots = grown
	return true
}

// byKey returns the slot whose number ends in key.
func (l *lane) byKey(key uint32) *slot {
	if len(l.slots) == 0 {
		return nil
	}
	num := l.next - uint64(uint32(l.next)-key)
	if s := l.slot(num); s.num == num {
		return s
	}
	return nil
}

// find returns the slot that was sent with this identifier and sequence number
// and for which fits is true, the latest one first: in a big table several
// probes share their number on the wire.
func (l *lane) find(seq uint16, m *icmpsock.Message, fits func(*slot, *icmpsock.Message) bool) *slot {
	if len(l.slots) == 0 {
		return nil
	}
	last := l.next - 1
	num := last - uint64(uint16(last)-seq)
	for ; num != 0 && num <= last && last-num < uint64(len(l.slots)); num -= 1 << 16 {
		if s := l.slot(num); s.num == num && s.ident == m.ID && s.state != unsent && fits(s, m) {
			return s
		}
	}
	return nil
}

// hasHead reports whether the payload begins with the probe's random bytes, as
// far as both go, and how many there were to compare.
func (s *slot) hasHead(payload []byte) (n int, ok bool) {
	n = min(len(payload), len(s.head))
	if n == len(s.head) {
		return n, binary.NativeEndian.Uint64(payload) == binary.NativeEndian.Uint64(s.head[:])
	}
	return n, string(payload[:n]) == string(s.head[:n])
}

// sameHost compares addresses without their zones, which may be a name on one
// side and a number on the other.
func sameHost(a, b netip.Addr) bool {
	return a == b || a.Zone() != b.Zone() && a.WithZone("") == b.WithZone("")
}

// repliedBy reports whether m is the reply to s: it has the random bytes, and
// where there are too few of them to be sure, it comes from the right host.
func repliedBy(s *slot, m *icmpsock.Message) bool {
	n, ok := s.hasHead(m.Payload)
	return ok && (n == len(s.head) || sameHost(s.dst, m.From) || s.dst.IsMulticast())
}

// looksRepliedBy reports whether m would be the reply to s if its payload were
// not damaged.
func looksRepliedBy(s *slot, m *icmpsock.Message) bool { return sameHost(s.dst, m.From) }

// quotedBy reports whether m quotes s: always address and sequence number, and
// the random bytes as far as they are quoted. Where an extension follows (RFC
// 4884), a short quote is filled up with zeros.
func quotedBy(s *slot, m *icmpsock.Message) bool {
	if !sameHost(s.dst, m.Dst) {
		return false
	}
	quoted := m.Payload[:min(len(m.Payload), len(s.head))]
	n := 0
	for n < len(quoted) && quoted[n] == s.head[n] {
		n++
	}
	for _, b := range quoted[n:] {
		if b != 0 {
			return false
		}
	}
	return true
}
