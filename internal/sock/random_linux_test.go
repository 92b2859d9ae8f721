package sock_test

import (
	"bytes"
	"testing"

	"github.com/netsonde/netsonde/internal/sock"
)

// Lengths beyond what getrandom gives in one piece are filled too.
func TestRandom(t *testing.T) {
	for _, n := range []int{0, 1, 8, 256, 257, 100000} {
		a, b := make([]byte, n), make([]byte, n)
		sock.Random(a)
		sock.Random(b)
		if n >= 8 && (bytes.Equal(a, b) || bytes.Equal(a[n-8:], make([]byte, 8))) {
			t.Errorf("%d bytes: %x and %x", n, a[n-8:], b[n-8:])
		}
	}
}
