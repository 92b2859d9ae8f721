package nl

import (
	"context"
	"encoding/binary"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// datagram is what the fake kernel, or somebody who claims to be it, sends.
type datagram struct {
	data []byte
	from uint32
	late int // it grows by as many bytes after it was looked at
}

// fakeKernel is a transport that answers the nth request with answers(n, seq).
type fakeKernel struct {
	answers func(n int, seq uint32) []datagram
	long    bool // full datagrams of nothing come before each answer to a dump

	mu    sync.Mutex
	queue []datagram
	asked []Message
	// How many datagrams were received or looked at.
	received int
	stop     chan struct{} // closed by interrupt
}

// long has every fake kernel that is made begin its dumps in such a way that the
// rest of them is received ahead.
var long bool

func fake(t *testing.T, cfg Config, answers func(n int, seq uint32) []datagram) (*Conn, *fakeKernel) {
	k := &fakeKernel{answers: answers, long: long, stop: make(chan struct{})}
	cfg.Ahead = cfg.Ahead || long
	c := newConn(cfg, k)
	t.Cleanup(func() { c.Close() })
	return c, k
}

func (k *fakeKernel) send(m Message) (uint32, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, m)
	n := len(k.asked)
	seq := uint32(1000 + n)
	if k.long && m.Flags&flagDump == flagDump {
		nothing := one(message(typeNoop, 0, seq, make([]byte, bufferSize*3/4)))
		k.queue = append(k.queue, slices.Repeat([]datagram{nothing}, aheadAfter)...)
	}
	k.queue = append(k.queue, k.answers(n, seq)...)
	return seq, nil
}

func (k *fakeKernel) recv(b []byte, peek bool) (int, uint32, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.stop:
		return 0, 0, os.ErrDeadlineExceeded
	default:
	}
	if len(k.queue) == 0 {
		k.mu.Unlock()
		<-k.stop
		k.mu.Lock()
		return 0, 0, os.ErrDeadlineExceeded
	}
	k.received++
	d := &k.queue[0]
	n := len(d.data)
	if peek {
		d.data = append(d.data, make([]byte, d.late)...)
		return n, d.from, nil
	}
	from := d.from
	copy(b, d.data)
	k.queue = k.queue[1:]
	return n, from, nil
}

func (k *fakeKernel) poll(b []byte) (int, uint32, error) {
	k.mu.Lock()
	empty := len(k.queue) == 0
	k.mu.Unlock()
	if empty {
		return 0, 0, unix.EAGAIN
	}
	return k.recv(b, false)
}

func (k *fakeKernel) until(time.Time) {}

func (k *fakeKernel) interrupt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.stop:
	default:
		close(k.stop)
	}
}

func (k *fakeKernel) close() error { return nil }

// message encodes a struct nlmsghdr and a body, padded.
func message(typ, flags uint16, seq uint32, body []byte) []byte {
	e := binary.NativeEndian
	b := e.AppendUint32(nil, uint32(headerLen+len(body)))
	b = e.AppendUint16(b, typ)
	b = e.AppendUint16(b, flags)
	b = e.AppendUint32(b, seq)
	b = e.AppendUint32(b, 0)
	b = append(b, body...)
	return pad(b, len(body))
}

const (
	testType  = 16
	flagMulti = 2
)

func entry(seq uint32, text string) []byte { return message(testType, flagMulti, seq, []byte(text)) }

func done(seq uint32, flags uint16) []byte {
	return message(typeDone, flagMulti|flags, seq, make([]byte, 4))
}

// one puts messages into one datagram of the kernel.
func one(msgs ...[]byte) datagram {
	var d datagram
	for _, m := range msgs {
		d.data = append(d.data, m...)
	}
	return d
}

// collect dumps and returns the bodies as strings.
func collect(ctx context.Context, c *Conn, got *[]string) error {
	return c.Dump(ctx, Message{Type: 18}, func(typ uint16, body []byte) error {
		*got = append(*got, string(body))
		return nil
	})
}
