package sock

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/operr"
)

// InNamespace runs fn on a thread inside the network namespace that the
// descriptor netns refers to, and returns what it returns; 0 is the caller's own
// namespace. Sockets that fn opens belong to that namespace for good, so a
// namespace has to be entered only to open them. Entering needs CAP_SYS_ADMIN.
func InNamespace(netns int, fn func() error) error {
	if netns == 0 {
		return fn()
	}
	done := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with this goroutine, so that no
		// other goroutine ever finds itself in a foreign namespace.
		runtime.LockOSThread()
		if err := unix.Setns(netns, unix.CLONE_NEWNET); err != nil {
			done <- operr.New("enter network namespace", nil, operr.Need(err, "CAP_SYS_ADMIN"))
			return
		}
		done <- fn()
	}()
	return <-done
}

// CurrentNamespace returns a descriptor of the calling thread's network
// namespace where that differs from the process's own (its goroutine is locked
// to a thread elsewhere), and 0 where it is the same. Close what is not 0.
func CurrentNamespace() int {
	var thread, process unix.Stat_t
	const path = "/proc/thread-self/ns/net"
	if unix.Stat(path, &thread) != nil || unix.Stat(unmoved(), &process) != nil ||
		thread.Ino == process.Ino && thread.Dev == process.Dev {
		return 0
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	return fd
}

// unmoved is the namespace of a thread that no goroutine has moved: the first,
// unless it is the one that asks, in which case the second. The runtime starts
// that for itself before any goroutine can be locked.
func unmoved() string {
	first := os.Getpid()
	if unix.Gettid() != first {
		return "/proc/self/ns/net"
	}
	second := math.MaxInt
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil && tid != first {
			second = min(second, tid)
		}
	}
	return fmt.Sprintf("/proc/self/task/%d/ns/net", second)
}
