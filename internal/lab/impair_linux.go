package lab

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// direction forwards frames one way: a goroutine receives them and decides
// when they leave, another one sends them.
type direction struct {
	in, out *os.File
	wake    chan struct{} // something was put into the queue

	mu     sync.Mutex
	Impair            // as set
	dice   *rand.Rand // what happens to a frame
	values *rand.Rand // how much of it
	busy   time.Time  // until then the rate is used up
	last   time.Time  // when the last frame leaves
	held   []byte     // waits for the next frame, behind which it goes
	queue  frames
	serial int
	stats  WireStats
}

// frame is what leaves the wire at a time; equal times keep their order.
type frame struct {
	due    time.Time
	serial int
	data   []byte
}

const (
	maxQueue = 1 << 16               // frames under way at a time
	holdTime = 20 * time.Millisecond // longest wait for a frame to go behind
)

func newDirection(in, out *os.File) *direction {
	return &direction{in: in, out: out, wake: make(chan struct{}, 1)}
}

// receive takes frames in until the socket is closed.
func (d *direction) receive() error {
	buf := make([]byte, 1<<17)
	for {
		n, err := d.in.Read(buf)
		switch {
		case err == nil:
			d.admit(buf[:n:n], time.Now())
		case errors.Is(err, os.ErrDeadlineExceeded):
			d.release(time.Now())
		case errors.Is(err, os.ErrClosed):
			return nil
		case !errors.Is(err, unix.ENETDOWN): // that is a cable unplugged
			return err
		}
		deadline := time.Time{}
		if d.holding() {
			deadline = time.Now().Add(holdTime)
		}
		d.in.SetReadDeadline(deadline)
	}
}

func (d *direction) holding() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held != nil
}

// release lets a held frame go that no other has followed.
func (d *direction) release(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held != nil {
		d.schedule(d.held, d.departure(len(d.held), now))
		d.held = nil
	}
}

// admit decides the fate of a frame, whose bytes belong to the caller.
func (d *direction) admit(data []byte, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Frames++
	if !d.Match(data) {
		d.schedule(append([]byte(nil), data...), now)
		return
	}
	const etherHeader = 14
	if d.MTU > 0 && len(data)-etherHeader > d.MTU {
		d.stats.TooLong++
		return
	}
	// Every frame throws all dice, so that each impairment falls on the same
	// frames whatever the others are.
	lost, twice, late, wrong := d.throw(d.Loss), d.throw(d.Duplicate), d.throw(d.Reorder), d.throw(d.Corrupt)
	if lost {
		d.stats.Lost++
		return
	}
	data = append([]byte(nil), data...)
	if wrong && flipBit(data, d.values.IntN) {
		d.stats.Corrupted++
	}
	if late && d.held == nil {
		d.stats.Reordered++
		d.held = data
		return
	}
	due := d.departure(len(data), now)
	d.schedule(data, due)
	if twice && !due.IsZero() {
		d.stats.Duplicated++
		d.schedule(data, due)
	}
	if d.held != nil {
		d.schedule(d.held, d.departure(len(d.held), now))
		d.held = nil
	}
}

func (d *direction) throw(probability float64) bool { return d.dice.Float64() < probability }

// departure returns when a frame that came now leaves; the zero time is never.
func (d *direction) departure(length int, now time.Time) time.Time {
	due := now
	if d.Rate > 0 {
		start := now
		if d.busy.After(start) {
			start = d.busy
		}
		if start.Sub(now) > d.Queue {
			d.stats.Overflowed++
			return time.Time{}
		}
		d.busy = start.Add(time.Duration(float64(length*8) / float64(d.Rate) * float64(time.Second)))
		due = d.busy
	}
	due = due.Add(d.Delay)
	if d.Jitter > 0 {
		due = due.Add(time.Duration(d.values.Int64N(int64(2*d.Jitter+1))) - d.Jitter)
	}
	if due.Before(d.last) {
		due = d.last
	}
	d.last = due
	return due
}

// schedule puts a frame into the queue; the zero time drops it.
func (d *direction) schedule(data []byte, due time.Time) {
	if due.IsZero() {
		return
	}
	if len(d.queue) >= maxQueue {
		d.stats.Overflowed++
		return
	}
	d.serial++
	heap.Push(&d.queue, frame{due: due, serial: d.serial, data: data})
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// send lets the frames go when their time has come.
func (d *direction) send(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		data, wait := d.next(time.Now())
		if data != nil {
			_, err := d.out.Write(data)
			d.sent(err == nil)
			continue
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case <-d.wake:
		case <-timer.C:
		}
	}
}

// next returns a frame to be sent now, or how long there is none.
func (d *direction) next(now time.Time) (data []byte, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil, time.Hour
	}
	if wait = d.queue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&d.queue).(frame).data, 0
}

func (d *direction) sent(ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok {
		d.stats.Sent++
	} else {
		d.stats.Refused++
	}
}

func (d *direction) snapshot() WireStats {
	overrun := 0
	if conn, err := d.in.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) {
			// Reading the kernel's counter sets it to zero.
			if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				overrun = int(s.Drops)
			}
		})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Overrun += overrun
	return d.stats
}

// flipBit inverts one bit behind the IP header of a frame, where a checksum
// finds it, and reports whether there was one.
func flipBit(data []byte, intN func(int) int) bool {
	const etherHeader, ipv6Header = 14, 40
	if len(data) <= etherHeader {
		return false
	}
	start := len(data)
	switch binary.BigEndian.Uint16(data[12:]) {
	case unix.ETH_P_IP:
		start = etherHeader + int(data[etherHeader]&0xf)*4
	case unix.ETH_P_IPV6:
		start = etherHeader + ipv6Header
	}
	if start >= len(data) {
		return false
	}
	bit := intN((len(data) - start) * 8)
	data[start+bit/8] ^= 1 << (bit % 8)
	return true
}

// frames is a heap, the next to leave first.
type frames []frame

func (f frames) Len() int { return len(f) }
func (f frames) Less(i, j int) bool {
	if f[i].due.Equal(f[j].due) {
		return f[i].serial < f[j].serial
	}
	return f[i].due.Before(f[j].due)
}
func (f frames) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *frames) Push(x any)   { *f = append(*f, x.(frame)) }
func (f *frames) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	(*f)[last] = frame{}
	*f = (*f)[:last]
	return x
}
