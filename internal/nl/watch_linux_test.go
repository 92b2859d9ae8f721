package nl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The types of the words' table: "key=value" is there, "key" has gone.
const (
	wordAdded   = 100
	wordDeleted = 101
)

// words is a kernel with one table, of words, that changes while it is read and
// sends notifications until its buffer is full.
type words struct {
	mu       sync.Mutex
	rng      *rand.Rand
	table    map[string]string
	queue    []datagram // notifications
	dropping bool       // until the queue has been emptied
	told     bool       // of the loss
	room     int        // notifications in the queue
	left     int        // changes that are still to come
}

// change makes a change and tells it.
func (k *words) change() {
	key := fmt.Sprint("w", k.rng.IntN(40))
	m := message(wordAdded, 0, 0, fmt.Appendf(nil, "%s=%d", key, k.rng.IntN(1000)))
	if _, ok := k.table[key]; ok && k.rng.IntN(2) == 0 {
		delete(k.table, key)
		m = message(wordDeleted, 0, 0, []byte(key+"="))
	} else {
		k.table[key] = strings.TrimRight(string(m[headerLen:]), "\x00")
	}
	if k.dropping || len(k.queue) >= k.room {
		k.dropping = true
		return
	}
	if n := len(k.queue); n > 0 && k.queue[n-1].from == 0 && k.rng.IntN(4) == 0 { // two in one datagram
		k.queue[n-1].data = append(k.queue[n-1].data, m...)
		return
	}
	k.queue = append(k.queue, one(m))
	if k.rng.IntN(10) == 0 { // somebody else's
		k.queue = append(k.queue, datagram{data: message(wordAdded, 0, 0, []byte("forged=1")), from: 4711})
	}
}

// events and dumps are its two sockets.
type wordEvents struct {
	*words
	idle func() bool // the watch has nothing left to do
}
type wordDumps struct {
	*words
	reply []datagram
}

func (k wordEvents) send(Message) (uint32, error) { return 0, nil }
func (k wordEvents) poll(b []byte) (int, uint32, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for ; k.left > 0 && k.rng.IntN(3) > 0; k.left-- {
		k.change()
	}
	if k.dropping && !k.told {
		k.told = true
		return 0, 0, unix.ENOBUFS
	}
	if len(k.queue) == 0 {
		k.dropping, k.told = false, false
		return 0, 0, unix.EAGAIN
	}
	d := k.queue[0]
	k.queue = k.queue[1:]
	if k.rng.IntN(20) == 0 && d.from == 0 { // longer than any buffer
		return copy(b, d.data) + len(b), 0, nil
	}
	return copy(b, d.data), d.from, nil
}

func (k wordEvents) recv(b []byte, _ bool) (int, uint32, error) {
	n, from, err := k.poll(b)
	if err == unix.EAGAIN {
		k.mu.Lock()
		defer k.mu.Unlock()
		if err = os.ErrDeadlineExceeded; k.left == 0 && k.idle() {
			err = errDone
		}
	}
	return n, from, err
}
func (k wordEvents) until(time.Time) {}
func (k wordEvents) interrupt()      {}
func (k wordEvents) close() error    { return nil }

func (k *wordDumps) send(m Message) (uint32, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reply = []datagram{{}}
	flags := uint16(0)
	put := func(m []byte) {
		if k.rng.IntN(5) == 0 {
			k.reply = append(k.reply, datagram{})
		}
		d := &k.reply[len(k.reply)-1]
		d.data = append(d.data, m...)
	}
	if m.Flags&flagDump == flagDump {
		for key, entry := range k.table {
			if flags = uint16(k.rng.IntN(200) / 199 * flagDumpIntr); flags != 0 && k.rng.IntN(2) == 0 {
				break // a part, which is said on the last message
			}
			put(message(wordAdded, flags, 1, []byte(entry)))
			if k.left > 0 && k.rng.IntN(4) == 0 {
				k.left--
				k.change()
			}
			_ = key
		}
	}
	put(message(typeDone, flags, 1, make([]byte, 4)))
	return 1, nil
}

func (k *wordDumps) recv(b []byte, peek bool) (int, uint32, error) {
	d := k.reply[0]
	if !peek {
		k.reply = k.reply[1:]
	}
	return max(copy(b, d.data), len(d.data)), 0, nil
}
func (k *wordDumps) poll([]byte) (int, uint32, error) { return 0, 0, unix.EAGAIN }
func (k *wordDumps) until(time.Time)                  {}
func (k *wordDumps) interrupt()                       {}
func (k *wordDumps) close() error                     { return nil }

// word is an entry of the table.
type word struct{ key, text string }

var errDone = errors.New("done")

// Whatever the kernel splits, forges, interrupts and loses, what the watch tells
// adds up to the table, and is never in contradiction with itself.
func TestWatchMirrors(t *testing.T) {
	losses := 0
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 7))
		k := &words{rng: rng, table: map[string]string{}, room: 1 + rng.IntN(50), left: rng.IntN(3000)}
		mirror, lost, synced := map[string]string{}, 0, 0
		c := Copy[string, word]{
			Parse: func(b []byte) (string, word, bool, error) {
				key, _, ok := strings.Cut(strings.TrimRight(string(b), "\x00"), "=")
				return key, word{key, strings.TrimRight(string(b), "\x00")}, ok, nil
			},
			Same: func(a, b *word) bool { return a.text == b.text },
			Tell: func(old, new *word) error {
				if old != nil && mirror[old.key] != old.text || old == nil && mirror[new.key] != "" {
					t.Fatalf("seed %d: told %v to %v, have %q", seed, old, new, mirror)
				}
				if new == nil {
					delete(mirror, old.key)
				} else {
					mirror[new.key] = new.text
				}
				return nil
			},
		}
		table := &Table{Dump: []Message{{}}, Begin: func() { c.Begin() }, End: func() error { return c.End() }, Lacking: func(error) bool { return false }}
		table.Entry = func(typ, _ uint16, body []byte, dump bool) (mine bool, err error) {
			switch {
			case dump:
				return true, c.Read(body)
			case typ == wordAdded:
				mine, _, err = c.Added(body, true)
			case typ == wordDeleted:
				mine, _, err = c.Deleted(body)
			}
			return mine, err
		}
		w := &Watch{Tables: []*Table{table}, Lost: func() error { lost++; return nil }}
		w.Synced = func() error { synced++; return nil }
		w.settle = time.Microsecond
		idle := func() bool { return !table.stale && !w.announce }
		err := w.run(t.Context(), newConn(Config{}, &wordEvents{k, idle}), newConn(Config{}, &wordDumps{words: k}))
		if err != errDone {
			t.Fatalf("seed %d: ended with %v", seed, err)
		}
		if d := cmp.Diff(k.table, mirror); d != "" {
			t.Fatalf("seed %d, %d lost: (-kernel +mirror):\n%s", seed, lost, d)
		}
		if lost > 0 && synced < 2 {
			t.Fatalf("seed %d: %d losses, synced %d times", seed, lost, synced)
		}
		losses += lost
		if c.Len() != len(mirror) {
			t.Fatalf("seed %d: %d kept, %d told", seed, c.Len(), len(mirror))
		}
	}
	if t.Logf("%d losses", losses); losses < 100 {
		t.Error("too few losses")
	}
}

func TestWatchStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &Watch{Groups: []uint32{unix.RTNLGRP_LINK}, Lost: func() error { return nil }, Synced: func() error { cancel(); return nil }}
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	boom := errors.New("boom")
	w = &Watch{Synced: func() error { return boom }}
	if err := w.Run(t.Context()); err != boom {
		t.Errorf("ended with %v", err)
	}
}

func TestChange(t *testing.T) {
	c, k := fake(t, Config{}, func(n int, seq uint32) []datagram {
		if n == 1 {
			return []datagram{one(message(typeError, flagCapped, seq, errorBody(0, make([]byte, headerLen), nil)))}
		}
		policy := AppendNested(nil, ackPolicy, func(b []byte) []byte {
			b = AppendU32(b, 1, 3)
			b = Append(b, 4, binary.NativeEndian.AppendUint64(nil, 68))
			return Append(b, 5, binary.NativeEndian.AppendUint64(nil, 65535))
		})
		tlvs := append(AppendText(AppendU32(nil, ackOffset, headerLen+8), ackMessage, "integer out of range"), policy...)
		return []datagram{one(message(typeError, flagAckTLVs|flagCapped, seq, errorBody(int32(unix.ERANGE), make([]byte, headerLen), tlvs)))}
	})
	m := Message{Type: 16, Body: AppendU32(make([]byte, 8), 4, 3)}
	if err := c.Change(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	err := c.Change(t.Context(), m)
	const want = "numerical result out of range: integer out of range (attribute 4, from 68 to 65535)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if f := k.asked[0].Flags; f != flagRequest|flagAck {
		t.Errorf("flags %#x", f)
	}
}
