package mmsg

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/leak"
	"github.com/netsonde/netsonde/internal/sock"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// socket returns a datagram socket on an address of this host, and its port.
func socket(t testing.TB, addr netip.Addr) (fd int, port uint16) {
	t.Helper()
	fd, err := sock.Open(addr, unix.SOCK_DGRAM, 0, sock.Options{Source: addr})
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, sock.AddrPort(sa).Port()
}

// What is sent arrives in order, whole or marked as cut off, with its sender.
func TestBatch(t *testing.T) {
	for _, addr := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		a, aPort := socket(t, addr)
		b, bPort := socket(t, addr)
		out, in := New(8, 4, 0), New(5, 16, 64)
		for i := range out.Len() {
			text := fmt.Sprintf("%d", i)
			if i == 3 {
				text += " is longer than both buffers" // the first one grows
			}
			copy(out.Data(i, len(text)), text)
			out.To(i, addr, bPort, 0)
		}
		if n, err := out.Send(a, 1, 8); n != 7 || err != nil {
			t.Fatalf("%v: %d sent, %v", addr, n, err)
		}
		want := 1
		for _, most := range []int{5, 2, 0} {
			n, err := in.Receive(b, 0)
			if n != most || err != nil {
				t.Fatalf("%v: %d received, %v", addr, n, err)
			}
			for i := range n {
				data, _, cut := in.Got(i)
				if data[0] != byte('0'+want) || cut != (want == 3) || len(data) != map[bool]int{true: 16, false: 1}[cut] {
					t.Errorf("%v: message %d is %q, cut off %v", addr, want, data, cut)
				}
				if from := in.From(i); from != netip.AddrPortFrom(addr, aPort) {
					t.Errorf("from %v, want port %d", from, aPort)
				}
				want++
			}
		}
	}
}

// The first message that cannot be sent is told, and those before it went.
func TestSendError(t *testing.T) {
	addr := netip.MustParseAddr("127.0.0.1")
	a, _ := socket(t, addr)
	_, port := socket(t, addr)
	out := New(3, 1, 0)
	for i := range 3 {
		out.To(i, addr, port, 0)
	}
	out.Data(1, 70000)
	if n, err := out.Send(a, 0, 3); n != 1 || err != nil {
		t.Errorf("%d sent, %v", n, err)
	}
	if n, err := out.Send(a, 1, 3); n != 0 || err != unix.EMSGSIZE {
		t.Errorf("%d sent, %v", n, err)
	}
	if n, err := out.Send(a, 2, 3); n != 1 || err != nil {
		t.Errorf("%d sent, %v", n, err)
	}
}

func BenchmarkBatch(b *testing.B) {
	addr := netip.MustParseAddr("127.0.0.1")
	from, _ := socket(b, addr)
	to, port := socket(b, addr)
	out, in := New(64, 40, 0), New(64, 64, 128)
	for i := range out.Len() {
		out.To(i, addr, port, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		n, err := out.Send(from, 0, 64)
		for got := 0; got < n && err == nil; {
			var m int
			m, err = in.Receive(to, 0)
			got += m
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
