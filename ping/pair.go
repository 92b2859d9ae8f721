package ping

import "runtime"

// pair is the second goroutine of a run that sends as fast as it can: while
// one sends half of a batch through its socket, so does the other through
// another. Sending is most of the work, since the kernel does the whole way
// down to the device in it.
type pair struct {
	box  outbox
	work chan half
	done chan half
}

// half is what one of the two sends.
type half struct {
	v6  bool
	ps  []probe
	n   int // that are done with
	err error
}

// double makes the run send with two goroutines where that can be: it takes
// two processors and an identifier for each goroutine.
func (r *run) double() bool {
	if runtime.GOMAXPROCS(0) < 2 || r.e.method == MethodICMPRaw {
		return false // a raw socket has all identifiers
	}
	p := &pair{box: outbox{sender: 1, free: true, unstamped: r.box.unstamped}, work: make(chan half, 1), done: make(chan half, 1)}
	r.box.free = true
	r.pair = p
	r.guard.Go(func() {
		for {
			select {
			case h := <-p.work:
				h.n, h.err = r.send(h.v6, h.ps, &p.box)
				p.done <- h
			case <-r.quit:
				return
			}
		}
	})
	return true
}

// both reports whether the second goroutine can send to a family: whether there
// is an identifier, and with it a socket, for it.
func (r *run) both(v6 bool) bool {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	return r.pair != nil && r.e.widen(v6)
}

// putBoth sends probes of one family with both goroutines and reports false
// when the run is over. What the second has not begun with when the first is
// done, because the processors are busy, the first does too.
func (r *run) putBoth(v6 bool, ps []probe) bool {
	mid := len(ps) / 2
	h := half{v6: v6, ps: ps[mid:]}
	r.pair.work <- h
	n, err := r.send(v6, ps[:mid], &r.box)
	select {
	case h = <-r.pair.work:
	case h = <-r.pair.done:
	}
	return r.putAll(v6, ps[:mid], n, err) && r.putAll(v6, h.ps, h.n, h.err)
}
