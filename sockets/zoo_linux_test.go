package sockets

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/sock"
)

// zoo is a host with sockets of every kind in every state that one process can
// bring about, in random numbers.
type zoo struct {
	t    *testing.T
	rand *rand.Rand
	host *lab.Host
	fds  []int
	dir  string
}

// newZoo opens the sockets. They are closed when the test ends.
func newZoo(t *testing.T, seed uint64) *zoo {
	t.Helper()
	l := lab.New(t)
	z := &zoo{t: t, rand: rand.New(rand.NewPCG(seed, 1)), host: l.Host("host"), dir: t.TempDir()}
	other := l.Host("other")
	l.Connect(z.host.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), other.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"))
	t.Cleanup(func() {
		for _, fd := range z.fds {
			unix.Close(fd)
		}
	})
	kinds := []func(){
		z.listener, z.listener, z.fullListener, z.pair, z.pair, z.halfClosed, z.timeWait, z.synSent,
		z.bound, z.udp, z.udp, z.connectedUDP, z.raw, z.unixListener, z.unixPair, z.device, z.multipath, z.packet,
	}
	if err := z.host.Do(func() error {
		for range 6 + z.rand.IntN(20) {
			kinds[z.rand.IntN(len(kinds))]()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return z
}

func (z *zoo) check(err error) {
	z.t.Helper()
	if err != nil {
		z.t.Fatal(err)
	}
}

func (z *zoo) keep(fd int) int {
	z.fds = append(z.fds, fd)
	return fd
}

// drop closes a descriptor now.
func (z *zoo) drop(fd int) {
	for i, f := range z.fds {
		if f == fd {
			z.fds = append(z.fds[:i], z.fds[i+1:]...)
			break
		}
	}
	z.check(unix.Close(fd))
}

func (z *zoo) socket(domain, typ, proto int) int {
	z.t.Helper()
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	z.check(err)
	return z.keep(fd)
}

// address picks an address of the host.
func (z *zoo) address() netip.Addr {
	return netip.MustParseAddr([]string{"0.0.0.0", "127.0.0.1", "10.1.0.1", "::", "::1", "fd00:1::1"}[z.rand.IntN(6)])
}

// specific is an address that something can be sent to.
func (z *zoo) specific() netip.Addr {
	for {
		if a := z.address(); !a.IsUnspecified() {
			return a
		}
	}
}

func (z *zoo) bind(a netip.Addr, typ, proto int) int {
	z.t.Helper()
	fd := z.socket(sock.Family(a), typ, proto)
	if a.Is6() && z.rand.IntN(2) == 0 {
		z.check(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	}
	z.check(unix.Bind(fd, sock.Sockaddr(netip.AddrPortFrom(a, 0))))
	return fd
}

func (z *zoo) listen(a netip.Addr, backlog int) (fd int, at netip.AddrPort) {
	z.t.Helper()
	fd = z.bind(a, unix.SOCK_STREAM, 0)
	z.check(unix.Listen(fd, backlog))
	sa, err := unix.Getsockname(fd)
	z.check(err)
	return fd, sock.AddrPort(sa)
}

func (z *zoo) connect(to netip.AddrPort) int {
	z.t.Helper()
	fd := z.socket(sock.Family(to.Addr()), unix.SOCK_STREAM, 0)
	if err := unix.Connect(fd, sock.Sockaddr(to)); err != nil && err != unix.EINPROGRESS {
		z.t.Fatal(err)
	}
	return fd
}

func (z *zoo) accept(listener int) int {
	z.t.Helper()
	z.wait(listener)
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	z.check(err)
	return z.keep(fd)
}

// wait waits until something can be read.
func (z *zoo) wait(fd int) {
	z.t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); n != 1 {
		z.t.Fatal("nothing came:", err)
	}
}

// connection returns both ends of a new connection.
func (z *zoo) connection() (client, server int) {
	z.t.Helper()
	l, at := z.listen(z.specific(), 4)
	client = z.connect(at)
	return client, z.accept(l)
}

func (z *zoo) listener() { z.listen(z.address(), z.rand.IntN(500)) }

// fullListener has connections that nobody accepts.
func (z *zoo) fullListener() {
	l, at := z.listen(z.specific(), 8)
	for range 1 + z.rand.IntN(5) {
		z.connect(at)
	}
	z.wait(l)
}

// pair may have bytes that nobody reads.
func (z *zoo) pair() {
	c, s := z.connection()
	if n := z.rand.IntN(3000); n > 0 {
		_, err := unix.Write(c, make([]byte, n))
		z.check(err)
		z.wait(s)
		z.until("all is acknowledged", func() bool {
			left, err := unix.IoctlGetInt(c, unix.SIOCOUTQ)
			return err == nil && left == 0
		})
	}
}

// until waits for the kernel to come to rest.
func (z *zoo) until(what string, done func() bool) {
	z.t.Helper()
	for range 5000 {
		if done() {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	z.t.Fatal("never: " + what)
}

// halfClosed leaves CLOSE-WAIT on one side and FIN-WAIT-2 on the other.
func (z *zoo) halfClosed() {
	c, s := z.connection()
	z.check(unix.Shutdown(c, unix.SHUT_WR))
	z.wait(s)
	z.until("FIN-WAIT-2", func() bool {
		info, err := unix.GetsockoptTCPInfo(c, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err == nil && State(info.State) == StateFinWait2
	})
}

func (z *zoo) timeWait() {
	c, s := z.connection()
	z.check(unix.Shutdown(c, unix.SHUT_WR))
	z.wait(s)
	z.drop(s)
	z.wait(c)
	z.drop(c)
}

// synSent asks a neighbour that is not there.
func (z *zoo) synSent() { z.connect(netip.MustParseAddrPort("10.1.0.77:80")) }

// bound has a port and nothing else.
func (z *zoo) bound() { z.bind(z.address(), unix.SOCK_STREAM, 0) }

func (z *zoo) udp() { z.bind(z.address(), unix.SOCK_DGRAM, 0) }

func (z *zoo) connectedUDP() {
	a := z.specific()
	fd := z.bind(a, unix.SOCK_DGRAM, 0)
	z.check(unix.Connect(fd, sock.Sockaddr(netip.AddrPortFrom(a, 53))))
}

func (z *zoo) raw() { z.socket(unix.AF_INET, unix.SOCK_RAW, 100+z.rand.IntN(50)) }

// device is bound to an interface.
func (z *zoo) device() {
	fd := z.socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	z.check(unix.BindToDevice(fd, "eth0"))
	z.check(unix.Bind(fd, &unix.SockaddrInet6{}))
}

// multipath is a connection of MPTCP, where the kernel has it.
func (z *zoo) multipath() {
	a := z.specific()
	open := func() (fd int, err error) {
		return unix.Socket(sock.Family(a), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	}
	l, err := open()
	if err == unix.EPROTONOSUPPORT || err == unix.ENOPROTOOPT {
		return
	}
	z.check(err)
	z.keep(l)
	z.check(unix.Bind(l, sock.Sockaddr(netip.AddrPortFrom(a, 0))))
	z.check(unix.Listen(l, 5))
	sa, err := unix.Getsockname(l)
	z.check(err)
	c, err := open()
	z.check(err)
	z.keep(c)
	z.check(unix.Connect(c, sa))
	s := z.accept(l)
	_, err = unix.Write(c, make([]byte, 1+z.rand.IntN(2000)))
	z.check(err)
	z.wait(s)
}

// packet hears one interface, or all.
func (z *zoo) packet() {
	typ := []int{unix.SOCK_RAW, unix.SOCK_DGRAM}[z.rand.IntN(2)]
	protocol := []uint16{unix.ETH_P_ALL, unix.ETH_P_ARP, unix.ETH_P_IPV6}[z.rand.IntN(3)]
	fd := z.socket(unix.AF_PACKET, typ, 0)
	iface, err := net.InterfaceByName("eth0")
	z.check(err)
	index := []int{0, iface.Index}[z.rand.IntN(2)]
	z.check(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: index}))
	if z.rand.IntN(2) == 0 {
		z.check(unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(iface.Index), Type: unix.PACKET_MR_PROMISC}))
	}
}

func (z *zoo) unixListener() {
	typ := []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET}[z.rand.IntN(3)]
	fd := z.socket(unix.AF_UNIX, typ, 0)
	name := fmt.Sprintf("%s/%d", z.dir, fd)
	if z.rand.IntN(2) == 0 {
		name = fmt.Sprintf("@netsonde-%d", fd)
	}
	z.check(unix.Bind(fd, &unix.SockaddrUnix{Name: name}))
	if typ != unix.SOCK_DGRAM {
		z.check(unix.Listen(fd, z.rand.IntN(100)))
	}
}

func (z *zoo) unixPair() {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	z.check(err)
	z.keep(pair[0])
	z.keep(pair[1])
	_, err = unix.Write(pair[0], make([]byte, 1+z.rand.IntN(100)))
	z.check(err)
}
