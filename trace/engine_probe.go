package trace

import (
	"slices"
	"time"
)

// look asks a plan what to do now.
func (e *rawEngine) look(t *tracing, now time.Time) {
	if t.done || t.out {
		return
	}
	if end := t.p.end; end != 0 && len(t.p.redo) > 0 {
		t.p.redo = slices.DeleteFunc(t.p.redo, func(ttl int) bool { return ttl > end })
	}
	s := t.p.next(now)
	t.p.gone = t.p.gone[:0] // a late answer is welcome
	switch {
	case s.done:
		e.finish(t)
	case s.ttl == 0:
		e.sleep(t, s.wait)
	case t.fail != nil:
		e.unsent(t, s.ttl, t.fail, now)
	default:
		if g := t.group; g.single && g.until.After(now) {
			e.sleep(t, g.until)
			return
		}
		if !e.allowed() {
			if !t.held {
				t.held = true
				e.held.push(t)
			}
			return
		}
		token, ok := e.draw(t)
		if !ok {
			e.unsent(t, s.ttl, errFull, now)
			return
		}
		if g := t.group; g.single {
			g.until = now.Add(grace) // it is this one's turn
		}
		e.credit--
		t.out = true
		v6 := 0
		if t.flow.dst.Is6() {
			v6 = 1
		}
		e.out[v6] = append(e.out[v6], rawProbe{t: t, flow: &t.flow, token: token, ttl: s.ttl})
	}
}

// draw takes a token that no other probe has.
func (e *rawEngine) draw(t *tracing) (uint32, bool) {
	for range 64 {
		token := uint32(e.rng.Uint64())
		switch t.flow.method {
		case MethodUDP:
			if c := uint16(token); c == 0 || c == 0xffff || token>>16 == 0 {
				continue // no checksum, one with two forms, and no identification
			}
			if t.flow.dst.Is6() {
				token = rawShort(e.mix, t.flow.dst.WithZone(""), uint16(token))
			}
		case MethodICMP:
			token = uint32(t.flow.sport)<<16 | token&0xffff
		}
		if _, taken := e.flying[token]; !taken {
			e.flying[token] = flying{t, -1}
			return token, true
		}
	}
	return 0, false
}

func (e *rawEngine) sent(s *rawProbe) {
	t := s.t
	t.tries, t.out = 0, false
	id := t.p.sent(s.ttl, s.sent)
	for len(t.tokens) < id {
		t.tokens = append(t.tokens, s.token) // of probes that were not sent
	}
	t.tokens = append(t.tokens, s.token)
	e.flying[s.token] = flying{t, id}
	if g := t.group; g.single {
		g.holder, g.id, g.until = t, id, s.sent.Add(max(grace, 3*g.rtt))
	}
	e.push(t)
}

// unsent notes a probe that this host did not let out.
func (e *rawEngine) unsent(t *tracing, ttl int, err error, now time.Time) {
	t.out = false
	if g := t.group; g.single {
		g.holder, g.until = nil, time.Time{}
	}
	if (err == errFull || e.net.transient(err)) && t.tries < backoffs {
		t.p.notBefore = now.Add(10 * time.Millisecond << t.tries)
		t.tries++
	} else {
		t.tries = 0
		t.p.answer(t.p.sent(ttl, now), notSent(err), now)
	}
	e.push(t)
}

// answer takes in one packet.
func (e *rawEngine) answer(h *heard) {
	if h.unclear && h.key == nil {
		e.puzzle(h)
		return
	}
	f, ok := e.flying[h.token]
	if !ok || f.id < 0 || !f.t.flow.sentFor(h) {
		if h.unclear {
			e.puzzle(h)
		}
		return
	}
	e.tell(f, h)
}

// sentFor reports whether what was heard can be about a probe of the flow.
func (f *rawFlow) sentFor(h *heard) bool {
	return f.method == h.method && same(f.dst, h.dst) && f.dport == h.dport && (h.key == nil || string(h.key) == string(f.key[:]))
}

// tell hands what was heard to the plan of its probe.
func (e *rawEngine) tell(f flying, h *heard) {
	t := f.t
	r, ok := h.reply(&t.flow, t.p.o.Size != 0, t.p.probes[f.id].sent, e.woken)
	if !ok {
		return
	}
	if g := t.group; g.single && g.holder == t && g.id == f.id {
		g.holder, g.until = nil, time.Time{}
		for _, o := range g.traces {
			e.push(o)
		}
	}
	t.p.answer(f.id, r, e.woken)
	e.push(t)
}

// puzzle takes in data that does not say for which probe it is. From then on
// the traces to that target together have one probe in flight.
func (e *rawEngine) puzzle(h *heard) {
	g := e.targets[rawTarget{MethodUDP, h.dst, h.dport}]
	if g == nil {
		return
	}
	if g.single {
		if t := g.holder; t != nil {
			e.tell(flying{t, g.id}, h)
		}
		return
	}
	g.single = true
	for _, t := range g.traces {
		for i := range t.p.probes {
			if p := &t.p.probes[i]; p.waiting {
				g.rtt = max(g.rtt, e.woken.Sub(p.sent))
			}
		}
		t.p.restart()
		e.push(t)
	}
	// What else comes in answer to the probes until now is ignored.
	g.until = e.woken.Add(max(grace, 2*g.rtt))
}
