package lab

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Lab is one test's network. Its methods, and those of its hosts, end the test
// with t.Fatal when they fail, unless they return an error; they are called
// from the goroutine of the test. All of it goes away when the test ends.
type Lab struct {
	t         TB
	dir       string // files that hosts see as their /etc/…
	hosts     []*Host
	nextIndex int // of the next interface with a chosen index
	mu        sync.Mutex
	closers   []func()
}

// New returns an empty lab. Where the kernel does not let this user build one,
// it skips the test and says which permission is missing.
func New(t TB) *Lab {
	t.Helper()
	if errNoLab != nil {
		t.Skip("no network lab: ", errNoLab)
	}
	l := &Lab{t: t, dir: t.TempDir(), nextIndex: 100}
	t.Cleanup(l.close)
	return l
}

func (l *Lab) close() {
	l.mu.Lock()
	closers := l.closers
	l.closers = nil
	l.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
}

// atEnd registers what the end of the test has to undo, last one first. Hosts
// may run commands at the same time.
func (l *Lab) atEnd(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, fn)
}

// check ends the test on an error. What a kernel or a container can lack or
// forbid is no failure of the code under test: the test is skipped.
func (l *Lab) check(err error, format string, args ...any) {
	l.t.Helper()
	if err == nil {
		return
	}
	what := fmt.Sprintf(format, args...)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, errMissing) {
		l.t.Skipf("lab: %s: %v", what, err)
	}
	l.t.Fatalf("lab: %s: %v", what, err)
}

// errMissing marks what this kernel does not have.
var errMissing = errors.New("not in this kernel")

// missing marks the errors by which a kernel says that it lacks something.
func missing(err error) error {
	for _, e := range []error{unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.ENOSYS} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", errMissing, err)
		}
	}
	return err
}
