package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifaces"
	"github.com/netsonde/netsonde/link"
)

// interfaces prints what ifconfig -s does, with -e what ifconfig does.
func (o *options) interfaces(ctx context.Context) error {
	list, err := ifaces.List(ctx, "", o.all)
	if err != nil && !errors.Is(err, link.ErrInterrupted) {
		return err
	}
	o.Error(err)
	if o.json {
		links := []link.Link{}
		for _, i := range list {
			if !i.Alias {
				links = append(links, i.Link)
			}
		}
		return cli.PrintJSON(o.Stdout, links)
	}
	var out strings.Builder
	out.WriteString("Kernel Interface table\n")
	if !o.extend {
		// A wider first column than that of ifconfig -s, over the same lines.
		out.WriteString(strings.Replace(ifaces.ShortHeading, "Iface", "Iface"+strings.Repeat(" ", 7), 1))
	}
	for _, i := range list {
		if o.extend {
			ifaces.WriteCurrent(&out, i)
		} else {
			ifaces.WriteShort(&out, i)
		}
	}
	_, err = io.WriteString(o.Stdout, out.String())
	return err
}
