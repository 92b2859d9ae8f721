package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
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
	ts := findTargets(ctx, t, s, stdin)
	if ts.hosts == nil {
		return ts.code
	}
	engine, err := s.open()
	if err != nil {
		return t.Fail(err)
	}
	defer engine.Close()
	// Round-trip times that are printed are worth their tenth of the speed.
	o := ping.SweepOptions{Retries: *s.retries, Rate: -1, Times: *s.elapsed || *s.stats || *s.json}
	switch {
	case !s.changed("interval"):
		o.Rate = 0 // 1000 a second
	case *s.interval > 0:
		o.Rate = 1 / s.interval.Seconds()
	}
	sum, err := show(t, s, ts, engine.Sweep(ctx, ts.hosts, &o))
	if err != nil && ctx.Err() == nil {
		return t.Fail(err)
	}
	if ts.code == cli.Yes && (err != nil || sum.stats.Received < sum.stats.Sent || sum.stats.LocalErrors > 0) {
		return cli.No
	}
	return ts.code
}

// sums are the results of a sweep.
type sums struct {
	stats                    ping.Stats
	targets, alive, untested uint64
	unknown                  int    // names without an address
	tries                    uint64 // probes sent
	start                    time.Time
}

// flushEvery is how long results may wait for others to be written with.
const flushEvery = 50 * time.Millisecond

// show prints the results, with a progress line where that can be seen, and
// the summary also of a sweep that was ended.
func show(t *cli.Tool, s *settings, ts *targets, results iter.Seq2[ping.Result, error]) (sum sums, err error) {
	progress := cli.NewProgress(t.Stderr, "ping", ts.total)
	size := 4096
	if cli.IsTerminal(t.Stdout) {
		size = 1 // lines and the progress line are on one screen
	}
	out := bufio.NewWriterSize(t.Stdout, size)
	var flushed time.Time
	sum.start, sum.unknown = time.Now(), ts.unknown
	var mu sync.Mutex
	soFar := func() {
		mu.Lock()
		defer mu.Unlock()
		progress.Clear()
		fmt.Fprintf(t.Stderr, "\r%d of %d hosts are alive\n", sum.stats.Received, sum.stats.Sent+sum.stats.LocalErrors)
	}
	defer onQuit(soFar)()
	for r, e := range results {
		if e != nil {
			err = e
			break
		}
		mu.Lock()
		sum.stats.Add(&r)
		mu.Unlock()
		if r.Outcome == ping.OutcomeLate || r.Outcome == ping.OutcomeDuplicate {
			if !*s.json && !*s.quiet {
				progress.Clear()
				fmt.Fprintf(t.Stderr, "%s : duplicate for [%d], %d bytes, %s ms\n", ts.name(r.Target), r.Seq-1, r.Size, milli3(r.RTT))
			}
			continue
		}
		if r.Outcome != ping.OutcomeLocalError {
			sum.tries += uint64(max(1, r.Seq))
		}
		line := sweepLine(s, ts, &r)
		switch {
		case *s.json:
			progress.Clear()
			cli.JSONLine(out, &r)
		case line != "" && !*s.quiet:
			progress.Clear()
			fmt.Fprintln(out, line)
		}
		progress.Add(1)
		if now := time.Now(); now.Sub(flushed) > flushEvery {
			flushed = now
			out.Flush()
		}
	}
	progress.Clear()
	sum.targets, sum.alive, sum.untested = sum.stats.Sent+sum.stats.LocalErrors, sum.stats.Received, sum.stats.LocalErrors
	switch {
	case *s.json:
		cli.JSONSummary(out, &sum.stats)
	case *s.quiet:
		sum.print(out)
	}
	out.Flush()
	switch {
	case *s.json, *s.quiet:
	case *s.stats:
		sum.print(t.Stderr)
	case err != nil:
		soFar() // that is all there will be
	}
	return sum, err
}

// sweepLine is what is printed about a host, "" for nothing.
func sweepLine(s *settings, ts *targets, r *ping.Result) string {
	name, alive, took := ts.next(r.Target), r.Outcome == ping.OutcomeReply, ""
	if *s.elapsed && alive {
		took = " (" + milli3(r.RTT) + " ms)"
	}
	switch {
	case *s.audible && alive, *s.unreachable && !alive:
		return name + took
	case *s.audible, *s.unreachable:
		return ""
	case alive:
		return name + " is alive" + took
	case r.Outcome == ping.OutcomeICMPError:
		return fmt.Sprintf("%s is unreachable (%s from %s)", name, icmpWords(r.ICMP), shown(r.ICMP.From))
	case r.Outcome == ping.OutcomeLocalError:
		return fmt.Sprintf("%s is not tested (%s)", name, r.Err)
	}
	return name + " is unreachable"
}

// print is the summary of a sweep, in the words of fping -s.
func (sum *sums) print(w io.Writer) {
	s := &sum.stats
	fmt.Fprintf(w, "\n%8d targets\n%8d alive\n%8d unreachable\n%8d unknown addresses\n", sum.targets, sum.alive, sum.targets-sum.alive-sum.untested, sum.unknown)
	if sum.untested > 0 {
		fmt.Fprintf(w, "%8d not tested\n", sum.untested)
	}
	fmt.Fprintf(w, "\n%8d timeouts (waiting for response)\n%8d ICMP Echos sent\n%8d ICMP Echo Replies received\n%8d other ICMP received\n\n",
		s.Timeouts+s.Corrupted+sum.tries-min(sum.tries, s.Sent), sum.tries, s.Received+s.Duplicates+s.Late, s.ICMPErrors)
	if s.Received > 0 {
		fmt.Fprintf(w, " %s ms (min round trip time)\n %s ms (avg round trip time)\n %s ms (max round trip time)\n", milli3(s.Min), milli3(s.Mean()), milli3(s.Max))
	}
	fmt.Fprintf(w, "%13.3f sec (elapsed real time)\n\n", time.Since(sum.start).Seconds())
}

// milli3 prints a time as fping(8) does: three digits.
func milli3(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case ms < 1:
		return fmt.Sprintf("%.3f", ms)
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}
