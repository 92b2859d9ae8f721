// Package icmpsock is the ICMP echo socket of the house, one for both
// families: unprivileged where the kernel allows it (icmp(7), ping sockets),
// raw otherwise, and it says which and why. Packets go out and come back in
// batches, ICMP errors with their sender, and both directions with the
// kernel's timestamps.
//
// On systems other than Linux it stands on golang.org/x/net/icmp and has the
// clock of the program only.
package icmpsock

import (
	"errors"
	"net/netip"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// Choice is which kind of socket to open.
type Choice uint8

// The choices.
const (
	Auto     Choice = iota // the unprivileged socket, else the raw one
	Datagram               // SOCK_DGRAM, IPPROTO_ICMP
	Raw                    // SOCK_RAW
)

// MaxIDs is how many ICMP identifiers a family can have.
const MaxIDs = 16

// HeadLen is how many bytes of the payload differ from packet to packet.
const HeadLen = 8

// Config is what a Conn is opened with. Zero fields leave the kernel's default.
type Config struct {
	Choice   Choice
	Device   string
	Mark     uint32
	Source   netip.Addr
	NetNS    int    // descriptor of a network namespace, 0: the caller's
	TTL      int    // 1 to 255, of unicast and multicast packets
	TOS      int    // TOS byte or traffic class; 0 is the default
	Fragment int    // IP_PMTUDISC_* plus 1; 0 is the default
	Options  []byte // IPv4 options (IP_OPTIONS)
	Payload  []byte // of every packet; the first HeadLen bytes are the packet's own

	ID         int        // identifier, 1 to 65535, the only one then; -1 is 0, which unprivileged sockets cannot have; 0: any (Linux)
	FlowLabel  uint32     // IPv6: 1 to 0xfffff (Linux)
	SendBuffer int        // bytes (Linux)
	DontRoute  bool       // only to hosts of a network of this one (Linux)
	Connect    netip.Addr // connect the socket of this family; there is no other then (Linux)

	Broadcast   bool // let packets go to broadcast addresses
	NoLoop      bool // do not hear one's own multicast
	NoTimestamp bool // do without the kernel's timestamps

	shared bool // a socket of ours has the identifier, and lends it
}

// Packet is one echo request.
type Packet struct {
	Dst  netip.Addr
	ID   uint8 // index of the identifier, see Grow; packets of the same one in a row go out together
	Seq  uint16
	Key  uint32 // comes back with the transmit stamp
	TTL  int    // of this packet alone, 1 to 255; 0: that of the Config (Linux)
	Head [HeadLen]byte

	NoStamp bool // do without the kernel's time of sending (Linux 6.13; ignored before)
}

// Kind is what a Message tells.
type Kind uint8

// The kinds of message.
const (
	Reply Kind = iota // an echo reply
	Error             // an ICMP error about a packet of ours
	Sent              // the kernel's time of sending
	Local             // an error of this host's own about a packet of ours
)

// Message is what came back. Its slices are valid during the callback only.
type Message struct {
	Kind    Kind
	V6      bool
	Damaged bool       // Reply: the checksum is wrong (raw sockets see such packets)
	From    netip.Addr // Reply: who answered
	Dst     netip.Addr // Error, Local: where our packet was going
	ID      uint8      // Reply, Error: index of the identifier
	Seq     uint16     // Reply, Error
	Key     uint32     // Sent
	TTL     int        // Reply: TTL or hop limit on arrival, 0 not known
	TOS     int        // Reply: TOS byte or traffic class, -1 not known
	Stamp   int64      // kernel's CLOCK_REALTIME in ns, 0 not known
	Payload []byte     // Reply: what came; Error: what was quoted of it
	Size    int        // Reply: bytes of ICMP message that came, cut off or not
	Options []byte     // Reply: IPv4 options
	ICMP    icmperr.Error
	MTU     int   // Local
	Err     error // Local: the errno; Error: what the kernel makes of the message
}

// echo returns the types of an echo request and its reply.
func echo(v6 bool) (request, reply uint8) {
	if v6 {
		return 128, 129
	}
	return 8, 0
}

// ErrFull is returned by Send when no more packets can be taken at the moment.
var ErrFull = errors.New("send buffer full")
