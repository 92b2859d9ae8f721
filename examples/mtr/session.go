package main

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// watcher is what [trace.UDP], [trace.TCP] and [trace.ICMP] do.
type watcher interface {
	Watch(ctx context.Context, dst netip.Addr, o *trace.WatchOptions) iter.Seq2[trace.Probe, error]
}

// hop is a line of the report.
type hop struct{ trace.HopStats }

func (h *hop) dropped() uint64 { return h.Sent - h.Received }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// session is a watch and what it has found so far.
type session struct {
	*settings
	host    string
	dst     netip.Addr
	started time.Time
	plain   bool       // addresses in spite of names
	as      *cli.Names // autonomous systems; nil: none

	mu     sync.Mutex
	names  *cli.Names   // nil: addresses only
	past   trace.Report // of watches that were paused
	now    trace.Report
	charts map[int]*chart // by TTL; nil: nobody looks
	err    error          // that ended the watch
	idle   bool           // the watch is over
}

// watch goes on until the rounds are over or ctx ends. Each, if given, sees
// every probe.
func (w *session) watch(ctx context.Context, each func(trace.Probe)) {
	err := w.probe(ctx, each)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = true
	if ctx.Err() == nil {
		w.err = err
	}
}

func (w *session) probe(ctx context.Context, each func(trace.Probe)) error {
	for p, err := range w.tracer().Watch(ctx, w.dst, &w.wo) {
		if err != nil {
			return err
		}
		w.add(p)
		if each != nil {
			each(p)
		}
		// Nothing at all gets out: the rest will not either.
		if p.Outcome == trace.OutcomeNotSent && p.Round == 1 && p.TTL == *w.first {
			return errors.New(p.Err)
		}
	}
	return nil
}

func (w *session) add(p trace.Probe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now.Add(p)
	if w.names != nil && p.From.IsValid() {
		w.names.Host(p.From)
	}
	if w.as != nil && p.From.IsValid() {
		w.as.Host(p.From)
	}
	if w.charts == nil || p.Late {
		return
	}
	c := w.charts[p.TTL]
	if c == nil {
		c = &chart{}
		w.charts[p.TTL] = c
	}
	c.add(w.past.Rounds+p.Round, p.Reply)
}

// result returns what there is so far.
func (w *session) result() *trace.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &trace.Report{}
	r.Merge(&w.past)
	r.Merge(&w.now)
	return r
}

// lines are the hops of a report.
func lines(r *trace.Report) []hop {
	var out []hop
	for _, h := range r.Hops() {
		out = append(out, hop{h})
	}
	return out
}

// who names the one that answered last at a hop, and returns the others.
func (w *session) who(h *hop) (name string, others []trace.Responder) {
	if len(h.Responders) == 0 {
		return "???", nil
	}
	return w.name(h.Responders[0].Addr), h.Responders[1:]
}

func (w *session) name(a netip.Addr) string {
	if w.names == nil || w.plain {
		return a.String()
	}
	name := w.names.Host(a)
	switch {
	case name == "":
		return a.String()
	case *w.both:
		return cli.Escape(name) + " (" + a.String() + ")"
	}
	return cli.Escape(name)
}

// system is what -z or -y shows of an address, as far as it is known.
func (w *session) system(a netip.Addr) string {
	what := hops.Origin(max(0, *w.info))
	if w.as != nil && a.IsValid() {
		if s := what.Of(w.as.Host(a)); s != "" {
			return cli.Escape(s)
		}
	}
	if what == hops.OriginAS {
		return "AS???"
	}
	return "???"
}

// column is that and blanks up to the name. What is too long is not cut: a part of
// a number or a prefix is another one.
func (w *session) column(a netip.Addr) string {
	s := w.system(a)
	return pad(s, max(w.infoWidth(), utf8.RuneCountInString(s)+1))
}

// infoWidth is how wide that is, if there is room.
func (w *session) infoWidth() int { return infoWidths[max(0, *w.info)] }

// first is the address of the last answer at a hop.
func (h *hop) first() netip.Addr {
	if len(h.Responders) == 0 {
		return netip.Addr{}
	}
	return h.Responders[0].Addr
}

// patience is how long a report waits for names.
const patience = 500 * time.Millisecond

func (w *session) waitForNames() {
	if w.names != nil {
		w.names.Wait(patience)
	}
	if w.as != nil {
		w.as.Wait(patience)
	}
}
