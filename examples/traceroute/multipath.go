package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/trace"
)

// allPaths are the options that ask for all paths instead of one.
type allPaths struct {
	algorithm string
	failure   float64
	dot       bool
}

func (a *allPaths) flags(f *pflag.FlagSet) {
	f.StringVar(&a.algorithm, "multipath", "", "show all paths that traffic is shared over; an `algorithm` can be given: lite, mda")
	f.Lookup("multipath").NoOptDefVal = "lite"
	f.Float64Var(&a.failure, "failure", 0.05, "with --multipath: `probability` of missing something")
	f.BoolVar(&a.dot, "dot", false, "with --multipath: print the graph for Graphviz")
}

// check finds options that do not go together.
func (a *allPaths) check(f *pflag.FlagSet, s *settings) error {
	switch a.algorithm {
	case "":
		if a.dot || f.Changed("failure") {
			return errors.New("--dot and --failure go with --multipath")
		}
		return nil
	case "lite", "mda":
	default:
		return fmt.Errorf("the algorithms are lite and mda, not %q", a.algorithm)
	}
	switch {
	case !(a.failure >= 1e-9 && a.failure < 1):
		return errors.New("a probability is between 0 and 1")
	case s.opt.FlowLabel != 0 || s.opt.SourcePort != 0 || s.opt.DontRoute || s.lite || len(s.module) > 0:
		return errors.New("-l, -L, -O, -r and --sport do not go with --multipath")
	case s.systems || s.back || s.mtu || s.tracert || s.extensions:
		return errors.New("-A, -e, --back, --mtu and --tracert do not go with --multipath")
	}
	return nil
}

// explorer is what finds all paths.
type explorer interface {
	Multipath(context.Context, netip.Addr, *trace.MultipathOptions) (trace.Graph, error)
}

// allPaths explores and prints the graph. What is known when Ctrl-C comes is
// printed too.
func (s *settings) allPaths(ctx context.Context, t *cli.Tool, host string, dst netip.Addr) error {
	ctx, stop := cli.Attend(ctx)
	defer stop()
	o := s.opt
	o.MaxSilent = 0 // the library's default: silence is told by TTL here, not line by line
	var e explorer = trace.UDP{Options: o}
	switch s.method {
	case "icmp":
		e = trace.ICMP{Options: o}
	case "tcp":
		e = trace.TCP{Options: o}
	}
	m := trace.MultipathOptions{Failure: s.paths.failure, Queries: o.Queries}
	if s.paths.algorithm == "mda" {
		m.Algorithm = trace.AlgorithmMDA
	}
	g, err := e.Multipath(ctx, dst, &m)
	switch {
	case err == nil:
	case ctx.Err() == nil:
		return err
	case len(g.Vertices) == 0:
		return errInterrupted
	}
	var printErr error
	switch {
	case s.json:
		printErr = cli.PrintJSON(t.Stdout, g)
	case s.paths.dot:
		printErr = g.WriteDOT(t.Stdout)
	default:
		fmt.Fprintf(t.Stdout, "all paths to %s (%v), %d hops max, %d byte packets\n", cli.Escape(host), dst, s.opt.MaxTTL, s.bytes)
		s.printGraph(ctx, t, g)
	}
	if ctx.Err() != nil && printErr == nil {
		return errInterrupted
	}
	return errors.Join(err, printErr)
}

// printGraph prints a line for each interface and one for each path.
func (s *settings) printGraph(ctx context.Context, t *cli.Tool, g trace.Graph) {
	name := netip.Addr.String
	if !s.numeric {
		names := cli.NewNames(ctx)
		defer names.Close()
		for _, v := range g.Vertices {
			if !v.Silent() {
				names.Host(v.Addr)
			}
		}
		names.Wait(2 * time.Second)
		name = func(a netip.Addr) string {
			if n := names.Host(a); n != "" {
				return cli.Escape(n) + " (" + a.String() + ")"
			}
			return a.String()
		}
	}
	next := make([]string, len(g.Vertices))
	for _, e := range g.Edges {
		next[e.From] += " " + g.Label(e.To)
		if e.Unsure {
			next[e.From] += "?"
		}
	}
	for i, v := range g.Vertices {
		line := fmt.Sprintf("%4s  *", g.Label(i))
		if !v.Silent() {
			line = fmt.Sprintf("%4s  %s  %s%s", g.Label(i), name(v.Addr), trip(v.Lowest, v.Average), loss(v.Sent, v.Lost))
		}
		if v.Outcome == trace.OutcomeUnreachable && v.ICMP != nil {
			line += "  " + v.ICMP.Kind.String()
		}
		if v.PerPacket {
			line += "  sends packets of one flow different ways"
		}
		if next[i] != "" {
			line += "  ->" + next[i]
		}
		fmt.Fprintln(t.Stdout, line)
	}
	for _, p := range g.Paths {
		last := p.Vertices[len(p.Vertices)-1]
		fmt.Fprint(t.Stdout, "path")
		for _, v := range p.Vertices {
			fmt.Fprint(t.Stdout, " ", g.Label(v))
		}
		if !g.Vertices[last].Silent() {
			fmt.Fprint(t.Stdout, "  ", trip(p.Lowest, p.Average), loss(p.Sent, p.Lost))
		}
		if s.method == "" {
			fmt.Fprintf(t.Stdout, "  source port %d", p.Flows[0])
		}
		fmt.Fprintln(t.Stdout)
	}
	missed := fmt.Sprintf("at most %.3g", g.Bound)
	if !g.Complete {
		missed = "not bounded, the exploration was cut short"
	}
	fmt.Fprintf(t.Stdout, "%s, %s, %s by %s and %s; probability of missing one: %s\n", several(len(g.Vertices), "interface"),
		several(len(g.Edges), "link"), several(len(g.Paths), "path"), several(g.Flows, "flow"), several(g.Packets, "packet"), missed)
}

func several(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprint(n, " ", noun)
}

// trip is the least and the mean round trip.
func trip(lowest, average time.Duration) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.3f/%.3f ms", ms(lowest), ms(average))
}

func loss(sent, lost int) string {
	if lost == 0 || sent == 0 {
		return ""
	}
	return fmt.Sprintf("  %.0f%% of %d lost", 100*float64(lost)/float64(sent), sent)
}
