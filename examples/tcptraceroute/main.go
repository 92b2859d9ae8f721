// Tcptraceroute prints the routers on the way to a TCP port, and whether the
// port is open.
//
// Usage:
//
//	tcptraceroute [options] HOST [PORT]
//
// It takes the command line of tcptraceroute(1) and prints its lines. The port
// is 80 unless given, by number or name. It needs no privileges: it opens
// connections, each from a port of its own, or with -p one after the other from
// that port, and resets those that open. So there is no -l, -A and -E, which
// need packets of one's own making, and no --dnat: the kernel hands on only what
// quotes the address that was asked for. Names of private addresses are looked
// up too, as with -N, unless there is -n.
//
// The exit status is 0 if the path has an end, be it the host or a refusal on
// the way, 1 if not, 2 if it could not run. Ctrl-C kills it.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

func main() { cli.Brief("tcptraceroute", run) }

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("tcptraceroute", "[options] HOST [PORT]", "Prints the routers on the way to a TCP port.", stdout, stderr)
	o := trace.Options{MaxSilent: -1, Port: 80}
	numeric := t.Flags.BoolP("numeric", "n", false, "do not look up names")
	t.Flags.StringVarP(&o.Device, "interface", "i", "", "send through this `interface`")
	t.Flags.IntVarP(&o.FirstTTL, "first", "f", 1, "start from this `TTL`")
	t.Flags.IntVarP(&o.MaxTTL, "max-hops", "m", 30, "the last `TTL` to try")
	t.Flags.IntVarP(&o.Queries, "queries", "q", 3, "`number` of probes a hop")
	source := t.Flags.StringP("source", "s", "", "send from this `address`")
	t.Flags.IntVarP(&o.TOS, "tos", "t", 0, "TOS byte or traffic class, 0 to 255")
	why := settle(t, &o)
	wait := t.Seconds("wait", "w", 3*time.Second, "`seconds` to wait for an answer")
	json := t.Flags.Bool("json", false, "print the path as JSON when it is known")
	if code, done := t.Parse(args); done {
		return code
	}
	o.Timeout = *wait
	if err := check(&o, *source, t.Flags.Args(), why); err != nil {
		return t.Usage("%v", err)
	}
	host := t.Flags.Arg(0)
	dst, err := hops.Lookup(ctx, host, family(o.Source))
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
	case err != nil:
		return t.Fail(err)
	case !reached:
		return cli.No
	}
	return cli.Yes
}
