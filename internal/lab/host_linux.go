package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Host is an end system or a router.
type Host struct {
	*node
	Name  string
	etc   string // its files below /etc
	ports []*Port

	mu       sync.Mutex
	pingable bool // net.ipv4.ping_group_range was decided
}

// Host adds an end system: lo up, IPv6 without duplicate address detection,
// net.ipv4.ping_group_range opened to everybody, an empty /etc/resolv.conf and
// an /etc/hosts that knows localhost.
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	return l.newHost(name, hostSettings)
}

// Router adds a Host that forwards IPv4 and IPv6, sends no redirects and does
// not limit the rate of its ICMP errors.
func (l *Lab) Router(name string) *Host {
	l.t.Helper()
	return l.newHost(name, routerSettings)
}

func (l *Lab) newHost(name string, settings []setting) *Host {
	l.t.Helper()
	h := &Host{Name: name, etc: filepath.Join(l.dir, fmt.Sprint(len(l.hosts)))}
	l.check(makeEtc(h.etc), "files of %s", name)
	n, err := l.newNode(name, func() error { return mountEtc(h.etc) }, settings, quiet)
	l.check(err, "host %s", name)
	h.node = n
	l.hosts = append(l.hosts, h)
	return h
}

// Do runs fn inside the host: on a thread of its own with the host's network
// and its own /etc/resolv.conf and /etc/hosts. The thread ends with fn.
//
// Goroutines that fn starts run outside, so fn opens its sockets itself:
// net.Dial and net.Listen with literal addresses do that, name look-ups and
// dual-stack dialing do not. /proc/net shows the process's own namespace
// there; /proc/thread-self/net shows the host's. See RunChild for code that
// needs a whole process inside. fn may call t.Fatal.
func (h *Host) Do(fn func() error) error {
	h.openPing()
	return h.inside(fn)
}

// DoUnprivileged is Do on a thread without any capability. The user id stays.
func (h *Host) DoUnprivileged(fn func() error) error {
	h.openPing()
	return h.inside(func() error {
		if err := dropCapabilities(); err != nil {
			return err
		}
		return fn()
	})
}

const pingGroupRange = "net/ipv4/ping_group_range"

// openPing lets every group open ICMP sockets, unless the test has decided
// about that. It is left until the host is used, because a user namespace with
// only one group cannot write the range that closes them again.
func (h *Host) openPing() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pingable {
		return
	}
	h.pingable = true
	err := h.sysctl(pingGroupRange, "0 2147483647")
	if errors.Is(err, unix.EINVAL) {
		err = h.sysctl(pingGroupRange, "0 0") // the only group there is
	}
	h.lab.check(err, "open ICMP sockets on %s", h.Name)
}

// Sysctl sets a kernel parameter of the host: Sysctl("net/ipv4/ip_forward", "0").
//
// A new host has net/ipv4/ping_group_range opened. Setting it to "1 0", which
// closes it, works at any time as root; without root only before the first Do
// or command, else the test is skipped.
func (h *Host) Sysctl(key, value string) {
	h.lab.t.Helper()
	err := h.sysctl(key, value)
	if key == pingGroupRange {
		h.mu.Lock()
		defer h.mu.Unlock()
		if errors.Is(err, unix.EINVAL) && value == "1 0" {
			if h.pingable {
				h.lab.t.Skip("lab: without root, ping_group_range can only be closed before the first use of the host")
			}
			err = nil // closed is how a namespace starts
		}
		h.pingable = true
	}
	h.lab.check(err, "%s: sysctl %s = %s", h.Name, key, value)
}

func (h *Host) sysctl(key, value string) error {
	return h.inside(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
	})
}

// ResolvConf replaces the host's /etc/resolv.conf.
func (h *Host) ResolvConf(text string) { h.lab.t.Helper(); h.writeEtc("resolv.conf", text) }

// Hosts replaces the host's /etc/hosts.
func (h *Host) Hosts(text string) { h.lab.t.Helper(); h.writeEtc("hosts", text) }

// writeEtc writes in place: the mount is on the file, not on its name.
func (h *Host) writeEtc(name, text string) {
	h.lab.t.Helper()
	h.lab.check(os.WriteFile(filepath.Join(h.etc, name), []byte(text), 0o644), "%s of %s", name, h.Name)
}

// Netns returns a path to the host's network namespace, for tools such as
// nsenter --net=… run by this user.
func (h *Host) Netns() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.netFD) }

// NetNSFD returns a descriptor of the host's network namespace, for options of
// that name. It stays open until the test ends.
func (h *Host) NetNSFD() int { return h.netFD }

// Netlink returns a handle on the host's network, for set-ups that the
// methods of Host do not offer. It stays open until the test ends.
func (h *Host) Netlink() *netlink.Handle { return h.nl }

// Up sets an interface up and waits until it can carry packets, if the other
// end is up too.
func (h *Host) Up(port string) { h.lab.t.Helper(); h.setUp(port, true) }

// Down sets an interface administratively down. The kernel forgets the routes
// through it and its global IPv6 addresses.
func (h *Host) Down(port string) { h.lab.t.Helper(); h.setUp(port, false) }

func (h *Host) setUp(port string, up bool) {
	h.lab.t.Helper()
	h.lab.check(h.node.setUp(port, up), "%s: %s up=%v", h.Name, port, up)
}

// MTU sets the MTU of an interface, in bytes.
func (h *Host) MTU(port string, bytes int) {
	h.lab.t.Helper()
	link, err := h.link(port)
	if err == nil {
		err = h.nl.LinkSetMTU(link, bytes)
	}
	h.lab.check(err, "%s: mtu of %s", h.Name, port)
}

// Addr adds an address with its prefix length, such as "10.1.0.2/24".
func (h *Host) Addr(port, cidr string) {
	h.lab.t.Helper()
	prefix, err := netip.ParsePrefix(cidr)
	h.lab.check(err, "%s: address of %s", h.Name, port)
	link, err := h.link(port)
	if err == nil {
		err = h.nl.AddrAdd(link, kernelAddr(prefix))
	}
	if err == nil && link.Attrs().OperState == netlink.OperUp {
		err = h.waitRoute(prefix.Addr(), port)
	}
	h.lab.check(err, "%s: address %s on %s", h.Name, cidr, port)
}

// DelAddr removes an address.
func (h *Host) DelAddr(port, cidr string) {
	h.lab.t.Helper()
	prefix, err := netip.ParsePrefix(cidr)
	h.lab.check(err, "%s: address of %s", h.Name, port)
	link, err := h.link(port)
	if err == nil {
		err = h.nl.AddrDel(link, kernelAddr(prefix))
	}
	h.lab.check(err, "%s: remove address %s from %s", h.Name, cidr, port)
}

// FlushAddrs removes every address of an interface except link-local IPv6.
func (h *Host) FlushAddrs(port string) {
	h.lab.t.Helper()
	link, err := h.link(port)
	h.lab.check(err, "%s: flush %s", h.Name, port)
	addrs, err := h.nl.AddrList(link, netlink.FAMILY_ALL)
	h.lab.check(err, "%s: flush %s", h.Name, port)
	for _, a := range addrs {
		if a.IP.To4() == nil && a.IP.IsLinkLocalUnicast() {
			continue
		}
		// Removing a primary IPv4 address removes its secondaries too.
		if err := h.nl.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			h.lab.check(err, "%s: flush %s", h.Name, port)
		}
	}
}
