package sockets

import (
	"encoding/binary"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// Numbers of linux/packet_diag.h.
const (
	afPacket = 17

	sizeofPacketReq = 20 // struct packet_diag_req
	sizeofPacketMsg = 16 // struct packet_diag_msg

	packetDiagInfo    = 0
	packetDiagGroups  = 1
	packetDiagRxRing  = 2
	packetDiagTxRing  = 3
	packetDiagFanout  = 4
	packetDiagUID     = 5
	packetDiagMemInfo = 6
	packetDiagFilter  = 7

	packetShowInfo   = 1 << 0
	packetShowGroups = 1 << 1
	packetShowRings  = 1 << 2
	packetShowFanout = 1 << 3
	packetShowMemory = 1 << 4
	packetShowFilter = 1 << 5
)

// PacketInfo is what the kernel tells about a packet socket: who captures what.
type PacketInfo struct {
	// Protocol is the Ethernet protocol that it hears, as in linux/if_ether.h:
	// 3 is every one (ETH_P_ALL), 0 none.
	Protocol  uint16         `json:"protocol"`
	Flags     PacketFlags    `json:"flags,omitzero"`
	Version   uint32         `json:"version"`              // of the rings: TPACKET_V1 is 0
	Reserve   uint32         `json:"reserve,omitzero"`     // bytes before each packet in a ring
	Copy      uint32         `json:"copy_thresh,omitzero"` // packets longer than a frame that are queued whole
	Timestamp uint32         `json:"tstamp,omitzero"`      // SOF_TIMESTAMPING_* of the rings
	RxRing    *Ring          `json:"rx_ring,omitzero"`     //
	TxRing    *Ring          `json:"tx_ring,omitzero"`     //
	Fanout    uint32         `json:"fanout,omitzero"`      // group and kind: PACKET_FANOUT of packet(7)
	Groups    []PacketMember `json:"memberships,omitzero"` // PACKET_ADD_MEMBERSHIP
	Filter    nl.Hex         `json:"filter,omitzero"`      // its classic BPF filter, as struct sock_filter; told only with CAP_NET_ADMIN
}

// Ring is the size of a packet ring.
type Ring struct {
	BlockSize uint32 `json:"block_size"` // bytes
	Blocks    uint32 `json:"block_nr"`
	FrameSize uint32 `json:"frame_size"` // bytes
	Frames    uint32 `json:"frame_nr"`
	Retire    uint32 `json:"retire_tmo,omitzero"` // ms
	Private   uint32 `json:"sizeof_priv,omitzero"`
	Features  uint32 `json:"features,omitzero"`
}

// PacketMember is a membership of a packet socket: what the interface is asked
// to let in on its account.
type PacketMember struct {
	Interface int             `json:"ifindex"`
	Count     uint32          `json:"count"`
	Type      PacketGroup     `json:"type"`
	Addr      nl.HardwareAddr `json:"addr,omitzero"`
}

// PacketGroup is the kind of a membership (PACKET_MR_*).
type PacketGroup uint16

// The kinds.
const (
	PacketMulticast    PacketGroup = iota // one group
	PacketPromiscuous                     // everything
	PacketAllMulticast                    // every group
	PacketUnicast                         // one more address
)

var packetGroupNames = []string{"multicast", "promisc", "allmulti", "unicast"}

// String returns the word, such as "promisc".
func (g PacketGroup) String() string { return enum.String(packetGroupNames, "membership", g) }

// MarshalText implements [encoding.TextMarshaler].
func (g PacketGroup) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (g *PacketGroup) UnmarshalText(b []byte) (err error) {
	*g, err = enum.Parse[PacketGroup](packetGroupNames, "membership", b)
	return err
}

// PacketFlags are PDI_* of linux/packet_diag.h.
type PacketFlags uint32

var packetFlagNames = []string{"running", "auxdata", "origdev", "vnethdr", "loss"}

// Has reports whether the flag of that name is set.
func (p PacketFlags) Has(name string) bool {
	bit, err := enum.ParseBit[PacketFlags](packetFlagNames, "packet flag", name)
	return err == nil && p&bit != 0
}

// String returns the words with a bar between them, "" for none.
func (p PacketFlags) String() string { return enum.Join(packetFlagNames, p) }

// MarshalJSON implements [encoding/json.Marshaler]: an array of words.
func (p PacketFlags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(packetFlagNames, p) }

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (p *PacketFlags) UnmarshalJSON(b []byte) (err error) {
	*p, err = enum.UnmarshalWords[PacketFlags](packetFlagNames, "packet flag", b)
	return err
}

// packetRequest is the request for all packet sockets. Their queues are told
// as memory only.
func packetRequest() []byte {
	b := make([]byte, sizeofPacketReq)
	b[0] = afPacket
	binary.NativeEndian.PutUint32(b[8:], packetShowInfo|packetShowGroups|packetShowRings|packetShowFanout|packetShowMemory|packetShowFilter)
	return b
}

// parsePacket fills s from an answer about a packet socket.
func parsePacket(b []byte, s *Socket) error {
	if len(b) < sizeofPacketMsg || b[0] != afPacket {
		return nl.ErrMalformed
	}
	u32 := binary.NativeEndian.Uint32
	p := &PacketInfo{Protocol: binary.NativeEndian.Uint16(b[2:])}
	*s = Socket{Protocol: Packet, Family: FamilyPacket, Type: SocketType(b[1]), State: StateClose, Packet: p}
	s.Inode = u32(b[4:])
	s.Cookie = uint64(u32(b[12:]))<<32 | uint64(u32(b[8:]))
	a := nl.NewAttrs(b[sizeofPacketMsg:])
	for a.Next() {
		if !packetAttr(a.Type, a.Data, s) {
			s.Unknown = append(s.Unknown, a.Keep())
		}
	}
	return a.Err()
}

func packetAttr(typ uint16, b []byte, s *Socket) (ok bool) {
	p := s.Packet
	switch typ {
	case packetDiagInfo:
		f := &fields{b: b}
		s.Interface = int(f.u32())
		p.Version, p.Reserve, p.Copy, p.Timestamp, p.Flags = f.u32(), f.u32(), f.u32(), f.u32(), PacketFlags(f.u32())
		return true
	case packetDiagGroups:
		return p.members(b)
	case packetDiagRxRing:
		p.RxRing = parseRing(b)
		return true
	case packetDiagTxRing:
		p.TxRing = parseRing(b)
		return true
	case packetDiagFanout:
		p.Fanout, ok = nl.U32(b)
	case packetDiagUID:
		s.UID, ok = nl.U32(b)
	case packetDiagMemInfo:
		s.Memory = parseMemory(b)
		s.RecvQueue, s.SendQueue = s.Memory.RecvAlloc, s.Memory.SendAlloc
		return true
	case packetDiagFilter:
		p.Filter = append(nl.Hex(nil), b...)
		return true
	}
	return ok
}

func parseRing(b []byte) *Ring {
	f := &fields{b: b}
	return &Ring{f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32()}
}

// members reads an array of struct packet_diag_mclist.
func (p *PacketInfo) members(b []byte) bool {
	const size = 44
	for ; len(b) >= size; b = b[size:] {
		f := &fields{b: b}
		m := PacketMember{Interface: int(f.u32()), Count: f.u32(), Type: PacketGroup(f.u16())}
		n := min(int(f.u16()), 32)
		m.Addr = append(nl.HardwareAddr(nil), f.next(n)...)
		p.Groups = append(p.Groups, m)
	}
	return len(b) == 0
}
