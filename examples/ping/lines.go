package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

func (v *view) header() {
	to := v.target
	if v.opt.Broadcast && to.addr.Is4() {
		fmt.Fprintln(v.t.Stderr, "WARNING: pinging broadcast address")
	}
	if *v.json {
		return
	}
	if len(v.opt.Pattern) > 0 && !*v.quiet {
		fmt.Fprintf(v.out, "PATTERN: 0x%x\n", v.opt.Pattern)
	}
	from, size := "", max(0, v.opt.Size)
	if *v.device != "" || v.opt.Source.IsValid() {
		shownFrom := v.from.WithZone("")
		if v.from == v.opt.Source {
			shownFrom = v.from // as it was typed
		}
		from = fmt.Sprintf("from %s %s: ", shown(shownFrom), cli.Escape(v.opt.Device))
	}
	if !to.addr.Is4() {
		if v.opt.FlowLabel != 0 {
			from = fmt.Sprintf(", flow 0x%05x, %s", v.opt.FlowLabel, from)
		}
		fmt.Fprintf(v.out, "PING %s(%s) %s%d data bytes\n", cli.Escape(to.name), withName(v.names, to.addr), from, size)
		return
	}
	headers := 28
	if v.opt.RecordRoute || v.opt.IPTimestamp != ping.IPTimestampNone {
		headers += 40
	}
	fmt.Fprintf(v.out, "PING %s (%s) %s%d(%d) bytes of data.\n", cli.Escape(to.name), to.addr, from, size, size+headers)
}

// print shows a result as a line; on a plot only what concerns this host.
func (v *view) print(r *ping.Result) {
	line := ""
	switch r.Outcome {
	case ping.OutcomeSent:
		if *v.outstanding && v.sent > 0 && v.replied < v.sent {
			line = fmt.Sprintf("no answer yet for icmp_seq=%d", v.sent)
		}
	case ping.OutcomeReply, ping.OutcomeLate, ping.OutcomeDuplicate:
		line = v.replyLine(r)
	case ping.OutcomeICMPError, ping.OutcomeNotice:
		line = v.errorLine(r)
	case ping.OutcomeCorrupted:
		line = fmt.Sprintf("corrupted reply for icmp_seq=%d", r.Seq)
	case ping.OutcomeLocalError:
		switch {
		case tooLong(r) && !v.target.addr.Is4():
			v.t.Warn("local error: %s", strings.Replace(r.Err, "mtu=", "mtu: ", 1))
		case tooLong(r):
			v.t.Warn("local error: %s", r.Err)
		default:
			v.t.Warn("sendmsg: %s", capital(r.Err))
		}
	}
	switch {
	case line == "" || v.plot != nil:
	case *v.dates:
		at := time.Now()
		fmt.Fprintf(v.out, "[%d.%06d] %s\n", at.Unix(), at.Nanosecond()/1000, line)
	default:
		fmt.Fprintln(v.out, line)
	}
}

// mark is what flooding shows: a dot for each probe, taken away by its reply.
func (v *view) mark(r *ping.Result) string {
	bell := ""
	if *v.audible {
		bell = "\a"
	}
	switch r.Outcome {
	case ping.OutcomeSent:
		return "."
	case ping.OutcomeReply, ping.OutcomeLate, ping.OutcomeDuplicate:
		return "\b \b" + bell
	case ping.OutcomeICMPError:
		return "\bE"
	case ping.OutcomeLocalError:
		return "E"
	}
	return ""
}

// tooLong tells whether a packet did not fit a link of this host.
func tooLong(r *ping.Result) bool {
	return r.Outcome == ping.OutcomeLocalError && strings.HasPrefix(r.Err, "message too long")
}

func (v *view) errorLine(r *ping.Result) string {
	colon := ""
	if r.Outcome == ping.OutcomeNotice {
		colon = ":" // as ping(8) has it where nothing has failed
	}
	return fmt.Sprintf("From %s%s icmp_seq=%d %s", withName(v.names, r.From), colon, r.Seq, icmpWords(r.ICMP))
}

func (v *view) replyLine(r *ping.Result) string {
	if r.ICMP != nil {
		return v.errorLine(r)
	}
	what := fmt.Sprintf(" icmp_seq=%d", r.Seq)
	switch {
	case r.Node != nil:
		what = fmt.Sprintf("%s seq=%d;", nodeWords(r.Node), r.Seq)
	case *v.verbose:
		what += fmt.Sprintf(" ident=%d", v.ident)
	}
	line := fmt.Sprintf("%d bytes from %s:%s ttl=%d", r.Size, withName(v.names, r.From), what, r.TTL)
	if r.Damage != nil && r.Damage.Missing > 0 {
		return line + " (truncated)"
	}
	if r.Node == nil { // ping(8) has no times of these; they are in the JSON
		line += " time=" + millis(r.RTT) + " ms"
	}
	many := v.opt.Broadcast || r.Target.IsMulticast()
	if r.Outcome == ping.OutcomeDuplicate && (!many || *v.verbose) {
		line += " (DUP!)"
	}
	if r.Damage != nil && r.Damage.Checksum {
		line += " (BAD CHECKSUM!)"
	}
	if r.From != r.Target && !many && r.Node == nil {
		line += " (DIFFERENT ADDRESS!)"
	}
	line += damageWords(r.Damage)
	if *v.audible {
		line += "\a"
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
	fmt.Fprintf(v.out, "\n--- %s ping statistics ---\n", cli.Escape(v.target.name))
	received := s.Received + s.Late
	fmt.Fprintf(v.out, "%d packets transmitted, %d received", v.sent, received)
	for _, c := range []struct {
		n    uint64
		what string
	}{{s.Duplicates, "duplicates"}, {s.Corrupted, "corrupted"}, {s.ICMPErrors + v.big, "errors"}} {
		if c.n > 0 {
			fmt.Fprintf(v.out, ", +%d %s", c.n, c.what)
		}
	}
	elapsed := max(0, v.last.Sub(v.start))
	if v.sent > 0 {
		fmt.Fprintf(v.out, ", %.6g%% packet loss, time %dms", float32(int64(v.sent)-int64(received))*100/float32(v.sent), elapsed.Round(time.Millisecond).Milliseconds())
	}
	var parts []string
	if s.Received > 0 && v.node == nil {
		parts = append(parts, fmt.Sprintf("rtt min/avg/max/mdev = %s ms", threes(s.Min, s.Mean(), s.Max, s.Mdev())))
	}
	if v.pipe > 1 {
		parts = append(parts, fmt.Sprintf("pipe %d", v.pipe))
	}
	if s.Received > 0 && v.sent > 1 && (*v.flood || *v.adaptive || *v.interval == 0) {
		parts = append(parts, fmt.Sprintf("ipg/ewma %s ms", threes(elapsed/time.Duration(v.sent-1), s.EWMA())))
	}
	fmt.Fprintf(v.out, "\n%s\n", strings.Join(parts, ", "))
}

// threes prints times with three digits behind the point.
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
	loss := 0
	if v.sent > 0 {
		loss = (v.sent - int(s.Received)) * 100 / v.sent
	}
	fmt.Fprintf(w, "\r%d/%d packets, %d%% loss", s.Received, v.sent, loss)
	if s.Received > 0 {
		fmt.Fprintf(w, ", min/avg/ewma/max = %s ms", threes(s.Min, s.Mean(), s.EWMA(), s.Max))
	}
	fmt.Fprintln(w)
}
