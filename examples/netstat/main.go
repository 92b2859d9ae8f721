// Netstat lists sockets, and with -r routes, as netstat(8) does.
//
//	netstat -lnp       who listens, and which program is it?
//	netstat -plunte    the same for TCP and UDP, with users and inodes
//	netstat -an        every socket
//	netstat -ntp       connections of TCP with their programs
//	netstat -nr        the routing table
//	netstat -i         the interfaces with their counters; -a also those that are down, -e as ifconfig
//	netstat -s         what the network stack has counted; -t -u -w parts of it, -6 IPv6
//
// The exit code is 0, or 2 when the question could not be asked.
//
// Differences from netstat: nothing is ever cut to fit a column (as with
// --wide). Without -n, names are looked up all at once and no longer than half a
// second. RefCnt of a unix socket is "-", since the kernel tells it only in
// the file that this program does not need. --json prints what the library
// returns, which is more.
package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/sockets"
)

func main() { cli.Main("netstat", run) }

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	list := o.sockets
	switch {
	case o.routes:
		list = o.routingTable
	case o.ifaces:
		list = o.interfaces
	case o.counters:
		list = o.statistics
	}
	for {
		if err := list(ctx); err != nil {
			return o.Fail(err)
		}
		if !o.continuous {
			return cli.Yes
		}
		select {
		case <-ctx.Done():
			return cli.Yes
		case <-time.After(time.Second):
		}
	}
}

// query says which sockets the library is asked for.
func (o *options) query() *sockets.Options {
	q := &sockets.Options{Processes: o.programs}
	for _, p := range []struct {
		wanted   bool
		protocol sockets.Protocol
	}{{o.tcp, sockets.TCP}, {o.udp, sockets.UDP}, {o.raw, sockets.Raw}, {o.unix, sockets.Unix}} {
		if p.wanted || !(o.tcp || o.udp || o.raw || o.unix) && !(p.protocol == sockets.Unix && (o.v4 || o.v6)) {
			q.Protocols = append(q.Protocols, p.protocol)
		}
	}
	switch {
	case o.v4 && !o.v6:
		q.Family = sockets.FamilyIPv4
	case o.v6 && !o.v4:
		q.Family = sockets.FamilyIPv6
	}
	if o.listening && !o.all {
		q.States = []sockets.State{sockets.StateListen, sockets.StateClose}
	}
	return q
}

// shown reports whether netstat shows a socket. Ports that are merely taken
// are not among what it knows.
func (o *options) shown(s sockets.Socket) bool {
	connected := s.Remote.IsValid() && s.Remote.Port() != 0
	if s.Protocol == sockets.Unix {
		connected = s.State == sockets.StateEstablished
	}
	switch {
	case s.State == sockets.StateBoundInactive:
		return false
	case o.all:
		return true
	case o.listening:
		return s.Listening() && !connected
	}
	return connected
}

func (o *options) sockets(ctx context.Context) error {
	table, err := sockets.Read(ctx, o.query())
	if err != nil {
		return err
	}
	table.Sockets = slices.DeleteFunc(table.Sockets, func(s sockets.Socket) bool { return !o.shown(s) })
	if o.json {
		err = cli.PrintJSON(o.Stdout, table)
	} else {
		err = o.print(ctx, table.Sockets)
	}
	o.unseen(table.Walk)
	return err
}

// unseen says why programs are not known.
func (o *options) unseen(w sockets.Walk) {
	switch {
	case w.Unowned == 0:
	case w.Err != "":
		o.Warn("processes could not be looked at, so programs are not known: %s", w.Err)
	case w.Refused > 0:
		o.Warn("%d of %d processes could not be looked into, so some programs are not known", w.Refused, w.Read+w.Refused)
		if w.Need != "" {
			o.Hint("that needs %s, or root", w.Need)
		}
	default:
		o.Warn("the programs of %d sockets are not known: they run in another PID namespace, /proc hides them (hidepid), or it is the kernel", w.Unowned)
	}
}
