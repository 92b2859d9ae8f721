package trace_test

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	for name, fn := range children {
		lab.Child(name, fn)
	}
	os.Exit(lab.Main(m))
}

// children are what tests run in processes of their own.
var children = map[string]func(args []string) int{}
