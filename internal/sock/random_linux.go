package sock

import (
	"crypto/rand"

	"golang.org/x/sys/unix"
)

// Random fills b from the kernel's generator (getrandom(2)), as crypto/rand
// does, but without the timer of that package's first use, which has the
// runtime start its poller: a tenth of a millisecond to a tool that lives two.
func Random(b []byte) {
	// Up to 256 bytes come whole, unless the generator has never been seeded.
	if n, err := unix.Getrandom(b, unix.GRND_NONBLOCK); err != nil || n != len(b) {
		rand.Read(b)
	}
}
