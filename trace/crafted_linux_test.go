package trace_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/wire"
	"github.com/netsonde/netsonde/trace"
)

// frames hands every frame that a port of a host receives to a function, with
// a way to send frames from there. It returns when it is ready.
func frames(t testing.TB, h *lab.Host, port *lab.Port, see func(frame []byte, send func([]byte))) {
	t.Helper()
	var f *os.File
	err := h.Do(func() error {
		proto := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(proto))
		if err != nil {
			return err
		}
		f = os.NewFile(uintptr(fd), "packets")
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: port.Index()})
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err == nil && n > 14 && string(buf[:6]) == string(port.HardwareAddr()) {
				see(buf[:n], func(b []byte) { f.Write(b) })
			}
		}
	})
	t.Cleanup(func() { f.Close(); wg.Wait() })
}

// probe is a UDP probe as seen by a router.
type probe struct {
	src, dst     netip.Addr
	sport, dport uint16
	ttl          uint8
	label        uint32
	packet       []byte // from the IP header on
}

func parseProbe(frame []byte) (p probe, ok bool) {
	p.packet = frame[14:]
	q, ok := wire.ParseQuote(p.packet)
	if !ok || q.Protocol != wire.ProtoUDP {
		return p, false
	}
	p.src, p.dst, p.ttl, p.label = q.Src, q.Dst, q.TTL, q.FlowLabel
	p.sport, p.dport, _, ok = wire.QuotedPorts(q.Transport)
	return p, ok
}

// exceededFrame is the answer of a router that quotes n bytes of the IP payload
// and appends an extension structure, if any.
func exceededFrame(frame []byte, p probe, from netip.Addr, n int, ext []byte) []byte {
	hdr := wire.IPv4Len
	if p.src.Is6() {
		hdr = wire.IPv6Len
	}
	quoted := p.packet[:min(len(p.packet), hdr+n)]
	if ext != nil { // RFC 4884: at least 128 bytes, in words of 32 or 64 bits
		quoted = append(append([]byte{}, quoted...), make([]byte, 128-len(quoted))...)
	}
	msg := make([]byte, 8, 8+len(quoted)+len(ext))
	msg = append(append(msg, quoted...), ext...)
	out := append(append([]byte{}, frame[6:12]...), frame[0:6]...) // back where it came from
	out = append(out, frame[12:14]...)
	if p.src.Is4() {
		msg[0] = 11
		if ext != nil {
			msg[5] = 128 / 4
		}
		wire.SetICMPChecksum(msg)
		h := wire.IPv4{Length: uint16(wire.IPv4Len + len(msg)), TTL: 64, Protocol: wire.ProtoICMP, Src: from, Dst: p.src}
		var b [wire.IPv4Len]byte
		h.Put(b[:])
		return append(append(out, b[:]...), msg...)
	}
	msg[0] = 3
	if ext != nil {
		msg[4] = 128 / 8
	}
	sum := wire.Sum(wire.PseudoHeader(from.AsSlice(), p.src.AsSlice(), wire.ProtoICMPv6, len(msg)), msg)
	binary.BigEndian.PutUint16(msg[2:], wire.Fold(sum))
	h := wire.IPv6{Length: uint16(len(msg)), NextHeader: wire.ProtoICMPv6, HopLimit: 64, Src: from, Dst: p.src}
	var b [wire.IPv6Len]byte
	h.Put(b[:])
	return append(append(out, b[:]...), msg...)
}

// answerFor has router n of a chain answer expired probes with crafted
// messages in place of its own.
func (c *chain) answerFor(t *testing.T, n, quote int, ext []byte) {
	r := c.routers[n-1]
	r.Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	frames(t, r, c.up[n], func(frame []byte, send func([]byte)) {
		p, ok := parseProbe(frame)
		if !ok || p.ttl != 1 {
			return
		}
		family := 6
		if p.src.Is4() {
			family = 4
		}
		send(exceededFrame(frame, p, router(family, n), quote, ext))
	})
}

// TestShortQuotes has a router quote eight bytes of UDP, as RFC 792 allows, so
// that its answers do not say which probe they are for.
func TestShortQuotes(t *testing.T) {
	c := newChain(t, 3)
	c.answerFor(t, 2, 8, nil)
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.UDP{}, c.target(family))
		if d := cmp.Diff(reached(family, c, "port_unreachable"), words(p)); d != "" {
			t.Errorf("IPv%d (-want +got)\n%s", family, d)
		}
		if p.Flow != trace.FlowPerProbe {
			t.Errorf("IPv%d: flow %v", family, p.Flow)
		}
	}
}

// TestExtensions has a router append MPLS labels (RFC 4950).
func TestExtensions(t *testing.T) {
	c := newChain(t, 3)
	ext := []byte{0x20, 0, 0, 0, 0, 12, 1, 1, 0x01, 0x23, 0x44, 0xfe, 0x05, 0x67, 0x8b, 0x01}
	binary.BigEndian.PutUint16(ext[2:], wire.Checksum(ext))
	c.answerFor(t, 2, 100, ext)
	want := []trace.Label{{Label: 0x1234, TC: 2, TTL: 0xfe}, {Label: 0x5678, TC: 5, Bottom: true, TTL: 1}}
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.UDP{}, c.target(family))
		if d := cmp.Diff(reached(family, c, "port_unreachable"), words(p)); d != "" || p.Flow != trace.FlowConstant {
			t.Errorf("IPv%d, flow %v (-want +got)\n%s", family, p.Flow, d)
			continue
		}
		if d := cmp.Diff(want, p.Hops[1].Replies[0].ICMP.Labels); d != "" {
			t.Errorf("IPv%d (-want +got)\n%s", family, d)
		}
		if got := p.Hops[0].Replies[0].ICMP.Labels; got != nil {
			t.Errorf("IPv%d: router 1 has labels %v", family, got)
		}
	}
}

// TestConstantFlow looks at the probes of one trace where routers see them.
func TestConstantFlow(t *testing.T) {
	c := newChain(t, 4)
	var mu sync.Mutex
	type flow struct {
		src, dst     netip.Addr
		sport, dport uint16
		label        uint32
	}
	seen := map[flow]int{}
	frames(t, c.routers[0], c.up[1], func(frame []byte, _ func([]byte)) {
		if p, ok := parseProbe(frame); ok {
			mu.Lock()
			seen[flow{p.src, p.dst, p.sport, p.dport, p.label}]++
			mu.Unlock()
		}
	})
	sent := 0
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.UDP{Options: trace.Options{Queries: 3}}, c.target(family))
		if p.Flow != trace.FlowConstant || p.Packets < 15 {
			t.Errorf("IPv%d: flow %v, %d packets", family, p.Flow, p.Packets)
		}
		sent += p.Packets
	}
	waitFor(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, v := range seen {
			n += v
		}
		return n == sent
	})
	if len(seen) != 2 {
		t.Errorf("%d flows for two traces: %v", len(seen), seen)
	}
}

// TestDataBack has a server answer probes with data, which does not say which
// probe it is for.
func TestDataBack(t *testing.T) {
	c := newChain(t, 2)
	var conn net.PacketConn
	err := c.server.Do(func() (err error) {
		conn, err = net.ListenPacket("udp", ":33434")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(buf[:n], from)
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	for _, family := range []int{4, 6} {
		p := c.trace(t, trace.UDP{}, c.target(family))
		if d := cmp.Diff(reached(family, c, "open"), words(p)); d != "" {
			t.Errorf("IPv%d (-want +got)\n%s", family, d)
		}
	}
}
