package diagnose

import (
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/sock"
)

// namespace returns the descriptor of the namespace to examine: the one asked
// for, or that of a caller's goroutine which is locked to a thread elsewhere.
// Probes run on goroutines of their own, which would not be there.
func (t *tools) namespace(o Options) int {
	if o.NetNS != 0 {
		return o.NetNS
	}
	fd := sock.CurrentNamespace()
	if fd != 0 {
		t.close = append(t.close, func() error { return unix.Close(fd) })
	}
	return fd
}
