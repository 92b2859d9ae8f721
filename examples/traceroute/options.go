package main

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// settings are the command line.
type settings struct {
	opt                          trace.Options
	four, six, icmp, tcp, udp    bool
	numeric, extensions, json    bool
	systems, back, mtu, tracert  bool
	classic                      bool
	lite, info                   bool
	source, wait, method, asZone string
	port                         string
	pause                        float64
	squeries, longest            int
	module                       []string // of -O
	bytes                        int      // of a packet, as said in the first line
	paths                        allPaths
}

func flags(t *cli.Tool) *settings {
	f, s := t.Flags, &settings{}
	f.BoolVarP(&s.four, "ipv4", "4", false, "use IPv4")
	f.BoolVarP(&s.six, "ipv6", "6", false, "use IPv6")
	f.BoolVarP(&s.systems, "as-path-lookups", "A", false, "show autonomous systems")
	f.StringVar(&s.asZone, "as-zone", "asn.cymru.com", "`domain` that tells of autonomous systems")
	f.BoolVar(&s.back, "back", false, "show how far answers came, where it differs")
	f.BoolVar(&s.classic, "classic", false, "a flow of its own for each probe, which may take another way")
	f.BoolVarP(&s.opt.DontFragment, "dont-fragment", "F", false, "do not fragment packets")
	f.BoolVarP(&s.extensions, "extensions", "e", false, "show MPLS labels")
	f.IntVarP(&s.opt.FirstTTL, "first", "f", 1, "start from this `TTL`")
	f.Uint32Var(&s.opt.Mark, "fwmark", 0, "firewall `mark`")
	f.StringVarP(&s.opt.Device, "interface", "i", "", "send through this `interface`")
	f.BoolVarP(&s.icmp, "icmp", "I", false, "use ICMP echo requests")
	f.StringVarP(&s.method, "module", "M", "", "`method`: default, udp, udplite, icmp, tcp, tcpconn")
	f.Uint32VarP(&s.opt.FlowLabel, "flowlabel", "l", 0, "flow `label` of IPv6 packets")
	f.IntVarP(&s.opt.MaxTTL, "max-hops", "m", 30, "the last `TTL` to try")
	f.BoolVar(&s.mtu, "mtu", false, "find the path MTU, and show where it begins")
	f.BoolVarP(&s.numeric, "numeric", "n", false, "do not look up names")
	f.IntVarP(&s.squeries, "sim-queries", "N", 16, "`number` of probes at once beyond the last answer; more follow in a second")
	f.StringVarP(&s.port, "port", "p", "", "target `port`, by number or name; 33434, with -U 53, with -T 80")
	s.methodFlags(f)
	f.IntVarP(&s.opt.Queries, "queries", "q", 3, "`number` of probes a hop")
	f.StringVarP(&s.source, "source", "s", "", "send from this `address`")
	f.BoolVarP(&s.opt.DontRoute, "direct", "r", false, "send to hosts on attached networks only, without a gateway")
	f.Uint16Var(&s.opt.SourcePort, "sport", 0, "source `port`; implies -N 1")
	f.BoolVarP(&s.tcp, "tcp", "T", false, "use TCP connections")
	f.IntVarP(&s.opt.TOS, "tos", "t", 0, "TOS byte or traffic class, 0 to 255")
	f.BoolVarP(&s.udp, "udp", "U", false, "use UDP to port 53")
	f.StringVarP(&s.wait, "wait", "w", "", "`seconds` to wait for an answer, 5, and if given the factors `MAX,HERE,NEAR`: how many times the round trip of the same hop and of a later one")
	f.Float64VarP(&s.pause, "sendwait", "z", 0, "`time` between probes: up to 10 in seconds, else in milliseconds")
	f.BoolVar(&s.json, "json", false, "print the path as JSON when it is known")
	f.BoolVar(&s.tracert, "tracert", false, "be Windows' tracert")
	s.paths.flags(f)
	f.BoolP("no-names", "d", false, "with --tracert: do not look up names")
	f.IntVarP(&s.longest, "hops", "h", 0, "with --tracert: the last `TTL` to try")
	return s
}

// options checks the command line and gives it to the library.
func (s *settings) options(t *cli.Tool, args []string) (err error) {
	switch {
	case len(args) == 0:
		return errors.New("which host?")
	case len(args) > 2:
		return fmt.Errorf("what is %q?", args[2])
	case s.four && s.six:
		return errors.New("-4 and -6 do not go together")
	}
	if err := s.windows(t); err != nil {
		return err
	}
	if err := s.chooseMethod(t.Flags); err != nil {
		return err
	}
	if s.classic {
		s.opt.Flow = trace.FlowPerProbe
	}
	if err := s.paths.check(t.Flags, s); err != nil {
		return err
	}
	if s.wait != "" {
		if err := s.patience(); err != nil {
			return err
		}
	}
	o := &s.opt
	switch {
	case o.MaxTTL < 1 || o.MaxTTL > 255:
		return errors.New("max hops cannot be more than 255, or less than 1")
	case o.FirstTTL < 1 || o.FirstTTL > o.MaxTTL:
		return errors.New("first hop out of range")
	case o.Queries < 1 || o.Queries > 10:
		return errors.New("no more than 10 probes per hop, and no less than 1")
	case o.TOS < 0 || o.TOS > 255:
		return errors.New("a TOS byte is between 0 and 255")
	case s.squeries < 1 || !(s.pause >= 0 && s.pause < 1e6): // NaN is neither
		return errors.New("-N, -w and -z are more than nothing")
	case s.tcp && s.mtu:
		return errors.New("with -T the kernel makes the packets, --mtu does not go with it")
	}
	if s.source != "" {
		if o.Source, err = netip.ParseAddr(s.source); err != nil {
			return err
		}
	}
	o.MaxSilent = -1
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	o.Ahead = (s.squeries + o.Queries - 1) / o.Queries
	if o.SourcePort != 0 {
		o.Ahead = 1
	}
	if s.pause > 10 {
		o.Rate = 1000 / s.pause
	} else if s.pause > 0 {
		o.Rate = 1 / s.pause
	}
	return nil
}

// patience reads MAX,HERE,NEAR. With MAX alone every probe has all of it.
func (s *settings) patience() error {
	parts := strings.FieldsFunc(s.wait, func(r rune) bool { return r == ',' || r == '/' })
	var n [3]float64
	for i, p := range parts {
		if i > 2 {
			return fmt.Errorf("-w is MAX,HERE,NEAR, not %q", s.wait)
		}
		var err error
		if n[i], err = strconv.ParseFloat(p, 64); err != nil || !(n[i] >= 0 && n[i] < 1e6) {
			return fmt.Errorf("-w is MAX,HERE,NEAR, not %q", s.wait)
		}
	}
	if n[0] == 0 {
		return errors.New("-N, -w and -z are more than nothing")
	}
	s.opt.Timeout = time.Duration(n[0] * float64(time.Second))
	if s.opt.Here, s.opt.Near = n[1], n[2]; n[1] == 0 && n[2] == 0 {
		s.opt.Here = -1
	}
	return nil
}

// windows reads what the command line means for tracert.
func (s *settings) windows(t *cli.Tool) error {
	d := t.Flags.Changed("no-names")
	if !s.tracert {
		if d || s.longest != 0 {
			return errors.New("-d and -h go with --tracert")
		}
		return nil
	}
	if s.numeric = s.numeric || d; s.longest != 0 {
		s.opt.MaxTTL = s.longest
	}
	if !s.tcp && !s.udp && s.method == "" {
		s.icmp = true
	}
	s.opt.Timeout = 4 * time.Second
	if s.wait != "" {
		ms, err := strconv.ParseUint(s.wait, 10, 31)
		if err != nil || ms == 0 {
			return errors.New("-w of tracert is in milliseconds")
		}
		s.opt.Timeout, s.opt.Here, s.wait = time.Duration(ms)*time.Millisecond, -1, ""
	}
	return nil
}

// asWindows prints what stands around the lines.
func (s *settings) asWindows(t *cli.Tool, p *hops.Printer, host string, dst netip.Addr, all iter.Seq2[trace.Hop, error]) error {
	if name := cli.Escape(host); name != dst.String() {
		fmt.Fprintf(t.Stdout, "\nTracing route to %s [%v]\nover a maximum of %d hops:\n\n", name, dst, s.opt.MaxTTL)
	} else {
		fmt.Fprintf(t.Stdout, "\nTracing route to %v over a maximum of %d hops\n\n", dst, s.opt.MaxTTL)
	}
	err := p.PrintTracert(all)
	if err == nil {
		fmt.Fprintf(t.Stdout, "\nTrace complete.\n")
	}
	return err
}

// family returns the one asked for, 0 for any.
func (s *settings) family() int {
	switch {
	case s.four || s.opt.Source.Is4():
		return 4
	case s.six || s.opt.Source.Is6():
		return 6
	}
	return 0
}

// size finds out how long packets are: 40 bytes behind the IP header. A length
// that does not do is increased, or ignored, as by the classic.
func (s *settings) size(args []string, dst netip.Addr) error {
	least := 40 // what the library needs to tell its own packets
	if s.icmp {
		least = 44
	}
	s.opt.Size = 60
	if dst.Is6() {
		s.opt.Size, least = s.opt.Size+20, least+20
	}
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a number", args[0])
		case n > 65000:
			return fmt.Errorf("a packet has no more than 65000 bytes, not %d", n)
		case !s.tcp: // whose SYNs the kernel makes
			s.opt.Size = max(n, least)
		}
	}
	s.bytes = s.opt.Size
	if s.mtu {
		s.bytes = 65000 // as the classic says, which begins with that many
	}
	return nil
}
