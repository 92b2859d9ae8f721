package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"

	"github.com/netsonde/netsonde/trace"
)

const (
	headLines = 5 // above the hops
	footLines = 3 // below: what it means
)

var (
	plain = tcell.StyleDefault
	bold  = tcell.StyleDefault.Bold(true)
)

var helpText = []string{
	"Keys:",
	"  ?|h     this help",
	"  p       pause (space to go on)",
	"  d       display mode: numbers, charts, both",
	"  e       MPLS labels on and off",
	"  j       latency (LS NABWV) or jitter (DR AGJMXI)",
	"  n       names on and off",
	"  y       what is known of addresses, one after the other (z the first)",
	"  r       restart the statistics",
	"  + -     down and up half a page",
	"  q       quit",
	"",
	"press any key to go back...",
}

// text writes a line, in a style, from a column on, as far as there is room.
func (v *view) text(x, y int, style tcell.Style, s string) {
	width, _ := v.screen.Size()
	for _, r := range s {
		if x >= width {
			return
		}
		v.screen.SetContent(x, y, r, nil, style)
		x++
	}
}

// page is how many lines there are for hops.
func (v *view) page() int {
	_, height := v.screen.Size()
	return max(1, height-headLines-footLines)
}

// draw shows what there is.
func (v *view) draw() {
	v.screen.Clear()
	width, _ := v.screen.Size()
	title := "My traceroute  [netsonde]"
	v.text(max(0, (width-len(title))/2), 0, bold, title)
	if v.help {
		for i, line := range helpText {
			v.text(0, i+2, plain, line)
		}
		v.screen.Show()
		return
	}
	r := v.result()
	v.drawHead(r, width)
	hops, verdict := lines(r), r.Verdict()
	v.drawHops(&verdict, hops, width)
	v.drawVerdict(&verdict, hops, width)
	v.screen.Show()
}

func (v *view) drawHead(r *trace.Report, width int) {
	from := hostname()
	if r.Source.IsValid() {
		from += " (" + r.Source.String() + ")"
	}
	v.text(0, 1, plain, fmt.Sprintf("%s -> %s (%v)", from, v.host, v.dst))
	if now := time.Now().Format("2006-01-02T15:04:05-0700"); len(from)+len(v.host)+len(v.dst.String())+8+len(now) < width {
		v.text(width-len(now), 1, plain, now)
	}
	x := 0
	for _, part := range []string{"Keys:  ", "*H", "elp   ", "*D", "isplay mode   ", "*R", "estart statistics   ", "*q", "uit"} {
		style := plain
		if rest, ok := strings.CutPrefix(part, "*"); ok {
			part, style = rest, bold
		}
		v.text(x, 2, style, part)
		x += len(part)
	}
	if v.paused {
		v.text(1, 3, bold, "Paused: space goes on")
	}
}

// layout returns the columns to show and where they and the chart begin.
func (v *view) layout(width int) (fields []field, numbers, chart int) {
	fields = v.fields
	switch v.mode {
	case 1:
		return nil, width, min(width, max(20, width*2/5))
	case 2:
		fields, _ = fieldsOf("LSN")
	}
	for len(fields) > 1 && columnsWidth(fields) > width-16 {
		fields = fields[:len(fields)-1]
	}
	sum := columnsWidth(fields)
	if v.mode == 2 {
		numbers = max(16, width*2/5-sum/2)
		return fields, numbers, numbers + sum + 1
	}
	return fields, width - sum, width
}

func columnsWidth(fields []field) (sum int) {
	for _, f := range fields {
		sum += f.width
	}
	return sum
}

func (v *view) drawHops(verdict *trace.Verdict, hops []hop, width int) {
	fields, numbers, chart := v.layout(width)
	v.text(1, 4, bold, "Host")
	if v.mode == 0 {
		if pings := strings.Index(header(fields), "Last"); pings > 10 {
			v.text(numbers+3, 3, bold, "Packets")
			v.text(numbers+pings+10, 3, bold, "Pings")
		}
	}
	v.text(numbers, 4, bold, header(fields))
	if chart < width {
		v.text(chart, 4, bold, fmt.Sprintf("Last %d pings", width-chart))
	}
	rows := v.rows(verdict, hops, min(numbers, chart)-1)
	v.scroll = max(0, min(v.scroll, len(rows)-v.page()))
	bars := v.bars(hops, width-chart)
	for y, row := range rows[v.scroll:] {
		if y >= v.page() {
			break
		}
		v.text(0, headLines+y, row.style, row.text)
		if row.hop == nil {
			continue
		}
		v.text(numbers, headLines+y, plain, values(fields, row.hop))
		for x, c := range bars.line(row.hop.TTL) {
			style := plain
			if c == '?' && v.color {
				style = style.Foreground(tcell.ColorRed)
			}
			v.screen.SetContent(chart+x, headLines+y, c, nil, style)
		}
	}
	if bars.most > 0 {
		_, height := v.screen.Size()
		v.text(0, height-footLines, plain, fmt.Sprintf("Scale: %c to %.1f ms … %c %.1f ms   ? no answer",
			blocks[0], ms(bars.most)/float64(len(blocks)), blocks[len(blocks)-1], ms(bars.most)))
	}
}

// row is a line of the list of hops; those of further addresses and of labels
// have no hop.
type row struct {
	text  string
	style tcell.Style
	hop   *hop
}

func (v *view) rows(verdict *trace.Verdict, hops []hop, width int) (rows []row) {
	lossy := map[int]bool{}
	for _, h := range verdict.Hops {
		lossy[h.TTL] = h.State == trace.HopLossy
	}
	for i := range hops {
		h := &hops[i]
		name, others := v.who(h)
		style := plain
		switch {
		case len(h.Responders) == 0:
			name = "(waiting for reply)"
		case lossy[h.TTL] && v.color:
			style = style.Foreground(tcell.ColorRed)
		}
		if *v.info >= 0 {
			name = v.column(h.first()) + name
		}
		rows = append(rows, row{pad(fmt.Sprintf("%2d. %s", h.TTL, name), width), style, h})
		rows = v.labels(rows, h, 0, width)
		for j, o := range others {
			rows = append(rows, row{pad("    "+v.name(o.Addr), width), plain, nil})
			rows = v.labels(rows, h, j+1, width)
		}
	}
	return rows
}

func (v *view) labels(rows []row, h *hop, i, width int) []row {
	if !*v.mpls || i >= len(h.Responders) {
		return rows
	}
	for _, l := range h.Responders[i].Labels {
		rows = append(rows, row{pad("    [MPLS: "+label(l)+"]", max(width, 45)), plain, nil})
	}
	return rows
}

// bars are the charts of all hops, on one scale.
type bars struct {
	times map[int][]time.Duration
	most  time.Duration
}

func (v *view) bars(hops []hop, n int) bars {
	b := bars{times: map[int][]time.Duration{}}
	if n <= 0 {
		return b
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	newest := 0
	for _, c := range v.charts {
		newest = max(newest, c.newest)
	}
	for _, h := range hops {
		if c := v.charts[h.TTL]; c != nil {
			b.times[h.TTL] = c.last(min(n, chartLen), newest)
			for _, d := range b.times[h.TTL] {
				b.most = max(b.most, d)
			}
		}
	}
	return b
}

func (b bars) line(ttl int) (line []rune) {
	for _, d := range b.times[ttl] {
		line = append(line, spark(d, b.most))
	}
	return line
}

// drawVerdict says at the bottom what it means, as far as there is room.
func (v *view) drawVerdict(verdict *trace.Verdict, hops []hop, width int) {
	if len(hops) == 0 {
		return
	}
	_, height := v.screen.Size()
	y := height - footLines
	if v.mode != 0 {
		y++ // the scale is there
	}
	for _, line := range wrap(strings.Join(verdict.Sentences(), " "), width) {
		if y >= height {
			return
		}
		v.text(0, y, plain, line)
		y++
	}
}

// wrap breaks text into lines at spaces.
func wrap(s string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
