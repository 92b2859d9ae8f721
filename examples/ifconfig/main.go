// Ifconfig shows network interfaces, as ifconfig(8) does.
//
//	ifconfig             the interfaces that are up
//	ifconfig -a          all of them
//	ifconfig eth0        one
//	ifconfig -s          a line for each
//	ifconfig --classic   the layout of net-tools before 2, "Link encap:"
//
// The exit code is 0, 1 when there is no such interface or the kernel refused a
// change, or 2 when the question could not be asked or the words make no sense.
//
//	ifconfig eth0 up
//	ifconfig eth0 down
//	ifconfig eth0 mtu 1400
//	ifconfig eth0 192.0.2.7 netmask 255.255.255.0 broadcast 192.0.2.255
//	ifconfig eth0 192.0.2.7/24
//	ifconfig eth0:1 192.0.2.8/24
//	ifconfig eth0 add 2001:db8::7/64
//
// Setting needs CAP_NET_ADMIN. The words are those of ifconfig: up, down, mtu,
// txqueuelen, hw ether, netmask, broadcast, pointopoint, add and del (IPv6), and
// arp, promisc, allmulti, multicast, dynamic and trailers, which a dash in front
// turns off. An IPv4 address takes the place of the one that the name has, 0
// takes it away, and so does down for an alias. An address without a mask gets
// that of its old class, as with ifconfig; say one.
//
// Differences from ifconfig: names are not looked up. The words are read before
// anything is done. IPv6 addresses are shown in the order of `ip addr` (ifconfig has that of a hash
// table). An alias that is not there is an error. --json prints what the library
// returns, which is all addresses: ifconfig shows one IPv4 address for each name.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/ifaces"
	"github.com/netsonde/netsonde/link"
)

func main() { cli.Main("ifconfig", run) }

// options are the command line.
type options struct {
	*cli.Tool
	all, short, classic, json bool
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("ifconfig", "[options] [IF [WORD...]]", "Shows network interfaces: flags, addresses, counters. With words after the interface, sets it: up, down, mtu N, ADDRESS netmask MASK, …", stdout, stderr)}
	f := o.Flags
	f.BoolVarP(&o.all, "all", "a", false, "interfaces that are down too")
	f.BoolVarP(&o.short, "short", "s", false, "a line for each")
	f.BoolVar(&o.classic, "classic", false, "the layout of net-tools before 2")
	f.BoolVar(&o.json, "json", false, "what the library returns, as JSON")
	f.BoolP("verbose", "v", false, "accepted")
	f.SetInterspersed(false) // a word after the interface may begin with a dash
	code, done = o.Parse(optionsFirst(args))
	return o, code, done
}

// optionsFirst moves long options, which are no words of ifconfig, to the front.
func optionsFirst(args []string) []string {
	long := func(s string) bool { return strings.HasPrefix(s, "--") && s != "--" }
	var front, rest []string
	for _, a := range args {
		if long(a) {
			front = append(front, a)
		} else {
			rest = append(rest, a)
		}
	}
	return append(front, rest...)
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	if o.Flags.NArg() > 1 {
		return o.set(ctx, o.Flags.Arg(0), o.Flags.Args()[1:])
	}
	list, err := ifaces.List(ctx, o.Flags.Arg(0), o.all)
	switch {
	case errors.Is(err, os.ErrNotExist):
		o.Error(err)
		return cli.No
	case err != nil && !errors.Is(err, link.ErrInterrupted):
		return o.Fail(err)
	}
	o.Error(err)
	if o.json {
		var links []link.Link
		for _, i := range list {
			if !i.Alias {
				links = append(links, i.Link)
			}
		}
		err = cli.PrintJSON(stdout, links)
	} else {
		err = o.print(list)
	}
	if err != nil {
		return o.Fail(err)
	}
	return cli.Yes
}

func (o *options) print(list []ifaces.Interface) error {
	var out strings.Builder
	if o.short {
		out.WriteString(ifaces.ShortHeading)
	}
	for _, i := range list {
		switch {
		case o.short:
			ifaces.WriteShort(&out, i)
		case o.classic:
			ifaces.WriteClassic(&out, i)
		default:
			ifaces.WriteCurrent(&out, i)
		}
	}
	_, err := io.WriteString(o.Stdout, out.String())
	return err
}
