// Route shows the routing tables, as route(8) does.
//
//	route -n          the main table, with numbers
//	route             the same with names
//	route -e, -ee     the columns of netstat -r; every column
//	route -6 -n       IPv6, also as -A inet6
//
//	route add default gw 192.0.2.1
//	route add -net 198.51.100.0 netmask 255.255.255.0 gw 192.0.2.9 metric 5
//	route add -host 198.51.100.7 reject
//	route del default
//	route -6 add 2001:db8::/32 gw fe80::1 dev eth0
//
// Adding and deleting need CAP_NET_ADMIN. The exit code is 0, 7 when the kernel
// refused a change, or 2 when the question could not be asked or makes no sense.
//
// Differences from route: names are not looked up in changes. Names are never cut
// to fit their column, are looked up all at once, and no longer than two
// seconds. What the kernel does not tell over netlink is not shown: the Ref of
// an IPv6 route is "-", its flags lack D and A, for what the kernel itself took
// from a router advertisement, and there are no lines "::/0 … !n -1 … lo", which
// are no routes but the roots of tables. As with route, IPv4 is the main table,
// with the first way of a multipath route and 0.0.0.0 for a gateway that is an
// IPv6 address, and IPv6 is every table. --json prints what the library
// returns, which is all of it.
package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/route"
)

// patience is how long names of hosts are waited for.
const patience = 500 * time.Millisecond

func main() { cli.Main("route", run) }

// options are the command line.
type options struct {
	*cli.Tool
	numeric, json bool
	extend        int
	v4, v6        bool
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("route", "[options] [add|del [-net|-host] TARGET [gw GATEWAY] ...]", "Shows where packets go: the routing tables of the kernel. Adds and deletes routes.", stdout, stderr)}
	f := o.Flags
	f.BoolVarP(&o.numeric, "numeric", "n", false, "numbers instead of names")
	f.CountVarP(&o.extend, "extend", "e", "-e: the columns of netstat -r; -ee: every column")
	families := f.StringSliceP("family", "A", nil, "`inet`, inet6 or both")
	f.BoolVarP(&o.v4, "inet", "4", false, "IPv4 (the default)")
	f.BoolVarP(&o.v6, "inet6", "6", false, "IPv6")
	f.BoolVar(&o.json, "json", false, "what the library returns, as JSON")
	f.BoolP("fib", "F", false, "accepted: the tables are what is shown")
	f.BoolP("symbolic", "N", false, "accepted")
	f.BoolP("verbose", "v", false, "accepted")
	cache := f.BoolP("cache", "C", false, "refused: Linux has had no routing cache since 3.6")
	f.SetInterspersed(false) // the words of add and del may begin with a dash
	if code, done = o.Parse(args); done {
		return o, code, done
	}
	for _, family := range *families {
		switch family {
		case "inet":
			o.v4 = true
		case "inet6":
			o.v6 = true
		default:
			return o, o.Usage("unknown address family %q", family), true
		}
	}
	if *cache {
		return o, o.Usage("there is no routing cache since Linux 3.6; to see what is decided for an address: ip route get ADDRESS"), true
	}
	o.v4 = o.v4 || !o.v6
	return o, cli.Yes, false
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	if o.Flags.NArg() > 0 {
		return o.change(ctx, o.Flags.Args())
	}
	var list []route.Route
	var list4, list6 []route.Route
	var err error
	for _, f := range []struct {
		wanted bool
		list   *[]route.Route
		o      route.Options
	}{
		{o.v4, &list4, route.Options{Family: route.FamilyIPv4, Table: mainTable}},
		{o.v6, &list6, route.Options{Family: route.FamilyIPv6}},
	} {
		if !f.wanted || err != nil {
			continue
		}
		if *f.list, err = route.List(ctx, &f.o); errors.Is(err, route.ErrInterrupted) {
			o.Error(err) // and what there is of it
			err = nil
		}
		list = append(list, *f.list...)
	}
	switch {
	case err != nil:
		return o.Fail(err)
	case o.json:
		err = cli.PrintJSON(stdout, list)
	default:
		err = o.print(ctx, list4, list6)
	}
	if err != nil {
		return o.Fail(err)
	}
	return cli.Yes
}

// print writes the tables in one piece, once the names are there.
func (o *options) print(ctx context.Context, list4, list6 []route.Route) error {
	p := printer{extend: o.extend}
	if !o.numeric {
		p.networks, p.names = readNetworks(), cli.NewNames(ctx)
		defer p.names.Close()
		p.ask(list4, list6)
		p.names.Wait(patience)
	}
	var out strings.Builder
	if o.v4 {
		p.table4(&out, list4)
	}
	if o.v6 {
		p.table6(&out, list6)
	}
	_, err := io.WriteString(o.Stdout, out.String())
	return err
}
