package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// settings are the command line.
type settings struct {
	opt                                    ping.Options
	interval, deadline, timeout, period    *time.Duration
	count, retries, preload, vcount        *int
	four, six, numeric, quiet, dates       *bool
	flood, adaptive, outstanding, verbose  *bool
	audible, unreachable, generate, json   *bool
	plot, sticky, elapsed, stats           *bool
	device, fragment, tos, pattern, ipTime *string
	changed                                func(flag string) bool
}

func flags(t *cli.Tool) *settings {
	f, s := t.Flags, &settings{}
	s.changed = f.Changed
	s.four = f.BoolP("ipv4", "4", false, "use IPv4")
	s.six = f.BoolP("ipv6", "6", false, "use IPv6")
	s.audible = f.BoolP("alive", "a", false, "one host: ring the bell for each reply; sweep: print only who answers")
	s.adaptive = f.BoolP("adaptive", "A", false, "the next as soon as there is a reply")
	f.BoolVarP(&s.opt.Broadcast, "broadcast", "b", false, "allow pinging broadcast addresses")
	s.sticky = f.BoolP("sticky", "B", false, "keep the source address of the start")
	s.count = f.IntP("count", "c", 0, "stop after `N` probes; sweep: N to each host, and a line for each")
	f.BoolP("debug", "d", false, "SO_DEBUG: nothing, for Linux does nothing with it")
	s.dates = f.BoolP("dates", "D", false, "print the time before each line")
	s.flood = f.BoolP("flood", "f", false, "as fast as replies come, or 100 a second; a dot for each loss")
	s.device = f.StringP("interface", "I", "", "send from this `interface` or address")
	s.interval = t.Seconds("interval", "i", time.Second, "`seconds` between probes; sweep: between any two, 0 is as fast as it is safe")
	s.preload = f.IntP("preload", "l", 1, "send `N` probes without waiting for replies")
	f.BoolVarP(&s.opt.NoLoop, "no-loop", "L", false, "do not hear one's own multicast")
	f.Uint32VarP(&s.opt.Mark, "mark", "m", 0, "set the firewall `mark`")
	s.fragment = f.StringP("pmtudisc", "M", "", "don't-fragment `mode`: do, want, dont or probe")
	s.numeric = f.BoolP("numeric", "n", false, "do not look up names")
	s.outstanding = f.BoolP("outstanding", "O", false, "say so when there is no reply before the next probe")
	s.pattern = f.StringP("pattern", "p", "", "fill packets with up to 16 bytes in `hex`")
	s.quiet = f.BoolP("quiet", "q", false, "print the statistics only")
	s.tos = f.StringP("tos", "Q", "0", "set the TOS `byte` or traffic class, such as 0x28")
	f.BoolVarP(&s.opt.RecordRoute, "record-route", "R", false, "record the route")
	f.IntVarP(&s.opt.Size, "size", "s", 56, "`bytes` of payload")
	f.IntVarP(&s.opt.TTL, "ttl", "t", 0, "set the `TTL`")
	s.ipTime = f.StringP("timestamp", "T", "", "IP timestamps of a `kind`: tsonly, tsandaddr, or tsprespec of the hosts before the last one")
	f.BoolVarP(&s.opt.NoTimestamps, "user-latency", "U", false, "times of the program instead of the kernel's")
	s.verbose = f.BoolP("verbose", "v", false, "say how it is sent, and mark repeated replies to multicast")
	s.deadline = t.Seconds("deadline", "w", 0, "stop after so many `seconds`; -c is then replies")
	s.timeout = t.Seconds("timeout", "W", 0, "`seconds` to wait for a first reply after the last probe; 10. Sweep: for every reply; 1")
	s.generate = f.BoolP("generate", "g", false, "sweep the hosts of prefixes, or from a first to a last one")
	s.unreachable = f.BoolP("unreachable", "u", false, "sweep: print only who does not answer")
	s.retries = new(int)
	f.VarP((*retries)(s.retries), "retries", "r", "sweep: ask silent hosts `N` times more")
	s.vcount = f.Int("vcount", 0, "sweep: as -c `N`, with every time in the statistics")
	s.period = t.Seconds("period", "", time.Second, "sweep with -c: `seconds` between probes to the same host")
	s.elapsed = f.Bool("elapsed", false, "sweep: print the round-trip times")
	s.stats = f.Bool("stats", false, "sweep: print a summary on standard error")
	s.json = f.Bool("json", false, "print one JSON object a line")
	s.plot = f.Bool("plot", false, "show the times as a moving line, on a terminal")
	f.Bool("windows", false, "be the ping of Windows, with its options: see --windows --help")
	return s
}

// refused are options of ping(8) that mean something else here, or nothing.
var refused = map[string]string{
	"C": "the socket is not connected here: it is for any number of hosts",
	"e": "identifiers are the system's choice here, so that no two programs take each other's replies",
	"F": "flow labels cannot be set here; the system makes one for each flow",
	"N": "node information queries (RFC 4620) are not echo requests",
	"S": "send buffers are sized here for what is sent",
}

// refuse defines the flags that are refused, and returns which one was used.
func refuse(t *cli.Tool) (why func() string) {
	for name := range refused {
		if name == "C" {
			t.Flags.BoolP("refused-"+name, name, false, "")
		} else {
			t.Flags.StringP("refused-"+name, name, "", "")
		}
		t.Flags.MarkHidden("refused-" + name)
	}
	return func() string {
		for name, why := range refused {
			if t.Flags.Changed("refused-" + name) {
				return "-" + name + " is not supported: " + why
			}
		}
		return ""
	}
}

// retries is the number of -r, which ping(8) has without one.
type retries int

func (r *retries) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("want how often to ask again; to bypass routing, as -r of ping(8) does, is not supported")
	}
	*r = retries(n)
	return nil
}

func (r *retries) String() string { return strconv.Itoa(int(*r)) }
func (r *retries) Type() string   { return "int" }
