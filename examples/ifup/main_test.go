package main

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifupdown"
	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// The tools as processes of their own, all of them inside a host.
	for _, name := range []string{"ifup", "ifdown"} {
		lab.Child(name, func([]string) int {
			cli.Main(name, tool(name)) // whose arguments these are
			return -1
		})
	}
	os.Exit(lab.Main(m))
}

func tool(name string) cli.Run { return ifupdown.New(name, name == "ifup") }
