// Diagnose finds out why a host cannot be reached, and names the cause.
//
// Usage:
//
//	diagnose [options] [HOST | HOST:PORT | URL]
//
// With no target it examines this host: links, addresses, gateway, name servers
// and listeners. With one it runs the whole classic procedure: link, address,
// route, gateway, name, path, port. Each step is ✓, ✗ or –, which is not
// checked, and why. Then come the verdict, where the cause sits, the facts
// behind it with the classic command that shows each, and what to do.
//
// It needs no privileges. What a missing one leaves open is not checked.
//
// The exit status is 0 if the target is reachable (or nothing is wrong with
// this host), 1 if a cause was found or the target is not reached, 2 if it could
// not run.
package main

import (
	"context"
	"io"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/examples/internal/cli"
)

func main() { cli.Main("diagnose", run) }

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("diagnose", "[options] [HOST | HOST:PORT | URL]",
		"Finds out why a host cannot be reached. With no target it examines this host.", stdout, stderr)
	asJSON := t.Flags.Bool("json", false, "print the report as JSON")
	numeric := t.Flags.BoolP("numeric", "n", false, "print addresses without looking up the names of hops")
	budget := t.Seconds("budget", "", diagnose.DefaultBudget, "take no more than this, in `seconds`")
	iface := t.Flags.StringP("interface", "I", "", "send through this `interface`, and examine it")
	demo := t.Flags.Bool("demo", false, "build broken networks on this machine, with no network needed, and diagnose them")
	if code, done := t.Parse(args); done {
		return code
	}
	if t.Flags.NArg() > 1 {
		return t.Usage("one target at a time")
	}
	if *budget <= 0 {
		return t.Usage("the budget must be more than nothing")
	}
	if *demo {
		return runDemo(ctx, t)
	}
	target, err := diagnose.ParseTarget(t.Flags.Arg(0))
	if err != nil {
		return t.Fail(err)
	}
	progress := newProgress(t)
	report, err := diagnose.Run(ctx, target, &diagnose.Options{Budget: *budget, Interface: *iface, Progress: progress.step})
	progress.clear()
	if err != nil {
		return t.Fail(err)
	}
	if *asJSON {
		err = cli.PrintJSON(stdout, report)
	} else {
		err = printReport(stdout, report, namesOf(ctx, report, *numeric, *budget))
	}
	if err != nil {
		return t.Fail(err)
	}
	if report.Verdict.Reached {
		return cli.Yes
	}
	return cli.No
}

// progress shows the steps under way on a terminal.
type progress struct {
	line  *cli.Progress
	total int
	done  map[string]bool
}

func newProgress(t *cli.Tool) *progress {
	return &progress{line: cli.NewProgress(t.Stderr, "diagnose", 0), done: map[string]bool{}}
}

func (p *progress) step(s diagnose.Step) {
	if _, known := p.done[s.ID]; !known {
		p.total++
	}
	p.done[s.ID] = s.Why != diagnose.InProgress
	finished := 0
	for _, d := range p.done {
		if d {
			finished++
		}
	}
	p.line.Set(finished, p.total)
}

func (p *progress) clear() { p.line.Clear() }
