package ping

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/icmpsock"
)

// probe is one to be sent.
type probe struct {
	dst  netip.Addr
	sink sink
	key  uint32
	seq  uint32 // 0: the number on the wire
}

// outbox is where a goroutine prepares what it sends.
type outbox struct {
	packets [batch]icmpsock.Packet
	sender  int  // 0, or 1 for the second of two that send at the same time
	free    bool // the engine is not locked while the kernel works

	unstamped bool // do without the kernel's times of sending
}

// send sends probes of one family and returns how many are done with: in
// flight, or refused by this host, which their sinks are told. Fewer than all
// without an error means that there is no room at the moment. The engine is
// locked, and is so again on return.
func (e *Engine) send(v6 bool, ps []probe, o *outbox) (done int, err error) {
	l := &e.lanes[0]
	if v6 {
		l = &e.lanes[1]
	}
	for done < len(ps) {
		if e.closed {
			return done, net.ErrClosed
		}
		first := l.next
		n := e.prepare(l, ps[done:], o)
		if n == 0 {
			return done, nil
		}
		sent, err := e.transmit(v6, o, n)
		e.settle(l, first, sent, n)
		done += sent
		if err == icmpsock.ErrFull {
			return done, nil
		}
		if err != nil {
			e.refused(l, ps[done], err)
			done++
		}
	}
	return done, nil
}

// transmit hands n packets over to the kernel.
func (e *Engine) transmit(v6 bool, o *outbox, n int) (int, error) {
	if !o.free {
		return e.conn.Send(v6, o.packets[:n])
	}
	e.senders.RLock() // Close waits
	e.mu.Unlock()
	sent, err := e.conn.Send(v6, o.packets[:n])
	e.senders.RUnlock()
	e.mu.Lock()
	return sent, err
}

// settle notes which of the n probes from first on went out. The numbers of
// the others are used again, unless somebody else has sent since.
func (e *Engine) settle(l *lane, first uint64, sent, n int) {
	for num := first; num < first+uint64(n); num++ {
		s := l.slot(num)
		switch {
		case num >= first+uint64(sent):
			*s = slot{}
		case s.state == sending:
			s.state = waiting
		}
	}
	if l.next == first+uint64(n) {
		l.next = first + uint64(sent)
	}
}

// prepare numbers up to a batch of probes and fills their slots and packets.
func (e *Engine) prepare(l *lane, ps []probe, o *outbox) int {
	now := e.clock()
	keep := now.mono - 2*int64(max(e.opt.Timeout, time.Second))
	e.local = icmpsock.Message{}
	n := 0
	for n < min(len(ps), batch) {
		p, num := &ps[n], l.next
		if !l.room(num, keep) {
			break
		}
		e.grow(l, num)
		ident := l.idents.use(num, o.sender)
		if l.terse && l.taken(num, ident, keep) {
			break
		}
		s := l.slot(num)
		*s = slot{num: num, sink: p.sink, dst: p.dst, real: now.real, mono: now.mono, key: p.key, seq: p.seq, ident: ident, state: sending}
		if s.seq == 0 {
			s.seq = uint32(uint16(num))
		}
		binary.NativeEndian.PutUint64(s.head[:], e.rng.Uint64())
		o.packets[n] = icmpsock.Packet{Dst: p.dst, ID: ident, Seq: uint16(num), Key: uint32(num), Head: s.head, NoStamp: o.unstamped}
		n++
		l.next++
	}
	return n
}

// refused tells that this host would not send a probe.
func (e *Engine) refused(l *lane, p probe, err error) {
	text := err.Error()
	if errors.Is(err, syscall.EMSGSIZE) {
		// The MTU that is in the way is in the error queue, unless a reader
		// has taken it from there.
		e.now = e.clock()
		if e.local.MTU == 0 {
			e.conn.Errors(l.v6, e.handle)
		}
		if e.local.MTU > 0 {
			text = fmt.Sprintf("%s, mtu=%d", text, e.local.MTU)
		}
	}
	now := e.clock()
	s := slot{sink: p.sink, dst: p.dst, real: now.real, mono: now.mono, key: p.key, seq: p.seq}
	if s.seq == 0 {
		s.seq = uint32(uint16(l.next))
	}
	if !l.slot(l.next).inFlight() {
		l.next++ // its number
	}
	e.res = Result{Outcome: OutcomeLocalError, Err: text}
	e.tell(&s, &e.res)
}

// tell fills in what is known of every probe and passes the result on.
func (e *Engine) tell(s *slot, r *Result) {
	if s.sink == nil {
		return
	}
	r.Target, r.Seq, r.Method, r.Why = s.dst, int(s.seq), e.method, e.why
	at := s.real
	if s.tx != 0 {
		at = s.tx
	}
	r.Sent = time.Unix(0, at)
	s.sink.result(r, s.key)
}

// message takes in one message from the sockets. The engine is locked.
func (e *Engine) message(m *icmpsock.Message) {
	l := &e.lanes[0]
	if m.V6 {
		l = &e.lanes[1]
	}
	// It may have come after the clocks were read; times must not be taken
	// from clocks that are behind.
	if m.Stamp > e.now.real || m.Stamp == 0 {
		e.now = e.clock()
	}
	switch m.Kind {
	case icmpsock.Sent:
		// A stamp from before the sending belongs to another packet, one from
		// the future to another clock.
		if s := l.byKey(m.Key); s != nil && s.tx == 0 && m.Stamp >= s.real-1000 && m.Stamp <= e.now.real+1000 {
			s.tx = m.Stamp
		}
	case icmpsock.Reply:
		e.reply(l, m)
	case icmpsock.Error:
		e.icmpError(l, m)
	case icmpsock.Local:
		e.local = *m
	}
}

func (e *Engine) reply(l *lane, m *icmpsock.Message) {
	s := l.find(m.Seq, m, repliedBy)
	if s == nil || m.Damaged || !e.intact(m) {
		if s == nil {
			s = l.find(m.Seq, m, looksRepliedBy)
		}
		if s != nil && (s.state == waiting || s.state == sending) {
			s.state = damaged
			e.notice(s, m)
		}
		return
	}
	e.res = Result{Outcome: OutcomeReply, From: m.From, TTL: m.TTL, TOS: max(0, m.TOS), Size: m.Size}
	if len(m.Options) > 0 {
		e.res.Record = parseIPOptions(m.Options)
	}
	e.answer(s, m, &e.res)
}

// intact compares a reply with what was sent.
func (e *Engine) intact(m *icmpsock.Message) bool {
	n := len(e.payload)
	if len(m.Payload) < n {
		return false
	}
	return n <= icmpsock.HeadLen || bytes.Equal(m.Payload[icmpsock.HeadLen:n], e.payload[icmpsock.HeadLen:])
}

func (e *Engine) icmpError(l *lane, m *icmpsock.Message) {
	s := l.find(m.Seq, m, quotedBy)
	if m.ICMP.Kind == icmperr.Redirect || m.ICMP.Kind == icmperr.SourceQuench {
		if s != nil && noticed(s) {
			icmp := m.ICMP
			e.tell(s, &Result{Outcome: OutcomeNotice, From: icmp.From, ICMP: &icmp})
		}
		return
	}
	if s == nil || s.state == answered || s.sink == nil {
		return
	}
	icmp := m.ICMP
	e.res = Result{Outcome: OutcomeICMPError, From: icmp.From, TTL: icmp.TTL, ICMP: &icmp}
	e.answer(s, m, &e.res)
}

// answer completes a result with its time and decides what it is: the answer,
// one more, or one that is late.
func (e *Engine) answer(s *slot, m *icmpsock.Message, r *Result) {
	r.RTT, r.Stamp = roundTrip(s, m.Stamp, e.now)
	if sameHost(r.From, s.dst) {
		r.From = s.dst // with the zone as the caller writes it
	}
	if s.inFlight() && r.RTT > e.opt.Timeout {
		late := *r
		e.overdue(s)
		*r = late // r may be the one that was used for telling
	}
	switch s.state {
	case answered:
		r.Outcome = OutcomeDuplicate
	case expired:
		r.Outcome = OutcomeLate
	}
	s.state = answered
	e.tell(s, r)
}

// overdue tells that a probe got no good answer in time.
func (e *Engine) overdue(s *slot) {
	e.res = Result{Outcome: OutcomeTimeout}
	if s.state == damaged {
		e.res.Outcome = OutcomeCorrupted
	}
	s.state = expired
	e.tell(s, &e.res)
}

// overflowed is told of probes that got no reply while replies were lost on
// this side: that is not known to be the network's silence.
const overflowed = "replies were lost here: the receive buffer was full"

// expire tells every probe whose deadline has passed.
func (e *Engine) expire(now int64) {
	for i := range e.lanes {
		l := &e.lanes[i]
		s := l.first()
		if s == nil || e.left(s, now) > 0 {
			continue
		}
		if n := e.conn.Dropped(l.v6); n != l.dropped {
			l.dropped, l.suspect = n, l.next
		}
		for ; s != nil && s.state != sending && e.left(s, now) <= 0; s = l.first() {
			if s.num < l.suspect && s.state == waiting {
				s.state = expired
				e.res = Result{Outcome: OutcomeLocalError, Err: overflowed}
				e.tell(s, &e.res)
				continue
			}
			e.overdue(s)
		}
	}
}

// nextDeadline returns how long it is until a probe expires, -1 if none is in
// flight.
func (e *Engine) nextDeadline(now int64) time.Duration {
	next := time.Duration(-1)
	for i := range e.lanes {
		if s := e.lanes[i].first(); s != nil {
			if left := max(0, e.left(s, now)); next < 0 || left < next {
				next = left
			}
		}
	}
	return next
}

// left is how long a probe may still be answered.
func (e *Engine) left(s *slot, now int64) time.Duration {
	return time.Duration(s.mono-now) + e.opt.Timeout
}
