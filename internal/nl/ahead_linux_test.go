package nl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// What holds for a dump holds for the part of it that is received ahead.
func TestAhead(t *testing.T) {
	several(t)
	long = true
	defer func() { long = false }()
	for name, test := range map[string]func(*testing.T){
		"splits": TestDumpSplits, "unaligned lengths": TestUnalignedLengths, "buffer grows": TestBufferGrows, "never cut": TestNeverCut,
		"interrupted": TestInterrupted, "forgery": TestForgery, "extended ack": TestExtendedAck, "warning": TestWarning,
		"malformed": TestMalformed, "overrun": TestOverrun, "callback error": TestCallbackError,
	} {
		t.Run(name, test)
	}
}

// several has a processor for the goroutine that is ahead.
func several(t testing.TB) {
	n := runtime.GOMAXPROCS(0)
	if n == 1 {
		runtime.GOMAXPROCS(2)
		t.Cleanup(func() { runtime.GOMAXPROCS(n) })
	}
}

// numbered is a dump of n numbers in full datagrams of perDatagram, and its end.
func numbered(seq uint32, n, perDatagram int) (ds []datagram) {
	for i := range n {
		if i%perDatagram == 0 {
			ds = append(ds, datagram{})
		}
		body := make([]byte, bufferSize/perDatagram-headerLen)
		binary.NativeEndian.PutUint32(body, uint32(i))
		ds[len(ds)-1].data = append(ds[len(ds)-1].data, message(testType, flagMulti, seq, body)...)
	}
	return append(ds, one(done(seq, 0)))
}

func TestAheadInOrder(t *testing.T) {
	several(t)
	for _, n := range []int{0, 1, 39, 40, 41, 400, 4000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			c, _ := fake(t, Config{Ahead: true}, func(_ int, seq uint32) []datagram { return numbered(seq, n, 10) })
			for range 3 { // the connection can be used again
				at := 0
				err := c.Dump(t.Context(), Message{}, func(_ uint16, body []byte) error {
					if got := binary.NativeEndian.Uint32(body); got != uint32(at) {
						return fmt.Errorf("got %d, want %d", got, at)
					}
					at++
					return nil
				})
				if err != nil || at != n {
					t.Fatalf("%d of %d: %v", at, n, err)
				}
			}
		})
	}
}

// The goroutine has ended when a dump returns, wherever it is left; it has not read
// the rest, and the connection says so.
func TestAheadLeft(t *testing.T) {
	several(t)
	enough := errors.New("enough")
	for _, leave := range []int{0, 39, 40, 41, 100, 399} {
		for _, panics := range []bool{false, true} {
			c, k := fake(t, Config{Ahead: true}, func(_ int, seq uint32) []datagram { return numbered(seq, 4000, 10) })
			at := 0
			err := recovered(func() error {
				return c.Dump(t.Context(), Message{}, func(uint16, []byte) error {
					if at++; at <= leave {
						return nil
					}
					if panics {
						panic(enough)
					}
					return enough
				})
			})
			if err != enough || at != leave+1 {
				t.Fatalf("left after %d: %v after %d", leave, err, at)
			}
			k.mu.Lock()
			received := k.received
			k.mu.Unlock()
			// Each one is looked at and received.
			if most := 2 * (leave/10 + 1 + (aheadBatches+1)*aheadBatch); received > most {
				t.Errorf("left after %d: %d receptions, at most %d can be ahead", leave, received, most)
			}
			if panics {
				continue
			}
			if err := c.Dump(t.Context(), Message{}, nil); err == nil {
				t.Error("a half read connection went on")
			}
		}
	}
}

func recovered(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	return fn()
}

func TestAheadCancelled(t *testing.T) {
	several(t)
	cause := errors.New("the user has gone")
	for name, at := range map[string]int{"while it waits for the kernel": -1, "by the caller of the entry": 200} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			c, _ := fake(t, Config{Ahead: true}, func(_ int, seq uint32) []datagram {
				if at < 0 {
					time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
				}
				ds := numbered(seq, 4000, 10)
				return ds[:len(ds)-1] // and never an end
			})
			n := 0
			err := c.Dump(ctx, Message{}, func(uint16, []byte) error {
				if n++; n == at {
					cancel(cause)
				}
				return nil
			})
			if err != cause {
				t.Errorf("got %v after %d, want the cause", err, n)
			}
			// What is in the datagram at hand may still be told.
			if at > 0 && n > at+10 {
				t.Errorf("%d entries after the end", n-at)
			}
			if err := c.Dump(t.Context(), Message{}, nil); err != cause {
				t.Errorf("a broken connection went on: %v", err)
			}
		})
	}
}

// The kernel's error in the middle ends a dump, and leaves the connection whole.
func TestAheadRefused(t *testing.T) {
	several(t)
	c, _ := fake(t, Config{Ahead: true}, func(n int, seq uint32) []datagram {
		ds := numbered(seq, 500, 10)
		if n == 1 {
			ds[40] = one(message(typeError, 0, seq, errorBody(int32(syscall.ENODEV), nil, nil)))
			ds = ds[:41]
		}
		return ds
	})
	for try, want := range []struct {
		n   int
		err error
	}{{400, syscall.ENODEV}, {500, nil}} {
		n := 0
		err := c.Dump(t.Context(), Message{}, func(uint16, []byte) error { n++; return nil })
		if n != want.n || !errors.Is(err, want.err) {
			t.Errorf("try %d: %d entries, %v; want %d, %v", try, n, err, want.n, want.err)
		}
	}
}

// ends goes by the same messages as what takes them in.
func TestEnds(t *testing.T) {
	const seq = 7
	slow := func(b []byte) bool {
		for len(b) > 0 {
			h, _, rest, err := next(b)
			if err != nil || h.Seq == seq && (h.Type == typeError || h.Type == typeDone || h.Type == typeOverrun) {
				return true
			}
			b = rest
		}
		return false
	}
	rng := rand.New(rand.NewPCG(3, 4))
	seen := map[bool]int{}
	for range 20_000 {
		var b []byte
		for range rng.IntN(5) {
			typ, from := []uint16{typeNoop, typeError, typeDone, typeOverrun, testType, testType, testType, testType}[rng.IntN(8)], uint32(seq-rng.IntN(2))
			b = append(b, message(typ, 0, from, make([]byte, rng.IntN(9)))...)
		}
		if len(b) > 0 && rng.IntN(4) == 0 {
			b[rng.IntN(len(b))] ^= byte(1 << rng.IntN(8))
		}
		b = b[:len(b)-min(len(b), rng.IntN(8)*rng.IntN(2))]
		want := slow(b)
		if seen[want]++; ends(b, seq) != want {
			t.Fatalf("%x: got %v", b, !want)
		}
	}
	if len(seen) < 2 {
		t.Error("only ", seen)
	}
}
