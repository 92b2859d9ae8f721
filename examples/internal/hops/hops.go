// Package hops is what the tools that print paths share: the address of the
// target, and lines of hops in traceroute's layout.
package hops

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/trace"
)

// Tracer is a [trace.Tracer] that can also tell hops while it goes on.
type Tracer interface {
	trace.Tracer
	Hops(ctx context.Context, dst netip.Addr) iter.Seq2[trace.Hop, error]
}

// Lookup returns the address of a host as this system resolves it. Family is 4
// or 6, or 0 for any; a host with addresses of both is then met by IPv4.
func Lookup(ctx context.Context, host string, family int) (netip.Addr, error) {
	// An address needs no files to be read.
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.Unmap(); family == 4 && a.Is6() || family == 6 && a.Is4() {
			return netip.Addr{}, fmt.Errorf("%s has no IPv%d address", host, family)
		}
		return a, nil
	}
	types := map[int][]resolve.Type{4: {resolve.TypeA}, 6: {resolve.TypeAAAA}}[family]
	r, err := resolve.Lookup(ctx, host, &resolve.LookupOptions{Types: types})
	if err != nil {
		return netip.Addr{}, err
	}
	var found netip.Addr
	for _, a := range r.Addrs {
		a = a.Unmap()
		if a.Is4() && family == 6 || a.Is6() && family == 4 {
			continue
		}
		if !found.IsValid() || found.Is6() && a.Is4() {
			found = a
		}
	}
	switch {
	case found.IsValid():
		return found, nil
	case len(r.Addrs) > 0:
		return found, fmt.Errorf("%s has no IPv%d address", host, family)
	}
	return found, fmt.Errorf("cannot resolve %s: %v", host, r.Outcome)
}

// Printer prints hops, each line as soon as the hop is known.
type Printer struct {
	Out   io.Writer
	Names *cli.Names // nil: addresses only
	AS    *cli.Names // autonomous systems, see [NewAS]; nil: none
	MPLS  bool       // show labels
	Back  bool       // show how far answers came, where that is not as far as the hop
	// Narrow is the path MTU that begins at a TTL, and is shown there.
	Narrow map[int]int
	// Mark is printed behind the address of a reply, if it says something.
	Mark func(trace.Reply) string
	// Plain is tcptraceroute's layout: an address without a name stands once,
	// and is not set off in the middle of a line.
	Plain bool
}

// patience is how long all lines together wait for names; then addresses have
// to do. Look-ups begin before their line is due and go on meanwhile.
const patience = 500 * time.Millisecond

// Print prints hops until the last one. A probe that this host did not let out
// is an error; the trace is then over.
func (p *Printer) Print(hops iter.Seq2[trace.Hop, error]) error { return p.each(hops, p.Line) }

func (p *Printer) each(hops iter.Seq2[trace.Hop, error], line func(trace.Hop) string) error {
	if p.Names == nil && p.AS == nil {
		return p.hand(hops, func(h trace.Hop) { io.WriteString(p.Out, line(h)+"\n") })
	}
	lines := make(chan trace.Hop, 256) // as many as there are TTLs
	var printer sync.WaitGroup
	printer.Go(func() {
		left := patience
		for h := range lines {
			for _, n := range []*cli.Names{p.Names, p.AS} {
				if n != nil {
					start := time.Now()
					n.Wait(left)
					left = max(0, left-time.Since(start))
				}
			}
			io.WriteString(p.Out, line(h)+"\n")
		}
	})
	err := p.hand(hops, func(h trace.Hop) { lines <- h })
	close(lines)
	printer.Wait()
	return err
}

// hand gives hops to be printed and has their names looked for.
func (p *Printer) hand(hops iter.Seq2[trace.Hop, error], print func(trace.Hop)) error {
	for h, err := range hops {
		if err != nil {
			return err
		}
		for _, n := range []*cli.Names{p.Names, p.AS} {
			if n != nil {
				for _, a := range h.Addrs() {
					n.Host(a)
				}
			}
		}
		why := notSent(h)
		if _, answered := h.Answered(); answered || why == "" {
			print(h)
		}
		if why != "" {
			return fmt.Errorf("%s", why)
		}
	}
	return nil
}

func notSent(h trace.Hop) string {
	for _, r := range h.Replies {
		if r.Outcome == trace.OutcomeNotSent {
			return r.Err
		}
	}
	return ""
}

// Line is a hop as traceroute prints it, without the end of the line: the
// sender of an answer is named where it differs from that of the one before.
func (p *Printer) Line(h trace.Hop) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%2d ", h.TTL)
	who, back := "", h.TTL
	narrow := p.Narrow[h.TTL]
	for i, r := range h.Replies {
		if r.Outcome == trace.OutcomeSilent || r.Outcome == trace.OutcomeNotSent {
			b.WriteString(" *")
			narrow = show(&b, narrow)
			continue
		}
		gap := "  "
		if w := p.who(r); w != who {
			who = w
			b.WriteString(" " + w)
			if p.Plain && i > 0 {
				gap = " "
			}
		}
		if n := WayBack(r.ReplyTTL); p.Back && n != 0 && n != back {
			back = n
			fmt.Fprintf(&b, " '-%d'", n)
		}
		fmt.Fprintf(&b, "%s%.3f ms", gap, float64(r.RTT)/float64(time.Millisecond))
		narrow = show(&b, narrow)
		if r.ICMP != nil {
			if s := r.ICMP.Symbol(); s != "" {
				b.WriteString(" " + s)
			}
		}
	}
	return b.String()
}

// show prints a path MTU once.
func show(b *strings.Builder, mtu int) int {
	if mtu != 0 {
		fmt.Fprintf(b, " F=%d", mtu)
	}
	return 0
}

// WayBack returns how many hops an answer took, which left with one of the
// usual TTLs; 0 where that is not known.
func WayBack(ttl int) int {
	switch {
	case ttl == 0:
		return 0
	case ttl <= 64:
		return 65 - ttl
	case ttl <= 128:
		return 129 - ttl
	}
	return 256 - ttl
}

func (p *Printer) who(r trace.Reply) string {
	w := r.From.String()
	if p.Names != nil {
		if name := p.Names.Host(r.From); name != "" {
			w = cli.Escape(name) + " (" + w + ")"
		} else if !p.Plain {
			w += " (" + w + ")"
		}
	}
	if p.AS != nil {
		as := p.AS.Host(r.From)
		if as == "" {
			as = "*"
		}
		w += " [" + cli.Escape(as) + "]"
	}
	if p.Mark != nil {
		if m := p.Mark(r); m != "" {
			w += " " + m
		}
	}
	if p.MPLS && r.ICMP != nil && len(r.ICMP.Labels) > 0 {
		w += " <" + mpls(r.ICMP.Labels) + ">"
	}
	return w
}

// mpls writes a label stack as traceroute -e does.
func mpls(stack []trace.Label) string {
	parts := make([]string, len(stack))
	for i, l := range stack {
		bottom := 0
		if l.Bottom {
			bottom = 1
		}
		parts[i] = fmt.Sprintf("L=%d,E=%d,S=%d,T=%d", l.Label, l.TC, bottom, l.TTL)
	}
	return "MPLS:" + strings.Join(parts, "/")
}
