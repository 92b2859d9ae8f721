//go:build !linux

package sockets

import (
	"context"
	"iter"

	"github.com/netsonde/netsonde/internal/operr"
)

func read(context.Context, Options, func(*Socket) bool) (Table, error) {
	return Table{}, operr.Unsupported("sockets: list")
}

func all(context.Context, Options) iter.Seq2[Socket, error] {
	return func(yield func(Socket, error) bool) { yield(Socket{}, operr.Unsupported("sockets: list")) }
}

func counters(context.Context, Options) ([]CounterGroup, error) {
	return nil, operr.Unsupported("sockets: read counters")
}
