package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Names finds the host names of addresses in the background, so that no line
// of output waits for a name server. What has been found once is kept. It asks
// the servers that this system is set up to use. It is safe for concurrent use.
type Names struct {
	ctx    context.Context
	cancel context.CancelFunc
	lookup func(ctx context.Context, addr string) ([]string, error)
	work   sync.WaitGroup

	mu      sync.Mutex
	names   map[netip.Addr]string // "" while it is looked for, and where there is none
	queue   []netip.Addr
	workers int
	idle    chan struct{} // closed while nothing is looked for
}

const (
	maxLookups = 16    // at once
	maxNames   = 10000 // kept; further addresses stay numbers
)

// NewNames returns a Names that works until Close, or until ctx ends.
func NewNames(ctx context.Context) *Names {
	return newNames(ctx, Resolver().LookupAddr)
}

// NewLookups returns a Names that finds something else of addresses, in the
// same way. The function is given the address as text; of what it returns the
// first string counts.
func NewLookups(ctx context.Context, lookup func(ctx context.Context, addr string) ([]string, error)) *Names {
	return newNames(ctx, lookup)
}

// Resolver returns a resolver that gives up when its context ends. That of
// package net goes on waiting for a server until its own time is over.
func Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}}
}

func newNames(ctx context.Context, lookup func(context.Context, string) ([]string, error)) *Names {
	n := &Names{lookup: lookup, names: map[netip.Addr]string{}, idle: make(chan struct{})}
	close(n.idle)
	n.ctx, n.cancel = context.WithCancel(ctx)
	return n
}

// Host returns the name of an address, or "" as long as it is not known, and
// sees to it that it is looked for.
func (n *Names) Host(a netip.Addr) string {
	a = a.WithZone("")
	n.mu.Lock()
	defer n.mu.Unlock()
	name, known := n.names[a]
	if known || len(n.names) >= maxNames || n.ctx.Err() != nil {
		return name
	}
	n.names[a] = ""
	n.queue = append(n.queue, a)
	if n.workers < maxLookups {
		if n.workers == 0 {
			n.idle = make(chan struct{})
		}
		n.workers++
		n.work.Go(n.worker)
	}
	return ""
}

// Wait waits until every name that was asked for is known or has proven not to
// be there, but no longer than d.
func (n *Names) Wait(d time.Duration) {
	n.mu.Lock()
	idle := n.idle
	n.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	case <-n.ctx.Done():
	}
}

// Close gives up what is still being looked for.
func (n *Names) Close() {
	n.cancel()
	n.work.Wait()
}

// worker looks up addresses until none is left.
func (n *Names) worker() {
	for {
		n.mu.Lock()
		if len(n.queue) == 0 || n.ctx.Err() != nil {
			if n.workers--; n.workers == 0 {
				close(n.idle)
			}
			n.mu.Unlock()
			return
		}
		a := n.queue[0]
		n.queue = n.queue[1:]
		n.mu.Unlock()

		names, err := n.lookup(n.ctx, a.String())
		if err == nil && len(names) > 0 {
			n.mu.Lock()
			n.names[a] = strings.TrimSuffix(names[0], ".")
			n.mu.Unlock()
		}
	}
}

// Services are the names of ports, by "80/tcp".
type Services map[string]string

// ReadServices reads the system's list; without one every port is a number.
func ReadServices() Services {
	path := "/etc/services"
	if runtime.GOOS == "windows" {
		path = os.Getenv("SystemRoot") + `\System32\drivers\etc\services`
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseServices(f)
}

// parseServices reads lines of "name port/protocol aliases… # comment". The
// first name of a port is the one that counts (services(5)).
func parseServices(r io.Reader) Services {
	s := Services{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if key := strings.ToLower(fields[1]); s[key] == "" {
			s[key] = fields[0]
		}
	}
	return s
}

// Number returns the port that a word names for "tcp" or "udp": a number, or the
// first name of a service; 0 for none.
func (s Services) Number(protocol, word string) uint16 {
	if n, err := strconv.ParseUint(word, 10, 16); err == nil {
		return uint16(n)
	}
	for key, name := range s {
		if number, ok := strings.CutSuffix(key, "/"+protocol); ok && name == word {
			n, _ := strconv.ParseUint(number, 10, 16)
			return uint16(n)
		}
	}
	return 0
}

// Port returns the name of a port of "tcp" or "udp", or its number.
func (s Services) Port(protocol string, port uint16) string {
	number := fmt.Sprint(port)
	if name := s[number+"/"+protocol]; name != "" {
		return name
	}
	return number
}
