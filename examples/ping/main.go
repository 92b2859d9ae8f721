// Ping asks hosts for an echo.
//
// Usage:
//
//	ping [options] HOST
//	ping [options] -T tsprespec HOP… HOST
//	ping [-a|-u] [-r RETRIES] [-i SECONDS] HOST HOST…
//	ping [-a|-u] [-r RETRIES] [-i SECONDS] -g PREFIX…|FIRST LAST
//	ping [-a|-u] … -            (hosts from standard input)
//
// With one host it is ping(8) of iputils: the same options, lines and
// statistics. Ctrl-C ends it with the statistics, Ctrl-\ shows them on the way.
// With several hosts or -g it is fping(8): who is alive and who is not.
//
// It needs no privileges where net.ipv4.ping_group_range admits the user; else
// CAP_NET_RAW. Times are the kernel's. An interval under 2 ms is for root.
//
// The exit status is 0 if the host replied (with -g: all did; with -c and -w:
// as often as asked), 1 if not, 2 if it could not run.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

func main() { cli.Main("ping", run) }

// settings are the command line.
type settings struct {
	opt                                    ping.Options
	interval, deadline, timeout            *time.Duration
	count, retries                         *int
	four, six, numeric, quiet, dates       *bool
	flood, adaptive, outstanding           *bool
	alive, unreachable, generate, json     *bool
	plot                                   *bool
	device, fragment, tos, pattern, ipTime *string
}

func flags(t *cli.Tool) *settings {
	f, s := t.Flags, &settings{}
	s.four = f.BoolP("ipv4", "4", false, "use IPv4")
	s.six = f.BoolP("ipv6", "6", false, "use IPv6")
	s.adaptive = f.BoolP("adaptive", "A", false, "the next as soon as there is a reply")
	s.alive = f.BoolP("alive", "a", false, "sweep: print only who answers")
	f.BoolVarP(&s.opt.Broadcast, "broadcast", "b", false, "allow pinging broadcast addresses")
	s.count = f.IntP("count", "c", 0, "stop after `N` probes")
	s.dates = f.BoolP("dates", "D", false, "print the time before each line")
	s.flood = f.BoolP("flood", "f", false, "as fast as replies come, or 100 a second; a dot for each loss")
	s.generate = f.BoolP("generate", "g", false, "sweep the hosts of prefixes, or from a first to a last one")
	s.device = f.StringP("interface", "I", "", "send from this `interface` or address")
	s.interval = t.Seconds("interval", "i", time.Second, "`seconds` between probes; sweep: 0 is as fast as it is safe")
	f.BoolVarP(&s.opt.NoLoop, "no-loop", "L", false, "do not hear one's own multicast")
	f.Uint32VarP(&s.opt.Mark, "mark", "m", 0, "set the firewall `mark`")
	s.fragment = f.StringP("pmtudisc", "M", "", "don't-fragment `mode`: do, want, dont or probe")
	s.numeric = f.BoolP("numeric", "n", false, "do not look up names")
	s.outstanding = f.BoolP("outstanding", "O", false, "say so when there is no reply before the next probe")
	s.pattern = f.StringP("pattern", "p", "", "fill packets with these `hex` bytes")
	s.quiet = f.BoolP("quiet", "q", false, "print the statistics only")
	s.tos = f.StringP("tos", "Q", "0", "set the TOS `byte` or traffic class")
	f.BoolVarP(&s.opt.RecordRoute, "record-route", "R", false, "record the route")
	s.retries = f.IntP("retries", "r", 0, "sweep: ask silent hosts `N` times more")
	f.IntVarP(&s.opt.Size, "size", "s", 56, "`bytes` of payload")
	f.IntVarP(&s.opt.TTL, "ttl", "t", 0, "set the `TTL`")
	s.ipTime = f.StringP("timestamp", "T", "", "IP timestamps of a `kind`: tsonly, tsandaddr, or tsprespec of the hosts before the last one")
	s.unreachable = f.BoolP("unreachable", "u", false, "sweep: print only who does not answer")
	s.deadline = t.Seconds("deadline", "w", 0, "stop after so many `seconds`")
	s.timeout = t.Seconds("timeout", "W", 0, "`seconds` to wait for a reply; 10, in a sweep 1")
	s.json = f.Bool("json", false, "print one JSON object a line")
	s.plot = f.Bool("plot", false, "show the times as a moving line, on a terminal")
	return s
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("ping", "[options] HOST… | -g PREFIX… | -",
		"Asks hosts for an echo: one as ping(8) does, several as fping(8) does.", stdout, stderr)
	s := flags(t)
	if code, done := t.Parse(args); done {
		return code
	}
	hosts := t.Flags.Args()
	if *s.ipTime == "tsprespec" && len(hosts) > 1 {
		if err := s.prespecify(hosts[:len(hosts)-1]); err != nil {
			return t.Usage("%v", err)
		}
		hosts = hosts[len(hosts)-1:]
	}
	sweeping := *s.generate || *s.alive || *s.unreachable || len(hosts) > 1 || len(hosts) == 1 && hosts[0] == "-"
	if err := s.options(sweeping); err != nil {
		return t.Usage("%v", err)
	}
	switch {
	case len(hosts) == 0:
		return t.Usage("which host?")
	case *s.four && *s.six:
		return t.Usage("-4 and -6 do not go together")
	case t.Flags.Changed("count") && *s.count == 0:
		return t.Usage("-c: at least one probe; without -c there is no end")
	case sweeping:
		return sweep(ctx, t, s, stdin)
	case (*s.interval < 2*time.Millisecond || *s.flood && !t.Flags.Changed("interval")) && os.Geteuid() > 0:
		return t.Usage("an interval under 2 ms is for root; use -i 0.002 or more")
	}
	return classic(ctx, t, s, hosts[0])
}
