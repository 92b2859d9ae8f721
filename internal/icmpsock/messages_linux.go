package icmpsock

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/mmsg"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// OpenMessages opens a raw ICMPv6 socket for messages that are no echoes, and
// which hears those of one type only, with the kernel's times of arrival. Of
// cfg it takes what concerns the IP header and the way. The kernel writes the
// checksum.
func OpenMessages(cfg Config, hears uint8) (fd int, err error) {
	for what, a := range map[string]netip.Addr{"source address": cfg.Source, "connect": cfg.Connect} {
		if a.IsValid() && !a.Is6() {
			return -1, operr.New(what, a, unix.EAFNOSUPPORT)
		}
	}
	fd, err = sock.Open(netip.IPv6Unspecified(), unix.SOCK_RAW, unix.IPPROTO_ICMPV6,
		sock.Options{Device: cfg.Device, Mark: cfg.Mark, NetNS: cfg.NetNS, Source: cfg.Source})
	if err != nil {
		if operr.NeedOf(err) == "" {
			err = operr.Need(err, "CAP_NET_RAW")
		}
		return -1, err
	}
	s := &socket{fd: fd, v6: true, raw: true}
	err = errors.Join(errqueue.Enable(fd, true), errqueue.EnableTTL(fd, true), s.hearOnly(hears), s.headers(&cfg), s.flowLabel(&cfg), s.connect(&cfg))
	if err == nil && cfg.SendBuffer > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, cfg.SendBuffer)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	// These are welcome, but nothing fails without them.
	errqueue.EnableExtensions(fd, true)
	unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1)
	if !cfg.NoTimestamp {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
	}
	return fd, nil
}

// SendMessage sends a message through a socket of OpenMessages, with the flow
// label that it was opened with.
func SendMessage(fd int, b []byte, dst netip.Addr, label uint32) error {
	s := &socket{fd: fd, v6: true, flow: flowInfo(label), zones: map[string]uint32{}}
	out := newBatch(1, len(b), 0, 1)
	n, err := s.setName(&out.names[0], dst)
	if err != nil {
		return err
	}
	out.hdrs[0].Namelen = n
	copy(out.data, b)
	_, err = mmsg.Send(fd, out.hdrs, len(b) <= mmsg.ShortLen)
	return err
}

// hearOnly keeps ICMPv6 messages of other types away from a raw socket.
func (s *socket) hearOnly(typ uint8) error {
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = 0xffffffff
	}
	f.Data[typ>>5] &^= 1 << (typ & 31)
	return unix.SetsockoptICMPv6Filter(s.fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
}

// Control fills in what a control message says of a packet that came.
func (m *Message) Control(level, typ int32, value []byte) { m.control(level, typ, value) }

// Left reports whether an ICMP error about an earlier packet may have left this
// errno on the socket; asking for SO_ERROR takes it off.
func Left(err error) bool { return left(err) }
