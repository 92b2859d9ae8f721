package icmpsock

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timer lets a goroutine sleep to the microsecond while the runtime knows that
// it sleeps. In a system call, the runtime's monitor would look after it every
// 20 µs for a millisecond: a fifth of the cost of 4,000 probes a second. The
// runtime's own timers are rounded to milliseconds. The zero timer is ready.
type timer struct {
	mu    sync.Mutex
	file  *os.File // a timerfd, from the first sleep on
	conn  syscall.RawConn
	read  func(uintptr) bool
	fd    int
	woken bool // nobody is asleep: the next sleep is to be none
	armed bool
}

// sleep returns after d, or when wake is called.
func (t *timer) sleep(d time.Duration) error {
	if err := t.arm(max(d, time.Nanosecond)); err != nil {
		return err
	}
	err := t.conn.Read(t.read)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = false
	return err
}

func (t *timer) arm(d time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
		if err != nil {
			return err
		}
		t.fd, t.file = fd, os.NewFile(uintptr(fd), "timerfd")
		if t.conn, err = t.file.SyscallConn(); err != nil {
			return err
		}
		t.read = expired
	}
	if t.woken {
		d = time.Nanosecond
	}
	t.armed, t.woken = true, false
	return t.set(d)
}

// expired takes the expiry off a timerfd, and reports whether there was one.
func expired(fd uintptr) bool {
	var b [8]byte
	_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b)), uintptr(len(b)))
	return errno != unix.EAGAIN
}

func (t *timer) set(d time.Duration) error {
	return unix.TimerfdSettime(t.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil)
}

// wake ends the sleep that is under way, or the next one.
func (t *timer) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.armed {
		t.set(time.Nanosecond)
	} else {
		t.woken = true
	}
}

func (t *timer) close() {
	if t.file != nil {
		t.file.Close()
	}
}
