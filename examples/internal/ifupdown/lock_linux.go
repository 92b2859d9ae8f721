package ifupdown

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes a record lock of the whole file, as ifupdown does, or returns EAGAIN
// and the process that has it.
func lock(f *os.File) (owner int, err error) {
	want := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &want); err == nil {
		return 0, nil
	}
	if unix.FcntlFlock(f.Fd(), unix.F_GETLK, &want) == nil && want.Type != unix.F_UNLCK {
		owner = int(want.Pid)
	}
	return owner, err
}
