package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifupdown"
	"github.com/netsonde/netsonde/internal/lab"
)

func TestMain(m *testing.M) {
	// The tools as processes of their own, all of them inside a host.
	for _, name := range []string{"ifup", "ifdown"} {
		lab.Child(name, func(args []string) int {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // as cli.Main
			defer stop()
			return tool(name)(ctx, args, os.Stdin, os.Stdout, os.Stderr)
		})
	}
	os.Exit(lab.Main(m))
}

func tool(name string) cli.Run { return ifupdown.New(name, name == "ifup") }
