package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// plot is one line on a terminal: the latest times as bars, losses as "!", ICMP
// errors as "E". Bars grow with the logarithm of the time, from the shortest to
// the longest that is shown, or to twice the shortest: what hardly changes is
// to look so.
type plot struct {
	w     io.Writer
	ascii bool            // the terminal has no block characters
	last  []time.Duration // negative is no reply
}

const (
	lost   = -1 * time.Nanosecond
	failed = -2 * time.Nanosecond
)

var (
	bars      = []rune("▁▂▃▄▅▆▇█")
	asciiBars = []rune("_.-~=+*#")
)

func (p *plot) add(r *ping.Result) {
	if p == nil {
		return
	}
	d := r.RTT
	switch r.Outcome {
	case ping.OutcomeReply:
	case ping.OutcomeTimeout, ping.OutcomeCorrupted:
		d = lost
	case ping.OutcomeICMPError, ping.OutcomeLocalError:
		d = failed
	default:
		return
	}
	p.last = append(p.last, d)
	if room := max(10, cli.Width(p.w)-24); len(p.last) > room {
		p.last = p.last[len(p.last)-room:]
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", p.line())
}

func (p *plot) line() string {
	least, most := time.Duration(math.MaxInt64), time.Duration(0)
	for _, d := range p.last {
		if d >= 0 {
			least, most = min(least, d), max(most, d)
		}
	}
	set, between := bars, "…"
	if p.ascii {
		set, between = asciiBars, ".."
	}
	line := make([]rune, len(p.last))
	for i, d := range p.last {
		switch {
		case d == lost:
			line[i] = '!'
		case d < 0:
			line[i] = 'E'
		default:
			line[i] = set[level(d, least, most)]
		}
	}
	if most == 0 {
		return string(line)
	}
	return fmt.Sprintf("%s %s%s%s ms", string(line), millis(least), between, millis(most))
}

// level places a time among the bars.
func level(d, least, most time.Duration) int {
	span := math.Log(float64(most+1) / float64(least+1))
	span = max(span, math.Ln2)
	return int(math.Log(float64(d+1)/float64(least+1)) / span * float64(len(bars)-1))
}

// end leaves the line as it is.
func (p *plot) end() {
	if p != nil && len(p.last) > 0 {
		fmt.Fprintln(p.w)
	}
}
