package link

import (
	"encoding/binary"

	"github.com/netsonde/netsonde/internal/nl"
)

// The attributes of linux/if_link.h that are sent for an interface. IFLA_STATS
// (7) is not read: it is IFLA_STATS64 cut to 32 bits.
const (
	iflaAddress       = 1
	iflaBroadcast     = 2
	iflaIfName        = 3
	iflaMTU           = 4
	iflaLink          = 5
	iflaQdisc         = 6
	iflaStats         = 7
	iflaMaster        = 10
	iflaTxQLen        = 13
	iflaMap           = 14
	iflaOperState     = 16
	iflaLinkMode      = 17
	iflaLinkInfo      = 18
	iflaIfAlias       = 20
	iflaNumVF         = 21
	iflaVFInfoList    = 22
	iflaStats64       = 23
	iflaAFSpec        = 26
	iflaGroup         = 27
	iflaExtMask       = 29
	iflaPromiscuity   = 30
	iflaNumTxQueues   = 31
	iflaNumRxQueues   = 32
	iflaCarrier       = 33
	iflaPhysPortID    = 34
	iflaChanges       = 35
	iflaPhysSwitchID  = 36
	iflaLinkNetNSID   = 37
	iflaPhysPortName  = 38
	iflaProtoDown     = 39
	iflaGSOMaxSegs    = 40
	iflaGSOMaxSize    = 41
	iflaPad           = 42
	iflaXDP           = 43
	iflaCarrierUps    = 47
	iflaCarrierDowns  = 48
	iflaMinMTU        = 50
	iflaMaxMTU        = 51
	iflaPropList      = 52
	iflaAltIfName     = 53
	iflaPermAddress   = 54
	iflaProtoReason   = 55
	iflaParentDev     = 56
	iflaParentBus     = 57
	iflaGROMaxSize    = 58
	iflaTSOMaxSize    = 59
	iflaTSOMaxSegs    = 60
	iflaAllMulti      = 61
	iflaDevlinkPort   = 62
	iflaGSOIPv4       = 63
	iflaGROIPv4       = 64
	iflaDPLLPin       = 65
	iflaPacingHorizon = 66
	iflaImmutable     = 67
	iflaHeadroom      = 68
	iflaTailroom      = 69
)

const sizeofIfinfomsg = 16

// parseLink reads a struct ifinfomsg and its attributes.
func parseLink(b []byte) (Link, error) {
	var l Link
	if len(b) < sizeofIfinfomsg {
		return l, nl.ErrMalformed
	}
	l.Type = HardwareType(binary.NativeEndian.Uint16(b[2:]))
	l.Index = int(binary.NativeEndian.Uint32(b[4:]))
	l.Flags = Flags(binary.NativeEndian.Uint32(b[8:]))
	it := nl.NewAttrs(b[sizeofIfinfomsg:])
	for it.Next() {
		if !l.attribute(it.Type, it.Data) {
			l.Unknown = append(l.Unknown, it.Keep())
		}
	}
	if !l.AdminUp() {
		l.Carrier = CarrierUnknown
	}
	return l, it.Err()
}

// attribute takes one attribute in, and reports false when it cannot.
func (l *Link) attribute(typ uint16, b []byte) bool {
	return l.identity(typ, b) || l.state(typ, b) || l.numbers(typ, b) || l.offload(typ, b) || l.nested(typ, b)
}

// identity takes names and addresses.
func (l *Link) identity(typ uint16, b []byte) bool {
	switch typ {
	case iflaIfName:
		return nl.SetText(&l.Name, b)
	case iflaIfAlias:
		return nl.SetText(&l.Alias, b)
	case iflaQdisc:
		return nl.SetText(&l.Qdisc, b)
	case iflaPhysPortName:
		return nl.SetText(&l.PhysPortName, b)
	case iflaParentDev:
		return nl.SetText(&l.ParentDev, b)
	case iflaParentBus:
		return nl.SetText(&l.ParentBus, b)
	case iflaAddress:
		return nl.SetBytes(&l.HardwareAddr, b)
	case iflaBroadcast:
		return nl.SetBytes(&l.Broadcast, b)
	case iflaPermAddress:
		return nl.SetBytes(&l.PermAddr, b)
	case iflaPhysPortID:
		return nl.SetBytes(&l.PhysPortID, b)
	case iflaPhysSwitchID:
		return nl.SetBytes(&l.PhysSwitchID, b)
	}
	return false
}

// state takes what tells whether it works.
func (l *Link) state(typ uint16, b []byte) bool {
	switch typ {
	case iflaOperState:
		return nl.Set8(&l.OperState, b)
	case iflaLinkMode:
		return nl.Set8(&l.LinkMode, b)
	case iflaCarrier:
		v, ok := nl.U8(b)
		if ok {
			l.Carrier = CarrierOff
			if v != 0 {
				l.Carrier = CarrierOn
			}
		}
		return ok
	case iflaChanges:
		return nl.Set32(&l.CarrierChanges, b)
	case iflaCarrierUps:
		return nl.Set32(&l.CarrierUps, b)
	case iflaCarrierDowns:
		return nl.Set32(&l.CarrierDowns, b)
	case iflaProtoDown:
		return nl.SetBool(&l.ProtoDown, b)
	case iflaPromiscuity:
		return nl.Set32(&l.Promiscuity, b)
	case iflaAllMulti:
		return nl.Set32(&l.AllMulti, b)
	case iflaImmutable:
		return nl.SetBool(&l.NetNSImmutable, b)
	case iflaStats64:
		l.Counters = counters(b)
		return true
	case iflaStats, iflaPad, iflaExtMask:
		return true // told better elsewhere, nothing, and our own question
	}
	return false
}

// numbers takes sizes and indexes.
func (l *Link) numbers(typ uint16, b []byte) bool {
	switch typ {
	case iflaMTU:
		return nl.Set32(&l.MTU, b)
	case iflaMinMTU:
		return nl.Set32(&l.MinMTU, b)
	case iflaMaxMTU:
		return nl.Set32(&l.MaxMTU, b)
	case iflaMaster:
		return nl.Set32(&l.Master, b)
	case iflaLink:
		return nl.Set32(&l.LinkIndex, b)
	case iflaLinkNetNSID:
		v, ok := nl.U32(b)
		if ok {
			l.LinkNetNS = new(int(int32(v)))
		}
		return ok
	case iflaTxQLen:
		return nl.Set32(&l.TxQueueLen, b)
	case iflaNumTxQueues:
		return nl.Set32(&l.TxQueues, b)
	case iflaNumRxQueues:
		return nl.Set32(&l.RxQueues, b)
	case iflaGroup:
		return nl.Set32(&l.Group, b)
	case iflaNumVF:
		return nl.Set32(&l.NumVF, b)
	}
	return false
}

func (l *Link) offload(typ uint16, b []byte) bool {
	o := &l.Offload
	switch typ {
	case iflaGSOMaxSize:
		return nl.Set32(&o.GSOMaxSize, b)
	case iflaGSOMaxSegs:
		return nl.Set32(&o.GSOMaxSegs, b)
	case iflaGSOIPv4:
		return nl.Set32(&o.GSOIPv4MaxSize, b)
	case iflaGROMaxSize:
		return nl.Set32(&o.GROMaxSize, b)
	case iflaGROIPv4:
		return nl.Set32(&o.GROIPv4MaxSize, b)
	case iflaTSOMaxSize:
		return nl.Set32(&o.TSOMaxSize, b)
	case iflaTSOMaxSegs:
		return nl.Set32(&o.TSOMaxSegs, b)
	case iflaPacingHorizon: // as many bytes as the value takes, 4 or 8
		if len(b) >= 8 {
			return nl.Set64(&o.PacingHorizon, b)
		}
		v, ok := nl.U32(b)
		o.PacingHorizon = uint64(v)
		return ok
	case iflaHeadroom:
		return nl.Set16(&o.Headroom, b)
	case iflaTailroom:
		return nl.Set16(&o.Tailroom, b)
	}
	return false
}

// nested takes what has a structure of its own.
func (l *Link) nested(typ uint16, b []byte) bool {
	switch typ {
	case iflaMap:
		return l.mapping(b)
	case iflaPropList:
		return l.properties(b)
	case iflaProtoReason:
		return l.protoReason(b)
	case iflaXDP:
		return l.xdp(b)
	case iflaLinkInfo:
		return l.linkInfo(b)
	case iflaAFSpec:
		return l.families(b)
	case iflaVFInfoList:
		return l.vfs(b)
	case iflaDevlinkPort, iflaDPLLPin:
		return len(b) == 0 // sent empty for interfaces that have none
	}
	return false
}

// mapping reads struct rtnl_link_ifmap.
func (l *Link) mapping(b []byte) bool {
	if len(b) < 28 {
		return false
	}
	e := binary.NativeEndian
	m := Map{
		MemStart: e.Uint64(b), MemEnd: e.Uint64(b[8:]), BaseAddr: e.Uint64(b[16:]),
		IRQ: e.Uint16(b[24:]), DMA: b[26], Port: b[27],
	}
	if m != (Map{}) {
		l.Map = &m
	}
	return true
}

// properties reads alternative names. One property that is no name, or bytes
// that are no attributes, keep the whole as unknown.
func (l *Link) properties(b []byte) bool {
	it := nl.NewAttrs(b)
	for it.Next() {
		if it.Type != iflaAltIfName {
			return false
		}
		l.AltNames = append(l.AltNames, nl.Text(it.Data))
	}
	return it.Err() == nil
}

func (l *Link) protoReason(b []byte) bool {
	const mask, value = 1, 2
	it := nl.NewAttrs(b)
	for it.Next() {
		switch it.Type {
		case mask:
		case value:
			if !nl.Set32(&l.ProtoDownReason, it.Data) {
				return false
			}
		default:
			return false
		}
	}
	return it.Err() == nil
}

func (l *Link) xdp(b []byte) bool {
	const attached, progID, drvID, skbID, hwID = 2, 4, 5, 6, 7
	var x XDP
	it := nl.NewAttrs(b)
	for it.Next() {
		ok := false
		switch it.Type {
		case attached:
			ok = nl.Set8(&x.Mode, it.Data)
		case progID:
			ok = nl.Set32(&x.ProgID, it.Data)
		case drvID:
			ok = nl.Set32(&x.DrvID, it.Data)
		case skbID:
			ok = nl.Set32(&x.SkbID, it.Data)
		case hwID:
			ok = nl.Set32(&x.HWID, it.Data)
		}
		if !ok {
			x.Unknown = append(x.Unknown, it.Keep())
		}
	}
	if x.Mode != XDPNone || x.Unknown != nil {
		l.XDP = &x
	}
	return it.Err() == nil
}
