package main

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
)

// onWire starts a capture at an interface; the function that it returns ends
// it and gives the round-trip times on the wire, by host in order of sending.
// A negative one had no reply.
func (s *stage) onWire(h *lab.Host, device string) func() map[netip.Addr][]time.Duration {
	file := filepath.Join(s.TempDir(), "wire.pcap")
	c := h.Command("tcpdump", "-i", device, "-n", "-U", "-B", "65536", "-s", "64", "--time-stamp-precision=nano", "-w", file, "icmp")
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	for range 100 {
		if info, err := os.Stat(file); err == nil && info.Size() >= 24 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return func() map[netip.Addr][]time.Duration {
		time.Sleep(300 * time.Millisecond)
		c.Process.Signal(os.Interrupt)
		c.Wait()
		b, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		return wireTimes(b)
	}
}

type echoID struct {
	host    netip.Addr
	id, seq uint16
}

// wireTimes reads a pcap file with nanoseconds and Ethernet headers.
func wireTimes(b []byte) map[netip.Addr][]time.Duration {
	times := map[netip.Addr][]time.Duration{}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b23c4d {
		return times
	}
	type open struct {
		n  int
		at int64
	}
	waiting := map[echoID]open{}
	for b = b[24:]; len(b) >= 16; {
		at := int64(binary.LittleEndian.Uint32(b))*1e9 + int64(binary.LittleEndian.Uint32(b[4:]))
		n := int(binary.LittleEndian.Uint32(b[8:]))
		frame := b[16:]
		if n > len(frame) {
			break
		}
		b, frame = frame[n:], frame[:n]
		if n < 42 || frame[14] != 0x45 {
			continue
		}
		ip, icmp := frame[14:], frame[34:]
		key := echoID{id: binary.BigEndian.Uint16(icmp[4:]), seq: binary.BigEndian.Uint16(icmp[6:])}
		switch icmp[0] {
		case 8:
			key.host = netip.AddrFrom4([4]byte(ip[16:20]))
			waiting[key] = open{len(times[key.host]), at}
			times[key.host] = append(times[key.host], -1)
		case 0:
			key.host = netip.AddrFrom4([4]byte(ip[12:16]))
			if o, ok := waiting[key]; ok {
				times[key.host][o.n] = time.Duration(at - o.at)
				delete(waiting, key)
			}
		}
	}
	return times
}

// errorsOf compares what a program says with the wire.
func errorsOf(rtts []measured, wire map[netip.Addr][]time.Duration) (median, p99 time.Duration, n int) {
	var diffs []time.Duration
	for _, m := range rtts {
		if on := wire[m.Host]; m.N < len(on) && on[m.N] >= 0 {
			diffs = append(diffs, (m.RTT - on[m.N]).Abs())
		}
	}
	if len(diffs) == 0 {
		return 0, 0, 0
	}
	slices.Sort(diffs)
	return diffs[len(diffs)/2], diffs[len(diffs)*99/100], len(diffs)
}
