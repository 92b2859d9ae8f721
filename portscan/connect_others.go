//go:build !linux

package portscan

import (
	"context"

	"github.com/netsonde/netsonde/internal/operr"
)

// openWire returns the wire and how many attempts at once it is good for.
func openWire(ctx context.Context, o Options) (wire, int, error) {
	if o.Device != "" || o.Mark != 0 || o.NetNS != 0 {
		return nil, 0, operr.Unsupported("portscan: device, mark and namespace")
	}
	return newDialerWire(ctx, o), dialerParallel, nil
}
