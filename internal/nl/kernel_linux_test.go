package nl

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func TestKernelLinks(t *testing.T) {
	var names []string
	err := Dump(t.Context(), Config{}, Message{Type: unix.RTM_GETLINK, Body: make([]byte, unix.SizeofIfInfomsg)},
		func(typ uint16, body []byte) error {
			if typ != unix.RTM_NEWLINK {
				t.Errorf("got message type %d", typ)
			}
			for a := NewAttrs(body[unix.SizeofIfInfomsg:]); a.Next(); {
				if a.Type == unix.IFLA_IFNAME {
					names = append(names, Text(a.Data))
				}
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 || names[0] != "lo" {
		t.Errorf("got links %q, want lo first", names)
	}
}

func TestKernelExtendedAck(t *testing.T) {
	// A strict dump refuses header fields that it has no use for, and says so.
	body := make([]byte, unix.SizeofIfInfomsg)
	body[2] = 1 // ifi_type
	err := Dump(t.Context(), Config{}, Message{Type: unix.RTM_GETLINK, Body: body},
		func(uint16, []byte) error { return nil })
	k, ok := errors.AsType[*KernelError](err)
	if !ok || k.Errno != unix.EINVAL || k.Message == "" {
		t.Errorf("got %v, want EINVAL with the kernel's words", err)
	}
}

// sockDiag returns the local ports of all listening TCP sockets.
func sockDiag(ctx context.Context, tries int) (map[uint16]bool, error) {
	body := make([]byte, 56) // struct inet_diag_req_v2
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(body[4:], 1<<10) // TCP_LISTEN
	ports := map[uint16]bool{}
	err := Dump(ctx, Config{Family: unix.NETLINK_SOCK_DIAG, Tries: tries}, Message{Type: 20, Body: body},
		func(typ uint16, b []byte) error {
			ports[binary.BigEndian.Uint16(b[4:])] = true
			return nil
		})
	return ports, err
}

func TestKernelSockDiag(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ports, err := sockDiag(t.Context(), 0)
	if errors.Is(err, unix.ENOENT) {
		t.Skip("needs tcp_diag: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if port := uint16(l.Addr().(*net.TCPAddr).Port); !ports[port] {
		t.Errorf("port %d is not among %v", port, ports)
	}
}

func TestKernelForgery(t *testing.T) {
	// Another process, with CAP_NET_ADMIN, writes to our port while we wait for
	// the kernel: a whole dump that we did not ask the kernel for.
	c, err := Dial(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	liar, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(liar)
	s := c.t.(*socket)
	for _, size := range []int{100, 40 << 10} {
		forged := message(unix.RTM_NEWLINK, flagMulti, 0, make([]byte, size))
		err = unix.Sendto(liar, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: s.c.PID()})
		if errors.Is(err, os.ErrPermission) {
			t.Skip("needs CAP_NET_ADMIN to write to another process's netlink socket")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, from, err := s.recv(nil, true); err != nil || from == 0 || n < 100 {
		t.Fatalf("the forged datagram did not arrive: %d bytes from %d, %v", n, from, err)
	}
	n := 0
	err = c.Dump(t.Context(), Message{Type: unix.RTM_GETLINK, Body: make([]byte, unix.SizeofIfInfomsg)},
		func(typ uint16, body []byte) error {
			if binary.NativeEndian.Uint32(body[4:]) == 0 {
				t.Error("delivered a forged message")
			}
			n++
			return nil
		})
	if err != nil || n == 0 {
		t.Errorf("got %d links, %v", n, err)
	}
	if len(c.buf) != bufferSize {
		t.Errorf("a stranger made the buffer grow to %d", len(c.buf))
	}
}

func TestKernelCancel(t *testing.T) {
	// NETLINK_USERSOCK has no kernel side that would answer; the message goes to
	// nobody, so give the wait something to wait for: a socket that joined nothing.
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	conn := newConn(Config{}, &mute{newSocket(c, raw)})
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	err = conn.Dump(ctx, Message{}, func(uint16, []byte) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// mute does not send, so that nothing comes.
type mute struct{ *socket }

func (mute) send(Message) (uint32, error) { return 1, nil }

func BenchmarkDumpLinks(b *testing.B) {
	c, err := Dial(Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	m := Message{Type: unix.RTM_GETLINK, Body: make([]byte, unix.SizeofIfInfomsg)}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Dump(b.Context(), m, func(uint16, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// The error of the function that takes the messages stands, also when the
// context ended meanwhile.
func TestOwnErrorStands(t *testing.T) {
	c, err := Dial(Config{Family: unix.NETLINK_ROUTE})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	mine := errors.New("mine")
	err = c.Dump(ctx, Message{Type: unix.RTM_GETLINK, Body: make([]byte, unix.SizeofIfInfomsg)}, func(uint16, []byte) error {
		cancel()
		return mine
	})
	if !errors.Is(err, mine) {
		t.Errorf("error %v, want %v", err, mine)
	}
}
