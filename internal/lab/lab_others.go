//go:build !linux

package lab

import (
	"testing"

	"github.com/netsonde/netsonde/internal/leak"
)

func run(m *testing.M) int { return leak.Main(m) }
