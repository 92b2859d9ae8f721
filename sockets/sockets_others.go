//go:build !linux

package sockets

import (
	"context"

	"github.com/netsonde/netsonde/internal/operr"
)

func read(context.Context, Options, func(*Socket) bool) (Table, error) {
	return Table{}, operr.Unsupported("sockets: list")
}
