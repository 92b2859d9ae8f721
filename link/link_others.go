//go:build !linux

package link

import (
	"context"

	"github.com/netsonde/netsonde/internal/operr"
)

func list(context.Context, *Options) ([]Link, error) { return nil, operr.Unsupported("link: list") }

func get(context.Context, string, *Options) (Link, error) {
	return Link{}, operr.Unsupported("link: get")
}
