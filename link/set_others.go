//go:build !linux

package link

import (
	"context"
	"iter"

	"github.com/netsonde/netsonde/internal/operr"
)

func setLink(context.Context, string, Changes, *Options) error { return operr.Unsupported("link: set") }

func changeAddress(_ context.Context, op, _ string, _ Address, _ bool, _ *Options) error {
	return operr.Unsupported(op)
}

func watch(context.Context, *WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { yield(Event{}, operr.Unsupported("link: watch")) }
}
