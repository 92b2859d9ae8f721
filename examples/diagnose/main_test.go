package main

import (
	"os"
	"testing"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Child("tool", func([]string) int {
		cli.Main("diagnose", run) // exits
		return cli.Failed
	})
	// What the demonstration starts inside its networks.
	lab.Child("diagnose", func([]string) int {
		cli.Main("diagnose", run)
		return cli.Failed
	})
	os.Exit(lab.Main(m))
}
