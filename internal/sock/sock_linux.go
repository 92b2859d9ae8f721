package sock

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/operr"
)

// Options are what every socket of the house can be given. Zero fields leave
// the kernel's default.
type Options struct {
	Device string     // bind to this interface (SO_BINDTODEVICE)
	Mark   uint32     // firewall mark (SO_MARK; needs CAP_NET_ADMIN or CAP_NET_RAW)
	Source netip.Addr // local address
	Port   uint16     // local port
	NetNS  int        // descriptor of a network namespace; 0 is the caller's
}

// Open opens a non-blocking, close-on-exec socket of the family of dst's
// address, applies the options and binds it to the source, if any.
func Open(dst netip.Addr, typ, proto int, o Options) (fd int, err error) {
	if o.NetNS == 0 {
		return o.open(dst, typ, proto) // without the closure, which is allocated
	}
	err = InNamespace(o.NetNS, func() (err error) {
		fd, err = o.open(dst, typ, proto)
		return err
	})
	return fd, err
}

func (o Options) open(dst netip.Addr, typ, proto int) (int, error) {
	fd, err := unix.Socket(Family(dst), typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return -1, err
	}
	if err := o.apply(fd, dst); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (o Options) apply(fd int, dst netip.Addr) error {
	if o.Device != "" {
		if err := unix.BindToDevice(fd, o.Device); err != nil {
			return operr.Need(err, "CAP_NET_RAW to bind to a device that is bound already")
		}
	}
	if o.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(o.Mark)); err != nil {
			return operr.Need(err, "CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on")
		}
	}
	if !o.Source.IsValid() && o.Port == 0 {
		return nil
	}
	local := o.Source
	switch {
	case local.IsValid():
	case Family(dst) == unix.AF_INET:
		local = netip.IPv4Unspecified()
	default:
		local = netip.IPv6Unspecified()
	}
	err := unix.Bind(fd, Sockaddr(netip.AddrPortFrom(local, o.Port)))
	return operr.Need(err, "CAP_NET_BIND_SERVICE for a port below net.ipv4.ip_unprivileged_port_start")
}

// SetTTL sets the TTL or hop limit of what the socket sends from now on.
func SetTTL(fd int, v6 bool, ttl int) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, ttl)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, ttl)
}

// Family returns AF_INET or AF_INET6.
func Family(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Sockaddr converts to the kernel's form. A zone may be an interface name or
// an index.
func Sockaddr(ap netip.AddrPort) unix.Sockaddr {
	a := ap.Addr().Unmap()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16(), ZoneId: zoneID(a.Zone())}
}

// AddrPort converts from the kernel's form; what is not an IP address gives
// the zero value. Zones are given as interface indexes.
func AddrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a := WithZone(netip.AddrFrom16(sa.Addr), sa.ZoneId)
		return netip.AddrPortFrom(a.Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// WithZone adds a scope id, as a number, to a link-local address.
func WithZone(a netip.Addr, id uint32) netip.Addr {
	if id == 0 || !a.IsLinkLocalUnicast() && !a.IsLinkLocalMulticast() {
		return a
	}
	return a.WithZone(strconv.FormatUint(uint64(id), 10))
}

func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	return ZoneIndex(fd, zone)
}

// ZoneIndex returns the interface index of a zone, given by name or number, in
// the network namespace of the socket fd, and 0 for one that is not there.
func ZoneIndex(fd int, zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	req, err := unix.NewIfreq(zone)
	if err != nil || unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req) != nil {
		return 0
	}
	return req.Uint32()
}

// Stamp reads the first struct timespec of a timestamp control message
// (SO_TIMESTAMPNS, or the software stamp of SO_TIMESTAMPING).
func Stamp(b []byte) time.Time {
	if len(b) < 16 {
		return time.Time{}
	}
	sec, nsec := int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:]))
	if sec == 0 && nsec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, nsec)
}
