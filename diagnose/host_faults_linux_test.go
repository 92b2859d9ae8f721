package diagnose_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
)

// prefixed is an address with another prefix length.
func prefixed(a netip.Addr, bits int) string { return netip.PrefixFrom(a, bits).String() }

// readdress gives the client's interface other prefixes, and its gateway back.
func (n *network) readdress(port string, bits4, bits6 int) {
	n.client.FlushAddrs(n.clientIf)
	bits := bits4
	if n.clientAddr.Is6() {
		bits = bits6
		n.client.Addr(port, prefixed(sibling(n.nsAddr, 77), bits4))
	}
	n.client.Addr(port, prefixed(n.clientAddr, bits))
	if len(n.gateways) > 0 {
		n.client.Route(n.anywhere(), n.gateways[0].String())
	}
}

// stack moves the client's address to an interface on top of its own.
func (n *network) stack(name string, args ...string) {
	mustOutput(n.client, "ip", append([]string{"link", "add", name}, args...)...)
	if args[1] == "bridge" {
		mustOutput(n.client, "ip", "link", "set", n.clientIf, "master", name)
	}
	n.client.Up(name)
	n.readdress(name, 24, 64)
}

func (n *network) bridge() { n.stack("br0", "type", "bridge", "forward_delay", "0") }

// macvlan needs the lower interface before the type, as ip link add has it.
func (n *network) macvlan() {
	mustOutput(n.client, "ip", "link", "add", "link", n.clientIf, "name", "mv0", "type", "macvlan", "mode", "bridge")
	n.client.Up("mv0")
	n.readdress("mv0", 24, 64)
}

// hostFaults are wrong about the client itself.
func hostFaults() []fault {
	onlink := func(n *network) {
		n.client.DelRoute(n.anywhere())
		far := sibling(n.serverAddr, 1)
		mustOutput(n.client, "ip", "route", "add", "default", "via", far.String(), "dev", n.clientIf, "onlink")
	}
	return []fault{{
		id: "a prefix that is too short", routers: 1, code: diagnose.AddrWrongPrefix, sureWhen: privileged,
		inject: func(_ *testing.T, n *network) { n.readdress(n.clientIf, 8, 16) }, iface: ownInterface,
		bites: func(t *testing.T, n *network) {
			wantNot(t, n.client, "lladdr", "ip", "neigh", "show", n.serverAddr.String())
		},
	}, {
		id: "a prefix that is too short, over IPv6", routers: 1, v6: true, code: diagnose.AddrWrongPrefix, sureWhen: privileged,
		inject: func(_ *testing.T, n *network) { n.readdress(n.clientIf, 24, 16) }, iface: ownInterface,
	}, {
		id: "a prefix that is too short, by name", routers: 1, target: named, code: diagnose.AddrWrongPrefix, sureWhen: privileged,
		inject: func(_ *testing.T, n *network) {
			n.server.ServeDNS(netip.AddrPortFrom(n.serverAddr, 53).String(), n.zone().Answer)
			n.client.ResolvConf(fmt.Sprintf("search %s\nnameserver %s\n", n.domain, n.serverAddr))
			n.readdress(n.clientIf, 8, 16)
		}, iface: ownInterface,
	}, {
		id: "a gateway outside of the network", routers: 1, code: diagnose.AddrWrongPrefix, also: []diagnose.Code{diagnose.GWUnresolved},
		inject: func(_ *testing.T, n *network) { onlink(n) }, iface: ownInterface,
	}, {
		id: "a dead host on a network that has a gateway", routers: 1, code: diagnose.PathHostUnreachable,
		target: func(n *network) string { return netip.AddrPortFrom(n.absent(), uint16(n.port)).String() },
		never:  []diagnose.Code{diagnose.AddrWrongPrefix},
	}, {
		id: "a dead host on a wide network that is in use", routers: 1, code: diagnose.PathHostUnreachable,
		target: func(n *network) string { return netip.AddrPortFrom(n.wideDead(), uint16(n.port)).String() },
		inject: func(_ *testing.T, n *network) {
			n.readdress(n.clientIf, 8, 16)
			a := n.clientAddr.As4()
			for i := byte(1); i < 3; i++ { // hosts of other parts of it have answered
				other := netip.AddrFrom4([4]byte{10, a[1] + 100*i, 7, 7})
				mustOutput(n.client, "ip", "neigh", "add", other.String(), "lladdr", "02:00:00:00:00:77", "nud", "stale", "dev", n.clientIf)
			}
		},
		never: []diagnose.Code{diagnose.AddrWrongPrefix},
	}, {
		id: "the port of a bridge is off", routers: 1, code: diagnose.LinkAdminDown, iface: ownInterface,
		inject: func(_ *testing.T, n *network) { n.bridge(); n.client.Down(n.clientIf) },
	}, {
		id: "the port of a bridge is unplugged", routers: 1, code: diagnose.LinkNoCarrier, iface: ownInterface,
		inject: func(_ *testing.T, n *network) { n.bridge(); n.uplink.Down() },
		bites:  func(t *testing.T, n *network) { wantOutput(t, n.client, "NO-CARRIER", "ip", "link", "show", "br0") },
	}, {
		id: "a bridge without a port", routers: 1, code: diagnose.LinkNoCarrier,
		iface: func(*network) string { return "br0" },
		inject: func(_ *testing.T, n *network) {
			n.bridge()
			mustOutput(n.client, "ip", "link", "set", n.clientIf, "nomaster")
		},
	}, {
		id: "what is below a macvlan is off", routers: 1, code: diagnose.LinkAdminDown, iface: ownInterface,
		inject: func(_ *testing.T, n *network) { n.macvlan(); n.client.Down(n.clientIf) },
	}, {
		id: "what is below a macvlan is unplugged", routers: 1, code: diagnose.LinkNoCarrier, iface: ownInterface,
		inject: func(_ *testing.T, n *network) { n.macvlan(); n.uplink.Down() },
	}, {
		id: "a macvlan on a port that is off itself", routers: 1, code: diagnose.LinkAdminDown,
		iface:  func(*network) string { return "mv0" },
		inject: func(_ *testing.T, n *network) { n.macvlan(); n.client.Down("mv0") },
	}, {
		id: "the other end of a veth is off", routers: 1, code: diagnose.LinkAdminDown, iface: func(*network) string { return "vb" },
		inject: func(_ *testing.T, n *network) {
			mustOutput(n.client, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
			n.client.Up("va")
			n.client.Addr("va", "192.0.2.1/24")
			n.client.DelRoute(n.anywhere())
			mustOutput(n.client, "ip", "route", "add", "default", "via", "192.0.2.2", "dev", "va")
		},
	}, {
		id: "the reverse path filter drops the answers", routers: 1, code: diagnose.FWReversePath,
		inject: func(_ *testing.T, n *network) {
			// The router has a second cable to the client, and answers by that.
			back, in := n.client.Port("back"), n.routers[0].Port("back")
			n.lab.Connect(back, in)
			n.routers[0].RouteDev(prefixed(n.clientAddr, 32), "back")
			n.routers[0].Neighbor("back", n.clientAddr.String(), back.HardwareAddr().String())
			n.client.Sysctl("net/ipv4/conf/all/rp_filter", "1")
		},
		bites: func(t *testing.T, n *network) {
			wantNot(t, n.client, "TcpExtIPReversePathFilter       0 ", "nstat", "-asz", "TcpExtIPReversePathFilter")
		},
	}, {
		id: "a listener that does not accept", routers: 1, code: diagnose.SvcBacklogFull,
		target: func(n *network) string { return netip.AddrPortFrom(n.clientAddr, 81).String() },
		inject: func(t *testing.T, n *network) { fillBacklog(t, n.client, netip.AddrPortFrom(n.clientAddr, 81)) },
	}}
}

func privileged(a arm) bool { return a.privileged }

func ownInterface(n *network) string { return n.clientIf }

// wideDead is an address that nobody has, within 10/8 and far from the client.
func (n *network) wideDead() netip.Addr {
	a := n.clientAddr.As4()
	return netip.AddrFrom4([4]byte{10, a[1] + 50, 3, 9})
}

// fillBacklog listens without accepting, and fills the queue.
func fillBacklog(t *testing.T, h *lab.Host, ap netip.AddrPort) {
	t.Helper()
	var fds []int
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	sa := &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	err := h.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
		if err := unix.Bind(fd, sa); err != nil {
			return err
		}
		if err := unix.Listen(fd, 1); err != nil {
			return err
		}
		for range 2 { // one more than the limit is taken
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			fds = append(fds, c)
			if err := unix.Connect(c, sa); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestHostFaults breaks the client itself.
func TestHostFaults(t *testing.T) {
	t.Parallel()
	for _, f := range hostFaults() {
		for _, a := range arms[:2] {
			t.Run(f.id+", "+a.name, func(t *testing.T) {
				t.Parallel()
				f.check(t, a)
			})
		}
	}
}

// TestStacked holds interfaces on top of others that work to be in order.
func TestStacked(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]func(*network){
		"bridge": (*network).bridge, "macvlan": (*network).macvlan,
		"bridge with a dead port beside": func(n *network) {
			n.bridge()
			mustOutput(n.client, "ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare2")
			mustOutput(n.client, "ip", "link", "set", "spare", "master", "br0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			inject(n)
			for _, target := range []string{n.target(), n.named(), ""} {
				r := diagnoseFrom(t, n.client, false, target)
				if !r.Healthy() || len(r.Causes) > 0 {
					t.Errorf("%q: got %q\n%s", target, r.Verdict.Code, dump(r))
				}
			}
		})
	}
}

// TestUnreadable keeps the files of the resolver from the user.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file    string
		want    diagnose.Code
		reached bool
	}{
		{"/etc/resolv.conf", diagnose.DNSConfUnreadable, false},
		{"/etc/hosts", diagnose.DNSHostsUnreadable, true},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			n.client.Hosts("127.0.0.1 localhost\n")
			for _, target := range []string{n.named(), ""} {
				if r := diagnoseFrom(t, n.client, false, target); !r.Healthy() {
					t.Fatalf("%q, readable: got %q\n%s", target, r.Verdict.Code, dump(r))
				}
			}
			mustOutput(n.client, "chmod", "000", c.file)
			for _, target := range []string{n.named(), ""} {
				r := diagnoseFrom(t, n.client, false, target)
				if r.Verdict.Code != c.want || len(r.Causes) != 1 || target != "" && r.Verdict.Reached != c.reached {
					t.Errorf("%q: got %v, reached %v, want %q\n%s", target, codesOf(r.Causes), r.Verdict.Reached, c.want, dump(r))
				}
			}
			if r := diagnoseFrom(t, n.client, false, n.target()); !r.Healthy() {
				t.Errorf("an address needs no file: got %q\n%s", r.Verdict.Code, dump(r))
			}
			if r := diagnoseFrom(t, n.client, true, n.named()); !r.Healthy() {
				t.Errorf("who may read it: got %q\n%s", r.Verdict.Code, dump(r))
			}
		})
	}
}

// TestMTUBlackHole lets large packets vanish behind a router, which says so or
// does not.
func TestMTUBlackHole(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprintf("told %v", told), func(t *testing.T) {
			t.Parallel()
			n := build(t, 2)
			n.routers[0].MTU("out", 1300)
			n.routers[1].MTU("in", 1300)
			if !told {
				n.routers[0].Filter(lab.Output, lab.Rule{ICMP: lab.TooBig})
			}
			r := diagnoseFrom(t, n.client, false, n.target())
			checkCost(t, r)
			if !r.Verdict.Reached {
				t.Errorf("not reached\n%s", dump(r))
			}
			var want []diagnose.Code
			if !told {
				want = []diagnose.Code{diagnose.PathMTUBlackHole}
			}
			if !slices.Equal(codesOf(r.Causes), want) {
				t.Fatalf("got %v, want %v\n%s", codesOf(r.Causes), want, dump(r))
			}
			if !told && r.Verdict.Where.Addr != n.gateways[0] {
				t.Errorf("located at %v, want %v", r.Verdict.Where, n.gateways[0])
			}
		})
	}
}
