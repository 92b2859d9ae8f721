package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// view is a run against one host, as ping(8) shows it.
type view struct {
	*settings
	out   io.Writer
	host  string
	addr  netip.Addr
	names *names
	plot  *plot

	mu    sync.Mutex // Ctrl-\ comes at any time
	stats ping.Stats
	sent  int // numbers that went out
	acked int // highest that was answered
	pipe  int
	start time.Time
	last  time.Time
	route []netip.Addr
}

// classic pings one host.
func classic(ctx context.Context, t *cli.Tool, s *settings, host string) int {
	addr, literal, err := lookup(ctx, s, host)
	if err != nil {
		return t.Fail(err)
	}
	engine, err := s.open()
	if err != nil {
		return t.Fail(err)
	}
	defer engine.Close()
	ctx, cancel := context.WithCancel(ctx)
	v := &view{settings: s, out: t.Stdout, host: host, addr: addr, names: newNames(ctx, !*s.numeric && !literal)}
	defer v.names.wait()
	defer cancel()
	v.names.first(addr)
	if *s.deadline > 0 {
		defer time.AfterFunc(*s.deadline, cancel).Stop()
	}
	if *s.plot && cli.IsTerminal(t.Stdout) {
		v.plot = &plot{w: t.Stdout}
	}
	defer onQuit(func() { v.short(t.Stderr) })()
	if why := v.watch(ctx, cancel, t, engine); why != "" {
		t.Warn("%s", why)
		return cli.Failed
	}
	v.summary()
	if v.stats.Received == 0 || *s.deadline > 0 && *s.count > 0 && int(v.stats.Received) < *s.count {
		return cli.No
	}
	return cli.Yes
}

// watch shows results until the last one, and returns why not even the first
// probe could be sent if that is so.
func (v *view) watch(ctx context.Context, cancel func(), t *cli.Tool, engine *ping.Engine) (why string) {
	count := *v.count
	if *v.deadline > 0 {
		count = 0 // then it is replies that are counted
	}
	o := ping.StreamOptions{Interval: *v.interval, Count: count, Adaptive: *v.adaptive, Sent: true}
	if *v.flood && !t.Flags.Changed("interval") || o.Interval == 0 {
		o.Interval = -1
	}
	v.start = time.Now()
	begun := false
	linger := time.AfterFunc(time.Hour, cancel) // set when the last probe is out
	linger.Stop()
	defer linger.Stop()
	for r, err := range engine.Stream(ctx, []netip.Addr{v.addr}, &o) {
		if errors.Is(err, context.Canceled) {
			return ""
		}
		if err != nil {
			t.Error(err)
			return ""
		}
		if r.Outcome == ping.OutcomeLocalError && r.Seq == 1 {
			if why := v.hopeless(&r); why != "" {
				return why
			}
		}
		if !begun {
			begun = true
			v.header(t)
		}
		v.take(t, &r)
		switch {
		case *v.deadline > 0 && v.satisfied():
			return ""
		case count > 0 && r.Seq == count:
			linger.Reset(v.patience())
		}
	}
	return ""
}

// satisfied tells whether a run with a deadline has what it waits for: the
// replies that were asked for, or an error.
func (v *view) satisfied() bool {
	return *v.count > 0 && v.stats.Received >= uint64(*v.count) || v.stats.ICMPErrors > 0
}

// hopeless tells whether there is no sense in going on after what this host
// said about the first probe.
func (v *view) hopeless(r *ping.Result) string {
	switch {
	case strings.HasPrefix(r.Err, "message too long"):
		return ""
	case r.Err == "permission denied":
		if v.addr.Is4() && !v.opt.Broadcast {
			return "Do you want to ping broadcast? Then -b. If not, check your local firewall rules"
		}
	}
	return "connect: " + capital(r.Err)
}

// patience is how long replies are waited for after the last probe: twice the
// longest time so far, or the whole timeout when there was no reply yet.
func (v *view) patience() time.Duration {
	if v.stats.Received == 0 || *v.timeout > 0 {
		return v.opt.Timeout
	}
	return max(2*v.stats.Max, *v.interval)
}

func (v *view) header(t *cli.Tool) {
	if v.opt.Broadcast && v.addr.Is4() {
		fmt.Fprintln(t.Stderr, "WARNING: pinging broadcast address")
	}
	if *v.json {
		return
	}
	if *v.pattern != "" {
		fmt.Fprintf(v.out, "PATTERN: 0x%s\n", *v.pattern)
	}
	from, size := v.from(), max(0, v.opt.Size)
	if !v.addr.Is4() {
		fmt.Fprintf(v.out, "PING %s(%v) %s%d data bytes\n", cli.Escape(v.host), v.addr, from, size)
		return
	}
	headers := 28
	if v.opt.RecordRoute || v.opt.IPTimestamp != ping.IPTimestampNone {
		headers += 40
	}
	fmt.Fprintf(v.out, "PING %s (%v) %s%d(%d) bytes of data.\n", cli.Escape(v.host), v.addr, from, size, size+headers)
}

// from is the part of the header that says where packets come from.
func (v *view) from() string {
	switch {
	case *v.device == "":
		return ""
	case v.opt.Source.IsValid():
		return fmt.Sprintf("from %v : ", v.opt.Source)
	}
	return fmt.Sprintf("from %s%s: ", sourceOn(*v.device, v.addr.Is4()), cli.Escape(*v.device))
}

// sourceOn returns the first address of an interface, with a space behind it.
func sourceOn(device string, v4 bool) string {
	ifi, err := net.InterfaceByName(device)
	if err != nil {
		return ""
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() == v4 {
			return p.Addr().String() + " "
		}
	}
	return ""
}

// take counts a result and prints its line.
func (v *view) take(t *cli.Tool, r *ping.Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Outcome == ping.OutcomeSent || r.Outcome == ping.OutcomeLocalError {
		v.last = time.Now() // the run is as long as its sending, as in ping(8)
	}
	v.stats.Add(r)
	line := ""
	switch r.Outcome {
	case ping.OutcomeSent:
		if *v.outstanding && v.sent > v.acked {
			line = fmt.Sprintf("no answer yet for icmp_seq=%d", v.sent)
		}
		v.sent = r.Seq
		if *v.flood && !*v.json && !*v.quiet {
			io.WriteString(v.out, ".")
		}
	case ping.OutcomeReply, ping.OutcomeLate, ping.OutcomeDuplicate:
		v.acked = max(v.acked, r.Seq)
		v.pipe = max(v.pipe, v.sent-r.Seq+1)
		line = v.replyLine(r)
		if *v.flood && !*v.json && !*v.quiet {
			io.WriteString(v.out, "\b \b")
		}
	case ping.OutcomeICMPError:
		v.acked = max(v.acked, r.Seq)
		line = fmt.Sprintf("From %s icmp_seq=%d %s", withName(r.From, v.names.of(r.From)), r.Seq, icmpWords(r.ICMP))
	case ping.OutcomeCorrupted:
		line = fmt.Sprintf("corrupted reply for icmp_seq=%d", r.Seq)
	case ping.OutcomeLocalError:
		v.acked, v.sent = max(v.acked, r.Seq), r.Seq
		if !*v.json {
			t.Warn("local error: %s", r.Err)
		}
	}
	v.plot.add(r)
	switch {
	case *v.json && r.Outcome != ping.OutcomeSent:
		cli.JSONLine(v.out, r)
	case line == "", *v.json, *v.quiet, *v.flood, v.plot != nil:
	case *v.dates:
		at := time.Now()
		fmt.Fprintf(v.out, "[%d.%06d] %s\n", at.Unix(), at.Nanosecond()/1000, line)
	default:
		fmt.Fprintln(v.out, line)
	}
}

func (v *view) replyLine(r *ping.Result) string {
	if r.ICMP != nil {
		return fmt.Sprintf("From %s icmp_seq=%d %s (late)", withName(r.From, v.names.of(r.From)), r.Seq, icmpWords(r.ICMP))
	}
	line := fmt.Sprintf("%d bytes from %s: icmp_seq=%d ttl=%d time=%s ms", r.Size, withName(r.From, v.names.of(r.From)), r.Seq, r.TTL, millis(r.RTT))
	switch {
	case r.Outcome == ping.OutcomeDuplicate:
		line += " (DUP!)"
	case r.Outcome == ping.OutcomeLate:
		line += " (late)"
	}
	if r.From != r.Target && !v.opt.Broadcast && !r.Target.IsMulticast() {
		line += " (DIFFERENT ADDRESS!)"
	}
	if r.Record != nil {
		line += recordWords(r.Record, v.route != nil && slices.Equal(v.route, r.Record.Route))
		v.route = r.Record.Route
	}
	return line
}

func (v *view) summary() {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := &v.stats
	if *v.json {
		cli.JSONSummary(v.out, s)
		return
	}
	v.plot.end()
	fmt.Fprintf(v.out, "\n--- %s ping statistics ---\n", cli.Escape(v.host))
	sent := max(v.sent, int(s.Sent))
	fmt.Fprintf(v.out, "%d packets transmitted, %d received", sent, s.Received)
	for _, c := range []struct {
		n    uint64
		what string
	}{{s.Duplicates, "duplicates"}, {s.Corrupted, "corrupted"}, {s.Late, "late"}, {s.ICMPErrors + s.LocalErrors, "errors"}} {
		if c.n > 0 {
			fmt.Fprintf(v.out, ", +%d %s", c.n, c.what)
		}
	}
	if sent > 0 {
		fmt.Fprintf(v.out, ", %.6g%% packet loss", float64(sent-int(s.Received))*100/float64(sent))
	}
	elapsed := max(0, v.last.Sub(v.start))
	fmt.Fprintf(v.out, ", time %dms\n", elapsed.Milliseconds())
	var parts []string
	if s.Received > 0 {
		parts = append(parts, fmt.Sprintf("rtt min/avg/max/mdev = %s ms", threes(s.Min, s.Mean(), s.Max, s.Mdev())))
	}
	if v.pipe > 1 {
		parts = append(parts, fmt.Sprintf("pipe %d", v.pipe))
	}
	if s.Received > 0 && sent > 1 && (*v.flood || *v.adaptive || *v.interval == 0) {
		parts = append(parts, fmt.Sprintf("ipg/ewma %s ms", threes(elapsed/time.Duration(sent-1), s.EWMA())))
	}
	fmt.Fprintln(v.out, strings.Join(parts, ", "))
}

// threes prints times in milliseconds with three decimals, slashes between.
func threes(times ...time.Duration) string {
	words := make([]string, len(times))
	for i, d := range times {
		words[i] = fmt.Sprintf("%.3f", float64(d)/float64(time.Millisecond))
	}
	return strings.Join(words, "/")
}

// short is what Ctrl-\ shows.
func (v *view) short(w io.Writer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := &v.stats
	loss := 0.0
	if v.sent > 0 {
		loss = float64(v.sent-int(s.Received)) * 100 / float64(v.sent)
	}
	fmt.Fprintf(w, "\r%d/%d packets, %.0f%% loss", s.Received, v.sent, loss)
	if s.Received > 0 {
		fmt.Fprintf(w, ", min/avg/ewma/max = %s ms", threes(s.Min, s.Mean(), s.EWMA(), s.Max))
	}
	fmt.Fprintln(w)
}
