package ping

import (
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// lateSecond is a network through which the second goroutine of a sweep cannot
// send before the first has sent so many probes.
type lateSecond struct {
	*wireTime
	mu    sync.Mutex
	left  int
	ready chan struct{}
}

func (l *lateSecond) Send(v6 bool, ps []icmpsock.Packet) (int, error) {
	if ps[0].ID == 1 {
		<-l.ready
	}
	l.mu.Lock()
	if ps[0].ID == 0 {
		if l.left > 0 && l.left <= len(ps) {
			close(l.ready)
		}
		l.left -= len(ps)
	}
	l.mu.Unlock()
	return l.wireTime.Send(v6, ps)
}

// A sweep goes on while its second goroutine is kept from running, and that
// one's hosts have their outcomes all the same.
func TestSweepLateSecond(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	w := &wireTime{}
	l := &lateSecond{wireTime: w, left: 2048, ready: make(chan struct{})}
	e := w.engine(t, nil)
	e.conn = l
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		if p.Dst.As4()[3]%8 == 0 {
			return nil // asked a second time
		}
		return []answer{{after: time.Microsecond, msg: reply(e, p)}}
	}
	outcomes := map[netip.Addr]Outcome{}
	for r, err := range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.0.0.0/19")), &SweepOptions{Rate: -1, Retries: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := outcomes[r.Target]; ok {
			t.Fatalf("%v has %v and %v", r.Target, o, r.Outcome)
		}
		outcomes[r.Target] = r.Outcome
		want := OutcomeReply
		if r.Target.As4()[3]%8 == 0 {
			want = OutcomeTimeout
		}
		if r.Outcome != want {
			t.Errorf("%v: %v, want %v", r.Target, r.Outcome, want)
		}
	}
	if len(outcomes) != 1<<13-2 {
		t.Errorf("%d hosts have an outcome", len(outcomes))
	}
	both := map[uint8]int{}
	for _, p := range w.sent {
		both[p.ID]++
	}
	if both[0] < 2048 || both[1] == 0 {
		t.Errorf("packets by identifier: %v", both)
	}
}

// What the second goroutine has not begun with when the loop is left is not
// sent any more.
func TestSweepLeftEarly(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	w := &wireTime{}
	e := w.engine(t, nil)
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		return []answer{{msg: reply(e, p)}}
	}
	for range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.0.0.0/16")), &SweepOptions{Rate: -1}) {
		break
	}
	sent := len(w.sent)
	if sent == 0 || sent > 8*batch {
		t.Errorf("%d probes were sent", sent)
	}
	runtime.Gosched()
	if n := len(w.sent); n != sent {
		t.Errorf("%d probes were sent after the end", n-sent)
	}
}
