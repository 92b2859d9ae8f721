package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// printer writes a path in the layout of tracepath(8).
type printer struct {
	names *cli.Names // nil: addresses only
	addrs bool       // addresses beside names
	max   int        // the last TTL asked for
}

// patience is how long all names together are waited for.
const patience = 500 * time.Millisecond

func (p *printer) text(m trace.PathMTU) string {
	if p.names != nil {
		for _, h := range m.Hops {
			if h.From.IsValid() {
				p.names.Host(h.From)
			}
		}
		p.names.Wait(patience)
	}
	var b strings.Builder
	mtu := p.here(&b, m)
	steps := m.Steps
	for _, h := range m.Hops {
		for ; len(steps) > 0 && steps[0].Next <= h.TTL; steps = steps[1:] {
			p.step(&b, h.TTL, steps[0])
			mtu = steps[0].MTU
		}
		p.hop(&b, h)
	}
	for _, st := range steps {
		p.step(&b, st.Next, st)
		mtu = st.MTU
	}
	p.end(&b, m, mtu)
	return b.String()
}

// here prints what the interface of this host allows, where that is less than
// what was to be tried, and returns it.
func (p *printer) here(b *strings.Builder, m trace.PathMTU) int {
	if m.LocalMTU < 65535 && (m.MTU == 0 || m.MTU == m.LocalMTU || len(m.Steps) > 0 && m.Steps[0].Before == m.LocalMTU) {
		fmt.Fprintf(b, " 1?: %-32s pmtu %d\n", "[LOCALHOST]", m.LocalMTU)
		return m.LocalMTU
	}
	if len(m.Steps) > 0 {
		return m.Steps[0].Before
	}
	return cmp.Or(m.MTU, m.LocalMTU)
}

func (p *printer) step(b *strings.Builder, ttl int, st trace.MTUStep) {
	if st.ICMP == nil {
		fmt.Fprintf(b, "%2d?: %-32s pmtu %d\n", ttl, "[SILENT]", st.MTU)
		return
	}
	fmt.Fprintf(b, "%2d:  %-52s%s pmtu %d\n", ttl, p.host(st.ICMP.From), millis(st.RTT), st.MTU)
}

func (p *printer) hop(b *strings.Builder, h trace.MTUHop) {
	if !h.From.IsValid() {
		fmt.Fprintf(b, "%2d:  no reply\n", h.TTL)
		return
	}
	fmt.Fprintf(b, "%2d:  %-52s%s ", h.TTL, p.host(h.From), millis(h.RTT))
	if n := hops.WayBack(h.ReplyTTL); n != 0 && n != h.TTL && h.ICMP == nil {
		fmt.Fprintf(b, "asymm %2d ", n)
	}
	switch {
	case h.ICMP != nil:
		b.WriteString(symbol(h.ICMP))
	case h.Final:
		b.WriteString("reached")
	}
	b.WriteByte('\n')
}

// end prints the summary, and what the classic does not know.
func (p *printer) end(b *strings.Builder, m trace.PathMTU, mtu int) {
	last := trace.MTUHop{}
	if len(m.Hops) > 0 {
		last = m.Hops[len(m.Hops)-1]
	}
	if m.MTU != 0 {
		mtu = m.MTU
	}
	if !last.Final && last.ICMP == nil {
		for ttl := last.TTL + 1; ttl <= p.max; ttl++ {
			fmt.Fprintf(b, "%2d:  no reply\n", ttl)
		}
		fmt.Fprintf(b, "     Too many hops: pmtu %d\n", mtu)
	}
	fmt.Fprintf(b, "     Resume: pmtu %d ", mtu)
	if last.Final {
		fmt.Fprintf(b, "hops %d ", last.TTL)
		if n := hops.WayBack(last.ReplyTTL); n != 0 {
			fmt.Fprintf(b, "back %d ", n)
		}
	}
	b.WriteByte('\n')
	for i := range m.Steps {
		fmt.Fprintf(b, "     Shrinks: %v\n", m.Steps[i])
	}
	if !m.Exact || m.Scope == trace.MTUBoth || !m.Reached {
		fmt.Fprintf(b, "     Note: %s\n", m.Why)
	}
}

// symbol is what the classic makes of the kernel's errno (icmp(7), icmpv6).
func symbol(e *trace.ICMPError) string {
	if e.From.Is4() {
		switch e.Code {
		case 0, 6, 8, 9, 11:
			return "!N"
		case 1, 7, 10, 12, 13, 14, 15:
			return "!H"
		}
		return e.Symbol()
	}
	switch e.Code {
	case 0:
		return "!N"
	case 2, 3:
		return "!H"
	case 1, 5, 6:
		return "!A"
	}
	return e.Symbol()
}

func (p *printer) host(a netip.Addr) string {
	name := ""
	if p.names != nil {
		name = cli.Escape(p.names.Host(a))
	}
	switch {
	case name == "":
		return a.String()
	case p.addrs:
		return name + " (" + a.String() + ")"
	}
	return name
}

// millis is a duration as the classic prints it.
func millis(d time.Duration) string {
	us := d.Microseconds()
	return fmt.Sprintf("%3d.%03dms", us/1000, us%1000)
}
