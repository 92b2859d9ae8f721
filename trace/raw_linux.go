package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/mmsg"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
	packet "github.com/netsonde/netsonde/internal/wire"
)

// rawSockets are the sockets of an engine; -1 are those that it does without.
type rawSockets struct {
	icmp   [2]int // raw, of both families: sends all probes, hears ICMP
	tcp    [2]int // raw: hears segments
	udp    int    // bound to the source port: hears data
	held   int    // TCP, bound to the source port
	wakefd int
	opt    EngineOptions
	port   rawPorts
	poll   [6]unix.PollFd

	families [2]bool

	in    *mmsg.Batch
	out   [2]*mmsg.Batch // by lane
	heard heard

	cookie  uint64 // of the namespace
	askKept bool   // source addresses are asked for with one socket

	mu     sync.Mutex // for what follows
	ask    int        // asks for source addresses
	closed bool
}

// What is in poll.
const (
	rawICMP4 = iota
	rawICMP6
	rawTCP4
	rawTCP6
	rawUDP
	rawWake
)

const rawNeed = "CAP_NET_RAW; trace.UDP, trace.TCP and trace.ICMP work without it"

func openRaw(o EngineOptions) (rawNet, error) {
	s := &rawSockets{icmp: [2]int{-1, -1}, tcp: [2]int{-1, -1}, udp: -1, held: -1, wakefd: -1, ask: -1, opt: o}
	err := sock.InNamespace(o.NetNS, s.open)
	if err == nil {
		s.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	for i, fd := range []int{s.icmp[0], s.icmp[1], s.tcp[0], s.tcp[1], s.udp, s.wakefd} {
		s.poll[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	s.families = [2]bool{s.icmp[0] >= 0, s.icmp[1] >= 0}
	// An ICMP message that quotes a whole packet of an Ethernet fits.
	s.in = mmsg.New(rawBatch, 2048, 128)
	s.out = [2]*mmsg.Batch{mmsg.New(rawBatch/2, 128, 0), mmsg.New(rawBatch/2, 128, 0)}
	return s, nil
}

// open opens what the methods need, on a thread in the right namespace.
func (s *rawSockets) open() error {
	udp, tcp := slices.Contains(s.opt.Methods, MethodUDP), slices.Contains(s.opt.Methods, MethodTCP)
	var err error
	if udp {
		if s.udp, s.port.udp, err = s.bound(unix.SOCK_DGRAM); err != nil {
			return err
		}
	}
	if tcp {
		if s.held, s.port.tcp, err = s.bound(unix.SOCK_STREAM); err != nil {
			return err
		}
	}
	var b [1]byte
	sock.Random(b[:])
	s.port.echo = uint16(b[0]) << 8
	var errs [2]error
	for i, family := range []int{4, 6} {
		if s.opt.Family == 0 || s.opt.Family == family {
			errs[i] = s.openFamily(i, tcp)
		}
	}
	if s.icmp[0] < 0 && s.icmp[1] < 0 {
		return errors.Join(errs[:]...)
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return err
		}
	}
	return s.rememberNamespace()
}

func closeFD(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

// bound opens a socket that keeps a port, in both families where there are two.
func (s *rawSockets) bound(typ int) (fd int, port uint16, err error) {
	any := netip.IPv6Unspecified()
	if s.opt.Family == 4 {
		any = netip.IPv4Unspecified()
	}
	fd, err = sock.Open(any, typ, 0, sock.Options{})
	if errors.Is(err, unix.EAFNOSUPPORT) && s.opt.Family == 0 {
		any = netip.IPv4Unspecified()
		fd, err = sock.Open(any, typ, 0, sock.Options{})
	}
	if err != nil {
		return -1, 0, err
	}
	if any.Is6() {
		only := 0
		if s.opt.Family == 6 {
			only = 1
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
		_ = errqueue.EnableTTL(fd, true)
	}
	if any.Is4() || s.opt.Family == 0 {
		_ = errqueue.EnableTTL(fd, false)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	err = unix.Bind(fd, sock.Sockaddr(netip.AddrPortFrom(any, 0)))
	var sa unix.Sockaddr
	if err == nil {
		sa, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, 0, fmt.Errorf("reserve a source port: %w", err)
	}
	return fd, sock.AddrPort(sa).Port(), nil
}

// openFamily opens the raw sockets of a family.
func (s *rawSockets) openFamily(i int, tcp bool) error {
	proto, addr := unix.IPPROTO_ICMP, netip.IPv4Unspecified()
	if i == 1 {
		proto, addr = unix.IPPROTO_ICMPV6, netip.IPv6Unspecified()
	}
	var err error
	if s.icmp[i], err = s.raw(addr, proto, s.port.filterICMP(i == 1)); err != nil {
		s.icmp[i] = -1
		return err
	}
	// What this host has learned of path MTUs does not hold up probes.
	if i == 0 {
		err = errors.Join(unix.SetsockoptInt(s.icmp[i], unix.IPPROTO_IP, unix.IP_HDRINCL, 1),
			unix.SetsockoptInt(s.icmp[i], unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE))
	} else {
		err = errors.Join(unix.SetsockoptInt(s.icmp[i], unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1),
			unix.SetsockoptInt(s.icmp[i], unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE),
			errqueue.EnableTTL(s.icmp[i], true))
	}
	if err == nil {
		err = filterTypes(s.icmp[i], i == 1)
	}
	if err == nil && tcp {
		if s.tcp[i], err = s.raw(addr, unix.IPPROTO_TCP, s.port.filterTCP(i == 1)); err != nil {
			s.tcp[i] = -1
		} else if i == 1 {
			err = errqueue.EnableTTL(s.tcp[i], true)
		}
	}
	return err
}

// rawBuffer is asked for in both directions; without CAP_NET_ADMIN the kernel
// cuts it down to net.core.rmem_max and wmem_max.
const rawBuffer = 8 << 20

// raw opens a raw socket that hears what a filter lets through.
func (s *rawSockets) raw(addr netip.Addr, proto int, filter []unix.SockFilter) (int, error) {
	fd, err := sock.Open(addr, unix.SOCK_RAW, proto, sock.Options{Device: s.opt.Device, Mark: s.opt.Mark})
	if err != nil {
		if operr.NeedOf(err) == "" {
			err = operr.Need(err, rawNeed)
		}
		return -1, err
	}
	if err := attach(fd, filter); err != nil {
		unix.Close(fd)
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], rawBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], rawBuffer)
		}
	}
	return fd, nil
}

func (s *rawSockets) ports() rawPorts { return s.port }

func (s *rawSockets) has(v6 bool) bool {
	if v6 {
		return s.families[1]
	}
	return s.families[0]
}

// send sends probes of one family, each batch with one system call.
func (s *rawSockets) send(v6 bool, ps []rawProbe, lane int) (int, error) {
	fd, out := s.icmp[0], s.out[lane]
	if v6 {
		fd = s.icmp[1]
	}
	ps = ps[:min(len(ps), out.Len())]
	for i := range ps {
		f := ps[i].flow
		f.put(out.Data(i, f.length()), ps[i].token, ps[i].ttl)
		out.To(i, f.dst, 0, f.zone)
	}
	sent := 0
	for sent < len(ps) {
		start := time.Now()
		n, err := out.Send(fd, sent, len(ps))
		if err != nil {
			return sent, err
		}
		// The kernel sends them one after the other.
		each := time.Since(start) / time.Duration(n)
		for i := range n {
			ps[sent+i].sent = start.Add(each * time.Duration(i))
		}
		sent += n
	}
	return sent, nil
}

func (s *rawSockets) transient(err error) bool {
	for _, e := range []unix.Errno{unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// rawReads is how many batches are read in a row from a socket.
const rawReads = 8

func (s *rawSockets) receive(mix uint64, f func(*heard)) (all bool, err error) {
	all = true
	for i := range rawWake {
		if s.poll[i].Fd < 0 || s.poll[i].Revents == 0 {
			continue
		}
		s.poll[i].Revents = 0
		n := s.in.Len()
		for k := 0; n == s.in.Len(); k++ {
			if k == rawReads {
				all = false
				break
			}
			n, err = s.in.Receive(int(s.poll[i].Fd), 0)
			if err == unix.ENETDOWN || err == unix.ENODEV {
				err, n = nil, 0 // the device went down, and may come back
			}
			if err != nil {
				return false, fmt.Errorf("receive: %w", err)
			}
			for j := range n {
				s.take(i, j, mix, f)
			}
		}
	}
	return all, nil
}

// take reads message j of the batch, which came to a socket.
func (s *rawSockets) take(where, j int, mix uint64, f func(*heard)) {
	data, oob, cut := s.in.Got(j)
	from := s.in.From(j)
	h, ok := heard{}, false
	ttl := 0
	switch where {
	case rawICMP4, rawTCP4:
		ip, payload, valid := packet.ParseIPv4(data)
		// What a raw socket of IPv4 hears nobody has checked yet. A checksum
		// of TCP may be left to a device that is none.
		if !valid || where == rawICMP4 && !cut && packet.Checksum(payload) != 0 {
			return
		}
		ttl = int(ip.TTL)
		if where == rawICMP4 {
			h, ok = s.port.parseICMP(false, ip.Src, payload, mix)
		} else {
			h, ok = s.port.parseTCP(ip.Src, payload)
		}
	case rawICMP6:
		h, ok = s.port.parseICMP(true, from.Addr(), data, mix)
	case rawTCP6:
		h, ok = s.port.parseTCP(from.Addr(), data)
	case rawUDP:
		h, ok = parseData(from, data), true
	}
	if !ok {
		return
	}
	s.heard = h
	s.heard.ttl = ttl
	s.heard.control(oob)
	f(&s.heard)
}

// control reads what the kernel adds to a packet.
func (h *heard) control(oob []byte) {
	for len(oob) > 0 {
		hdr, value, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		oob = rest
		switch {
		case hdr.Level == unix.SOL_SOCKET && hdr.Type == unix.SO_TIMESTAMPNS:
			h.stamp = sock.Stamp(value)
		case (hdr.Level == unix.SOL_IPV6 && hdr.Type == unix.IPV6_HOPLIMIT || hdr.Level == unix.SOL_IP && hdr.Type == unix.IP_TTL) && len(value) >= 4:
			h.ttl = int(int32(binary.NativeEndian.Uint32(value)))
		}
	}
}

func (s *rawSockets) wait(d time.Duration) error {
	var ts *unix.Timespec
	if d >= 0 {
		t := unix.NsecToTimespec(int64(d))
		ts = &t
	}
	_, err := unix.Ppoll(s.poll[:], ts, nil)
	if err == unix.EINTR {
		err = nil
	}
	if s.poll[rawWake].Revents != 0 {
		s.poll[rawWake].Revents = 0
		var b [8]byte
		unix.Read(s.wakefd, b[:])
	}
	return err
}

func (s *rawSockets) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		unix.Write(s.wakefd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (s *rawSockets) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, fd := range []*int{&s.icmp[0], &s.icmp[1], &s.tcp[0], &s.tcp[1], &s.udp, &s.held, &s.wakefd, &s.ask} {
		closeFD(fd)
	}
	return nil
}
