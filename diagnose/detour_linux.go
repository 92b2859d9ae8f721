package diagnose

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// Detour sends an echo request for dst to the gateway: on a raw socket that is
// given whole packets (IP_HDRINCL, raw(7)), the kernel goes by the address of
// sendto(2) and leaves the destination of the header alone. Silence is false;
// the error says why nothing could be sent.
func (k kernel) Detour(ctx context.Context, dst, gateway, src netip.Addr) (bool, error) {
	d := &detour{src: src, dst: dst}
	var seed [2]byte
	sock.Random(seed[:])
	sock.Random(d.nonce[:])
	d.id = uint16(seed[0])<<8 | uint16(seed[1])
	proto, level, option := unix.IPPROTO_ICMP, unix.IPPROTO_IP, unix.IP_HDRINCL
	if dst.Is6() {
		proto, level, option = unix.IPPROTO_ICMPV6, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL
	}
	fd, err := sock.Open(gateway, unix.SOCK_RAW, proto, sock.Options{Device: k.options.Interface, Mark: k.options.Mark, NetNS: k.netns})
	if err != nil {
		return false, operr.New("diagnose: open a raw socket", dst, operr.Need(err, "CAP_NET_RAW"))
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return false, operr.New("diagnose: set IP_HDRINCL", dst, err)
	}
	to := sock.Sockaddr(netip.AddrPortFrom(gateway, 0))
	if sa, ok := to.(*unix.SockaddrInet6); ok {
		sa.ZoneId = sock.ZoneIndex(fd, gateway.Zone())
	}
	if err := unix.Sendto(fd, d.packet(), 0, to); err != nil {
		return false, operr.New("diagnose: send", gateway, err)
	}
	return d.wait(ctx, fd)
}

// wait reads until the answer comes or ctx ends.
func (d *detour) wait(ctx context.Context, fd int) (bool, error) {
	p, err := sock.NewPoller(ctx)
	if err != nil {
		return false, err
	}
	defer p.Close()
	if err := p.Add(fd, unix.EPOLLIN); err != nil {
		return false, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(sideTimeout)
	}
	buf := make([]byte, 1500)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if _, err := p.Wait(deadline); err != nil {
			return false, nil // the time is up
		}
		for {
			n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			if d.answeredBy(buf[:n], sock.AddrPort(from).Addr().WithZone("")) {
				return true, nil
			}
		}
	}
	return false, nil
}
