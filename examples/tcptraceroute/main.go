// Tcptraceroute prints the routers on the way to a TCP port, and whether the
// port is open.
//
// Usage:
//
//	tcptraceroute [options] HOST [PORT]
//
// It takes the command line of tcptraceroute(1) and prints its lines. The port
// is 80 unless given, by number. It needs no privileges: it opens connections,
// each from a port of its own, and resets those that open.
//
// The exit status is 0 if the path has an end, be it the host or a refusal on
// the way, 1 if not, 2 if it could not run, and 130 after Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/trace"
)

func main() { cli.Main("tcptraceroute", run) }

// interrupted is what a shell sees when Ctrl-C has killed a program.
const interrupted = 130

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("tcptraceroute", "[options] HOST [PORT]", "Prints the routers on the way to a TCP port.", stdout, stderr)
	o := trace.Options{MaxSilent: -1, Port: 80}
	numeric := t.Flags.BoolP("numeric", "n", false, "do not look up names")
	t.Flags.StringVarP(&o.Device, "interface", "i", "", "send through this `interface`")
	t.Flags.IntVarP(&o.FirstTTL, "first", "f", 1, "start from this `TTL`")
	t.Flags.IntVarP(&o.MaxTTL, "max-hops", "m", 30, "the last `TTL` to try")
	t.Flags.IntVarP(&o.Queries, "queries", "q", 3, "`number` of probes a hop")
	wait := t.Seconds("wait", "w", 3*time.Second, "`seconds` to wait for an answer")
	json := t.Flags.Bool("json", false, "print the path as JSON when it is known")
	if code, done := t.Parse(args); done {
		return code
	}
	o.Timeout = *wait
	if err := check(&o, t.Flags.Args()); err != nil {
		return t.Usage("%v", err)
	}
	host := t.Flags.Arg(0)
	dst, err := hops.Lookup(ctx, host, 0)
	reached := false
	switch {
	case err != nil:
	case *json:
		var p trace.Path
		if p, err = (trace.TCP{Options: o}).Trace(ctx, dst); err == nil {
			reached = p.Reached || p.End == trace.EndUnreachable
			err = cli.PrintJSON(stdout, p)
		}
	default:
		announce(ctx, t, o, host, dst)
		p := &hops.Printer{Out: stdout, Plain: true, Mark: mark}
		if !*numeric {
			p.Names = cli.NewNames(ctx)
			defer p.Names.Close()
		}
		err = p.Print(ends(trace.TCP{Options: o}.Hops(ctx, dst), &reached))
		if err == nil && !reached {
			fmt.Fprintln(stderr, "Destination not reached")
		}
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return t.Fail(err)
	case !reached:
		return cli.No
	}
	return cli.Yes
}

func check(o *trace.Options, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("which host?")
	case len(args) > 2:
		return fmt.Errorf("what is %q?", args[2])
	case o.MaxTTL < 1 || o.MaxTTL > 255 || o.FirstTTL < 1 || o.FirstTTL > o.MaxTTL:
		return errors.New("TTLs are between 1 and 255, and the first is not behind the last")
	case o.Queries < 1 || o.Queries > 10:
		return errors.New("-q is between 1 and 10")
	case o.Timeout <= 0:
		return errors.New("-w is more than nothing")
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
