package lab_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// wired is two hosts with a wire between them.
func wired(t testing.TB, ab, ba lab.Impair) (a, b *lab.Host, w *lab.Wire) {
	t.Helper()
	l := lab.New(t)
	a, b = l.Host("a"), l.Host("b")
	w = l.Wire(a.Port("eth0", "10.0.0.1/24", "fd00::1/64"), b.Port("eth0", "10.0.0.2/24", "fd00::2/64"), ab, ba)
	// The first packet then needs no look-up, whose frames would count too.
	pa, pb := w.A.HardwareAddr().String(), w.B.HardwareAddr().String()
	a.Neighbor("eth0", "10.0.0.2", pb)
	a.Neighbor("eth0", "fd00::2", pb)
	b.Neighbor("eth0", "10.0.0.1", pa)
	b.Neighbor("eth0", "fd00::1", pa)
	return a, b, w
}

// transfer sends n bytes by TCP from a to b and fails unless they arrive.
func transfer(t testing.TB, a, b *lab.Host, addr string, n int) time.Duration {
	t.Helper()
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	var ln net.Listener
	err := b.Do(func() (err error) {
		ln, err = net.Listen("tcp", net.JoinHostPort(addr, "0"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan [32]byte, 1)
	go func() {
		hash := sha256.New()
		if conn, err := ln.Accept(); err == nil {
			io.Copy(hash, conn)
			conn.Close()
		}
		got <- [32]byte(hash.Sum(nil))
	}()
	start := time.Now()
	err = a.Do(func() error {
		conn, err := net.DialTimeout("tcp", ln.Addr().String(), 30*time.Second)
		if err != nil {
			ln.Close()
			return err
		}
		defer conn.Close()
		_, err = conn.Write(data)
		return err
	})
	if sum := <-got; err != nil || sum != sha256.Sum256(data) {
		t.Fatalf("transfer to %s: %v, or it is not what was sent", addr, err)
	}
	return time.Since(start)
}

func TestWireTransfer(t *testing.T) {
	var longest atomic.Int64
	watch := lab.Impair{Match: func(frame []byte) bool {
		longest.Store(max(longest.Load(), int64(len(frame))))
		return true
	}}
	a, b, w := wired(t, watch, watch)
	const size = 8 << 20
	for _, addr := range []string{"10.0.0.2", "fd00::2"} {
		took := transfer(t, a, b, addr, size)
		t.Logf("%s: %d MB in %v", addr, size>>20, took)
	}
	ab, ba := w.Stats()
	for range 200 { // the last frames may be under way
		if ab.Sent == ab.Frames && ba.Sent == ba.Frames {
			break
		}
		time.Sleep(10 * time.Millisecond)
		ab, ba = w.Stats()
	}
	if ab.Sent != ab.Frames || ba.Sent != ba.Frames || ab.Frames < 2*size/1460 {
		t.Errorf("a to b %+v, b to a %+v", ab, ba)
	}
	if longest.Load() != 1514 {
		t.Errorf("the longest frame has %d bytes, want 1514: no segmentation offload", longest.Load())
	}
}

// TestWireChecksums has tcpdump check what leaves the ports of a wire.
func TestWireChecksums(t *testing.T) {
	need(t, "tcpdump")
	a, b, _ := wired(t, lab.Impair{}, lab.Impair{})
	dump := b.Command("tcpdump", "-n", "-vv", "-i", "eth0", "-c", "20", "--immediate-mode", "tcp")
	var out, log bytes.Buffer
	stderr, err := dump.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	dump.Stdout = &out
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 256); !strings.Contains(log.String(), "listening on"); {
		n, err := stderr.Read(buf)
		log.Write(buf[:n])
		if err != nil {
			t.Skipf("tcpdump does not start: %s", log.String())
		}
	}
	transfer(t, a, b, "10.0.0.2", 1<<20)
	io.Copy(io.Discard, stderr)
	if err := dump.Wait(); err != nil {
		t.Fatal(err)
	}
	// What b itself sends is captured before its kernel sums it up, or after:
	// only the frames from a say something about the wire.
	received, wrong := 0, 0
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "10.0.0.1.") && strings.Contains(line, " > 10.0.0.2.") {
			received++
			if !strings.Contains(line, "(correct)") {
				wrong++
			}
		}
	}
	if received == 0 || wrong != 0 {
		t.Errorf("%d of %d segments have a wrong checksum\n%s", wrong, received, out.String())
	}
}

var pingSummary = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?`)

// pingMany returns the figures of ping's last lines.
func pingMany(t *testing.T, h *lab.Host, args ...string) (sent, received, duplicates int, minRTT time.Duration) {
	t.Helper()
	need(t, "ping")
	out, _ := h.Command("ping", append([]string{"-n", "-q"}, args...)...).CombinedOutput()
	m := pingSummary.FindStringSubmatch(string(out))
	if m == nil {
		t.Fatalf("ping %q:\n%s", args, out)
	}
	sent, _ = strconv.Atoi(m[1])
	received, _ = strconv.Atoi(m[2])
	duplicates, _ = strconv.Atoi(m[3])
	if _, rtt, ok := strings.Cut(string(out), "mdev = "); ok {
		ms, _, _ := strings.Cut(rtt, "/")
		f, _ := strconv.ParseFloat(ms, 64)
		minRTT = time.Duration(f * float64(time.Millisecond))
	}
	return sent, received, duplicates, minRTT
}

func TestWireDelay(t *testing.T) {
	a, _, w := wired(t, lab.Impair{Delay: 30 * time.Millisecond}, lab.Impair{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond})
	for _, dst := range []string{"10.0.0.2", "fd00::2"} {
		// With -w ping waits for five replies; without, for two round trips only.
		sent, received, _, rtt := pingMany(t, a, "-c5", "-i0.01", "-w10", dst)
		if received < 5 || rtt < 40*time.Millisecond {
			t.Errorf("%s: %d of %d, at best %v; want 40 ms or more", dst, received, sent, rtt)
		}
	}
	w.Set(lab.Impair{}, lab.Impair{})
	if _, received, _, rtt := pingMany(t, a, "-c3", "-i0.01", "-w10", "10.0.0.2"); received < 3 || rtt > 30*time.Millisecond {
		t.Errorf("without delay: %d of 3, at best %v", received, rtt)
	}
}

// only keeps the dice for the IPv4 packets of one protocol.
func only(proto byte, i lab.Impair) lab.Impair {
	i.Match = func(f []byte) bool { return len(f) > 34 && f[12] == 8 && f[13] == 0 && f[23] == proto }
	return i
}

func TestWireLossAndDuplicates(t *testing.T) {
	t.Parallel()
	a, b, w := wired(t, only(unix.IPPROTO_UDP, lab.Impair{Loss: 0.2, Duplicate: 0.1, Seed: 1}), lab.Impair{})
	const count = 200
	seen := map[int]int{}
	for _, n := range sequence(t, a, b, count, count+1) { // one more than come: all of them
		seen[n]++
	}
	duplicates := 0
	for _, n := range seen {
		duplicates += n - 1
	}
	ab, _ := w.Stats()
	if count-len(seen) != ab.Lost || duplicates != ab.Duplicated {
		t.Errorf("%d lost and %d duplicates, wire %+v", count-len(seen), duplicates, ab)
	}
	// 200 draws: 40 +- 6 and 16 +- 4.
	if ab.Lost < 10 || ab.Lost > 80 || ab.Duplicated < 1 || ab.Duplicated > 50 {
		t.Errorf("20 %% and 10 %% of %d: %+v", count, ab)
	}
	// ping sees them too. A late reply is lost to it, so it may see more losses.
	w.Set(only(unix.IPPROTO_ICMP, lab.Impair{Loss: 0.2, Seed: 1}), only(unix.IPPROTO_ICMP, lab.Impair{Duplicate: 0.3, Seed: 1}))
	before, _ := w.Stats()
	sent, received, doubled, _ := pingMany(t, a, "-c100", "-i0.003", "-W1", "10.0.0.2")
	after, _ := w.Stats()
	if lost := after.Lost - before.Lost; lost == 0 || sent-received < lost || doubled == 0 {
		t.Errorf("ping: %d of %d, %d duplicates; the wire lost %d", received, sent, doubled, lost)
	}
}

// snmp reads a counter of /proc/net/snmp inside the host.
func snmp(t *testing.T, h *lab.Host, proto, name string) int {
	t.Helper()
	var text []byte
	err := h.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] != proto+":" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i := range names {
			if names[i] == name {
				n, _ := strconv.Atoi(f[i])
				return n
			}
		}
	}
	t.Fatalf("no counter %s %s", proto, name)
	return 0
}

func TestWireCorruption(t *testing.T) {
	a, b, w := wired(t, only(unix.IPPROTO_ICMP, lab.Impair{Corrupt: 0.3}), lab.Impair{})
	sent, received, _, _ := pingMany(t, a, "-c100", "-i0.003", "-W1", "10.0.0.2")
	ab, _ := w.Stats()
	found := snmp(t, b, "Icmp", "InCsumErrors")
	for range 200 { // the last ones may be under way
		if found == ab.Corrupted {
			break
		}
		time.Sleep(10 * time.Millisecond)
		ab, _ = w.Stats()
		found = snmp(t, b, "Icmp", "InCsumErrors")
	}
	if found == 0 || found != ab.Corrupted || sent-received < found {
		t.Errorf("%d corrupted, %d checksum errors, %d of %d lost", ab.Corrupted, found, sent-received, sent)
	}
	w.Set(lab.Impair{Corrupt: 0.02}, lab.Impair{})
	transfer(t, a, b, "10.0.0.2", 2<<20)
	if n := snmp(t, b, "Tcp", "InCsumErrors"); n == 0 {
		t.Error("no corrupt TCP segment")
	}
}

func TestWireReorder(t *testing.T) {
	a, b, w := wired(t, lab.Impair{Reorder: 0.1}, lab.Impair{})
	const count = 200
	order := sequence(t, a, b, count, count)
	ab, _ := w.Stats()
	swaps := 0
	for i := 1; i < len(order); i++ {
		if order[i] < order[i-1] {
			swaps++
		}
	}
	if len(order) != count || swaps == 0 || swaps > ab.Reordered {
		t.Errorf("%d arrived, %d swaps, wire %+v", len(order), swaps, ab)
	}
	w.Set(lab.Impair{Reorder: 1}, lab.Impair{})
	if order := sequence(t, a, b, 1, 1); len(order) != 1 {
		t.Error("a frame that none follows does not arrive")
	}
}

// sequence sends numbered datagrams from a to b and returns their numbers in
// the order of arrival, until so many have come or none comes any more.
func sequence(t *testing.T, a, b *lab.Host, count, until int) (order []int) {
	t.Helper()
	var in net.PacketConn
	err := b.Do(func() (err error) {
		in, err = net.ListenPacket("udp", "10.0.0.2:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	err = a.Do(func() error {
		conn, err := net.Dial("udp", in.LocalAddr().String())
		if err != nil {
			return err
		}
		defer conn.Close()
		for i := range count {
			if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for len(order) < until {
		in.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, _, err := in.ReadFrom(buf); err != nil {
			break
		}
		order = append(order, int(binary.BigEndian.Uint32(buf)))
	}
	return order
}

func TestWireRate(t *testing.T) {
	t.Parallel()
	const size, rate = 256 << 10, 8_000_000
	a, b, w := wired(t, lab.Impair{Rate: rate}, lab.Impair{})
	took := transfer(t, a, b, "10.0.0.2", size)
	// TCP's buffers on both sides take the last bytes before they are through.
	if floor := time.Duration(size*8) * time.Second / rate / 2; took < floor {
		t.Errorf("%d bytes in %v, want at least %v", size, took, floor)
	}
	w.Set(lab.Impair{Rate: 100_000, Queue: 10 * time.Millisecond}, lab.Impair{})
	sequence(t, a, b, 50, 50)
	if ab, _ := w.Stats(); ab.Overflowed == 0 {
		t.Errorf("no frame waited too long: %+v", ab)
	}
}

func TestWireMTU(t *testing.T) {
	t.Parallel()
	a, b, w := wired(t, lab.Impair{MTU: 1400}, lab.Impair{})
	if _, received, _, _ := pingMany(t, a, "-c1", "-W1", "-s1372", "10.0.0.2"); received != 1 {
		t.Error("1400 bytes do not pass")
	}
	if _, received, _, _ := pingMany(t, a, "-c1", "-W1", "-s1373", "10.0.0.2"); received != 0 {
		t.Error("1401 bytes pass")
	}
	if ab, _ := w.Stats(); ab.TooLong != 1 {
		t.Errorf("%+v", ab)
	}
	// Frames longer than usual pass when the ports allow them.
	w.Set(lab.Impair{}, lab.Impair{})
	a.MTU("eth0", 9000)
	b.MTU("eth0", 9000)
	if _, received, _, _ := pingMany(t, a, "-c1", "-W1", "-M", "do", "-s8972", "10.0.0.2"); received != 1 {
		t.Error("9000 bytes do not pass")
	}
}
