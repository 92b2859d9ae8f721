package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmpsock"
	"github.com/netsonde/netsonde/internal/sock"
)

// network is what both methods share: sockets with one probe each, a poller
// over them, and the reading of error queues.
type network struct {
	poll    *sock.Poller
	reader  errqueue.Reader
	dst     netip.AddrPort
	v6      bool
	method  Method
	typ     int // SOCK_DGRAM or SOCK_STREAM
	size    int // of a packet, as asked for
	opts    sock.Options
	tos     int
	whole   bool   // set DF
	mss     int    // 0: the kernel's
	near    bool   // hosts on attached networks only
	proto   int    // 0: that of the type
	label   uint32 // IPv6 flow label
	spare   int    // an open socket for the next probe, -1 for none
	local   netip.Addr
	flow    Flow
	repeats int
	woken   time.Time // when the last wait returned

	flights map[int]*flight // by descriptor
	byID    map[int]*flight
	out     []answer
}

// flight is a probe with a socket of its own.
type flight struct {
	id, fd  int
	sent    time.Time
	checked bool // TCP: looked whether the SYN left this host
}

// describe returns a network without its sockets.
func describe(m Method, dst netip.Addr, o Options) *network {
	n := &network{
		dst: netip.AddrPortFrom(dst, o.Port), v6: dst.Is6(), method: m, typ: unix.SOCK_DGRAM, spare: -1, flow: FlowPerProbe,
		opts:    sock.Options{Device: o.Device, Mark: o.Mark, Source: o.Source, NetNS: o.NetNS},
		flights: map[int]*flight{}, byID: map[int]*flight{}, size: o.Size, tos: o.TOS, whole: o.DontFragment,
		mss: o.MSS, near: o.DontRoute,
	}
	if n.v6 {
		n.label = o.FlowLabel
	}
	if o.Lite {
		n.proto = unix.IPPROTO_UDPLITE
	}
	if n.opts.Port = o.SourcePort; m == MethodTCP {
		n.typ = unix.SOCK_STREAM
		if o.SourcePort != 0 {
			n.flow = FlowConstant
		}
	}
	return n
}

// headers returns the length of the IP header.
func (n *network) headers() int {
	if n.v6 {
		return 40
	}
	return 20
}

// newNetwork opens the first socket, so that options that cannot be had are
// an error of the trace and not of a probe. Close it.
func newNetwork(ctx context.Context, m Method, dst netip.Addr, o Options) (*network, error) {
	n := describe(m, dst, o)
	var err error
	if n.poll, err = sock.NewPoller(ctx); err != nil {
		return nil, err
	}
	if n.spare, err = n.open(); err != nil {
		n.spare = -1
		n.close()
		return nil, err
	}
	return n, nil
}

// open returns a socket that hears of errors, or the spare one.
func (n *network) open() (int, error) {
	if fd := n.spare; fd >= 0 {
		n.spare = -1
		return fd, nil
	}
	fd, err := sock.Open(n.dst.Addr(), n.typ, n.proto, n.opts)
	if err != nil {
		return -1, err
	}
	if err := n.listen(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (n *network) listen(fd int) error {
	if err := errqueue.Enable(fd, n.v6); err != nil {
		return err
	}
	if err := errqueue.EnableTTL(fd, n.v6); err != nil {
		return err
	}
	if err := n.header(fd); err != nil {
		return err
	}
	// Labels, stamps and flow labels are niceties that old kernels lack.
	_ = errqueue.EnableExtensions(fd, n.v6)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if n.v6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_AUTOFLOWLABEL, 0)
	}
	return nil
}

// header sets what was asked for in the IP header.
func (n *network) header(fd int) error {
	level, tos, discover := unix.IPPROTO_IP, unix.IP_TOS, unix.IP_MTU_DISCOVER
	if n.v6 {
		level, tos, discover = unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_MTU_DISCOVER
	}
	if n.tos != 0 {
		if err := unix.SetsockoptInt(fd, level, tos, n.tos); err != nil {
			return fmt.Errorf("set TOS %d: %w", n.tos, err)
		}
	}
	if n.mss != 0 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, n.mss); err != nil {
			return fmt.Errorf("set MSS %d: %w", n.mss, err)
		}
	}
	if n.near {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DONTROUTE, 1); err != nil {
			return fmt.Errorf("set SO_DONTROUTE: %w", err)
		}
	}
	if n.whole {
		if err := unix.SetsockoptInt(fd, level, discover, unix.IP_PMTUDISC_PROBE); err != nil {
			return fmt.Errorf("set DF: %w", err)
		}
	}
	return nil
}

// connect gives a socket its target; EINPROGRESS is success.
func (n *network) connect(fd int) error {
	err := n.dial(fd)
	if err != nil && err != unix.EINPROGRESS {
		if a := n.dst.Addr(); err == unix.EINVAL && a.IsLinkLocalUnicast() && a.Is6() {
			return fmt.Errorf("connect: %w: a link-local address needs an interface that is there, as in fe80::1%%eth0", err)
		}
		return fmt.Errorf("connect: %w", err)
	}
	if sa, err := unix.Getsockname(fd); err == nil && !n.local.IsValid() {
		n.local = sock.AddrPort(sa).Addr()
	}
	return nil
}

// events waits for sockets that have something to tell.
func (n *network) events(until time.Time) ([]unix.EpollEvent, error) {
	n.out = n.out[:0]
	events, err := n.poll.Wait(until)
	n.woken = time.Now()
	return events, err
}

// launch watches the socket of a probe.
func (n *network) launch(id, fd int, sent time.Time, events uint32) error {
	if err := n.poll.Add(fd, events); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	f := &flight{id: id, fd: fd, sent: sent}
	n.flights[fd], n.byID[id] = f, f
	return nil
}

// land closes the socket of a probe.
func (n *network) land(f *flight) {
	if n.typ == unix.SOCK_STREAM {
		if r, _ := repeats(f.fd); r > 0 {
			n.repeats += r
		}
		// A connection that is open is reset, so that the target forgets it.
		_ = unix.SetsockoptLinger(f.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	unix.Close(f.fd)
	delete(n.flights, f.fd)
	delete(n.byID, f.id)
}

func (n *network) forget(id int) {
	if f := n.byID[id]; f != nil {
		n.land(f)
	}
}

func (n *network) closeFlights() {
	for _, f := range n.flights {
		n.land(f)
	}
}

func (n *network) close() {
	n.closeFlights()
	if n.spare >= 0 {
		unix.Close(n.spare)
	}
	n.poll.Close()
}

// transient reports whether an error on sending is a shortage that passes.
func (n *network) transient(err error) bool {
	if errors.Is(err, icmpsock.ErrFull) {
		return true
	}
	for _, e := range []unix.Errno{
		unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EADDRNOTAVAIL, unix.EADDRINUSE,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// queued reads the next ICMP message from an error queue that says something
// about the path; false when there is none.
func (n *network) queued(fd int) (errqueue.Message, bool) {
	for {
		m, err := n.reader.Read(fd)
		if err != nil {
			return m, false
		}
		if m.Origin != errqueue.ICMP && m.Origin != errqueue.ICMP6 {
			continue
		}
		if advice(m.ICMP.Kind, n.size != 0) {
			continue
		}
		return m, true
	}
}

// icmpReply turns a message about a probe into its reply.
func (n *network) icmpReply(m errqueue.Message, sent time.Time) Reply {
	e := m.ICMP
	r := Reply{From: e.From, ICMP: &e, ReplyTTL: e.TTL}
	r.RTT, r.Stamp = rtt(sent, n.woken, m.Stamp)
	judge(&r, n.method, n.dst.Addr(), n.local)
	if r.Outcome == OutcomeNotSent {
		r.Errno = m.Errno
	}
	return r
}
