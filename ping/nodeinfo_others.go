//go:build !linux

package ping

import (
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

func (q NodeQuery) stream(_ context.Context, dst netip.Addr, _ Options, _ *StreamOptions, _ func(Result, error) bool) error {
	if _, err := q.message(dst, [nonceLen]byte{}); err != nil {
		return err
	}
	return operr.Unsupported("ping: node query")
}
