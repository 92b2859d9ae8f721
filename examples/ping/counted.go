package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// maxCounted bounds the hosts of which every probe is counted. Sweeps without
// -c have no bound, for they keep nothing.
const maxCounted = 1 << 20

// tally is what fping(8) knows of a host.
type tally struct {
	sent, received int
	min, max, sum  time.Duration
	times          []time.Duration // --vcount: by number, 0 is none
}

// counted asks every host N times, as fping -c and -C do.
func counted(ctx context.Context, t *cli.Tool, s *settings, stdin io.Reader) int {
	if *s.retries > 0 || *s.audible || *s.unreachable {
		return t.Usage("-a, -u and -r do not go together with -c")
	}
	ts := findTargets(ctx, t, s, stdin)
	if ts.hosts == nil {
		return ts.code
	}
	if ts.total > maxCounted {
		return t.Usage("-c: %d hosts are too many to count every probe of; the limit is %d", ts.total, maxCounted)
	}
	engine, err := s.open()
	if err != nil {
		return t.Fail(err)
	}
	defer engine.Close()
	c := counter{settings: s, t: t, ts: ts, hosts: map[netip.Addr]*tally{}, n: max(*s.count, *s.vcount)}
	for a := range ts.hosts {
		if c.hosts[a] == nil {
			c.hosts[a], c.order = &tally{min: math.MaxInt64}, append(c.order, a)
		}
	}
	if *s.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *s.deadline)
		defer cancel()
	}
	if err := c.run(ctx, engine); err != nil && ctx.Err() == nil {
		return t.Fail(err)
	}
	c.finish()
	for _, h := range c.hosts {
		if h.received == 0 && ts.code == cli.Yes {
			return cli.No
		}
	}
	return ts.code
}

// counter is a run of counted.
type counter struct {
	*settings
	t     *cli.Tool
	ts    *targets
	hosts map[netip.Addr]*tally
	order []netip.Addr
	n     int
	mu    sync.Mutex // Ctrl-\ comes at any time
	all   ping.Stats
	start time.Time
}

func (c *counter) run(ctx context.Context, engine *ping.Engine) error {
	gap := time.Millisecond // 1000 a second, as a sweep
	if c.changed("interval") {
		gap = *c.interval
	}
	o := ping.StreamOptions{Count: c.n, Interval: max(*c.period, gap*time.Duration(len(c.order)))}
	progress := cli.NewProgress(c.t.Stderr, "ping", c.n*len(c.order))
	defer progress.Clear()
	c.start = time.Now()
	defer onQuit(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		progress.Clear()
		c.each(c.t.Stderr)
	})()
	for r, err := range engine.Stream(ctx, c.order, &o) {
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		c.mu.Lock()
		c.all.Add(&r)
		line := c.add(&r)
		c.mu.Unlock()
		switch {
		case *c.json:
			progress.Clear()
			cli.JSONLine(c.t.Stdout, &r)
		case line != "" && !*c.quiet:
			progress.Clear()
			fmt.Fprintln(c.t.Stdout, line)
		}
		if r.Outcome != ping.OutcomeDuplicate && r.Outcome != ping.OutcomeLate {
			progress.Add(1)
		}
	}
	return nil
}

// add counts a result and returns its line.
func (c *counter) add(r *ping.Result) string {
	h, name := c.hosts[r.Target], c.ts.name(r.Target)
	if r.Outcome == ping.OutcomeDuplicate || r.Outcome == ping.OutcomeLate {
		return fmt.Sprintf("%s : duplicate for [%d], %d bytes, %s ms", name, r.Seq-1, r.Size, milli3(r.RTT))
	}
	h.sent++
	what := "timed out"
	switch r.Outcome {
	case ping.OutcomeReply:
		h.received++
		h.min, h.max, h.sum = min(h.min, r.RTT), max(h.max, r.RTT), h.sum+r.RTT
		if *c.vcount > 0 {
			if h.times == nil {
				h.times = make([]time.Duration, c.n)
			}
			h.times[r.Seq-1] = max(1, r.RTT)
		}
		what = fmt.Sprintf("%d bytes, %s ms", r.Size, milli3(r.RTT))
	case ping.OutcomeICMPError:
		what = fmt.Sprintf("%s from %s", icmpWords(r.ICMP), shown(r.ICMP.From))
	case ping.OutcomeLocalError:
		what = "not sent: " + r.Err
	case ping.OutcomeCorrupted:
		what = "corrupted"
	}
	avg := "NaN"
	if h.received > 0 {
		avg = milli3(h.sum / time.Duration(h.received))
	}
	return fmt.Sprintf("%s : [%d], %s (%s avg, %d%% loss)", name, r.Seq-1, what, avg, (h.sent-h.received)*100/h.sent)
}

// finish prints the statistics of every host, as fping(8) does on standard
// error, in columns; with -q, which asks for nothing else, on standard output.
func (c *counter) finish() {
	if *c.json {
		cli.JSONSummary(c.t.Stdout, &c.all)
		return
	}
	out := c.t.Stderr
	if *c.quiet {
		out = c.t.Stdout
	}
	if !*c.quiet {
		fmt.Fprintln(out)
	}
	c.each(out)
	if *c.stats {
		sum := sums{stats: c.all, targets: uint64(len(c.order)), unknown: c.ts.unknown, tries: c.all.Sent, start: c.start}
		for _, h := range c.hosts {
			if h.received > 0 {
				sum.alive++
			}
		}
		sum.print(out)
	}
}

// each prints the statistics of every host in columns.
func (c *counter) each(out io.Writer) {
	width := 0
	for _, a := range c.order {
		width = max(width, len([]rune(c.ts.name(a))))
	}
	for _, a := range c.order {
		fmt.Fprintf(out, "%-*s : %s\n", width, c.ts.name(a), c.hosts[a].words(*c.vcount))
	}
}

// words are the statistics of a host: every time with --vcount, else the sums.
func (h *tally) words(vcount int) string {
	if vcount > 0 {
		words := make([]string, vcount)
		for i := range words {
			words[i] = "-"
			if i < len(h.times) && h.times[i] > 0 {
				words[i] = milli3(h.times[i])
			}
		}
		return strings.Join(words, " ")
	}
	loss := 0
	if h.sent > 0 {
		loss = (h.sent - h.received) * 100 / h.sent
	}
	line := fmt.Sprintf("xmt/rcv/%%loss = %d/%d/%d%%", h.sent, h.received, loss)
	if h.received > 0 {
		line += fmt.Sprintf(", min/avg/max = %s/%s/%s", milli3(h.min), milli3(h.sum/time.Duration(h.received)), milli3(h.max))
	}
	return line
}
