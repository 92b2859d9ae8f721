package link

import (
	"encoding/binary"
	"net/netip"

	"github.com/netsonde/netsonde/internal/nl"
)

// Tunnel is an IP tunnel (IFLA_IPTUN_*, IFLA_GRE_*, IFLA_VTI_* of
// linux/if_tunnel.h).
type Tunnel struct {
	Local    netip.Addr  `json:"local,omitzero"`
	Remote   netip.Addr  `json:"remote,omitzero"` // invalid: any, or chosen for each packet
	Link     int         `json:"link,omitzero"`   // index of the interface below
	TTL      uint8       `json:"ttl"`             // 0: as the packet inside
	TOS      uint8       `json:"tos,omitzero"`    // 1: as the packet inside
	PMTUDisc bool        `json:"pmtudisc"`        // the outer packet may not be fragmented
	Protocol uint8       `json:"proto,omitzero"`  // inside: 4 IPv4, 41 IPv6, 0 any
	IKey     uint32      `json:"ikey,omitzero"`
	OKey     uint32      `json:"okey,omitzero"`
	Mark     uint32      `json:"fwmark,omitzero"` // of the outer packets
	Unknown  []Attribute `json:"unknown,omitzero"`
}

// tunnelLayout is under which numbers a kind keeps what all have; 0 where it
// does not.
type tunnelLayout struct {
	link, local, remote, ttl, tos, pmtudisc, proto, ikey, okey, mark uint16
}

// tunnelKind returns the numbers of linux/if_tunnel.h. IP-in-IP kinds share one
// list, GRE kinds another.
func tunnelKind(kind string) *tunnelLayout {
	switch kind {
	case "ipip", "sit", "ip6tnl":
		return &tunnelLayout{link: 1, local: 2, remote: 3, ttl: 4, tos: 5, proto: 9, pmtudisc: 10, mark: 20}
	case "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan":
		return &tunnelLayout{link: 1, ikey: 4, okey: 5, local: 6, remote: 7, ttl: 8, tos: 9, pmtudisc: 10, mark: 20}
	case "vti", "vti6":
		return &tunnelLayout{link: 1, ikey: 2, okey: 3, local: 4, remote: 5, mark: 6}
	}
	return nil
}

// tunnelReader fills a Tunnel.
type tunnelReader struct {
	*Tunnel
	l *tunnelLayout
}

func (t tunnelReader) attribute(typ uint16, b []byte) bool {
	l := t.l
	if typ == 0 {
		return false
	}
	switch typ {
	case l.link:
		return nl.Set32(&t.Link, b)
	case l.local:
		return setEnd(&t.Local, b)
	case l.remote:
		return setEnd(&t.Remote, b)
	case l.ttl:
		return nl.Set8(&t.TTL, b)
	case l.tos:
		return nl.Set8(&t.TOS, b)
	case l.pmtudisc:
		return nl.SetBool(&t.PMTUDisc, b)
	case l.proto:
		return nl.Set8(&t.Protocol, b)
	case l.ikey:
		return nl.SetBE32(&t.IKey, b)
	case l.okey:
		return nl.SetBE32(&t.OKey, b)
	case l.mark:
		return nl.Set32(&t.Mark, b)
	}
	return false
}

func (t tunnelReader) unknown() *[]Attribute { return &t.Unknown }

// setEnd stores an end of a tunnel; the unspecified address is none.
func setEnd(p *netip.Addr, b []byte) bool {
	a, ok := nl.Addr(b)
	if ok && !a.IsUnspecified() {
		*p = a
	}
	return ok
}

// details is a structure that takes attributes in and keeps the rest.
type details interface {
	attribute(typ uint16, b []byte) bool
	unknown() *[]Attribute
}

func fill(d details, b []byte) {
	for it := nl.NewAttrs(b); it.Next(); {
		if !d.attribute(it.Type, it.Data) {
			u := d.unknown()
			*u = append(*u, it.Keep())
		}
	}
}

// linkInfo reads IFLA_LINKINFO. The kinds come first, whatever the order.
func (l *Link) linkInfo(b []byte) bool {
	const kind, data, xstats, slaveKind, slaveData = 1, 2, 3, 4, 5
	it := nl.NewAttrs(b)
	for it.Next() {
		switch it.Type {
		case kind:
			l.Kind = nl.Text(it.Data)
		case slaveKind:
			l.SlaveKind = nl.Text(it.Data)
		}
	}
	if it.Err() != nil {
		return false
	}
	for it := nl.NewAttrs(b); it.Next(); {
		switch it.Type {
		case kind, slaveKind:
		case data:
			fill(l.kindData(), it.Data)
		case slaveData:
			fill(l.portData(), it.Data)
		case xstats:
			nl.SetBytes(&l.Statistics, it.Data)
		default:
			l.Unknown = append(l.Unknown, Attribute{Type: iflaLinkInfo, Data: nl.Append(nil, it.Type, it.Data)})
		}
	}
	return true
}

// raw keeps all attributes of a kind that has no structure.
type raw struct{ list *[]Attribute }

func (raw) attribute(uint16, []byte) bool { return false }
func (r raw) unknown() *[]Attribute       { return r.list }

// kindData makes the structure for the interface's kind.
func (l *Link) kindData() details {
	d := &l.Details
	switch l.Kind {
	case "bridge":
		d.Bridge = new(Bridge)
		return d.Bridge
	case "bond":
		d.Bond = new(Bond)
		return d.Bond
	case "vlan":
		d.VLAN = new(VLAN)
		return d.VLAN
	case "macvlan", "macvtap":
		d.MACVLAN = new(MACVLAN)
		return d.MACVLAN
	case "ipvlan", "ipvtap":
		d.IPVLAN = new(IPVLAN)
		return d.IPVLAN
	case "vxlan":
		d.VXLAN = new(VXLAN)
		return d.VXLAN
	case "vrf":
		d.VRF = new(VRF)
		return d.VRF
	case "tun":
		d.Tun = new(Tun)
		return d.Tun
	}
	if layout := tunnelKind(l.Kind); layout != nil {
		d.Tunnel = new(Tunnel)
		return tunnelReader{d.Tunnel, layout}
	}
	return raw{&d.Data}
}

// portData makes the structure for what the master's kind keeps for its port.
func (l *Link) portData() details {
	d := &l.Details
	switch l.SlaveKind {
	case "bridge":
		d.BridgePort = new(BridgePort)
		return d.BridgePort
	case "bond":
		d.BondPort = new(BondPort)
		return d.BondPort
	case "vrf":
		d.VRFPort = new(VRF)
		return d.VRFPort
	}
	return raw{&d.PortData}
}

// setTimer stores a duration in hundredths of a second (clock_t), as bridges
// tell their timers.
func setTimer[T ~int64](p *T, b []byte) bool {
	if len(b) < 8 {
		return false
	}
	const tick = 10_000_000 // ns
	*p = T(min(binary.NativeEndian.Uint64(b), 1<<62/tick) * tick)
	return true
}
