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
	total   int                      // 0 is not known
	called  map[netip.Addr]*nickname // addresses for which a name was typed
	unknown int                      // names without an address
	code    int                      // cli.Failed if there are such
}

// nickname is what was typed for an address.
type nickname struct {
	words []string
	told  int // results that have been given a word
}

// name is what a host is called in the output: all that was typed for it.
func (ts *targets) name(a netip.Addr) string {
	if n := ts.called[a]; n != nil {
		return cli.Escape(strings.Join(slices.Compact(slices.Sorted(slices.Values(n.words))), ", "))
	}
	return shown(a)
}

// next is what the host of the next result is called: several names of one
// address are asked once each.
func (ts *targets) next(a netip.Addr) string {
	n := ts.called[a]
	if n == nil {
		return shown(a)
	}
	n.told++
	return cli.Escape(n.words[(n.told-1)%len(n.words)])
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
	f := finder{settings: s}
	if len(args) == 1 && args[0] == "-" {
		if err := readHosts(stdin, func(word string) { f.add(ctx, word) }); err != nil {
			return &targets{code: t.Fail(fmt.Errorf("standard input: %w", err))}
		}
		if len(f.list) == 0 {
			return &targets{code: t.Fail(errors.New("standard input: no hosts"))}
		}
	} else {
		for _, word := range args {
			f.add(ctx, word)
		}
	}
	f.lookup(ctx)
	if ctx.Err() != nil {
		return &targets{code: t.Fail(context.Cause(ctx))}
	}
	return f.targets(t)
}

// readHosts reads words; what follows a # is a comment.
func readHosts(r io.Reader, add func(word string)) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		for word := range strings.FieldsSeq(text) {
			add(word)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line is longer than %d bytes", bufio.MaxScanTokenSize)
	}
	return lines.Err()
}

// finder turns words into addresses. Of a million addresses it keeps no more
// than that.
type finder struct {
	*settings
	list []netip.Addr // in the order of the words; not valid: a name, or an error
	more []found      // those
}

// found is a word that is not simply an address.
type found struct {
	place int // in the list
	word  string
	addr  netip.Addr
	err   error
}

func (f *finder) add(ctx context.Context, word string) {
	if _, err := netip.ParseAddr(word); err == nil {
		to, err := lookup(ctx, f.settings, word)
		if f.list = append(f.list, to.addr); err == nil {
			return
		}
		f.more = append(f.more, found{place: len(f.list) - 1, word: word, err: err})
		return
	}
	f.list = append(f.list, netip.Addr{})
	f.more = append(f.more, found{place: len(f.list) - 1, word: word})
}

// maxLookups is how many names are looked up at the same time.
const maxLookups = 16

// lookup looks names up, side by side.
func (f *finder) lookup(ctx context.Context) {
	places := make(chan struct{}, maxLookups)
	var all sync.WaitGroup
	for i := range f.more {
		m := &f.more[i]
		if m.err != nil || ctx.Err() != nil {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			var to target
			to, m.err = lookup(ctx, f.settings, m.word)
			m.addr = to.addr
			<-places
		})
	}
	all.Wait()
}

// targets tells what was not found, and returns the rest.
func (f *finder) targets(t *cli.Tool) *targets {
	ts := &targets{called: map[netip.Addr]*nickname{}}
	words := map[int]string{}
	for _, m := range f.more {
		if m.err != nil {
			t.Error(m.err)
			ts.code = cli.Failed
			ts.unknown++
			continue
		}
		f.list[m.place], words[m.place], ts.called[m.addr] = m.addr, m.word, &nickname{}
	}
	for place, a := range f.list {
		if n := ts.called[a]; n != nil {
			word, ok := words[place]
			if !ok {
				word = shown(a)
			}
			n.words = append(n.words, word)
		}
	}
	f.list = slices.DeleteFunc(f.list, func(a netip.Addr) bool { return !a.IsValid() })
	if ts.total = len(f.list); ts.total > 0 {
		ts.hosts = slices.Values(f.list)
	} else {
		ts.code = cli.Failed
	}
	return ts
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
