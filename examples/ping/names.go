package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

// names looks the names of addresses up in the background. No line but the
// first waits for one: until it is known, the address stands alone.
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

// patience is how long the first line may wait for the name of the host.
const patience = 300 * time.Millisecond

// first looks the name of the host up before anything is sent.
func (n *names) first(a netip.Addr) {
	if n == nil {
		return
	}
	n.mu.Lock()
	n.known[a] = ""
	n.mu.Unlock()
	done := make(chan struct{})
	n.asked.Go(func() {
		defer close(done)
		n.ask(a)
	})
	select {
	case <-done:
	case <-time.After(patience):
	}
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
		return a, true, fmt.Errorf("%s: Address family for hostname not supported", host)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return a, false, nameError(host, err)
	}
	return found[0].Unmap(), false, nil
}

// nameError says why a name gave no address in the words of the C library.
func nameError(host string, err error) error {
	d, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && d.IsNotFound:
		return fmt.Errorf("%s: Name or service not known", host)
	case ok && d.Temporary():
		return fmt.Errorf("%s: Temporary failure in name resolution", host)
	}
	return err
}

// shown is an address as people know it: a zone that is a number is shown as
// the name of its interface.
func shown(a netip.Addr) string {
	if n, err := strconv.Atoi(a.Zone()); err == nil {
		if ifi, err := net.InterfaceByIndex(n); err == nil {
			a = a.WithZone(ifi.Name)
		}
	}
	return a.String()
}
