//go:build !linux

package trace

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

func explore(_ context.Context, m Method, dst netip.Addr, _ Options, _ *MultipathOptions) (Graph, error) {
	return Graph{Target: dst, Method: m}, operr.Unsupported("trace: multipath " + m.String())
}
