package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/icmpsock"
)

var (
	host4   = netip.MustParseAddr("192.0.2.1")
	host6   = netip.MustParseAddr("fe80::1%eth0")
	router4 = netip.MustParseAddr("192.0.2.254")
)

var equal = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(Result{}, "Sent")}

// outcomeCase is one kind of answer and the outcome it has to become.
type outcomeCase struct {
	name   string
	script func(e *Engine, p icmpsock.Packet) []answer
	want   Result
}

func outcomeCases() []outcomeCase {
	icmp := icmperr.New(router4, 3, 1)
	redirect := icmperr.New(router4, 5, 1)
	base := Result{Target: host4, Seq: 1, Method: MethodICMPDatagram, Why: "test"}
	with := func(f func(*Result)) Result { r := base; f(&r); return r }
	good := with(func(r *Result) {
		r.Outcome, r.From, r.RTT, r.Stamp, r.TTL, r.Size = OutcomeReply, host4, 5*time.Millisecond, StampUser, 64, 64
	})
	ms := time.Millisecond
	return []outcomeCase{
		{"reply", func(e *Engine, p icmpsock.Packet) []answer { return []answer{{after: 5 * ms, msg: reply(e, p)}} }, good},
		{"silence", func(*Engine, icmpsock.Packet) []answer { return nil },
			with(func(r *Result) { r.Outcome = OutcomeTimeout })},
		{"late", func(e *Engine, p icmpsock.Packet) []answer { return []answer{{after: 1001 * ms, msg: reply(e, p)}} },
			with(func(r *Result) { r.Outcome = OutcomeTimeout })},
		{"from another address", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.From = router4
			return []answer{{after: 5 * ms, msg: m}}
		}, with(func(r *Result) { *r = good; r.From = router4 })},
		{"wrong random bytes", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.Payload[3] ^= 1
			return []answer{{after: 5 * ms, msg: m}}
		}, with(func(r *Result) { r.Outcome = OutcomeCorrupted })},
		{"forged from elsewhere", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.Payload[3] ^= 1
			m.From = router4
			return []answer{{after: 5 * ms, msg: m}}
		}, with(func(r *Result) { r.Outcome = OutcomeTimeout })},
		{"damaged pattern, then sound", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.Payload[20] ^= 1
			return []answer{{after: 2 * ms, msg: m}, {after: 5 * ms, msg: reply(e, p)}}
		}, good},
		{"wrong checksum", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.Damaged = true
			return []answer{{after: 2 * ms, msg: m}}
		}, with(func(r *Result) { r.Outcome = OutcomeCorrupted })},
		{"cut off", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.Payload = m.Payload[:40]
			return []answer{{after: 2 * ms, msg: m}}
		}, with(func(r *Result) { r.Outcome = OutcomeCorrupted })},
		{"sequence number of another probe", func(e *Engine, p icmpsock.Packet) []answer {
			m := reply(e, p)
			m.Seq++
			return []answer{{after: 2 * ms, msg: m}}
		}, with(func(r *Result) { r.Outcome = OutcomeTimeout })},
		{"icmp error", func(_ *Engine, p icmpsock.Packet) []answer {
			return []answer{{after: 3 * ms, msg: icmpsock.Message{Kind: icmpsock.Error, Dst: p.Dst, Seq: p.Seq, ICMP: icmp}}}
		}, with(func(r *Result) {
			r.Outcome, r.From, r.RTT, r.Stamp, r.ICMP = OutcomeICMPError, router4, 3*ms, StampUser, &icmp
		})},
		{"icmp error about another host", func(_ *Engine, p icmpsock.Packet) []answer {
			return []answer{{after: 3 * ms, msg: icmpsock.Message{Kind: icmpsock.Error, Dst: router4, Seq: p.Seq, ICMP: icmp}}}
		}, with(func(r *Result) { r.Outcome = OutcomeTimeout })},
		{"icmp error that quotes other bytes", func(_ *Engine, p icmpsock.Packet) []answer {
			return []answer{{after: 3 * ms, msg: icmpsock.Message{Kind: icmpsock.Error, Dst: p.Dst, Seq: p.Seq, ICMP: icmp, Payload: []byte("8 others")}}}
		}, with(func(r *Result) { r.Outcome = OutcomeTimeout })},
		{"redirect, then reply", func(e *Engine, p icmpsock.Packet) []answer {
			return []answer{
				{after: 3 * ms, msg: icmpsock.Message{Kind: icmpsock.Error, Dst: p.Dst, Seq: p.Seq, ICMP: redirect}},
				{after: 5 * ms, msg: reply(e, p)},
			}
		}, good},
	}
}

// Every kind of answer becomes the outcome that it has to become.
func TestOutcomes(t *testing.T) {
	for _, tc := range outcomeCases() {
		t.Run(tc.name, func(t *testing.T) {
			w := &wireTime{}
			e := w.engine(t, nil)
			w.script = func(p icmpsock.Packet, _ bool) []answer { return tc.script(e, p) }
			got, err := e.Ping(t.Context(), host4)
			if d := cmp.Diff(tc.want, got, equal); err != nil || d != "" {
				t.Errorf("error %v (-want +got):\n%s", err, d)
			}
		})
	}
}

// A time that the wall clock was set in between must come from the monotonic
// clock, whatever the kernel's stamps say; so must everything that kernel
// stamps would make negative or longer than it can have been.
func TestRoundTrip(t *testing.T) {
	const hour = int64(time.Hour)
	const ms = int64(time.Millisecond)
	s := func(tx int64) *slot { return &slot{real: wallStart, mono: 0, tx: tx} }
	for _, tc := range []struct {
		name string
		slot *slot
		rx   int64
		now  clocks
		want time.Duration
		from StampSource
	}{
		{"both stamps", s(wallStart + 1000), wallStart + ms, clocks{wallStart + 3*ms, 3 * ms}, 999 * time.Microsecond, StampKernel},
		{"no transmit stamp", s(0), wallStart + ms, clocks{wallStart + 3*ms, 3 * ms}, time.Millisecond, StampKernelRX},
		{"no receive stamp", s(wallStart + ms), 0, clocks{wallStart + 3*ms, 3 * ms}, 2 * time.Millisecond, StampKernelTX},
		{"no stamps", s(0), 0, clocks{wallStart + 3*ms, 3 * ms}, 3 * time.Millisecond, StampUser},
		{"an hour forward", s(wallStart + 1000), wallStart + hour + ms, clocks{wallStart + hour + 3*ms, 3 * ms}, 3 * time.Millisecond, StampUser},
		{"an hour back", s(wallStart + 1000), wallStart - hour + ms, clocks{wallStart - hour + 3*ms, 3 * ms}, 3 * time.Millisecond, StampUser},
		{"forward after receiving", s(wallStart + 1000), wallStart + ms, clocks{wallStart + hour + 3*ms, 3 * ms}, 3 * time.Millisecond, StampUser},
		{"there and back", s(wallStart + 1000), wallStart + hour + ms, clocks{wallStart + 3*ms, 3 * ms}, 3*time.Millisecond - time.Microsecond, StampKernelTX},
		{"back and there", s(wallStart + 1000), wallStart - hour + ms, clocks{wallStart + 3*ms, 3 * ms}, 3*time.Millisecond - time.Microsecond, StampKernelTX},
		{"slewed by 500 ppm", s(wallStart + 1000), wallStart + 1000*ms, clocks{wallStart + 1000*ms + ms/2, 1000 * ms}, time.Second - time.Microsecond, StampKernel},
	} {
		got, from := roundTrip(tc.slot, tc.rx, tc.now)
		if got != tc.want || from != tc.from {
			t.Errorf("%s: %v from %v, want %v from %v", tc.name, got, from, tc.want, tc.from)
		}
	}
}

// A reply that arrives while the reader is off the processor, after it has read
// the clock, has its true time all the same.
func TestPreempted(t *testing.T) {
	for _, stamped := range []bool{true, false} {
		w := &wireTime{preempt: 4 * time.Millisecond}
		e := w.engine(t, nil)
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			sent, m := icmpsock.Message{Kind: icmpsock.Sent, Key: p.Key}, reply(e, p)
			if stamped {
				sent.Stamp, m.Stamp = w.now.real+1000, w.now.real+int64(4*time.Millisecond)
			}
			return []answer{{after: time.Millisecond, msg: sent}, {after: time.Millisecond, msg: m}}
		}
		r, err := e.Ping(t.Context(), host4)
		want, from := 4*time.Millisecond-time.Microsecond, StampKernel
		if !stamped {
			want, from = 5*time.Millisecond, StampUser
		}
		if d := r.RTT - want; err != nil || d < 0 || d > 5*time.Millisecond || stamped && d != 0 || r.Stamp != from {
			t.Errorf("stamped %t: %v from %v, %v; want %v from %v", stamped, r.RTT, r.Stamp, err, want, from)
		}
	}
}

// 10,000 probes, the clock set by an hour to and fro all the time: no time is
// wrong and none is negative.
func TestClockSteps(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	i := 0
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		i++
		m := reply(e, p)
		step := int64(time.Hour) * int64(i%3-1)
		sent := icmpsock.Message{Kind: icmpsock.Sent, Key: p.Key, Stamp: w.now.real + 10_000}
		w.now.real += step
		m.Stamp = w.now.real + int64(4*time.Millisecond)
		return []answer{{after: 0, msg: sent}, {after: 5 * time.Millisecond, msg: m}}
	}
	for range 10_000 {
		r, err := e.Ping(t.Context(), host4)
		if err != nil {
			t.Fatal(err)
		}
		if r.RTT < 3*time.Millisecond || r.RTT > 5*time.Millisecond || r.Stamp != StampUser && i%3 != 1 {
			t.Fatalf("probe %d: %v from %v", i, r.RTT, r.Stamp)
		}
	}
}

// With a payload too short for eight random bytes, the source decides.
func TestShortPayload(t *testing.T) {
	for _, size := range []int{-1, 1, 7} {
		w := &wireTime{}
		e := w.engine(t, &Options{Size: size})
		from := router4
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			m := reply(e, p)
			m.From = from
			return []answer{{after: time.Millisecond, msg: m}}
		}
		if r, err := e.Ping(t.Context(), host4); err != nil || r.Outcome != OutcomeTimeout {
			t.Errorf("size %d, wrong source: %v, %v", size, r.Outcome, err)
		}
		from = host4
		if r, err := e.Ping(t.Context(), host4); err != nil || r.Outcome != OutcomeReply {
			t.Errorf("size %d, right source: %v, %v", size, r.Outcome, err)
		}
	}
}

func TestLocalErrorIsNoAnswer(t *testing.T) {
	w := &wireTime{sendErr: func(p icmpsock.Packet) error {
		if p.Seq%2 == 1 {
			return errors.New("network is unreachable")
		}
		return nil
	}}
	e := w.engine(t, nil)
	w.script = func(p icmpsock.Packet, _ bool) []answer { return []answer{{msg: reply(e, p)}} }
	got, err := e.Ping(t.Context(), host4)
	want := Result{Target: host4, Seq: 1, Outcome: OutcomeLocalError, Method: MethodICMPDatagram, Why: "test", Err: "network is unreachable"}
	if d := cmp.Diff(want, got, equal); err != nil || d != "" {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
	if got, err := e.Ping(t.Context(), host4); err != nil || got.Outcome != OutcomeReply {
		t.Errorf("the next probe: %v, %v", got.Outcome, err)
	}
}

// A full send buffer that empties is not seen from outside; one that does not
// is an error and never a loss.
func TestFull(t *testing.T) {
	full := 3
	w := &wireTime{sendErr: func(icmpsock.Packet) error {
		if full > 0 {
			full--
			return icmpsock.ErrFull
		}
		return nil
	}}
	e := w.engine(t, &Options{Timeout: 10 * time.Millisecond})
	w.script = func(p icmpsock.Packet, _ bool) []answer { return []answer{{msg: reply(e, p)}} }
	if r, err := e.Ping(t.Context(), host4); err != nil || r.Outcome != OutcomeReply || r.Seq != 1 {
		t.Errorf("after three refusals: %v, seq %d, %v", r.Outcome, r.Seq, err)
	}
	full = 1 << 30
	if _, err := e.Ping(t.Context(), host4); !errors.Is(err, icmpsock.ErrFull) {
		t.Errorf("always full: %v", err)
	}
}

// When the kernel has thrown replies away here, silence is not the network's;
// for probes sent later it is again.
func TestOverflowIsNoLoss(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		if p.Seq == 2 {
			w.dropped = 5
		}
		return nil
	}
	for i, want := range []Outcome{OutcomeTimeout, OutcomeLocalError, OutcomeTimeout} {
		if r, err := e.Ping(t.Context(), host4); err != nil || r.Outcome != want {
			t.Errorf("probe %d: %v %q, %v; want %v", i+1, r.Outcome, r.Err, err, want)
		}
	}
}

func TestEnds(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := e.Ping(ctx, host4); !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := e.Ping(t.Context(), netip.Addr{}); err == nil {
		t.Error("no address: no error")
	}
	w.failure = errors.New("socket broke")
	if _, err := e.Ping(t.Context(), host4); !errors.Is(err, w.failure) {
		t.Errorf("broken socket: %v", err)
	}
	if err := e.Close(); err != nil || !w.closed {
		t.Errorf("close: %v, closed %t", err, w.closed)
	}
	for name, err := range map[string]error{"close": e.Close(), "ping": func() error { _, err := e.Ping(t.Context(), host4); return err }()} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
}

// The zone of a reply is told as the caller writes it.
func TestZone(t *testing.T) {
	w := &wireTime{}
	e := w.engine(t, nil)
	w.script = func(p icmpsock.Packet, _ bool) []answer {
		m := reply(e, p)
		m.From = p.Dst.WithZone("2")
		return []answer{{msg: m}}
	}
	if r, err := e.Ping(t.Context(), host6); err != nil || r.From != host6 {
		t.Errorf("from %v, %v", r.From, err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Size: 65508}, {TTL: 256}, {TTL: -1}, {TOS: 256}, {Method: MethodTCP}, {Fragment: 9}, {IPTimestamp: 4}, {IPTimestamp: IPTimestampPrespec}, {RecordRoute: true, IPTimestamp: 1}} {
		if e, err := Open(&o); err == nil {
			e.Close()
			t.Errorf("%+v: no error", o)
		}
	}
}

// In a table of any size each reply finds its own probe, also when many in
// flight share their sequence number; the table grows and keeps what it has.
func TestRing(t *testing.T) {
	l := newLane(false, 1, false)
	for num := uint64(1); num <= 200_000; num++ {
		if !l.room(num, 0) {
			t.Fatalf("no room for %d", num)
		}
		s := l.slot(num)
		*s = slot{num: num, dst: host4, state: waiting, mono: 1}
		s.head[0], s.head[1], s.head[2] = byte(num), byte(num>>8), byte(num>>16)
		l.next++
	}
	for num := uint64(1); num <= 200_000; num += 77 {
		m := icmpsock.Message{Payload: l.slot(num).head[:]}
		if s := l.find(uint16(num), &m, repliedBy); s == nil || s.num != num {
			t.Fatalf("probe %d: found %+v", num, s)
		}
		if s := l.byKey(uint32(num)); s == nil || s.num != num {
			t.Fatalf("key %d: found %+v", num, s)
		}
	}
	for num := uint64(200_001); l.room(num, 0); num++ {
		*l.slot(num) = slot{num: num, state: waiting, mono: 1}
		l.next++
	}
	if got := l.next - 1; got != maxSlots {
		t.Errorf("%d probes in flight at most, want %d", got, maxSlots)
	}
}

// A hostile host may answer with anything: no panic, and never a time that was
// not measured here (in other tools, times read from replies led to
// CVE-2025-47268 and CVE-2025-48964).
func FuzzHostileReply(f *testing.F) {
	f.Add([]byte("12345678"), uint16(1), int64(0), int64(5), uint8(0), uint8(3), uint8(1), uint8(0), true)
	f.Add(make([]byte, 64), uint16(1), wallStart*2, int64(-1), uint8(1), uint8(11), uint8(0), uint8(0), false)
	f.Add(make([]byte, 64), uint16(1), int64(0), int64(0), uint8(0), uint8(0), uint8(0), uint8(1), true)
	f.Fuzz(func(t *testing.T, payload []byte, seq uint16, stamp, tx int64, kind, typ, code, ident uint8, known bool) {
		w := &wireTime{}
		e := w.engine(t, nil)
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			if known {
				copy(payload, p.Head[:])
			}
			m := icmpsock.Message{Kind: icmpsock.Kind(kind % 4), From: p.Dst, Dst: p.Dst, ID: ident, Seq: seq, Stamp: stamp, Payload: payload,
				ICMP: icmperr.New(router4, typ, code)}
			return []answer{
				{after: time.Millisecond, msg: icmpsock.Message{Kind: icmpsock.Sent, Key: p.Key, Stamp: tx}},
				{after: 2 * time.Millisecond, msg: m},
			}
		}
		r, err := e.Ping(t.Context(), host4)
		if err != nil {
			t.Fatal(err)
		}
		if r.RTT < 0 || r.RTT > 3*time.Millisecond {
			t.Errorf("rtt %v", r.RTT)
		}
		if r.Outcome == OutcomeReply && (!known || ident != 0 || seq != 1) {
			t.Error("a reply without the random bytes, or with wrong numbers, was believed")
		}
	})
}

func BenchmarkPing(b *testing.B) {
	w := &wireTime{}
	e := w.engine(b, nil)
	w.script = func(p icmpsock.Packet, _ bool) []answer { return []answer{{msg: reply(e, p)}} }
	b.ReportAllocs()
	for b.Loop() {
		w.sent = w.sent[:0]
		if _, err := e.Ping(b.Context(), host4); err != nil {
			b.Fatal(err)
		}
	}
}
