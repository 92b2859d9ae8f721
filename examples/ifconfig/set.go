package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifaces"
	"github.com/netsonde/netsonde/internal/interfaces"
	"github.com/netsonde/netsonde/link"
)

// set does what the words after the interface ask for. As with ifconfig, what is
// refused is told by the name of the call that ifconfig makes for it, and the
// rest is done all the same.
func (o *options) set(ctx context.Context, name string, words []string) int {
	r, err := readWords(words)
	if err != nil {
		return o.Usage("%v", err)
	}
	device, _, alias := strings.Cut(name, ":")
	l, err := link.Get(ctx, device, nil)
	if errors.Is(err, os.ErrNotExist) {
		o.Warn("%s: ERROR while getting interface flags: No such device", name)
		return cli.No
	}
	if err != nil && !errors.Is(err, link.ErrInterrupted) {
		return o.Fail(err)
	}
	s := &setter{options: o, ctx: ctx, device: l.Name}
	if alias { // which is no more than an address
		s.alias(ifaces.Named(l, name), r)
		return s.code
	}
	s.simple(r)
	if r.about4() {
		s.inet(ifaces.Named(l, l.Name), r)
	}
	for _, p := range r.del {
		s.check("SIOCDIFADDR", link.DeleteAddress(ctx, device, link.Address{Prefix: p}, nil))
	}
	for _, p := range r.add {
		s.check("SIOCSIFADDR", link.AddAddress(ctx, device, link.Address{Prefix: p}, nil))
	}
	if r.bounced && r.ClearFlags&link.FlagUp != 0 {
		// Being up for a moment takes the IPv6 addresses of an interface that was
		// down.
		s.check("SIOCSIFFLAGS", link.Set(ctx, device, link.Changes{SetFlags: link.FlagUp}, nil))
	}
	if r.SetFlags != 0 || r.ClearFlags != 0 {
		s.check("SIOCSIFFLAGS", link.Set(ctx, device, link.Changes{SetFlags: r.SetFlags, ClearFlags: r.ClearFlags}, nil))
	}
	return s.code
}

// setter makes changes and remembers what was refused.
type setter struct {
	*options
	ctx    context.Context
	device string
	code   int
	hinted bool
}

// check tells of a refusal in ifconfig's words.
func (s *setter) check(call string, err error) bool {
	if err == nil {
		return true
	}
	s.code = cli.No
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		s.Error(err)
		return false
	}
	text := errno.Error()
	text = strings.ToUpper(text[:1]) + text[1:]
	if _, words, ok := strings.Cut(err.Error(), errno.Error()+": "); ok {
		text += ": " + words // the kernel's
	}
	s.Warn("%s: %s", call, text)
	if errors.Is(err, os.ErrPermission) && !s.hinted {
		s.hinted = true
		s.Hint("run it as root; it needs CAP_NET_ADMIN")
	}
	return false
}

// simple sets what is neither a flag nor an address.
func (s *setter) simple(r *request) {
	if r.HardwareAddr != nil {
		s.check("SIOCSIFHWADDR", link.Set(s.ctx, s.device, link.Changes{HardwareAddr: r.HardwareAddr}, nil))
	}
	if r.MTU != 0 {
		s.check("SIOCSIFMTU", link.Set(s.ctx, s.device, link.Changes{MTU: r.MTU}, nil))
	}
	if r.TxQueueLen != nil {
		s.check("SIOCSIFTXQLEN", link.Set(s.ctx, s.device, link.Changes{TxQueueLen: r.TxQueueLen}, nil))
	}
}

// alias sets the address of a name such as eth0:1; down takes it away. The
// interface stays up or down.
func (s *setter) alias(i ifaces.Interface, r *request) {
	if r.ClearFlags&link.FlagUp != 0 {
		if i.Inet == nil {
			s.check("SIOCSIFFLAGS", syscall.EADDRNOTAVAIL)
			return
		}
		s.check("SIOCSIFFLAGS", link.DeleteAddress(s.ctx, s.device, *i.Inet, nil))
		return
	}
	if r.about4() {
		s.inet(i, r)
	}
}

// inet puts an IPv4 address in the place of the one that the name has.
func (s *setter) inet(i ifaces.Interface, r *request) {
	if i.Inet == nil && !r.addr.IsValid() {
		call := "SIOCSIFNETMASK"
		if r.bits < 0 {
			call = "SIOCSIFBRDADDR"
		}
		s.check(call, syscall.EADDRNOTAVAIL)
		return
	}
	want, same := r.wanted(i)
	if same {
		return
	}
	if i.Inet != nil && !s.check("SIOCSIFADDR", link.DeleteAddress(s.ctx, s.device, *i.Inet, nil)) {
		return
	}
	if want.Prefix.IsValid() {
		s.check("SIOCSIFADDR", link.AddAddress(s.ctx, s.device, want, nil))
	}
}

// wanted is the address that the name is to have, and whether it is the one that
// it has. An address that is not said is the old one; what is not said of a new
// one is what the kernel takes.
func (r *request) wanted(i ifaces.Interface) (a link.Address, same bool) {
	p2p := i.Flags&link.FlagPointToPoint != 0
	switch {
	case r.addr.IsUnspecified():
		return a, i.Inet == nil
	case r.addr.IsValid():
		bits := interfaces.ClassBits(r.addr)
		if p2p {
			bits = 32
		}
		if i.Inet != nil && i.Inet.Prefix.Addr() == r.addr {
			a = *i.Inet // stays as it is, but for what is said
		} else {
			a = link.Address{Prefix: netip.PrefixFrom(r.addr, bits), Label: i.Name}
			if !p2p && i.Flags&link.FlagBroadcast != 0 {
				a.Broadcast = link.Broadcast(a.Prefix)
			}
			if r.addr.IsLoopback() {
				a.Scope = link.ScopeHost
			}
		}
	default:
		a = *i.Inet
	}
	if r.bits >= 0 {
		usual := a.Broadcast == link.Broadcast(a.Prefix)
		a.Prefix = netip.PrefixFrom(a.Prefix.Addr(), r.bits)
		if usual && i.Flags&link.FlagBroadcast != 0 && r.bits < 31 {
			a.Broadcast = link.Broadcast(a.Prefix)
		}
		if a.Peer.IsValid() {
			a.Peer = netip.PrefixFrom(a.Peer.Addr(), r.bits)
		}
	}
	if r.broadcast.IsValid() {
		a.Broadcast = r.broadcast
	}
	if r.peer.IsValid() {
		a.Peer = netip.PrefixFrom(r.peer, a.Prefix.Bits())
	}
	return a, i.Inet != nil && fmt.Sprint(a) == fmt.Sprint(*i.Inet)
}
