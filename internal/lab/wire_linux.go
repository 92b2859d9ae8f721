package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Impair is what one direction of a wire does to frames. The zero value passes
// them on as they are.
type Impair struct {
	Delay  time.Duration // one way
	Jitter time.Duration // up to so much more or less, evenly; never reorders

	Loss      float64 // probability that a frame is lost
	Duplicate float64 // … that it arrives twice
	Reorder   float64 // … that it arrives after the next one
	Corrupt   float64 // … that one bit behind its IP header is wrong

	Rate  int64         // bit/s, counted from the Ethernet header on; 0 is no limit
	Queue time.Duration // longest wait for the rate, then frames are lost; 0 is 500 ms
	MTU   int           // longer IP packets vanish without a word; 0 is no limit

	// Match selects the frames that all this is about; nil is every frame.
	// It is called from another goroutine and must not keep the frame.
	Match func(frame []byte) bool
	Seed  uint64 // of the dice: the same seed gives the same fate to the n-th frame
}

// WireStats counts what one direction of a wire has done.
type WireStats struct {
	Frames     int // came in
	Sent       int // went out, duplicates included
	Lost       int // by Loss
	Duplicated int
	Reordered  int
	Corrupted  int
	TooLong    int // for the MTU
	Overflowed int // waited too long for the rate
	Refused    int // not taken by the kernel: the cable is unplugged
	Overrun    int // lost because this process was too slow: no part of the plan
}

// Wire is a cable whose two directions are impaired in user space.
type Wire struct {
	A, B   *Port
	lab    *Lab
	ab, ba *direction
}

// Wire joins two ports like Connect, with a program in between that forwards
// the frames. Checksum and segmentation offload of the ports are off, so that
// frames are on the wire what they would be on a real one.
func (l *Lab) Wire(a, b *Port, ab, ba Impair) *Wire {
	l.t.Helper()
	name := fmt.Sprintf("wire %s-%s", a.node.name, b.node.name)
	n, err := l.newNode(name, nil, switchSettings)
	l.check(err, "%s", name)
	w := &Wire{A: a, B: b, lab: l}
	var ends [2]*os.File
	l.atEnd(func() { closeAll(ends[:]) })
	for i, p := range []*Port{a, b} {
		inner := &Port{Name: []string{"a", "b"}[i], node: n}
		l.check(l.connect(p, inner), "%s", name)
		ends[i], err = inner.tap(p)
		l.check(err, "%s", name)
	}
	w.ab, w.ba = newDirection(ends[0], ends[1]), newDirection(ends[1], ends[0])
	w.Set(ab, ba)
	w.start(ends[:])
	return w
}

// tap prepares the inner end of a cable to a port and opens a packet socket on
// it.
func (p *Port) tap(outer *Port) (*os.File, error) {
	link, err := p.node.link(p.Name)
	if err != nil {
		return nil, err
	}
	const longest = 65535 // the limits are those of the ports
	if err := p.node.nl.LinkSetMTU(link, longest); err != nil {
		return nil, err
	}
	if err := outer.node.inside(func() error { return disableOffload(outer.Name) }); err != nil {
		return nil, fmt.Errorf("offload of %s: %w", outer.Name, err)
	}
	var file *os.File
	err = p.node.inside(func() (err error) {
		file, err = openPacket(link)
		return err
	})
	return file, err
}

// openPacket opens a socket for all frames that arrive at an interface.
func openPacket(link netlink.Link) (*os.File, error) {
	// With protocol 0 nothing arrives before the socket is bound.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, missing(err)
	}
	file := os.NewFile(uintptr(fd), "packet "+link.Attrs().Name)
	// A burst must fit; without root the limit is net.core.rmem_max.
	const buffer = 8 << 20
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if errors.Is(err, unix.ENOPROTOOPT) {
		err = fmt.Errorf("%w: PACKET_IGNORE_OUTGOING of Linux 4.20", errMissing)
	}
	if err == nil {
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // network order
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index})
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// start runs the goroutines of both directions until the end of the test.
func (w *Wire) start(ends []*os.File) {
	var group sync.WaitGroup
	stop := make(chan struct{})
	for _, d := range []*direction{w.ab, w.ba} {
		group.Go(func() {
			if err := d.receive(); err != nil {
				w.lab.t.Errorf("lab: wire between %s and %s: %v", w.A.node.name, w.B.node.name, err)
			}
		})
		group.Go(func() { d.send(stop) })
	}
	w.lab.atEnd(func() {
		close(stop)
		closeAll(ends)
		group.Wait()
	})
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// Set changes the impairments from the next frame on. The dice start anew.
func (w *Wire) Set(ab, ba Impair) {
	w.ab.set(ab, 1)
	w.ba.set(ba, 2)
}

// Stats returns what the wire has done until now in its two directions.
func (w *Wire) Stats() (ab, ba WireStats) { return w.ab.snapshot(), w.ba.snapshot() }

// Unplug takes the carrier from both ports, which stay up.
func (w *Wire) Unplug() { w.lab.t.Helper(); w.A.Unplug(); w.B.Unplug() }

// Plug undoes Unplug.
func (w *Wire) Plug() { w.lab.t.Helper(); w.A.Plug(); w.B.Plug() }

func (d *direction) set(i Impair, number uint64) {
	if i.Queue == 0 {
		i.Queue = 500 * time.Millisecond
	}
	if i.Match == nil {
		i.Match = func([]byte) bool { return true }
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Impair = i
	d.dice, d.values = rand.New(rand.NewPCG(i.Seed, number)), rand.New(rand.NewPCG(i.Seed, number+2))
}
