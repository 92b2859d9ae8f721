package sockets

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/nl"
)

// Numbers of linux/sock_diag.h, linux/inet_diag.h and linux/unix_diag.h; here
// so that what parses is built everywhere.
const (
	tcpDiagGetSock   = 18
	sockDiagByFamily = 20

	afUnix  = 1
	afInet  = 2
	afInet6 = 10

	protoTCP = 6
	protoUDP = 17
	protoRaw = 255

	sizeofTCPReq  = 60 // struct inet_diag_req
	sizeofInetReq = 56 // struct inet_diag_req_v2
	sizeofInetMsg = 72 // struct inet_diag_msg
	sizeofUnixReq = 24 // struct unix_diag_req
	sizeofUnixMsg = 16 // struct unix_diag_msg

	protoMPTCP = 262

	reqBytecode = 1 // attributes of a request: INET_DIAG_REQ_*
	reqProtocol = 3

	inetDiagInfo     = 2
	inetDiagVegas    = 3
	inetDiagCong     = 4
	inetDiagTOS      = 5
	inetDiagTClass   = 6
	inetDiagMemory   = 7
	inetDiagShutdown = 8
	inetDiagDCTCP    = 9
	inetDiagProtocol = 10
	inetDiagV6Only   = 11
	inetDiagMark     = 15
	inetDiagBBR      = 16
	inetDiagClassID  = 17
	inetDiagULP      = 19
	inetDiagCgroupID = 21
	inetDiagSockopt  = 22

	// extInfo and extMemory ask for attributes by their numbers.
	extInfo   = 1<<(inetDiagInfo-1) | 1<<(inetDiagVegas-1) | 1<<(inetDiagCong-1) | 1<<(inetDiagTOS-1) | 1<<(inetDiagTClass-1)
	extMemory = 1 << (inetDiagMemory - 1)

	unixDiagName     = 0
	unixDiagPeer     = 2
	unixDiagRQLen    = 4
	unixDiagMemory   = 5
	unixDiagShutdown = 6
	unixDiagUID      = 7

	// unixShow asks for name, peer, queue lengths and user: UDIAG_SHOW_*.
	unixShow       = 1<<0 | 1<<2 | 1<<4 | 1<<6
	unixShowMemory = 1 << 5
)

// inetRequest is the request for the sockets of a family and protocol that are
// in one of the states and pass the filter.
func (o *Options) inetRequest(family uint8, p Protocol) []byte {
	b := make([]byte, sizeofInetReq)
	b[0] = family
	switch p {
	case TCP:
		b[1] = protoTCP
	case UDP:
		b[1] = protoUDP
	case Raw:
		b[1] = protoRaw
	}
	b[2] = o.extensions()
	binary.NativeEndian.PutUint32(b[4:], o.stateMask())
	if code := o.Filter.bytecode(); code != nil {
		b = nl.Append(b, reqBytecode, code)
	}
	if p == MPTCP { // a number that is too large for its byte
		b = nl.AppendU32(b, reqProtocol, protoMPTCP)
	}
	return b
}

// tcpRequest is the older request, for TCP of both families at once: the table
// of connections has a bucket for each of some hundred thousand hash values,
// and walking it takes milliseconds.
func (o *Options) tcpRequest() []byte {
	b := make([]byte, sizeofTCPReq)
	b[3] = o.extensions()
	binary.NativeEndian.PutUint32(b[52:], o.stateMask())
	if code := o.Filter.bytecode(); code != nil {
		b = nl.Append(b, reqBytecode, code)
	}
	return b
}

func (o *Options) extensions() (ext uint8) {
	if o.Info {
		ext |= extInfo
	}
	if o.Memory {
		ext |= extMemory
	}
	return ext
}

// unixRequest is the same for unix sockets, which no filter lets pass.
func (o *Options) unixRequest() []byte {
	b := make([]byte, sizeofUnixReq)
	b[0] = afUnix
	binary.NativeEndian.PutUint32(b[4:], o.stateMask())
	show := uint32(unixShow)
	if o.Memory {
		show |= unixShowMemory
	}
	binary.NativeEndian.PutUint32(b[12:], show)
	return b
}

// parseInet fills s from an answer. What is short or of another family is
// refused: nothing in it can be trusted.
func parseInet(b []byte, protocol Protocol, s *Socket) error {
	if len(b) < sizeofInetMsg {
		return nl.ErrMalformed
	}
	u32 := binary.NativeEndian.Uint32
	*s = Socket{Protocol: protocol, State: State(b[1])}
	switch b[0] {
	case afInet:
		s.Family = FamilyIPv4
	case afInet6:
		s.Family = FamilyIPv6
	default:
		return nl.ErrMalformed
	}
	if protocol == TCP && s.State == StateClose {
		// Closed sockets are in no table but that of taken ports, which the
		// kernel walks when it is asked for this state; it tells them as closed.
		s.State = StateBoundInactive
	}
	s.Timer, s.Retransmits = Timer(b[2]), b[3]
	s.Interface = int(u32(b[40:]))
	s.Local = endpoint(s.Family, b[8:24], b[4:6], s.Interface)
	s.Remote = endpoint(s.Family, b[24:40], b[6:8], s.Interface)
	s.Cookie = uint64(u32(b[48:]))<<32 | uint64(u32(b[44:]))
	s.Expires = time.Duration(u32(b[52:])) * time.Millisecond
	s.UID, s.Inode = u32(b[64:]), u32(b[68:])
	s.setQueues(u32(b[56:]), u32(b[60:]))
	return parseInetAttrs(b[sizeofInetMsg:], s)
}

// setQueues tells apart what the kernel puts into the same two numbers.
func (s *Socket) setQueues(recv, send uint32) {
	if s.State == StateListen {
		s.AcceptQueue, s.Backlog = recv, send
	} else {
		s.RecvQueue, s.SendQueue = recv, send
	}
}

func parseInetAttrs(b []byte, s *Socket) error {
	a := nl.NewAttrs(b)
	for a.Next() {
		if !inetAttr(a.Type, a.Data, s) && !inetInfoAttr(a.Type, a.Data, s) {
			s.Unknown = append(s.Unknown, a.Keep())
		}
	}
	return a.Err()
}

// inetAttr reads an attribute that comes unasked.
func inetAttr(typ uint16, b []byte, s *Socket) (ok bool) {
	switch typ {
	case inetDiagShutdown:
		return nl.Set8(&s.Shutdown, b)
	case inetDiagV6Only:
		var v uint8
		v, ok = nl.U8(b)
		s.V6Only = V6OnlyNo + V6Only(min(v, 1))
	case inetDiagMark:
		return nl.Set32(&s.Mark, b)
	case inetDiagCgroupID:
		return nl.Set64(&s.CgroupID, b)
	case inetDiagProtocol: // of a raw socket: the port of Local again
		return true
	case inetDiagSockopt:
		if ok = len(b) >= 2; ok {
			s.SockOpts = sockOpts(b)
		}
	}
	return ok
}

// inetInfoAttr reads an attribute of [Options.Info] or [Options.Memory], or
// one that tells what is between the socket and TCP.
func inetInfoAttr(typ uint16, b []byte, s *Socket) bool {
	switch typ {
	case inetDiagInfo:
		if s.Protocol == MPTCP {
			s.MPTCP = parseMPTCP(b)
		} else {
			s.tcp().parse(b)
		}
	case inetDiagVegas:
		s.tcp().Vegas = parseVegas(b)
	case inetDiagDCTCP:
		s.tcp().DCTCP = parseDCTCP(b)
	case inetDiagBBR:
		s.tcp().BBR = parseBBR(b)
	case inetDiagCong:
		s.tcp().Congestion = nl.Text(b)
	case inetDiagTOS:
		return nl.Set8(&s.TOS, b)
	case inetDiagTClass:
		return nl.Set8(&s.TrafficClass, b)
	case inetDiagClassID:
		return nl.Set32(&s.ClassID, b)
	case inetDiagMemory:
		s.Memory = parseMemory(b)
	case inetDiagULP:
		return s.parseULP(b)
	default:
		return false
	}
	return true
}

func (s *Socket) tcp() *TCPInfo {
	if s.TCP == nil {
		s.TCP = &TCPInfo{}
	}
	return s.TCP
}

// parseULP reads the name of the upper layer protocol (INET_ULP_INFO_*); when
// more is told, the attribute is kept besides.
func (s *Socket) parseULP(b []byte) (all bool) {
	a := nl.NewAttrs(b)
	for all = true; a.Next(); {
		if a.Type == 1 {
			s.ULP = nl.Text(a.Data)
		} else {
			all = false
		}
	}
	return all && a.Err() == nil
}

// sockOpts reads struct inet_diag_sockopt, whose bits a compiler numbers from
// the end of a byte that comes first in memory.
func sockOpts(b []byte) SockOpts {
	lo, hi := b[0], b[1]
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		lo, hi = bits.Reverse8(lo), bits.Reverse8(hi)
	}
	return SockOpts(lo) | SockOpts(hi)<<8
}

func endpoint(family Family, addr, port []byte, ifindex int) netip.AddrPort {
	p := binary.BigEndian.Uint16(port)
	if family == FamilyIPv4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr)), p)
	}
	a := netip.AddrFrom16([16]byte(addr))
	if ifindex != 0 && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		a = a.WithZone(strconv.Itoa(ifindex))
	}
	return netip.AddrPortFrom(a, p)
}

// parseUnix fills s from an answer about a unix socket.
func parseUnix(b []byte, s *Socket) error {
	if len(b) < sizeofUnixMsg || b[0] != afUnix {
		return nl.ErrMalformed
	}
	u32 := binary.NativeEndian.Uint32
	*s = Socket{Protocol: Unix, Family: FamilyUnix, Type: SocketType(b[1]), State: State(b[2])}
	s.Inode = u32(b[4:])
	s.Cookie = uint64(u32(b[12:]))<<32 | uint64(u32(b[8:]))
	a := nl.NewAttrs(b[sizeofUnixMsg:])
	for a.Next() {
		ok := false
		switch a.Type {
		case unixDiagName:
			s.Path, ok = unixName(a.Data), true
		case unixDiagPeer:
			s.Peer, ok = nl.U32(a.Data)
		case unixDiagRQLen:
			if ok = len(a.Data) >= 8; ok {
				s.setQueues(u32(a.Data), u32(a.Data[4:]))
			}
		case unixDiagShutdown:
			var v uint8
			v, ok = nl.U8(a.Data)
			s.Shutdown = Shutdown(v)
		case unixDiagUID:
			s.UID, ok = nl.U32(a.Data)
		case unixDiagMemory:
			s.Memory, ok = parseMemory(a.Data), true
		}
		if !ok {
			s.Unknown = append(s.Unknown, a.Keep())
		}
	}
	return a.Err()
}

// unixName writes a socket's name as ss does: NUL bytes of the abstract
// namespace become "@", a path ends at its NUL.
func unixName(b []byte) string {
	if len(b) > 0 && b[0] == 0 {
		return strings.ReplaceAll(string(b), "\x00", "@")
	}
	return nl.Text(b)
}
