package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// wire sends probes and hears answers. Probes are known by their number.
type wire interface {
	// send lets a probe out. The error is this host's own.
	send(id, ttl int) error
	// wait returns answers, none when the time has come, and the cause when
	// the context has ended. The slice is valid until the next call.
	wait(until time.Time) ([]answer, error)
	// forget says that nobody waits for a probe any more.
	forget(id int)
	// transient reports whether a send failed for a shortage that passes.
	transient(err error) bool
	// split sends every further probe from a socket of its own.
	split()
}

// answer is what became of a probe.
type answer struct {
	id    int
	reply Reply
	// unclear: somebody answered, but the answer does not say which probe.
	unclear bool
}

// backoffs is how often a send that fails for a passing shortage is tried
// again, after 10 ms, 20 ms and so on: for 1.3 s.
const backoffs = 7

// run carries out a plan. The error is the one that ended the wait.
func run(p *plan, w wire, now func() time.Time) error {
	clear, tries := true, 0
	hear := func(until time.Time) error {
		answers, err := w.wait(until)
		t := now()
		for _, a := range answers {
			switch {
			case !a.unclear:
				p.answer(a.id, a.reply, t)
			case clear:
				clear = false
				w.split()
				p.restart()
			}
		}
		return err
	}
	for {
		t := now()
		if p.overdue(t) {
			// A busy machine may have kept this process from hearing what came.
			if err := hear(t); err != nil {
				return err
			}
		}
		s := p.next(t)
		for _, id := range p.gone {
			w.forget(id)
		}
		p.gone = p.gone[:0]
		if s.done {
			return nil
		}
		if s.ttl != 0 {
			err := w.send(len(p.probes), s.ttl)
			if err != nil && w.transient(err) && tries < backoffs {
				p.notBefore = t.Add(10 * time.Millisecond << tries)
				tries++
				continue
			}
			tries = 0
			id := p.sent(s.ttl, t)
			if err != nil {
				p.answer(id, notSent(err), t)
			}
			// Look for answers before the next probe: a quick path needs no
			// probe beyond its end.
			s.wait = t
		}
		if err := hear(s.wait); err != nil {
			return err
		}
	}
}

// destination is the address that a target is met by: the unspecified address
// stands for this host, as for connect(2).
func destination(dst netip.Addr) netip.Addr {
	switch dst = dst.Unmap(); {
	case dst == netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case dst.WithZone("") == netip.IPv6Unspecified():
		return netip.IPv6Loopback()
	}
	return dst
}

// complete is withDefaults for a trace with sockets of its own. An [Engine] and
// Multipath do not have what is looked at here.
func (o Options) complete(m Method) (Options, error) {
	own := o
	o.FlowLabel, o.MSS, o.DontRoute, o.Lite = 0, 0, false, false
	if m == MethodTCP {
		o.SourcePort = 0
	}
	o, err := o.withDefaults(m)
	o.FlowLabel, o.MSS, o.DontRoute, o.Lite, o.SourcePort = own.FlowLabel, own.MSS, own.DontRoute, own.Lite, own.SourcePort
	switch {
	case err != nil:
	case m == MethodTCP && o.SourcePort != 0 && o.Flow == FlowPerProbe:
		err = errors.New("connections from one SourcePort are one flow")
	case o.FlowLabel > 0xfffff:
		err = fmt.Errorf("flow label %#x is more than 0xfffff", o.FlowLabel)
	case o.FlowLabel != 0 && m == MethodICMP:
		err = errors.New("a flow label is for UDP and TCP")
	case o.MSS != 0 && m != MethodTCP:
		err = errors.New("only TCP has a maximum segment size")
	case o.MSS != 0 && (o.MSS < 88 || o.MSS > 32767):
		err = fmt.Errorf("maximum segment size %d is not between 88 and 32767", o.MSS)
	case o.DontRoute && m == MethodICMP:
		err = errors.New("traces past the routing table are for UDP and TCP")
	case o.Lite && m != MethodUDP:
		err = errors.New("UDP-Lite is a kind of UDP")
	}
	return o, err
}

// withDefaults checks the options and fills in what is not given.
func (o Options) withDefaults(m Method) (Options, error) {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.FirstTTL, 1)
	def(&o.MaxTTL, max(30, o.FirstTTL))
	def(&o.Queries, 1)
	def(&o.MaxSilent, 10)
	switch {
	case m == MethodICMP:
		o.Port = 0
	case o.Port == 0 && m == MethodUDP:
		o.Port = 33434
	case o.Port == 0:
		o.Port = 80
	}
	if o.Timeout == 0 {
		o.Timeout = 3300 * time.Millisecond
	}
	switch {
	case o.TOS < 0 || o.TOS > 255:
		return o, fmt.Errorf("TOS %d is not between 0 and 255", o.TOS)
	case o.FirstTTL < 1 || o.FirstTTL > 255:
		return o, fmt.Errorf("first TTL %d is not between 1 and 255", o.FirstTTL)
	case o.Flow > FlowPerProbe:
		return o, fmt.Errorf("%v is no kind of flow", o.Flow)
	case o.MaxTTL < o.FirstTTL || o.MaxTTL > 255:
		return o, fmt.Errorf("last TTL %d is not between %d and 255", o.MaxTTL, o.FirstTTL)
	case o.Queries < 1 || o.Queries > 10:
		return o, fmt.Errorf("%d queries a TTL are not between 1 and 10", o.Queries)
	case o.Ahead < 0:
		return o, fmt.Errorf("%d hops ahead are less than none", o.Ahead)
	case o.Size < 0 || o.Size > 65535:
		return o, fmt.Errorf("size %d is not between 0 and 65535", o.Size)
	case o.SourcePort != 0 && m != MethodUDP:
		return o, fmt.Errorf("source port %d: only UDP and single traces of TCP have one", o.SourcePort)
	case o.FlowLabel != 0 || o.MSS != 0 || o.DontRoute || o.Lite:
		return o, errors.New("a flow label, MSS, DontRoute and Lite are for traces with sockets of their own")
	case o.Timeout < 0:
		return o, fmt.Errorf("timeout %v is negative", o.Timeout)
	}
	return o, nil
}

// path returns the result as far as it is known. Repeats is how many packets
// were sent besides the probes.
func (p *plan) path(repeats int) Path {
	path := Path{Target: p.target, Port: p.o.Port, Hops: []Hop{}, Packets: len(p.probes)}
	last := p.last()
	for i := range p.hops {
		if ttl := p.o.FirstTTL + i; ttl <= last {
			path.Hops = append(path.Hops, p.replies(ttl))
		}
	}
	for i := range p.probes {
		if p.probes[i].reply.Outcome == OutcomeNotSent {
			path.Packets--
		}
	}
	path.Packets += repeats
	if p.halted && p.far < p.o.FirstTTL {
		path.Packets = 0 // silent probes did not get out either
	}
	path.Reached = path.Distance() != 0
	path.End = p.why(path)
	return path
}

// last returns the last TTL to report. Resets and time exceeded messages from
// beyond the end tell where a reset comes from, and are kept.
func (p *plan) last() int {
	if p.end == 0 {
		last := p.o.FirstTTL + len(p.hops) - 1
		if p.o.MaxSilent >= 0 {
			last = min(last, p.far+p.o.MaxSilent)
		}
		return last
	}
	last := p.end
	for i := range p.probes {
		if o := p.probes[i].reply.Outcome; o == OutcomeRefused || o == OutcomeTimeExceeded {
			last = max(last, p.probes[i].ttl)
		}
	}
	return last
}

func (p *plan) why(path Path) End {
	ttl, refusal := path.Unreachable()
	switch {
	case path.Reached:
		return EndReached
	case refusal != nil && ttl == p.end:
		return EndUnreachable
	case p.halted:
		return EndNotSent
	case p.looped || p.end == 0 && !p.probesWait() && path.Loop() != nil:
		return EndLoop
	case p.end != 0 || p.probesWait():
		return EndUnknown
	case p.o.MaxSilent >= 0 && p.far+p.o.MaxSilent <= p.o.MaxTTL:
		return EndSilent
	}
	return EndMaxTTL
}

func (p *plan) probesWait() bool {
	for i := range p.probes {
		if p.probes[i].waiting {
			return true
		}
	}
	return len(p.probes) == 0
}

// notSent is the reply for a probe that err kept inside.
func notSent(err error) Reply {
	r := Reply{Outcome: OutcomeNotSent, Err: err.Error()}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		r.Errno = errno
	}
	return r
}
