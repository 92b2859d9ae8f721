package icmpsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// Conn is the sockets of both families. Send and Wake may be called at any
// time, Grow and Errors while another goroutine is in Wait; other calls must
// not overlap.
type Conn struct {
	cfg   Config
	socks [2][]*socket // IPv4, IPv6: one, or one an identifier
	errs  [2]error     // why a family is not there
	raw   bool
	why   string
	in    *batch // replies
	queue *batch // error queue
	msg   Message
	entry errqueue.Message
	// What Wait waits for: the eventfd, then the sockets of watched.
	poll    []unix.PollFd
	watched []*socket
	timer   timer

	mu     sync.Mutex // for Wake, and for what Wait is to watch
	all    []*socket
	wakefd int
	closed bool
}

// Open opens the sockets, at least that of one family. The kind of socket is
// the same for both.
func Open(cfg Config) (*Conn, error) {
	c := &Conn{wakefd: -1, cfg: cfg}
	err := sock.InNamespace(cfg.NetNS, func() error { return c.open(&c.cfg) })
	if err != nil {
		return nil, err
	}
	if c.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		c.Close()
		return nil, err
	}
	// Bytes in the way of the payload: IPv4 header with options, ICMP header.
	size := len(cfg.Payload) + 68
	c.in = newBatch(2*batchLen, size, 192, 1)
	c.queue = newBatch(batchLen/2, 1280, 256, 1)
	c.poll = append(c.poll, unix.PollFd{Fd: int32(c.wakefd), Events: unix.POLLIN})
	return c, nil
}

func (c *Conn) open(cfg *Config) error {
	var dgram error
	if cfg.Choice != Raw {
		if dgram = c.try(cfg, false); dgram == nil {
			c.why = "net.ipv4.ping_group_range is " + groupRange() + " and admits this process"
			return nil
		}
		switch {
		case operr.NeedOf(dgram) != "":
			return dgram // it is an option that was refused, not the socket
		case cfg.Choice == Datagram, !errors.Is(dgram, os.ErrPermission) && !errors.Is(dgram, unix.EPROTONOSUPPORT):
			return operr.Need(dgram, needGroup())
		}
	}
	err := c.try(cfg, true)
	switch {
	case err == nil && cfg.Choice == Raw:
		c.why = "asked for, and CAP_NET_RAW is there"
	case err == nil:
		c.why = fmt.Sprintf("icmp_dgram is refused (%v, net.ipv4.ping_group_range is %s), CAP_NET_RAW is there", dgram, groupRange())
	case operr.NeedOf(err) != "":
	case cfg.Choice == Raw:
		err = operr.Need(err, "CAP_NET_RAW")
	default:
		err = operr.Need(err, needGroup()+", or CAP_NET_RAW")
	}
	return err
}

// try opens both families. A kernel without one of them is no reason to fail.
func (c *Conn) try(cfg *Config, raw bool) error {
	c.raw = raw
	for i := range c.socks {
		var s *socket
		one := *cfg
		restore := c.lend(&one)
		if s, c.errs[i] = open(i == 1, raw, &one); s != nil {
			c.add(i, s)
		}
		restore()
	}
	// Who asks for a flow label does not want to be without.
	if cfg.FlowLabel != 0 && c.errs[1] != nil {
		c.drop()
		return c.errs[1]
	}
	if len(c.all) == 0 {
		if cfg.Source.IsValid() && cfg.Source.Is6() {
			return c.errs[1]
		}
		return c.errs[0]
	}
	return nil
}

// groupRange reads the sysctl of the calling thread's namespace, quoted.
func groupRange() string {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ping_group_range")
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%q", strings.Join(strings.Fields(string(b)), " "))
}

func needGroup() string {
	return fmt.Sprintf("sysctl net.ipv4.ping_group_range to include group %d (it is %s)", os.Getegid(), groupRange())
}

// kernelAtLeast reports whether the running kernel is this version or later.
func kernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var a, b int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}

// Has returns why packets of a family cannot be sent, or nil.
func (c *Conn) Has(v6 bool) error { return c.errs[lane(v6)] }

// Raw reports which kind of socket it is.
func (c *Conn) Raw() bool { return c.raw }

// Why says why it is that kind.
func (c *Conn) Why() string { return c.why }

// Stamped reports whether the kernel gives timestamps.
func (c *Conn) Stamped() bool {
	return slices.ContainsFunc(c.all, func(s *socket) bool { return s.stamped })
}

// Dropped returns how many packets the kernel has thrown away because a
// receive buffer of the family was full (SO_MEMINFO, linux/sock_diag.h).
func (c *Conn) Dropped(v6 bool) (n uint32) {
	for _, s := range c.socks[lane(v6)] {
		n += s.dropped()
	}
	return n
}

// Wait waits until there is something to receive, until Wake or for d; a
// negative d is for ever, 0 only looks.
func (c *Conn) Wait(d time.Duration) error {
	c.watch()
	n, err := ppoll(c.poll, d)
	if err == unix.EINTR {
		return nil
	}
	if err != nil || n == 0 {
		return err
	}
	for i, s := range c.watched {
		s.ready |= c.poll[i+1].Revents
	}
	if c.poll[0].Revents&unix.POLLIN != 0 {
		var b [8]byte
		unix.Read(c.wakefd, b[:])
	}
	return nil
}

// ppoll does not tell the runtime of a call that does not wait, as mmsg.
func ppoll(fds []unix.PollFd, d time.Duration) (int, error) {
	if d < 0 {
		return unix.Ppoll(fds, nil, nil)
	}
	ts := unix.NsecToTimespec(int64(d))
	if d > 0 {
		return unix.Ppoll(fds, &ts, nil)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// watch takes in sockets that are new.
func (c *Conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all[len(c.watched):] {
		c.watched = append(c.watched, s)
		c.poll = append(c.poll, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
}

// Pause is Wait that lets what comes gather until d is over: one wake-up for
// many packets. The kernel's stamps make up for the delay.
func (c *Conn) Pause(d time.Duration) error {
	if c.timer.sleep(d) != nil {
		// There is no descriptor to spare for a timer.
		if _, err := ppoll(c.poll[:1], max(0, d)); err != nil && err != unix.EINTR {
			return err
		}
	}
	return c.Wait(0)
}

// Wake ends a Wait or Pause that is under way, or the next one.
func (c *Conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		unix.Write(c.wakefd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		c.timer.wake()
	}
}

// Close closes the sockets.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	for _, s := range c.all {
		unix.Close(s.fd)
	}
	if c.wakefd >= 0 {
		unix.Close(c.wakefd)
	}
	c.timer.close()
	return nil
}
