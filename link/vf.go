package link

import (
	"bytes"
	"encoding/binary"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// VF is a virtual function of an SR-IOV card (IFLA_VF_INFO).
type VF struct {
	Index       uint32       `json:"vf"`
	Addr        HardwareAddr `json:"address,omitzero"`
	Broadcast   HardwareAddr `json:"broadcast,omitzero"`
	VLAN        uint32       `json:"vlan,omitzero"`    // 0: none
	QoS         uint32       `json:"qos,omitzero"`     // 802.1p, 0 to 7
	TxRate      uint32       `json:"tx_rate,omitzero"` // Mbit/s; 0: no bound; so the next two
	MinTxRate   uint32       `json:"min_tx_rate,omitzero"`
	MaxTxRate   uint32       `json:"max_tx_rate,omitzero"`
	LinkState   uint32       `json:"link_state"` // 0 as the card's, 1 always up, 2 always down
	SpoofCheck  Switch       `json:"spoofchk"`
	Trust       Switch       `json:"trust"`
	QueryRSS    Switch       `json:"query_rss_en"`
	RxPackets   uint64       `json:"rx_packets"`
	TxPackets   uint64       `json:"tx_packets"`
	RxBytes     uint64       `json:"rx_bytes"`
	TxBytes     uint64       `json:"tx_bytes"`
	RxBroadcast uint64       `json:"rx_broadcast"`
	RxMulticast uint64       `json:"rx_multicast"`
	RxDropped   uint64       `json:"rx_dropped"`
	TxDropped   uint64       `json:"tx_dropped"`
	Unknown     []Attribute  `json:"unknown,omitzero"`
}

// Switch is a setting that a driver may not tell.
type Switch uint8

// The settings.
const (
	SwitchUnknown Switch = iota
	SwitchOff
	SwitchOn
)

var switchNames = []string{"unknown", "off", "on"}

// String returns "unknown", "off" or "on".
func (s Switch) String() string { return enum.String(switchNames, "switch", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s Switch) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Switch) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[Switch](switchNames, "switch", b)
	return err
}

// The attributes of enum IFLA_VF_*.
const (
	vfMAC       = 1
	vfVLAN      = 2
	vfTxRate    = 3
	vfSpoof     = 4
	vfState     = 5
	vfRate      = 6
	vfRSS       = 7
	vfStats     = 8
	vfTrust     = 9
	vfBroadcast = 13
)

func (l *Link) vfs(b []byte) bool {
	const info = 1
	it := nl.NewAttrs(b)
	for it.Next() {
		if it.Type != info {
			return false
		}
		l.VFs = append(l.VFs, l.parseVF(it.Data))
	}
	return it.Err() == nil
}

func (l *Link) parseVF(b []byte) VF {
	var v VF
	for it := nl.NewAttrs(b); it.Next(); {
		if !v.attribute(it.Type, it.Data, len(l.HardwareAddr)) {
			v.Unknown = append(v.Unknown, it.Keep())
		}
	}
	return v
}

// attribute takes one in. All but the statistics and the broadcast address are
// structures that begin with the number of the function.
func (v *VF) attribute(typ uint16, b []byte, addrLen int) bool {
	switch typ {
	case vfStats:
		return v.stats(b)
	case vfBroadcast: // struct ifla_vf_broadcast: 32 bytes, as many as the card's address has
		v.Broadcast = bytes.Clone(b[:min(len(b), addrLen)])
		return true
	}
	index, ok := nl.U32(b)
	if !ok || !v.setting(typ, b[4:], addrLen) {
		return false
	}
	v.Index = index
	return true
}

func (v *VF) setting(typ uint16, b []byte, addrLen int) bool {
	switch typ {
	case vfMAC: // so here
		v.Addr = bytes.Clone(b[:min(len(b), addrLen)])
		return true
	case vfVLAN:
		return nl.Set32(&v.VLAN, b) && nl.Set32(&v.QoS, b[4:])
	case vfTxRate:
		return nl.Set32(&v.TxRate, b)
	case vfSpoof:
		return v.SpoofCheck.set(b)
	case vfState:
		return nl.Set32(&v.LinkState, b)
	case vfRate:
		return nl.Set32(&v.MinTxRate, b) && nl.Set32(&v.MaxTxRate, b[4:])
	case vfRSS:
		return v.QueryRSS.set(b)
	case vfTrust:
		return v.Trust.set(b)
	}
	return false
}

// set reads 0, 1, and all ones for a driver that does not tell.
func (s *Switch) set(b []byte) bool {
	v, ok := nl.U32(b)
	switch {
	case !ok:
	case v == 0:
		*s = SwitchOff
	case v != ^uint32(0):
		*s = SwitchOn
	}
	return ok
}

func (v *VF) stats(b []byte) bool {
	const pad = 6
	fields := [9]*uint64{
		&v.RxPackets, &v.TxPackets, &v.RxBytes, &v.TxBytes, &v.RxBroadcast, &v.RxMulticast, nil, &v.RxDropped, &v.TxDropped,
	}
	it := nl.NewAttrs(b)
	for it.Next() {
		switch {
		case it.Type == pad:
		case int(it.Type) >= len(fields) || len(it.Data) < 8:
			return false
		default:
			*fields[it.Type] = binary.NativeEndian.Uint64(it.Data)
		}
	}
	return it.Err() == nil
}
