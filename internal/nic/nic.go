// Package nic is the way to a network card's driver: what asks it, and how a test
// puts another card in its place.
package nic

import "context"

// Driver answers questions about one interface. The kernel is one; tests have
// others, for cards that are not there.
type Driver interface {
	// Family returns the messages that the ethtool family of generic netlink has,
	// nil without that family.
	Family(ctx context.Context) (messages map[uint8]bool, err error)
	// Generic asks that family. fn gets the attributes of the answer.
	Generic(ctx context.Context, message uint8, body []byte, fn func(attrs []byte) error) error
	// IOCtl is SIOCETHTOOL: data is read and written into.
	IOCtl(data []byte) error
	// MII is SIOCGMIIPHY (without a register) or SIOCGMIIREG.
	MII(register bool, data *MIIData) error
	Close() error
}

// MIIData is struct mii_ioctl_data (linux/mii.h).
type MIIData struct {
	PHY, Register, In, Out uint16
}

type key struct{}

// With returns a context in which every interface is the given one.
func With(ctx context.Context, d Driver) context.Context { return context.WithValue(ctx, key{}, d) }

// From returns the driver that stands in for the kernel, nil for none.
func From(ctx context.Context) Driver {
	d, _ := ctx.Value(key{}).(Driver)
	return d
}
