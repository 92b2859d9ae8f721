package ifaces

import (
	"fmt"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// WriteClassic writes the layout of net-tools 1.60.
func WriteClassic(out *strings.Builder, i Interface) {
	const margin = "          "
	_, name := encap(i)
	fmt.Fprintf(out, "%-9s Link encap:%s  ", cli.Escape(i.Name), name)
	if address := hardware(i); address != "" {
		fmt.Fprintf(out, "HWaddr %s  ", address)
	}
	out.WriteByte('\n')
	if i.Inet != nil {
		addr, mask, broadcast, peer := inet(i)
		fmt.Fprintf(out, margin+"inet addr:%s ", addr)
		if i.Flags&link.FlagPointToPoint != 0 {
			fmt.Fprintf(out, " P-t-P:%s ", peer)
		}
		if i.Flags&link.FlagBroadcast != 0 {
			fmt.Fprintf(out, " Bcast:%s ", broadcast)
		}
		fmt.Fprintf(out, " Mask:%s\n", mask)
	}
	for _, a := range inet6(i) {
		word := scopes[a.Scope].word
		if word != "" {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		fmt.Fprintf(out, margin+"inet6 addr: %s/%d Scope:%s\n", a.Prefix.Addr().WithZone(""), a.Prefix.Bits(), word)
	}
	fmt.Fprintf(out, margin+"%s  MTU:%d  Metric:1\n", strings.Join(words(i), " "), i.MTU)
	if !i.Alias {
		c, s := i.Counters, sum(i.Counters)
		fmt.Fprintf(out, margin+"RX packets:%d errors:%d dropped:%d overruns:%d frame:%d\n", c.RxPackets, c.RxErrors, s.rxDropped, c.RxFIFOErrors, s.frame)
		fmt.Fprintf(out, margin+"TX packets:%d errors:%d dropped:%d overruns:%d carrier:%d\n", c.TxPackets, c.TxErrors, c.TxDropped, c.TxFIFOErrors, s.carrier)
		fmt.Fprintf(out, margin+"collisions:%d txqueuelen:%d \n", c.Collisions, i.TxQueueLen)
		fmt.Fprintf(out, margin+"RX bytes:%d (%s)  TX bytes:%d (%s)\n", c.RxBytes, size(c.RxBytes, "b"), c.TxBytes, size(c.TxBytes, "b"))
	}
	if m := i.Map; m != nil && (m.IRQ != 0 || m.MemStart != 0 || m.DMA != 0 || m.BaseAddr >= 0x100) {
		out.WriteString(margin + placed(m, "Interrupt:%d ", "Base address:0x%x ", "Memory:%x-%x ", "DMA chan:%x ") + "\n")
	}
	out.WriteByte('\n')
}

// ShortHeading is the line above those of WriteShort.
const ShortHeading = "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"

// WriteShort writes a line of ifconfig -s.
func WriteShort(out *strings.Builder, i Interface) {
	letters := make([]string, len(flags))
	for _, f := range flags {
		if i.Flags&f.flag != 0 {
			letters[f.rank] = f.letter
		}
	}
	fmt.Fprintf(out, "%-15.15s %5d ", cli.Escape(i.Name), i.MTU)
	if i.Alias {
		fmt.Fprintf(out, "%-55s %s\n", "     - no statistics available -", strings.Join(letters, ""))
		return
	}
	c, s := i.Counters, sum(i.Counters)
	fmt.Fprintf(out, "%8d %6d %6d %-6d %8d %6d %6d %6d %s\n", c.RxPackets, c.RxErrors, s.rxDropped, c.RxFIFOErrors,
		c.TxPackets, c.TxErrors, c.TxDropped, c.TxFIFOErrors, strings.Join(letters, ""))
}
