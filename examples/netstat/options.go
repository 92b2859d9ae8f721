package main

import (
	"io"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

// options are the command line.
type options struct {
	*cli.Tool
	listening, all, numeric, programs, extend, timers bool
	tcp, udp, raw, unix, v4, v6                       bool
	routes, counters, ifaces, continuous, json        bool
}

func parse(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{Tool: cli.New("netstat", "[options]", "Lists sockets: who listens, who talks, which program that is.", stdout, stderr)}
	f := o.Flags
	f.BoolVarP(&o.listening, "listening", "l", false, "sockets that wait for others")
	f.BoolVarP(&o.all, "all", "a", false, "all sockets (otherwise only connected ones)")
	f.BoolVarP(&o.numeric, "numeric", "n", false, "numbers instead of names of hosts, ports and users")
	f.BoolVarP(&o.programs, "programs", "p", false, "the process that holds a socket")
	f.BoolVarP(&o.extend, "extend", "e", false, "users and inodes")
	f.BoolVarP(&o.timers, "timers", "o", false, "timers of TCP")
	f.BoolVarP(&o.tcp, "tcp", "t", false, "TCP")
	f.BoolVarP(&o.udp, "udp", "u", false, "UDP")
	f.BoolVarP(&o.raw, "raw", "w", false, "raw sockets")
	f.BoolVarP(&o.unix, "unix", "x", false, "unix sockets")
	f.BoolVarP(&o.v4, "inet", "4", false, "IPv4")
	f.BoolVarP(&o.v6, "inet6", "6", false, "IPv6")
	f.BoolVarP(&o.routes, "route", "r", false, "the routing table instead of sockets")
	f.BoolVarP(&o.ifaces, "interfaces", "i", false, "interfaces instead of sockets")
	f.BoolVarP(&o.counters, "statistics", "s", false, "what the network stack has counted, instead of sockets")
	f.BoolVarP(&o.continuous, "continuous", "c", false, "again every second")
	f.BoolVar(&o.json, "json", false, "what the library returns, as JSON")
	f.BoolP("wide", "W", false, "accepted: nothing is ever cut")
	f.BoolP("verbose", "v", false, "accepted")
	if code, done = o.Parse(args); !done && f.NArg() > 0 {
		code, done = o.Usage("what is %q?", f.Arg(0)), true
	}
	return o, code, done
}
