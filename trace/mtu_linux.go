package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// Modes of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, the same numbers.
const (
	pmtuProbe     = unix.IP_PMTUDISC_PROBE
	pmtuInterface = unix.IP_PMTUDISC_INTERFACE
)

// mtuNet sends packets that must not be fragmented. A socket that sends them
// (IP_PMTUDISC_PROBE) has the kernel note what routers say about the path MTU;
// so the answers are heard by another socket with the same number, to which
// the kernel prefers to give them, and which notes nothing
// (IP_PMTUDISC_INTERFACE). IPv6 has no such way: it drops the messages for such
// sockets (__udp6_lib_err), and notes those about echoes itself (icmpv6_err).
type mtuNet struct {
	*network
	echo, udp pair         // -1 where there is none
	pairs     map[int]pair // by listening descriptor: those of one datagram each
	owner     map[int]int  // probe of such a pair
	alone     bool         // each datagram from a socket of its own
	key       [keyLen]byte
	base      uint16
	sent      []time.Time
	buf       []byte
	found     []mtuAnswer
}

// pair is a socket that sends and one that listens, which may be the same.
type pair struct{ tx, rx int }

func (p pair) close() {
	if p.tx >= 0 {
		unix.Close(p.tx)
	}
	if p.rx >= 0 && p.rx != p.tx {
		unix.Close(p.rx)
	}
}

func newMTUNet(ctx context.Context, dst netip.Addr, o MTUOptions) (*mtuNet, error) {
	n := describe(MethodUDP, dst, Options{Port: o.Port, Device: o.Device, Mark: o.Mark, Source: o.Source, NetNS: o.NetNS, Size: 1})
	w := &mtuNet{network: n, echo: pair{-1, -1}, udp: pair{-1, -1}, pairs: map[int]pair{}, owner: map[int]int{}, buf: make([]byte, 65536)}
	sock.Random(w.key[:])
	w.base = binary.BigEndian.Uint16(w.key[:])
	var err error
	if n.poll, err = sock.NewPoller(ctx); err != nil {
		return nil, err
	}
	// Without echo requests datagrams have to do.
	if w.echo, err = w.openEcho(); err != nil && !noEcho(err) {
		w.close()
		return nil, err
	}
	if w.udp, err = w.openUDP(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// noEcho reports whether this user or this kernel has no echo sockets.
func noEcho(err error) bool {
	return slices.ContainsFunc([]error{unix.EACCES, unix.EPERM, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.ENOPROTOOPT}, func(e error) bool {
		return errors.Is(err, e)
	})
}

func (w *mtuNet) close() {
	w.echo.close()
	w.udp.close()
	for _, p := range w.pairs {
		p.close()
	}
	w.network.close()
}

func (w *mtuNet) discover(fd, mode int) error {
	if w.v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, mode)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mode)
}

// socket opens one that hears of errors, with options beyond the usual.
func (w *mtuNet) socket(typ, proto, mode int, share bool) (int, error) {
	o := w.opts
	o.Source = netip.Addr{} // bound later, when it may be shared
	fd, err := sock.Open(w.dst.Addr(), typ, proto, o)
	if err != nil {
		return -1, err
	}
	err = w.listen(fd)
	if err == nil {
		err = w.discover(fd, mode)
	}
	if err == nil && share {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openUDP opens the listening socket, connected, and then the sending one with
// the same address and port.
func (w *mtuNet) openUDP() (p pair, err error) {
	p = pair{-1, -1}
	defer func() {
		if err != nil {
			p.close()
			p = pair{-1, -1}
		}
	}()
	mode := pmtuInterface
	if w.v6 {
		mode = pmtuProbe
	}
	if p.rx, err = w.socket(unix.SOCK_DGRAM, 0, mode, true); err != nil {
		return p, err
	}
	if w.opts.Source.IsValid() {
		if err = unix.Bind(p.rx, sock.Sockaddr(netip.AddrPortFrom(w.opts.Source, 0))); err != nil {
			return p, err
		}
	}
	if err = w.connect(p.rx); err != nil {
		return p, err
	}
	here, err := unix.Getsockname(p.rx)
	if err != nil {
		return p, err
	}
	if p.tx, err = w.socket(unix.SOCK_DGRAM, 0, pmtuProbe, true); err != nil {
		return p, err
	}
	if err = unix.Bind(p.tx, here); err != nil {
		return p, fmt.Errorf("bind: %w", err)
	}
	return p, w.poll.Add(p.rx, unix.EPOLLIN)
}

// openEcho opens the sockets for echo requests. Of two with one identifier the
// younger one is given what arrives (ping_lookup).
func (w *mtuNet) openEcho() (p pair, err error) {
	p = pair{-1, -1}
	defer func() {
		if err != nil {
			p.close()
			p = pair{-1, -1}
		}
	}()
	proto, from := unix.IPPROTO_ICMP, netip.IPv4Unspecified()
	if w.v6 {
		proto, from = unix.IPPROTO_ICMPV6, netip.IPv6Unspecified()
	}
	if w.opts.Source.IsValid() {
		from = w.opts.Source
	}
	if p.tx, err = w.socket(unix.SOCK_DGRAM, proto, pmtuProbe, false); err != nil {
		return p, err
	}
	if err = unix.Bind(p.tx, sock.Sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
		return p, err
	}
	if p.rx = p.tx; !w.v6 {
		here, err := unix.Getsockname(p.tx)
		if err != nil {
			return p, err
		}
		if p.rx, err = w.socket(unix.SOCK_DGRAM, proto, pmtuInterface, false); err != nil {
			return p, err
		}
		if err = unix.Bind(p.rx, here); err != nil {
			return p, err
		}
		if err = w.poll.Add(p.tx, unix.EPOLLIN); err != nil {
			return p, err
		}
	}
	return p, w.poll.Add(p.rx, unix.EPOLLIN)
}

// localMTU asks the interface: a packet longer than its MTU is refused with
// that number (ip(7), EMSGSIZE). Where none can be, as on the loopback, it is
// what the kernel says of the route, or the longest there is.
func (w *mtuNet) localMTU() (int, error) {
	longest := mtuMax - w.headers() - 8
	w.mark(w.buf, -1)
	err := w.write(w.udp.tx, w.buf[:longest], w.dst, 1)
	if err == nil {
		if w.v6 {
			return unix.GetsockoptInt(w.udp.rx, unix.IPPROTO_IPV6, unix.IPV6_MTU)
		}
		return unix.GetsockoptInt(w.udp.rx, unix.IPPROTO_IP, unix.IP_MTU)
	}
	if !errors.Is(err, unix.EMSGSIZE) {
		return 0, err
	}
	for {
		m, err := w.reader.Read(w.udp.tx)
		if err != nil {
			return 0, fmt.Errorf("the kernel does not say the MTU of the interface: %w", err)
		}
		if m.Origin == errqueue.Local && m.Errno == unix.EMSGSIZE {
			return m.MTU, nil
		}
	}
}

func (w *mtuNet) hasEcho() bool { return w.echo.tx >= 0 }

// write sends a packet. An ICMP message that was queued fails the next send,
// which says nothing about it.
func (w *mtuNet) write(fd int, b []byte, to netip.AddrPort, ttl int) (err error) {
	if err := w.setTTL(fd, ttl); err != nil {
		return err
	}
	for range 5 {
		_, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err = unix.Sendto(fd, b, 0, sock.Sockaddr(to)); err == nil {
			return nil
		}
		if errors.Is(err, unix.EMSGSIZE) {
			break
		}
	}
	return fmt.Errorf("send: %w", err)
}

// send lets probe id out.
func (w *mtuNet) send(id int, p mtuProbe) error {
	for len(w.sent) <= id {
		w.sent = append(w.sent, time.Time{})
	}
	b := w.buf[:p.size-w.headers()-8]
	if p.echo {
		b = w.buf[:p.size-w.headers()]
		clear(b[:8])
		b[0] = 8
		if w.v6 {
			b[0] = 128
		}
		binary.BigEndian.PutUint16(b[6:], w.base+uint16(id))
		w.mark(b[8:], id)
		w.sent[id] = time.Now()
		return w.write(w.echo.tx, b, netip.AddrPortFrom(w.dst.Addr(), 0), p.ttl)
	}
	w.mark(b, id)
	fd := w.udp.tx
	if w.alone {
		p, err := w.openUDP()
		if err != nil {
			return err
		}
		w.pairs[p.rx], w.owner[p.rx] = p, id
		fd = p.tx
	}
	w.sent[id] = time.Now()
	return w.write(fd, b, w.dst, p.ttl)
}

func (w *mtuNet) mark(b []byte, id int) {
	copy(b, w.key[:])
	binary.BigEndian.PutUint32(b[keyLen:], uint32(id))
}

// number finds out which probe bytes belong to.
func (w *mtuNet) number(b []byte) (id int, ok bool) {
	if len(b) < keyLen+4 || string(b[:keyLen]) != string(w.key[:]) {
		return 0, false
	}
	id = int(int32(binary.BigEndian.Uint32(b[keyLen:])))
	return id, id >= 0 && id < len(w.sent)
}

// wait returns answers, none when the time has come.
func (w *mtuNet) wait(until time.Time) ([]mtuAnswer, error) {
	w.found = w.found[:0]
	events, err := w.events(until)
	if err != nil {
		return nil, err
	}
	for _, ev := range events {
		switch fd := int(ev.Fd); fd {
		case w.echo.rx, w.echo.tx:
			w.hearEcho(fd)
		default:
			w.hearUDP(fd)
		}
	}
	return w.found, nil
}

func (w *mtuNet) hearUDP(fd int) {
	for {
		m, ok := w.queued(fd)
		if !ok {
			break
		}
		id, ok := w.number(m.Quoted)
		if owner, alone := w.owner[fd]; alone {
			id, ok = owner, true
		}
		if !ok {
			// Too little is quoted to tell whose answer it is.
			w.alone = w.alone || len(m.Quoted) < keyLen+4
			continue
		}
		w.note(id, m)
	}
	for range 64 {
		n, err := unix.Read(fd, w.buf[:keyLen+4])
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			continue
		}
		id, ok := w.number(w.buf[:n])
		if owner, alone := w.owner[fd]; alone {
			id, ok = owner, true
		}
		if !ok {
			w.alone = true
			continue
		}
		w.reached(id, 0, time.Time{})
	}
}

func (w *mtuNet) hearEcho(fd int) {
	for {
		m, ok := w.queued(fd)
		if !ok {
			break
		}
		if len(m.Quoted) < 8 || !same(m.Dst.Addr(), w.dst.Addr()) {
			continue
		}
		id := int(binary.BigEndian.Uint16(m.Quoted[6:]) - w.base)
		if len(m.Quoted) >= 8+keyLen+4 {
			if n, ok := w.number(m.Quoted[8:]); !ok || n != id {
				continue
			}
		}
		if id < len(w.sent) && !w.sent[id].IsZero() {
			w.note(id, m)
		}
	}
	var oob [256]byte
	for range 64 {
		n, oobn, _, from, err := unix.Recvmsg(fd, w.buf[:8+keyLen+4], oob[:], unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			break
		}
		if err != nil || n < 8 || !same(sock.AddrPort(from).Addr(), w.dst.Addr()) {
			continue
		}
		if id, ok := w.number(w.buf[8:n]); ok {
			m := errqueue.Message{Origin: errqueue.ICMP}
			m.Parse(oob[:oobn])
			w.reached(id, m.ICMP.TTL, m.Stamp)
		}
	}
}

func (w *mtuNet) reached(id, ttl int, stamp time.Time) {
	a := mtuAnswer{id: id, kind: mtuReached, from: w.dst.Addr(), replyTTL: ttl}
	a.rtt, _ = rtt(w.sent[id], w.woken, stamp)
	w.found = append(w.found, a)
}

// note says what an ICMP message means for the size of its packet.
func (w *mtuNet) note(id int, m errqueue.Message) {
	e := m.ICMP
	a := mtuAnswer{id: id, kind: mtuRefused, from: e.From, replyTTL: e.TTL, icmp: &e}
	a.rtt, _ = rtt(w.sent[id], w.woken, m.Stamp)
	switch {
	case e.Kind == icmperr.FragNeeded:
		a.kind = mtuTooBig
	case e.Kind == icmperr.TimeExceeded:
		a.kind = mtuExceeded
	case same(e.From, w.dst.Addr()) && e.Kind.Unreachable():
		a.kind = mtuReached
	}
	w.found = append(w.found, a)
}

func findMTU(ctx context.Context, dst netip.Addr, o MTUOptions) (PathMTU, error) {
	p := PathMTU{Target: dst, Steps: []MTUStep{}, Hops: []MTUHop{}, Started: time.Now()}
	o, err := o.withDefaults(dst)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return p, operr.New("trace: mtu", dst, err)
	}
	w, err := newMTUNet(ctx, dst, o)
	if err != nil {
		return p, operr.New("trace: mtu", dst, err)
	}
	defer w.close()
	p.Source = w.local
	if p.LocalMTU, err = w.localMTU(); err == nil {
		err = p.findHops(ctx, o, w.hasEcho())
	}
	if err == nil {
		s := newMTUSearch(o, &p, w, time.Now)
		err = s.run()
		s.report()
	}
	p.Elapsed = time.Since(p.Started)
	return p, operr.New("trace: mtu", dst, err)
}

// findHops traces with small packets, by echo requests, which no rate limit of
// the target hinders, and if they do not get there by datagrams.
func (p *PathMTU) findHops(ctx context.Context, o MTUOptions, echo bool) error {
	to := Options{
		Port: o.Port, MaxTTL: o.MaxTTL, Timeout: o.Timeout, Device: o.Device, Mark: o.Mark, Source: o.Source, NetNS: o.NetNS,
	}
	best := Path{}
	for _, m := range []Method{MethodICMP, MethodUDP} {
		if m == MethodICMP && !echo {
			continue
		}
		path, err := trace(ctx, m, p.Target, to, nil)
		p.Packets += path.Packets
		if err != nil {
			return errors.Unwrap(err)
		}
		if best.Method == MethodUnknown || path.answering() > best.answering() || path.Reached && !best.Reached {
			best = path
		}
		if best.Reached {
			break
		}
	}
	p.setHops(best)
	return nil
}
