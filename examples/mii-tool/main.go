// Mii-tool shows what two ends of a copper cable agreed on, as mii-tool(8) does.
//
//	mii-tool           every card
//	mii-tool -v eth0   with what each side can and offers
//	mii-tool -w eth0   a line whenever that changes
//
// The registers of the PHY are read where the driver lets them be and CAP_NET_ADMIN
// is there. Elsewhere, and mii-tool fails there, the same is derived from the link
// modes that the driver tells over netlink, which standard error says. The exit
// code is 1 when there was nothing to show for an interface.
//
// Differences from mii-tool: it only shows. Full duplex is taken for the better
// 1000baseT, which IEEE 802.3 (28B.3) demands, a forced 1000 Mbit is shown as such, and
// power down and jabber are shown. Without an interface it shows every card that
// is not made of software. PHYs are named by their numbers. -vv has registers 0
// to 15. --json prints what the library returns.
package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

func main() { cli.Main("mii-tool", run) }

// options are the command line.
type options struct {
	*cli.Tool
	verbose     int
	watch, json bool
	phy         *uint8          // address of a PHY; nil: the driver's
	said        map[string]bool // what was said on standard error
}

// port is an interface and its MII, as --json prints it.
type port struct {
	Name string `json:"ifname"`
	link.MII
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o := &options{Tool: cli.New("mii-tool", "[options] [IF...]", "Shows what two ends of a copper cable agreed on.", stdout, stderr), said: map[string]bool{}}
	f := o.Flags
	f.CountVarP(&o.verbose, "verbose", "v", "what each side can and offers; twice: the registers")
	f.BoolVarP(&o.watch, "watch", "w", false, "a line whenever something changes")
	phy := f.Uint8P("phy", "p", 0, "the PHY at this address on the card's MDIO bus")
	f.BoolVar(&o.json, "json", false, "what the library returns, as JSON")
	for _, set := range [][2]string{{"R", "reset"}, {"r", "restart"}, {"A", "advertise"}, {"F", "force"}, {"l", "log"}} {
		f.BoolP(set[1], set[0], false, "")
		_ = f.MarkHidden(set[1])
	}
	if code, done := o.Parse(args); done {
		return code
	}
	if slices.ContainsFunc([]string{"reset", "restart", "advertise", "force"}, f.Changed) {
		return o.Usage("this program only shows; to set: /sbin/ethtool -s IF, or /sbin/ethtool -r IF to negotiate anew")
	}
	switch {
	case f.Changed("log"):
		return o.Usage("this program writes to standard output: mii-tool -w IF | logger")
	case f.Changed("phy"):
		o.phy = phy
	}
	names := f.Args()
	if len(names) == 0 {
		var err error
		if names, err = cards(ctx); err != nil {
			return o.Fail(err)
		}
		if len(names) == 0 {
			o.Warn("no MII interfaces found")
			return cli.No
		}
	}
	code := cli.Yes
	last := make([]string, len(names))
	for {
		for i, name := range names {
			if err := o.show(ctx, name, &last[i]); err != nil {
				o.failed(name, err)
				code = cli.No
			}
		}
		if !o.watch || code != cli.Yes {
			return code
		}
		select {
		case <-ctx.Done():
			return code
		case <-time.After(time.Second):
		}
	}
}

// cards returns the interfaces that are hardware.
func cards(ctx context.Context) (names []string, err error) {
	links, err := link.List(ctx, nil)
	for _, l := range links {
		if l.Type != link.TypeEther {
			continue
		}
		d, openErr := link.OpenDevice(ctx, l.Name, nil)
		if openErr != nil {
			continue // gone since
		}
		if !d.Virtual() {
			names = append(names, l.Name)
		}
		d.Close()
	}
	return names, err
}

// show prints one interface; while watching only what has changed, a line each.
func (o *options) show(ctx context.Context, name string, last *string) error {
	d, err := link.OpenDevice(ctx, name, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	m, err := o.ask(ctx, d)
	if err != nil {
		return err
	}
	o.note(d, &m)
	summary := m.Summary()
	if o.watch && *last == summary {
		return nil
	}
	*last = summary
	if o.json {
		return cli.JSONLine(o.Stdout, port{d.Name, m})
	}
	line := name + ": " + summary + "\n"
	if o.watch {
		line = time.Now().Format("15:04:05 ") + line
	} else if o.verbose > 0 {
		line += details(&m, o.verbose > 1)
	}
	_, err = io.WriteString(o.Stdout, line)
	return err
}
