// Traceroute prints the routers between this host and another one.
//
// Usage:
//
//	traceroute [options] HOST [BYTES]
//
// It takes the command line of traceroute(8) and prints its lines, each as
// soon as it is complete. It asks with datagrams to port 33434, with -I as ping
// does, with -T by opening connections. It needs no privileges, for -I where
// net.ipv4.ping_group_range admits the user, else CAP_NET_RAW.
//
// All probes of a trace but those of TCP are one flow, so that routers which
// share traffic over several paths send them all the same way, unless --classic
// gives each probe a flow of its own, as traceroute(8) does. With --mtu the
// path MTU is found first (see tracepath), black holes that say nothing
// included. -A asks for autonomous systems below the zone of --as-zone, from
// the name servers that this system uses, about the public addresses on the
// way. With --tracert command line, probes and lines are those of Windows'
// tracert: -d for no names, -h for the last TTL, -w in milliseconds.
//
// --multipath finds all paths that routers share traffic over by flow, prints
// each interface with those behind it, and each path with its loss and a source
// port that takes it; -q is the number of probes to each hop of each path.
//
// -r and -l are for UDP and TCP. Of -O there are, with -T, mss and info. Not
// there: -g, since routers drop source routed packets, -D, since Linux has lost
// DCCP, -P, -d, which marks sockets for a debugger that is no more, and what
// else -O has, since the kernel makes the packets.
//
// The exit status is 0 if the trace was made, whatever it showed, 1 if it could
// not be made, 2 for a wrong command line or a name that does not resolve.
// Ctrl-C kills it; with --multipath it has what is known printed, and the
// status is 130.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

func main() { cli.Brief("traceroute", run) }

// interrupted is what a shell sees when Ctrl-C has killed a program.
const interrupted = 130

var errInterrupted = fmt.Errorf("interrupted: %w", context.Canceled)

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("traceroute", "[options] HOST [BYTES]", "Prints the routers on the way to a host.", stdout, stderr)
	s := flags(t)
	if code, done := t.Parse(args); done {
		return code
	}
	args = t.Flags.Args()
	if slices.Contains(s.module, "help") {
		fmt.Fprint(stdout, s.moduleHelp())
		return 0
	}
	if err := s.options(t, args); err != nil {
		return t.Usage("%v", err)
	}
	dst, err := hops.Lookup(ctx, args[0], s.family())
	if err != nil {
		return t.Fail(err)
	}
	if err := s.size(args[1:], dst); err != nil {
		return t.Usage("%v", err)
	}
	if s.paths.algorithm != "" {
		err = s.allPaths(ctx, t, args[0], dst)
	} else {
		err = s.trace(ctx, t, args[0], dst)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return interrupted
	default:
		t.Error(err)
		return 1
	}
}

func (s *settings) trace(ctx context.Context, t *cli.Tool, host string, dst netip.Addr) (err error) {
	if s.json {
		p, err := s.tracer().Trace(ctx, dst)
		if err == nil {
			err = cli.PrintJSON(t.Stdout, p)
		}
		return err
	}
	p := &hops.Printer{Out: t.Stdout, MPLS: s.extensions, Back: s.back}
	if s.info {
		p.Mark = flagsOf
	}
	if !s.numeric {
		p.Names = cli.NewNames(ctx)
		defer p.Names.Close()
	}
	if s.systems {
		if p.AS, err = hops.NewAS(ctx, s.asZone); err != nil {
			return err
		}
		defer p.AS.Close()
	}
	if s.mtu {
		if p.Narrow, err = s.narrow(ctx, dst); err != nil {
			return err
		}
	}
	if s.tracert {
		return s.asWindows(t, p, host, dst, s.tracer().Hops(ctx, dst))
	}
	fmt.Fprintf(t.Stdout, "traceroute to %s (%v), %d hops max, %d byte packets\n", cli.Escape(host), dst, s.opt.MaxTTL, s.bytes)
	return p.Print(s.tracer().Hops(ctx, dst))
}

// narrow finds the path MTU and where it becomes less, by TTL.
func (s *settings) narrow(ctx context.Context, dst netip.Addr) (map[int]int, error) {
	o := s.opt
	m, err := trace.FindMTU(ctx, dst, &trace.MTUOptions{
		MaxTTL: o.MaxTTL, Timeout: min(o.Timeout, time.Second), Device: o.Device, Mark: o.Mark, Source: o.Source,
	})
	if err != nil {
		return nil, err
	}
	at := map[int]int{o.FirstTTL: m.LocalMTU}
	for _, st := range m.Steps {
		at[max(st.Next, o.FirstTTL)] = st.MTU
	}
	return at, nil
}
