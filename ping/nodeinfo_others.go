//go:build !linux

package ping

import (
	"cmp"
	"context"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

func (q NodeQuery) stream(_ context.Context, dst netip.Addr, _ Options, _ *StreamOptions, yield func(Result, error) bool) {
	_, err := q.message(dst, [nonceLen]byte{})
	yield(Result{}, operr.New(opNodeQuery, dst, cmp.Or(err, operr.Unsupported(opNodeQuery))))
}
