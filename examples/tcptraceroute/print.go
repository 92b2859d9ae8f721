package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

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

// refused are options of the classic that are not there, and why.
var refused = map[string]string{
	"ack":    "-A: the kernel makes the packets, and sends no ACK without a connection",
	"ecn":    "-E: the kernel makes the packets; net.ipv4.tcp_ecn says whether they ask for ECN",
	"length": "-l: the kernel makes the packets, the length cannot be set",
	"debug":  "-d: there is nothing to debug",
	"dnat":   "--dnat: the kernel hands on only what quotes the address that was asked for",
}

// settle defines the options that say how packets are made, and returns what
// finds those that are refused.
func settle(t *cli.Tool, o *trace.Options) (why func() error) {
	f := t.Flags
	f.Uint16VarP(&o.SourcePort, "source-port", "p", 0, "source `port`; probes then go one at a time")
	f.BoolVarP(&o.DontFragment, "dont-fragment", "F", false, "do not fragment packets")
	f.BoolP("syn", "S", true, "send SYN, as it does anyway")
	f.BoolP("private-names", "N", true, "look up names of private addresses, as it does anyway")
	f.Bool("no-dnat", true, "")
	f.Bool("no-dnat-strict", true, "")
	f.BoolP("ack", "A", false, "")
	f.BoolP("ecn", "E", false, "")
	f.StringP("length", "l", "", "")
	f.BoolP("debug", "d", false, "")
	f.Bool("dnat", false, "")
	for _, name := range []string{"no-dnat", "no-dnat-strict", "ack", "ecn", "length", "debug", "dnat"} {
		_ = f.MarkHidden(name) // it is there
	}
	return func() error {
		for name, why := range refused {
			if f.Changed(name) {
				return errors.New(why)
			}
		}
		return nil
	}
}

func check(o *trace.Options, source string, args []string, why func() error) (err error) {
	if err := why(); err != nil {
		return err
	}
	switch {
	case len(args) == 0:
		return errors.New("which host?")
	case len(args) == 3:
		return errors.New("the kernel makes the packets, the length cannot be set")
	case len(args) > 3:
		return fmt.Errorf("what is %q?", args[3])
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
		if o.Port = cli.ReadServices().Number("tcp", args[1]); o.Port == 0 {
			return fmt.Errorf("%q is not a port", args[1])
		}
	}
	if o.Ahead = (16 + o.Queries - 1) / o.Queries; o.SourcePort != 0 {
		o.Ahead = 1
	}
	return nil
}

// announce says on standard error what is going to happen. The source port is
// said only if all probes have it.
func announce(ctx context.Context, t *cli.Tool, o trace.Options, host string, dst netip.Addr) {
	if d, err := route.Lookup(ctx, dst, &route.LookupOptions{Device: o.Device}); err == nil && d.Route.Device != "" {
		from := d.Route.PrefSrc.String()
		if o.Source.IsValid() {
			from = o.Source.String()
		}
		if o.SourcePort != 0 {
			from += fmt.Sprintf(", port %d", o.SourcePort)
		}
		fmt.Fprintf(t.Stderr, "Selected device %s, address %s for outgoing packets\n", cli.Escape(d.Route.Device), from)
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
