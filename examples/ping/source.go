package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

// errBroadcast is why the system refuses without -b.
var errBroadcast = errors.New("it is a broadcast address")

// errNoZone is an IPv6 address of one network, without the interface.
var errNoZone = errors.New("connect: Invalid argument")

// source asks the system which address it would send from, as ping(8) does
// before it begins: nothing is sent. The error is why nothing can be.
func source(ctx context.Context, s *settings, dst netip.Addr) (netip.Addr, error) {
	d := net.Dialer{ControlContext: func(_ context.Context, _, _ string, c syscall.RawConn) error {
		return prepare(c, s.opt.Device, s.opt.Broadcast)
	}}
	conn, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(dst, 1025).String())
	errno, isErrno := errors.AsType[syscall.Errno](err)
	device, isDevice := errors.AsType[*deviceError](err)
	switch {
	case err == nil:
	case isDevice:
		return netip.Addr{}, device
	case errors.Is(err, syscall.EACCES) && dst.Is4() && !s.opt.Broadcast:
		return netip.Addr{}, errBroadcast
	case isErrno:
		return netip.Addr{}, fmt.Errorf("connect: %s", capital(errno.Error()))
	default:
		return netip.Addr{}, err
	}
	defer conn.Close()
	from, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	return from.Addr().Unmap(), nil
}

// deviceError is an interface that cannot be used.
type deviceError struct {
	device string
	err    error
}

func (e *deviceError) Error() string {
	return fmt.Sprintf("SO_BINDTODEVICE %s: %s", cli.Escape(e.device), capital(e.err.Error()))
}
func (e *deviceError) Unwrap() error { return e.err }

// isInterface tells whether a zone, by name or by number, is an interface.
func isInterface(zone string) bool {
	_, err := net.InterfaceByName(zone)
	if n, bad := strconv.Atoi(zone); err != nil && bad == nil {
		_, err = net.InterfaceByIndex(n)
	}
	return err == nil
}

// isOn tells whether an interface has an address.
func isOn(device string, a netip.Addr) bool {
	ifi, err := net.InterfaceByName(device)
	if err != nil {
		return false
	}
	addrs, err := ifi.Addrs()
	return err == nil && slices.ContainsFunc(addrs, func(has net.Addr) bool {
		p, err := netip.ParsePrefix(has.String())
		return err == nil && p.Addr().WithZone("") == a.WithZone("")
	})
}
