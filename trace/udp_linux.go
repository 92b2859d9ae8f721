package trace

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/sock"
)

// udpWire sends all probes from one socket, and from one socket each once
// that has turned out not to tell answers apart.
type udpWire struct {
	*network
	fd      int               // the shared socket, -1 before the first probe
	payload []byte            // secret, number, zeros
	sent    map[int]time.Time // probes of the shared socket
}

// keyLen is the length of the secret in front of a probe's number.
const keyLen = 8

func newUDPWire(n *network) *udpWire {
	w := &udpWire{network: n, fd: -1, sent: map[int]time.Time{}}
	w.payload = make([]byte, max(keyLen+4, n.size-n.headers()-8))
	n.flow = FlowConstant
	sock.Random(w.payload[:keyLen])
	return w
}

func (w *udpWire) send(id, ttl int) error {
	binary.BigEndian.PutUint32(w.payload[keyLen:], uint32(id))
	if w.flow == FlowPerProbe {
		return w.sendAlone(id, ttl)
	}
	if w.fd < 0 {
		fd, err := w.openConnected()
		if err != nil {
			return err
		}
		if err := w.poll.Add(fd, unix.EPOLLIN); err != nil {
			unix.Close(fd)
			return fmt.Errorf("epoll_ctl: %w", err)
		}
		w.fd = fd
	}
	sent, err := w.emit(w.fd, ttl)
	if err == nil {
		w.sent[id] = sent
	}
	return err
}

func (w *udpWire) sendAlone(id, ttl int) error {
	fd, err := w.openConnected()
	if err != nil {
		return err
	}
	sent, err := w.emit(fd, ttl)
	if err != nil {
		unix.Close(fd)
		return err
	}
	return w.launch(id, fd, sent, unix.EPOLLIN)
}

func (w *udpWire) openConnected() (int, error) {
	fd, err := w.open()
	if err != nil {
		return -1, err
	}
	if err := w.connect(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// emit sends the payload with a TTL. An ICMP message that has arrived fails
// the next send with its errno (ip(7)), which says nothing about that send.
func (w *udpWire) emit(fd, ttl int) (sent time.Time, err error) {
	for range 5 {
		// The TTL may come with the packet as well, but this socket has one user.
		if err := w.setTTL(fd, ttl); err != nil {
			return sent, err
		}
		_, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		sent = time.Now()
		if _, err = unix.Write(fd, w.payload); err == nil {
			return sent, nil
		}
	}
	return sent, fmt.Errorf("send: %w", err)
}

func (w *udpWire) split() { w.flow, w.opts.Port = FlowPerProbe, 0 }

func (w *udpWire) wait(until time.Time) ([]answer, error) {
	events, err := w.events(until)
	if err != nil {
		return nil, err
	}
	for _, ev := range events {
		if fd := int(ev.Fd); fd == w.fd {
			w.hearShared()
		} else if f := w.flights[fd]; f != nil {
			w.hearAlone(f)
		}
	}
	return w.out, nil
}

func (w *udpWire) hearShared() {
	for {
		m, ok := w.queued(w.fd)
		if !ok {
			break
		}
		if m.Dst.Port() != w.dst.Port() || !same(m.Dst.Addr(), w.dst.Addr()) {
			continue
		}
		a := answer{unclear: true}
		if id, ok := w.number(m); ok {
			a = answer{id: id, reply: w.icmpReply(m, w.sent[id])}
		}
		w.out = append(w.out, a)
	}
	if w.data(w.fd) {
		w.out = append(w.out, answer{unclear: true})
	}
}

// number finds out which probe a message quotes.
func (w *udpWire) number(m errqueue.Message) (id int, ok bool) {
	q := m.Quoted
	if len(q) < keyLen+4 || string(q[:keyLen]) != string(w.payload[:keyLen]) {
		return 0, false
	}
	id = int(binary.BigEndian.Uint32(q[keyLen:]))
	_, ok = w.sent[id]
	return id, ok
}

func (w *udpWire) hearAlone(f *flight) {
	if m, ok := w.queued(f.fd); ok {
		w.out = append(w.out, answer{id: f.id, reply: w.icmpReply(m, f.sent)})
		w.land(f)
		return
	}
	if w.data(f.fd) {
		r := Reply{Outcome: OutcomeOpen, From: w.dst.Addr()}
		r.RTT, r.Stamp = rtt(f.sent, w.woken, time.Time{})
		w.out = append(w.out, answer{id: f.id, reply: r})
		w.land(f)
	}
}

// data reports whether data came from the target, and reads what is there.
func (w *udpWire) data(fd int) (came bool) {
	var buf [1]byte
	for range 64 {
		_, err := unix.Read(fd, buf[:])
		if err == unix.EAGAIN {
			break
		}
		// Other errors are those of ICMP messages, which the queue tells better.
		came = came || err == nil
	}
	return came
}

func (w *udpWire) closeShared() {
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
}
