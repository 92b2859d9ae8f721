package icmpsock

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// Two sockets never have the same identifier, and nobody can take one that is
// in use: not by asking for it, at another address or in the other family, nor
// by letting others share. A raw socket has a block of its own making.
func TestIdentifiersAreOurs(t *testing.T) {
	h := lab.New(t).Host("h")
	seen := map[uint16]bool{}
	var c *Conn
	for range 20 {
		c = openIn(t, h, Config{Payload: make([]byte, 8)})
		for _, v6 := range []bool{false, true} {
			if err := c.Grow(v6, MaxIDs); err != nil {
				t.Fatal(err)
			}
			ids := c.IDs(v6)
			if len(ids) != MaxIDs || slices.Contains(ids, 0) {
				t.Errorf("identifiers %v", ids)
			}
			for _, id := range ids {
				if seen[id] {
					t.Errorf("identifier %d twice", id)
				}
				seen[id] = true
			}
		}
	}
	if !c.Exclusive() {
		t.Error("unprivileged and not exclusive")
	}
	err := h.Do(func() error {
		for id := range seen {
			for _, reuse := range []int{0, 1} {
				if err := take(unix.AF_INET, &unix.SockaddrInet4{Port: int(id)}, reuse); err != unix.EADDRINUSE {
					t.Errorf("taking identifier %d, reuse %d: %v", id, reuse, err)
				}
				if err := take(unix.AF_INET, &unix.SockaddrInet4{Port: int(id), Addr: [4]byte{127, 0, 0, 1}}, reuse); err != unix.EADDRINUSE {
					t.Errorf("taking identifier %d at 127.0.0.1, reuse %d: %v", id, reuse, err)
				}
				if err := take(unix.AF_INET6, &unix.SockaddrInet6{Port: int(id)}, reuse); err != unix.EADDRINUSE {
					t.Errorf("taking identifier %d for IPv6, reuse %d: %v", id, reuse, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if raw := openIn(t, h, Config{Choice: Raw}); raw.Exclusive() || len(raw.IDs(false)) != MaxIDs || raw.Grow(true, MaxIDs) != nil {
		t.Errorf("raw: exclusive %t, %v", raw.Exclusive(), raw.IDs(false))
	}
}

// take binds a foreign ping socket.
func take(family int, sa unix.Sockaddr, reuse int) error {
	proto := unix.IPPROTO_ICMP
	if family == unix.AF_INET6 {
		proto = unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuse); err != nil {
		return err
	}
	return unix.Bind(fd, sa)
}

// A packet goes out with the identifier that it names and its reply, its stamp
// and the error about it come back under that one, also through sockets that
// were opened while another goroutine was waiting.
func TestIdentifiersKeepApart(t *testing.T) {
	for _, choice := range []Choice{Datagram, Raw} {
		h := lab.New(t).Host("h")
		c := openIn(t, h, Config{Choice: choice, Payload: make([]byte, 8), TTL: 9})
		waited := make(chan error)
		go func() { waited <- c.Wait(time.Minute) }()
		for _, dst := range []string{"127.0.0.1", "::1"} {
			v6 := dst == "::1"
			if err := c.Grow(v6, 4); err != nil {
				t.Fatal(err)
			}
			if waited != nil {
				if err := <-waited; err != nil {
					t.Fatal(err)
				}
				waited = nil
			}
			var ps []Packet
			for i := range 40 {
				ps = append(ps, Packet{Dst: netip.MustParseAddr(dst), ID: uint8(i / 3 % 4), Seq: uint16(i), Key: uint32(i), NoStamp: i%2 == 1})
			}
			if n, err := c.Send(v6, ps); n != len(ps) || err != nil {
				t.Fatalf("sent %d, %v", n, err)
			}
			replies, stamps := 0, map[uint32]bool{}
			for replies < len(ps) {
				if err := c.Wait(10 * time.Second); err != nil {
					t.Fatal(err)
				}
				_, err := c.Receive(func(m *Message) {
					switch m.Kind {
					case Reply:
						replies++
						if want := ps[m.Seq]; m.ID != want.ID || m.V6 != v6 {
							t.Errorf("%v %s: reply %d under identifier %d, want %d", choice, dst, m.Seq, m.ID, want.ID)
						}
					case Sent:
						stamps[m.Key] = true
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for i := range ps {
				if all := !c.socks[0][0].keyed; stamps[uint32(i)] != (i%2 == 0 || all) {
					t.Errorf("%v %s: stamp of packet %d: %t", choice, dst, i, stamps[uint32(i)])
				}
			}
		}
		if n, err := c.Send(false, []Packet{{Dst: netip.MustParseAddr("127.0.0.1"), ID: 5}}); choice == Datagram && (n != 0 || err != unix.EADDRNOTAVAIL) {
			t.Errorf("an identifier that is not there: sent %d, %v", n, err)
		}
	}
}

// Without descriptors no identifier is added, and what is there goes on. A
// thread in another namespace adds to the namespace of the first.
func TestGrowShort(t *testing.T) {
	l := lab.New(t)
	h, other := l.Host("h"), l.Host("other")
	c := openIn(t, h, Config{Payload: make([]byte, 8)})
	if err := other.Do(func() error { return c.Grow(false, 3) }); err != nil || len(c.IDs(false)) != 3 {
		t.Errorf("from another namespace: %v, %v", c.IDs(false), err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := c.Grow(false, 9)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("without descriptors: %v", err)
	}
	if n, err := c.Send(false, packets("127.0.0.1", 0, 3)); n != 3 || err != nil {
		t.Errorf("after it: %d, %v", n, err)
	}
	gather(t, c, Reply, 3)
}
