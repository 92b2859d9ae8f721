package ifaces

import (
	"fmt"
	"net"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// flags are ifconfig's words and letters, in its order.
var flags = []struct {
	flag   link.Flags
	word   string
	letter string
	rank   int // of the letter
}{
	{link.FlagUp, "UP", "U", 13}, {link.FlagBroadcast, "BROADCAST", "B", 1}, {link.FlagDebug, "DEBUG", "D", 2},
	{link.FlagLoopback, "LOOPBACK", "L", 3}, {link.FlagPointToPoint, "POINTOPOINT", "P", 9}, {link.FlagNoTrailers, "NOTRAILERS", "N", 7},
	{link.FlagRunning, "RUNNING", "R", 12}, {link.FlagNoARP, "NOARP", "O", 8}, {link.FlagPromisc, "PROMISC", "P", 6},
	{link.FlagAllMulti, "ALLMULTI", "A", 0}, {link.FlagSlave, "SLAVE", "s", 10}, {link.FlagMaster, "MASTER", "m", 11},
	{link.FlagMulticast, "MULTICAST", "M", 4}, {link.FlagDynamic, "DYNAMIC", "d", 5},
}

func words(i Interface) (list []string) {
	for _, f := range flags {
		if i.Flags&f.flag != 0 {
			list = append(list, f.word)
		}
	}
	return list
}

// encap is what the classic knows of a link layer: a word, and a name for people.
func encap(i Interface) (word, name string) {
	switch i.Type {
	case link.TypeEther:
		return "ether", "Ethernet"
	case link.TypeLoopback:
		return "loop", "Local Loopback"
	case link.TypePPP:
		return "ppp", "Point-to-Point Protocol"
	case link.TypeIPIP:
		return "tunnel ", "IPIP Tunnel"
	case link.TypeSIT:
		return "sit", "IPv6-in-IPv4"
	}
	return "unspec", "UNSPEC"
}

// hardware is the address, of an unknown link layer in sixteen bytes.
func hardware(i Interface) string {
	switch word, _ := encap(i); word {
	case "ether":
		return i.HardwareAddr.String()
	case "unspec":
		var b [16]byte
		copy(b[:], i.HardwareAddr)
		return strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", b[:]), " ", "-"))
	}
	return ""
}

// scopes are the kernel's numbers (IPV6_ADDR_*) and ifconfig's words.
var scopes = map[link.Scope]struct {
	number int
	word   string
}{link.ScopeGlobal: {0, "global"}, link.ScopeHost: {0x10, "host"}, link.ScopeLink: {0x20, "link"}, link.ScopeSite: {0x40, "site"}}

// inet returns the texts of an IPv4 address: with a peer if there is one.
func inet(i Interface) (addr, mask, broadcast, peer string) {
	a := i.Inet
	addr, broadcast, peer = a.Prefix.Addr().String(), "0.0.0.0", a.Prefix.Addr().String()
	mask = net.IP(net.CIDRMask(a.Prefix.Bits(), 32)).String()
	if a.Broadcast.IsValid() {
		broadcast = a.Broadcast.String()
	}
	if a.Peer.IsValid() {
		peer = a.Peer.Addr().String()
		mask = net.IP(net.CIDRMask(a.Peer.Bits(), 32)).String()
	}
	return addr, mask, broadcast, peer
}

// sums are counters as /proc/net/dev adds them up.
type sums struct{ rxDropped, frame, carrier uint64 }

func sum(c link.Counters) sums {
	return sums{
		rxDropped: c.RxDropped + c.RxMissedErrors,
		frame:     c.RxLengthErrors + c.RxOverErrors + c.RxCRCErrors + c.RxFrameErrors,
		carrier:   c.TxCarrierErrors + c.TxAbortedErrors + c.TxWindowErrors + c.TxHeartbeatErrors,
	}
}

// size is a count of bytes in the largest unit that it is more than one of,
// with one digit that is cut and not rounded.
func size(n uint64, bytes string) string {
	unit, of := bytes, uint64(1)
	for k, name := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if step := uint64(1) << (10 * (k + 1)); n > step {
			unit, of = name, step
		}
	}
	return fmt.Sprintf("%d.%d %s", n/of, n%of*10/of, unit)
}

// WriteCurrent writes the layout of net-tools 2.
func WriteCurrent(out *strings.Builder, i Interface) {
	fmt.Fprintf(out, "%s: flags=%d<%s>  mtu %d\n", cli.Escape(i.Name), int16(i.Flags), strings.Join(words(i), ","), i.MTU)
	if i.Inet != nil {
		addr, mask, broadcast, peer := inet(i)
		fmt.Fprintf(out, "        inet %s  netmask %s", addr, mask)
		if i.Flags&link.FlagBroadcast != 0 {
			fmt.Fprintf(out, "  broadcast %s", broadcast)
		}
		if i.Flags&link.FlagPointToPoint != 0 {
			fmt.Fprintf(out, "  destination %s", peer)
		}
		out.WriteByte('\n')
	}
	for _, a := range inet6(i) {
		s := scopes[a.Scope]
		fmt.Fprintf(out, "        inet6 %s  prefixlen %d  scopeid 0x%x<%s>\n", a.Prefix.Addr().WithZone(""), a.Prefix.Bits(), s.number, s.word)
	}
	word, name := encap(i)
	if address := hardware(i); address != "" {
		word += " " + address
	}
	fmt.Fprintf(out, "        %s  txqueuelen %d  (%s)\n", word, i.TxQueueLen, name)
	if !i.Alias {
		c, s := i.Counters, sum(i.Counters)
		fmt.Fprintf(out, "        RX packets %d  bytes %d (%s)\n", c.RxPackets, c.RxBytes, size(c.RxBytes, "B"))
		fmt.Fprintf(out, "        RX errors %d  dropped %d  overruns %d  frame %d\n", c.RxErrors, s.rxDropped, c.RxFIFOErrors, s.frame)
		fmt.Fprintf(out, "        TX packets %d  bytes %d (%s)\n", c.TxPackets, c.TxBytes, size(c.TxBytes, "B"))
		fmt.Fprintf(out, "        TX errors %d  dropped %d overruns %d  carrier %d  collisions %d\n", c.TxErrors, c.TxDropped, c.TxFIFOErrors, s.carrier, c.Collisions)
	}
	if m := i.Map; m != nil && (m.IRQ != 0 || m.MemStart != 0 || m.DMA != 0 || m.BaseAddr >= 0x100) {
		out.WriteString("        device " + placed(m, "interrupt %d  ", "base 0x%x  ", "memory 0x%x-%x  ", "  dma 0x%x") + "\n")
	}
	out.WriteByte('\n')
}

// placed writes where old hardware sits, as far as it is told.
func placed(m *link.Map, irq, base, memory, dma string) (text string) {
	if m.IRQ != 0 {
		text += fmt.Sprintf(irq, m.IRQ)
	}
	if m.BaseAddr >= 0x100 {
		text += fmt.Sprintf(base, m.BaseAddr)
	}
	if m.MemStart != 0 {
		text += fmt.Sprintf(memory, m.MemStart, m.MemEnd)
	}
	if m.DMA != 0 {
		text += fmt.Sprintf(dma, m.DMA)
	}
	return text
}

// inet6 are the IPv6 addresses, which an alias does not have.
func inet6(i Interface) (list []link.Address) {
	for _, a := range i.Addresses {
		if !i.Alias && a.Prefix.Addr().Is6() {
			list = append(list, a)
		}
	}
	return list
}
