package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// node is a network namespace, with a mount namespace if it is a host's.
type node struct {
	lab   *Lab
	name  string
	netFD int
	mntFD int // -1 for none
	nl    *netlink.Handle
	rules int // filter rules added so far
}

// setting is one sysctl below /proc/sys/net.
type setting struct {
	key, value string
	optional   bool // not in every kernel, or not per namespace in every one
}

// quiet keeps the kernel from adding packets and delays of its own, and from
// passing on the machine's own settings, which a new namespace inherits.
var quiet = []setting{
	{key: "ipv4/conf/all/rp_filter", value: "0"},
	{key: "ipv4/conf/default/rp_filter", value: "0"},
	{key: "ipv6/conf/all/disable_ipv6", value: "0"},
	{key: "ipv6/conf/default/disable_ipv6", value: "0"},
	{key: "ipv6/conf/all/accept_dad", value: "0"},
	{key: "ipv6/conf/default/accept_dad", value: "0"},
	{key: "ipv6/conf/default/dad_transmits", value: "0"},
	{key: "ipv6/conf/default/accept_ra", value: "0"},
	{key: "ipv6/conf/default/router_solicitations", value: "0"},
}

var hostSettings = []setting{{key: "ipv4/ip_forward", value: "0"}}

var routerSettings = []setting{
	{key: "ipv4/ip_forward", value: "1"},
	{key: "ipv6/conf/all/forwarding", value: "1"},
	{key: "ipv4/conf/all/send_redirects", value: "0"},
	{key: "ipv4/conf/default/send_redirects", value: "0"},
	{key: "ipv4/icmp_ratelimit", value: "0"},
	{key: "ipv4/icmp_msgs_per_sec", value: "100000", optional: true},
	{key: "ipv4/icmp_msgs_burst", value: "100000", optional: true},
	{key: "ipv6/icmp/ratelimit", value: "0"},
}

// switchSettings make a namespace that forwards frames and says nothing itself.
var switchSettings = []setting{
	{key: "ipv6/conf/all/disable_ipv6", value: "1"},
	{key: "ipv6/conf/default/disable_ipv6", value: "1"},
}

// newNode makes the namespaces, applies the settings and opens the handles.
func (l *Lab) newNode(name string, furnish func() error, settings ...[]setting) (*node, error) {
	n := &node{lab: l, name: name, netFD: -1, mntFD: -1}
	l.atEnd(n.close)
	err := onThread(func() error {
		flags := unix.CLONE_NEWNET
		if furnish != nil {
			flags |= unix.CLONE_NEWNS
		}
		if err := unix.Unshare(flags); err != nil {
			return fmt.Errorf("new namespaces (CAP_SYS_ADMIN): %w", err)
		}
		for _, group := range settings {
			if err := apply(group); err != nil {
				return err
			}
		}
		if furnish != nil {
			if err := furnish(); err != nil {
				return err
			}
		}
		return n.open(furnish != nil)
	})
	return n, err
}

func apply(settings []setting) error {
	for _, s := range settings {
		err := os.WriteFile(filepath.Join("/proc/sys/net", s.key), []byte(s.value), 0)
		if err != nil && !s.optional {
			return err
		}
	}
	return nil
}

// open takes hold of the calling thread's namespaces.
func (n *node) open(mounts bool) (err error) {
	if n.netFD, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	if mounts {
		if n.mntFD, err = unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
	}
	if n.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	lo, err := n.nl.LinkByName("lo")
	if err != nil {
		return err
	}
	return n.nl.LinkSetUp(lo)
}

// close lets go of the namespaces; the kernel takes them and all they contain
// away, as nothing else holds them.
func (n *node) close() {
	if n.nl != nil {
		n.nl.Close()
	}
	for _, fd := range []int{n.netFD, n.mntFD} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// link returns an interface as the kernel has it now.
func (n *node) link(name string) (netlink.Link, error) {
	link, err := n.nl.LinkByName(name)
	if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
		return nil, fmt.Errorf("%s has no interface %s", n.name, name)
	}
	return link, err
}

// addresses returns what an interface has now, link-local ones included.
func (n *node) addresses(name string) ([]netip.Addr, error) {
	link, err := n.link(name)
	if err != nil {
		return nil, err
	}
	list, err := n.nl.AddrList(link, netlink.FAMILY_ALL)
	var addrs []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, err
}
