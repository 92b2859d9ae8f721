// Mtr watches the way to a host: loss and times of every hop, again and again.
//
// Usage:
//
//	mtr [options] [HOST ...]
//
// It takes the command line of mtr(8) and prints its report, or shows it on a
// live screen, with keys j (jitter), d (charts), r (restart), n (names), p and
// space (pause and go on), h (help) and q. Where standard output is no terminal
// it says so and makes a report. Without HOST it watches the way to localhost,
// with several to one after the other.
//
// Below the report, on standard error, stands what it means, in words: routers
// that limit the rate of their answers, or are slow to write them, lose
// nothing; only what is missing from some hop on to the end is lost. It does
// not wait at the end as the classic does: the report is printed when the last
// probe is answered, or its time is over. Ctrl-C prints what there is.
//
// With --json the report of the library is printed, verdict included, and in
// it, as "report", what the classic prints with --json. Jint is the jitter of
// RFC 3550; the classic prints 16 times that, and counts the first probe's
// jitter as none in Javg.
//
// -z and -y ask for autonomous systems and what else the zone of --as-zone tells
// of addresses, from the servers that this system is set up to use.
//
// Not there: -S, since SCTP takes packets of one's own making, -B, since the
// payload tells probes apart, and -p, whose output is for a front end of old.
//
// ICMP, the default, needs a group that net.ipv4.ping_group_range admits, else
// CAP_NET_RAW; -u and -T need nothing.
//
// The exit status is 0 if the report could be made, whatever it shows, 1 if no
// probe could be sent, and 2 for a wrong command line or a name that does not
// resolve. A host with addresses of both families is met by IPv4.
package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/trace"
)

func main() { cli.Main("mtr", run) }

// settings are the command line.
type settings struct {
	opt                            trace.Options
	wo                             trace.WatchOptions
	four, six, udp, tcp            *bool
	report, wide, json, csv, raw   *bool
	xml                            *bool
	tos, info, local               *int
	grace                          *time.Duration
	list                           *string
	numeric, both, mpls, showAS    *bool
	count, port, size, first, last *int
	silent, mark, mode             *int
	source, order, asZone          *string
	interval, timeout              *time.Duration
	fields                         []field
	left                           bool // by Ctrl-C on the live screen: no further host
}

func flags(t *cli.Tool) *settings {
	f, s := t.Flags, &settings{}
	s.four = f.BoolP("ipv4", "4", false, "use IPv4")
	s.six = f.BoolP("ipv6", "6", false, "use IPv6")
	s.udp = f.BoolP("udp", "u", false, "use UDP datagrams instead of ICMP echoes")
	s.tcp = f.BoolP("tcp", "T", false, "use TCP connections instead of ICMP echoes")
	f.StringVarP(&s.opt.Device, "interface", "I", "", "send through this `interface`")
	s.source = f.StringP("address", "a", "", "send from this `address`")
	s.first = f.IntP("first-ttl", "f", 1, "start from this `TTL`")
	s.last = f.IntP("max-ttl", "m", 30, "the last `TTL` to try")
	s.silent = f.IntP("max-unknown", "U", 10, "`number` of silent hops to try beyond the last that answered")
	s.port = f.IntP("port", "P", 0, "target `port` of UDP (33434) or TCP (80)")
	s.size = f.IntP("psize", "s", 64, "size of packets in `bytes`, headers included")
	s.interval = t.Seconds("interval", "i", time.Second, "`seconds` between rounds, 0.01 at least")
	s.timeout = t.Seconds("timeout", "Z", 0, "`seconds` to wait for an answer (3.3)")
	s.grace = t.Seconds("gracetime", "G", 0, "`seconds` to wait for answers after the last round (what round trips take)")
	s.tos = f.IntP("tos", "Q", 0, "TOS `byte` or traffic class, 0 to 255")
	s.local = f.IntP("localport", "L", 0, "source `port` of UDP")
	s.list = f.StringP("filename", "F", "", "read hosts from this `file`, - is standard input")
	s.mark = f.IntP("mark", "M", 0, "`mark` the packets (needs CAP_NET_ADMIN)")
	s.count = f.IntP("report-cycles", "c", 0, "`number` of rounds; 10 in a report, else no end")
	s.report = f.BoolP("report", "r", false, "print a report at the end")
	s.wide = f.BoolP("report-wide", "w", false, "print a report with names in full")
	f.BoolP("curses", "t", false, "use the live screen, as without it")
	s.mode = f.Int("displaymode", 0, "`mode` of the live screen at first: 0 numbers, 1 charts, 2 both")
	s.json = f.BoolP("json", "j", false, "print the report as JSON")
	s.csv = f.BoolP("csv", "C", false, "print the report as comma separated values")
	s.xml = f.BoolP("xml", "x", false, "print the report as XML")
	s.raw = f.BoolP("raw", "l", false, "print each answer as it comes")
	s.numeric = f.BoolP("no-dns", "n", false, "do not look up names")
	s.both = f.BoolP("show-ips", "b", false, "show addresses beside names")
	s.mpls = f.BoolP("mpls", "e", false, "show MPLS labels")
	s.showAS = f.BoolP("aslookup", "z", false, "show autonomous systems")
	s.info = f.IntP("ipinfo", "y", -1, "show `what` is known of addresses: 0 autonomous system, 1 prefix, 2 country, 3 registry, 4 date")
	for flag, short := range map[string]string{"sctp": "S", "bitpattern": "B", "split": "p"} {
		f.StringP(flag, short, "", "")
		f.Lookup(flag).NoOptDefVal, f.Lookup(flag).Hidden = "x", true // refused
	}
	s.asZone = f.String("as-zone", "asn.cymru.com", "`domain` that tells of autonomous systems")
	s.order = f.StringP("order", "o", usual, "columns: L loss, D lost, R received, S sent, times N newest, B best, A average,\nW worst, V deviation, G geometric mean, jitter J newest, M mean, X worst, I interarrival")
	return s
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("mtr", "[options] [HOST ...]", "Watches the way to a host.", stdout, stderr)
	s := flags(t)
	if slices.Contains(args, "-v") {
		args = []string{"--version"}
	}
	if code, done := t.Parse(args); done {
		return code
	}
	if err := s.options(t.Flags); err != nil {
		return t.Usage("%v", err)
	}
	hosts, err := s.hosts(t.Flags.Args(), stdin)
	if err != nil {
		return t.Fail(err)
	}
	code := cli.Yes
	for _, host := range hosts {
		if c := s.visit(ctx, t, host); c != cli.Yes {
			code = c
		}
		if ctx.Err() != nil || s.left {
			break
		}
	}
	return code
}

// choose picks the kind of output.
func (w *session) choose(ctx context.Context, t *cli.Tool) int {
	if *w.report || *w.wide || *w.json || *w.csv || *w.raw || *w.xml {
		return w.batch(ctx, t)
	}
	if why := noScreen(t.Stdout); why != "" {
		return w.instead(ctx, t, why)
	}
	return w.live(ctx, t)
}
