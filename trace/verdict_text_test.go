package trace

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each verdict in words.
func TestSentences(t *testing.T) {
	limited := func(m *model) {
		m.interval = 100 * ms
		for i := range len(m.hops) - 1 {
			m.hops[i].bucket = stock()
		}
	}
	for _, tt := range []struct {
		name   string
		hops   int
		rounds int
		change func(*model)
		want   []string
	}{
		{"none", 3, 100, func(*model) {}, []string{
			"No loss: the target (2001:db8::ffff) answered all 100 probes, so with 95 % confidence less than 3.0 % is lost."}},
		{"limits", 5, 100, limited, []string{
			"No loss: the target (2001:db8::ffff) answered all 100 probes, so with 95 % confidence less than 3.0 % is lost.",
			"Hops 1 to 4 limit the rate of their ICMP messages to one in 1 s. What is missing there is no loss: packets pass."}},
		{"slow", 5, 100, func(m *model) { m.hops[2].rtt = 250 * ms; m.hops[1].own = 1 }, []string{
			"No loss: the target (2001:db8::ffff) answered all 100 probes, so with 95 % confidence less than 3.0 % is lost.",
			"Hop 2 never answers, but later hops do: packets pass.",
			"Hop 3 is slow to answer, by up to 246 ms. That is no congestion: later hops answer sooner, so packets pass at once."}},
		{"real", 6, 100, func(m *model) { m.hops[3].link = 0.2 }, []string{
			"Loss: 19 % of the packets are lost (13 % to 28 % with 95 % confidence), between hop 3 (2001:db8::3) and hop 4 (2001:db8::4), or on the way back from there: from there on it lasts to the end."}},
		{"two links", 6, 200, func(m *model) { m.hops[1].link, m.hops[3].link = 0.1, 0.3 }, []string{
			"Loss: 37 % of the packets are lost (31 % to 44 % with 95 % confidence), between hop 1 (2001:db8::1) and hop 2 (2001:db8::2), or on the way back from there: from there on it lasts to the end.",
			"Between hop 3 (2001:db8::3) and hop 4 (2001:db8::4) it grows, from 8 % to 39 %."}},
		{"first link", 3, 100, func(m *model) { m.hops[0].link = 0.2; m.hops[1].own = 0.5 }, []string{
			"Loss: 19 % of the packets are lost (13 % to 28 % with 95 % confidence), between this host and hop 1 (2001:db8::1), or on the way back from there: from there on it lasts to the end.",
			"Hop 2 leaves probes without an answer that later hops give. That is no loss: packets pass."}},
		{"silent target", 4, 50, func(m *model) { m.hops[3].own = 1 }, []string{
			"No loss: hop 3 (2001:db8::3) answered all 50 probes, so with 95 % confidence less than 5.8 % is lost.",
			"2001:db8::ffff does not answer; hop 3 (2001:db8::3) is the last that does, so it works. The target may be down, or it or a firewall drops such probes: ask otherwise, by UDP, or by TCP to an open port."}},
		{"a distance", 4, 50, func(m *model) { m.hops[2].rtt, m.hops[3].rtt = 80*ms, 81*ms }, []string{
			"No loss: the target (2001:db8::ffff) answered all 50 probes, so with 95 % confidence less than 5.8 % is lost.",
			"Of the 81 ms to the end, 78 ms are spent between hop 2 (2001:db8::2) and hop 3 (2001:db8::3), always: a long way, or a queue that is never empty."}},
		{"few probes", 3, 3, func(*model) {}, []string{
			"No loss seen: the target (2001:db8::ffff) answered all 3 probes, but with so few, loss of up to 63 % may go unseen."}},
		{"masked", 3, 120, func(m *model) { m.interval = 100 * ms; m.errors = true; m.hops[2].bucket = stock() }, []string{
			"No loss up to hop 2 (2001:db8::2). The last hop that answers seems to limit how often it does: what is missing there tells nothing. Ask less often, by UDP, or by TCP to an open port."}},
		{"nothing", 3, 5, func(m *model) { m.hops[0].link = 1 }, []string{"Nothing answered."}},
	} {
		m := clean(7, tt.hops)
		tt.change(m)
		if d := cmp.Diff(tt.want, m.watch(tt.rounds).Verdict().Sentences()); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, d)
		}
	}
}

func TestRanges(t *testing.T) {
	for want, ttls := range map[string][]int{"1 to 3, 5 and 7": {1, 2, 3, 5, 7}, "1 and 2": {1, 2}, "4": {4}, "2 to 9": {2, 3, 4, 5, 6, 7, 8, 9}} {
		if got := ranges(ttls); got != want {
			t.Errorf("%v: %q, want %q", ttls, got, want)
		}
	}
}
