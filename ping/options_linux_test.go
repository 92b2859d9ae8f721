package ping

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// patient is the timeout where an answer is sure to come.
const patient = 30 * time.Second

// The identifier that was asked for is used, in both families, and nobody else
// gets it from an unprivileged socket.
func TestIdentifierAsked(t *testing.T) {
	client, _, server := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{Identifier: 258, Timeout: patient})
		if ids := e.Identifiers(); !slices.Equal(ids.IPv4, []uint16{258}) || !slices.Equal(ids.IPv6, []uint16{258}) {
			t.Errorf("identifiers %+v", ids)
		}
		for _, to := range []string{server4, server6} {
			heard := listen(t, server, to)
			if r := mustPing(t, e, to); r.Outcome != OutcomeReply {
				t.Errorf("%s: %v", to, r.Outcome)
			}
			if got := binary.BigEndian.Uint16((<-heard).icmp[4:]); got != 258 {
				t.Errorf("%s: identifier %d on the wire", to, got)
			}
		}
		// More in flight than one identifier has numbers for: none is added.
		if err := e.conn.Grow(false, 2); err == nil || len(e.Identifiers().IPv4) != 1 {
			t.Errorf("grown to %v, error %v", e.Identifiers(), err)
		}
		again, err := Open(&Options{Identifier: 258, Method: e.Method(), NetNS: client.NetNSFD()})
		if err == nil {
			again.Close()
		}
		if taken := errors.Is(err, unix.EADDRINUSE); taken != (e.Method() == MethodICMPDatagram) {
			t.Errorf("the same once more: %v", err)
		}
	})
	zero := openIn(t, client, true, Options{Identifier: -1, Timeout: patient})
	if r := mustPing(t, zero, server4); r.Outcome != OutcomeReply || r.Method != MethodICMPRaw || zero.Identifiers().IPv4[0] != 0 {
		t.Errorf("identifier 0: %v by %v", r.Outcome, r.Method)
	}
	if _, err := Open(&Options{Identifier: -1, Method: MethodICMPDatagram}); err == nil {
		t.Error("identifier 0 of an unprivileged socket")
	}
}

// flowInfo is IPV6_FLOWINFO of linux/in6.h.
const flowInfo = 11

// heard is a request that arrived.
type heard struct {
	icmp []byte
	flow uint32 // IPv6: flow label
}

// listen tells the next echo request or node query that reaches a host.
func listen(t *testing.T, h *lab.Host, own string) <-chan heard {
	t.Helper()
	fd := -1
	v6 := netip.MustParseAddr(own).Is6()
	err := h.Do(func() (err error) {
		if !v6 {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
			return err
		}
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, flowInfo, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20})
	got := make(chan heard, 1)
	go func() {
		defer close(got)
		defer unix.Close(fd)
		for buf, oob := make([]byte, 4096), make([]byte, 256); ; {
			n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
			if err != nil {
				got <- heard{icmp: make([]byte, 8)}
				return
			}
			x := heard{icmp: buf[:n]}
			if !v6 {
				x.icmp = buf[20:n]
			}
			if x.icmp[0] != 8 && x.icmp[0] != 128 && x.icmp[0] != nodeQueryType {
				continue
			}
			msgs, _ := unix.ParseSocketControlMessage(oob[:oobn])
			for _, m := range msgs {
				if m.Header.Level == unix.SOL_IPV6 && m.Header.Type == flowInfo {
					x.flow = binary.BigEndian.Uint32(m.Data) & 0xfffff
				}
			}
			got <- x
			return
		}
	}()
	return got
}

func TestFlowLabel(t *testing.T) {
	client, _, server := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		// Two engines may have the same one.
		for range 2 {
			e := open(t, client, Options{FlowLabel: 0x12345, TOS: 0x28, Timeout: patient})
			arrives := listen(t, server, server6)
			if r := mustPing(t, e, server6); r.Outcome != OutcomeReply {
				t.Errorf("%v", r.Outcome)
			}
			if got := (<-arrives).flow; got != 0x12345 {
				t.Errorf("flow label %#x", got)
			}
			if r := mustPing(t, e, server4); r.Outcome != OutcomeReply {
				t.Errorf("IPv4: %v", r.Outcome)
			}
		}
	})
	if _, err := Open(&Options{FlowLabel: 1 << 20}); err == nil {
		t.Error("21 bits")
	}
}

// Past the routing table only the hosts of the own networks are reached.
func TestDontRoute(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{DontRoute: true, Timeout: patient})
		if r := mustPing(t, e, gw4); r.Outcome != OutcomeReply {
			t.Errorf("the neighbour: %v %s", r.Outcome, r.Err)
		}
		if r := mustPing(t, e, server4); r.Outcome != OutcomeLocalError || r.Err != unix.ENETUNREACH.Error() {
			t.Errorf("behind a router: %v %s", r.Outcome, r.Err)
		}
	})
}

func TestConnect(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		for to, others := range map[string][]string{server4: {gw4, server6}, server6: {gw6, server4}} {
			e := open(t, client, Options{Connect: netip.MustParseAddr(to), Timeout: patient})
			for range 3 {
				if r := mustPing(t, e, to); r.Outcome != OutcomeReply {
					t.Errorf("%s: %v %s", to, r.Outcome, r.Err)
				}
			}
			for _, other := range others {
				if r, err := e.Ping(t.Context(), netip.MustParseAddr(other)); err == nil {
					t.Errorf("connected to %s, %s: %v", to, other, r.Outcome)
				}
				for r := range e.Stream(t.Context(), []netip.Addr{netip.MustParseAddr(other)}, &StreamOptions{Count: 1}) {
					if r.Outcome != OutcomeLocalError {
						t.Errorf("connected to %s, a run to %s: %v", to, other, r.Outcome)
					}
				}
			}
		}
	})
	client.Unreachable("10.9.1.0/24")
	if _, err := Open(&Options{Connect: netip.MustParseAddr("10.9.1.1"), NetNS: client.NetNSFD()}); !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("no way there: %v", err)
	}
}

// A send buffer that is too small for a burst makes it slow, and loses nothing.
func TestSendBuffer(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{SendBuffer: 1, Size: 1400, Timeout: patient})
		for r, err := range e.Stream(t.Context(), slices.Repeat([]netip.Addr{netip.MustParseAddr(server4)}, 1), &StreamOptions{Count: 50, Preload: 50, Interval: time.Millisecond}) {
			if err != nil || r.Outcome != OutcomeReply {
				t.Errorf("%v %s, error %v", r.Outcome, r.Err, err)
			}
		}
	})
}

// A packet that no buffer of that size can take is told, and not tried for ever.
func TestSendBufferTooSmall(t *testing.T) {
	client, _, _ := twoNets(t)
	each(t, func(t *testing.T, open func(testing.TB, *lab.Host, Options) *Engine) {
		e := open(t, client, Options{SendBuffer: 1, Size: 60000, Timeout: patient})
		if r := mustPing(t, e, server4); r.Outcome != OutcomeLocalError || r.Err != unix.ENOBUFS.Error() {
			t.Errorf("%v %s", r.Outcome, r.Err)
		}
	})
}
