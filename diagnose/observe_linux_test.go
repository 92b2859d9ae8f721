package diagnose_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/sockets"
)

// sampled plays a card: the second sample is what change makes of the first.
type sampled struct {
	first  link.Snapshot
	change func(*link.Snapshot)
	taken  map[string]int
}

func (s *sampled) Sample(_ context.Context, name string) (link.Snapshot, error) {
	s.taken[name]++
	snap := s.first
	snap.Link.Name, snap.Link.Index, snap.Time = name, 2, time.Unix(int64(s.taken[name]), 0)
	if s.taken[name] > 1 && s.change != nil {
		s.change(&snap)
	}
	return snap, nil
}

// TestLinkFindings holds what package link finds to become a cause that
// degrades, at the interface of the path, and what is no fault not to.
func TestLinkFindings(t *testing.T) {
	t.Parallel()
	modes := func(m link.LinkModes) link.Snapshot {
		return link.Snapshot{Report: &link.EthtoolReport{Settings: link.Settings{Modes: &m}}}
	}
	for name, c := range map[string]struct {
		first  link.Snapshot
		change func(*link.Snapshot)
		want   diagnose.Code
	}{
		"sound":      {first: modes(link.LinkModes{Speed: 1000, Duplex: link.DuplexFull, Autoneg: true})},
		"drops":      {change: func(s *link.Snapshot) { s.Link.Counters.RxDropped += 9 }},
		"old errors": {first: link.Snapshot{Link: link.Link{Counters: link.Counters{RxErrors: 1000, RxCRCErrors: 1000}}}},
		"one change": {change: func(s *link.Snapshot) { s.Link.CarrierChanges++ }},
		"errors":     {change: func(s *link.Snapshot) { s.Link.Counters.RxCRCErrors += 3 }, want: diagnose.LinkErrors},
		"flapping":   {change: func(s *link.Snapshot) { s.Link.CarrierChanges += 4 }, want: diagnose.LinkFlapping},
		"half duplex": {
			first: modes(link.LinkModes{Speed: 100, Duplex: link.DuplexHalf, Autoneg: true}), want: diagnose.LinkHalfDuplex,
		},
		"duplex mismatch": {
			first:  modes(link.LinkModes{Speed: 100, Duplex: link.DuplexHalf, Autoneg: true}),
			change: func(s *link.Snapshot) { s.Link.Counters.TxWindowErrors += 5 }, want: diagnose.LinkDuplexMismatch,
		},
		"clock": {
			first: modes(link.LinkModes{Speed: 1000, Duplex: link.DuplexFull, MasterState: link.MasterStateError}), want: diagnose.LinkClock,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			tools := diagnose.Tools{Samples: &sampled{first: c.first, change: c.change, taken: map[string]int{}}}
			r, err := runIn(t, t.Context(), n.client, n.target(), diagnose.Options{Tools: tools})
			if err != nil {
				t.Fatal(err)
			}
			found := slices.IndexFunc(r.Causes, func(f diagnose.Finding) bool { return f.Code == c.want })
			if !r.Verdict.Reached || c.want == "" && len(r.Causes) > 0 || c.want != "" && found < 0 {
				t.Fatalf("got %v, want %q\n%s", codesOf(r.Causes), c.want, dump(r))
			}
			if found >= 0 && (r.Causes[found].Where.Iface != n.clientIf || r.Causes[found].Severity != diagnose.Degraded) {
				t.Errorf("got %+v", r.Causes[found])
			}
		})
	}
}

// counting plays the counters of the network stack.
type counting struct {
	name string
	step int64
	read int64
	err  error
}

func (c *counting) Counters(context.Context) ([]sockets.CounterGroup, error) {
	c.read++
	return []sockets.CounterGroup{{Name: "TcpExt", Counters: []sockets.Counter{{Name: c.name, Value: 100 + c.step*c.read}}}}, c.err
}

// TestCounters blames memory when it ran short during the run, not before.
func TestCounters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		counters counting
		want     []diagnose.Code
	}{
		"long ago":   {counting{name: "TCPAbortOnMemory"}, nil},
		"now":        {counting{name: "TCPAbortOnMemory", step: 2}, []diagnose.Code{diagnose.StackMemory}},
		"unreadable": {counting{name: "TCPAbortOnMemory", step: 2, err: errors.New("no /proc")}, nil},
		// Packets of others may be dropped while the goal is reached.
		"reverse path": {counting{name: "IPReversePathFilter", step: 2}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := build(t, 1)
			for _, target := range []string{n.target(), ""} {
				counters := c.counters
				r, err := runIn(t, t.Context(), n.client, target, diagnose.Options{
					Tools: diagnose.Tools{Counters: &counters}, ResolvConf: resolvConf(t, n),
				})
				if err != nil || !slices.Equal(codesOf(r.Causes), c.want) {
					t.Errorf("%q: got %v, %v, want %v\n%s", target, codesOf(r.Causes), err, c.want, dump(r))
				}
			}
		})
	}
}
