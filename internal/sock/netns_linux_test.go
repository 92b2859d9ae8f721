package sock_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/sock"
)

// The main goroutine stays on the first thread of the process.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	lab.Child("first-thread", func([]string) int {
		for i, step := range []struct {
			do   func() error
			want bool
		}{
			{func() error { return nil }, false},
			{func() error { return unix.Unshare(unix.CLONE_NEWNET) }, true},
		} {
			if err := step.do(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 2
			}
			fd := sock.CurrentNamespace()
			if (fd != 0) != step.want || unix.Gettid() != os.Getpid() {
				fmt.Fprintf(os.Stderr, "step %d: descriptor %d on thread %d of process %d\n", i, fd, unix.Gettid(), os.Getpid())
				return 1
			}
		}
		return 0
	})
	lab.Child("left-elsewhere", leaveFirst)
	os.Exit(lab.Main(m))
}

// A first thread that was moved, and left there, is not taken for the process.
func TestFirstThreadLeftElsewhere(t *testing.T) {
	l := lab.New(t)
	host := l.Host("host")
	out, stderr, code, err := host.RunChild("left-elsewhere", true)
	if err != nil || code != 0 {
		t.Errorf("exit %d, %v: %s%s", code, err, out, stderr)
	}
}

// leaveFirst moves the first thread, which the main goroutine is locked to, and
// looks from another one that is in the same place.
func leaveFirst([]string) int {
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil || unix.Unshare(unix.CLONE_NEWNET) != nil {
		return 2
	}
	defer unix.Close(home)
	there, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 2
	}
	defer unix.Close(there)
	fd := -1
	_ = sock.InNamespace(there, func() error { fd = sock.CurrentNamespace(); return nil })
	if fd <= 0 {
		fmt.Fprintln(os.Stderr, "elsewhere, beside the first thread, it is at home")
		return 1
	}
	return 0
}

// A thread elsewhere is told from one at home.
func TestCurrentNamespace(t *testing.T) {
	host := lab.New(t).Host("host")
	if fd := sock.CurrentNamespace(); fd != 0 {
		unix.Close(fd)
		t.Fatal("a thread that went nowhere is elsewhere")
	}
	err := host.Do(func() error {
		fd := sock.CurrentNamespace()
		if fd == 0 {
			t.Error("elsewhere it is at home")
			return nil
		}
		defer unix.Close(fd)
		var here, want unix.Stat_t
		if err := unix.Fstat(fd, &here); err != nil {
			return err
		}
		if err := unix.Stat(host.Netns(), &want); err != nil || here.Ino != want.Ino {
			t.Errorf("inode %d, want %d (%v)", here.Ino, want.Ino, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, stderr, code, err := host.RunChild("first-thread", true); err != nil || code != 0 {
		t.Errorf("on the first thread: %v, code %d: %s", err, code, stderr)
	}
}
