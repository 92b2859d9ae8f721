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
func forge(t *testing.T, h *lab.Host) *forger {
	t.Helper()
	h.Sysctl("net/ipv4/icmp_echo_ignore_all", "1")
	f := &forger{}
	err := h.Do(func() (err error) {
		if f.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP); err != nil {
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
			if n, _, err := unix.Recvfrom(f.fd, buf, 0); err == nil {
				f.answer(buf[:n])
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait(); unix.Close(f.fd) })
	return f
}

func (f *forger) answer(request []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ip, payload, ok := wire.ParseIPv4(request)
	if h, _, isICMP := wire.ParseICMP(payload); !ok || !isICMP || h.Type != wire.ICMPEchoRequest {
		return
	}
	quoted := request
	if f.cut > 0 {
		quoted = request[:wire.IPv4Len+f.cut]
	}
	if f.ext != nil {
		quoted = append(append([]byte(nil), quoted...), make([]byte, 128)...)[:128]
	}
	msg := make([]byte, 8, 8+len(quoted)+len(f.ext))
	msg[0], msg[1] = f.typ, f.code
	binary.BigEndian.PutUint32(msg[4:], f.rest)
	if f.ext != nil {
		msg[5] = 128 / 4
	}
	msg = append(append(msg, quoted...), f.ext...)
	wire.SetICMPChecksum(msg)
	unix.Sendto(f.fd, msg, 0, &unix.SockaddrInet4{Addr: ip.Src.As4()})
}

// mplsStack is an extension with two labels, checksum included.
func mplsStack() ([]byte, []icmperr.Label) {
	b := []byte{0x20, 0, 0, 0, 0, 12, 1, 1, 0x00, 0x3e, 0x82, 0x01, 0x00, 0x3e, 0x95, 0xfe}
	binary.BigEndian.PutUint16(b[2:], wire.Checksum(b))
	return b, []icmperr.Label{{Label: 1000, TC: 1, TTL: 1}, {Label: 1001, TC: 2, Bottom: true, TTL: 254}}
}

// Every ICMP error that the kernel hands on arrives with its type, code and
// sender, MTU and labels, with no capabilities and with quotes of 8 bytes.
func TestForgedErrors(t *testing.T) {
	client, _, server := twoNets(t)
	f := forge(t, server)
	ext, labels := mplsStack()
	sender := netip.MustParseAddr(server4)
	type message struct{ typ, code uint8 }
	var all []message
	for code := range uint8(16) {
		all = append(all, message{3, code})
	}
	// The kernel keeps 11/1, reassembly, to itself (icmp_unreach).
	all = append(all, message{11, 0}, message{12, 0})
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Timeout: 5 * time.Second})
		for _, m := range all {
			for _, cut := range []int{0, 8, 12} {
				for _, withLabels := range []bool{false, true} {
					tooBig := m == message{3, 4}
					if withLabels && tooBig {
						continue // its MTU is where the length of the quote would be
					}
					want := icmperr.New(sender, m.typ, m.code)
					want.TTL = 63
					rest, e2 := uint32(0), []byte(nil)
					if tooBig {
						rest, want.MTU = 1400, 1400
					}
					if withLabels {
						e2, want.Labels = ext, labels
					}
					f.set(m.typ, m.code, rest, cut, e2)
					r := mustPing(t, e, server4)
					what := fmt.Sprintf("type %d code %d, %d bytes quoted, labels %t", m.typ, m.code, cut, withLabels)
					if r.Outcome != OutcomeICMPError {
						t.Errorf("%s: %v", what, r.Outcome)
					} else if d := cmp.Diff(want, *r.ICMP, equal); d != "" {
						t.Errorf("%s (-want +got):\n%s", what, d)
					}
				}
			}
		}
	})
	short := openIn(t, client, false, Options{Timeout: 300 * time.Millisecond})
	for _, m := range []message{{4, 0}, {5, 1}} {
		f.set(m.typ, m.code, binary.BigEndian.Uint32([]byte{10, 1, 0, 1}), 0, nil)
		if r := mustPing(t, short, server4); r.Outcome != OutcomeTimeout {
			t.Errorf("type %d is advice, not %v", m.typ, r.Outcome)
		}
	}
}
