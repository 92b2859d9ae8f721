package errqueue

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/sock"
)

// Origin tells who queued a message (linux/errqueue.h, SO_EE_ORIGIN_*).
type Origin uint8

// The origins that matter here.
const (
	Local        Origin = unix.SO_EE_ORIGIN_LOCAL        // this host, such as EMSGSIZE or a failed ARP
	ICMP         Origin = unix.SO_EE_ORIGIN_ICMP         // an ICMP message
	ICMP6        Origin = unix.SO_EE_ORIGIN_ICMP6        // an ICMPv6 message
	Timestamping Origin = unix.SO_EE_ORIGIN_TIMESTAMPING // a transmit timestamp
)

// Message is one entry of the queue.
type Message struct {
	Origin  Origin
	Errno   unix.Errno     // what the kernel makes of it
	ICMP    icmperr.Error  // for ICMP and ICMP6
	MTU     int            // ee_info of a local EMSGSIZE
	ID      uint32         // ee_data: with OPT_ID, the number of the stamped packet
	Dst     netip.AddrPort // where the packet in question went; invalid for transmit stamps
	Stamp   time.Time      // kernel clock (CLOCK_REALTIME); zero where the socket asks for none
	Quoted  []byte         // the packet in question from its transport header on; valid until the next Read
	Partial bool           // Quoted was longer than the buffer
}

// Enable asks for the error queue of an IPv4 or IPv6 socket.
func Enable(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
}

// EnableTTL asks for the TTL or hop limit of arriving packets, errors included.
func EnableTTL(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
}

// EnableExtensions asks the kernel to validate RFC 4884 extensions, so that
// MPLS labels are told. Kernels before 5.9 refuse; labels are then absent.
func EnableExtensions(fd int, v6 bool) error {
	const ipRecverrRFC4884, ipv6RecverrRFC4884 = 26, 31
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, ipv6RecverrRFC4884, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, ipRecverrRFC4884, 1)
}

// Reader reads error queues into its own buffers. The zero value is ready.
// It is not safe for concurrent use.
type Reader struct {
	buf [1280]byte
	oob [512]byte
}

// Read takes one message from the queue of a non-blocking socket. An empty
// queue is unix.EAGAIN.
func (r *Reader) Read(fd int) (Message, error) {
	for {
		n, oobn, flags, from, err := unix.Recvmsg(fd, r.buf[:], r.oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Message{}, err
		}
		m := Message{Quoted: r.buf[:n], Partial: flags&unix.MSG_TRUNC != 0, Dst: sock.AddrPort(from)}
		m.Parse(r.oob[:oobn])
		return m, nil
	}
}

// sizeofExtendedErr is sizeof(struct sock_extended_err).
const sizeofExtendedErr = 16

// Parse fills in what the control messages of an entry say. Quoted must be set
// for MPLS labels to be found. [Reader] does this itself; it is for those who
// read the queue in batches.
func (m *Message) Parse(oob []byte) {
	ttl, extOff := 0, 0
	for len(oob) > 0 {
		hdr, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		oob = rest
		switch {
		case hdr.Level == unix.SOL_IP && hdr.Type == unix.IP_RECVERR,
			hdr.Level == unix.SOL_IPV6 && hdr.Type == unix.IPV6_RECVERR:
			extOff = parseExtendedErr(m, data)
		case hdr.Level == unix.SOL_IP && hdr.Type == unix.IP_TTL,
			hdr.Level == unix.SOL_IPV6 && hdr.Type == unix.IPV6_HOPLIMIT:
			if len(data) >= 4 {
				ttl = int(int32(binary.NativeEndian.Uint32(data)))
			}
		case hdr.Level == unix.SOL_SOCKET && (hdr.Type == unix.SO_TIMESTAMPING || hdr.Type == unix.SO_TIMESTAMPNS):
			m.Stamp = sock.Stamp(data)
		}
	}
	if m.Origin == ICMP || m.Origin == ICMP6 {
		m.ICMP.TTL = ttl
		if extOff > 0 && extOff < len(m.Quoted) {
			m.ICMP.SetExtensions(m.Quoted[extOff:])
		}
	}
}

// parseExtendedErr reads struct sock_extended_err and the offender behind it,
// and returns the offset of the RFC 4884 extension within the quoted packet.
func parseExtendedErr(m *Message, b []byte) (extOff int) {
	if len(b) < sizeofExtendedErr {
		return 0
	}
	m.Errno = unix.Errno(binary.NativeEndian.Uint32(b))
	m.Origin = Origin(b[4])
	typ, code := b[5], b[6]
	info := binary.NativeEndian.Uint32(b[8:])
	m.ID = binary.NativeEndian.Uint32(b[12:])
	switch m.Origin {
	case ICMP, ICMP6:
		m.ICMP = icmperr.New(offender(b[sizeofExtendedErr:]), typ, code)
		if m.ICMP.Kind == icmperr.FragNeeded {
			m.ICMP.MTU = int(info)
		}
		if m.ICMP.Kind == icmperr.ParameterProblem {
			m.ICMP.Pointer = int(info)
		}
		if m.ICMP.Kind == icmperr.Redirect && m.Origin == ICMP {
			m.ICMP.Via = netip.AddrFrom4([4]byte{byte(info >> 24), byte(info >> 16), byte(info >> 8), byte(info)})
		}
		// struct sock_ee_data_rfc4884: u16 len, u8 flags, u8 reserved.
		if l := binary.NativeEndian.Uint16(b[12:]); b[14]&1 == 0 {
			extOff = int(l)
		}
	case Local:
		m.MTU = int(info)
	}
	return extOff
}

// offender reads the sockaddr that follows a sock_extended_err.
func offender(b []byte) netip.Addr {
	if len(b) < 2 {
		return netip.Addr{}
	}
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		if len(b) >= unix.SizeofSockaddrInet4 {
			return netip.AddrFrom4([4]byte(b[4:8]))
		}
	case unix.AF_INET6:
		if len(b) >= unix.SizeofSockaddrInet6 {
			a := netip.AddrFrom16([16]byte(b[8:24]))
			return sock.WithZone(a, binary.NativeEndian.Uint32(b[24:])).Unmap()
		}
	}
	return netip.Addr{}
}
