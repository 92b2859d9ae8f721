//go:build !linux

package trace

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

func trace(_ context.Context, m Method, dst netip.Addr, _ Options, _ func(Hop) bool) (Path, error) {
	return Path{Target: dst, Method: m}, operr.Unsupported("trace: " + m.String())
}

func findMTU(_ context.Context, dst netip.Addr, _ MTUOptions) (PathMTU, error) {
	return PathMTU{Target: dst, Steps: []MTUStep{}, Hops: []MTUHop{}}, operr.Unsupported("trace: mtu")
}
