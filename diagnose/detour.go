package diagnose

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/netsonde/netsonde/internal/wire"
)

// detour is an echo request that goes to the gateway although the routing table
// takes its destination for a neighbour: what answers it is behind the gateway,
// and the prefix that says otherwise is wrong.
type detour struct {
	src, dst netip.Addr
	id       uint16
	nonce    [16]byte
}

const detourTTL = 64

// packet is the IP packet.
func (d *detour) packet() []byte {
	icmp := wire.ICMP{Type: 8, ID: d.id, Seq: 1}
	if d.dst.Is6() {
		icmp.Type = 128
	}
	msg := make([]byte, wire.ICMPLen, wire.ICMPLen+len(d.nonce))
	icmp.Put(msg)
	msg = append(msg, d.nonce[:]...)
	if d.dst.Is4() {
		wire.SetICMPChecksum(msg)
		b := make([]byte, wire.IPv4Len)
		h := wire.IPv4{Length: uint16(wire.IPv4Len + len(msg)), TTL: detourTTL, Protocol: 1, Src: d.src, Dst: d.dst}
		h.Put(b)
		return append(b, msg...)
	}
	sum := wire.PseudoHeader(d.src.AsSlice(), d.dst.AsSlice(), 58, len(msg))
	binary.BigEndian.PutUint16(msg[2:], wire.Fold(wire.Sum(sum, msg)))
	b := make([]byte, wire.IPv6Len)
	h := wire.IPv6{Length: uint16(len(msg)), NextHeader: 58, HopLimit: detourTTL, Src: d.src, Dst: d.dst}
	h.Put(b)
	return append(b, msg...)
}

// answeredBy reports whether a message as a raw socket gives it, with the IP
// header for IPv4 and without for IPv6, is the answer.
func (d *detour) answeredBy(b []byte, from netip.Addr) bool {
	reply := uint8(129)
	if d.dst.Is4() {
		_, payload, ok := wire.ParseIPv4(b)
		if !ok {
			return false
		}
		b, reply = payload, 0
	}
	h, body, ok := wire.ParseICMP(b)
	return ok && from.Unmap() == d.dst && h.Type == reply && h.ID == d.id && h.Seq == 1 && bytes.Equal(body, d.nonce[:])
}

// tryDetour asks, for a peer that is taken for a neighbour, whether the
// gateway has a way to it.
func (g *gatherer) tryDetour(ctx context.Context, e *evidence) {
	if g.tools.detourer == nil || e.self || e.peer.addr.IsLinkLocalUnicast() || e.gateway.IsValid() || len(e.prefixes) == 0 {
		return
	}
	for _, gw := range e.gateways {
		if gw.Is4() != e.peer.addr.Is4() || gw.WithZone("") == e.peer.addr.WithZone("") {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, sideTimeout)
		defer cancel()
		e.detourBy = gw
		e.detour, e.detourErr = g.tools.detourer.Detour(ctx, e.peer.addr, gw, e.prefixes[0].Addr())
		g.count(1)
		return
	}
}

// detourFact says whether the peer answers by way of the gateway. It is
// neutral: a neighbour need not.
func (e *evidence) detourFact() Fact {
	if !e.detourBy.IsValid() {
		return Fact{}
	}
	f := e.fact(FactDetour)
	f.Neutral, f.Scope.Port, f.At, f.Command = true, 0, e.detourBy, "ip route get "+f.Subject
	switch {
	case e.detourErr != nil:
		f.Why, f.Need = "it could not be sent by way of the gateway: "+e.detourErr.Error(), needOf(e.detourErr)
	case e.detour:
		f.State, f.Detail = Yes, f.Subject+" answers ping by way of the gateway "+e.detourBy.String()
	default:
		f.State, f.Detail = No, f.Subject+" does not answer ping by way of the gateway "+e.detourBy.String()
	}
	return f
}
