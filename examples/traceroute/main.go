// Traceroute prints the routers between this host and another one.
//
// Usage:
//
//	traceroute [options] HOST [BYTES]
//
// It takes the command line of traceroute(8) and prints its lines, each as
// soon as it is complete. It asks with datagrams to port 33434, with -I as ping
// does, with -T by opening connections. It needs no privileges, for -I where
// net.ipv4.ping_group_range admits the user, else CAP_NET_RAW.
//
// All probes of a trace but those of TCP are one flow, so that routers which
// share traffic over several paths send them all the same way.
//
// The exit status is 0 if the trace was made, whatever it showed, 1 if it could
// not be made, 2 for a wrong command line or a name that does not resolve, and
// 130 after Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

func main() { cli.Main("traceroute", run) }

// settings are the command line.
type settings struct {
	opt                                  trace.Options
	four, six, icmp, tcp, udp            *bool
	numeric, extensions, json            *bool
	source                               *string
	wait                                 *time.Duration
	pause                                *float64
	port, queries, first, last, squeries *int
}

func flags(t *cli.Tool) *settings {
	f, s := t.Flags, &settings{}
	s.four = f.BoolP("ipv4", "4", false, "use IPv4")
	s.six = f.BoolP("ipv6", "6", false, "use IPv6")
	s.extensions = f.BoolP("extensions", "e", false, "show MPLS labels")
	s.first = f.IntP("first", "f", 1, "start from this `TTL`")
	f.StringVarP(&s.opt.Device, "interface", "i", "", "send through this `interface`")
	s.icmp = f.BoolP("icmp", "I", false, "use ICMP echo requests")
	s.last = f.IntP("max-hops", "m", 30, "the last `TTL` to try")
	s.numeric = f.BoolP("numeric", "n", false, "do not look up names")
	s.squeries = f.IntP("sim-queries", "N", 16, "`number` of probes at once beyond the last answer; more follow in a second")
	s.port = f.IntP("port", "p", 0, "target `port`; 33434, with -U 53, with -T 80")
	s.queries = f.IntP("queries", "q", 3, "`number` of probes a hop")
	s.source = f.StringP("source", "s", "", "send from this `address`")
	s.tcp = f.BoolP("tcp", "T", false, "use TCP connections")
	s.udp = f.BoolP("udp", "U", false, "use UDP to port 53")
	s.wait = t.Seconds("wait", "w", 5*time.Second, "`seconds` to wait for an answer")
	s.pause = f.Float64P("sendwait", "z", 0, "`time` between probes: up to 10 in seconds, else in milliseconds")
	s.json = f.Bool("json", false, "print the path as JSON when it is known")
	return s
}

// options checks the numbers and gives them to the library.
func (s *settings) options(args []string) error {
	methods := 0
	for _, m := range []*bool{s.icmp, s.tcp, s.udp} {
		if *m {
			methods++
		}
	}
	switch {
	case len(args) == 0:
		return errors.New("which host?")
	case len(args) > 2:
		return fmt.Errorf("what is %q?", args[2])
	case *s.four && *s.six:
		return errors.New("-4 and -6 do not go together")
	case methods > 1:
		return errors.New("-I, -T and -U do not go together")
	case *s.port < 0 || *s.port > 65535:
		return errors.New("a port is between 1 and 65535")
	case *s.last < 1 || *s.last > 255:
		return errors.New("max hops cannot be more than 255, or less than 1")
	case *s.first < 1 || *s.first > *s.last:
		return errors.New("first hop out of range")
	case *s.queries < 1 || *s.queries > 10:
		return errors.New("no more than 10 probes per hop, and no less than 1")
	case *s.squeries < 1 || *s.wait <= 0 || *s.pause < 0:
		return errors.New("-N, -w and -z are more than nothing")
	}
	s.opt.Port, s.opt.FirstTTL, s.opt.MaxTTL = uint16(*s.port), *s.first, *s.last
	if *s.udp && *s.port == 0 {
		s.opt.Port = 53
	}
	s.opt.Queries, s.opt.Timeout, s.opt.MaxSilent = *s.queries, *s.wait, -1
	s.opt.Ahead = (*s.squeries + *s.queries - 1) / *s.queries
	if *s.pause > 10 {
		s.opt.Rate = 1000 / *s.pause
	} else if *s.pause > 0 {
		s.opt.Rate = 1 / *s.pause
	}
	return nil
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("traceroute", "[options] HOST [BYTES]", "Prints the routers on the way to a host.", stdout, stderr)
	s := flags(t)
	if code, done := t.Parse(args); done {
		return code
	}
	args = t.Flags.Args()
	err := s.options(args)
	if *s.source != "" && err == nil {
		s.opt.Source, err = netip.ParseAddr(*s.source)
	}
	if err != nil {
		return t.Usage("%v", err)
	}
	dst, err := hops.Lookup(ctx, args[0], s.family())
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return t.Fail(err)
	}
	if err := s.size(args[1:], dst); err != nil {
		return t.Usage("%v", err)
	}
	return s.trace(ctx, t, args[0], dst)
}

// count reads a number of the command line.
func count(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}
