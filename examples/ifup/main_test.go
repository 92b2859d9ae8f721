package main

import (
	"context"
	"os"
	"testing"

	"github.com/netsonde/netsonde/examples/internal/ifupdown"
	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// The tools as processes of their own, all of them inside a host.
	for name, up := range map[string]bool{"ifup": true, "ifdown": false} {
		run := ifupdown.New(name, up)
		lab.Child(name, func(args []string) int {
			return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
		})
	}
	os.Exit(lab.Main(m))
}
