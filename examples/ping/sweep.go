package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// sweep asks many hosts once, as fping(8) does.
func sweep(ctx context.Context, t *cli.Tool, s *settings, stdin io.Reader) int {
	if *s.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *s.deadline)
		defer cancel()
	}
	hosts, total, code := targets(ctx, t, s, stdin)
	if hosts == nil {
		return code
	}
	engine, err := s.open()
	if err != nil {
		return t.Fail(err)
	}
	defer engine.Close()
	o := ping.SweepOptions{Retries: *s.retries, Rate: -1}
	switch {
	case !t.Flags.Changed("interval"):
		o.Rate = 0 // 1000 a second, as fping
	case *s.interval > 0:
		o.Rate = 1 / s.interval.Seconds()
	}
	stats, err := show(t, s, engine.Sweep(ctx, hosts, &o), total)
	if err != nil {
		t.Error(err)
		return cli.Failed
	}
	if code == cli.Yes && (stats.Received < stats.Sent || stats.LocalErrors > 0) {
		return cli.No
	}
	return code
}

// show prints the results, with a progress line where that can be seen.
func show(t *cli.Tool, s *settings, results iter.Seq2[ping.Result, error], total int) (stats ping.Stats, err error) {
	progress := cli.NewProgress(t.Stderr, "ping", total)
	size := 4096
	if cli.IsTerminal(t.Stdout) {
		size = 1 // lines and the progress line are on one screen
	}
	out := bufio.NewWriterSize(t.Stdout, size)
	defer out.Flush()
	defer progress.Clear()
	start := time.Now()
	for r, err := range results {
		if err != nil {
			return stats, err
		}
		stats.Add(&r)
		if r.Outcome == ping.OutcomeLate || r.Outcome == ping.OutcomeDuplicate {
			continue
		}
		line := sweepLine(s, &r)
		switch {
		case *s.json:
			progress.Clear()
			cli.JSONLine(out, &r)
		case line != "" && !*s.quiet:
			progress.Clear()
			fmt.Fprintln(out, line)
		}
		progress.Add(1)
	}
	switch {
	case *s.json:
		cli.JSONSummary(out, &stats)
	case *s.quiet:
		sweepSummary(out, &stats, time.Since(start))
	}
	return stats, nil
}

// sweepLine is what is printed about a host, "" for nothing.
func sweepLine(s *settings, r *ping.Result) string {
	alive := r.Outcome == ping.OutcomeReply
	switch {
	case *s.alive && alive, *s.unreachable && !alive:
		return r.Target.String()
	case *s.alive, *s.unreachable:
		return ""
	case alive:
		return r.Target.String() + " is alive"
	case r.Outcome == ping.OutcomeICMPError:
		return fmt.Sprintf("%v is unreachable (%s from %v)", r.Target, icmpWords(r.ICMP), r.From)
	case r.Outcome == ping.OutcomeLocalError:
		return fmt.Sprintf("%v is not tested (%s)", r.Target, r.Err)
	}
	return r.Target.String() + " is unreachable"
}

func sweepSummary(w io.Writer, s *ping.Stats, elapsed time.Duration) {
	fmt.Fprintf(w, "%8d targets\n%8d alive\n%8d unreachable\n%8d not tested\n", s.Sent+s.LocalErrors, s.Received, s.Sent-s.Received, s.LocalErrors)
	if s.Received > 0 {
		fmt.Fprintf(w, "rtt min/avg/max/mdev = %s ms\n", threes(s.Min, s.Mean(), s.Max, s.Mdev()))
	}
	fmt.Fprintf(w, "%8.3f sec (elapsed real time)\n", elapsed.Seconds())
}

// targets says what is to be asked, and how many there are, 0 if that is not
// known. Without any the reason has been printed.
func targets(ctx context.Context, t *cli.Tool, s *settings, stdin io.Reader) (hosts iter.Seq[netip.Addr], total, code int) {
	args := t.Flags.Args()
	if *s.generate {
		hosts, total, err := generate(args)
		if err != nil {
			return nil, 0, t.Usage("-g: %v", err)
		}
		return hosts, total, cli.Yes
	}
	if len(args) == 1 && args[0] == "-" {
		args = nil
		for lines := bufio.NewScanner(stdin); lines.Scan(); {
			word, _, _ := strings.Cut(strings.TrimSpace(lines.Text()), "#")
			args = append(args, strings.Fields(word)...)
		}
	}
	var list []netip.Addr
	for _, host := range args {
		a, _, err := lookup(ctx, s, host)
		if err != nil {
			t.Error(err)
			code = cli.Failed
			continue
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		return nil, 0, cli.Failed
	}
	return slices.Values(list), len(list), code
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
			return func(yield func(netip.Addr) bool) {
				for a := first; a.IsValid() && !last.Less(a) && yield(a); a = a.Next() {
				}
			}, 0, nil
		}
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
