package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmpsock"
	"github.com/netsonde/netsonde/internal/sock"
)

// icmpWire sends echo requests from one socket, each with a TTL of its own.
// They are told apart by their sequence number, which even the shortest quote
// in an ICMP message has.
type icmpWire struct {
	*network
	conn   *icmpsock.Conn
	ctx    context.Context
	unhook func() bool
	key    []byte // in every request, and its echo
	shift  uint16 // of the checksum, which tells flows apart
	base   uint16 // sequence number of probe 0
	sent   map[int]time.Time
	packet [1]icmpsock.Packet
}

func newICMPWire(ctx context.Context, dst netip.Addr, o Options) (*icmpWire, error) {
	w := &icmpWire{network: describe(MethodICMP, dst, o), ctx: ctx, sent: map[int]time.Time{}}
	if w.flow = o.Flow; w.flow == FlowUnknown {
		w.flow = FlowConstant
	}
	if err := w.findSource(); err != nil {
		return nil, err
	}
	var base [2]byte
	sock.Random(base[:])
	w.base = binary.BigEndian.Uint16(base[:])
	payload := make([]byte, max(icmpsock.HeadLen+keyLen, w.size-w.headers()-8))
	w.key = payload[icmpsock.HeadLen:][:keyLen]
	sock.Random(w.key)
	cfg := icmpsock.Config{Device: o.Device, Mark: o.Mark, Source: o.Source, NetNS: o.NetNS, TOS: o.TOS, Payload: payload}
	if o.DontFragment {
		cfg.Fragment = unix.IP_PMTUDISC_PROBE + 1
	}
	var err error
	w.conn, err = icmpsock.Open(cfg)
	if err != nil {
		return nil, err
	}
	if err := w.conn.Has(w.v6); err != nil {
		w.conn.Close()
		return nil, err
	}
	w.unhook = context.AfterFunc(ctx, w.conn.Wake)
	return w, nil
}

// findSource learns the address that packets to the target leave from. That
// there is no way is for the probes to tell.
func (w *icmpWire) findSource() error {
	fd, err := sock.Open(w.dst.Addr(), w.typ, 0, w.opts)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_ = w.connect(fd)
	return nil
}

func (w *icmpWire) end() {
	w.unhook()
	w.conn.Close()
}

func (w *icmpWire) send(id, ttl int) error {
	p := &w.packet[0]
	*p = icmpsock.Packet{Dst: w.dst.Addr(), Seq: w.base + uint16(id), Key: uint32(id), TTL: ttl}
	if w.flow == FlowConstant {
		// The complement of the number keeps the checksum, by which some routers
		// choose among paths, the same.
		sum := uint32(^p.Seq) + uint32(w.shift)
		binary.BigEndian.PutUint16(p.Head[:], uint16(sum+sum>>16))
	}
	w.sent[id] = time.Now()
	_, err := w.conn.Send(w.v6, w.packet[:])
	if err != nil {
		delete(w.sent, id)
	}
	return err
}

func (w *icmpWire) wait(until time.Time) ([]answer, error) {
	w.out = w.out[:0]
	for {
		if w.ctx.Err() != nil {
			return nil, context.Cause(w.ctx)
		}
		if err := w.conn.Wait(max(0, time.Until(until))); err != nil {
			return nil, err
		}
		w.woken = time.Now()
		if _, err := w.conn.Receive(w.hear); err != nil {
			return nil, err
		}
		if len(w.out) > 0 || !w.woken.Before(until) {
			return w.out, nil
		}
	}
}

func (w *icmpWire) hear(m *icmpsock.Message) {
	id := int(m.Seq - w.base)
	if m.Kind == icmpsock.Sent {
		id = int(m.Key)
	}
	sent, ok := w.sent[id]
	if !ok || m.V6 != w.v6 {
		return
	}
	var stamp time.Time
	if m.Stamp != 0 {
		stamp = time.Unix(0, m.Stamp)
	}
	switch m.Kind {
	case icmpsock.Sent:
		// From now on the kernel's time of sending counts: the monotonic clock
		// moves along by as much as the wall clock says.
		if d := stamp.Sub(sent.Round(0)); !stamp.IsZero() && d > 0 && d < w.woken.Sub(sent) {
			w.sent[id] = sent.Add(d)
		}
	case icmpsock.Error:
		if !same(m.Dst, w.dst.Addr()) || advice(m.ICMP.Kind, w.size != 0) {
			return
		}
		q := errqueue.Message{ICMP: m.ICMP, Stamp: stamp}
		q.Errno, _ = errors.AsType[unix.Errno](m.Err)
		w.out = append(w.out, answer{id: id, reply: w.icmpReply(q, sent)})
	case icmpsock.Reply:
		if m.Damaged || len(m.Payload) < icmpsock.HeadLen+keyLen || string(m.Payload[icmpsock.HeadLen:][:keyLen]) != string(w.key) {
			return
		}
		r := Reply{Outcome: OutcomeEchoReply, From: m.From, ReplyTTL: m.TTL}
		r.RTT, r.Stamp = rtt(sent, w.woken, stamp)
		w.out = append(w.out, answer{id: id, reply: r})
	}
}

// split does nothing: sequence numbers tell the probes apart.
func (w *icmpWire) split() {}

// forget keeps the probe, whose late answer is still welcome.
func (w *icmpWire) forget(int) {}
