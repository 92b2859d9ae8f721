package trace_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/wire"
	"github.com/netsonde/netsonde/trace"
)

// anyProbe reads a packet of any method as a probe.
func anyProbe(frame []byte) (p probe, ok bool) {
	p.packet = frame[14:]
	q, ok := wire.ParseQuote(p.packet)
	if !ok || len(q.Transport) < 8 {
		return p, false
	}
	p.src, p.dst, p.ttl, p.label = q.Src, q.Dst, q.TTL, q.FlowLabel
	p.sport, p.dport, _, _ = wire.QuotedPorts(q.Transport)
	switch q.Protocol {
	case wire.ProtoUDP, wire.ProtoTCP:
		return p, true
	case wire.ProtoICMP, wire.ProtoICMPv6:
		return p, q.Transport[0] == wire.ICMPEchoRequest || q.Transport[0] == wire.ICMPv6EchoRequest
	}
	return p, false
}

func (p *probe) family() int {
	if p.src.Is4() {
		return 4
	}
	return 6
}

// answerAll has router n of a chain answer expired probes with what craft
// makes of them, in place of its own messages.
func (c *chain) answerAll(t testing.TB, n int, craft func(frame []byte, p probe) [][]byte) {
	r := c.routers[n-1]
	r.Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
	frames(t, r, c.up[n], func(frame []byte, send func([]byte)) {
		if p, ok := anyProbe(frame); ok && p.ttl == 1 {
			for _, answer := range craft(frame, p) {
				send(answer)
			}
		}
	})
}

// everyMethod traces by all methods in both families and compares.
func (c *chain) everyMethod(t *testing.T, e *trace.Engine, look func(m trace.Method, p trace.Path)) {
	t.Helper()
	for m, last := range lastWords {
		for _, family := range []int{4, 6} {
			p, err := e.Tracer(m, trace.Options{}).Trace(t.Context(), c.target(family))
			if d := cmp.Diff(reached(family, c, last), words(p)); d != "" || err != nil {
				t.Errorf("%v IPv%d: %v (-want +got)\n%s", m, family, err, d)
				continue
			}
			if look != nil {
				look(m, p)
			}
		}
	}
}

// Eight bytes of the transport header tell the probes apart.
func TestEngineShortQuotes(t *testing.T) {
	c := newChain(t, 3)
	c.answerAll(t, 2, func(frame []byte, p probe) [][]byte {
		return [][]byte{exceededFrame(frame, p, router(p.family(), 2), 8, nil)}
	})
	c.everyMethod(t, c.openEngine(t, trace.EngineOptions{}), func(m trace.Method, p trace.Path) {
		if p.Packets != 4 {
			t.Errorf("%v: %d packets", m, p.Packets)
		}
	})
}

// A router adds MPLS labels and the number of an interface (RFC 4950, RFC
// 5837). Every method tells of them, with privileges and without.
func TestEngineExtensions(t *testing.T) {
	c := newChain(t, 3)
	ext := []byte{
		0x20, 0, 0, 0,
		0, 12, 1, 1, 0x01, 0x23, 0x44, 0xfe, 0x05, 0x67, 0x8b, 0x01,
		0, 8, 2, 8, 0, 0, 0, 7,
	}
	binary.BigEndian.PutUint16(ext[2:], wire.Checksum(ext))
	c.answerAll(t, 2, func(frame []byte, p probe) [][]byte {
		return [][]byte{exceededFrame(frame, p, router(p.family(), 2), 100, ext)}
	})
	labels := []trace.Label{{Label: 0x1234, TC: 2, TTL: 0xfe}, {Label: 0x5678, TC: 5, Bottom: true, TTL: 1}}
	others := []trace.Extension{{Class: 2, Type: 8, Data: []byte{0, 0, 0, 7}}}
	look := func(m trace.Method, p trace.Path) {
		e := p.Hops[1].Replies[0].ICMP
		if d := cmp.Diff(labels, e.Labels) + cmp.Diff(others, e.Extensions); d != "" {
			t.Errorf("%v to %v (-want +got)\n%s", m, p.Target, d)
		}
		if e := p.Hops[0].Replies[0].ICMP; e.Labels != nil || e.Extensions != nil {
			t.Errorf("%v to %v: router 1 added %+v", m, p.Target, e)
		}
	}
	c.everyMethod(t, c.openEngine(t, trace.EngineOptions{}), look)
	for m := range lastWords {
		for _, family := range []int{4, 6} {
			if p := c.trace(t, unprivileged(m, trace.Options{}), c.target(family)); p.Distance() != 4 {
				t.Errorf("%v IPv%d: %v", m, family, words(p))
			} else {
				look(m, p)
			}
		}
	}
}

// lies are wrong quotes of a probe. One who has not seen the probe can know
// addresses and guess the rest.
var lies = map[string]func(packet []byte, hdr int){
	"another target":      func(b []byte, hdr int) { b[hdr-1]++ },
	"another source port": func(b []byte, hdr int) { b[hdr+1]++ },
	"another token":       func(b []byte, hdr int) { b[hdr+7] ^= 4; b[len(b)-1] ^= 4 },
	"random": func(b []byte, hdr int) {
		for i := hdr + 4; i < len(b); i++ {
			b[i] = byte(rand.Uint32())
		}
	},
	"a fragment": func(b []byte, hdr int) {
		if b[0]>>4 == 4 {
			b[7] = 9
			return
		}
		b[6] = wire.ProtoFragment
	},
	"no transport": func(b []byte, hdr int) {
		if b[0]>>4 == 4 {
			b[0] = 4<<4 | 15
			return
		}
		b[6] = wire.ProtoDestOpts
	},
}

// Messages about packets that were not sent are not believed, whatever they
// claim, and those that are right get through between them.
func TestEngineLies(t *testing.T) {
	c := newChain(t, 3)
	forger := map[int]netip.Addr{4: netip.MustParseAddr("10.9.0.66"), 6: netip.MustParseAddr("fd09::66")}
	var told atomic.Int64
	c.answerAll(t, 2, func(frame []byte, p probe) (answers [][]byte) {
		hdr := len(p.packet)
		q, _ := wire.ParseQuote(p.packet)
		hdr -= len(q.Transport)
		for name, lie := range lies {
			for _, n := range []int{8, 100} {
				if n == 8 && name == "another token" && p.family() == 6 && q.Protocol == wire.ProtoUDP {
					continue // 16 bits of checksum are all there is
				}
				wrong := p
				wrong.packet = slices.Clone(p.packet)
				lie(wrong.packet, hdr)
				answers = append(answers, exceededFrame(frame, wrong, forger[p.family()], n, nil))
			}
		}
		told.Add(int64(len(answers)))
		return append(answers, exceededFrame(frame, p, router(p.family(), 2), 100, nil))
	})
	c.everyMethod(t, c.openEngine(t, trace.EngineOptions{}), nil)
	if told.Load() < 50 {
		t.Errorf("only %d lies were told", told.Load())
	}
}

// answerUDP answers datagrams to port 33434 of the server, in both families.
func (c *chain) answerUDP(t testing.TB, answer func(b []byte) []byte) {
	t.Helper()
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
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(answer(buf[:n]), from)
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
}

// A server that answers UDP with data is at its distance, whether the data
// repeats the probe or not, and beyond a silent router too.
func TestEngineData(t *testing.T) {
	for name, answer := range map[string]func(b []byte) []byte{
		"echo": func(b []byte) []byte { return b }, "short": func([]byte) []byte { return []byte("?") },
		"long": func([]byte) []byte { return []byte("something that is longer than a probe") },
	} {
		c := newChain(t, 3)
		c.answerUDP(t, answer)
		c.routers[1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
		e := c.openEngine(t, trace.EngineOptions{})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				family := 4 + i%2*2
				p, err := e.Tracer(trace.MethodUDP, trace.Options{}).Trace(t.Context(), c.target(family))
				want := reached(family, c, "open")
				got := words(p)
				if len(got) == len(want) {
					want[1], got[1] = "", got[1][:0]
				}
				if d := cmp.Diff(want, got); d != "" || err != nil {
					t.Errorf("%s IPv%d: %v (-want +got)\n%s", name, family, err, d)
				}
			})
		}
		wg.Wait()
	}
}

// Traces to one open port take turns, and all find it.
func TestEngineOpenPort(t *testing.T) {
	c := newChain(t, 2)
	listen(t, c.server, 80)
	e := c.openEngine(t, trace.EngineOptions{Rate: -1})
	var wg sync.WaitGroup
	for i := range 40 {
		family := 4 + i%2*2
		wg.Go(func() {
			p, err := e.Tracer(trace.MethodTCP, trace.Options{Queries: 1 + i%3}).Trace(t.Context(), c.target(family))
			if d := cmp.Diff(reached(family, c, "open"), words(p)); d != "" || err != nil {
				t.Errorf("IPv%d: %v (-want +got)\n%s", family, err, d)
			}
			for _, h := range p.Hops {
				if n := len(h.Replies); n != 1+i%3 {
					t.Errorf("%d replies at TTL %d", n, h.TTL)
				}
			}
		})
	}
	wg.Wait()
}

// All packets of a trace are one flow, also where routers look at the ICMP
// checksum, and the source ports are nobody else's.
func TestEngineFlow(t *testing.T) {
	c := newChain(t, 4)
	var mu sync.Mutex
	flows := map[string]map[string]int{} // by protocol
	ports := map[string]uint16{}
	frames(t, c.routers[0], c.up[1], func(frame []byte, _ func([]byte)) {
		p, ok := anyProbe(frame)
		if !ok {
			return
		}
		q, _ := wire.ParseQuote(p.packet)
		flow := fmt.Sprint(p.src, p.dst, p.sport, p.dport, p.label)
		if q.Protocol == wire.ProtoICMP || q.Protocol == wire.ProtoICMPv6 {
			flow = fmt.Sprintf("%v %v %x", p.src, p.dst, q.Transport[:6]) // up to the identifier
		}
		mu.Lock()
		defer mu.Unlock()
		key := fmt.Sprint(q.Protocol, p.family())
		if flows[key] == nil {
			flows[key] = map[string]int{}
		}
		flows[key][flow]++
		ports[fmt.Sprint(q.Protocol)] = p.sport
	})
	e := c.openEngine(t, trace.EngineOptions{})
	sent := 0
	for m := range lastWords {
		for _, family := range []int{4, 6} {
			p, err := e.Tracer(m, trace.Options{Queries: 3}).Trace(t.Context(), c.target(family))
			if err != nil || p.Packets < 15 {
				t.Errorf("%v IPv%d: %v, %d packets", m, family, err, p.Packets)
			}
			sent += p.Packets
		}
	}
	waitFor(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, f := range flows {
			for _, v := range f {
				n += v
			}
		}
		return n == sent
	})
	for key, f := range flows {
		if len(f) != 1 {
			t.Errorf("protocol and family %s: flows %v", key, f)
		}
	}
	err := c.client.Do(func() error {
		for _, host := range []string{"0.0.0.0", "::"} {
			if l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(ports["6"]))); err == nil {
				l.Close()
				t.Errorf("port %d is free for TCP on %s", ports["6"], host)
			}
			if l, err := net.ListenPacket("udp", net.JoinHostPort(host, fmt.Sprint(ports["17"]))); err == nil {
				l.Close()
				t.Errorf("port %d is free for UDP on %s", ports["17"], host)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
