//go:build !linux

package trace

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

func watch(_ context.Context, m Method, _ netip.Addr, _ Options, _ *WatchOptions, _ func(Probe) bool) error {
	return operr.Unsupported("trace: watch " + m.String())
}
