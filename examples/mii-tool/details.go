package main

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// ask reads the PHY of the card, or the one that was asked for.
func (o *options) ask(ctx context.Context, d *link.Device) (link.MII, error) {
	if o.phy != nil {
		return d.MIIAt(ctx, *o.phy)
	}
	return d.MII(ctx)
}

// note says once what the answer does not tell.
func (o *options) note(d *link.Device, m *link.MII) {
	if m.Derived && !o.said[d.Name] {
		o.said[d.Name] = true
		o.Warn("%s: from link modes, not from MII registers: %s", d.Name, m.Why)
		if m.Virtual {
			o.Warn("%s is made of software: its speed and duplex mode are made up", d.Name)
		}
	}
}

// failed says why there is nothing to show, as mii-tool does.
func (o *options) failed(name string, err error) {
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, link.ErrNoTransceiver):
		fmt.Fprintln(o.Stderr, "  No MII transceiver present!.")
	case errors.Is(err, os.ErrNotExist), errors.Is(err, errors.ErrUnsupported) && ok:
		text := errno.Error()
		fmt.Fprintf(o.Stderr, "SIOCGMIIPHY on '%s' failed: %s\n", cli.Escape(name), strings.ToUpper(text[:1])+text[1:])
	default:
		o.Error(err)
	}
}

// details are the lines of -v.
func details(m *link.MII, registers bool) string {
	var b strings.Builder
	if registers && m.Registers != nil {
		fmt.Fprintf(&b, "  registers for MII PHY %d: ", m.PHY)
		for i, r := range m.Registers {
			if i%8 == 0 {
				b.WriteString("\n   ")
			}
			fmt.Fprintf(&b, " %04x", r)
		}
		b.WriteString("\n")
	}
	if !m.Derived {
		fmt.Fprintf(&b, "  product info: %s rev %d\n", product(m), m.Revision)
	}
	fmt.Fprintf(&b, "  basic mode:   %s\n", mode(m))
	fmt.Fprintf(&b, "  basic status: %s\n", status(m))
	list(&b, "capabilities:", m.Capabilities)
	list(&b, "advertising: ", m.Advertised)
	if len(m.Partner) > 0 {
		list(&b, "link partner:", m.Partner)
	}
	return b.String()
}

// product is a name, or the maker's number. Makers disagree on the order of its
// bits in the registers, so both are shown.
func product(m *link.MII) string {
	if m.Product != "" {
		return m.Product
	}
	var oui [3]byte
	copy(oui[:], m.OUI)
	r := oui
	for i := range r {
		r[i] = bits.Reverse8(r[i])
	}
	return fmt.Sprintf("vendor %02x:%02x:%02x or %02x:%02x:%02x, model %d", r[0], r[1], r[2], oui[0], oui[1], oui[2], m.Model)
}

func mode(m *link.MII) string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{{m.Reset, "software reset"}, {m.Loopback, "loopback"}, {m.Isolate, "isolate"}, {m.PowerDown, "power down"}, {m.CollisionTest, "collision test"}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	switch {
	case m.Autoneg:
		words = append(words, "autonegotiation enabled")
	case m.Speed == 0:
		words = append(words, "speed unknown")
	default:
		words = append(words, fmt.Sprintf("%d Mbit, %v duplex", uint32(m.Speed), m.Duplex))
	}
	return strings.Join(words, ", ")
}

func status(m *link.MII) string {
	var words []string
	switch {
	case m.AutonegComplete:
		words = append(words, "autonegotiation complete")
	case m.AutonegRestart:
		words = append(words, "autonegotiation restarted")
	}
	if m.RemoteFault {
		words = append(words, "remote fault")
	}
	if m.Jabber {
		words = append(words, "jabber")
	}
	if m.Link {
		words = append(words, "link ok")
	} else {
		words = append(words, "no link")
	}
	return strings.Join(words, ", ")
}

// order is mii-tool's.
var order = []string{"1000baseT-HD", "1000baseT-FD", "100baseT4"}

func list(b *strings.Builder, title string, words link.Words) {
	b.WriteString("  " + title)
	for _, w := range order {
		if words.Has(w) {
			b.WriteString(" " + w)
		}
	}
	for _, w := range words {
		if !slices.Contains(order, w) {
			b.WriteString(" " + cli.Escape(w))
		}
	}
	b.WriteString("\n")
}
