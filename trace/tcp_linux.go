package trace

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// tcpWire opens a connection a probe.
type tcpWire struct{ *network }

// look is when to see whether the kernel could repeat the SYN, which is the
// only sign of a filter of this host that drops it: connect does not tell.
const look = 1200 * time.Millisecond

func (w *tcpWire) send(id, ttl int) error {
	_, err := w.sendFrom(id, ttl, 0)
	return err
}

// sendFrom opens a connection from a port, 0 for any, and returns the port.
func (w *tcpWire) sendFrom(id, ttl int, port uint16) (uint16, error) {
	fd, err := w.openPort(port)
	if err != nil {
		return 0, err
	}
	err = w.setTTL(fd, ttl)
	if err == nil {
		// Two repeats, so that the kernel does not give up within the timeout.
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 2)
	}
	sent := time.Now()
	if err == nil {
		err = w.connect(fd)
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	if sa, err := unix.Getsockname(fd); err == nil {
		port = sock.AddrPort(sa).Port()
	}
	return port, w.launch(id, fd, sent, unix.EPOLLOUT)
}

func (n *network) setTTL(fd, ttl int) error {
	if err := sock.SetTTL(fd, n.v6, ttl); err != nil {
		return fmt.Errorf("set TTL %d: %w", ttl, err)
	}
	return nil
}

// split does nothing: each probe has a socket of its own.
func (w *tcpWire) split() {}

func (w *tcpWire) wait(until time.Time) ([]answer, error) {
	for _, f := range w.flights {
		if t := f.sent.Add(look); !f.checked && t.Before(until) {
			until = t
		}
	}
	events, err := w.events(until)
	if err != nil {
		return nil, err
	}
	for _, ev := range events {
		if f := w.flights[int(ev.Fd)]; f != nil {
			w.hear(f, ev.Events)
		}
	}
	for _, f := range w.flights {
		if !f.checked && w.woken.Sub(f.sent) >= look {
			w.check(f)
		}
	}
	return w.out, nil
}

// hear reads what became of a connection. The error queue comes first: it is
// what tells an ICMP message from a reset.
func (w *tcpWire) hear(f *flight, events uint32) {
	repeated, _ := repeats(f.fd)
	var r Reply
	if m, ok := w.queued(f.fd); ok {
		r = w.icmpReply(m, f.sent)
	} else {
		errno, err := unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		r.RTT, r.Stamp = rtt(f.sent, w.woken, time.Time{})
		r.From = w.dst.Addr()
		switch {
		case err != nil || errno == 0 && events&unix.EPOLLOUT == 0:
			return // an error queue with nothing of interest
		case errno == 0 || errno == int(unix.ECONNRESET) || errno == int(unix.EPIPE):
			r.Outcome = OutcomeOpen // and reset since, for the latter two
		case errno == int(unix.ECONNREFUSED):
			r.Outcome = OutcomeRefused
		case errno == int(unix.ETIMEDOUT):
			w.land(f) // the plan has a shorter clock
			return
		default:
			r = notSent(unix.Errno(errno))
		}
	}
	r.Retransmits = repeated
	w.out = append(w.out, answer{id: f.id, reply: r})
	w.land(f)
}

// check finds a SYN that this host's own filter drops.
func (w *tcpWire) check(f *flight) {
	f.checked = true
	if _, kept := repeats(f.fd); !kept {
		return
	}
	r := notSent(unix.EPERM)
	r.Err = "the kernel could not send the SYN: a filter of this host drops it"
	w.out = append(w.out, answer{id: f.id, reply: r})
	n := w.repeats
	w.land(f)
	w.repeats = n // they did not leave either
}

// repeats returns how often the kernel repeated the SYN of a connection, and
// whether it failed to hand the repeats to the network. A repeat is counted in
// tcpi_total_retrans when it is tried and in tcpi_retrans when it went out; one
// that waits for a neighbour's address is counted in tcpi_retransmits only.
func repeats(fd int) (n int, kept bool) {
	i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, false
	}
	const synSent = 2
	kept = i.State == synSent && i.Retransmits > 0 && i.Total_retrans == uint32(i.Retransmits) && i.Retrans == 0
	return int(i.Total_retrans), kept
}
