package trace

import "time"

func (s *mtuSearch) pause(d time.Duration) error {
	return s.listen(func() time.Time { return time.Time{} }, s.now().Add(d))
}

// round sends probes and waits until each has its answer or its time is over.
func (s *mtuSearch) round(ps []mtuProbe) error {
	first := len(s.probes)
	for _, p := range ps {
		if err := s.emit(p); err != nil {
			return err
		}
		if err := s.listen(func() time.Time { return time.Time{} }, s.now().Add(mtuSpace)); err != nil {
			return err
		}
	}
	return s.listen(func() (until time.Time) {
		for i := range s.probes[first:] {
			if t := s.due(&s.probes[first+i]); t.After(until) {
				until = t
			}
		}
		return until
	}, time.Time{})
}

// due returns until when a probe may change its fate; zero when it cannot.
func (s *mtuSearch) due(p *mtuProbe) time.Time {
	d := min(s.o.Timeout, mtuWait+3*s.slowest)
	switch {
	case p.kind == mtuNone:
		return p.sent.Add(d)
	case p.kind == mtuTooBig && p.icmp != nil:
		return sooner(p.sent.Add(d), p.heard.Add(max(mtuToldWait, 2*s.slowest)))
	}
	return time.Time{}
}

// emit sends one probe.
func (s *mtuSearch) emit(p mtuProbe) error {
	id := len(s.probes)
	for try := range backoffs {
		p.sent = s.now()
		err := s.w.send(id, p)
		if err == nil {
			s.p.Packets++
			break
		}
		if tooLongHere(err) {
			p.kind, p.heard = mtuTooBig, p.sent
			break
		}
		if try == 2 && p.size > s.small && droppedHere(err) {
			break // lost on the way, like any other that is too long for it
		}
		if !s.w.transient(err) || try == backoffs-1 {
			return err
		}
		if err := s.pause(10 * time.Millisecond << try); err != nil {
			return err
		}
	}
	s.probes = append(s.probes, p)
	return nil
}

// listen hears answers until a time, or until the time that a function says,
// whichever is later; a zero time has come.
func (s *mtuSearch) listen(until func() time.Time, least time.Time) error {
	for {
		t := until()
		if least.After(t) {
			t = least
		}
		if !t.After(s.now()) {
			return nil
		}
		answers, err := s.w.wait(t)
		if err != nil {
			return err
		}
		for _, a := range answers {
			s.hear(a)
		}
	}
}

// hear notes an answer. What the target says counts more than what a router
// does, and any answer more than none.
func (s *mtuSearch) hear(a mtuAnswer) {
	if a.id < 0 || a.id >= len(s.probes) {
		return
	}
	p := &s.probes[a.id]
	if p.kind == mtuReached || p.kind == mtuExceeded {
		return
	}
	if p.kind != mtuNone && a.kind != mtuReached && a.kind != mtuExceeded {
		return
	}
	if p.kind == mtuTooBig && p.icmp != nil {
		s.p.Ignored = append(s.p.Ignored, *p.icmp)
	}
	p.kind, p.icmp, p.from, p.heard, p.rtt = a.kind, a.icmp, a.from, s.now(), a.rtt
	s.slowest = max(s.slowest, a.rtt)
}
