//go:build !linux

package lab

import (
	"testing"

	"github.com/netsonde/netsonde/internal/leak"
	"github.com/netsonde/netsonde/internal/operr"
)

func run(m *testing.M) int { return leak.Main(m) }

func isolate(func() int) (int, error) { return 0, operr.Unsupported("lab: network namespaces") }
