// Ifconfig shows network interfaces, as ifconfig(8) does.
//
//	ifconfig             the interfaces that are up
//	ifconfig -a          all of them
//	ifconfig eth0        one
//	ifconfig -s          a line for each
//	ifconfig --classic   the layout of net-tools before 2, "Link encap:"
//
// The exit code is 0, 1 when there is no such interface, or 2 when the question
// could not be asked.
//
// Differences from ifconfig: it only shows; `ip` sets. IPv6 addresses come in
// the order of `ip addr` (ifconfig has that of a hash table). An alias that is
// not there is an error. --json prints what the library returns, which is all
// addresses: ifconfig shows one IPv4 address for each name.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

func main() { cli.Main("ifconfig", run) }

// options are the command line.
type options struct {
	*cli.Tool
	all, short, classic, json bool
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("ifconfig", "[options] [IF]", "Shows network interfaces: flags, addresses, counters.", stdout, stderr)}
	f := o.Flags
	f.BoolVarP(&o.all, "all", "a", false, "interfaces that are down too")
	f.BoolVarP(&o.short, "short", "s", false, "a line for each")
	f.BoolVar(&o.classic, "classic", false, "the layout of net-tools before 2")
	f.BoolVar(&o.json, "json", false, "what the library returns, as JSON")
	f.BoolP("verbose", "v", false, "accepted")
	if code, done = o.Parse(args); !done && f.NArg() > 1 {
		code, done = o.refuse(f.Arg(0), f.Arg(1), f.Arg(2)), true
	}
	return o, code, done
}

// refuse says what to type instead of what this program does not do.
func (o *options) refuse(name, word, value string) int {
	command := "addr add " + word + "/LENGTH dev " + name
	switch word {
	case "up", "down":
		command = "link set " + name + " " + word
	case "mtu", "txqueuelen":
		command = strings.TrimSpace("link set " + name + " " + word + " " + value)
	case "hw":
		command = "link set " + name + " address ADDRESS"
	case "promisc", "allmulti", "arp", "multicast", "dynamic":
		command = "link set " + name + " " + strings.TrimSuffix(word, "i") + " on"
		if word == "allmulti" {
			command = "link set " + name + " allmulticast on"
		}
	case "-promisc", "-allmulti", "-arp", "-multicast", "-dynamic":
		command = "link set " + name + " " + word[1:] + " off"
		if word == "-allmulti" {
			command = "link set " + name + " allmulticast off"
		}
	case "add", "inet6":
		command = "addr add ADDRESS/LENGTH dev " + name
	case "del":
		command = "addr del ADDRESS/LENGTH dev " + name
	}
	return o.Usage("this program only shows interfaces; to set one: ip %s", command)
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	list, err := o.interfaces(ctx)
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
			if !i.alias {
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
