package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/examples/internal/cli"
)

// page collects the lines of a report for a terminal of some width.
type page struct {
	bytes.Buffer
	width int
	paint cli.Palette
}

// printReport prints the report on one screen, in one write.
func printReport(w io.Writer, r diagnose.Report, names map[string]string) error {
	p := &page{width: max(40, min(cli.Width(w), 110)), paint: cli.Colors(w)}
	fmt.Fprintf(p, "%s\n\n", p.paint.Bold(cli.Escape(r.Target.String())))
	p.verdict(r, names)
	fmt.Fprintln(p)
	for _, s := range r.Steps {
		p.step(s)
	}
	fmt.Fprintf(p, "%s\n", p.paint.Faint(fmt.Sprintf("%d packets sent, %.1f s", r.Cost.Packets, r.Cost.Wall.Round(100*time.Millisecond).Seconds())))
	_, err := w.Write(p.Bytes())
	return err
}

// titleWidth is the column where the details of the steps begin.
const titleWidth = 39

func (p *page) step(s diagnose.Step) {
	mark, text := p.paint.Faint("–"), "not checked: "+s.Why
	switch s.State {
	case diagnose.Yes:
		mark, text = p.paint.Green("✓"), s.Detail
	case diagnose.No:
		mark, text = p.paint.Red("✗"), s.Detail
	}
	if p.width < 2*titleWidth {
		fmt.Fprintf(p, "%s %s\n", mark, s.Title)
		p.wrap(4, text)
		return
	}
	fmt.Fprintf(p, "%s %-*s", mark, titleWidth-2, s.Title)
	p.wrapFrom(titleWidth, titleWidth, text)
}

func (p *page) verdict(r diagnose.Report, names map[string]string) {
	v := r.Verdict
	if v.Code == "" || v.Reached {
		mark := p.paint.Green("✓")
		if !v.Reached {
			mark = p.paint.Yellow("?")
		}
		fmt.Fprintf(p, "%s ", mark)
		p.wrapFrom(2, 2, v.Summary)
	}
	for i, c := range r.Causes {
		if i > 0 || v.Reached {
			fmt.Fprintln(p)
		}
		p.cause(r, i, names)
		for _, a := range r.Ambiguous {
			if a.Rivals == c.Code {
				p.labelled("or", fmt.Sprintf("%s: %s", a.Code, a.Summary))
				p.labelled("", decide(a))
			}
		}
	}
	if len(r.Causes) > 0 && len(r.Unexplained) > 0 {
		p.labelled("and", fmt.Sprintf("what fits no known cause: %v", r.Unexplained))
	}
}

func decide(f diagnose.Finding) string {
	if f.Decide == "" {
		return ""
	}
	return "to decide, " + f.Decide
}

func (p *page) cause(r diagnose.Report, i int, names map[string]string) {
	c, mark := r.Causes[i], p.paint.Red("✗")
	if c.Severity == diagnose.Degraded {
		mark = p.paint.Yellow("!")
	}
	fmt.Fprintf(p, "%s %s %s, %s\n", mark, p.paint.Bold(string(c.Code)), place(c.Where, names), c.Confidence)
	if i > 0 || !r.Verdict.Reached { // else the verdict has said it
		p.wrap(2, c.Summary)
	}
	for _, f := range r.FactsOf(c) {
		p.labelled("why", f.Detail)
		if f.Detail != "" && f.Command != "" {
			p.labelled("", p.paint.Faint("$ ")+cli.Escape(f.Command))
		}
	}
	for _, m := range r.Remedies {
		if m.Finding != i {
			continue
		}
		p.labelled("do", m.Text)
		if m.Command != "" {
			prompt := "$ "
			if m.NeedsRoot {
				prompt = "# "
			}
			p.labelled("", p.paint.Faint(prompt)+cli.Escape(m.Command))
		}
	}
}

// labelled prints "  why  text", wrapped under itself. Commands are not
// wrapped, so that they can be copied.
func (p *page) labelled(label, text string) {
	if text == "" {
		return
	}
	const indent = 7
	fmt.Fprintf(p, "  %s", p.paint.Cyan(fmt.Sprintf("%-*s", indent-2, label)))
	if label == "" && !strings.HasPrefix(text, "to decide") {
		fmt.Fprintln(p, text)
		return
	}
	p.wrapFrom(indent, indent, text)
}

func (p *page) wrap(indent int, text string) {
	p.WriteString(strings.Repeat(" ", indent))
	p.wrapFrom(indent, indent, text)
}

// wrapFrom prints text from a column on, and goes on at indent.
func (p *page) wrapFrom(column, indent int, text string) {
	for i, word := range strings.Fields(cli.Escape(text)) {
		n := utf8.RuneCountInString(word)
		if i > 0 {
			if column+1+n > p.width {
				p.WriteString("\n" + strings.Repeat(" ", indent))
				column = indent
			} else {
				p.WriteByte(' ')
				column++
			}
		}
		p.WriteString(word)
		column += n
	}
	p.WriteByte('\n')
}
