package portscan

import (
	"context"

	"github.com/netsonde/netsonde/internal/operr"
)

type wire interface{ close() }

func openWire(context.Context, Options) (wire, error) {
	return nil, operr.Unsupported("portscan: connect")
}
