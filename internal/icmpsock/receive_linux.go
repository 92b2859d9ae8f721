package icmpsock

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/sock"
	"github.com/netsonde/netsonde/internal/wire"
)

// Receive reads what Wait found, at most a batch of each kind, and calls f for
// each message. It reports whether all of it was read. The stamp of a packet
// always comes before the reply to it.
func (c *Conn) Receive(f func(*Message)) (all bool, err error) {
	all = true
	for _, s := range c.watched {
		if s.ready == 0 {
			continue
		}
		ready := s.ready
		s.ready = 0
		replies := 0
		if ready&unix.POLLIN != 0 {
			if replies, err = c.in.receive(s.fd, 0); left(err) {
				all = false // an ICMP error, which the queue tells properly
			} else if err != nil {
				return false, err
			}
			if replies == len(c.in.hdrs) {
				s.ready, all = unix.POLLIN, false
			}
		}
		// The queue is read after the replies and told before them: a stamp
		// is queued before its packet leaves.
		if ready&unix.POLLERR != 0 || s.stamped && replies > 0 {
			if err := c.receiveQueue(s, ready, f); err != nil {
				return false, err
			}
		}
		for j := range replies {
			c.reply(s, j, f)
		}
	}
	return all, nil
}

// Errors tells what is in the error queue of a family, without waiting: what
// this host has to say about a packet that it did not send is there at once.
func (c *Conn) Errors(v6 bool, f func(*Message)) error {
	if err := c.Has(v6); err != nil {
		return err
	}
	for _, s := range c.socks[lane(v6)] {
		if err := c.receiveQueue(s, 0, f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) receiveQueue(s *socket, ready int16, f func(*Message)) error {
	for first := true; ; first = false {
		n, err := c.queue.receive(s.fd, unix.MSG_ERRQUEUE)
		if err != nil {
			return err
		}
		if n == 0 && first && ready&unix.POLLERR != 0 {
			// An error without an entry would make every Wait return at once.
			unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		}
		for j := range n {
			c.queued(s, j, f)
		}
		if n < len(c.queue.hdrs) {
			return nil
		}
	}
}

// queued tells one entry of the error queue.
func (c *Conn) queued(s *socket, j int, f func(*Message)) {
	data, oob, cut := c.queue.got(j)
	q, m := &c.entry, &c.msg
	*q = errqueue.Message{Quoted: data, Partial: cut}
	q.Parse(oob)
	*m = Message{V6: s.v6, ICMP: q.ICMP, MTU: q.MTU, Dst: addr(&c.queue.names[j], c.queue.hdrs[j].Namelen)}
	if !q.Stamp.IsZero() {
		m.Stamp = q.Stamp.UnixNano()
	}
	switch q.Origin {
	case errqueue.Timestamping:
		m.Kind, m.Key = Sent, q.ID
		if !s.keyed {
			s.mu.Lock()
			m.Key = s.count.key(q.ID)
			s.mu.Unlock()
		}
	case errqueue.ICMP, errqueue.ICMP6:
		h, body, ok := wire.ParseICMP(data)
		request, _ := echo(s.v6)
		if m.ID, ok = s.indexOf(h.ID, ok); !ok || h.Type != request {
			return // a raw socket hears of other programs' packets too
		}
		m.Kind, m.Seq, m.Payload, m.Err = Error, h.Seq, body, q.Errno
	case errqueue.Local:
		m.Kind, m.Err = Local, q.Errno
	default:
		return
	}
	f(m)
}

// reply tells one echo reply.
func (c *Conn) reply(s *socket, j int, f func(*Message)) {
	data, oob, cut := c.in.got(j)
	m := &c.msg
	*m = Message{Kind: Reply, V6: s.v6, TOS: -1, Size: int(c.in.hdrs[j].N)}
	m.From = addr(&c.in.names[j], c.in.hdrs[j].Namelen)
	if s.raw && !s.v6 {
		h, payload, ok := wire.ParseIPv4(data)
		if !ok {
			return
		}
		// Only IPv4 raw sockets see what the checksum does not cover for.
		m.Damaged = !cut && wire.Checksum(payload) != 0
		m.Options, m.Size = h.Options, m.Size-(len(data)-len(payload))
		data = payload
	}
	h, body, ok := wire.ParseICMP(data)
	_, want := echo(s.v6)
	if m.ID, ok = s.indexOf(h.ID, ok); !ok || h.Type != want {
		return
	}
	m.Seq, m.Payload = h.Seq, body
	for len(oob) > 0 {
		hdr, value, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		oob = rest
		m.control(hdr.Level, hdr.Type, value)
	}
	f(m)
}

func (m *Message) control(level, typ int32, value []byte) {
	switch {
	case level == unix.SOL_SOCKET && typ == unix.SO_TIMESTAMPING:
		if t := sock.Stamp(value); !t.IsZero() {
			m.Stamp = t.UnixNano()
		}
	case level == unix.SOL_IP && typ == unix.IP_TTL, level == unix.SOL_IPV6 && typ == unix.IPV6_HOPLIMIT:
		if len(value) >= 4 {
			m.TTL = int(int32(binary.NativeEndian.Uint32(value)))
		}
	case level == unix.SOL_IPV6 && typ == unix.IPV6_TCLASS:
		if len(value) >= 4 {
			m.TOS = int(int32(binary.NativeEndian.Uint32(value)))
		}
	case level == unix.SOL_IP && typ == unix.IP_TOS:
		if len(value) >= 1 {
			m.TOS = int(value[0])
		}
	case level == unix.SOL_IP && typ == unix.IP_RECVOPTS:
		m.Options = value
	}
}
