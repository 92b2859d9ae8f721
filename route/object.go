package route

import (
	"context"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/nl"
)

// NextHopObjects returns the next hops that stand for themselves (`ip nexthop`,
// Linux 5.3) and groups of them, which routes refer to by NHID. Only NetNS of o
// counts. A kernel without them has none.
func NextHopObjects(ctx context.Context, o *Options) ([]NextHopObject, error) {
	return nextHopObjects(ctx, o)
}

// NextHopObject is a next hop, or a group of them (RTM_NEWNEXTHOP,
// ip-nexthop(8)).
type NextHopObject struct {
	ID        uint32        `json:"id"`
	Family    Family        `json:"family"`           // any for groups
	Gateway   netip.Addr    `json:"gateway,omitzero"` // invalid: on-link, a blackhole or a group
	OIF       int           `json:"oif,omitzero"`     // index
	Device    string        `json:"dev,omitzero"`     // the name of OIF
	Blackhole bool          `json:"blackhole,omitzero"`
	FDB       bool          `json:"fdb,omitzero"` // for entries of a VXLAN's forwarding table
	Encap     *Encap        `json:"encap,omitzero"`
	Group     []GroupMember `json:"group,omitzero"` // nil: not a group
	// Resilient are the settings of a group that keeps flows where they are.
	Resilient *Resilient  `json:"resilient_args,omitzero"`
	Master    int         `json:"master,omitzero"` // index
	Scope     Scope       `json:"scope"`
	Protocol  Protocol    `json:"protocol"` // who set it
	Flags     Flags       `json:"flags"`
	Unknown   []Attribute `json:"unknown,omitzero"` // NHA_* that this library has no field for
}

// GroupMember is a next hop object in a group.
type GroupMember struct {
	ID     uint32 `json:"id"`
	Weight int    `json:"weight"` // share of the flows, 1 to 65536
}

// Resilient are the settings of a resilient group (NHA_RES_GROUP_*, Linux 5.13).
type Resilient struct {
	Buckets         uint16        `json:"buckets"`
	IdleTimer       time.Duration `json:"idle_timer_ns"`       // a bucket moves after so much silence
	UnbalancedTimer time.Duration `json:"unbalanced_timer_ns"` // and without it after so long; 0: never
	UnbalancedTime  time.Duration `json:"unbalanced_time_ns"`  // for so long it has been out of balance
}

const sizeofNhmsg = 8

// parseObject reads a struct nhmsg and its attributes (linux/nexthop.h).
func parseObject(b []byte) (NextHopObject, error) {
	var o NextHopObject
	if len(b) < sizeofNhmsg {
		return o, nl.ErrMalformed
	}
	o.Family, o.Scope, o.Protocol = Family(b[0]), Scope(b[1]), Protocol(b[2])
	o.Flags = Flags(binary.NativeEndian.Uint32(b[4:]))
	var encap []byte
	var encapType EncapType
	it := nl.NewAttrs(b[sizeofNhmsg:])
	for it.Next() {
		const nhaEncapType, nhaEncap = 7, 8
		ok := true
		switch it.Type {
		case nhaEncapType:
			ok = nl.Set16(&encapType, it.Data)
		case nhaEncap:
			encap = it.Data
		default:
			ok = o.attribute(it.Type, it.Data)
		}
		if !ok {
			o.Unknown = append(o.Unknown, it.Keep())
		}
	}
	if encapType != EncapNone {
		o.Encap = parseEncap(encapType, encap)
	}
	o.Gateway = zoned(o.Gateway, o.OIF)
	return o, it.Err()
}

func (o *NextHopObject) attribute(typ uint16, b []byte) bool {
	const id, group, groupType, blackhole, oif, gateway, master, fdb, resilient, opFlags = 1, 2, 3, 4, 5, 6, 10, 11, 12, 14
	switch typ {
	case id:
		return nl.Set32(&o.ID, b)
	case group:
		o.Group = parseGroup(b)
		return len(b)%8 == 0
	case groupType: // which the settings of a resilient one tell too
		return len(b) == 2
	case blackhole:
		o.Blackhole = true
		return true
	case oif:
		return nl.Set32(&o.OIF, b)
	case gateway:
		return nl.SetAddr(&o.Gateway, b)
	case master:
		return nl.Set32(&o.Master, b)
	case fdb:
		o.FDB = true
		return true
	case resilient:
		return o.resilient(b)
	case opFlags: // about the answer: that weights have an upper byte
		return true
	}
	return false
}

func (o *NextHopObject) resilient(b []byte) bool {
	const pad, buckets, idle, unbalancedTimer, unbalancedTime = 0, 1, 2, 3, 4
	var r Resilient
	it := nl.NewAttrs(b)
	ok := true
	for it.Next() {
		switch v, _ := nl.U32(it.Data); it.Type {
		case pad:
		case buckets:
			ok = nl.Set16(&r.Buckets, it.Data) && ok
		case idle:
			r.IdleTimer = ticks(v)
		case unbalancedTimer:
			r.UnbalancedTimer = ticks(v)
		case unbalancedTime:
			long, _ := nl.U64(it.Data)
			r.UnbalancedTime = time.Duration(min(long, 1<<53)) * 10 * time.Millisecond
		default:
			ok = false
		}
	}
	o.Resilient = &r
	return ok && it.Err() == nil
}

// parseGroup reads a run of struct nexthop_grp.
func parseGroup(b []byte) []GroupMember {
	group := []GroupMember{}
	for ; len(b) >= 8; b = b[8:] {
		// Linux 6.12 added an upper byte to the weight, which is one less than it says.
		weight := int(b[5])<<8 | int(b[4])
		group = append(group, GroupMember{binary.NativeEndian.Uint32(b), weight + 1})
	}
	return group
}
