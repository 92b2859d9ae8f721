package main

import (
	"context"
	"fmt"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// find takes two samples and prints what is wrong between them.
func (o *options) find(ctx context.Context, name string) int {
	before, err := link.Sample(ctx, name, nil)
	if err == nil {
		select {
		case <-time.After(*o.check):
		case <-ctx.Done(): // what was seen until now counts
		}
	}
	var after link.Snapshot
	if err == nil {
		after, err = link.Sample(context.WithoutCancel(ctx), name, nil)
	}
	if err != nil {
		return o.Fail(err)
	}
	findings := link.Findings(before, after)
	code := cli.Yes
	for _, f := range findings {
		if f.Kind != link.FindingVirtualSpeed { // that is no fault
			code = cli.No
		}
		if !o.json {
			fmt.Fprintf(o.Stdout, "%s: %s\n", f.Kind, cli.Escape(f.Text))
		}
	}
	if o.json {
		if err := cli.PrintJSON(o.Stdout, findings); err != nil {
			return o.Fail(err)
		}
	}
	return code
}
