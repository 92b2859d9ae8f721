package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/trace"
)

// quote makes text safe inside an attribute: a name server may say anything.
var quote = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

// printXML prints a report as the classic does with --xml.
func (w *session) printXML(out io.Writer, r *trace.Report) {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n")
	fmt.Fprintf(&b, "<MTR SRC=\"%s\" DST=\"%s\" TOS=\"0x%X\" PSIZE=\"%d\" BITPATTERN=\"0x00\" TESTS=\"%d\">\n",
		quote.Replace(hostname()), quote.Replace(cli.Escape(w.host)), *w.tos, w.bytes(), r.Rounds)
	all := lines(r)
	for i := range all {
		name, _ := w.who(&all[i])
		fmt.Fprintf(&b, "    <HUB COUNT=\"%d\" HOST=\"%s\">\n", all[i].TTL, quote.Replace(name))
		for _, f := range w.fields {
			if f.key == ' ' {
				continue
			}
			tag := strings.TrimSuffix(f.title, "%")
			fmt.Fprintf(&b, "        <%s>%s</%s>\n", tag, fmt.Sprintf(f.format, f.value(&all[i])), tag)
		}
		b.WriteString("    </HUB>\n")
	}
	b.WriteString("</MTR>\n")
	io.WriteString(out, b.String())
}
