package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

// names looks the names of addresses up in the background. No line waits for
// one: until it is known, the address stands alone.
type names struct {
	ctx   context.Context
	asked sync.WaitGroup
	mu    sync.Mutex
	known map[netip.Addr]string
}

// newNames returns nil where no names are wanted.
func newNames(ctx context.Context, wanted bool) *names {
	if !wanted {
		return nil
	}
	return &names{ctx: ctx, known: map[netip.Addr]string{}}
}

const maxNames = 256

func (n *names) of(a netip.Addr) string {
	if n == nil {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name, asked := n.known[a]
	if !asked && len(n.known) < maxNames {
		n.known[a] = ""
		n.asked.Go(func() { n.ask(a) })
	}
	return name
}

// wait waits for the look-ups under way, which the context has ended.
func (n *names) wait() {
	if n != nil {
		n.asked.Wait()
	}
}

func (n *names) ask(a netip.Addr) {
	ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupAddr(ctx, a.String())
	if err != nil || len(found) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[a] = cli.Escape(strings.TrimSuffix(found[0], "."))
}

// lookup turns a host of the command line into an address, and says whether it
// was one already.
func lookup(ctx context.Context, s *settings, host string) (a netip.Addr, literal bool, err error) {
	family := "ip"
	switch {
	case *s.four || s.opt.Source.Is4():
		family = "ip4"
	case *s.six || s.opt.Source.Is6():
		family = "ip6"
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.Unmap(); family == "ip" || a.Is4() == (family == "ip4") {
			return a, true, nil
		}
		return a, true, &net.AddrError{Err: "is an address of the other family", Addr: host}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return a, false, err
	}
	return found[0].Unmap(), false, nil
}
