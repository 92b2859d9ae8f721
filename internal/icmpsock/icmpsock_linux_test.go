package icmpsock

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// openIn opens a Conn inside a host of its own.
func openIn(t testing.TB, h *lab.Host, cfg Config) *Conn {
	t.Helper()
	var c *Conn
	if err := h.Do(func() (err error) { c, err = Open(cfg); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// gather waits until n messages of a kind have come.
func gather(t testing.TB, c *Conn, kind Kind, n int) (keys []uint32, stamps []int64, seqs []uint16) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(keys) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages came", len(keys), n)
		}
		if err := c.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
		_, err := c.Receive(func(m *Message) {
			if m.Kind == kind {
				keys, stamps, seqs = append(keys, m.Key), append(stamps, m.Stamp), append(seqs, m.Seq)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys, stamps, seqs
}

func packets(dst string, first, n int) []Packet {
	ps := make([]Packet, n)
	for i := range ps {
		ps[i] = Packet{Dst: netip.MustParseAddr(dst), Seq: uint16(first + i), Key: uint32(first + i)}
	}
	return ps
}

// Transmit stamps come back with the right key, both where the kernel takes
// keys from us and where it counts itself, also after packets that failed.
func TestStampKeys(t *testing.T) {
	h := lab.New(t).Host("h")
	h.Unreachable("10.9.0.0/16")
	for _, keyed := range []bool{true, false} {
		for _, raw := range []Choice{Datagram, Raw} {
			c := openIn(t, h, Config{Choice: raw, Payload: make([]byte, 56)})
			for _, s := range c.all {
				if keyed && !s.keyed {
					t.Skip("this kernel does not take keys")
				}
				s.keyed = keyed
			}
			for _, dst := range []string{"127.0.0.1", "::1"} {
				v6 := dst == "::1"
				first := 1000
				for round := range 3 {
					if n, err := c.Send(v6, packets(dst, first, 70)); n != 70 || err != nil {
						t.Fatalf("sent %d, %v", n, err)
					}
					keys, stamps, _ := gather(t, c, Sent, 70)
					for i, k := range keys {
						if k != uint32(first+i) || stamps[i] == 0 {
							t.Fatalf("keyed %t, %s, round %d: stamp %d has key %d, want %d", keyed, dst, round, i, k, first+i)
						}
					}
					first += 70
					if v6 {
						continue
					}
					ps := packets(dst, first, 3)
					ps[1].Dst = netip.MustParseAddr("10.9.0.1")
					if n, err := c.Send(false, ps); n != 1 || err != unix.EHOSTUNREACH {
						t.Fatalf("with an unreachable host: sent %d, %v", n, err)
					}
					if n, err := c.Send(false, ps[2:]); n != 1 || err != nil {
						t.Fatalf("after it: sent %d, %v", n, err)
					}
					keys, _, _ = gather(t, c, Sent, 2)
					if d := cmp.Diff([]uint32{uint32(first), uint32(first + 2)}, keys); d != "" {
						t.Fatalf("keyed %t, raw %v: keys around a failure (-want +got):\n%s", keyed, raw, d)
					}
					first += 3
				}
			}
		}
	}
}

// A packet that is never sent is told by index and reason, whatever place in
// the batch it has.
func TestSendStopsAtTheCulprit(t *testing.T) {
	h := lab.New(t).Host("h")
	h.Unreachable("10.9.0.0/16")
	c := openIn(t, h, Config{Payload: make([]byte, 8)})
	for _, at := range []int{0, 1, 63, 64, 100} {
		ps := packets("127.0.0.1", 1, 130)
		ps[at].Dst = netip.MustParseAddr("10.9.0.1")
		if n, err := c.Send(false, ps); n != at || err != unix.EHOSTUNREACH {
			t.Errorf("culprit at %d: sent %d, %v", at, n, err)
		}
		gather(t, c, Reply, at)
	}
	if _, err := c.Send(true, []Packet{{Dst: netip.MustParseAddr("fe80::1%nosuch0")}}); err != unix.ENODEV {
		t.Errorf("unknown zone: %v", err)
	}
}

// What the kernel throws away because nobody reads is known.
func TestDropped(t *testing.T) {
	c := openIn(t, lab.New(t).Host("h"), Config{Payload: make([]byte, 56)})
	sent := 0
	for ; c.Dropped(false) == 0; sent += 640 {
		if sent > 1<<20 {
			t.Fatalf("%d packets without a drop", sent)
		}
		if _, err := c.Send(false, packets("127.0.0.1", sent, 640)); err != nil {
			t.Fatal(err)
		}
	}
	dropped := int(c.Dropped(false))
	gather(t, c, Reply, sent-dropped)
	if n := int(c.Dropped(false)); n != dropped || c.Dropped(true) != 0 {
		t.Errorf("%d dropped, %d after reading", dropped, n)
	}
}

func TestWake(t *testing.T) {
	h := lab.New(t).Host("h")
	c := openIn(t, h, Config{})
	c.Wake()
	if err := c.Wait(-1); err != nil {
		t.Error(err)
	}
	time.AfterFunc(time.Millisecond, c.Wake)
	if err := c.Wait(-1); err != nil {
		t.Error(err)
	}
	c.Wake()
	start := time.Now()
	if err := c.Pause(time.Minute); err != nil || time.Since(start) > 30*time.Second {
		t.Errorf("woken pause: %v after %v", err, time.Since(start))
	}
	time.AfterFunc(time.Millisecond, c.Wake)
	if err := c.Pause(time.Minute); err != nil || time.Since(start) > 30*time.Second {
		t.Errorf("pause woken in between: %v after %v", err, time.Since(start))
	}
	if err := c.Pause(time.Millisecond); err != nil || time.Since(start) < time.Millisecond {
		t.Errorf("pause: %v after %v", err, time.Since(start))
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	poor := openIn(t, h, Config{})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err := poor.Pause(time.Millisecond)
	poor.Wake()
	woken := poor.Pause(time.Minute)
	if err2 := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || woken != nil || err2 != nil {
		t.Errorf("pauses without a descriptor for a timer: %v, %v, %v", err, woken, err2)
	}
	c.Close()
	c.Wake() // must not write to whatever has the number now
}

// Whatever bytes arrive on whatever kind of socket: no panic, and nothing that
// is not ours is told.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0x12, 0x30, 0, 1, 9, 9}, []byte{}, false, false)
	f.Add(append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}, 0, 0, 0, 0, 0x12, 0x30, 0, 1), []byte{}, true, false)
	f.Add([]byte{129, 0, 0, 0, 0x12, 0x30, 0, 1}, make([]byte, 64), true, true)
	f.Fuzz(func(t *testing.T, data, oob []byte, raw, v6 bool) {
		s := &socket{id: 0x1230, raw: raw, v6: v6}
		c := &Conn{in: newBatch(1, 256, 192, 1), queue: newBatch(1, 256, 256, 1)}
		for _, b := range []*batch{c.in, c.queue} {
			b.hdrs[0].N = uint32(copy(b.data, data))
			b.hdrs[0].SetControllen(copy(b.oob, oob))
		}
		c.reply(s, 0, func(m *Message) {
			if len(m.Payload) > len(data) {
				t.Error("payload longer than the packet")
			}
		})
		c.queued(s, 0, func(m *Message) {
			if m.Kind == Reply {
				t.Error("a reply out of the error queue")
			}
		})
	})
}

// BenchmarkSendReceive is a batch of 64 there and back over the loopback.
func BenchmarkSendReceive(b *testing.B) {
	c := openIn(b, lab.New(b).Host("h"), Config{Payload: make([]byte, 56)})
	ps := packets("127.0.0.1", 1, batchLen)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Send(false, ps); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < len(ps); {
			c.Wait(time.Second)
			c.Receive(func(m *Message) {
				if m.Kind == Reply {
					got++
				}
			})
		}
	}
}
