package trace

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// udpFlows sends each flow from a socket of its own.
type udpFlows struct {
	*udpWire
	flows   []udpFlow
	byFD    map[int]int    // flow by descriptor
	flowOf  map[int]int    // by the number of a probe
	ports   map[uint16]int // flow by port
	sockets int            // at most
	clock   int            // counts uses
	alone   bool           // a flow has one probe in flight, and answers are for that
}

// udpFlow is the socket of a flow. It keeps its port when it is closed.
type udpFlow struct {
	fd       int // -1: closed
	port     uint16
	inFlight int
	used     int
	probe    int // the last one
}

// maxFlowSockets is how many sockets are open at most.
const maxFlowSockets = 512

func newUDPFlows(ctx context.Context, dst netip.Addr, o Options) (*udpFlows, error) {
	n, err := newNetwork(ctx, MethodUDP, dst, o)
	if err != nil {
		return nil, err
	}
	s := &udpFlows{udpWire: newUDPWire(n), byFD: map[int]int{}, flowOf: map[int]int{}, ports: map[uint16]int{}, sockets: maxFlowSockets}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		s.sockets = int(min(maxFlowSockets, max(1, limit.Cur/2)))
	}
	return s, nil
}

func (s *udpFlows) network() *network { return s.udpWire.network }

func (s *udpFlows) name(flow int) FlowID { return FlowID(s.flow(flow).port) }

func (s *udpFlows) flow(i int) *udpFlow {
	for len(s.flows) <= i {
		s.flows = append(s.flows, udpFlow{fd: -1, probe: -1})
	}
	return &s.flows[i]
}

func (s *udpFlows) close() {
	for i := range s.flows {
		s.shut(&s.flows[i])
	}
	s.network().close()
}

func (s *udpFlows) shut(f *udpFlow) {
	if f.fd >= 0 {
		unix.Close(f.fd)
		delete(s.byFD, f.fd)
		f.fd = -1
	}
}

func (s *udpFlows) sendFlow(id, flow, ttl int) error {
	f := s.flow(flow)
	if f.fd < 0 {
		if err := s.connectFlow(flow); err != nil {
			return err
		}
		f = s.flow(flow)
	}
	binary.BigEndian.PutUint32(s.payload[keyLen:], uint32(id))
	sent, err := s.emit(f.fd, ttl)
	if err != nil {
		return err
	}
	s.clock++
	f.used, f.probe = s.clock, id
	f.inFlight++
	s.udpWire.sent[id], s.flowOf[id] = sent, flow
	return nil
}

// connectFlow opens the socket of a flow, in place of the one that was idle
// longest when there are as many as there may be.
func (s *udpFlows) connectFlow(flow int) error {
	if len(s.byFD) >= s.sockets && !s.evict() {
		return unix.EMFILE // for the moment
	}
	f := s.flow(flow)
	fd, port, err := s.openFlow(flow)
	if err == unix.EMFILE && s.evict() {
		fd, port, err = s.openFlow(flow)
	}
	if err != nil {
		return err
	}
	if err := s.poll.Add(fd, unix.EPOLLIN); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	f.fd, f.port = fd, port
	s.byFD[fd], s.ports[port] = flow, flow
	return nil
}

// openFlow returns the socket of a flow, and its port. The system may offer the
// port of another flow whose socket is closed: that is held until another port
// is found.
func (s *udpFlows) openFlow(flow int) (fd int, port uint16, err error) {
	const tries = 16
	var held []int
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	for range tries {
		fd, err := s.openFrom(s.flow(flow).port)
		if err != nil {
			return -1, 0, err
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			unix.Close(fd)
			return -1, 0, os.NewSyscallError("getsockname", err)
		}
		port := sock.AddrPort(sa).Port()
		if other, ok := s.ports[port]; !ok || other == flow {
			return fd, port, nil
		}
		held = append(held, fd)
	}
	return -1, 0, unix.EADDRINUSE // for the moment
}

// openPort returns a socket with a source port, 0 for any.
func (n *network) openPort(port uint16) (int, error) {
	if port == 0 {
		return n.open()
	}
	o := n.opts
	o.Port = port
	fd, err := sock.Open(n.dst.Addr(), n.typ, 0, o)
	if err != nil {
		return -1, err
	}
	if err := n.listen(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openFrom returns a connected socket with a source port, 0 for any. An IPv6
// socket does not compete for it with IPv4 ones, unless a source is given.
func (n *network) openFrom(port uint16) (int, error) {
	alone := n.v6 && !n.opts.Source.IsValid()
	late := port
	if alone {
		port = 0
	}
	fd, err := n.openPort(port)
	if err != nil {
		return -1, err
	}
	if alone {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
		if err == nil && late != 0 {
			err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet6{Port: int(late)}))
		}
	}
	if err == nil {
		err = n.connect(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// evict closes the socket that has been idle longest. Its last answers may
// still be on their way only when they are not waited for any more.
func (s *udpFlows) evict() bool {
	oldest := -1
	for _, i := range s.byFD {
		if f := &s.flows[i]; f.inFlight == 0 && (oldest < 0 || f.used < s.flows[oldest].used) {
			oldest = i
		}
	}
	if oldest < 0 {
		return false
	}
	s.shut(&s.flows[oldest])
	return true
}

func (s *udpFlows) wait(until time.Time) ([]answer, error) {
	n := s.network()
	events, err := n.events(until)
	if err != nil {
		return nil, err
	}
	for _, ev := range events {
		if flow, ok := s.byFD[int(ev.Fd)]; ok {
			s.hearFlow(&s.flows[flow])
		}
	}
	return n.out, nil
}

func (s *udpFlows) hearFlow(f *udpFlow) {
	n := s.network()
	for {
		m, ok := n.queued(f.fd)
		if !ok {
			break
		}
		if m.Dst.Port() != n.dst.Port() || !same(m.Dst.Addr(), n.dst.Addr()) {
			continue
		}
		id, ok := s.number(m)
		if !ok && s.alone && f.inFlight > 0 {
			id, ok = f.probe, true
		}
		if !ok {
			s.unclear()
			continue
		}
		s.landFlow(id, n.icmpReply(m, s.udpWire.sent[id]))
	}
	if !s.data(f.fd) {
		return
	}
	if !s.alone || f.inFlight == 0 {
		s.unclear()
		return
	}
	r := Reply{Outcome: OutcomeOpen, From: n.dst.Addr()}
	r.RTT, r.Stamp = rtt(s.udpWire.sent[f.probe], n.woken, time.Time{})
	s.landFlow(f.probe, r)
}

// unclear tells of an answer that may be for several probes, but not of one
// that came too late.
func (s *udpFlows) unclear() {
	if !s.alone {
		s.network().out = append(s.network().out, answer{unclear: true})
	}
}

func (s *udpFlows) landFlow(id int, r Reply) {
	s.forget(id)
	s.network().out = append(s.network().out, answer{id: id, reply: r})
}

// forget says that nothing more is expected for a probe.
func (s *udpFlows) forget(id int) {
	if flow, ok := s.flowOf[id]; ok {
		s.flows[flow].inFlight--
		delete(s.flowOf, id)
	}
}

func (s *udpFlows) split() { s.alone = true }

// tcpFlows opens a connection a probe, from the port of its flow.
type tcpFlows struct {
	*tcpWire
	ports []uint16 // by flow
}

func newTCPFlows(ctx context.Context, dst netip.Addr, o Options) (*tcpFlows, error) {
	n, err := newNetwork(ctx, MethodTCP, dst, o)
	if err != nil {
		return nil, err
	}
	return &tcpFlows{tcpWire: &tcpWire{n}}, nil
}

func (s *tcpFlows) network() *network { return s.tcpWire.network }

func (s *tcpFlows) close() { s.network().close() }

func (s *tcpFlows) name(flow int) FlowID {
	if flow < len(s.ports) {
		return FlowID(s.ports[flow])
	}
	return 0
}

func (s *tcpFlows) sendFlow(id, flow, ttl int) error {
	for len(s.ports) <= flow {
		s.ports = append(s.ports, 0)
	}
	port, err := s.sendFrom(id, ttl, s.ports[flow])
	if err == nil {
		s.ports[flow] = port
	}
	return err
}

// icmpFlows sends all flows from one socket.
type icmpFlows struct{ *icmpWire }

func newICMPFlows(ctx context.Context, dst netip.Addr, o Options) (*icmpFlows, error) {
	w, err := newICMPWire(ctx, dst, o)
	if err != nil {
		return nil, err
	}
	return &icmpFlows{w}, nil
}

func (s *icmpFlows) network() *network { return s.icmpWire.network }

func (s *icmpFlows) close() { s.end() }

func (s *icmpFlows) name(flow int) FlowID { return FlowID(flow) }

func (s *icmpFlows) sendFlow(id, flow, ttl int) error {
	s.shift = uint16(flow)
	return s.send(id, ttl)
}
