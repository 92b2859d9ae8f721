package trace

import "time"

// watcher carries out a watch on a wire. It asks no clock but the one given.
type watcher struct {
	o      Options
	wo     WatchOptions
	syn    bool // probes are SYNs, which the kernel repeats
	common Probe

	slots  []watchSlot // probes, used over and over; the index is a probe's number
	oldest uint        // the first that may still wait; counts on beyond the slots
	newest uint        // one more than the last that was sent

	round    int
	begun    time.Time // when the round began
	ttl      int       // the next to be sent in it
	gap      time.Duration
	deep     bool // this round looks beyond the end
	deeps    int  // how many rounds have, since the path was new
	answered [256]int

	path    watchPath
	maxRTT  time.Duration
	last    time.Time // when the last probe was sent
	hold    time.Time // back-off after a passing local shortage
	tries   int
	unclear bool // answers did not tell which probe they were for

	out []Probe
}

type watchSlot struct {
	round, ttl int
	sent       time.Time
	state      slotState
}

type slotState uint8

const (
	slotFree slotState = iota
	slotWaits
	slotDone
	slotSilent
)

// lateness is how long answers to probes that were given up are still known.
const lateness = 5 * time.Second

// quick is the longest time between probes of the first round, so that a long
// interval does not keep the path unknown.
const quick = 40 * time.Millisecond

// deepRounds is how many rounds look for the end of the path at first, and
// deepEvery which ones do later.
const deepRounds, deepEvery = 3, 10

func newWatcher(o Options, wo WatchOptions, common Probe) *watcher {
	w := &watcher{o: o, wo: wo, syn: common.Method == MethodTCP, common: common}
	w.path = watchPath{far: o.FirstTTL - 1}
	rounds := int(min((o.Timeout+lateness)/wo.Interval, 1<<16)) + 2
	n := 256
	for n < rounds*(o.MaxTTL-o.FirstTTL+1) && n < 32768 {
		n *= 2
	}
	w.slots = make([]watchSlot, n)
	return w
}

// run goes on until the rounds are over, the reader has enough or the wire has
// an error.
func (w *watcher) run(net wire, now func() time.Time, yield func(Probe) bool) error {
	until := now()
	w.begun = until
	for {
		answers, err := net.wait(until)
		if err != nil {
			return err
		}
		t := now()
		for i := range answers {
			w.hear(&answers[i], net)
		}
		wait := w.expire(t, net)
		next := w.send(t, net)
		if len(w.out) > 0 {
			for _, p := range w.out {
				if !yield(p) {
					return nil
				}
			}
			w.out = w.out[:0]
			until = now() // the reader may have taken long: answers come first
			continue
		}
		switch {
		case !next.IsZero():
			until = earliest(wait, next)
		case !wait.IsZero():
			until = wait
		default:
			return nil
		}
	}
}

// send lets the next probe out if it is due and returns when the one after it
// is; zero when none is left.
func (w *watcher) send(now time.Time, net wire) time.Time {
	due := w.due()
	if due.IsZero() || due.After(now) {
		return due
	}
	if w.round == 0 || w.ttl > w.limit() {
		w.begin(now)
	}
	id := int(w.newest % uint(len(w.slots)))
	if s := &w.slots[id]; s.state == slotWaits { // the slots are too few for such a rate
		w.giveUp(id, net)
	}
	err := net.send(id, w.ttl)
	if err != nil && net.transient(err) && w.tries < backoffs {
		w.hold = now.Add(10 * time.Millisecond << w.tries)
		w.tries++
		return w.hold
	}
	w.tries, w.last = 0, now
	w.slots[id] = watchSlot{round: w.round, ttl: w.ttl, sent: now, state: slotWaits}
	w.newest++
	w.ttl++
	if err != nil {
		w.slots[id].state = slotDone
		w.tell(&w.slots[id], notSent(err), false)
		w.ttl = 256 // the others will fare no better
		w.deeps = 0
	}
	w.skip()
	return now // look for answers before the next one
}

// due returns when the next probe may be sent, zero if there is none.
func (w *watcher) due() time.Time {
	var t time.Time
	switch {
	case w.round == 0:
		t = w.begun
	case w.ttl <= w.limit():
		t = w.begun.Add(time.Duration(w.ttl-w.o.FirstTTL) * w.gap)
	case w.wo.Rounds != 0 && w.round >= w.wo.Rounds:
		return time.Time{}
	default:
		t = w.begun.Add(w.wo.Interval)
	}
	if w.o.Rate > 0 {
		if paced := w.last.Add(time.Duration(float64(time.Second) / w.o.Rate)); paced.After(t) {
			t = paced
		}
	}
	if w.hold.After(t) {
		t = w.hold
	}
	return t
}

// begin starts a round.
func (w *watcher) begin(now time.Time) {
	w.begun = w.begun.Add(w.wo.Interval)
	if w.round == 0 || now.Sub(w.begun) > w.wo.Interval/2 {
		w.begun = now
	}
	w.round++
	w.ttl = w.o.FirstTTL
	w.deep = w.round%deepEvery == 0
	if w.path.end == 0 && w.deeps < deepRounds {
		w.deep = true
		w.deeps++
	}
	n := w.limit() - w.o.FirstTTL + 1
	w.gap = w.wo.Interval / time.Duration(max(1, n))
	if w.round == 1 { // it is not known how many hops there are
		w.gap = min(quick, w.wo.Interval/time.Duration(w.o.MaxTTL-w.o.FirstTTL+1))
	}
	w.skip()
}

// skip passes over hops that have answered in this round already, as they have
// when it began anew.
func (w *watcher) skip() {
	for w.ttl <= w.limit() && w.answered[w.ttl] == w.round {
		w.ttl++
	}
}

// limit returns the last TTL of the round, as far as the path is known now.
func (w *watcher) limit() int {
	last := w.path.end
	switch {
	case last == 0 && !w.deep:
		last = w.path.far + 1
	case last == 0 && w.o.MaxSilent < 0:
		return w.o.MaxTTL
	case last == 0:
		last = w.path.far + w.o.MaxSilent
	case w.deep && w.path.lost():
		last += max(1, w.o.MaxSilent)
	}
	return min(last, w.o.MaxTTL)
}

// expire gives up probes whose time is over and returns when the next one's
// is; zero when none waits.
func (w *watcher) expire(now time.Time, net wire) time.Time {
	for ; w.oldest < w.newest; w.oldest++ {
		id := int(w.oldest % uint(len(w.slots)))
		s := &w.slots[id]
		if s.state != slotWaits {
			continue
		}
		if d := w.deadline(s); d.After(now) {
			return d
		}
		w.giveUp(id, net)
	}
	return time.Time{}
}

// deadline returns until when a probe is waited for. It is never later than
// that of a probe sent later.
func (w *watcher) deadline(s *watchSlot) time.Time {
	d := s.sent.Add(w.o.Timeout)
	if w.wo.Grace > 0 && w.due().IsZero() {
		return sooner(d, w.last.Add(w.wo.Grace))
	}
	if w.path.end == 0 {
		return d
	}
	if w.syn && w.maxRTT < grace {
		d = sooner(d, s.sent.Add(repeat))
	}
	if w.due().IsZero() { // nothing more to send: the end of the watch
		d = sooner(d, w.last.Add(max(grace, 3*w.maxRTT)))
	}
	return d
}

func (w *watcher) giveUp(id int, net wire) {
	s := &w.slots[id]
	s.state = slotSilent
	net.forget(id)
	w.path.silent(s.ttl, s.sent)
	w.tell(s, Reply{}, false)
}

// hear takes an answer.
func (w *watcher) hear(a *answer, net wire) {
	if a.unclear {
		if !w.unclear {
			w.unclear = true
			net.split()
			w.restart(net)
		}
		return
	}
	if a.id < 0 || a.id >= len(w.slots) {
		return
	}
	s := &w.slots[a.id]
	switch s.state {
	case slotWaits:
	case slotSilent:
		s.state = slotDone
		if a.reply.Outcome.answered() {
			w.tell(s, a.reply, true)
		}
		return
	default:
		return
	}
	s.state = slotDone
	if a.reply.Outcome.answered() {
		w.answered[s.ttl] = s.round
		if w.path.answer(s.ttl, a.reply.Outcome.final(), s.sent) {
			w.deeps = 0
		}
		if a.reply.Retransmits == 0 && a.reply.Outcome != OutcomeUnreachable {
			w.maxRTT = max(w.maxRTT, a.reply.RTT)
		}
		w.skip()
	}
	w.tell(s, a.reply, false)
}

// restart begins the round anew for the hops that have not answered. What
// waits was sent in a way that does not tell answers apart, and is not counted.
func (w *watcher) restart(net wire) {
	for i := range w.slots {
		if w.slots[i].state == slotWaits {
			w.slots[i].state = slotDone
			net.forget(i)
		}
	}
	if w.round > 0 {
		w.ttl = w.o.FirstTTL
		w.skip()
	}
}

// tell hands a result on, unless it is from beyond the end of the path.
func (w *watcher) tell(s *watchSlot, r Reply, late bool) {
	if w.path.end != 0 && s.ttl > w.path.end {
		return
	}
	p := w.common
	p.Round, p.TTL, p.Sent, p.Late, p.Reply = s.round, s.ttl, s.sent, late, r
	w.out = append(w.out, p)
}

// watchPath is what a watch knows of the length of the path.
type watchPath struct {
	far    int       // highest TTL at which a router answered
	end    int       // TTL at which the path ends; 0: not known
	seen   time.Time // when the last probe was sent that the end answered
	misses int       // probes sent to it since that were given up
	missed time.Time // when the last of them was sent
}

// lost reports whether the end has been silent for so long that it may be
// elsewhere by now, and a limit of its answers' rate does not explain it.
func (p *watchPath) lost() bool {
	return p.misses >= 10 && p.missed.Sub(p.seen) >= 10*time.Second
}

// silent notes that a probe was given up. That is known later than what the
// probes sent after it found.
func (p *watchPath) silent(ttl int, sent time.Time) {
	if ttl == p.end && sent.After(p.seen) {
		p.misses++
		p.missed = sent
	}
}

// answer notes who answered, and returns whether the path has become longer.
func (p *watchPath) answer(ttl int, final bool, sent time.Time) (longer bool) {
	switch {
	case final && ttl == p.end && sent.Before(p.seen):
	case final && (p.end == 0 || ttl <= p.end || p.lost()):
		p.end, p.misses, p.seen = ttl, 0, sent
	case final:
	case p.end != 0 && ttl >= p.end:
		p.end, p.far, p.misses = 0, ttl, 0
		return true
	default:
		p.far = max(p.far, ttl)
	}
	return false
}
