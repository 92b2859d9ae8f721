package route

import (
	"encoding/binary"
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// Encap is what a route wraps packets in (RTA_ENCAP, linux/lwtunnel.h,
// ip-route(8)). What is not of its type is zero.
type Encap struct {
	Type EncapType `json:"type"`

	Labels []uint32 `json:"labels,omitzero"` // mpls, the outermost first

	ID  uint64     `json:"id,omitzero"`  // ip, ip6: the tunnel's
	Src netip.Addr `json:"src,omitzero"` // ip, ip6; unspecified: chosen
	Dst netip.Addr `json:"dst,omitzero"` // ip, ip6
	TTL uint8      `json:"ttl,omitzero"` // ip, ip6, mpls; 0: the default
	TOS uint8      `json:"tos,omitzero"` // ip, ip6: also the traffic class
	// Flags of ip and ip6 (TUNNEL_*, linux/if_tunnel.h).
	Flags uint16 `json:"flags,omitzero"`

	// Mode is how seg6 adds the header.
	Mode     Seg6Mode     `json:"mode,omitzero"`
	Segments []netip.Addr `json:"segs,omitzero"` // seg6, seg6local: in the order of the way

	Action   Seg6Action `json:"action,omitzero"`   // seg6local
	Table    uint32     `json:"table,omitzero"`    // seg6local
	VRFTable uint32     `json:"vrftable,omitzero"` // seg6local
	NextHop  netip.Addr `json:"nh,omitzero"`       // seg6local
	IIF      int        `json:"iif,omitzero"`      // seg6local, index
	OIF      int        `json:"oif,omitzero"`      // seg6local, index

	Unknown []Attribute `json:"unknown,omitzero"` // what this library has no field for
}

// EncapType is the kind of an encapsulation (LWTUNNEL_ENCAP_*).
type EncapType uint16

// The kinds.
const (
	EncapNone EncapType = iota
	EncapMPLS
	EncapIP
	EncapILA
	EncapIP6
	EncapSeg6
	EncapBPF
	EncapSeg6Local
	EncapRPL
	EncapIOAM6
	EncapXFRM
)

var encapNames = []string{"none", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"}

// String returns the word of ip-route(8).
func (t EncapType) String() string { return enum.String(encapNames, "encap", t) }

// MarshalText implements [encoding.TextMarshaler].
func (t EncapType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *EncapType) UnmarshalText(b []byte) (err error) {
	*t, err = enum.Parse[EncapType](encapNames, "encap", b)
	return err
}

// Seg6Mode is how a segment routing header is added (SEG6_IPTUN_MODE_*).
type Seg6Mode uint8

// The modes.
const (
	Seg6None    Seg6Mode = iota // of another encapsulation
	Seg6Inline                  // into the packet's own header
	Seg6Encap                   // in a new IPv6 header
	Seg6L2Encap                 // in a new IPv6 header, frames
	Seg6EncapRed
	Seg6L2EncapRed
)

var seg6Names = []string{"none", "inline", "encap", "l2encap", "encap.red", "l2encap.red"}

// String returns the word of ip-route(8).
func (m Seg6Mode) String() string { return enum.String(seg6Names, "mode", m) }

// MarshalText implements [encoding.TextMarshaler].
func (m Seg6Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Seg6Mode) UnmarshalText(b []byte) (err error) {
	*m, err = enum.Parse[Seg6Mode](seg6Names, "mode", b)
	return err
}

// Seg6Action is what is done with packets whose segment this host is
// (SEG6_LOCAL_ACTION_*, RFC 8986).
type Seg6Action uint32

var seg6Actions = []string{
	"none", "End", "End.X", "End.T", "End.DX2", "End.DX6", "End.DX4", "End.DT6", "End.DT4", "End.B6", "End.B6.Encaps", "End.BM",
	"End.S", "End.AS", "End.AM", "End.BPF", "End.DT46",
}

// String returns the word of ip-route(8), such as "End.DT6".
func (a Seg6Action) String() string { return enum.String(seg6Actions, "action", a) }

// MarshalText implements [encoding.TextMarshaler].
func (a Seg6Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Seg6Action) UnmarshalText(b []byte) (err error) {
	*a, err = enum.Parse[Seg6Action](seg6Actions, "action", b)
	return err
}

// parseEncap reads RTA_ENCAP or NHA_ENCAP of that type.
func parseEncap(t EncapType, b []byte) *Encap {
	e := &Encap{Type: t}
	read := map[EncapType]func(uint16, []byte) bool{
		EncapMPLS: e.mpls, EncapIP: e.tunnel, EncapIP6: e.tunnel, EncapSeg6: e.seg6, EncapSeg6Local: e.seg6Local,
	}[t]
	it := nl.NewAttrs(b)
	for it.Next() {
		if read == nil || !read(it.Type, it.Data) {
			e.Unknown = append(e.Unknown, it.Keep())
		}
	}
	return e
}

// mpls takes MPLS_IPTUNNEL_*.
func (e *Encap) mpls(typ uint16, b []byte) bool {
	const dst, ttl = 1, 2
	switch {
	case typ == ttl:
		return nl.Set8(&e.TTL, b)
	case typ != dst || len(b)%4 != 0:
		return false
	}
	for ; len(b) > 0; b = b[4:] { // label, class, bottom of stack, TTL
		e.Labels = append(e.Labels, binary.BigEndian.Uint32(b)>>12)
	}
	return true
}

// tunnel takes LWTUNNEL_IP_* and LWTUNNEL_IP6_*, which have the same numbers.
func (e *Encap) tunnel(typ uint16, b []byte) bool {
	const id, dst, src, ttl, tos, flags, pad = 1, 2, 3, 4, 5, 6, 7
	switch typ {
	case id:
		if len(b) >= 8 {
			e.ID = binary.BigEndian.Uint64(b)
		}
		return len(b) >= 8
	case dst:
		return nl.SetAddr(&e.Dst, b)
	case src:
		return nl.SetAddr(&e.Src, b)
	case ttl:
		return nl.Set8(&e.TTL, b)
	case tos:
		return nl.Set8(&e.TOS, b)
	case flags:
		return nl.SetBE16(&e.Flags, b)
	case pad:
		return true
	}
	return false
}

// seg6 takes SEG6_IPTUNNEL_SRH: the mode and a segment routing header.
func (e *Encap) seg6(typ uint16, b []byte) bool {
	mode, ok := nl.U32(b)
	if typ != 1 || !ok || !e.segments(b[4:]) {
		return false
	}
	e.Mode = Seg6Mode(mode) + 1
	return true
}

// segments reads struct ipv6_sr_hdr (RFC 8754), which has the last segment first.
func (e *Encap) segments(b []byte) bool {
	const header = 8
	if len(b) < header {
		return false
	}
	n := int(b[4]) + 1
	if len(b) < header+16*n {
		return false
	}
	for i := range n {
		at := header + 16*(n-1-i)
		e.Segments = append(e.Segments, netip.AddrFrom16([16]byte(b[at:])))
	}
	return true
}

// seg6Local takes SEG6_LOCAL_*.
func (e *Encap) seg6Local(typ uint16, b []byte) bool {
	const action, srh, table, nh4, nh6, iif, oif, vrf = 1, 2, 3, 4, 5, 6, 7, 9
	switch typ {
	case action:
		return nl.Set32(&e.Action, b)
	case srh:
		return e.segments(b)
	case table:
		return nl.Set32(&e.Table, b)
	case nh4, nh6:
		return nl.SetAddr(&e.NextHop, b)
	case iif:
		return nl.Set32(&e.IIF, b)
	case oif:
		return nl.Set32(&e.OIF, b)
	case vrf:
		return nl.Set32(&e.VRFTable, b)
	}
	return false
}
