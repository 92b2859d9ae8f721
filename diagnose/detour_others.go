//go:build !linux

package diagnose

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

// Detour needs Linux.
func (k kernel) Detour(context.Context, netip.Addr, netip.Addr, netip.Addr) (bool, error) {
	return false, operr.Unsupported("diagnose: send by way of the gateway")
}
