package link

import (
	"net/netip"

	"github.com/netsonde/netsonde/internal/nl"
)

// VXLAN is an Ethernet segment over UDP (RFC 7348, IFLA_VXLAN_*).
type VXLAN struct {
	ID             uint32      `json:"id"`              // network identifier, 24 bits
	Remote         netip.Addr  `json:"remote,omitzero"` // default destination, or multicast group
	Local          netip.Addr  `json:"local,omitzero"`  // source
	Link           int         `json:"link,omitzero"`   // index of the interface below
	Port           uint16      `json:"port"`            // UDP destination
	PortLow        uint16      `json:"port_low,omitzero"`
	PortHigh       uint16      `json:"port_high,omitzero"` // UDP source
	TTL            uint8       `json:"ttl"`                // 0: chosen by the kernel
	TOS            uint8       `json:"tos,omitzero"`
	DF             uint8       `json:"df"` // 0 unset, 1 set, 2 inherit
	Learning       bool        `json:"learning"`
	Proxy          bool        `json:"proxy,omitzero"`
	L2Miss         bool        `json:"l2miss,omitzero"`
	L3Miss         bool        `json:"l3miss,omitzero"`
	Ageing         uint32      `json:"ageing"`         // seconds
	Limit          uint32      `json:"limit,omitzero"` // entries; 0: none
	UDPCsum        bool        `json:"udp_csum"`       // IPv4
	ZeroCsum6Tx    bool        `json:"udp_zero_csum6_tx"`
	ZeroCsum6Rx    bool        `json:"udp_zero_csum6_rx"`
	RemCsumTx      bool        `json:"remcsum_tx,omitzero"`
	RemCsumRx      bool        `json:"remcsum_rx,omitzero"`
	NoPartial      bool        `json:"remcsum_nopartial,omitzero"`
	RSC            bool        `json:"rsc,omitzero"`         // route short circuit
	GBP            bool        `json:"gbp,omitzero"`         // group policy
	GPE            bool        `json:"gpe,omitzero"`         // generic protocol extension
	TTLInherit     bool        `json:"ttl_inherit,omitzero"` // TTL is that of the packet inside
	VNIFilter      bool        `json:"vnifilter,omitzero"`
	LocalBypass    bool        `json:"localbypass,omitzero"`  // packets to this host go straight to the other VXLAN (Linux 6.5)
	MulticastRoute bool        `json:"mcroute,omitzero"`      // Linux 6.17
	Label          uint32      `json:"label,omitzero"`        // IPv6 flow label
	LabelPolicy    uint32      `json:"label_policy,omitzero"` // 0 fixed, 1 inherit
	External       bool        `json:"external,omitzero"`     // identifier and addresses come with each packet
	Unknown        []Attribute `json:"unknown,omitzero"`
}

func (v *VXLAN) attribute(typ uint16, b []byte) bool {
	if f := v.flag(typ); f != nil {
		// Some are bytes, some count by being there.
		*f = len(b) == 0 || b[0] != 0
		return true
	}
	return v.ends(typ, b) || v.numbers(typ, b)
}

// flag returns the field of a switch.
func (v *VXLAN) flag(typ uint16) *bool {
	if int(typ) >= 35 {
		return nil
	}
	return [35]*bool{
		7: &v.Learning, 11: &v.Proxy, 12: &v.RSC, 13: &v.L2Miss, 14: &v.L3Miss, 18: &v.UDPCsum,
		19: &v.ZeroCsum6Tx, 20: &v.ZeroCsum6Rx, 21: &v.RemCsumTx, 22: &v.RemCsumRx, 23: &v.GBP, 24: &v.NoPartial,
		25: &v.External, 27: &v.GPE, 28: &v.TTLInherit, 30: &v.VNIFilter, 31: &v.LocalBypass, 34: &v.MulticastRoute,
	}[typ]
}

// ends takes where it goes.
func (v *VXLAN) ends(typ uint16, b []byte) bool {
	switch typ {
	case 2, 16:
		return nl.SetAddr(&v.Remote, b)
	case 3:
		return nl.Set32(&v.Link, b)
	case 4, 17:
		return nl.SetAddr(&v.Local, b)
	case 10:
		return len(b) >= 4 && nl.SetBE16(&v.PortLow, b) && nl.SetBE16(&v.PortHigh, b[2:])
	case 15:
		return nl.SetBE16(&v.Port, b)
	}
	return false
}

func (v *VXLAN) numbers(typ uint16, b []byte) bool {
	switch typ {
	case 1:
		return nl.Set32(&v.ID, b)
	case 5:
		return nl.Set8(&v.TTL, b)
	case 6:
		return nl.Set8(&v.TOS, b)
	case 8:
		return nl.Set32(&v.Ageing, b)
	case 9:
		return nl.Set32(&v.Limit, b)
	case 26:
		return nl.SetBE32(&v.Label, b)
	case 29:
		return nl.Set8(&v.DF, b)
	case 32:
		return nl.Set32(&v.LabelPolicy, b)
	}
	return false
}

func (v *VXLAN) unknown() *[]Attribute { return &v.Unknown }
