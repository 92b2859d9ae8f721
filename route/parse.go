package route

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/netsonde/netsonde/internal/nl"
)

// The attributes of linux/rtnetlink.h.
const (
	rtaDst       = 1
	rtaSrc       = 2
	rtaIIF       = 3
	rtaOIF       = 4
	rtaGateway   = 5
	rtaPriority  = 6
	rtaPrefSrc   = 7
	rtaMetrics   = 8
	rtaMultipath = 9
	rtaFlow      = 11
	rtaCacheInfo = 12
	rtaTable     = 15
	rtaMark      = 16
	rtaVia       = 18
	rtaPref      = 20
	rtaEncapType = 21
	rtaEncap     = 22
	rtaPad       = 24
	rtaUID       = 25
	rtaIPProto   = 27
	rtaSPort     = 28
	rtaDPort     = 29
	rtaNHID      = 30
)

const (
	sizeofRtMsg     = 12
	sizeofRtNexthop = 8
)

// parser makes routes. It hands out next hops from a slab, so that a route does
// not cost an allocation of its own.
type parser struct{ slab []NextHop }

const slabSize = 256

// hop returns a slice of one next hop.
func (p *parser) hop() []NextHop {
	if len(p.slab) == 0 {
		p.slab = make([]NextHop, slabSize)
	}
	h := p.slab[:1:1]
	p.slab = p.slab[1:]
	return h
}

// parse reads a struct rtmsg and its attributes into r, which is zero.
func (p *parser) parse(b []byte, r *Route) error {
	if len(b) < sizeofRtMsg {
		return nl.ErrMalformed
	}
	r.Family, r.TOS, r.Table = Family(b[0]), b[3], uint32(b[4])
	r.Protocol, r.Scope, r.Type = Protocol(b[5]), Scope(b[6]), Type(b[7])
	r.Flags = Flags(binary.NativeEndian.Uint32(b[8:]))
	if r.Flags&FlagCloned != 0 {
		// Above the lower half are then flags of another space.
		r.Cache = CacheFlags(r.Flags &^ 0xffff)
		r.Flags &= 0xffff
	}
	dstLen, srcLen := int(b[1]), int(b[2])
	r.Dst = netip.PrefixFrom(unspecified(r.Family), dstLen)
	var encap []byte
	var encapType EncapType
	it := nl.NewAttrs(b[sizeofRtMsg:])
	for it.Next() {
		ok := false
		switch it.Type {
		case rtaEncap:
			encap, ok = it.Data, true
		case rtaEncapType:
			ok = nl.Set16(&encapType, it.Data)
		case rtaDst:
			ok = setPrefix(&r.Dst, it.Data, dstLen)
		case rtaSrc:
			ok = setPrefix(&r.Src, it.Data, srcLen)
			if r.Src.Addr().IsUnspecified() {
				r.Src = netip.Prefix{} // how IPv6 answers that it was not asked about one
			}
		case rtaMultipath:
			ok = r.multipath(it.Data)
		default:
			ok = r.attribute(it.Type, it.Data) || r.answer(it.Type, it.Data)
		}
		if !ok {
			r.Unknown = append(r.Unknown, it.Keep())
		}
	}
	switch {
	case encapType != EncapNone:
		r.Encap = parseEncap(encapType, encap)
	case encap != nil: // of no type
		r.Unknown = append(r.Unknown, Attribute{Type: rtaEncap, Data: bytes.Clone(encap)})
	}
	r.Gateway, r.PrefSrc = zoned(r.Gateway, r.OIF), zoned(r.PrefSrc, r.OIF)
	if len(r.NextHops) == 0 {
		r.NextHops = p.hop()
		r.NextHops[0] = NextHop{Gateway: r.Gateway, OIF: r.OIF, Weight: 1, Flags: r.Flags & hopFlags, Flow: r.Flow, Encap: r.Encap}
	} else if len(r.NextHops) == 1 { // what is left of a multipath route
		hop := &r.NextHops[0]
		r.Gateway, r.OIF, r.Flow, r.Encap = hop.Gateway, hop.OIF, hop.Flow, hop.Encap
		r.Flags |= r.NextHops[0].Flags
	}
	return it.Err()
}

// hopFlags are those of a route that are about its way.
const hopFlags = FlagDead | FlagPervasive | FlagOnLink | FlagOffload | FlagLinkDown | FlagUnresolved | FlagTrap

// attribute takes what tables hold.
func (r *Route) attribute(typ uint16, b []byte) bool {
	switch typ {
	case rtaOIF:
		return nl.Set32(&r.OIF, b)
	case rtaGateway:
		return nl.SetAddr(&r.Gateway, b)
	case rtaVia:
		return setVia(&r.Gateway, b)
	case rtaPriority:
		return nl.Set32(&r.Metric, b)
	case rtaPrefSrc:
		return nl.SetAddr(&r.PrefSrc, b)
	case rtaMetrics:
		return r.metrics(b)
	case rtaFlow:
		return nl.Set32(&r.Flow, b)
	case rtaCacheInfo:
		return r.cacheInfo(b)
	case rtaTable:
		return nl.Set32(&r.Table, b)
	case rtaPref:
		v, ok := nl.U8(b)
		if ok {
			r.Pref = Preference(v) + 1
		}
		return ok
	case rtaNHID:
		return nl.Set32(&r.NHID, b)
	case rtaPad:
		return true
	}
	return false
}

// answer takes what only answers to a look-up have.
func (r *Route) answer(typ uint16, b []byte) bool {
	switch typ {
	case rtaIIF:
		return nl.Set32(&r.IIF, b)
	case rtaMark:
		return nl.Set32(&r.Mark, b)
	case rtaUID:
		v, ok := nl.U32(b)
		if ok {
			r.UID = &v
		}
		return ok
	}
	return false
}

// cacheInfo reads struct rta_cacheinfo. Identifier and time stamps at its end
// are always zero.
func (r *Route) cacheInfo(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	e := binary.NativeEndian
	r.Refs, r.LastUse = e.Uint32(b), ticks(e.Uint32(b[4:]))
	if v := int32(e.Uint32(b[8:])); v > 0 {
		r.Expires = ticks(uint32(v))
	}
	if v := int32(e.Uint32(b[12:])); v < 0 {
		r.Errno = -int(v)
	}
	r.Used = e.Uint32(b[16:])
	return true
}

// multipath reads a run of struct rtnexthop with their attributes.
func (r *Route) multipath(b []byte) bool {
	var hops []NextHop
	for len(b) >= sizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < sizeofRtNexthop || n > len(b) {
			return false
		}
		h := NextHop{
			Flags:  Flags(b[2]),
			Weight: int(b[3]) + 1,
			OIF:    int(binary.NativeEndian.Uint32(b[4:])),
		}
		if !h.attributes(b[sizeofRtNexthop:n]) {
			return false
		}
		h.Gateway = zoned(h.Gateway, h.OIF)
		hops = append(hops, h)
		b = b[min((n+3)&^3, len(b)):]
	}
	r.NextHops = append(r.NextHops, hops...)
	return true
}

func (h *NextHop) attributes(b []byte) bool {
	var encap []byte
	var encapType EncapType
	it := nl.NewAttrs(b)
	for it.Next() {
		ok := true
		switch it.Type {
		case rtaEncap:
			encap = it.Data
		case rtaEncapType:
			ok = nl.Set16(&encapType, it.Data)
		default:
			ok = h.attribute(it.Type, it.Data)
		}
		if !ok {
			h.Unknown = append(h.Unknown, it.Keep())
		}
	}
	switch {
	case encapType != EncapNone:
		h.Encap = parseEncap(encapType, encap)
	case encap != nil: // of no type
		h.Unknown = append(h.Unknown, Attribute{Type: rtaEncap, Data: bytes.Clone(encap)})
	}
	return it.Err() == nil
}

func (h *NextHop) attribute(typ uint16, b []byte) bool {
	switch typ {
	case rtaGateway:
		return nl.SetAddr(&h.Gateway, b)
	case rtaVia:
		return setVia(&h.Gateway, b)
	case rtaFlow:
		return nl.Set32(&h.Flow, b)
	}
	return false
}

// setVia reads struct rtvia: a family and an address of it.
func setVia(p *netip.Addr, b []byte) bool {
	if len(b) < 2 {
		return false
	}
	switch Family(binary.NativeEndian.Uint16(b)) {
	case FamilyIPv4, FamilyIPv6:
		return nl.SetAddr(p, b[2:])
	}
	return false
}

// The attributes of RTA_METRICS: the one that is no number, and the last.
const raxCongestion, raxLast = 16, 17

// fields are the numbers by their attributes.
func (m *Metrics) fields() [raxLast + 1]*uint32 {
	return [raxLast + 1]*uint32{
		1: &m.Lock, 2: &m.MTU, 3: &m.Window, 4: &m.RTT, 5: &m.RTTVar, 6: &m.SSThresh, 7: &m.Cwnd, 8: &m.AdvMSS,
		9: &m.Reordering, 10: &m.HopLimit, 11: &m.InitCwnd, 12: &m.Features, 13: &m.RTOMin, 14: &m.InitRwnd,
		15: &m.QuickACK, 17: &m.NoFastOpenCookie,
	}
}

// metrics reads RTA_METRICS.
func (r *Route) metrics(b []byte) bool {
	var m Metrics
	fields := m.fields()
	it := nl.NewAttrs(b)
	for it.Next() {
		ok := false
		switch {
		case it.Type == raxCongestion:
			ok = nl.SetText(&m.CongestionCtl, it.Data)
		case it.Type <= raxLast && fields[it.Type] != nil:
			ok = nl.Set32(fields[it.Type], it.Data)
		}
		if !ok {
			m.Unknown = append(m.Unknown, it.Keep())
		}
	}
	r.Metrics, r.MTU = &m, int(m.MTU)
	return it.Err() == nil
}

func unspecified(f Family) netip.Addr {
	if f == FamilyIPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// zoned adds an interface's index to a link-local address.
func zoned(a netip.Addr, index int) netip.Addr {
	if index == 0 || !a.Is6() || !a.IsLinkLocalUnicast() && !a.IsLinkLocalMulticast() {
		return a
	}
	return a.WithZone(strconv.Itoa(index))
}
