package sockets

import (
	"slices"
	"strings"

	"github.com/netsonde/netsonde/internal/enum"
)

// Protocol is what a socket speaks.
type Protocol uint8

// The protocols that can be listed.
const (
	ProtocolUnknown Protocol = iota
	TCP
	UDP
	Raw    // raw IP sockets, raw(7)
	Unix   // sockets of this machine only, unix(7)
	MPTCP  // multipath TCP (RFC 8684); the subflows are TCP sockets of their own
	Packet // sockets that see whole frames, packet(7): captures, DHCP clients
)

var protocolNames = []string{"unknown", "tcp", "udp", "raw", "unix", "mptcp", "packet"}

// internet reports whether sockets of the protocol have two ends with an
// address and a port.
func (p Protocol) internet() bool { return p != Unix && p != Packet }

// String returns the word, such as "tcp".
func (p Protocol) String() string { return enum.String(protocolNames, "protocol", p) }

// MarshalText implements [encoding.TextMarshaler].
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Protocol) UnmarshalText(b []byte) (err error) {
	*p, err = enum.Parse[Protocol](protocolNames, "protocol", b)
	return err
}

// Family is the address family of a socket.
type Family uint8

// The families.
const (
	FamilyAny    Family = iota // in Options: every one
	FamilyIPv4                 // AF_INET
	FamilyIPv6                 // AF_INET6, also when it talks IPv4
	FamilyUnix                 // AF_UNIX
	FamilyPacket               // AF_PACKET
)

var familyNames = []string{"any", "inet", "inet6", "unix", "packet"}

// String returns the word, such as "inet6".
func (f Family) String() string { return enum.String(familyNames, "family", f) }

// MarshalText implements [encoding.TextMarshaler].
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Family) UnmarshalText(b []byte) (err error) {
	*f, err = enum.Parse[Family](familyNames, "family", b)
	return err
}

// State is the state of a socket, by the kernel's numbers (net/tcp_states.h).
// UDP, raw and unix sockets use it too: StateEstablished has a peer,
// StateClose has none.
type State uint8

// The states.
const (
	StateUnknown       State = iota
	StateEstablished         // connected
	StateSynSent             // connect has sent a SYN, nothing came back yet
	StateSynRecv             // a SYN was answered, the third packet is missing
	StateFinWait1            // closed here, not acknowledged yet
	StateFinWait2            // closed here and acknowledged, not yet by the peer
	StateTimeWait            // closed by both, waits for stray packets
	StateClose               // not connected; ss calls it UNCONN
	StateCloseWait           // closed by the peer, and the process has not closed yet
	StateLastAck             // closed by both, the last acknowledgement is missing
	StateListen              // waits for connections
	StateClosing             // closed by both at once
	StateNewSynRecv          // StateSynRecv in the kernel's own books
	StateBoundInactive       // has a port and neither listens nor connects; since Linux 6.8
)

var stateNames = []string{
	"unknown", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait",
	"close", "close_wait", "last_ack", "listen", "closing", "new_syn_recv", "bound_inactive",
}

// String returns the word, such as "time_wait".
func (s State) String() string { return enum.String(stateNames, "state", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[State](stateNames, "state", b)
	return err
}

// Timer is what a TCP socket waits for, by the kernel's numbers.
type Timer uint8

// The timers.
const (
	TimerNone       Timer = iota
	TimerRetransmit       // sends again what was not acknowledged; netstat calls it "on"
	TimerKeepalive        // asks an idle peer whether it is still there
	TimerTimeWait         // ends StateTimeWait
	TimerProbe            // asks a peer whose window is closed
)

var timerNames = []string{"none", "retransmit", "keepalive", "time_wait", "probe"}

// String returns the word, such as "keepalive".
func (t Timer) String() string { return enum.String(timerNames, "timer", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t Timer) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Timer) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[Timer](timerNames, "timer", b)
	return err
}

// SocketType is the type of a unix or packet socket (socket(2)).
type SocketType uint8

// The types.
const (
	TypeUnknown   SocketType = 0
	TypeStream    SocketType = 1 // a stream of bytes
	TypeDatagram  SocketType = 2 // messages; of a packet socket: frames without their header
	TypeRaw       SocketType = 3 // of a packet socket: whole frames
	TypeSeqPacket SocketType = 5 // messages in order, with a connection
)

var typeNames = []string{0: "unknown", 1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket"}

// String returns the word, such as "stream".
func (t SocketType) String() string { return enum.String(typeNames, "type", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t SocketType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *SocketType) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[SocketType](typeNames, "type", b)
	return err
}

// V6Only says whether an IPv6 listener leaves IPv4 alone (IPV6_V6ONLY).
type V6Only uint8

// The answers.
const (
	V6OnlyUnknown V6Only = iota // not told: not an IPv6 listener, or read from /proc
	V6OnlyNo                    // takes IPv4 too
	V6OnlyYes                   // IPv6 alone
)

var v6OnlyNames = []string{"unknown", "no", "yes"}

// String returns "yes", "no" or "unknown".
func (v V6Only) String() string { return enum.String(v6OnlyNames, "v6only", v) }

// MarshalText implements [encoding.TextMarshaler].
func (v V6Only) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *V6Only) UnmarshalText(b []byte) (err error) {
	*v, err = enum.Parse[V6Only](v6OnlyNames, "v6only", b)
	return err
}

// Ownership says what a list of owners stands for.
type Ownership uint8

// The kinds of ownership.
const (
	OwnershipNotAsked Ownership = iota // processes were not looked up
	OwnershipFound                     // Owners are the processes that could be seen
	OwnershipNone                      // no process holds it any more, the kernel ends it
	OwnershipUnknown                   // somebody holds it and was not seen; see Walk.Unowned
)

var ownershipNames = []string{"not_asked", "found", "none", "unknown"}

// String returns the word, such as "found".
func (o Ownership) String() string { return enum.String(ownershipNames, "ownership", o) }

// MarshalText implements [encoding.TextMarshaler].
func (o Ownership) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *Ownership) UnmarshalText(b []byte) (err error) {
	*o, err = enum.Parse[Ownership](ownershipNames, "ownership", b)
	return err
}

// Shutdown is a set of directions that are closed (shutdown(2)).
type Shutdown uint8

// The directions.
const (
	ShutdownReceive Shutdown = 1 << iota // nothing more is read
	ShutdownSend                         // nothing more is sent
)

var shutdownNames = []string{"receive", "send"}

// String returns the words with a bar between them, "" for none.
func (s Shutdown) String() string { return enum.Join(shutdownNames, s) }

// MarshalJSON implements [encoding/json.Marshaler]: an array of words.
func (s Shutdown) MarshalJSON() ([]byte, error) { return enum.MarshalWords(shutdownNames, s) }

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (s *Shutdown) UnmarshalJSON(b []byte) (err error) {
	*s, err = enum.UnmarshalWords[Shutdown](shutdownNames, "shutdown", b)
	return err
}

// SockOpts are the socket options that the kernel tells since Linux 5.16
// (struct inet_diag_sockopt), in the order of its bits.
type SockOpts uint16

var sockOptNames = []string{
	"recverr", "is_icsk", "freebind", "hdrincl", "mc_loop", "transparent", "mc_all", "nodefrag",
	"bind_address_no_port", "recverr_rfc4884", "defer_connect",
}

// Has reports whether the option of that name is set.
func (s SockOpts) Has(name string) bool { return slices.Contains(enum.Words(sockOptNames, s), name) }

// String returns the words with a bar between them, "" for none.
func (s SockOpts) String() string { return enum.Join(sockOptNames, s) }

// MarshalJSON implements [encoding/json.Marshaler]: an array of words.
func (s SockOpts) MarshalJSON() ([]byte, error) { return enum.MarshalWords(sockOptNames, s) }

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (s *SockOpts) UnmarshalJSON(b []byte) (err error) {
	*s, err = enum.UnmarshalWords[SockOpts](sockOptNames, "socket option", b)
	return err
}

// ParseState returns the state of that name, in the words of this package or
// of ss and netstat ("ESTAB", "TIME-WAIT", "FIN_WAIT1", "UNCONN").
func ParseState(name string) (State, error) {
	word := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	switch word {
	case "estab":
		return StateEstablished, nil
	case "unconn", "closed", "unconnected":
		return StateClose, nil
	case "fin_wait_1":
		return StateFinWait1, nil
	case "fin_wait_2":
		return StateFinWait2, nil
	case "listening":
		return StateListen, nil
	}
	var s State
	err := s.UnmarshalText([]byte(word))
	return s, err
}
