package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/nl"
)

// Changes are what Set changes of an interface; what is zero stays as it is.
type Changes struct {
	// SetFlags and ClearFlags are of those that an administrator sets: FlagUp,
	// FlagNoARP, FlagPromisc, FlagAllMulti, FlagMulticast, FlagDynamic,
	// FlagNoTrailers, FlagDebug. The kernel passes over the others.
	SetFlags, ClearFlags Flags
	MTU                  int          // bytes; 0: as it is
	TxQueueLen           *int         // packets; nil: as it is
	HardwareAddr         HardwareAddr // of the same length as the old one; nil: as it is
}

// Set changes an interface, which may be named by an alternative name. Set,
// AddAddress and DeleteAddress are the only functions of this package that change
// anything. They need CAP_NET_ADMIN and are done when they return; setting what is
// set already is no error.
//
// Errors unwrap to the kernel's errno: EINVAL with its words for an MTU that is
// out of range, EBUSY for a hardware address that the driver changes only when
// the interface is down, EADDRNOTAVAIL for one that is none, [os.ErrNotExist] for
// an interface that is not there, [os.ErrPermission].
//
// Setting an interface down makes the kernel forget its routes and its global
// IPv6 addresses.
func Set(ctx context.Context, name string, c Changes, o *Options) error {
	return setLink(ctx, name, c, o)
}

// AddAddress gives an interface an address. What counts of a: Prefix, Peer,
// Broadcast, Scope, Label, Metric, Protocol, the flags AddressNoDAD,
// AddressOptimistic, AddressHome, AddressManageTemp, AddressNoPrefixRoute and
// AddressMulticastJoin, and the lifetimes in whole seconds: a Valid of 0 is
// forever, and AddressDeprecated makes Preferred 0. See Set; an address that is there already is EEXIST ([os.ErrExist]).
//
// The kernel adds a route to the prefix, unless AddressNoPrefixRoute says no. It
// does not find a broadcast address by itself: see [Broadcast].
func AddAddress(ctx context.Context, name string, a Address, o *Options) error {
	return changeAddress(ctx, "link: add address", name, a, false, o)
}

// DeleteAddress takes an address away: Prefix, and Peer and Label where they are
// given, say which. See Set; one that is not there is EADDRNOTAVAIL, which here is
// [os.ErrNotExist]. With the first IPv4 address of a network its secondaries go,
// unless net.ipv4.conf.*.promote_secondaries is 1.
func DeleteAddress(ctx context.Context, name string, a Address, o *Options) error {
	return changeAddress(ctx, "link: delete address", name, a, true, o)
}

// Broadcast returns the highest address of an IPv4 network, which is what
// everybody uses as its broadcast address; invalid where there is none: in
// networks of one or two addresses (RFC 3021), and in IPv6.
func Broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	v := binary.BigEndian.Uint32(b[:]) | (uint32(1)<<(32-p.Bits()) - 1)
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// encode returns the body of RTM_NEWLINK.
func (c *Changes) encode(index int) ([]byte, error) {
	if both := c.SetFlags & c.ClearFlags; both != 0 {
		return nil, fmt.Errorf("flags %v both set and cleared", both)
	}
	if c.MTU < 0 || c.TxQueueLen != nil && *c.TxQueueLen < 0 {
		return nil, errors.New("negative size")
	}
	b := make([]byte, sizeofIfinfomsg, 64)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], uint32(c.SetFlags))
	binary.NativeEndian.PutUint32(b[12:], uint32(c.SetFlags|c.ClearFlags))
	if c.MTU != 0 {
		b = nl.AppendU32(b, iflaMTU, uint32(c.MTU))
	}
	if c.TxQueueLen != nil {
		b = nl.AppendU32(b, iflaTxQLen, uint32(*c.TxQueueLen))
	}
	if c.HardwareAddr != nil {
		b = nl.Append(b, iflaAddress, c.HardwareAddr)
	}
	return b, nil
}

// settable are the flags that an administrator gives an address.
const settable = AddressNoDAD | AddressOptimistic | AddressHome | AddressManageTemp | AddressNoPrefixRoute | AddressMulticastJoin

// encode returns the body of RTM_NEWADDR or RTM_DELADDR.
func (a *Address) encode(index int, gone bool) ([]byte, error) {
	addr := a.Prefix.Addr()
	if !a.Prefix.IsValid() {
		return nil, errors.New("no address")
	}
	peer, bits := addr, a.Prefix.Bits()
	if a.Peer.IsValid() {
		peer, bits = a.Peer.Addr(), a.Peer.Bits()
	}
	if addr.Is4() != peer.Is4() {
		return nil, fmt.Errorf("%v and its peer %v are of different families", addr, peer)
	}
	const inet, inet6 = 2, 10
	b := make([]byte, sizeofIfaddrmsg, 128)
	b[0], b[1], b[3] = inet6, byte(bits), byte(a.Scope)
	if addr.Is4() {
		b[0] = inet
	}
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	b = nl.Append(b, ifaLocal, addr.AsSlice())
	b = nl.Append(b, ifaAddress, peer.AsSlice())
	if a.Label != "" {
		b = nl.AppendText(b, ifaLabel, a.Label)
	}
	if gone {
		return b, nil
	}
	if a.Broadcast.IsValid() {
		b = nl.Append(b, ifaBroadcast, a.Broadcast.AsSlice())
	}
	if f := a.Flags & settable; f != 0 {
		b = nl.AppendU32(b, ifaFlags, uint32(f))
	}
	if a.Metric != 0 {
		b = nl.AppendU32(b, ifaRTPriority, a.Metric)
	}
	if a.Protocol != AddressProtoUnspec {
		b = nl.AppendU8(b, ifaProto, byte(a.Protocol))
	}
	valid, preferred := a.Valid, a.Preferred
	if valid == 0 {
		valid, preferred = Forever, Forever
	}
	if a.Flags&AddressDeprecated != 0 {
		preferred = 0
	}
	if valid >= 0 || preferred >= 0 {
		info := binary.NativeEndian.AppendUint32(nil, lifetimeOf(preferred))
		info = binary.NativeEndian.AppendUint32(info, lifetimeOf(valid))
		b = nl.Append(b, ifaCacheInfo, append(info, make([]byte, 8)...))
	}
	return b, nil
}

// lifetimeOf is a lifetime as the kernel takes it.
func lifetimeOf(d time.Duration) uint32 {
	const infinity = 0xffffffff
	if s := d / time.Second; d >= 0 && s < infinity {
		return uint32(s)
	}
	return infinity
}
