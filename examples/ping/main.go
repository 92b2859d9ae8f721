// Ping asks hosts for an echo.
//
// Usage:
//
//	ping [options] HOST
//	ping [options] -T tsprespec HOP… HOST
//	ping [options] -N name|ipv6|ipv4|… HOST
//	ping [-a|-u] [-r RETRIES] [-i SECONDS] HOST HOST…
//	ping [-a|-u] [-r RETRIES] [-i SECONDS] -g PREFIX…|FIRST LAST
//	ping [-a|-u] … -            (hosts from standard input)
//	ping -c N|--vcount N … HOST HOST…
//	ping --windows [-t] [-n COUNT] [-l SIZE] [-f] [-i TTL] [-v TOS] [-w MS] HOST
//
// With one host it is ping(8) of iputils: the same options, lines and
// statistics. Ctrl-C ends it with the statistics, Ctrl-\ shows them on the way.
// With several hosts, or with -g, -u or -, it is fping(8): who is alive and who
// is not; with -c or --vcount every probe of every host. fping's -C, -e, -s and
// -p, which are other options of ping(8), are --vcount, --elapsed, --stats and
// --period; -r is fping's where a number follows, else that of ping(8). With --windows it has the options and the lines of that system.
//
// It needs no privileges where net.ipv4.ping_group_range admits the user; else
// CAP_NET_RAW, as -N does and -e 0. Times are the kernel's. An interval under 2 ms is for root, and
// so is one under 1 s to a broadcast or multicast address.
//
// No line waits for the name of an address: until it is known the address
// stands alone, which the first line may show. With -n nothing is asked.
//
// The exit status is 0 if the host replied (with -g: all did; with -c and -w:
// as often as asked), 1 if not, 2 if it could not run.
package main

import (
	"context"
	"io"
	"os"
	"slices"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
)

func main() { cli.Main("ping", run) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if i := slices.Index(args, "--windows"); i >= 0 && !slices.Contains(args[:i], "--") {
		return windows(ctx, slices.Delete(slices.Clone(args), i, i+1), stdout, stderr)
	}
	t := cli.New("ping", "[options] HOST… | -g PREFIX… | -",
		"Asks hosts for an echo: one as ping(8) does, several as fping(8) does.", stdout, stderr)
	s := flags(t)
	if code, done := t.Parse(retries(t, args)); done {
		return code
	}
	if slices.Contains(*s.nodeinfo, "help") {
		io.WriteString(stdout, nodeHelp)
		return cli.Yes
	}
	hosts := t.Flags.Args()
	if *s.ipTime == "tsprespec" && len(hosts) > 1 {
		if err := s.prespecify(hosts[:len(hosts)-1]); err != nil {
			return t.Usage("%v", err)
		}
		hosts = hosts[len(hosts)-1:]
	}
	sweeping := *s.generate || *s.unreachable || *s.vcount > 0 || *s.retries > 0 || *s.elapsed || *s.stats ||
		len(hosts) > 1 || len(hosts) == 1 && hosts[0] == "-"
	if err := s.options(sweeping); err != nil {
		return t.Usage("%v", err)
	}
	switch {
	case len(hosts) == 0:
		return t.Usage("which host?")
	case sweeping && (*s.count > 0 || *s.vcount > 0):
		return counted(ctx, t, s, stdin)
	case sweeping:
		return sweep(ctx, t, s, stdin)
	case os.Geteuid() > 0 && (*s.interval < minInterval || *s.flood && !s.changed("interval")):
		return t.Usage("cannot flood; minimal interval allowed for user is 2ms: use -i 0.002 or more")
	case os.Geteuid() > 0 && *s.preload > maxUserPreload:
		return t.Usage("-l: more than %d is for root", maxUserPreload)
	}
	return classic(ctx, t, s, hosts[0])
}

// What ping(8) allows users.
const (
	minInterval    = 2 * time.Millisecond
	maxUserPreload = 3
)
