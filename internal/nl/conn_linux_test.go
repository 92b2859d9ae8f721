package nl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDumpSplits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var want []string
		for range rng.IntN(40) {
			want = append(want, fmt.Sprintf("entry %0*d", 1+rng.IntN(300), len(want)))
		}
		c, k := fake(t, Config{}, func(n int, seq uint32) []datagram {
			ds := []datagram{{}}
			put := func(m []byte) {
				if rng.IntN(3) == 0 {
					ds = append(ds, datagram{})
				}
				d := &ds[len(ds)-1]
				d.data = append(d.data, m...)
			}
			for _, w := range want {
				put(entry(seq, w))
				if rng.IntN(10) == 0 {
					put(message(typeNoop, 0, seq, nil))
				}
			}
			put(done(seq, 0))
			return ds
		})
		var got []string
		if err := collect(t.Context(), c, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		if f := k.asked[0].Flags; f != flagRequest|flagDump {
			t.Fatalf("request flags %#x", f)
		}
	}
}

func TestUnalignedLengths(t *testing.T) {
	// A message whose length is no multiple of four is followed by padding; the
	// last one in a datagram may go without.
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		last := entry(seq, "abcde")
		return []datagram{one(entry(seq, "x"), entry(seq, "yz"), last[:headerLen+5]), one(done(seq, 0))}
	})
	var got []string
	if err := collect(t.Context(), c, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"x", "yz", "abcde"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestBufferGrows(t *testing.T) {
	big := make([]byte, 5*bufferSize)
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		return []datagram{one(entry(seq, "small")), one(entry(seq, string(big))), one(done(seq, 0))}
	})
	var sizes []int
	err := c.Dump(t.Context(), Message{}, func(_ uint16, body []byte) error {
		sizes = append(sizes, len(body))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int{5, len(big)}, sizes); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNeverCut(t *testing.T) {
	// What arrives is longer than what was looked at: an error, not a part.
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		return []datagram{{data: entry(seq, "x"), late: 2 * bufferSize}}
	})
	var got []string
	if err := collect(t.Context(), c, &got); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("got %v, %v; want EMSGSIZE", got, err)
	}
	if err := collect(t.Context(), c, &got); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("the connection went on: %v", err)
	}

	c, _ = fake(t, Config{}, func(n int, seq uint32) []datagram {
		return []datagram{{data: make([]byte, maxDatagram+1)}}
	})
	if err := collect(t.Context(), c, &got); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("got %v, want EMSGSIZE", err)
	}
	if len(got) != 0 {
		t.Errorf("delivered %q", got)
	}
}

func TestInterrupted(t *testing.T) {
	// mark says in which of four messages of the nth dump the flag is; 3 is DONE.
	for _, tc := range []struct {
		name  string
		tries int
		mark  func(n, place int) bool
		dumps int
		err   error
	}{
		{"never", 0, func(n, place int) bool { return false }, 1, nil},
		{"first entry", 0, func(n, place int) bool { return n == 1 && place == 0 }, 2, nil},
		{"middle entry", 0, func(n, place int) bool { return n <= 2 && place == 1 }, 3, nil},
		{"only on DONE", 0, func(n, place int) bool { return n == 1 && place == 3 }, 2, nil},
		{"always, on DONE", 0, func(n, place int) bool { return place == 3 }, defaultTries, ErrInterrupted},
		{"always, on an entry", 7, func(n, place int) bool { return place == 2 }, 7, ErrInterrupted},
		{"one try", 1, func(n, place int) bool { return place == 3 }, 1, ErrInterrupted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			restarts := 0
			cfg := Config{Tries: tc.tries, Restart: func() { got = nil; restarts++ }}
			c, k := fake(t, cfg, func(n int, seq uint32) []datagram {
				var ds []datagram
				for place := range 4 {
					var flags uint16 = flagMulti
					if tc.mark(n, place) {
						flags |= flagDumpIntr
					}
					m := message(testType, flags, seq, fmt.Appendf(nil, "%d.%d", n, place))
					if place == 3 {
						m = done(seq, flags)
					}
					ds = append(ds, one(m))
				}
				return ds
			})
			err := collect(t.Context(), c, &got)
			if !errors.Is(err, tc.err) {
				t.Errorf("got error %v, want %v", err, tc.err)
			}
			// Whatever the error, the data is that of the last reading alone.
			n := tc.dumps
			want := []string{fmt.Sprintf("%d.0", n), fmt.Sprintf("%d.1", n), fmt.Sprintf("%d.2", n)}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if len(k.asked) != n || restarts != n-1 {
				t.Errorf("%d dumps and %d restarts, want %d and %d", len(k.asked), restarts, n, n-1)
			}
		})
	}
}

func TestForgery(t *testing.T) {
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		forged := one(entry(seq, "forged"), done(seq, 0))
		forged.from = 4711
		long := datagram{from: 4711, data: make([]byte, 3*bufferSize)}
		stale := one(entry(seq-1, "stale"), done(seq-1, flagDumpIntr))
		return []datagram{forged, long, stale, one(entry(seq, "true")), forged, one(done(seq, 0))}
	})
	var got []string
	if err := collect(t.Context(), c, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"true"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(c.buf) != bufferSize {
		t.Errorf("a stranger made the buffer grow to %d", len(c.buf))
	}
}

func errorBody(errno int32, echo []byte, tlvs []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(-errno))
	return append(append(b, echo...), tlvs...)
}

func TestExtendedAck(t *testing.T) {
	request := message(18, flagRequest, 5, make([]byte, 24))
	var tlvs []byte
	tlvs = AppendText(tlvs, ackMessage, "no such thing")
	tlvs = AppendU32(tlvs, ackOffset, 28)
	tlvs = AppendU32(tlvs, ackMissingType, 3)
	tlvs = AppendU32(tlvs, ackMissingNest, 20)
	full := &KernelError{
		Errno: syscall.ENOENT, Message: "no such thing", Offset: 28, MissingType: 3, MissingNest: 20, HasMissing: true,
	}
	for _, tc := range []struct {
		name string
		typ  uint16
		flag uint16
		body []byte
		want *KernelError
	}{
		{"bare", typeError, 0, errorBody(2, request, nil), &KernelError{Errno: syscall.ENOENT}},
		{"capped", typeError, flagCapped, errorBody(2, request[:headerLen], nil), &KernelError{Errno: syscall.ENOENT}},
		{"whole request", typeError, flagAckTLVs, errorBody(2, request, tlvs), full},
		{"capped request", typeError, flagAckTLVs | flagCapped, errorBody(2, request[:headerLen], tlvs), full},
		{"done", typeDone, flagAckTLVs, errorBody(2, nil, tlvs), full},
		{"done, not flagged", typeDone, 0, errorBody(2, nil, tlvs), &KernelError{Errno: syscall.ENOENT}},
		{"cut", typeError, flagAckTLVs, errorBody(2, request[:8], nil), &KernelError{Errno: syscall.ENOENT}},
		{"no text", typeError, flagAckTLVs, errorBody(1, request, AppendU32(nil, ackOffset, 4)), &KernelError{Errno: syscall.EPERM, Offset: 4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, dump := range []bool{true, false} {
				c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
					return []datagram{one(message(tc.typ, tc.flag, seq, tc.body))}
				})
				ask := c.Request
				if dump {
					ask = c.Dump
				}
				err := ask(t.Context(), Message{}, func(uint16, []byte) error { return nil })
				got, ok := errors.AsType[*KernelError](err)
				if !ok {
					t.Fatalf("got %v", err)
				}
				if d := cmp.Diff(tc.want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				if !errors.Is(err, tc.want.Errno) {
					t.Errorf("does not unwrap to %v", tc.want.Errno)
				}
			}
		})
	}
	const want = "no such file or directory: no such thing (request offset 28) (missing attribute 3)"
	if got := full.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWarning(t *testing.T) {
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		body := errorBody(0, nil, AppendText(nil, ackMessage, "deprecated"))
		return []datagram{one(entry(seq, "x"), message(typeDone, flagAckTLVs, seq, body))}
	})
	var got []string
	if err := collect(t.Context(), c, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"deprecated"}, c.Warnings()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRequest(t *testing.T) {
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		return []datagram{one(entry(seq, fmt.Sprint("answer ", n)))}
	})
	var got []string
	for range 2 {
		err := c.Request(t.Context(), Message{}, func(_ uint16, body []byte) error {
			got = append(got, string(body))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"answer 1", "answer 2"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMalformed(t *testing.T) {
	for name, d := range map[string]func(seq uint32) []byte{
		"short header": func(seq uint32) []byte { return entry(seq, "x")[:12] },
		"length of 0":  func(seq uint32) []byte { return make([]byte, headerLen) },
		"length of 15": func(seq uint32) []byte {
			b := entry(seq, "x")
			binary.NativeEndian.PutUint32(b, 15)
			return b
		},
		"too long": func(seq uint32) []byte {
			b := entry(seq, "x")
			binary.NativeEndian.PutUint32(b, uint32(len(b)+1))
			return b
		},
		"error without number": func(seq uint32) []byte { return message(typeError, 0, seq, []byte{1, 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram { return []datagram{{data: d(seq)}} })
			var got []string
			if err := collect(t.Context(), c, &got); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %q, %v; want ErrMalformed", got, err)
			}
		})
	}
}

func TestOverrun(t *testing.T) {
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		return []datagram{one(message(typeOverrun, 0, seq, nil))}
	})
	var got []string
	if err := collect(t.Context(), c, &got); !errors.Is(err, syscall.ENOBUFS) {
		t.Errorf("got %v, want ENOBUFS", err)
	}
}

func TestCallbackError(t *testing.T) {
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		return []datagram{one(entry(seq, "a"), entry(seq, "b"), done(seq, 0))}
	})
	boom, calls := errors.New("boom"), 0
	err := c.Dump(t.Context(), Message{}, func(uint16, []byte) error { calls++; return boom })
	if err != boom || calls != 1 {
		t.Errorf("got %v after %d calls, want boom after 1", err, calls)
	}
	if err := c.Dump(t.Context(), Message{}, nil); err == nil {
		t.Error("a half read connection went on")
	}
}

func TestCancel(t *testing.T) {
	cause := errors.New("the user has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram {
		time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		return []datagram{one(entry(seq, "a"))} // and never an end
	})
	var got []string
	if err := collect(ctx, c, &got); err != cause {
		t.Errorf("got %v, want the cause", err)
	}
	if d := cmp.Diff([]string{"a"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err := collect(t.Context(), c, &got); err != cause {
		t.Errorf("a broken connection went on: %v", err)
	}
}

func TestCancelAtTheEnd(t *testing.T) {
	// A context that ends while the last entry is looked at spoils the
	// connection, not the answer; the connection must say so.
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := fake(t, Config{}, func(n int, seq uint32) []datagram { return []datagram{one(entry(seq, "a"))} })
	err := c.Request(ctx, Message{}, func(uint16, []byte) error { cancel(); return nil })
	if err != nil {
		t.Errorf("the answer was lost: %v", err)
	}
	if err := c.Request(t.Context(), Message{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, k := fake(t, Config{}, func(n int, seq uint32) []datagram { return nil })
	var got []string
	if err := collect(ctx, c, &got); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(k.asked) != 0 {
		t.Error("asked all the same")
	}
}
