package ping

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/wire"
)

// forger answers echo requests with whatever ICMP error it is told to: those
// that no router of Linux sends, and quotes of every length.
type forger struct {
	fd   int
	v6   bool
	mu   sync.Mutex
	typ  uint8
	code uint8
	rest uint32
	cut  int    // bytes quoted of what follows the IP header; 0 is all, padded to 128 where an extension follows
	ext  []byte // RFC 4884 extension
}

func (f *forger) set(typ, code uint8, rest uint32, cut int, ext []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.typ, f.code, f.rest, f.cut, f.ext = typ, code, rest, cut, ext
}

// forge makes a host answer that way until the test ends.
func forge(t *testing.T, h *lab.Host, v6 bool) *forger {
	t.Helper()
	family, proto, ignore := unix.AF_INET, unix.IPPROTO_ICMP, "net/ipv4/icmp_echo_ignore_all"
	if v6 {
		family, proto, ignore = unix.AF_INET6, unix.IPPROTO_ICMPV6, "net/ipv6/icmp/echo_ignore_all"
	}
	h.Sysctl(ignore, "1")
	f := &forger{v6: v6}
	err := h.Do(func() (err error) {
		if f.fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto); err != nil {
			return err
		}
		return unix.SetsockoptTimeval(f.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000})
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 2048)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n, from, err := unix.Recvfrom(f.fd, buf, 0); err == nil {
				f.answer(withHeader(buf[:n], from), from)
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait(); unix.Close(f.fd) })
	return f
}

// withHeader puts the IPv6 header back that the kernel takes off.
func withHeader(b []byte, from unix.Sockaddr) []byte {
	sa, ok := from.(*unix.SockaddrInet6)
	if !ok {
		return b
	}
	h := wire.IPv6{Length: uint16(len(b)), NextHeader: wire.ProtoICMPv6, HopLimit: 63,
		Src: netip.AddrFrom16(sa.Addr), Dst: netip.MustParseAddr(server6)}
	packet := make([]byte, wire.IPv6Len, wire.IPv6Len+len(b))
	h.Put(packet)
	return append(packet, b...)
}

func (f *forger) answer(request []byte, to unix.Sockaddr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q, ok := wire.ParseQuote(request)
	h, _, isICMP := wire.ParseICMP(q.Transport)
	if !ok || !isICMP || h.Type != wire.ICMPEchoRequest && h.Type != wire.ICMPv6EchoRequest {
		return
	}
	quoted := request
	if f.cut > 0 {
		quoted = request[:len(request)-len(q.Transport)+f.cut]
	}
	if f.ext != nil {
		quoted = append(append([]byte(nil), quoted...), make([]byte, 128)...)[:128]
	}
	msg := make([]byte, 8, 8+len(quoted)+len(f.ext))
	msg[0], msg[1] = f.typ, f.code
	binary.BigEndian.PutUint32(msg[4:], f.rest)
	switch {
	case f.ext != nil && f.v6:
		msg[4] = 128 / 8
	case f.ext != nil:
		msg[5] = 128 / 4
	}
	msg = append(append(msg, quoted...), f.ext...)
	if !f.v6 {
		wire.SetICMPChecksum(msg)
	}
	unix.Sendto(f.fd, msg, 0, to)
}

// mplsStack is an extension with two labels, checksum included.
func mplsStack() ([]byte, []icmperr.Label) {
	b := []byte{0x20, 0, 0, 0, 0, 12, 1, 1, 0x00, 0x3e, 0x82, 0x01, 0x00, 0x3e, 0x95, 0xfe}
	binary.BigEndian.PutUint16(b[2:], wire.Checksum(b))
	return b, []icmperr.Label{{Label: 1000, TC: 1, TTL: 1}, {Label: 1001, TC: 2, Bottom: true, TTL: 254}}
}

// message is a type and a code.
type message struct{ typ, code uint8 }

// Every ICMP error that the kernel hands on arrives with its type, code and
// sender, MTU and labels, with no capabilities and with quotes of 8 bytes.
func TestForgedErrors(t *testing.T) {
	client, _, server := twoNets(t)
	// The kernel keeps 11/1, reassembly, to itself (icmp_unreach).
	all4 := []message{{11, 0}, {12, 0}, {12, 1}, {12, 2}}
	for code := range uint8(16) {
		all4 = append(all4, message{3, code})
	}
	all6 := []message{{2, 0}, {3, 0}, {3, 1}, {4, 0}, {4, 1}, {4, 2}, {4, 3}, {1, 8}}
	for code := range uint8(8) {
		all6 = append(all6, message{1, code})
	}
	f4, f6 := forge(t, server, false), forge(t, server, true)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Timeout: 5 * time.Second})
		for _, m := range all4 {
			expectForged(t, e, f4, m, server4)
		}
		for _, m := range all6 {
			expectForged(t, e, f6, m, server6)
		}
	})
	short := openIn(t, client, false, Options{Timeout: 300 * time.Millisecond})
	for _, m := range []message{{4, 0}, {5, 1}} {
		f4.set(m.typ, m.code, binary.BigEndian.Uint32([]byte{10, 1, 0, 1}), 0, nil)
		if r := mustPing(t, short, server4); r.Outcome != OutcomeTimeout {
			t.Errorf("type %d is advice, not %v", m.typ, r.Outcome)
		}
	}
}

// expectForged pings a host whose forger answers with m, with quotes of all
// lengths, with labels and without.
func expectForged(t *testing.T, e *Engine, f *forger, m message, host string) {
	t.Helper()
	ext, labels := mplsStack()
	extensible := f.v6 && (m.typ == 1 || m.typ == 3) || !f.v6 && m != message{3, 4}
	for _, cut := range []int{0, 8, 12} {
		for _, withLabels := range []bool{false, true} {
			if withLabels && !extensible {
				continue // there is no place to say where the quote ends
			}
			want := icmperr.New(netip.MustParseAddr(host), m.typ, m.code)
			want.TTL = 63
			rest, e2 := uint32(0), []byte(nil)
			if want.Kind == icmperr.FragNeeded {
				rest, want.MTU = 1400, 1400
			}
			if withLabels {
				e2, want.Labels = ext, labels
			}
			f.set(m.typ, m.code, rest, cut, e2)
			r := mustPing(t, e, host)
			what := fmt.Sprintf("%s: type %d code %d, %d bytes quoted, labels %t", host, m.typ, m.code, cut, withLabels)
			if r.Outcome != OutcomeICMPError {
				t.Errorf("%s: %v", what, r.Outcome)
			} else if d := cmp.Diff(want, *r.ICMP, equal); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
	}
}
