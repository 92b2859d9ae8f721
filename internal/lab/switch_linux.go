package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Switch is an Ethernet switch: a bridge in a namespace of its own.
type Switch struct {
	*node
	Name  string
	index int // of the bridge
	ports int
}

// bridgeName is the interface that joins a switch's ports.
const bridgeName = "br0"

// Switch adds a switch without spanning tree. Hosts are joined to it by
// l.Connect(host.Port("eth0", …), sw.Port()).
func (l *Lab) Switch(name string) *Switch {
	l.t.Helper()
	n, err := l.newNode(name, nil, switchSettings)
	l.check(err, "switch %s", name)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: new(false)}
	l.check(missing(n.nl.LinkAdd(bridge)), "switch %s", name)
	l.check(n.nl.LinkSetUp(bridge), "switch %s", name)
	return &Switch{node: n, Name: name, index: bridge.Index}
}

// Port describes a new port of the switch, for Connect or Wire.
func (s *Switch) Port() *Port {
	s.ports++
	return &Port{Name: fmt.Sprintf("port%d", s.ports), node: s.node, master: s.index}
}

// Isolate keeps a connected port from exchanging frames with other isolated
// ports, as a private VLAN does, or ends that.
func (s *Switch) Isolate(p *Port, on bool) {
	s.lab.t.Helper()
	link, err := s.link(p.Name)
	if err == nil {
		err = missing(s.nl.LinkSetIsolated(link, on))
	}
	s.lab.check(err, "isolate %s of %s", p.Name, s.Name)
}
