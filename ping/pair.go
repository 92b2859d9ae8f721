package ping

import "runtime"

// pair is the second goroutine of a run that sends as fast as it can: while
// one sends a part of a batch through its socket, the other does so through
// another, and takes in what has come. Sending is most of the work, since the
// kernel does the whole way down to the device in it.
//
// Neither waits for the other: where the processors are busy with something
// else, the second may be kept from running for milliseconds.
type pair struct {
	box   outbox
	work  chan half
	done  chan half
	given uint64             // halves, in all
	under uint64             // those of them that are not completed
	bufs  [pairDepth][]probe // what the last of them are made of
}

// pairDepth is how many halves the second goroutine may have before it.
const pairDepth = 2

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
	p := &pair{box: outbox{sender: 1, free: true, unstamped: r.box.unstamped}, work: make(chan half, pairDepth), done: make(chan half, pairDepth)}
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
// when the run is over. While the second has enough to do, the first sends them
// all.
func (r *run) putBoth(v6 bool, ps []probe) bool {
	if !r.collect() {
		return false
	}
	if p := r.pair; p.under < pairDepth {
		buf := &p.bufs[p.given%pairDepth]
		*buf = append((*buf)[:0], ps[len(ps)/2:]...)
		ps = ps[:len(ps)/2]
		p.given++
		p.under++
		p.work <- half{v6: v6, ps: *buf}
	}
	return r.putAll(v6, ps, 0, nil)
}

// collect completes the halves that the second goroutine is done with, and
// reports false when the run is over.
func (r *run) collect() bool {
	for p := r.pair; p != nil && p.under > 0; {
		select {
		case h := <-p.done:
			if !r.complete(h) {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// collectAll waits for what the second goroutine is at, and sends itself what
// that has not begun with.
func (r *run) collectAll() bool {
	for p := r.pair; p != nil && p.under > 0; {
		var h half
		select {
		case h = <-p.work:
		case h = <-p.done:
		}
		if !r.complete(h) {
			return false
		}
	}
	return true
}

func (r *run) complete(h half) bool {
	r.pair.under--
	return r.putAll(h.v6, h.ps, h.n, h.err)
}

// recall keeps the second goroutine from beginning with anything more.
func (r *run) recall() {
	for {
		select {
		case <-r.pair.work:
		default:
			return
		}
	}
}
