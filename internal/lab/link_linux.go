package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Port is one end of a link: an interface of a host or of a switch.
type Port struct {
	Name     string         // of the interface
	Host     *Host          // nil for a port of a switch
	Prefixes []netip.Prefix // its addresses

	node   *node
	master int // index of the bridge, for a port of a switch
	far    *Port
}

// Port describes an interface that Connect or Wire will make, with its
// addresses and their prefix lengths: Port("eth0", "10.1.0.2/24", "fd00:1::2/64").
func (h *Host) Port(name string, cidrs ...string) *Port {
	h.lab.t.Helper()
	p := &Port{Name: name, Host: h, node: h.node}
	for _, c := range cidrs {
		prefix, err := netip.ParsePrefix(c)
		h.lab.check(err, "%s: address of %s", h.Name, name)
		p.Prefixes = append(p.Prefixes, prefix)
	}
	h.ports = append(h.ports, p)
	return p
}

// Addr4 returns the port's first IPv4 address; the zero Addr if it has none.
func (p *Port) Addr4() netip.Addr { return p.first(netip.Addr.Is4) }

// Addr6 returns the port's first IPv6 address; the zero Addr if it has none.
func (p *Port) Addr6() netip.Addr { return p.first(netip.Addr.Is6) }

func (p *Port) first(match func(netip.Addr) bool) netip.Addr {
	for _, prefix := range p.Prefixes {
		if match(prefix.Addr()) {
			return prefix.Addr()
		}
	}
	return netip.Addr{}
}

// HardwareAddr returns the MAC address of the interface.
func (p *Port) HardwareAddr() net.HardwareAddr {
	p.node.lab.t.Helper()
	link, err := p.node.link(p.Name)
	p.node.lab.check(err, "MAC address")
	return link.Attrs().HardwareAddr
}

// Index returns the interface index in its host.
func (p *Port) Index() int {
	p.node.lab.t.Helper()
	link, err := p.node.link(p.Name)
	p.node.lab.check(err, "interface index")
	return link.Attrs().Index
}

// Unplug takes the carrier from this port, which stays up: NO-CARRIER. The
// other end of the cable is set down.
func (p *Port) Unplug() { p.node.lab.t.Helper(); p.setCarrier(false) }

// Plug undoes Unplug.
func (p *Port) Plug() { p.node.lab.t.Helper(); p.setCarrier(true) }

func (p *Port) setCarrier(on bool) {
	p.node.lab.t.Helper()
	if p.far == nil {
		p.node.lab.t.Fatalf("lab: %s of %s is not connected", p.Name, p.node.name)
	}
	err := p.far.node.setUp(p.far.Name, on)
	p.node.lab.check(err, "carrier of %s on %s", p.Name, p.node.name)
	p.node.lab.check(p.node.waitCarrier(p.Name, on), "carrier of %s on %s", p.Name, p.node.name)
}

// Link is a cable between two ports.
type Link struct{ A, B *Port }

// Down cuts the cable: a stays up and sees no carrier, b is set down.
func (k *Link) Down() { k.A.node.lab.t.Helper(); k.A.Unplug() }

// Up undoes Down.
func (k *Link) Up() { k.A.node.lab.t.Helper(); k.A.Plug() }

// Connect makes a cable (a veth pair) between two ports, sets both ends up with
// their addresses and waits until they carry packets.
func (l *Lab) Connect(a, b *Port) *Link {
	l.t.Helper()
	l.check(l.connect(a, b), "connect %s of %s with %s of %s", a.Name, a.node.name, b.Name, b.node.name)
	return &Link{A: a, B: b}
}

func (l *Lab) connect(a, b *Port) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a.Name
	// Where both ends have the same index the kernel takes the pair for an
	// ordinary device, whose carrier may come a second late.
	attrs.Index = l.nextIndex
	l.nextIndex++
	veth := netlink.NewVeth(attrs)
	veth.PeerName = b.Name
	veth.PeerNamespace = netlink.NsFd(b.node.netFD)
	if err := a.node.nl.LinkAdd(veth); err != nil {
		return missing(err)
	}
	for _, p := range []*Port{a, b} {
		if err := p.configure(); err != nil {
			return err
		}
	}
	a.far, b.far = b, a
	for _, p := range []*Port{a, b} {
		if err := p.node.waitCarrier(p.Name, true); err != nil {
			return err
		}
		if err := p.waitLocal(); err != nil {
			return err
		}
	}
	return nil
}

// configure brings a new interface into service.
func (p *Port) configure() error {
	link, err := p.node.link(p.Name)
	if err != nil {
		return err
	}
	if p.master != 0 {
		if err := p.node.nl.LinkSetMasterByIndex(link, p.master); err != nil {
			return err
		}
	}
	for _, prefix := range p.Prefixes {
		if err := p.node.nl.AddrAdd(link, kernelAddr(prefix)); err != nil {
			return fmt.Errorf("address %v: %w", prefix, err)
		}
	}
	return p.node.nl.LinkSetUp(link)
}

// setUp sets an interface up or down. After up it waits for the carrier that
// the kernel announces.
func (n *node) setUp(name string, up bool) error {
	link, err := n.link(name)
	if err != nil {
		return err
	}
	if !up {
		return n.nl.LinkSetDown(link)
	}
	if err := n.nl.LinkSetUp(link); err != nil {
		return err
	}
	if link, err = n.link(name); err != nil || link.Attrs().RawFlags&lowerUp == 0 {
		return err
	}
	return n.waitCarrier(name, true)
}

// lowerUp is IFF_LOWER_UP: the driver sees a carrier.
const lowerUp = 1 << 16

// waitLocal waits until the IPv6 addresses of a host's interface take packets,
// the link-local one that the kernel makes among them: it adds the routes for them
// outside the call that adds an address or sets the link up, and until then a
// connection to the host itself fails.
func (p *Port) waitLocal() error {
	if p.Host == nil {
		return nil // a switch has none
	}
	addrs := make([]netip.Addr, 0, len(p.Prefixes)+1)
	for _, prefix := range p.Prefixes {
		addrs = append(addrs, prefix.Addr())
	}
	err := await(p.Name+" has no link-local address", func() (bool, error) {
		all, err := p.node.addresses(p.Name)
		i := slices.IndexFunc(all, func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() })
		if i >= 0 {
			addrs = append(addrs, all[i])
		}
		return i >= 0, err
	})
	for _, a := range addrs {
		if err == nil {
			err = p.node.waitRoute(a, p.Name)
		}
	}
	return err
}

// waitRoute waits until packets to an IPv6 address of an interface are this host's.
func (n *node) waitRoute(addr netip.Addr, device string) error {
	if !addr.Is6() {
		return nil
	}
	return await(fmt.Sprintf("there is no local route for %v", addr), func() (bool, error) {
		routes, err := n.nl.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{Oif: device})
		return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL, nil
	})
}

// waitCarrier waits until the kernel has finished with a change of carrier,
// which it does outside the call that causes it.
func (n *node) waitCarrier(name string, on bool) error {
	return await(fmt.Sprintf("the carrier of %s has not become %v", name, on), func() (bool, error) {
		link, err := n.link(name)
		return err == nil && (link.Attrs().OperState == netlink.OperUp) == on, err
	})
}

// await asks until it is done, for about four seconds; then failure is the error.
func await(failure string, done func() (bool, error)) error {
	wait := 100 * time.Microsecond
	for range 24 {
		if ok, err := done(); ok || err != nil {
			return err
		}
		time.Sleep(wait)
		wait = min(2*wait, 250*time.Millisecond)
	}
	return errors.New(failure)
}
