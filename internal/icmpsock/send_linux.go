package icmpsock

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/mmsg"
	"github.com/netsonde/netsonde/internal/wire"
)

// ownPayload is the longest payload of which each packet of a batch has a copy,
// behind its header; longer ones are shared. One piece costs the kernel less
// than two.
const ownPayload = 512

// Send sends packets of one family and returns how many went out; the error is
// about the first that did not. [ErrFull] asks to try again a little later. An
// error that an earlier packet left on the socket is never taken for one of
// this packet. Several goroutines may send at the same time; they do not wait
// for each other when they use different identifiers of unprivileged sockets.
func (c *Conn) Send(v6 bool, ps []Packet) (int, error) {
	if err := c.Has(v6); err != nil {
		return 0, err
	}
	sent := 0
	for sent < len(ps) {
		s, run := c.next(v6, ps[sent:])
		if s == nil {
			return sent, unix.EADDRNOTAVAIL
		}
		n, err := s.send(run)
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// next returns the packets at the beginning of ps that go through one socket,
// and that socket; nil for an identifier that is not there.
func (c *Conn) next(v6 bool, ps []Packet) (*socket, []Packet) {
	c.mu.Lock()
	socks := c.socks[lane(v6)]
	c.mu.Unlock()
	if c.raw {
		return socks[0], ps
	}
	id := ps[0].ID
	n := 1
	for n < len(ps) && ps[n].ID == id {
		n++
	}
	if int(id) >= len(socks) {
		return nil, nil
	}
	return socks[id], ps[:n]
}

func (s *socket) send(ps []Packet) (sent int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		s.out = s.newOut()
	}
	for sent < len(ps) {
		n, err := s.build(ps[sent:])
		if n > 0 {
			var m int
			m, err = s.flush(ps[sent : sent+n])
			sent += m
			if err == nil {
				continue
			}
		}
		return sent, err
	}
	return sent, nil
}

// newOut makes the batch to send with, with what all packets have in common.
func (s *socket) newOut() *batch {
	n, iovs := wire.ICMPLen+s.headN, 2
	if len(s.tail) <= ownPayload {
		n, iovs = n+len(s.tail), 1
	}
	b := newBatch(batchLen, n, 3*unix.CmsgSpace(4), iovs)
	for i := range b.hdrs {
		if iovs == 2 {
			setIovec(&b.iovs[i*iovs+1], s.tail)
		} else {
			copy(b.dataOf(i)[n-len(s.tail):], s.tail)
		}
	}
	return b
}

// build prepares one batch and returns its length; 0 comes with the reason why
// the first packet cannot go.
func (s *socket) build(ps []Packet) (int, error) {
	n := min(len(ps), batchLen)
	for i := range n {
		h := &s.out.hdrs[i]
		namelen, err := s.setName(&s.out.names[i], ps[i].Dst)
		if err != nil {
			return i, err
		}
		h.Namelen = namelen
		s.echo(s.out.dataOf(i), &ps[i])
		s.control(h, s.out.oob[i*s.out.oobN:][:s.out.oobN], &ps[i])
	}
	return n, nil
}

// control writes the control messages of a packet into oob.
func (s *socket) control(h *mmsg.Header, oob []byte, p *Packet) {
	n := 0
	switch {
	case s.keyed && p.NoStamp:
		n += cmsg(oob[n:], unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 0)
	case s.keyed:
		n += cmsg(oob[n:], unix.SOL_SOCKET, unix.SCM_TS_OPT_ID, p.Key)
	}
	if p.TTL > 0 && s.v6 {
		n += cmsg(oob[n:], unix.SOL_IPV6, unix.IPV6_HOPLIMIT, uint32(p.TTL))
	} else if p.TTL > 0 {
		n += cmsg(oob[n:], unix.SOL_IP, unix.IP_TTL, uint32(p.TTL))
	}
	h.Control = nil
	if n > 0 {
		h.Control = &oob[0]
	}
	h.SetControllen(n)
}

// echo writes the request up to the shared payload. The kernel writes
// identifier and checksum itself, except for raw IPv4 sockets.
func (s *socket) echo(b []byte, p *Packet) {
	request, _ := echo(s.v6)
	h := wire.ICMP{Type: request, ID: s.id, Seq: p.Seq}
	if s.raw {
		h.ID += uint16(p.ID)
	}
	h.Put(b)
	copy(b[wire.ICMPLen:], p.Head[:s.headN])
	if s.raw && !s.v6 {
		sum := wire.Sum(s.tailSum, b[:wire.ICMPLen+s.headN])
		binary.BigEndian.PutUint16(b[2:], wire.Fold(sum))
	}
}

// flush sends a batch that build prepared.
func (s *socket) flush(ps []Packet) (int, error) {
	sent, tries := 0, 0
	for sent < len(ps) {
		if s.stamped && !s.keyed && (s.count.unsure || ps[sent].Key != s.count.base+s.count.sent) {
			s.restartCount(ps[sent].Key)
		}
		n, err := mmsg.Send(s.fd, s.out.hdrs[sent:len(ps)], len(s.tail) < mmsg.ShortLen)
		if err == nil {
			sent, tries = sent+n, 0
			s.count.sent += uint32(n)
			continue
		}
		s.count.unsure = true
		switch {
		case err == unix.ENOBUFS && s.tight && s.drained():
			return sent, err // it will never fit
		case err == unix.EAGAIN || err == unix.ENOBUFS:
			return sent, ErrFull
		case left(err) && tries < 16:
			tries++
			// Taking it off the socket leaves the queue as it is.
			unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		default:
			return sent, err
		}
	}
	return sent, nil
}

// left reports whether an ICMP error about an earlier packet may have left
// this errno on the socket for the next call to find (icmp_err_convert and
// icmpv6_err_convert in the kernel). Asking 16 times tells: each time, another
// error would have to arrive within the same microsecond.
func left(err error) bool {
	switch err {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENOPROTOOPT, unix.ECONNREFUSED, unix.EMSGSIZE,
		unix.EOPNOTSUPP, unix.ENONET, unix.EHOSTDOWN, unix.EREMOTEIO, unix.EPROTO, unix.EACCES:
		return true
	}
	return false
}

// restartCount makes the kernel count its stamps from 0 again, the packet with
// this key being the first.
func (s *socket) restartCount(key uint32) {
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags&^unix.SOF_TIMESTAMPING_OPT_ID)
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags)
	s.count.restart(key)
}
