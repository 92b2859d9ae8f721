package sock

import (
	"runtime"

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

const threadNamespace = "/proc/thread-self/ns/net"

// CurrentNamespace returns a descriptor of the calling thread's network
// namespace where that differs from the process's own (its goroutine is locked
// to a thread elsewhere), and 0 where it is the same. Close what is not 0.
func CurrentNamespace() int {
	var thread unix.Stat_t
	process, err := home()
	if err != nil || unix.Stat(threadNamespace, &thread) != nil || thread.Ino == process.Ino && thread.Dev == process.Dev {
		return 0
	}
	fd, err := unix.Open(threadNamespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	return fd
}

// home tells which namespace goroutines of this process are in that are locked
// to no thread. None of the threads can be named for it: the first one too stays
// where a goroutine moved it that ended while it was locked there.
func home() (st unix.Stat_t, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Otherwise the thread could change between the name and the look at it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err = unix.Stat(threadNamespace, &st)
	}()
	<-done
	return st, err
}
