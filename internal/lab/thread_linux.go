package lab

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs fn on a thread that belongs to it alone and ends with it, so
// that fn may change the thread's namespaces and capabilities for good.
// If fn ends its goroutine (t.Fatal), the caller's ends too.
func onThread(fn func() error) error {
	type outcome struct {
		err    error
		exited bool
	}
	done := make(chan outcome, 1)
	go awayFromMain(func() {
		o := outcome{exited: true}
		defer func() { done <- o }()
		o.err = fn()
		o.exited = false
	})
	o := <-done
	if o.exited {
		runtime.Goexit()
	}
	return o.err
}

// awayFromMain calls fn on a locked thread other than the process's first one:
// that one cannot end, and /proc/self shows its namespaces for all of them.
func awayFromMain(fn func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		fn() // not unlocked: the thread ends with the goroutine
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		fn()
	}()
	<-done
	runtime.UnlockOSThread()
}

// join moves the calling thread, which must be a throw-away one, into the
// namespaces of n. The working directory stays the same path.
func (n *node) join() error {
	dir, dirErr := unix.Getwd()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare fs: %w", err)
	}
	if err := unix.Setns(n.netFD, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace of %s: %w", n.name, err)
	}
	if n.mntFD < 0 {
		return nil
	}
	if err := unix.Setns(n.mntFD, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace of %s: %w", n.name, err)
	}
	if dirErr == nil {
		return unix.Chdir(dir)
	}
	return nil
}

// inside runs fn on a throw-away thread in the namespaces of n.
func (n *node) inside(fn func() error) error {
	return onThread(func() error {
		if err := n.join(); err != nil {
			return err
		}
		return fn()
	})
}

// noNewPrivileges arranges that no program that the calling thread starts gets
// more than the thread has. Neither uid 0 nor a file capability gives anything
// at exec then, and exec still works, which it would not for a program with
// file capabilities and an emptied bounding set.
func noNewPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}

// dropCapabilities leaves the calling thread, and what it starts, without any
// capability and without a way to get one.
func dropCapabilities() error {
	if err := noNewPrivileges(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, secureNoRoot, 0, 0, 0); err != nil {
		return fmt.Errorf("securebits: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// secureNoRoot is SECBIT_NOROOT and SECBIT_NOROOT_LOCKED of
// linux/securebits.h: uid 0 is an ordinary user at exec.
const secureNoRoot = 1<<0 | 1<<1
