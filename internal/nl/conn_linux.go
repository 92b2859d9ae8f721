package nl

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/operr"
)

const (
	// bufferSize is the largest datagram that the kernel makes for a dump, as
	// long as no single message is longer; a larger buffer gains nothing, a
	// smaller one makes the kernel fill smaller ones.
	bufferSize = 32 << 10
	// answerSize is enough for most single answers.
	answerSize = 8 << 10
	// maxDatagram bounds what a message may make the buffer grow to.
	maxDatagram = 64 << 20
)

// Conn is a netlink socket for one dump or request at a time.
type Conn struct {
	cfg      Config
	t        transport
	buf      []byte
	broken   error    // an answer was left half read: only Close is left
	warnings []string // words that came with success
	guard    *guard   // nil: none
}

// transport is the socket, so that tests can put a kernel of their own here.
type transport interface {
	send(m Message) (seq uint32, err error)
	// recv waits for a datagram. With peek it stays queued. n is its whole
	// length, however short b is; from is the sender's port, 0 the kernel.
	recv(b []byte, peek bool) (n int, from uint32, err error)
	// poll is a recv that does not wait: EAGAIN when there is nothing.
	poll(b []byte) (n int, from uint32, err error)
	until(t time.Time) // makes a recv that waits longer fail; zero: never
	interrupt()        // makes a waiting recv, and every later one, fail
	close() error
}

// Dial opens a socket.
func Dial(cfg Config) (*Conn, error) {
	c, err := netlink.Dial(cfg.Family, &netlink.Config{NetNS: cfg.NetNS, Strict: true})
	if errors.Is(err, unix.ENOPROTOOPT) {
		// Before Linux 4.20 there is no strict check: filters of a dump are then
		// hints, which is why callers look at what they get.
		c, err = netlink.Dial(cfg.Family, &netlink.Config{NetNS: cfg.NetNS})
	}
	if err != nil {
		if cfg.NetNS != 0 {
			err = operr.Need(err, "CAP_SYS_ADMIN to enter a network namespace")
		}
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	// Without the echo of the request an acknowledgement is short. Kernels
	// before 4.3 refuse and echo.
	_ = c.SetOption(netlink.CapAcknowledge, true)
	raw, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if err := subscribe(c, raw, cfg); err != nil {
		c.Close()
		return nil, fmt.Errorf("hear netlink groups: %w", err)
	}
	conn := newConn(cfg, newSocket(c, raw))
	if len(cfg.Guard) == 0 {
		return conn, nil
	}
	// A small buffer will do: that it is full is news enough.
	events, err := Dial(Config{Family: cfg.Family, NetNS: cfg.NetNS, Groups: cfg.Guard, Buffer: 1 << 12})
	if err != nil {
		c.Close()
		return nil, err
	}
	conn.guard = &guard{t: events.t, heeds: cfg.Heeds}
	return conn, nil
}

// subscribe makes room and joins the groups, in this order: the first
// notification may be one of many.
func subscribe(c *netlink.Conn, raw syscall.RawConn, cfg Config) error {
	if cfg.Buffer > 0 {
		err := raw.Control(func(fd uintptr) {
			// Beyond net.core.rmem_max only with CAP_NET_ADMIN; what is left is a
			// smaller buffer, which loses earlier and says so.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, cfg.Buffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, cfg.Buffer)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, g := range cfg.Groups {
		if err := c.JoinGroup(g); err != nil {
			return err
		}
	}
	return nil
}

func newConn(cfg Config, t transport) *Conn {
	return &Conn{cfg: cfg, t: t}
}

// Close releases the socket.
func (c *Conn) Close() error {
	if c.guard != nil {
		c.guard.t.close()
	}
	return c.t.close()
}

// Warnings returns what the kernel said along with success, such as about
// deprecated requests.
func (c *Conn) Warnings() []string { return c.warnings }

// Dump asks for a table and calls fn for every entry, read again when it was
// interrupted, [Config.Tries] times in all. fn's error ends it.
func (c *Conn) Dump(ctx context.Context, m Message, fn func(typ uint16, body []byte) error) error {
	m.Flags |= flagDump
	for try := range c.cfg.tries() {
		if try > 0 && c.cfg.Restart != nil {
			c.cfg.Restart()
		}
		c.guard.begin()
		interrupted, err := c.exchange(ctx, m, false, fn)
		if err != nil || !interrupted && !c.guard.changed() {
			return err
		}
	}
	return ErrInterrupted
}

// Request asks a question that has one answer and calls fn with it.
func (c *Conn) Request(ctx context.Context, m Message, fn func(typ uint16, body []byte) error) error {
	_, err := c.exchange(ctx, m, true, fn)
	return err
}

// Change asks for a change and waits until the kernel says that it is done.
func (c *Conn) Change(ctx context.Context, m Message) error {
	m.Flags |= flagAck
	_, err := c.exchange(ctx, m, false, func(uint16, []byte) error { return nil })
	return err
}

// exchange sends m and reads the answer, under ctx.
func (c *Conn) exchange(ctx context.Context, m Message, one bool, fn func(uint16, []byte) error) (interrupted bool, err error) {
	if c.broken != nil {
		return false, c.broken
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	defer c.watch(ctx)()
	if m.Flags&flagDump == flagDump {
		grow(&c.buf, bufferSize)
	} else {
		grow(&c.buf, answerSize)
	}
	m.Flags |= flagRequest
	seq, err := c.t.send(m)
	var own error // fn's, which stands whatever has become of ctx
	if err == nil {
		interrupted, err = c.answer(ctx, seq, one, func(typ uint16, body []byte) error {
			own = fn(typ, body)
			return own
		})
	}
	if err != nil && own == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if e, ok := errors.AsType[*KernelError](err); ok {
		e.locate(m.Body)
	}
	return interrupted, err
}

// watch interrupts the socket when ctx ends. The function that it returns ends
// the watch and waits for it.
func (c *Conn) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		c.t.interrupt()
	})
	return func() {
		if !cancel() {
			<-done
			c.broken = context.Cause(ctx) // the socket is of no more use
		}
	}
}

// answer reads datagrams until the one that ends the answer.
func (c *Conn) answer(ctx context.Context, seq uint32, one bool, fn func(uint16, []byte) error) (interrupted bool, err error) {
	for long := 0; ; {
		if ctx.Err() != nil {
			c.broken = context.Cause(ctx)
			return false, c.broken
		}
		b, err := receive(c.t, &c.buf)
		if err != nil {
			c.broken = err
			return false, err
		}
		end, intr, err := c.messages(b, seq, one, fn)
		interrupted = interrupted || intr
		if end || err != nil {
			return interrupted, err
		}
		if full(b) {
			long++
		}
		if c.cfg.Ahead && long >= aheadAfter && runtime.GOMAXPROCS(0) > 1 {
			intr, err := c.ahead(ctx, seq, fn)
			return interrupted || intr, err
		}
	}
}

// messages walks over one datagram.
func (c *Conn) messages(b []byte, seq uint32, one bool, fn func(uint16, []byte) error) (end, interrupted bool, err error) {
	for len(b) > 0 {
		h, body, rest, err := next(b)
		if err != nil {
			c.broken = err
			return true, interrupted, err
		}
		b = rest
		if h.Seq != seq {
			continue // left from an earlier question
		}
		interrupted = interrupted || h.Flags&flagDumpIntr != 0
		switch h.Type {
		case typeNoop:
		case typeError, typeDone:
			warning, err := parseStatus(h, body)
			if warning != "" {
				c.warnings = append(c.warnings, warning)
			}
			return true, interrupted, err
		case typeOverrun:
			c.broken = unix.ENOBUFS
			return true, interrupted, unix.ENOBUFS
		default:
			if err := fn(h.Type, body); err != nil {
				c.broken = errors.New("an earlier answer was not read to its end")
				return true, interrupted, err
			}
			if one {
				return true, interrupted, nil
			}
		}
	}
	return false, interrupted, nil
}

// receive returns the next whole datagram that the kernel sent, in buf, which
// grows if it has to. Looking at the length first costs one system call for
// 32 KiB and makes it impossible to cut one.
func receive(t transport, buf *[]byte) ([]byte, error) {
	for {
		n, from, err := t.recv(nil, true)
		if err != nil {
			return nil, err
		}
		if n > len(*buf) && from == 0 {
			if n > maxDatagram {
				return nil, fmt.Errorf("datagram of %d bytes: %w", n, unix.EMSGSIZE)
			}
			grow(buf, n)
		}
		n, from, err = t.recv(*buf, false)
		switch {
		case err != nil:
			return nil, err
		case from != 0:
			continue // any process may write to our port
		case n > len(*buf):
			return nil, fmt.Errorf("datagram of %d bytes cut to %d: %w", n, len(*buf), unix.EMSGSIZE)
		}
		return (*buf)[:n], nil
	}
}

func grow(buf *[]byte, n int) {
	if n > len(*buf) {
		*buf = make([]byte, n)
	}
}

// Dump opens a socket, dumps and closes it.
func Dump(ctx context.Context, cfg Config, m Message, fn func(typ uint16, body []byte) error) error {
	c, err := Dial(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Dump(ctx, m, fn)
}

// Change opens a socket, asks for a change and closes it.
func Change(ctx context.Context, cfg Config, m Message) error {
	c, err := Dial(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Change(ctx, m)
}

// Request opens a socket, asks and closes it.
func Request(ctx context.Context, cfg Config, m Message, fn func(typ uint16, body []byte) error) error {
	c, err := Dial(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Request(ctx, m, fn)
}

// socket is the kernel's transport.
type socket struct {
	c   *netlink.Conn
	raw syscall.RawConn

	// The argument and results of one call of read, and read as a function,
	// made once so that receiving does not allocate.
	buf    []byte
	flags  int
	sa     unix.RawSockaddrNetlink
	salen  uint32
	n      int
	from   uint32
	err    error
	readFn func(fd uintptr) bool
}

func newSocket(c *netlink.Conn, raw syscall.RawConn) *socket {
	s := &socket{c: c, raw: raw}
	s.readFn = s.read
	return s
}

func (s *socket) send(m Message) (uint32, error) {
	sent, err := s.c.Send(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(m.Type), Flags: netlink.HeaderFlags(m.Flags)},
		Data:   m.Body,
	})
	return sent.Header.Sequence, err
}

func (s *socket) recv(b []byte, peek bool) (int, uint32, error) {
	s.buf, s.flags = b, unix.MSG_TRUNC // tells the whole length
	if peek {
		s.flags |= unix.MSG_PEEK
	}
	return s.receive()
}

func (s *socket) poll(b []byte) (int, uint32, error) {
	s.buf, s.flags = b, unix.MSG_TRUNC|unix.MSG_DONTWAIT
	return s.receive()
}

func (s *socket) receive() (int, uint32, error) {
	err := s.raw.Read(s.readFn)
	s.buf = nil
	if err == nil {
		err = s.err
	}
	return s.n, s.from, err
}

// read is one recvfrom(2), which unix.Recvfrom would allocate an address for.
func (s *socket) read(fd uintptr) bool {
	for {
		s.sa, s.salen = unix.RawSockaddrNetlink{}, unix.SizeofSockaddrNetlink
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.buf))), uintptr(len(s.buf)),
			uintptr(s.flags), uintptr(unsafe.Pointer(&s.sa)), uintptr(unsafe.Pointer(&s.salen)))
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			if s.flags&unix.MSG_DONTWAIT == 0 {
				return false
			}
			s.n, s.err = 0, errno
		case 0:
			s.n, s.from, s.err = int(n), s.sa.Pid, nil
			if s.salen < unix.SizeofSockaddrNetlink {
				s.from = ^uint32(0) // nobody says that it is the kernel
			}
		default:
			s.n, s.err = 0, errno
		}
		return true
	}
}

func (s *socket) until(t time.Time) { s.c.SetReadDeadline(t) }

func (s *socket) interrupt() { s.c.SetReadDeadline(time.Unix(1, 0)) }

func (s *socket) close() error { return s.c.Close() }
