package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/trace"
)

// instead makes a report where there can be no screen.
func (w *session) instead(ctx context.Context, t *cli.Tool, why string) int {
	t.Warn("%s: making a report", why)
	return w.batch(ctx, t)
}

// batch makes a report.
func (w *session) batch(ctx context.Context, t *cli.Tool) int {
	if w.wo.Rounds == 0 && !*w.raw {
		w.wo.Rounds = 10
	}
	var each func(trace.Probe)
	switch {
	case *w.raw:
		each = (&rawPrinter{session: w, out: t.Stdout}).print
	case !*w.json && !*w.csv && !*w.xml:
		fmt.Fprintf(t.Stdout, "Start: %s\n", w.started.Format("2006-01-02T15:04:05-0700"))
	}
	w.watch(ctx, each)
	if w.err != nil {
		return w.failed(t)
	}
	w.waitForNames()
	r := w.result()
	switch {
	case *w.raw:
	case *w.csv:
		w.printCSV(t.Stdout, r)
	case *w.xml:
		w.printXML(t.Stdout, r)
	case *w.json:
		if err := w.printJSON(t.Stdout, r); err != nil {
			return t.Fail(err)
		}
	default:
		w.printReport(t.Stdout, r)
		w.printVerdict(t.Stderr, r)
	}
	return cli.Yes
}

// failed says why nothing could be sent, and what could.
func (w *session) failed(t *cli.Tool) int {
	t.Error(w.err)
	if operr.NeedOf(w.err) != "" && !*w.udp && !*w.tcp {
		t.Hint("-u and -T need no permission")
	}
	return cli.No
}

// The report's names begin at column 8 and end at column 33, or as far right
// as the longest needs it with -w. With -z and -y systems stand before them.
const hostWidth = 27

// infoWidths are those of what -y shows, by its number.
var infoWidths = [...]int{9, 19, 4, 8, 11}

// widths returns those of the names and of this host's name above them.
func (w *session) widths(hops []hop) (name, host int) {
	if !*w.wide {
		name, host = hostWidth-2, hostWidth
		if *w.info >= 0 {
			name = hostWidth - w.infoWidth() + 1
		}
		return name, host
	}
	name = len(hostname())
	for i := range hops {
		first, others := w.who(&hops[i])
		name = max(name, utf8.RuneCountInString(first))
		for _, o := range others {
			name = max(name, utf8.RuneCountInString(w.name(o.Addr)))
		}
	}
	if *w.info >= 0 {
		return name + 1, name + w.infoWidth()
	}
	return name, name // two columns too far to the left, as in the classic
}

func (w *session) printReport(out io.Writer, r *trace.Report) {
	hops := lines(r)
	width, host := w.widths(hops)
	fmt.Fprintf(out, "HOST: %s%s\n", pad(hostname(), host), header(w.fields))
	for i := range hops {
		h := &hops[i]
		name, others := w.who(h)
		if *w.info >= 0 {
			fmt.Fprintf(out, "%3d. %s", h.TTL, w.column(h.first()))
		} else {
			fmt.Fprintf(out, "%3d.|-- ", h.TTL)
		}
		fmt.Fprintf(out, "%s%s\n", pad(name, width), values(w.fields, h))
		w.printLabels(out, h, 0)
		for i, o := range others {
			if *w.info >= 0 {
				fmt.Fprintf(out, "%5s%s%s\n", "", w.column(o.Addr), pad(w.name(o.Addr), width))
			} else {
				fmt.Fprintf(out, "%8s%s\n", "", pad(w.name(o.Addr), width))
			}
			w.printLabels(out, h, i+1)
		}
	}
}

// printLabels prints the MPLS labels of a responder, with -e.
func (w *session) printLabels(out io.Writer, h *hop, i int) {
	if !*w.mpls || i >= len(h.Responders) {
		return
	}
	for _, l := range h.Responders[i].Labels {
		fmt.Fprintf(out, "       [MPLS: %s]\n", label(l))
	}
}

func label(l trace.Label) string {
	bottom := 0
	if l.Bottom {
		bottom = 1
	}
	return fmt.Sprintf("Lbl %d TC %d S %d TTL %d", l.Label, l.TC, bottom, l.TTL)
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// pad makes text so wide, cutting off what is more.
func pad(s string, width int) string {
	n := utf8.RuneCountInString(s)
	if n > width {
		return string([]rune(s)[:max(0, width)])
	}
	return s + strings.Repeat(" ", width-n)
}

func header(fields []field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%*s", f.width, f.title)
	}
	return b.String()
}

// values writes the columns of a hop. A value that is too wide is cut off by
// the next one, as in the classic's report.
func values(fields []field, h *hop) string {
	line := ""
	for _, f := range fields {
		width := len(line)
		text := f.format
		if f.key != ' ' {
			text = fmt.Sprintf(f.format, f.value(h))
		}
		width += f.width
		line += text
		if len(line) > width && f.key != fields[len(fields)-1].key {
			line = line[:width]
		}
	}
	return line
}

// printVerdict says what the report means.
func (w *session) printVerdict(out io.Writer, r *trace.Report) {
	var b strings.Builder
	b.WriteString("\n")
	for _, s := range r.Verdict().Sentences() {
		if cli.IsTerminal(out) {
			s = strings.Join(wrap(s, cli.Width(out)), "\n")
		}
		b.WriteString(s + "\n")
	}
	io.WriteString(out, b.String())
}

func (w *session) printCSV(out io.Writer, r *trace.Report) {
	var b strings.Builder
	b.WriteString("Mtr_Version,Start_Time,Status,Host,Hop,Ip,")
	if *w.info == int(hops.OriginAS) {
		b.WriteString("Asn,")
	}
	for _, f := range w.fields {
		b.WriteString(f.title + ",")
	}
	b.WriteString("\n")
	all := lines(r)
	for i := range all {
		name, _ := w.who(&all[i])
		name = strings.ReplaceAll(name, ",", "_") // a name server may say anything
		fmt.Fprintf(&b, "MTR.netsonde,%d,OK,%s,%d,%s", w.started.Unix(), cli.Escape(w.host), all[i].TTL, name)
		if *w.info == int(hops.OriginAS) {
			b.WriteString("," + w.system(all[i].first()))
		}
		for _, f := range w.fields {
			if v, ok := f.value(&all[i]).(float64); ok {
				fmt.Fprintf(&b, ",%.2f", v)
			} else {
				fmt.Fprintf(&b, ",%v", f.value(&all[i]))
			}
		}
		b.WriteString("\n")
	}
	io.WriteString(out, b.String())
}

// printJSON prints the library's report with the classic's inside.
func (w *session) printJSON(out io.Writer, r *trace.Report) error {
	ours, err := json.Marshal(r)
	if err != nil {
		return err
	}
	classic, err := json.Marshal(w.classic(r))
	if err != nil {
		return err
	}
	whole := append([]byte(`{"report":`), classic...)
	whole = append(append(whole, ','), ours[1:]...)
	return cli.PrintJSON(out, json.RawMessage(whole))
}

// classic is what the classic prints with --json.
func (w *session) classic(r *trace.Report) any {
	type hub map[string]any
	hubs := []hub{}
	all := lines(r)
	for i := range all {
		name, _ := w.who(&all[i])
		h := hub{"count": all[i].TTL, "host": name}
		if *w.info == int(hops.OriginAS) {
			h["ASN"] = w.system(all[i].first())
		}
		for _, f := range w.fields {
			if f.key == ' ' {
				continue
			}
			v := f.value(&all[i])
			if ms, ok := v.(float64); ok {
				v = json.RawMessage(fmt.Sprintf("%.3f", ms))
			}
			h[f.title] = v
		}
		hubs = append(hubs, h)
	}
	return map[string]any{
		"mtr":  map[string]any{"src": hostname(), "dst": w.host, "tos": *w.tos, "tests": r.Rounds, "psize": fmt.Sprint(w.bytes()), "bitpattern": "0x00"},
		"hubs": hubs,
	}
}

// rawPrinter prints what happens, as mtr --raw does: x is a probe with its
// number, h and d are the address and the name of a hop, p a time in µs.
// A probe is printed when its fate is known.
type rawPrinter struct {
	*session
	out    io.Writer
	number int
	told   map[string]bool
}

func (p *rawPrinter) print(probe trace.Probe) {
	if p.told == nil {
		p.told, p.number = map[string]bool{}, 32999
	}
	if probe.Late || probe.Outcome == trace.OutcomeNotSent {
		return
	}
	p.number++
	var b strings.Builder
	at := probe.TTL - 1
	fmt.Fprintf(&b, "x %d %d\n", at, p.number)
	if probe.From.IsValid() {
		p.once(&b, fmt.Sprintf("h %d %v\n", at, probe.From))
		if p.names != nil {
			if name := p.names.Host(probe.From); name != "" {
				p.once(&b, fmt.Sprintf("d %d %s\n", at, cli.Escape(name)))
			}
		}
		fmt.Fprintf(&b, "p %d %d %d\n", at, probe.RTT.Microseconds(), p.number)
	}
	io.WriteString(p.out, b.String())
}

// once prints a line that has not been printed before.
func (p *rawPrinter) once(b *strings.Builder, line string) {
	if !p.told[line] {
		p.told[line] = true
		b.WriteString(line)
	}
}
