//go:build !linux

package main

import (
	"context"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

func runDemo(_ context.Context, t *cli.Tool) int {
	return t.Usage("the demonstration needs Linux: it builds networks in its namespaces")
}
