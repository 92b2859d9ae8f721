package trace

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
	"golang.org/x/sys/unix"
)

func trace(_ context.Context, m Method, dst netip.Addr, _ Options) (Path, error) {
	return Path{Target: dst, Method: m}, operr.New("trace: "+m.String(), dst, unix.ENOSYS)
}
