package ping

import (
	"errors"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// Two goroutines send, and the kernel refuses packets, has no room for them or
// takes them, as it comes: every host has one outcome, its own, and what was
// refused is told as this host's doing.
func TestTwoSendersAndFailures(t *testing.T) {
	for _, size := range []int{56, -1} {
		w := &wireTime{}
		e := w.engine(t, &Options{Size: size})
		rng := rand.New(rand.NewPCG(1, 2))
		w.sendErr = func(p icmpsock.Packet) error {
			switch p.Dst.As4()[3] % 8 {
			case 3:
				return syscall.EPERM
			case 4:
				return syscall.EMSGSIZE
			}
			if rng.IntN(50) == 0 {
				return icmpsock.ErrFull
			}
			return nil
		}
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			if p.Dst.As4()[3]%8 == 5 {
				return nil
			}
			return []answer{{after: time.Duration(rng.IntN(2000)) * time.Microsecond, msg: reply(e, p)}}
		}
		hosts := crowd(8_000)
		want, got := map[Outcome]int{}, map[Outcome]int{}
		for _, a := range hosts {
			want[outcomeOf(a)]++
		}
		seen := map[netip.Addr]bool{}
		for r, err := range e.Sweep(t.Context(), slices.Values(hosts), &SweepOptions{Rate: -1, Retries: 1}) {
			if err != nil || seen[r.Target] || r.Outcome != outcomeOf(r.Target) {
				t.Fatalf("%+v, %v, seen %t", r, err, seen[r.Target])
			}
			seen[r.Target] = true
			got[r.Outcome]++
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("size %d (-want +got):\n%s", size, d)
		}
	}
}

// outcomeOf is what becomes of a host in the test above.
func outcomeOf(a netip.Addr) Outcome {
	switch a.As4()[3] % 8 {
	case 3, 4:
		return OutcomeLocalError
	case 5:
		return OutcomeTimeout
	}
	return OutcomeReply
}

// A send buffer that never has room does not hold a sweep or a stream up for
// ever, and is no loss.
func TestNeverRoom(t *testing.T) {
	w := &wireTime{sendErr: func(p icmpsock.Packet) error {
		if p.Dst == host4 {
			return nil
		}
		return icmpsock.ErrFull
	}}
	e := w.engine(t, nil)
	honest(w, e, time.Millisecond)
	hosts := append(addrs(2), host4)
	count := func(seq iter.Seq2[Result, error]) map[Outcome]int {
		got := map[Outcome]int{}
		for r, err := range seq {
			if err != nil || (r.Outcome == OutcomeReply) != (r.Target == host4) || (r.Err == icmpsock.ErrFull.Error()) != (r.Target != host4) {
				t.Fatalf("%+v, %v", r, err)
			}
			got[r.Outcome]++
		}
		return got
	}
	want := map[Outcome]int{OutcomeLocalError: 2, OutcomeReply: 1}
	if d := cmp.Diff(want, count(e.Sweep(t.Context(), slices.Values(hosts), &SweepOptions{Rate: -1}))); d != "" {
		t.Error("sweep (-want +got):\n", d)
	}
	if d := cmp.Diff(want, count(e.Stream(t.Context(), hosts, &StreamOptions{Count: 1}))); d != "" {
		t.Error("stream (-want +got):\n", d)
	}
}

// Closing an engine while sweeps, streams and pings send through it ends them
// with net.ErrClosed, and nothing is sent through closed sockets.
func TestCloseWhileSending(t *testing.T) {
	for range 20 {
		w := &wireTime{}
		e := w.engine(t, nil)
		begun := make(chan struct{}, 100_000)
		w.sendErr = func(icmpsock.Packet) error {
			if w.closed {
				t.Error("sent after closing")
			}
			select {
			case begun <- struct{}{}:
			default:
			}
			return nil
		}
		honest(w, e, time.Millisecond)
		var wg sync.WaitGroup
		ended := func(err error) {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("ended with %v", err)
			}
		}
		wg.Go(func() {
			var last error
			for _, last = range e.Sweep(t.Context(), Hosts(netip.MustParsePrefix("10.0.0.0/8")), &SweepOptions{Rate: -1}) {
			}
			ended(last)
		})
		wg.Go(func() {
			var last error
			for _, last = range e.Stream(t.Context(), addrs(10), &StreamOptions{Interval: -1}) {
			}
			ended(last)
		})
		wg.Go(func() {
			for {
				if _, err := e.Ping(t.Context(), host4); err != nil {
					ended(err)
					return
				}
			}
		})
		for range 1000 {
			<-begun
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}
