package ping

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// crowd gives n hosts.
func crowd(n int) []netip.Addr {
	hosts := make([]netip.Addr, n)
	for i := range hosts {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24+uint32(i))
		hosts[i] = netip.AddrFrom4(b)
	}
	return hosts
}

// 150,000 probes in flight at once, most to silent hosts: each has its own
// outcome, no two in flight share identifier and number, and what answers is
// told of the host that answered, also with the numbers of others.
func TestManyInFlight(t *testing.T) {
	const n = 150_000
	for _, size := range []int{56, -1} {
		w := &wireTime{}
		e := w.engine(t, &Options{Size: size, Timeout: time.Minute})
		inFlight := map[uint32]bool{}
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			pair := uint32(p.ID)<<16 | uint32(p.Seq)
			if inFlight[pair] {
				t.Fatalf("identifier %d and number %d are in flight twice", p.ID, p.Seq)
			}
			inFlight[pair] = true
			if p.Dst.As4()[3]%16 != 0 {
				return nil
			}
			m := reply(e, p)
			wrong := m
			wrong.ID ^= 1 // numbers of another probe, sent as an answer to that
			return []answer{{after: 40 * time.Second, msg: wrong}, {after: 40 * time.Second, msg: m}}
		}
		hosts := crowd(n)
		got := map[netip.Addr]Outcome{}
		for r, err := range e.Sweep(t.Context(), slices.Values(hosts), &SweepOptions{Rate: -1}) {
			if _, twice := got[r.Target]; err != nil || twice {
				t.Fatalf("%+v, %v, twice %t", r, err, twice)
			}
			got[r.Target] = r.Outcome
		}
		counts := map[Outcome]int{}
		for a, o := range got {
			counts[o]++
			if (a.As4()[3]%16 == 0) != (o == OutcomeReply) {
				t.Fatalf("%v: %v", a, o)
			}
		}
		if d := cmp.Diff(map[Outcome]int{OutcomeReply: n / 16, OutcomeTimeout: n - n/16}, counts); d != "" {
			t.Errorf("size %d (-want +got):\n%s", size, d)
		}
		if ids := e.Identifiers(); len(ids.IPv4) < 3 || len(ids.IPv6) != 1 || ids.Shortage != "" {
			t.Errorf("size %d: identifiers %+v", size, ids)
		}
	}
}

// A reply to an old probe never counts for one that has its number now, neither
// by its random bytes nor, where there are none, by the number: that is not
// used again so soon.
func TestOldReply(t *testing.T) {
	for _, size := range []int{56, -1} {
		w := &wireTime{}
		e := w.engine(t, &Options{Size: size, Timeout: 100 * time.Millisecond})
		var old icmpsock.Message
		n := 0
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			n++
			if n == 1 {
				old = reply(e, p)
				return nil
			}
			if p.ID == old.ID && p.Seq == old.Seq {
				return []answer{{after: time.Millisecond, msg: old}}
			}
			return []answer{{after: time.Microsecond, msg: reply(e, p)}}
		}
		counts := map[Outcome]int{}
		o := &StreamOptions{Interval: 10 * time.Microsecond, Count: 150_000}
		for r, err := range e.Stream(t.Context(), []netip.Addr{host4}, o) {
			if err != nil {
				t.Fatal(err)
			}
			counts[r.Outcome]++
			if r.Outcome == OutcomeReply && r.RTT == time.Millisecond {
				t.Fatalf("size %d: the reply to probe 1 counts for %d", size, r.Seq)
			}
		}
		if counts[OutcomeTimeout] == 0 || counts[OutcomeReply] < 149_000 {
			t.Errorf("size %d: %v", size, counts)
		}
	}
}

// Without further identifiers, probes share one as long as their random bytes
// tell them apart; without those bytes there are never more in flight than
// numbers. Either way each has its outcome, and it is told.
func TestShortage(t *testing.T) {
	for _, size := range []int{56, -1} {
		w := &wireTime{idLimit: 1}
		e := w.engine(t, &Options{Size: size, Timeout: time.Second})
		sent := map[uint16]int64{}
		w.script = func(p icmpsock.Packet, _ bool) []answer {
			if at, ok := sent[p.Seq]; ok && size < 0 && w.now.mono-at < int64(2*time.Second) {
				t.Fatalf("number %d again after %v", p.Seq, time.Duration(w.now.mono-at))
			}
			sent[p.Seq] = w.now.mono
			return []answer{{after: 900 * time.Millisecond, msg: reply(e, p)}}
		}
		n := 0
		for r, err := range e.Sweep(t.Context(), slices.Values(crowd(80_000)), &SweepOptions{Rate: -1}) {
			if err != nil || r.Outcome != OutcomeReply {
				t.Fatalf("%+v, %v", r, err)
			}
			n++
		}
		if ids := e.Identifiers(); n != 80_000 || len(ids.IPv4) != 1 || ids.Shortage != "too many open files" {
			t.Errorf("size %d: %d outcomes, %+v", size, n, ids)
		}
	}
}
