//go:build !linux

package icmpsock

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/wire"
)

// Conn is the sockets of both families. Send and Wake may be called at any
// time, Grow and Errors while another goroutine is in Wait; other calls must
// not overlap.
type Conn struct {
	cfg   Config
	socks [2]*icmp.PacketConn
	errs  [2]error
	id    uint16 // the first of MaxIDs, a multiple of that
	raw   bool
	why   string

	packets chan packet
	pending []packet
	wake    chan struct{}
	quit    chan struct{}
	readers sync.WaitGroup
	mu      sync.Mutex // for buf
	buf     []byte
	once    sync.Once
}

// packet is one that came, or the end of a reader.
type packet struct {
	v6   bool
	from netip.Addr
	ttl  int
	data []byte
	err  error
}

// Open opens the sockets, at least that of one family. The kind of socket is
// the same for both.
func Open(cfg Config) (*Conn, error) {
	if cfg.ID != 0 || cfg.FlowLabel != 0 || cfg.SendBuffer != 0 || cfg.DontRoute || cfg.Connect.IsValid() {
		return nil, operr.Unsupported("identifier, flow label, send buffer, routing, connect")
	}
	if cfg.Device != "" || cfg.Mark != 0 || cfg.NetNS != 0 || cfg.Fragment != 0 || len(cfg.Options) > 0 || cfg.Broadcast || cfg.NoLoop {
		return nil, operr.Unsupported("device, mark, namespace, fragmentation, IP options, broadcast")
	}
	c := &Conn{
		cfg: cfg, id: uint16(rand.N(1<<16/MaxIDs-1)+1) * MaxIDs, buf: make([]byte, wire.ICMPLen+len(cfg.Payload)),
		packets: make(chan packet, 256), wake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	for i, s := range c.socks {
		if s != nil {
			c.readers.Go(func() { c.read(s, i == 1) })
		}
	}
	return c, nil
}

func (c *Conn) open() error {
	var dgram error
	if c.cfg.Choice != Raw {
		if dgram = c.try("udp4", "udp6"); dgram == nil {
			c.why = runtime.GOOS + " lets everybody ping"
			return nil
		}
		if c.cfg.Choice == Datagram {
			return dgram
		}
	}
	c.raw = true
	err := c.try("ip4:icmp", "ip6:ipv6-icmp")
	if err == nil {
		c.why = "a raw socket was asked for"
		if dgram != nil {
			c.why = fmt.Sprintf("icmp_dgram is refused (%v)", dgram)
		}
	}
	return operr.Need(err, "the rights of an administrator")
}

func (c *Conn) try(networks ...string) error {
	for i, network := range networks {
		address := [2]string{"0.0.0.0", "::"}[i]
		if src := c.cfg.Source; src.IsValid() {
			if src.Is6() != (i == 1) {
				c.errs[i] = operr.New("source address", src, errors.New("is of the other family"))
				continue
			}
			address = src.String()
		}
		c.socks[i], c.errs[i] = icmp.ListenPacket(network, address)
		if c.errs[i] == nil {
			c.errs[i] = c.headers(i)
		}
	}
	if c.socks[0] == nil && c.socks[1] == nil {
		return c.errs[0]
	}
	return nil
}

// headers sets what the IP header of every packet says.
func (c *Conn) headers(i int) error {
	var errs []error
	if p := c.socks[i].IPv4PacketConn(); p != nil {
		p.SetControlMessage(ipv4.FlagTTL, true)
		if c.cfg.TTL > 0 {
			errs = append(errs, p.SetTTL(c.cfg.TTL), p.SetMulticastTTL(c.cfg.TTL))
		}
		if c.cfg.TOS != 0 {
			errs = append(errs, p.SetTOS(c.cfg.TOS))
		}
	}
	if p := c.socks[i].IPv6PacketConn(); p != nil {
		p.SetControlMessage(ipv6.FlagHopLimit, true)
		if c.cfg.TTL > 0 {
			errs = append(errs, p.SetHopLimit(c.cfg.TTL), p.SetMulticastHopLimit(c.cfg.TTL))
		}
		if c.cfg.TOS != 0 {
			errs = append(errs, p.SetTrafficClass(c.cfg.TOS))
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		c.socks[i].Close()
		c.socks[i] = nil
	}
	return err
}

func (c *Conn) read(s *icmp.PacketConn, v6 bool) {
	buf := make([]byte, max(len(c.cfg.Payload), 1280)+wire.ICMPLen)
	for {
		p := packet{v6: v6}
		var n int
		var from net.Addr
		if p4 := s.IPv4PacketConn(); p4 != nil {
			var cm *ipv4.ControlMessage
			n, cm, from, p.err = p4.ReadFrom(buf)
			if cm != nil {
				p.ttl = cm.TTL
			}
		} else {
			var cm *ipv6.ControlMessage
			n, cm, from, p.err = s.IPv6PacketConn().ReadFrom(buf)
			if cm != nil {
				p.ttl = cm.HopLimit
			}
		}
		p.from, p.data = hostOf(from), append([]byte(nil), buf[:n]...)
		select {
		case c.packets <- p:
		case <-c.quit:
			return
		}
		if p.err != nil {
			return
		}
	}
}

func hostOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.IPAddr:
		ip, _ := netip.AddrFromSlice(a.IP)
		return ip.Unmap().WithZone(a.Zone)
	}
	return netip.Addr{}
}

// Has returns why packets of a family cannot be sent, or nil.
func (c *Conn) Has(v6 bool) error {
	if v6 {
		return c.errs[1]
	}
	return c.errs[0]
}

// Raw reports which kind of socket it is.
func (c *Conn) Raw() bool { return c.raw }

// Why says why it is that kind.
func (c *Conn) Why() string { return c.why }

// IDs returns the ICMP identifiers of a family, in the order of Packet.ID.
func (c *Conn) IDs(v6 bool) (ids []uint16) {
	if c.Has(v6) != nil {
		return nil
	}
	for i := range uint16(MaxIDs) {
		ids = append(ids, c.id+i)
	}
	return ids
}

// Exclusive reports false: the system does not keep others from using them.
func (c *Conn) Exclusive() bool { return false }

// Grow has nothing to do: all identifiers are there from the beginning.
func (c *Conn) Grow(v6 bool, _ int) error { return c.Has(v6) }

// ours reports whether an identifier is one of ours.
func (c *Conn) ours(id uint16) bool { return id-id%MaxIDs == c.id }

// Stamped reports whether the kernel gives timestamps.
func (c *Conn) Stamped() bool { return false }

// Send sends packets of one family and returns how many went out; the error is
// about the first that did not.
func (c *Conn) Send(v6 bool, ps []Packet) (int, error) {
	i := 0
	if v6 {
		i = 1
	}
	if c.errs[i] != nil {
		return 0, c.errs[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range ps {
		p := &ps[n]
		request, _ := echo(v6)
		h := wire.ICMP{Type: request, ID: c.id + uint16(p.ID), Seq: p.Seq}
		copy(c.buf[h.Put(c.buf):], c.cfg.Payload)
		copy(c.buf[wire.ICMPLen:], p.Head[:min(HeadLen, len(c.cfg.Payload))])
		if !v6 {
			wire.SetICMPChecksum(c.buf)
		}
		var dst net.Addr = &net.UDPAddr{IP: p.Dst.AsSlice(), Zone: p.Dst.Zone()}
		if c.raw {
			dst = &net.IPAddr{IP: p.Dst.AsSlice(), Zone: p.Dst.Zone()}
		}
		if _, err := c.socks[i].WriteTo(c.buf, dst); err != nil {
			return n, err
		}
	}
	return len(ps), nil
}

// Wait waits until there is something to receive, until Wake or for d; a
// negative d is for ever, 0 only looks.
func (c *Conn) Wait(d time.Duration) error {
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case p := <-c.packets:
		c.pending = append(c.pending, p)
	case <-c.wake:
	case <-timer:
	}
	for len(c.packets) > 0 {
		c.pending = append(c.pending, <-c.packets)
	}
	return nil
}

// Pause is Wait: there are no stamps that would make up for a delay.
func (c *Conn) Pause(d time.Duration) error { return c.Wait(d) }

// Dropped returns 0: it is not known.
func (c *Conn) Dropped(bool) uint32 { return 0 }

// Receive calls f for each message that Wait found.
func (c *Conn) Receive(f func(*Message)) (all bool, err error) {
	for i := range c.pending {
		p := &c.pending[i]
		if p.err != nil && !errors.Is(p.err, os.ErrDeadlineExceeded) {
			err = p.err
			continue
		}
		c.message(p, f)
	}
	c.pending = c.pending[:0]
	return true, err
}

// Errors does nothing: there is no error queue.
func (c *Conn) Errors(bool, func(*Message)) error { return nil }

func (c *Conn) message(p *packet, f func(*Message)) {
	data := p.data
	// Darwin hands IPv4 packets over with their header.
	if !p.v6 && len(data) > wire.IPv4Len && data[0] == 0x45 {
		if h, payload, ok := wire.ParseIPv4(data); ok && h.Protocol == wire.ProtoICMP {
			data, p.ttl = payload, int(h.TTL)
		}
	}
	h, body, ok := wire.ParseICMP(data)
	request, reply := echo(p.v6)
	if !ok {
		return
	}
	m := Message{V6: p.v6, From: p.from, TTL: p.ttl, TOS: -1, Size: len(data)}
	switch {
	case h.Type == reply && c.ours(h.ID):
		m.ID = uint8(h.ID % MaxIDs)
		m.Kind, m.Seq, m.Payload = Reply, h.Seq, body
	case h.Type != reply && h.Type != request:
		quoted, ext := wire.SplitExtensions(p.v6, data, body)
		q, ok := wire.ParseQuote(quoted)
		inner, rest, ok2 := wire.ParseICMP(q.Transport)
		if !ok || !ok2 || q.FragOff != 0 || inner.Type != request || !c.ours(inner.ID) {
			return
		}
		m.ID = uint8(inner.ID % MaxIDs)
		m.Kind, m.Seq, m.Payload, m.Dst = Error, inner.Seq, rest, q.Dst
		m.ICMP = icmperr.New(p.from, h.Type, h.Code)
		m.ICMP.TTL = p.ttl
		m.ICMP.SetExtensions(ext)
		if m.ICMP.Kind == icmperr.FragNeeded {
			m.ICMP.MTU = int(h.Seq)
			if p.v6 {
				m.ICMP.MTU |= int(h.ID) << 16
			}
		}
	default:
		return
	}
	f(&m)
}

// Wake ends a Wait that is under way, or the next one.
func (c *Conn) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Close closes the sockets and ends their readers.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.quit)
		err = nil
		for _, s := range c.socks {
			if s != nil {
				s.Close()
			}
		}
		c.readers.Wait()
	})
	return err
}
