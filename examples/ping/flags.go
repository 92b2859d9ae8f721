package main

import (
	"strings"
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
	plot, sticky, elapsed, stats, connect  *bool
	identifier                             *int
	flow                                   *string
	nodeinfo                               *[]string
	node                                   *ping.NodeQuery // with -N
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
	s.connect = f.BoolP("connect", "C", false, "connect the socket to the host")
	s.dates = f.BoolP("dates", "D", false, "print the time before each line")
	s.identifier = f.IntP("identifier", "e", 0, "ICMP `identifier`, 0 to 65535; else one that nobody else has")
	s.flood = f.BoolP("flood", "f", false, "as fast as replies come, or 100 a second; a dot for each loss")
	s.flow = f.StringP("flowlabel", "F", "", "IPv6 flow `label` of 20 bits, such as 0x1a; 0 is any")
	s.device = f.StringP("interface", "I", "", "send from this `interface` or address")
	s.interval = t.Seconds("interval", "i", time.Second, "`seconds` between probes; sweep: between any two, 0 is as fast as it is safe")
	s.preload = f.IntP("preload", "l", 1, "send `N` probes without waiting for replies")
	f.BoolVarP(&s.opt.NoLoop, "no-loop", "L", false, "do not hear one's own multicast")
	f.Uint32VarP(&s.opt.Mark, "mark", "m", 0, "set the firewall `mark`")
	s.fragment = f.StringP("pmtudisc", "M", "", "don't-fragment `mode`: do, want, dont or probe")
	s.numeric = f.BoolP("numeric", "n", false, "do not look up names")
	s.nodeinfo = f.StringArrayP("nodeinfo", "N", nil, "ask an IPv6 node about itself (RFC 4620): `what`, see -N help")
	s.outstanding = f.BoolP("outstanding", "O", false, "say so when there is no reply before the next probe")
	s.pattern = f.StringP("pattern", "p", "", "fill packets with up to 16 bytes in `hex`")
	s.quiet = f.BoolP("quiet", "q", false, "print the statistics only")
	s.tos = f.StringP("tos", "Q", "0", "set the TOS `byte` or traffic class, such as 0x28")
	f.BoolVarP(&s.opt.DontRoute, "dontroute", "r", false, "past the routing table: only to hosts of one's own networks. With a number: --retries")
	f.BoolVarP(&s.opt.RecordRoute, "record-route", "R", false, "record the route")
	f.IntVarP(&s.opt.Size, "size", "s", 56, "`bytes` of payload")
	f.IntVarP(&s.opt.SendBuffer, "sndbuf", "S", 0, "`bytes` of the send buffer")
	f.IntVarP(&s.opt.TTL, "ttl", "t", 0, "set the `TTL`")
	s.ipTime = f.StringP("timestamp", "T", "", "IP timestamps of a `kind`: tsonly, tsandaddr, or tsprespec of the hosts before the last one")
	f.BoolVarP(&s.opt.NoTimestamps, "user-latency", "U", false, "times of the program instead of the kernel's")
	s.verbose = f.BoolP("verbose", "v", false, "say how it is sent, and mark repeated replies to multicast")
	s.deadline = t.Seconds("deadline", "w", 0, "stop after so many `seconds`; -c is then replies")
	s.timeout = t.Seconds("timeout", "W", 0, "`seconds` to wait for a first reply after the last probe; 10. Sweep: for every reply; 1")
	s.generate = f.BoolP("generate", "g", false, "sweep the hosts of prefixes, or from a first to a last one")
	s.unreachable = f.BoolP("unreachable", "u", false, "sweep: print only who does not answer")
	s.retries = f.Int("retries", 0, "sweep: ask silent hosts `N` times more; or -r N")
	s.vcount = f.Int("vcount", 0, "sweep: as -c `N`, with every time in the statistics")
	s.period = t.Seconds("period", "", time.Second, "sweep with -c: `seconds` between probes to the same host")
	s.elapsed = f.Bool("elapsed", false, "sweep: print the round-trip times")
	s.stats = f.Bool("stats", false, "sweep: print a summary on standard error")
	s.json = f.Bool("json", false, "print one JSON object a line")
	s.plot = f.Bool("plot", false, "show the times as a moving line, on a terminal")
	f.Bool("windows", false, "be the ping of Windows, with its options: see --windows --help")
	return s
}

// retries turns -r with a number, which fping(8) has, into --retries: alone it
// is that of ping(8).
func retries(t *cli.Tool, args []string) (out []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		cluster, isShort := strings.CutPrefix(arg, "-")
		switch {
		case arg == "--":
			return append(out, args[i:]...)
		case !isShort || strings.HasPrefix(cluster, "-"):
			out = append(out, arg)
			continue
		}
		switches, n := len(cluster), "" // switches are the flags without a value
		for k := range len(cluster) {
			if f := t.Flags.ShorthandLookup(cluster[k : k+1]); f == nil || f.NoOptDefVal == "" {
				switches = k
				break
			}
		}
		before, isR := strings.CutSuffix(cluster[:switches], "r")
		switch {
		case !isR:
		case switches < len(cluster):
			n = cluster[switches:]
		case i+1 < len(args):
			n = args[i+1]
		}
		if n == "" || strings.Trim(n, "0123456789") != "" {
			out = append(out, arg)
			// The value of a flag is none itself.
			if switches == len(cluster)-1 && i+1 < len(args) {
				i++
				out = append(out, args[i])
			}
			continue
		}
		if switches == len(cluster) {
			i++
		}
		if before != "" {
			out = append(out, "-"+before)
		}
		out = append(out, "--retries="+n)
	}
	return out
}
