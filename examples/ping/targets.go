package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// targets are the hosts of a sweep.
type targets struct {
	hosts   iter.Seq[netip.Addr]
	total   int                   // 0 is not known
	names   map[netip.Addr]string // as they were typed
	unknown int                   // names without an address
	code    int                   // cli.Failed if there are such
}

// name is what a host is called in the output.
func (ts *targets) name(a netip.Addr) string {
	if name, ok := ts.names[a]; ok {
		return cli.Escape(name)
	}
	return shown(a)
}

// findTargets says what is to be asked. Without hosts the reason has been
// printed, and code is that of the run.
func findTargets(ctx context.Context, t *cli.Tool, s *settings, stdin io.Reader) *targets {
	args := t.Flags.Args()
	if *s.generate {
		hosts, total, err := generate(args)
		if err != nil {
			return &targets{code: t.Usage("-g: %v", err)}
		}
		return &targets{hosts: hosts, total: total}
	}
	if len(args) == 1 && args[0] == "-" {
		var err error
		if args, err = readHosts(stdin); err != nil {
			return &targets{code: t.Fail(err)}
		}
	}
	found, errs := lookupAll(ctx, s, args)
	ts := &targets{names: map[netip.Addr]string{}}
	list := make([]netip.Addr, 0, len(args))
	for i := range args {
		if errs[i] != nil {
			t.Error(errs[i])
			ts.code = cli.Failed
			ts.unknown++
			continue
		}
		list = append(list, found[i].addr)
		if !found[i].literal {
			ts.names[found[i].addr] = args[i]
		}
	}
	if ts.total = len(list); ts.total > 0 {
		ts.hosts = slices.Values(list)
	} else {
		ts.code = cli.Failed
	}
	return ts
}

// readHosts reads words; what follows a # is a comment.
func readHosts(r io.Reader) (hosts []string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		hosts = append(hosts, strings.Fields(text)...)
	}
	return hosts, lines.Err()
}

// maxLookups is how many names are looked up at the same time.
const maxLookups = 16

// lookupAll looks the hosts up, names side by side.
func lookupAll(ctx context.Context, s *settings, hosts []string) ([]target, []error) {
	found, errs := make([]target, len(hosts)), make([]error, len(hosts))
	places := make(chan struct{}, maxLookups)
	var all sync.WaitGroup
	for i, host := range hosts {
		if _, err := netip.ParseAddr(host); err == nil {
			found[i], errs[i] = lookup(ctx, s, host)
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			found[i], errs[i] = lookup(ctx, s, host)
			<-places
		})
	}
	all.Wait()
	return found, errs
}

// generate reads prefixes, or two addresses as the first and the last.
func generate(args []string) (iter.Seq[netip.Addr], int, error) {
	if len(args) == 2 {
		first, err1 := netip.ParseAddr(args[0])
		last, err2 := netip.ParseAddr(args[1])
		if err1 == nil && err2 == nil {
			if first.Is4() != last.Is4() || last.Less(first) {
				return nil, 0, errors.New("the first address is not before the last")
			}
			return span(first, last), size(first, last), nil
		}
	}
	if len(args) == 0 {
		return nil, 0, errors.New("which prefix?")
	}
	var prefixes []netip.Prefix
	total := 0
	for _, arg := range args {
		p, err := netip.ParsePrefix(arg)
		if err != nil {
			return nil, 0, fmt.Errorf("%q is not a prefix such as 192.0.2.0/24", arg)
		}
		prefixes = append(prefixes, p)
		free := p.Addr().BitLen() - p.Bits()
		if free > 30 {
			total = math.MaxInt32
		} else if total < math.MaxInt32 {
			n := 1 << free
			if p.Addr().Is4() && free > 1 {
				n -= 2
			}
			total += n
		}
	}
	return ping.Hosts(prefixes...), total, nil
}

// span is every address from the first to the last.
func span(first, last netip.Addr) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for a := first; a.IsValid() && !last.Less(a) && yield(a); a = a.Next() {
		}
	}
}

// size is how many addresses that are, as far as it can be counted.
func size(first, last netip.Addr) int {
	n := new(big.Int).SetBytes(last.AsSlice())
	n.Sub(n, new(big.Int).SetBytes(first.AsSlice()))
	if !n.IsInt64() || n.Int64() >= math.MaxInt32 {
		return math.MaxInt32
	}
	return int(n.Int64()) + 1
}
