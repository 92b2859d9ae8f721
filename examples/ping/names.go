package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

// target is a host of the command line.
type target struct {
	addr    netip.Addr
	name    string // as the name service has it; what was typed for an address
	literal bool   // an address was typed
}

// lookup turns a host of the command line into an address.
func lookup(ctx context.Context, s *settings, host string) (target, error) {
	family := "ip"
	switch {
	case *s.four || s.opt.Source.Is4():
		family = "ip4"
	case *s.six || s.opt.Source.Is6():
		family = "ip6"
	}
	a, err := netip.ParseAddr(host)
	if short, ok := classful(host); ok && err != nil {
		a, err = short, nil
	}
	if err == nil {
		if a = a.Unmap(); family != "ip" && a.Is4() != (family == "ip4") {
			return target{}, fmt.Errorf("%s: Address family for hostname not supported", host)
		}
		return target{addr: a, name: host, literal: true}, nil
	}
	canonical := make(chan string, 1)
	long, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		name, _ := cli.Resolver().LookupCNAME(long, host)
		canonical <- strings.TrimSuffix(name, ".")
	}()
	found, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
	if err != nil {
		cancel()
		<-canonical
		return target{}, nameError(ctx, host, family, err)
	}
	t := target{addr: found[0].Unmap(), name: host}
	if !t.addr.Is4() {
		cancel()
	}
	late := time.AfterFunc(patience, cancel)
	defer late.Stop()
	if name := <-canonical; name != "" && t.addr.Is4() { // for IPv6 ping(8) shows what was typed
		t.name = name
	}
	return t, nil
}

// patience is how much longer than for its address is waited for a name's full
// form.
const patience = 200 * time.Millisecond

// nameError says why a name gave no address in the words of the C library.
func nameError(ctx context.Context, host, family string, err error) error {
	d, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case family != "ip" && hasAddress(ctx, host):
		return fmt.Errorf("%s: Address family for hostname not supported", host)
	case !ok:
		return err
	case d.IsNotFound:
		return fmt.Errorf("%s: Name or service not known", host)
	}
	return fmt.Errorf("%s: Temporary failure in name resolution", host)
}

// hasAddress tells whether a name has an address of any family.
func hasAddress(ctx context.Context, host string) bool {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && len(found) > 0
}

// classful reads the older ways to write an IPv4 address (inet_aton(3)): fewer
// than four parts, of which the last fills the rest, in decimal, octal or hex.
func classful(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 32 - 8*i
		}
		if part == "" || part[0] < '0' || part[0] > '9' || strings.ContainsAny(part, "_bBoO") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 0, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		sum = sum<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}

// shown is an address as people know it: a zone that is a number is shown as
// the name of its interface.
func shown(a netip.Addr) string {
	if n, err := strconv.Atoi(a.Zone()); err == nil {
		if ifi, err := net.InterfaceByIndex(n); err == nil {
			a = a.WithZone(ifi.Name)
		}
	}
	return cli.Escape(a.String())
}

// withName prints an address with its name, if that is known by now.
func withName(names *cli.Names, a netip.Addr) string {
	if names != nil {
		if name := names.Host(a); name != "" {
			return fmt.Sprintf("%s (%s)", cli.Escape(name), shown(a))
		}
	}
	return shown(a)
}
