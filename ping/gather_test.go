package ping

import (
	"testing"
	"time"
)

// Without the kernel's stamps, replies to fast streams are not left to gather:
// the time in the buffer would be in the round-trip time.
func TestUnstampedDoesNotGather(t *testing.T) {
	for _, plain := range []bool{false, true} {
		w := &wireTime{plain: plain}
		e := w.engine(t, nil)
		honest(w, e, time.Millisecond)
		most := time.Duration(0)
		for r, err := range e.Stream(t.Context(), addrs(4000), &StreamOptions{Count: 2}) {
			if err != nil || r.Outcome != OutcomeReply {
				t.Fatalf("%+v, %v", r, err)
			}
			most = max(most, r.RTT)
		}
		if gathered := most > 2*time.Millisecond; gathered == plain {
			t.Errorf("no stamps %t: the longest time is %v", plain, most)
		}
	}
}

// Who comes along while the replies to a fast stream gather does not wait for that.
func TestPauseEndsForOthers(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	pinged := false
	w.pause = func() {
		if !pinged {
			pinged = true
			before := w.wakes.Load()
			e.use(1)
			if w.wakes.Load() == before {
				t.Error("the pause went on")
			}
			e.use(-1)
		}
	}
	honest(w, e, time.Millisecond)
	for _, err := range e.Stream(t.Context(), addrs(4000), &StreamOptions{Count: 1}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !pinged {
		t.Error("nothing gathered")
	}
}
