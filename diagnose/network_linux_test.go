package diagnose_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/resolve"
)

// network is a client, a chain of routers and a server, with a name server on
// the client's own network. Addresses, names, ports and interface names are
// drawn anew for each test, so that nothing can be made to fit a scenario.
type network struct {
	lab                *lab.Lab
	client, server, ns *lab.Host
	routers            []*lab.Host
	clientIf           string
	clientAddr         netip.Addr
	serverAddr, nsAddr netip.Addr
	gateways           []netip.Addr // routers' addresses towards the client
	port               int
	name, domain       string // the server is name.domain
	uplink             *lab.Link
	dns                *lab.Server
}

// build makes a network with so many routers; 0 puts everything on one segment.
func build(t testing.TB, routers int) *network { return buildFamily(t, routers, 4) }

// buildFamily makes it with targets of one family. The name server is always
// reached over IPv4, and IPv4 is in order everywhere.
func buildFamily(t testing.TB, routers, family int) *network {
	t.Helper()
	l := lab.New(t)
	pick := func(words ...string) string { return words[rand.IntN(len(words))] }
	n := &network{
		lab:      l,
		clientIf: pick("eth0", "ens3", "enp1s0", "wan", "net1"),
		port:     []int{80, 8080, 5432, 2222}[rand.IntN(4)],
		name:     pick("web1", "db", "files", "mail-2"),
		domain:   pick("example.net", "corp.example", "lan.test"),
	}
	// Each segment is a random /24 of 10/8, or a random /64, all different.
	base, third := rand.IntN(200), rand.Perm(250)
	subnet4 := func(i, host int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(base), byte(third[i]), byte(host)}), 24)
	}
	subnet := subnet4
	if family == 6 {
		subnet = func(i, host int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(base), 7: byte(third[i]), 15: byte(host)}), 64)
		}
	}
	n.client, n.server, n.ns = l.Host("client"), l.Host("server"), l.Host("ns")
	clientHost := 20 + rand.IntN(200)
	own, far := subnet(0, clientHost), subnet(routers, 7+rand.IntN(10))
	nsPrefix, own4 := subnet4(0, 250), subnet4(0, clientHost)
	n.clientAddr, n.serverAddr, n.nsAddr = own.Addr(), far.Addr(), nsPrefix.Addr()
	sw := l.Switch("lan")
	n.uplink = l.Connect(n.client.Port(n.clientIf, both(own, own4)...), sw.Port())
	l.Connect(n.ns.Port("eth0", nsPrefix.String()), sw.Port())
	inner := sw.Port()
	for i := range routers {
		r := l.Router(fmt.Sprintf("r%d", i+1))
		// A limit of nothing still empties the bucket that "no route" is
		// limited by as well (inet_peer_xrlim_allow, ip_error).
		r.Sysctl("net/ipv4/icmp_ratemask", "0")
		n.routers = append(n.routers, r)
		n.gateways = append(n.gateways, subnet(i, 1).Addr())
		l.Connect(r.Port("in", subnet(i, 1).String()), inner)
		inner = r.Port("out", subnet(i+1, 254).String())
	}
	l.Connect(n.server.Port("eth0", far.String()), inner)
	n.routes(routers, subnet)
	n.services()
	return n
}

// both returns the addresses of a port, each once.
func both(a, b netip.Prefix) []string {
	if a == b {
		return []string{a.String()}
	}
	return []string{a.String(), b.String()}
}

// routes sends everything towards the server along the chain, and back.
func (n *network) routes(routers int, subnet func(i, host int) netip.Prefix) {
	if routers == 0 {
		return
	}
	n.client.Route(n.anywhere(), subnet(0, 1).Addr().String())
	for i, r := range n.routers {
		if i+1 < routers {
			r.Route(n.anywhere(), subnet(i+1, 1).Addr().String())
		}
		for back := range i {
			r.Route(subnet(back, 0).String(), subnet(i, 254).Addr().String())
		}
	}
	n.server.Route(n.anywhere(), subnet(routers, 254).Addr().String())
}

// services starts the server's service and the name server.
func (n *network) services() {
	n.server.ListenTCP(n.target(), lab.Discard)
	n.dns = n.ns.ServeDNS(netip.AddrPortFrom(n.nsAddr, 53).String(), n.zone().Answer)
	n.client.ResolvConf(fmt.Sprintf("search %s\nnameserver %s\n", n.domain, n.nsAddr))
}

func (n *network) fqdn() string   { return n.name + "." + n.domain }
func (n *network) target() string { return net.JoinHostPort(n.serverAddr.String(), fmt.Sprint(n.port)) }
func (n *network) named() string  { return net.JoinHostPort(n.name, fmt.Sprint(n.port)) }
func (n *network) last() *lab.Host {
	return n.routers[len(n.routers)-1]
}

// unroute takes the connected route to the server from the last router, which
// over IPv6 would win against any other one.
func (n *network) unroute() *lab.Host {
	n.last().DelRoute(n.serverNet())
	return n.last()
}

// diagnoseFrom runs the procedure in a process of its own on a host.
func diagnoseFrom(t *testing.T, h *lab.Host, privileged bool, target string) diagnose.Report {
	t.Helper()
	out, stderr, code, err := h.RunChild("diagnose", privileged, target, "8s")
	if err != nil || code != 0 {
		t.Fatalf("diagnose %s: exit %d, %v: %s", target, code, err, stderr)
	}
	var r diagnose.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("the report is not JSON: %v: %s", err, out)
	}
	return r
}

// anywhere is the default route's prefix in the family of the target.
func (n *network) anywhere() string {
	if n.serverAddr.Is6() {
		return "::/0"
	}
	return "0.0.0.0/0"
}

// absent is an address on the client's own network that nobody has.
func (n *network) absent() netip.Addr { return sibling(n.clientAddr, 251) }

// serverNet is the network that the server is on.
func (n *network) serverNet() string {
	bits := 24
	if n.serverAddr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(n.serverAddr, bits).Masked().String()
}

// back is the address of router i-1 that router i reaches it by.
func (n *network) back(i int) netip.Addr { return sibling(n.gateways[i], 254) }

// sibling is another host number on the same network.
func sibling(a netip.Addr, host byte) netip.Addr {
	b := a.AsSlice()
	b[len(b)-1] = host
	s, _ := netip.AddrFromSlice(b)
	return s
}

// zone is what a resolver of that network knows: the server's name, and the
// client's in the reverse zone; of everything else, that it does not exist.
func (n *network) zone() lab.Zone {
	record := "A "
	if n.serverAddr.Is6() {
		record = "AAAA "
	}
	return lab.Zone{Origin: ".", Recursive: true, Records: map[string][]string{
		"@":                               {"NS a.root.test."},
		n.fqdn() + ".":                    {record + n.serverAddr.String()},
		resolve.ReverseName(n.clientAddr): {"PTR client." + n.domain + "."},
	}}
}

// wantOutput asks an oracle.
func wantOutput(t *testing.T, h *lab.Host, want, name string, args ...string) {
	t.Helper()
	out, err := h.Output(name, args...)
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("the fault did not bite: %s %v: %v\n%s\nwant %q in it", name, args, err, out, want)
	}
}

// wantNot asks an oracle for the opposite.
func wantNot(t *testing.T, h *lab.Host, unwanted, name string, args ...string) {
	t.Helper()
	out, err := h.Output(name, args...)
	if err != nil || strings.Contains(string(out), unwanted) {
		t.Errorf("the fault did not bite: %s %v: %v\n%s", name, args, err, out)
	}
}

// mustOutput changes something about a host by an ordinary tool.
func mustOutput(h *lab.Host, name string, args ...string) {
	if out, err := h.Command(name, args...).CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s %v: %v: %s", name, args, err, out))
	}
}
