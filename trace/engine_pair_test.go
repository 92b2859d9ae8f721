package trace

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// rawFake notes what is sent; every seventh packet is refused.
type rawFake struct {
	rawNet
	mu     sync.Mutex
	tokens map[uint32]int
	lanes  map[int]bool
	both   chan struct{} // closed when both goroutines send
}

var errRefused = errors.New("refused")

func (f *rawFake) send(_ bool, ps []rawProbe, lane int) (int, error) {
	f.mu.Lock()
	if f.lanes[lane] = true; len(f.lanes) == 2 && f.both != nil {
		close(f.both)
		f.both = nil
	}
	both := f.both
	f.mu.Unlock()
	if both != nil {
		<-both
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range ps {
		if f.tokens[ps[i].token]++; ps[i].token%7 == 0 {
			return i, errRefused
		}
		ps[i].sent = time.Unix(1, int64(ps[i].token))
	}
	return len(ps), nil
}

func (f *rawFake) ports() rawPorts                                    { return rawPorts{} }
func (f *rawFake) transient(error) bool                               { return false }
func (f *rawFake) asked()                                             {}
func (f *rawFake) source(d, _ netip.Addr) (netip.Addr, uint32, error) { return d, 0, nil }

// Both goroutines together send every probe once, whatever happens to its
// neighbours, and every probe has its time or its error.
func TestEnginePair(t *testing.T) {
	opt, err := EngineOptions{Rate: -1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, rawPiece, 2*rawPiece - 1, 2 * rawPiece, 2*rawPiece + 1, rawBatch - 5, rawBatch} {
		f := &rawFake{tokens: map[uint32]int{}, lanes: map[int]bool{}}
		e := newRawEngine(f, opt)
		e.pair.two = true
		if n >= rawPairLeast {
			f.both = make(chan struct{}) // neither goes on before the other is there
		}
		var ps []rawProbe
		var all []*tracing
		for i := range n {
			o, err := Options{}.withDefaults(MethodUDP)
			if err != nil {
				t.Fatal(err)
			}
			tr := &tracing{at: -1, turn: true, out: true, to: newAudience(), group: &rawGroup{}}
			tr.p = newPlan(o, netip.MustParseAddr("192.0.2.1"), false)
			token := uint32(i + 1)
			e.flying[token] = flying{tr, -1}
			ps, all = append(ps, rawProbe{t: tr, flow: &tr.flow, token: token, ttl: 1}), append(all, tr)
		}
		e.send(false, ps, time.Unix(2, 0))
		e.pair.all.Wait()
		for i, tr := range all {
			token := uint32(i + 1)
			refused := token%7 == 0
			f1, flies := e.flying[token]
			switch {
			case f.tokens[token] != 1 || tr.out || len(tr.p.probes) != 1:
				t.Errorf("%d of %d: sent %d times, %d probes", token, n, f.tokens[token], len(tr.p.probes))
			case refused != (tr.p.probes[0].reply.Outcome == OutcomeNotSent), refused == flies, flies && f1.id != 0:
				t.Errorf("%d of %d: %v, in flight %v", token, n, tr.p.probes[0].reply.Outcome, flies)
			case !refused && tr.p.probes[0].sent != time.Unix(1, int64(token)):
				t.Errorf("%d of %d: sent at %v", token, n, tr.p.probes[0].sent)
			}
		}
	}
}
