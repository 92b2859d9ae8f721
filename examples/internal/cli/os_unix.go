//go:build unix

package cli

import (
	"errors"

	"golang.org/x/sys/unix"
)

// terminal returns the width of a terminal, 0 when it does not say, and
// whether it is one: nothing else has a window size.
func terminal(fd uintptr) (width int, ok bool) {
	ws, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(ws.Col), true
}

// noReader reports whether a write failed because nobody reads the pipe.
func noReader(err error) bool { return errors.Is(err, unix.EPIPE) }
