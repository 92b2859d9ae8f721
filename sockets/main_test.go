package sockets

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	registerChildren()
	os.Exit(lab.Main(m))
}
