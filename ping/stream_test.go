package ping

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// honest answers everything after so long.
func honest(w *wireTime, e *Engine, after time.Duration) {
	w.script = func(p icmpsock.Packet, _ bool) []answer { return []answer{{after: after, msg: reply(e, p)}} }
}

func addrs(n int) []netip.Addr {
	return slices.Collect(Hosts(netip.MustParsePrefix("10.0.0.0/16")))[:n]
}

// Probes to each host are an interval apart and those of all hosts are spread
// evenly over it.
func TestSchedule(t *testing.T) {
	for _, tc := range []struct {
		hosts, count int
		interval     time.Duration
	}{{1, 5, 0}, {4, 3, time.Second}, {1000, 3, time.Second}, {4000, 2, time.Second}, {3, 4, 10 * time.Millisecond}} {
		w := &wireTime{}
		e := w.engine(t, nil)
		var sent []int64
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			sent = append(sent, w.now.mono)
			return []answer{{after: time.Millisecond, msg: reply(e, p)}}
		}
		hosts := make([]netip.Addr, tc.hosts)
		for i := range hosts {
			hosts[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		}
		n := 0
		for r, err := range e.Stream(t.Context(), hosts, &StreamOptions{Count: tc.count, Interval: tc.interval}) {
			if err != nil || r.Outcome != OutcomeReply || r.Seq < 1 || r.Seq > tc.count {
				t.Fatalf("%+v, %v", r, err)
			}
			n++
		}
		interval := tc.interval
		if interval == 0 {
			interval = time.Second
		}
		if n != tc.hosts*tc.count || len(sent) != n {
			t.Errorf("%d hosts, %d times: %d outcomes of %d probes", tc.hosts, tc.count, n, len(sent))
		}
		for i, at := range sent {
			due := int64(i) * int64(interval) / int64(tc.hosts)
			if late := time.Duration(at - sent[0] - due); late < -time.Microsecond || late > 2*slowTick {
				t.Fatalf("%d hosts: probe %d is %v late", tc.hosts, i, late)
			}
		}
	}
}

func TestStreamOutcomes(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, &Options{Timeout: 1500 * time.Millisecond})
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		m := reply(e, p)
		ms := time.Millisecond
		switch p.Seq {
		case 1:
			return []answer{{after: 1200 * ms, msg: m}} // after the reply to 2
		case 2:
			return []answer{{after: 10 * ms, msg: m}, {after: 20 * ms, msg: m}}
		case 3:
			return []answer{{after: 1600 * ms, msg: m}}
		}
		return []answer{{after: 10 * ms, msg: m}}
	}
	type brief struct {
		Seq       int
		Outcome   Outcome
		Reordered bool
	}
	var got []brief
	var s Stats
	for r, err := range e.Stream(t.Context(), []netip.Addr{host4}, &StreamOptions{Count: 4}) {
		if err != nil {
			t.Fatal(err)
		}
		s.Add(&r)
		got = append(got, brief{r.Seq, r.Outcome, r.Reordered})
	}
	want := []brief{{2, OutcomeReply, false}, {2, OutcomeDuplicate, false}, {1, OutcomeReply, true}, {4, OutcomeReply, false}, {3, OutcomeTimeout, false}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got:\n", d)
	}
	if s.Sent != 4 || s.Received != 3 || s.Duplicates != 1 || s.Reordered != 1 || s.Bursts != 1 {
		t.Errorf("statistics: %+v", s.Summary())
	}
}

func TestLateInStream(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	honest(w, e, 1300*time.Millisecond)
	counts := map[Outcome]int{}
	for r, err := range e.Stream(t.Context(), []netip.Addr{host4}, &StreamOptions{Count: 5}) {
		if err != nil {
			t.Fatal(err)
		}
		counts[r.Outcome]++
		if r.Outcome == OutcomeLate && r.RTT != 1300*time.Millisecond {
			t.Errorf("late by %v", r.RTT)
		}
	}
	// The last one comes when nobody waits for it any more.
	if d := cmp.Diff(map[Outcome]int{OutcomeTimeout: 5, OutcomeLate: 4}, counts); d != "" {
		t.Error("-want +got:\n", d)
	}
}

// A flood keeps one probe a host in flight; if nothing comes back, 100 a
// second go out. An adaptive ping follows the round-trip time.
func TestFlood(t *testing.T) {
	for _, tc := range []struct {
		name       string
		o          StreamOptions
		rtt        time.Duration
		least, max int // probes in the first second
	}{
		{"flood, answers in 1 ms", StreamOptions{Interval: -1}, time.Millisecond, 999, 1001},
		{"flood, silence", StreamOptions{Interval: -1}, time.Hour, 99, 101},
		{"adaptive, answers in 50 ms", StreamOptions{Adaptive: true}, 50 * time.Millisecond, 19, 21},
		{"adaptive, silence", StreamOptions{Adaptive: true}, time.Hour, 1, 2},
	} {
		w := &wireTime{}
		e := w.engine(t, &Options{Timeout: 10 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := 0
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			if w.now.mono < int64(time.Second) {
				first++
			} else {
				cancel()
			}
			return []answer{{after: tc.rtt, msg: reply(e, p)}}
		}
		for _, err := range e.Stream(ctx, []netip.Addr{host4}, &tc.o) {
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if first < tc.least || first > tc.max {
			t.Errorf("%s: %d probes in a second, want %d to %d", tc.name, first, tc.least, tc.max)
		}
	}
}

// Breaking out, cancelling and closing end a stream with what was promised.
func TestStreamEnds(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	honest(w, e, time.Millisecond)
	n := 0
	for range e.Stream(t.Context(), addrs(10), nil) {
		if n++; n == 15 {
			break
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why := errors.New("enough")
	var last error
	for r, err := range e.Stream(ctx, addrs(3), nil) {
		if last = err; err != nil && r.Target.IsValid() {
			t.Error("a result beside the error")
		}
		cancel(why)
	}
	if last != why {
		t.Errorf("cancelled: %v", last)
	}
	for range e.Stream(t.Context(), nil, nil) {
		t.Error("a stream to nobody yields")
	}
	sent := len(w.sent) // ctx has ended: nothing more is sent
	for _, err := range e.Stream(ctx, addrs(3), nil) {
		if err != why {
			t.Errorf("ended before: %v", err)
		}
	}
	for _, err := range e.Sweep(ctx, slices.Values(addrs(3)), nil) {
		if err != why {
			t.Errorf("ended before: %v", err)
		}
	}
	if _, err := e.Ping(ctx, host4); !errors.Is(err, why) || len(w.sent) != sent {
		t.Errorf("ended before: %v, %d probes sent", err, len(w.sent)-sent)
	}
	for _, err := range e.Sweep(t.Context(), slices.Values(addrs(100)), &SweepOptions{Rate: -1}) {
		if last = err; err == nil {
			e.Close()
		}
	}
	if last == nil {
		t.Error("closed in between: no error")
	}
}

func TestSweep(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	tries := map[netip.Addr]int{}
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		tries[p.Dst]++
		switch last := p.Dst.As4()[3]; {
		case last%4 == 0, last%4 == 1 && tries[p.Dst] == 2:
			return []answer{{after: time.Millisecond, msg: reply(e, p)}}
		}
		return nil
	}
	got := map[netip.Addr]Result{}
	for r, err := range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.0.0.0/22")), &SweepOptions{Rate: -1, Retries: 2}) {
		if _, again := got[r.Target]; err != nil || again {
			t.Fatalf("%+v, %v, again %t", r, err, again)
		}
		got[r.Target] = r
	}
	if len(got) != 1022 {
		t.Errorf("%d hosts, want 1022", len(got))
	}
	for a, r := range got {
		want, seq := OutcomeTimeout, 3
		switch a.As4()[3] % 4 {
		case 0:
			want, seq = OutcomeReply, 1
		case 1:
			want, seq = OutcomeReply, 2
		}
		if r.Outcome != want || r.Seq != seq || tries[a] != seq {
			t.Fatalf("%v: %v at try %d of %d, want %v at %d", a, r.Outcome, r.Seq, tries[a], want, seq)
		}
	}
}

// The rate of a sweep holds, also after a time when the caller was away.
func TestSweepRate(t *testing.T) {
	for _, rate := range []float64{0, 50, 5000, 200_000} {
		w := &wireTime{}
		e := w.engine(t, nil)
		var sent []int64
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			sent = append(sent, w.now.mono)
			return []answer{{after: time.Microsecond, msg: reply(e, p)}}
		}
		n := 0
		for _, err := range e.Sweep(t.Context(), slices.Values(addrs(2000)), &SweepOptions{Rate: rate}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 1000 {
				w.mu.Lock()
				w.now.mono += int64(time.Second)
				w.now.real += int64(time.Second)
				w.mu.Unlock()
			}
		}
		if rate == 0 {
			rate = defaultRate
		}
		window := int64(100 * time.Millisecond)
		most := 0
		for i, j := 0, 0; i < len(sent); i++ {
			for sent[i]-sent[j] >= window {
				j++
			}
			most = max(most, i-j+1)
		}
		if limit := int(rate/10) + 6*max(1, min(batch, int(rate/1000))) + 1; most > limit {
			t.Errorf("rate %v: %d probes within 100 ms, want at most %d", rate, most, limit)
		}
	}
}

// Hosts of a family that is not there, and no host at all, are local errors
// and hold nobody up.
func TestMixedHosts(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	honest(w, e, time.Millisecond)
	hosts := []netip.Addr{host4, {}, host6, netip.MustParseAddr("::ffff:192.0.2.1"), host6, host4}
	counts := map[Outcome]int{}
	for r, err := range e.Sweep(t.Context(), slices.Values(hosts), &SweepOptions{Rate: -1}) {
		if err != nil {
			t.Fatal(err)
		}
		counts[r.Outcome]++
	}
	if d := cmp.Diff(map[Outcome]int{OutcomeReply: 5, OutcomeLocalError: 1}, counts); d != "" {
		t.Error("-want +got:\n", d)
	}
}

func TestHosts(t *testing.T) {
	for prefix, want := range map[string][]string{
		"192.0.2.0/30":        {"192.0.2.1", "192.0.2.2"},
		"192.0.2.77/31":       {"192.0.2.76", "192.0.2.77"},
		"192.0.2.1/32":        {"192.0.2.1"},
		"255.255.255.252/30":  {"255.255.255.253", "255.255.255.254"},
		"2001:db8::/127":      {"2001:db8::", "2001:db8::1"},
		"255.255.255.254/31":  {"255.255.255.254", "255.255.255.255"},
		"2001:db8::ffff/128":  {"2001:db8::ffff"},
		"ffff:ffff::ffff/128": {"ffff:ffff::ffff"},
	} {
		var got []string
		for a := range Hosts(netip.Prefix{}, netip.MustParsePrefix(prefix)) {
			got = append(got, a.String())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", prefix, d)
		}
	}
}

// While the caller is busy with one result, the kernel's buffer must not
// overflow: somebody reads.
func TestSlowCaller(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		after := time.Millisecond
		if p.Seq > 2000 {
			after = 900 * time.Millisecond // in flight while the caller is away
		}
		return []answer{{after: after, msg: reply(e, p)}}
	}
	slow := false
	for _, err := range e.Sweep(t.Context(), slices.Values(addrs(3000)), &SweepOptions{Rate: -1}) {
		if err != nil {
			t.Fatal(err)
		}
		if slow {
			continue
		}
		slow = true
		w.mu.Lock()
		w.now.mono += int64(time.Second) // for the engine, the caller has been away long
		w.now.real += int64(time.Second)
		w.queue = append(w.queue, answer{at: 1, msg: icmpsock.Message{Kind: icmpsock.Local}})
		w.mu.Unlock()
		for left := 1; left > 0; time.Sleep(time.Millisecond) {
			w.mu.Lock()
			left = len(w.queue)
			w.mu.Unlock()
		}
	}
}

func BenchmarkStream(b *testing.B) {
	w := &wireTime{}
	e := w.engine(b, nil)
	honest(w, e, 0)
	hosts := addrs(1000)
	b.ReportAllocs()
	n := 0
	b.ResetTimer()
	for _, err := range e.Stream(b.Context(), hosts, nil) {
		if err != nil {
			b.Fatal(err)
		}
		w.sent = w.sent[:0]
		if n++; n >= b.N {
			break
		}
	}
}

// What is announced as sent is what was sent: not what this host refused.
func TestAnnounced(t *testing.T) {
	w := &wireTime{sendErr: func(p icmpsock.Packet) error {
		if p.Seq == 2 {
			return errors.New("no route")
		}
		return nil
	}}
	e := w.engine(t, nil)
	honest(w, e, time.Millisecond)
	var got []string
	for r, err := range e.Stream(t.Context(), []netip.Addr{host4}, &StreamOptions{Count: 3, Sent: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r.Seq, " ", r.Outcome))
	}
	want := []string{"1 sent", "1 reply", "2 local_error", "3 sent", "3 reply"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got:\n", d)
	}
}

// Probes that are sent again keep to the rate of a sweep too.
func TestSweepRetriesRate(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, &Options{Timeout: 50 * time.Millisecond})
	var at []int64
	w.script = func(icmpsock.Packet, bool) []answer {
		at = append(at, w.now.mono)
		return nil
	}
	n := 0
	for r, err := range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.0.0.0/24")), &SweepOptions{Rate: 1000, Retries: 3}) {
		if err != nil || r.Outcome != OutcomeTimeout || r.Seq != 4 {
			t.Fatalf("%+v, %v", r, err)
		}
		n++
	}
	if n != 254 || len(at) != 4*254 {
		t.Fatalf("%d outcomes, %d probes", n, len(at))
	}
	for i := 110; i < len(at); i++ {
		if d := time.Duration(at[i] - at[i-110]); d < 100*time.Millisecond {
			t.Fatalf("110 probes in %v", d)
		}
	}
}
