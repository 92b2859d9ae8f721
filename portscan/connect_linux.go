package portscan

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/sock"
)

// connectWire makes attempts with connect(2) and waits for all of them with
// epoll(7).
type connectWire struct {
	poll    *sock.Poller
	reader  errqueue.Reader
	opts    sock.Options
	flights map[int]*flight // by descriptor
	byID    map[int]*flight
	out     []event
	woken   time.Time // when the last wait returned
}

type flight struct {
	id, fd int
	target netip.AddrPort
	sent   time.Time
}

// openWire returns the wire and how many attempts at once the process has
// descriptors for. Options that cannot be had are an error of the scan.
func openWire(ctx context.Context, o Options) (wire, int, error) {
	w := &connectWire{
		opts:    sock.Options{Device: o.Device, Mark: o.Mark, Source: o.Source.Unmap(), NetNS: o.NetNS},
		flights: map[int]*flight{}, byID: map[int]*flight{},
	}
	if w.opts != (sock.Options{}) {
		family := w.opts.Source
		if !family.IsValid() {
			family = netip.IPv4Unspecified()
		}
		fd, err := sock.Open(family, unix.SOCK_STREAM, 0, w.opts)
		if err != nil {
			return nil, 0, err
		}
		unix.Close(fd)
	}
	var err error
	if w.poll, err = sock.NewPoller(ctx); err != nil {
		return nil, 0, err
	}
	return w, descriptors(), nil
}

// descriptors returns three quarters of the descriptors that the process may
// still open.
func descriptors() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 256
	}
	used, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		used = nil
	}
	left := min(limit.Cur, 1<<20) - min(limit.Cur, uint64(len(used)))
	return int(left * 3 / 4)
}

func (w *connectWire) dial(id int, target netip.AddrPort) error {
	addr := target.Addr().Unmap()
	if !addr.IsValid() || target.Port() == 0 {
		return errTarget
	}
	if s := w.opts.Source; s.IsValid() && s.Is4() != addr.Is4() {
		return fmt.Errorf("source %v for %v: %w", s, addr, unix.EAFNOSUPPORT)
	}
	fd, err := sock.Open(addr, unix.SOCK_STREAM, 0, w.opts)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	f := &flight{id: id, fd: fd, target: netip.AddrPortFrom(addr, target.Port()), sent: time.Now()}
	if err := w.launch(f); err != nil {
		unix.Close(fd)
		return err
	}
	w.flights[fd], w.byID[id] = f, f
	return nil
}

func (w *connectWire) launch(f *flight) error {
	v6 := f.target.Addr().Is6()
	if err := errqueue.Enable(f.fd, v6); err != nil {
		return fmt.Errorf("error queue: %w", err)
	}
	_ = errqueue.EnableTTL(f.fd, v6)
	err := unix.Connect(f.fd, sock.Sockaddr(f.target))
	// A refusal by connect itself, as a kernel may give it for its own
	// addresses, is found again by epoll, since it is also in the queue or a
	// reset; what else connect says is about this host.
	if err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect: %w", err)
	}
	if err := w.poll.Add(f.fd, unix.EPOLLOUT); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (w *connectWire) wait(until time.Time) ([]event, error) {
	events, err := w.poll.Wait(until)
	if err != nil {
		return nil, err
	}
	w.woken = time.Now()
	w.out = w.out[:0]
	for _, ev := range events {
		if f := w.flights[int(ev.Fd)]; f != nil {
			w.hear(f, ev.Events)
		}
	}
	return w.out, nil
}

// hear reads what became of an attempt. The error queue comes first and is
// authoritative: it tells an ICMP message from a reset.
func (w *connectWire) hear(f *flight, events uint32) {
	r, ok := Result{}, false
	local := localOf(f.fd)
	if events&unix.EPOLLERR != 0 {
		r, ok = w.queued(f, local.Addr())
	}
	if !ok {
		errno, err := unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil || errno == 0 && events&unix.EPOLLOUT == 0 {
			return // an error queue with nothing of interest
		}
		r = decideErrno(syscall.Errno(errno), f.target.Addr())
	}
	r.Local = local
	if r.State != StateNotTested && r.Reason != ReasonNoResponse {
		r.RTT = w.woken.Sub(f.sent)
	}
	w.out = append(w.out, event{id: f.id, result: decideSelf(r, f.target)})
	w.land(f)
}

// queued reads the error queue up to a message that decides.
func (w *connectWire) queued(f *flight, local netip.Addr) (Result, bool) {
	for {
		m, err := w.reader.Read(f.fd)
		if err != nil {
			return Result{}, false
		}
		if m.Origin != errqueue.ICMP && m.Origin != errqueue.ICMP6 {
			continue
		}
		switch m.ICMP.Kind {
		case icmperr.Redirect, icmperr.SourceQuench, icmperr.FragNeeded:
			continue // advice
		}
		return decideICMP(m.ICMP, m.Errno, local, f.target.Addr()), true
	}
}

func (w *connectWire) give(id int) Result {
	f := w.byID[id]
	r := decideErrno(unix.ETIMEDOUT, f.target.Addr())
	if neverSent(f.fd) {
		r = kept()
	}
	r.Local = localOf(f.fd)
	w.land(f)
	return r
}

// neverSent reports whether the kernel failed to hand the repeats of a SYN to
// the network, which is the only sign of a filter of this host that drops
// them: connect does not tell. A repeat is counted in tcpi_total_retrans when
// it is tried and in tcpi_retrans when it went out; one that waits for a
// neighbour's address is counted in tcpi_retransmits only.
func neverSent(fd int) bool {
	const synSent = 2
	i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && i.State == synSent && i.Retransmits > 0 &&
		i.Total_retrans == uint32(i.Retransmits) && i.Retrans == 0
}

// kept is the result of an attempt whose SYNs this host could not send.
func kept() Result {
	r := notTested(syscall.EPERM)
	r.Reason = ReasonLocalFilter
	r.Err = "the kernel could not send the SYN: a filter of this host drops it"
	return r
}

// land closes the socket. A connection that is open is reset, so that the
// target forgets it.
func (w *connectWire) land(f *flight) {
	_ = unix.SetsockoptLinger(f.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(f.fd)
	delete(w.flights, f.fd)
	delete(w.byID, f.id)
}

func (w *connectWire) close() {
	for _, f := range w.flights {
		w.land(f)
	}
	w.poll.Close()
}

func localOf(fd int) netip.AddrPort {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return sock.AddrPort(sa)
}
