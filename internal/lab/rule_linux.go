package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Rule says which packets a filter takes and what happens to them. Fields that
// are zero match everything, so that Rule{} drops all there is.
type Rule struct {
	Family       int         // 4 or 6; 0 is both
	Proto        string      // "tcp", "udp", "icmp" (ICMPv6 for IPv6)
	SPort, DPort uint16      // of TCP or UDP
	Src, Dst     string      // address or prefix
	ICMP         ICMPMessage // type and code; implies Proto "icmp"
	In, Out      string      // interface
	SYN          bool        // only the first packet of a TCP connection
	LongerThan   int         // only IP packets of more bytes than this
	Ether        uint16      // EtherType, such as 0x0806 for ARP; for switches

	Above int     // take only what exceeds so many packets a second
	Share float64 // take each packet with this probability; 0 is always

	Action Action
}

// Action is what happens to a packet that a rule takes.
type Action uint32

// The actions. A reject answers with the ICMP code of RFC 792 or RFC 1812 for
// IPv4 and the nearest one of RFC 4443 for IPv6.
const (
	Drop        Action = iota // silence
	Accept                    // leave the filter: later rules are not asked
	Count                     // go on to the next rule
	RejectReset               // TCP reset, as if nothing listened

	rejectCode

	RejectNet            = rejectCode           // 3/0, 1/0
	RejectHost           = rejectCode | 0x30100 // 3/1, 1/3
	RejectProto          = rejectCode | 0x40200 // 3/2, 1/4
	RejectPort           = rejectCode | 0x40300 // 3/3, 1/4
	RejectNetProhibited  = rejectCode | 0x10900 // 3/9, 1/1
	RejectHostProhibited = rejectCode | 0x10a00 // 3/10, 1/1
	RejectAdmin          = rejectCode | 0x10d00 // 3/13, 1/1
	RejectPolicy         = rejectCode | 0x50d00 // 3/13, 1/5
	RejectRoute          = rejectCode | 0x60d00 // 3/13, 1/6
)

// Reject answers "destination unreachable" with any code.
func Reject(code4, code6 uint8) Action {
	return rejectCode | Action(code4)<<8 | Action(code6)<<16
}

func (a Action) code(family int) uint8 {
	if family == 4 {
		return uint8(a >> 8)
	}
	return uint8(a >> 16)
}

// ICMPMessage is a type, and perhaps a code, in both families.
type ICMPMessage uint64

// anyCode, as a code, matches every one.
const anyCode = 0xff

// ICMP messages that a fault may be about.
const (
	EchoRequest  ICMPMessage = icmpSet | 8<<24 | anyCode<<16 | 128<<8 | anyCode
	EchoReply    ICMPMessage = icmpSet | 0<<24 | anyCode<<16 | 129<<8 | anyCode
	Unreachable  ICMPMessage = icmpSet | 3<<24 | anyCode<<16 | 1<<8 | anyCode
	TooBig       ICMPMessage = icmpSet | 3<<24 | 4<<16 | 2<<8 | anyCode // fragmentation needed
	TimeExceeded ICMPMessage = icmpSet | 11<<24 | anyCode<<16 | 3<<8 | anyCode

	icmpSet = 1 << 32
)

// ICMP is the message of this type and code; a code of 255 is any.
func ICMP(type4, code4, type6, code6 uint8) ICMPMessage {
	return icmpSet | ICMPMessage(type4)<<24 | ICMPMessage(code4)<<16 | ICMPMessage(type6)<<8 | ICMPMessage(code6)
}

func (m ICMPMessage) in(family int) (typ, code uint8) {
	if family == 4 {
		m >>= 16
	}
	return uint8(m >> 8), uint8(m)
}

// register is where the expressions of a rule hand values on.
const register = 1

// families returns the families that the rule needs separate expressions for;
// 0 is one set for every packet.
func (r *Rule) families() ([]int, error) {
	family := r.Family
	for _, s := range []string{r.Src, r.Dst} {
		if s == "" {
			continue
		}
		prefix, err := parseDestination(s, false)
		if err != nil {
			return nil, err
		}
		f := familyOf(prefix.Addr())
		if family != 0 && family != f {
			return nil, fmt.Errorf("rule for IPv%d has the address %s", family, s)
		}
		family = f
	}
	switch {
	case family != 0:
		return []int{family}, nil
	case r.Proto == "icmp" || r.ICMP != 0 || r.Action >= rejectCode:
		return []int{4, 6}, nil
	}
	return []int{0}, nil
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// expressions compiles the rule for one family, 0 for all of them.
func (r *Rule) expressions(family int, bridge bool) ([]expr.Any, error) {
	var e []expr.Any
	switch {
	case r.Ether != 0:
		e = append(e, meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, r.Ether))...)
	case family != 0 && bridge:
		etherType := map[int]uint16{4: unix.ETH_P_IP, 6: unix.ETH_P_IPV6}[family]
		e = append(e, meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, etherType))...)
	case family != 0:
		e = append(e, meta(expr.MetaKeyNFPROTO, []byte{map[int]byte{4: unix.NFPROTO_IPV4, 6: unix.NFPROTO_IPV6}[family]})...)
	}
	if r.In != "" {
		e = append(e, meta(expr.MetaKeyIIFNAME, interfaceName(r.In))...)
	}
	if r.Out != "" {
		e = append(e, meta(expr.MetaKeyOIFNAME, interfaceName(r.Out))...)
	}
	e = append(e, r.addresses(family)...)
	transport, err := r.transport(family)
	if err != nil {
		return nil, err
	}
	e = append(e, transport...)
	e = append(e, r.sampling()...)
	e = append(e, &expr.Counter{})
	return append(e, r.verdict(family)...), nil
}

func (r *Rule) addresses(family int) []expr.Any {
	var e []expr.Any
	for i, s := range []string{r.Src, r.Dst} {
		if s == "" {
			continue
		}
		prefix, _ := parseDestination(s, false) // families has checked it
		size := uint32(prefix.Addr().BitLen() / 8)
		offset := map[int]uint32{4: 12, 6: 8}[family] + uint32(i)*size // saddr, daddr
		e = append(e,
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
			&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: size,
				Mask: ipNet(prefix).Mask, Xor: make([]byte, size)},
			equals(prefix.Addr().AsSlice()))
	}
	return e
}

func (r *Rule) transport(family int) ([]expr.Any, error) {
	proto := r.Proto
	switch {
	case r.ICMP != 0:
		proto = "icmp"
	case proto == "" && (r.SYN || r.Action == RejectReset):
		proto = "tcp"
	}
	if proto == "" {
		if r.SPort != 0 || r.DPort != 0 {
			return nil, fmt.Errorf("rule with a port needs Proto")
		}
		return nil, nil
	}
	number, ok := map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "icmp": unix.IPPROTO_ICMP}[proto]
	if !ok {
		return nil, fmt.Errorf("rule for the protocol %q", proto)
	}
	if proto == "icmp" && family == 6 {
		number = unix.IPPROTO_ICMPV6
	}
	e := meta(expr.MetaKeyL4PROTO, []byte{number})
	if r.SPort != 0 {
		e = append(e, transportField(0, binary.BigEndian.AppendUint16(nil, r.SPort))...)
	}
	if r.DPort != 0 {
		e = append(e, transportField(2, binary.BigEndian.AppendUint16(nil, r.DPort))...)
	}
	if r.ICMP != 0 {
		typ, code := r.ICMP.in(family)
		e = append(e, transportField(0, []byte{typ})...)
		if code != anyCode {
			e = append(e, transportField(1, []byte{code})...)
		}
	}
	if r.SYN {
		const flagsAt, syn, ack = 13, 0x02, 0x10
		e = append(e,
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1},
			&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
			equals([]byte{syn}))
	}
	return e, nil
}

// sampling picks packets by size, rate and chance.
func (r *Rule) sampling() []expr.Any {
	var e []expr.Any
	if r.LongerThan > 0 {
		e = append(e, &expr.Meta{Key: expr.MetaKeyLEN, Register: register}, hostToNetwork(),
			&expr.Cmp{Op: expr.CmpOpGt, Register: register, Data: binary.BigEndian.AppendUint32(nil, uint32(r.LongerThan))})
	}
	if r.Above > 0 {
		e = append(e, &expr.Limit{Type: expr.LimitTypePkts, Rate: uint64(r.Above), Unit: expr.LimitTimeSecond,
			Burst: uint32(r.Above), Over: true})
	}
	if r.Share > 0 {
		const modulus = 1 << 20
		e = append(e, &expr.Numgen{Register: register, Modulus: modulus, Type: unix.NFT_NG_RANDOM}, hostToNetwork(),
			&expr.Cmp{Op: expr.CmpOpLt, Register: register, Data: binary.BigEndian.AppendUint32(nil, uint32(r.Share*modulus))})
	}
	return e
}

func (r *Rule) verdict(family int) []expr.Any {
	switch {
	case r.Action == Drop:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
	case r.Action == Accept:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	case r.Action == Count:
		return nil
	case r.Action == RejectReset:
		return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}
	}
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: r.Action.code(family)}}
}

func meta(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: register}, equals(value)}
}

func transportField(offset uint32, value []byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: uint32(len(value))},
		equals(value),
	}
}

func equals(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: value}
}

// hostToNetwork makes a number comparable as bytes.
func hostToNetwork() expr.Any {
	return &expr.Byteorder{SourceRegister: register, DestRegister: register, Op: expr.ByteorderHton, Len: 4, Size: 4}
}

func interfaceName(name string) []byte {
	return binaryutil.PutString(name + string(make([]byte, unix.IFNAMSIZ-len(name))))
}
