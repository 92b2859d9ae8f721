package route

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/netsonde/netsonde/internal/nl"
)

// Add adds a route. Add, Prepend, Replace and Delete are the only functions of
// this package that change anything. They need CAP_NET_ADMIN, are done when they
// return, and take from o its NetNS alone. What counts of r: Type (unicast if it
// is not given), Dst, TOS, one way (Gateway, OIF or Device) or several in NextHops,
// FlagOnLink, PrefSrc, Table (main), Protocol (boot, as of `ip route add`), Pref, Scope
// (as `ip route add` chooses it, if it is zero), Metric, MTU and Metrics.
//
// Errors unwrap to the kernel's errno: EEXIST ([os.ErrExist]) for a destination
// that has a route of this metric, ENETUNREACH for a gateway that is on no link,
// ENETDOWN for an interface that is down, EINVAL with the kernel's words for what
// does not fit together, [os.ErrNotExist] for an interface that is not there,
// [os.ErrPermission].
func Add(ctx context.Context, r Route, o *Options) error {
	return change(ctx, "route: add", changeAdd, r, o)
}

// Prepend adds a route in front of others to the same destination of the same type
// of service and metric, where Add refuses: of IPv4 routes the first is used, IPv6
// routes through gateways become one route of several ways. It is what route(8)
// does.
func Prepend(ctx context.Context, r Route, o *Options) error {
	return change(ctx, "route: prepend", changePrepend, r, o)
}

// Replace adds a route, in the place of the one of the same destination, type of
// service and metric if there is one. Doing it twice is doing it once.
func Replace(ctx context.Context, r Route, o *Options) error {
	return change(ctx, "route: replace", changeReplace, r, o)
}

// Delete removes the first route that is as r says; what r does not say is not
// compared. One that is not there is ESRCH, which here is [os.ErrNotExist].
func Delete(ctx context.Context, r Route, o *Options) error {
	return change(ctx, "route: delete", changeDelete, r, o)
}

// changeKind is which of them.
type changeKind uint8

const (
	changeAdd changeKind = iota
	changePrepend
	changeReplace
	changeDelete
)

// encode returns the body of RTM_NEWROUTE or RTM_DELROUTE. The interfaces have
// their indexes.
func (r *Route) encode(kind changeKind) ([]byte, error) {
	switch {
	case !r.Dst.IsValid():
		return nil, errors.New("no destination")
	case r.Dst != r.Dst.Masked():
		return nil, fmt.Errorf("destination %v has bits beyond its length", r.Dst)
	}
	v4 := r.Dst.Addr().Is4()
	b := make([]byte, sizeofRtMsg, 128)
	b[0], b[1], b[3] = byte(FamilyIPv6), byte(r.Dst.Bits()), r.TOS
	if v4 {
		b[0] = byte(FamilyIPv4)
	}
	b[5], b[6], b[7] = byte(r.Protocol), byte(r.scope(kind)), byte(r.Type)
	if kind != changeDelete {
		if r.Protocol == ProtocolUnspec {
			b[5] = byte(ProtocolBoot)
		}
		if r.Type == TypeUnspec {
			b[7] = byte(TypeUnicast)
		}
	}
	binary.NativeEndian.PutUint32(b[8:], uint32(r.Flags&FlagOnLink))
	table := r.Table
	if table == 0 {
		table = tableMain
	}
	if table < 256 {
		b[4] = byte(table)
	}
	b = nl.AppendU32(b, rtaTable, table)
	if r.Dst.Bits() > 0 {
		b = nl.Append(b, rtaDst, r.Dst.Addr().AsSlice())
	}
	if r.Src.IsValid() {
		b[2] = byte(r.Src.Bits())
		b = nl.Append(b, rtaSrc, r.Src.Addr().AsSlice())
	}
	if r.Metric != 0 {
		b = nl.AppendU32(b, rtaPriority, r.Metric)
	}
	if r.Pref != PreferenceNone && !v4 {
		b = nl.AppendU8(b, rtaPref, byte(r.Pref-1))
	}
	if r.PrefSrc.IsValid() {
		b = nl.Append(b, rtaPrefSrc, r.PrefSrc.AsSlice())
	}
	if m := r.metricsToSet(); len(m) > 0 {
		b = nl.AppendNested(b, rtaMetrics, func(b []byte) []byte { return append(b, m...) })
	}
	return r.encodeWays(b, v4), nil
}

// scope is what `ip route` takes for a scope that is not given.
func (r *Route) scope(kind changeKind) Scope {
	switch {
	case r.Scope != ScopeGlobal || r.Dst.Addr().Is6():
		return r.Scope
	case kind == changeDelete:
		return ScopeNowhere // any
	case r.Type == TypeLocal || r.Type == TypeNAT:
		return ScopeHost
	case r.Type == TypeBroadcast, r.Type == TypeMulticast, r.Type == TypeAnycast,
		(r.Type == TypeUnicast || r.Type == TypeUnspec) && !r.Gateway.IsValid() && len(r.NextHops) < 2:
		return ScopeLink
	}
	return ScopeGlobal
}

func (r *Route) encodeWays(b []byte, v4 bool) []byte {
	if len(r.NextHops) < 2 {
		if r.OIF != 0 {
			b = nl.AppendU32(b, rtaOIF, uint32(r.OIF))
		}
		return appendGateway(b, r.Gateway, v4)
	}
	return nl.AppendNested(b, rtaMultipath, func(b []byte) []byte {
		for _, h := range r.NextHops {
			at := len(b)
			b = append(b, 0, 0, byte(h.Flags&FlagOnLink), byte(max(h.Weight, 1)-1))
			b = binary.NativeEndian.AppendUint32(b, uint32(h.OIF))
			b = appendGateway(b, h.Gateway, v4)
			binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
		}
		return b
	})
}

// appendGateway writes a gateway of the route's family, or one of the other with
// its family in front (struct rtvia).
func appendGateway(b []byte, a netip.Addr, v4 bool) []byte {
	switch {
	case !a.IsValid():
		return b
	case a.Is4() == v4:
		return nl.Append(b, rtaGateway, a.AsSlice())
	}
	family := FamilyIPv6
	if a.Is4() {
		family = FamilyIPv4
	}
	return nl.Append(b, rtaVia, append(binary.NativeEndian.AppendUint16(nil, uint16(family)), a.AsSlice()...))
}

// metricsToSet are the attributes of RTA_METRICS.
func (r *Route) metricsToSet() (b []byte) {
	var m Metrics
	if r.Metrics != nil {
		m = *r.Metrics
	}
	if m.MTU == 0 {
		m.MTU = uint32(max(r.MTU, 0))
	}
	for typ, p := range m.fields() {
		if p != nil && *p != 0 {
			b = nl.AppendU32(b, uint16(typ), *p)
		}
	}
	if m.CongestionCtl != "" {
		b = nl.AppendText(b, raxCongestion, m.CongestionCtl)
	}
	return b
}
