package trace

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// simWatch is a wire whose probes have numbers that come again, and which
// forgets nothing: late answers arrive.
type simWatch struct{ *simNet }

func (s simWatch) forget(id int) { s.gone = append(s.gone, id) }

// watchSim watches a path in memory until the rounds are over.
func watchSim(t *testing.T, s *simNet, o Options, wo WatchOptions) (*Report, []Probe) {
	t.Helper()
	o, err := o.withDefaults(MethodICMP)
	if err != nil {
		t.Fatal(err)
	}
	wo, err = wo.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{}
	var probes []Probe
	w := newWatcher(o, wo, Probe{Target: simTarget, Method: MethodICMP})
	err = w.run(simWatch{s}, s.clock, func(p Probe) bool {
		r.Add(p)
		probes = append(probes, p)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, probes
}

// counts are sent and received by hop.
func counts(r *Report) (c [][2]uint64) {
	for _, h := range r.Hops() {
		c = append(c, [2]uint64{h.Sent, h.Received})
	}
	return c
}

// Each hop gets one probe a round, evenly, and none beyond the end once that
// is known.
func TestWatchRounds(t *testing.T) {
	s := newSim(row(5, 4*ms)...)
	start := s.now
	r, _ := watchSim(t, s, Options{}, WatchOptions{Rounds: 10})
	want := [][2]uint64{{10, 10}, {10, 10}, {10, 10}, {10, 10}, {10, 10}}
	if d := cmp.Diff(want, counts(r)); d != "" || r.Rounds != 10 || !r.Reached() {
		t.Errorf("-want +got\n%s", d)
	}
	// The last answer ends it: nine intervals, four fifths and 20 ms.
	if took := s.now.Sub(start); took != 9*time.Second+800*ms+20*ms {
		t.Errorf("took %v", took)
	}
	last := map[int]time.Time{}
	for i, p := range s.sent {
		if before, ok := last[p.ttl]; ok && p.at.Sub(before) < 800*ms {
			t.Errorf("TTL %d again after %v", p.ttl, p.at.Sub(before))
		}
		if i > 0 && p.at.Sub(s.sent[i-1].at) < 30*ms {
			t.Errorf("TTL %d %v after the one before", p.ttl, p.at.Sub(s.sent[i-1].at))
		}
		last[p.ttl] = p.at
	}
	if len(s.sent) > 51 {
		t.Errorf("%d probes sent", len(s.sent))
	}
}

// A probe is lost when its own time is over and not before; nothing waits for
// five seconds at the end.
func TestWatchDeadlines(t *testing.T) {
	hops := row(4, ms)
	hops[1].silent = true
	s := newSim(hops...)
	start := s.now
	r, probes := watchSim(t, s, Options{}, WatchOptions{Rounds: 3})
	if d := cmp.Diff([][2]uint64{{3, 3}, {3, 0}, {3, 3}, {3, 3}}, counts(r)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if took := s.now.Sub(start); took > 2*time.Second+750*ms+grace {
		t.Errorf("took %v", took)
	}
	for _, p := range probes {
		if p.TTL == 2 && (p.Outcome != OutcomeSilent || p.Round == 1 && p.Sent.After(start.Add(100*ms))) {
			t.Errorf("%+v", p)
		}
	}
	// While the watch goes on there is all the time.
	hops[1] = simHop{rtt: 3 * time.Second}
	r, _ = watchSim(t, newSim(hops...), Options{}, WatchOptions{Rounds: 10})
	if h := r.Hops()[1]; h.Received < 7 || h.Best != 3*time.Second {
		t.Errorf("slow answers: %+v", h)
	}
	// Answers that come too late are told as such.
	hops[1] = simHop{rtt: 4 * time.Second}
	r, _ = watchSim(t, newSim(hops...), Options{}, WatchOptions{Rounds: 10})
	if h := r.Hops()[1]; h.Received != 0 || h.Sent != 10 || h.Late < 6 {
		t.Errorf("late answers: %+v", h)
	}
}

// A target that never answers is looked for now and then, not all the time.
func TestWatchSilentTarget(t *testing.T) {
	hops := row(4, ms)
	hops[3].silent = true
	s := newSim(hops...)
	r, _ := watchSim(t, s, Options{}, WatchOptions{Rounds: 40})
	if d := cmp.Diff([][2]uint64{{40, 40}, {40, 40}, {40, 40}, {40, 0}}, counts(r)); d != "" || r.Reached() {
		t.Errorf("-want +got\n%s", d)
	}
	if n := len(s.sent); n > 40*4+7*10 {
		t.Errorf("%d probes", n)
	}
	// It comes up.
	hops[3].silent = false
	s = newSim(hops...)
	s.hops[3].lose = func() bool { return s.now.Before(time.Unix(1e9+20, 0)) }
	if r, _ = watchSim(t, s, Options{}, WatchOptions{Rounds: 40}); !r.Reached() || len(r.Hops()) != 4 {
		t.Errorf("%+v", r.Hops())
	}
}

// The end of the path is followed.
func TestWatchMoves(t *testing.T) {
	silent := row(7, ms)
	silent[3].silent, silent[4].silent = true, true
	for _, tt := range []struct {
		name          string
		before, after int
		then          []simHop
	}{{"longer", 4, 7, row(7, ms)}, {"shorter", 7, 4, row(4, ms)}, {"longer with silent hops", 4, 7, silent}} {
		s := newSim(row(tt.before, ms)...)
		w := simMoves{simWatch{s}, time.Unix(1e9+10, 0), tt.then}
		r := &Report{}
		o, _ := Options{}.withDefaults(MethodICMP)
		watcher := newWatcher(o, WatchOptions{Interval: time.Second, Rounds: 60}, Probe{Target: simTarget, Method: MethodICMP})
		if err := watcher.run(w, s.clock, func(p Probe) bool { r.Add(p); return true }); err != nil {
			t.Fatal(err)
		}
		hops := r.Hops()
		if len(hops) != tt.after || !r.Reached() {
			t.Fatalf("%s: %d hops", tt.name, len(hops))
		}
		if end := hops[tt.after-1]; end.Received < 10 || end.Loss > 0.1 {
			t.Errorf("%s: %+v", tt.name, end)
		}
		if h := hops[3]; !tt.then[3].silent && (h.Changes != 1 || len(h.Responders) != 2) {
			t.Errorf("%s: the change is not told: %+v", tt.name, h)
		}
	}
}

// simMoves is a path that becomes another one.
type simMoves struct {
	simWatch
	at  time.Time
	new []simHop
}

func (s simMoves) send(id, ttl int) error {
	if s.now.After(s.at) {
		s.hops = s.new
	}
	return s.simWatch.send(id, ttl)
}

// What this host does not let out is no loss, costs one probe a round and is
// tried again.
func TestWatchNotSent(t *testing.T) {
	s := newSim(row(4, ms)...)
	s.fail = func(int) error {
		if s.now.Before(time.Unix(1e9+5, 0)) {
			return errLasting
		}
		return nil
	}
	r, probes := watchSim(t, s, Options{}, WatchOptions{Rounds: 10})
	if d := cmp.Diff([][2]uint64{{5, 5}, {5, 5}, {5, 5}, {5, 5}}, counts(r)); d != "" || r.Hops()[0].NotSent != 5 {
		t.Errorf("-want +got\n%s", d)
	}
	if probes[0].Outcome != OutcomeNotSent || probes[0].Err != "lasting" {
		t.Errorf("%+v", probes[0])
	}
	// A shortage that passes delays.
	s = newSim(row(4, ms)...)
	s.fail = func(n int) error {
		if n%3 == 0 {
			return errPassing
		}
		return nil
	}
	r, _ = watchSim(t, s, Options{}, WatchOptions{Rounds: 5})
	if d := cmp.Diff([][2]uint64{{5, 5}, {5, 5}, {5, 5}, {5, 5}}, counts(r)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// Answers that do not tell which probe they are for: each probe gets its own
// socket, and nothing is counted that was sent before.
func TestWatchUnclear(t *testing.T) {
	s := newSim(row(4, 50*ms)...)
	s.shared = true
	r, _ := watchSim(t, s, Options{}, WatchOptions{Rounds: 5})
	if d := cmp.Diff([][2]uint64{{5, 5}, {5, 5}, {5, 5}, {5, 5}}, counts(r)); d != "" || s.splits != 1 {
		t.Errorf("%d splits (-want +got)\n%s", s.splits, d)
	}
}

// Probes' numbers come again without mixing up answers, at the highest rate
// and with half of them lost.
func TestWatchNumbers(t *testing.T) {
	hops := row(30, ms)
	n := 0
	for i := range hops {
		hops[i].lose = func() bool { n++; return n%2 == 0 }
	}
	s := newSim(hops...)
	r, _ := watchSim(t, s, Options{Timeout: 500 * ms}, WatchOptions{Rounds: 1200, Interval: minInterval})
	if len(s.sent) < 35000 {
		t.Fatalf("%d probes", len(s.sent))
	}
	for _, h := range r.Hops()[:29] {
		if h.Best != time.Duration(h.TTL)*ms || h.Worst != h.Best || h.Late != 0 || len(h.Responders) != 1 {
			t.Fatalf("%+v", h)
		}
		if h.Sent < 1180 || h.Sent > 1200 {
			t.Errorf("%d sent at TTL %d", h.Sent, h.TTL)
		}
	}
	if got := slices.MaxFunc(s.sent, func(a, b simSend) int { return a.id - b.id }); got.id >= 32768 {
		t.Errorf("number %d", got.id)
	}
}

// A reader that stops ends it; so does an error of the wire.
func TestWatchEnds(t *testing.T) {
	o, _ := Options{}.withDefaults(MethodICMP)
	s := newSim(row(4, ms)...)
	n := 0
	err := newWatcher(o, WatchOptions{Interval: time.Second}, Probe{}).run(simWatch{s}, s.clock, func(Probe) bool { n++; return n < 7 })
	if err != nil || n != 7 {
		t.Errorf("%d probes, %v", n, err)
	}
	s = newSim(row(4, ms)...)
	s.err = errors.New("broken")
	err = newWatcher(o, WatchOptions{Interval: time.Second}, Probe{}).run(simWatch{s}, s.clock, func(Probe) bool { return true })
	if !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
}

func TestWatchOptions(t *testing.T) {
	for _, wo := range []WatchOptions{{Interval: ms}, {Interval: -1}, {Rounds: -1}} {
		if _, err := wo.withDefaults(); err == nil {
			t.Errorf("%+v is accepted", wo)
		}
	}
	var none *WatchOptions
	if wo, err := none.withDefaults(); err != nil || wo.Interval != time.Second || wo.Rounds != 0 {
		t.Errorf("%+v, %v", wo, err)
	}
}

func BenchmarkReportAdd(b *testing.B) {
	r := &Report{}
	p := Probe{Target: netip.MustParseAddr("192.0.2.9"), TTL: 3, Reply: Reply{Outcome: OutcomeTimeExceeded, From: simAddr(3), RTT: ms}}
	for b.Loop() {
		p.Round++
		r.Add(p)
	}
}

func BenchmarkVerdict(b *testing.B) {
	m := clean(1, 30)
	m.hops[12].link = 0.05
	r := m.watch(200)
	for b.Loop() {
		r.Verdict()
	}
}
