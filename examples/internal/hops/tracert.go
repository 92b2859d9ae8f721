package hops

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/trace"
)

// PrintTracert prints hops as Windows does: names stand behind the times, a
// hop that nobody answers for is a request timed out.
func (p *Printer) PrintTracert(hops iter.Seq2[trace.Hop, error]) error {
	return p.each(hops, p.tracertLine)
}

func (p *Printer) tracertLine(h trace.Hop) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%3d", h.TTL)
	var last trace.Reply
	for _, r := range h.Replies {
		if r.Outcome == trace.OutcomeSilent || r.Outcome == trace.OutcomeNotSent {
			b.WriteString("     *   ")
			continue
		}
		last = r
		ms := "<1"
		if r.RTT >= time.Millisecond {
			ms = fmt.Sprint(r.RTT.Milliseconds())
		}
		if r.Outcome != trace.OutcomeUnreachable {
			fmt.Fprintf(&b, "%6s ms", ms)
		}
	}
	switch {
	case !last.From.IsValid():
		b.WriteString("  Request timed out.")
		return b.String()
	case last.Outcome == trace.OutcomeUnreachable:
		return fmt.Sprintf("%3d  %s  reports: %s", h.TTL, p.windowsName(last), reports(last.ICMP))
	}
	return b.String() + "  " + p.windowsName(last)
}

func (p *Printer) windowsName(r trace.Reply) string {
	if p.Names != nil {
		if name := p.Names.Host(r.From); name != "" {
			return cli.Escape(name) + " [" + r.From.String() + "]"
		}
	}
	return r.From.String()
}

// reports says a refusal in Windows' words.
func reports(e *trace.ICMPError) string {
	what := "host"
	switch e.Kind {
	case icmperr.NetUnreachable:
		what = "net"
	case icmperr.ProtoUnreachable:
		what = "protocol"
	case icmperr.PortUnreachable:
		what = "port"
	case icmperr.FragNeeded:
		return "Packet needs to be fragmented but DF set."
	}
	return "Destination " + what + " unreachable."
}
