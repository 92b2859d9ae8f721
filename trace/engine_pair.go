package trace

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// rawPair lets a second goroutine send a part of a big batch. Sending is most of
// the work, since the kernel does the whole way down to the device in it. Both
// take piece after piece until none is left, so that neither waits long for
// the other; where the processors are busy, the first sends them all.
type rawPair struct {
	net  rawNet
	two  bool // processors
	work chan struct{}
	done chan struct{}
	all  sync.WaitGroup

	// Of the batch that is being sent:
	v6   bool
	ps   []rawProbe
	next atomic.Int32 // piece that nobody has taken
	sent [rawBatch / rawPiece]rawSent
}

// rawSent is how many of a piece went out, and why the next did not.
type rawSent struct {
	n   int
	err error
}

const (
	rawPiece = 16
	// rawPairLeast is the least that is worth waking another goroutine for.
	rawPairLeast = 2 * rawPiece
)

func (p *rawPair) init(n rawNet) {
	p.net, p.two = n, runtime.GOMAXPROCS(0) > 1
	p.work, p.done = make(chan struct{}, 1), make(chan struct{}, 1)
}

// piece returns one of the pieces; none behind the last.
func (p *rawPair) piece(i int) []rawProbe {
	return p.ps[min(i*rawPiece, len(p.ps)):min((i+1)*rawPiece, len(p.ps))]
}

// send tries each piece once.
func (p *rawPair) send(v6 bool, ps []rawProbe) {
	p.v6, p.ps = v6, ps
	p.next.Store(0)
	p.work <- struct{}{}
	p.all.Go(p.join)
	p.take(0)
	select {
	case <-p.work: // it has not come, and will find nothing, or the next batch
	case <-p.done:
	}
}

// join is the second goroutine.
func (p *rawPair) join() {
	select {
	case <-p.work:
		p.take(1)
		p.done <- struct{}{}
	default:
	}
}

func (p *rawPair) take(lane int) {
	for {
		i := int(p.next.Add(1)) - 1
		piece := p.piece(i)
		if len(piece) == 0 {
			return
		}
		p.sent[i].n, p.sent[i].err = p.net.send(p.v6, piece, lane)
	}
}

// send puts probes of one family on their way.
func (e *rawEngine) send(v6 bool, ps []rawProbe, now time.Time) {
	if !e.pair.two || len(ps) < rawPairLeast {
		e.sendOn(v6, ps, rawSent{}, now)
		return
	}
	e.pair.send(v6, ps)
	for i := 0; i*rawPiece < len(ps); i++ {
		e.sendOn(v6, e.pair.piece(i), e.pair.sent[i], now)
	}
	e.pair.ps = nil
}

// sendOn notes what became of the first of these probes, and sends the others.
func (e *rawEngine) sendOn(v6 bool, ps []rawProbe, s rawSent, now time.Time) {
	for {
		for i := range ps[:s.n] {
			e.sent(&ps[i])
		}
		if ps = ps[s.n:]; len(ps) > 0 && s.err != nil {
			delete(e.flying, ps[0].token)
			e.unsent(ps[0].t, ps[0].ttl, s.err, now)
			ps = ps[1:]
		}
		if len(ps) == 0 {
			return
		}
		s.n, s.err = e.net.send(v6, ps, 0)
	}
}
