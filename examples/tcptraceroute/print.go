package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/trace"
)

// family returns that of an address, 0 for none.
func family(a netip.Addr) int {
	switch {
	case a.Is4():
		return 4
	case a.Is6():
		return 6
	}
	return 0
}

func check(o *trace.Options, source string, args []string) (err error) {
	switch {
	case len(args) == 0:
		return errors.New("which host?")
	case len(args) > 2:
		return fmt.Errorf("what is %q?", args[2])
	case o.MaxTTL < 1 || o.MaxTTL > 255 || o.FirstTTL < 1 || o.FirstTTL > o.MaxTTL:
		return errors.New("TTLs are between 1 and 255, and the first is not behind the last")
	case o.Queries < 1 || o.Queries > 10:
		return errors.New("-q is between 1 and 10")
	case o.TOS < 0 || o.TOS > 255:
		return errors.New("a TOS byte is between 0 and 255")
	case o.Timeout <= 0:
		return errors.New("-w is more than nothing")
	}
	if source != "" {
		if o.Source, err = netip.ParseAddr(source); err != nil {
			return err
		}
	}
	if len(args) == 2 {
		port, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil || port == 0 {
			return fmt.Errorf("%q is not a port", args[1])
		}
		o.Port = uint16(port)
	}
	o.Ahead = (16 + o.Queries - 1) / o.Queries
	return nil
}

// announce says on standard error what is going to happen. The source port is
// not said: each probe has its own.
func announce(ctx context.Context, t *cli.Tool, o trace.Options, host string, dst netip.Addr) {
	if d, err := route.Lookup(ctx, dst, &route.LookupOptions{Device: o.Device}); err == nil && d.Route.Device != "" {
		fmt.Fprintf(t.Stderr, "Selected device %s, address %v for outgoing packets\n", cli.Escape(d.Route.Device), d.Route.PrefSrc)
	}
	name, port := dst.String(), fmt.Sprint(o.Port)
	if name != host {
		name = fmt.Sprintf("%s (%s)", cli.Escape(host), name)
	}
	if s := cli.ReadServices().Port("tcp", o.Port); s != port {
		port += " (" + s + ")"
	}
	fmt.Fprintf(t.Stderr, "Tracing the path to %s on TCP port %s, %d hops max\n", name, port, o.MaxTTL)
}

func mark(r trace.Reply) string {
	return map[trace.Outcome]string{trace.OutcomeOpen: "[open]", trace.OutcomeRefused: "[closed]"}[r.Outcome]
}

// ends notes whether the path has an end.
func ends(all iter.Seq2[trace.Hop, error], end *bool) iter.Seq2[trace.Hop, error] {
	return func(yield func(trace.Hop, error) bool) {
		for h, err := range all {
			for _, r := range h.Replies {
				*end = *end || mark(r) != "" || r.Outcome == trace.OutcomeUnreachable
			}
			if !yield(h, err) {
				return
			}
		}
	}
}
