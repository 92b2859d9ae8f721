package ping

// Identifiers are the ICMP identifiers of an engine (RFC 792). Each has 65,536
// sequence numbers. An engine begins with one a family; when more probes are in
// flight than those can number, it takes further ones, up to 16.
type Identifiers struct {
	IPv4      []uint16 `json:"ipv4,omitzero"`
	IPv6      []uint16 `json:"ipv6,omitzero"`
	Exclusive bool     `json:"exclusive"`         // no other socket of this host can take them: so it is with [MethodICMPDatagram] on Linux
	Shortage  string   `json:"shortage,omitzero"` // why there are fewer than it wanted, such as "too many open files"
}

// Identifiers tells which identifiers the engine has. Where it could not take as
// many as it wanted, probes in flight share them and are told apart by the 8
// random bytes of their payload; with a smaller payload, no more are in flight
// than there are numbers for.
func (e *Engine) Identifiers() Identifiers {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := Identifiers{IPv4: e.conn.IDs(false), IPv6: e.conn.IDs(true), Exclusive: e.conn.Exclusive()}
	for _, l := range e.lanes {
		if l.idents.short != nil {
			i.Shortage = l.idents.short.Error()
		}
	}
	return i
}

// identifiers are those of one family, by index. They are used in turn, each
// for as many probes as it has sequence numbers; where two goroutines send at
// the same time, two by two.
type identifiers struct {
	n     int    // that there are
	width int    // how many are in use at the same time, 1 or 2
	asked int    // how many were wanted at last
	now   int    // the first in use
	from  uint64 // the first probe that it was used for this time
	short error  // why there are fewer than wanted
}

// use returns the identifier for probe number num of sender 0 or 1.
func (i *identifiers) use(num uint64, sender int) uint8 {
	switch {
	case num < i.from: // numbered once more, since it did not go out
		i.from = num
	case num-i.from >= seqs:
		i.now, i.from = (i.now+i.width)%i.n, num
	}
	return uint8((i.now + sender) % i.n)
}

// grow takes further identifiers when the table is bigger than the space of
// those that there are.
func (e *Engine) grow(l *lane, num uint64) {
	i := &l.idents
	want := max(1, len(l.slots)/seqs) * i.width
	if want <= i.n || want == i.asked {
		return
	}
	i.asked = want
	i.short = e.conn.Grow(l.v6, want)
	n := len(e.conn.IDs(l.v6))
	if fresh := (i.n + i.width - 1) / i.width * i.width; fresh < n && i.n >= i.width {
		i.now, i.from = fresh, num
	}
	i.n = max(i.n, n)
}

// widen prepares a family for a second goroutine that sends, with identifiers,
// and so a socket, of its own. It reports false where that is not to be had.
// The engine is locked.
func (e *Engine) widen(v6 bool) bool {
	l := &e.lanes[0]
	if v6 {
		l = &e.lanes[1]
	}
	l.idents.width = 2
	if e.grow(l, l.next); l.idents.n < 2 {
		l.idents.width = 1
	}
	return l.idents.width == 2
}

// taken reports whether the identifier and sequence number of probe num belong
// to one that is in flight, or was sent after keep.
func (l *lane) taken(num uint64, ident uint8, keep int64) bool {
	for last := num; last > seqs && num-last < uint64(len(l.slots)); {
		last -= seqs
		if s := l.slot(last); s.num == last && s.ident == ident && (s.inFlight() || s.state != unsent && s.mono >= keep) {
			return true
		}
	}
	return false
}
