package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Progress is one line on standard error that tells how far long work is, with
// a bar and an estimate. It shows only on a terminal; anywhere else every
// method does nothing. It is safe for concurrent use.
type Progress struct {
	w     io.Writer
	label string
	now   func() time.Time

	mu    sync.Mutex
	done  int
	total int
	start time.Time
	drawn time.Time
	shown bool
}

// redrawEvery bounds how much of a terminal's time a progress line takes.
const redrawEvery = 100 * time.Millisecond

// NewProgress returns the line for work of total steps; 0 is not known.
func NewProgress(w io.Writer, label string, total int) *Progress {
	if !IsTerminal(w) || os.Getenv("TERM") == "dumb" {
		w = nil
	}
	return newProgress(w, label, total, time.Now)
}

func newProgress(w io.Writer, label string, total int, now func() time.Time) *Progress {
	return &Progress{w: w, label: label, total: total, now: now, start: now()}
}

// Add counts n steps more and redraws the line if it is time.
func (p *Progress) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.redraw()
}

// Set says how far the work is, and of how much.
func (p *Progress) Set(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = done, total
	p.redraw()
}

// Clear takes the line away: at the end, and before a line of data is printed
// on the same terminal. The next Add draws it again.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		io.WriteString(p.w, "\r\x1b[K")
		p.shown, p.drawn = false, time.Time{}
	}
}

func (p *Progress) redraw() {
	if p.w == nil {
		return
	}
	now := p.now()
	if now.Sub(p.drawn) < redrawEvery {
		return
	}
	p.drawn, p.shown = now, true
	line := []rune(p.line(now.Sub(p.start)))
	io.WriteString(p.w, "\r\x1b[K"+string(line[:min(len(line), Width(p.w)-1)]))
}

func (p *Progress) line(elapsed time.Duration) string {
	const width = 24
	label := Escape(p.label)
	if p.total <= 0 {
		return fmt.Sprintf("%s  %d  %s", label, p.done, elapsed.Round(time.Second))
	}
	part := min(1, max(0, float64(p.done)/float64(p.total)))
	full := int(part * width)
	line := fmt.Sprintf("%s  [%s%s] %3d%%  %d/%d", label,
		strings.Repeat("#", full), strings.Repeat(".", width-full), int(part*100), p.done, p.total)
	if p.done > 0 && p.done < p.total {
		left := time.Duration(float64(elapsed) * (1 - part) / part)
		line += "  " + left.Round(time.Second).String() + " left"
	}
	return line
}
