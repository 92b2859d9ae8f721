package route

import (
	"encoding/binary"
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// Rule chooses what is done with the packets it matches (RTM_NEWRULE,
// ip-rule(8)). A field that is zero, nil or invalid matches every packet.
type Rule struct {
	Family   Family       `json:"family"`
	Priority uint32       `json:"priority"` // the lowest is tried first
	Action   Action       `json:"action"`
	Table    uint32       `json:"table,omitzero"` // of ActionTable
	Goto     uint32       `json:"goto,omitzero"`  // priority to go on with, of ActionGoto
	Invert   bool         `json:"not,omitzero"`   // matches the packets that it would not
	Src      netip.Prefix `json:"src,omitzero"`
	Dst      netip.Prefix `json:"dst,omitzero"`
	TOS      uint8        `json:"tos,omitzero"`
	DSCP     *uint8       `json:"dscp,omitzero"`      // Linux 6.13
	DSCPMask uint8        `json:"dscp_mask,omitzero"` // which bits of DSCP count; 0: all (Linux 6.15)
	Mark     uint32       `json:"fwmark,omitzero"`
	Mask     uint32       `json:"fwmask,omitzero"` // which bits of Mark count; 0: the mark is not looked at
	IIF      string       `json:"iif,omitzero"`    // "lo" is packets of this host
	OIF      string       `json:"oif,omitzero"`    // of a socket that is bound
	UID      *Range       `json:"uid,omitzero"`
	Proto    uint8        `json:"ipproto,omitzero"`
	SPort    *Range       `json:"sport,omitzero"`
	DPort    *Range       `json:"dport,omitzero"`
	// SPortMask and DPortMask, where not 0, say which bits of the one port in SPort
	// and DPort count (Linux 6.15).
	SPortMask     uint16 `json:"sport_mask,omitzero"`
	DPortMask     uint16 `json:"dport_mask,omitzero"`
	FlowLabel     uint32 `json:"flowlabel,omitzero"`      // IPv6 (Linux 6.14)
	FlowLabelMask uint32 `json:"flowlabel_mask,omitzero"` // which bits of FlowLabel count; 0: it is not looked at
	TunnelID      uint64 `json:"tun_id,omitzero"`
	L3MDev        bool   `json:"l3mdev,omitzero"` // packets of an interface in a VRF, to its table
	Flow          uint32 `json:"flow,omitzero"`   // realms
	// SuppressLen makes matches of this prefix length and shorter not count;
	// nil: all count.
	SuppressLen   *uint32     `json:"suppress_prefixlen,omitzero"`
	SuppressGroup *uint32     `json:"suppress_ifgroup,omitzero"` // the same for an interface group
	Protocol      Protocol    `json:"protocol"`                  // who set it
	Flags         RuleFlags   `json:"flags"`
	Unknown       []Attribute `json:"unknown,omitzero"` // FRA_* that this library has no field for
}

// Range is from Low to High, both included.
type Range struct {
	Low  uint32 `json:"low"`
	High uint32 `json:"high"`
}

// Has reports whether v is in the range.
func (r Range) Has(v uint32) bool { return r.Low <= v && v <= r.High }

// Action is what a rule does (FR_ACT_*).
type Action uint8

// The actions.
const (
	ActionUnspec      Action = 0
	ActionTable       Action = 1 // looks the packet up in Rule.Table
	ActionGoto        Action = 2 // goes on with another rule
	ActionNop         Action = 3
	ActionBlackhole   Action = 6
	ActionUnreachable Action = 7
	ActionProhibit    Action = 8
)

var actionNames = []string{"unspec", "to_tbl", "goto", "nop", "", "", "blackhole", "unreachable", "prohibit"}

// String returns the word of ip-rule(8); "to_tbl" is the one that looks up.
func (a Action) String() string { return enum.String(actionNames, "action", a) }

// MarshalText implements [encoding.TextMarshaler].
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Action) UnmarshalText(b []byte) (err error) {
	*a, err = enum.Parse[Action](actionNames, "action", b)
	return err
}

// RuleFlags are the flags of a rule (FIB_RULE_*).
type RuleFlags uint32

// The flags.
const (
	RulePermanent   RuleFlags = 1 << 0 // cannot be deleted
	RuleInvert      RuleFlags = 1 << 1 // Rule.Invert
	RuleUnresolved  RuleFlags = 1 << 2 // the target of its goto is not there
	RuleIIFDetached RuleFlags = 1 << 3 // its interface is not there: matches nothing
	RuleOIFDetached RuleFlags = 1 << 4 // its interface is not there: matches nothing
)

var ruleFlagNames = []string{
	"permanent", "invert", "unresolved", "iif_detached", "oif_detached",
	16: "find_saddr",
}

// String returns "permanent|invert", in the order of the bits.
func (f RuleFlags) String() string { return enum.Join(ruleFlagNames, f) }

// MarshalJSON returns an array of words.
func (f RuleFlags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(ruleFlagNames, f) }

// UnmarshalJSON reads an array of words.
func (f *RuleFlags) UnmarshalJSON(b []byte) (err error) {
	*f, err = enum.UnmarshalWords[RuleFlags](ruleFlagNames, "rule flag", b)
	return err
}

// The attributes of linux/fib_rules.h.
const (
	fraDst           = 1
	fraSrc           = 2
	fraIIFName       = 3
	fraGoto          = 4
	fraPriority      = 6
	fraFwmark        = 10
	fraFlow          = 11
	fraTunID         = 12
	fraSuppressGroup = 13
	fraSuppressLen   = 14
	fraTable         = 15
	fraFwmask        = 16
	fraOIFName       = 17
	fraPad           = 18
	fraL3MDev        = 19
	fraUIDRange      = 20
	fraProtocol      = 21
	fraIPProto       = 22
	fraSPortRange    = 23
	fraDPortRange    = 24
	fraDSCP          = 25
	fraFlowLabel     = 26
	fraFlowLabelMask = 27
	fraSPortMask     = 28
	fraDPortMask     = 29
	fraDSCPMask      = 30
)

const sizeofRuleHdr = 12

// parseRule reads a struct fib_rule_hdr and its attributes.
func parseRule(b []byte) (Rule, error) {
	var r Rule
	if len(b) < sizeofRuleHdr {
		return r, nl.ErrMalformed
	}
	r.Family, r.TOS, r.Action = Family(b[0]), b[3], Action(b[7])
	r.Table = uint32(b[4])
	r.Flags = RuleFlags(binary.NativeEndian.Uint32(b[8:]))
	r.Invert = r.Flags&RuleInvert != 0
	dstLen, srcLen := int(b[1]), int(b[2])
	it := nl.NewAttrs(b[sizeofRuleHdr:])
	for it.Next() {
		ok := false
		switch it.Type {
		case fraDst:
			ok = setPrefix(&r.Dst, it.Data, dstLen)
		case fraSrc:
			ok = setPrefix(&r.Src, it.Data, srcLen)
		default:
			ok = r.attribute(it.Type, it.Data) || r.match(it.Type, it.Data) || r.transport(it.Type, it.Data)
		}
		if !ok {
			r.Unknown = append(r.Unknown, it.Keep())
		}
	}
	return r, it.Err()
}

// attribute takes what the rule does.
func (r *Rule) attribute(typ uint16, b []byte) bool {
	switch typ {
	case fraPriority:
		return nl.Set32(&r.Priority, b)
	case fraTable:
		return nl.Set32(&r.Table, b)
	case fraGoto:
		return nl.Set32(&r.Goto, b)
	case fraFlow:
		return nl.Set32(&r.Flow, b)
	case fraProtocol:
		return nl.Set8(&r.Protocol, b)
	case fraSuppressLen:
		return setSuppress(&r.SuppressLen, b)
	case fraSuppressGroup:
		return setSuppress(&r.SuppressGroup, b)
	case fraPad:
		return true
	}
	return false
}

// match takes what the rule looks at.
func (r *Rule) match(typ uint16, b []byte) bool {
	switch typ {
	case fraIIFName:
		return nl.SetText(&r.IIF, b)
	case fraOIFName:
		return nl.SetText(&r.OIF, b)
	case fraFwmark:
		return nl.Set32(&r.Mark, b)
	case fraFwmask:
		return nl.Set32(&r.Mask, b)
	case fraTunID:
		v, ok := nl.U64(b)
		if ok {
			r.TunnelID = binary.BigEndian.Uint64(binary.NativeEndian.AppendUint64(nil, v))
		}
		return ok
	case fraL3MDev:
		return nl.SetBool(&r.L3MDev, b)
	case fraUIDRange: // struct fib_rule_uid_range
		if len(b) < 8 {
			return false
		}
		r.UID = &Range{binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])}
		return true
	}
	return false
}

// transport takes what the rule looks at in single flows.
func (r *Rule) transport(typ uint16, b []byte) bool {
	switch typ {
	case fraIPProto:
		return nl.Set8(&r.Proto, b)
	case fraSPortRange:
		return setPorts(&r.SPort, b)
	case fraDPortRange:
		return setPorts(&r.DPort, b)
	case fraSPortMask:
		return nl.Set16(&r.SPortMask, b)
	case fraDPortMask:
		return nl.Set16(&r.DPortMask, b)
	case fraDSCP:
		v, ok := nl.U8(b)
		if ok {
			r.DSCP = &v
		}
		return ok
	case fraDSCPMask:
		return nl.Set8(&r.DSCPMask, b)
	case fraFlowLabel:
		return nl.SetBE32(&r.FlowLabel, b)
	case fraFlowLabelMask:
		return nl.SetBE32(&r.FlowLabelMask, b)
	}
	return false
}

// setPorts reads struct fib_rule_port_range, which is in host order.
func setPorts(p **Range, b []byte) bool {
	if len(b) < 4 {
		return false
	}
	*p = &Range{uint32(binary.NativeEndian.Uint16(b)), uint32(binary.NativeEndian.Uint16(b[2:]))}
	return true
}

// setSuppress reads a bound that all ones mean the absence of.
func setSuppress(p **uint32, b []byte) bool {
	v, ok := nl.U32(b)
	if ok && v != ^uint32(0) {
		*p = &v
	}
	return ok
}

func setPrefix(p *netip.Prefix, b []byte, bits int) bool {
	a, ok := nl.Addr(b)
	if !ok {
		return false
	}
	v := netip.PrefixFrom(a, bits)
	if !v.IsValid() {
		return false
	}
	*p = v
	return true
}
