package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
)

// refused are options of the classic that are not there, and why.
var refused = map[string]string{
	"sctp":       "-S: SCTP takes packets of one's own making",
	"bitpattern": "-B: the payload tells probes apart, it cannot be chosen",
	"split":      "-p: the split output is for a front end of old; --raw tells the same",
}

// options checks the command line and gives it to the library.
func (s *settings) options(f *pflag.FlagSet) (err error) {
	for flag, why := range refused {
		if f.Changed(flag) {
			return errors.New(why)
		}
	}
	outputs := 0
	for _, o := range []*bool{s.json, s.csv, s.raw, s.xml} {
		if *o {
			outputs++
		}
	}
	if *s.showAS && *s.info < 0 {
		*s.info = int(hops.OriginAS)
	}
	switch {
	case *s.four && *s.six:
		return errors.New("-4 and -6 do not go together")
	case *s.udp && *s.tcp:
		return errors.New("-u and -T do not go together")
	case outputs > 1:
		return errors.New("--json, --csv, --xml and --raw do not go together")
	case *s.port < 0 || *s.port > 65535:
		return errors.New("a port is between 1 and 65535")
	case *s.port != 0 && !*s.udp && !*s.tcp:
		return errors.New("-P is for -u and -T")
	case *s.last < 1 || *s.last > 255 || *s.first < 1 || *s.first > *s.last:
		return errors.New("TTLs are between 1 and 255, and the first is not beyond the last")
	case *s.count < 0 || *s.silent < 1 || *s.mark < 0 || *s.timeout < 0:
		return errors.New("-c, -U, -M and -Z are not less than nothing")
	case *s.grace < 0 || f.Changed("gracetime") && *s.grace == 0:
		return errors.New("-G is more than nothing")
	case *s.tos < 0 || *s.tos > 255:
		return errors.New("a TOS byte is between 0 and 255")
	case *s.local < 0 || *s.local > 65535:
		return errors.New("a port is between 1 and 65535")
	case *s.local != 0 && !*s.udp:
		return errors.New("-L is for -u")
	case *s.info < -1 || *s.info >= int(hops.Origins):
		return errors.New("-y is between 0 and 4")
	case *s.interval < 10*time.Millisecond:
		return errors.New("-i is 0.01 at least")
	case *s.mode < 0 || *s.mode > 2:
		return errors.New("--displaymode is 0, 1 or 2")
	}
	if s.fields, err = fieldsOf(*s.order); err != nil {
		return err
	}
	if *s.source != "" {
		if s.opt.Source, err = netip.ParseAddr(*s.source); err != nil {
			return err
		}
	}
	s.opt.Port, s.opt.FirstTTL, s.opt.MaxTTL = uint16(*s.port), *s.first, *s.last
	s.opt.MaxSilent, s.opt.Timeout, s.opt.Mark = *s.silent, *s.timeout, uint32(*s.mark)
	s.opt.TOS, s.opt.SourcePort = *s.tos, uint16(*s.local)
	s.wo.Interval, s.wo.Rounds, s.wo.Grace = *s.interval, *s.count, *s.grace
	return nil
}

// family returns the one asked for, 0 for any.
func (s *settings) family() int {
	switch {
	case *s.four || s.opt.Source.Is4():
		return 4
	case *s.six || s.opt.Source.Is6():
		return 6
	}
	return 0
}

// sized settles the size of packets. The library needs some bytes to tell its
// own: what is less is increased, as by the classic, to which fewer will do.
func (s *settings) sized(dst netip.Addr) error {
	least := 44
	if dst.Is6() {
		least = 64
	}
	switch {
	case *s.size < 1 || *s.size > 65000:
		return errors.New("a packet is between 1 and 65000 bytes long")
	case !*s.tcp:
		s.opt.Size = max(*s.size, least)
	}
	return nil
}

// bytes is how long packets are.
func (s *settings) bytes() int { return max(*s.size, s.opt.Size) }

// noScreen says why there can be no live screen; "" when there can.
func noScreen(stdout io.Writer) string {
	switch term := os.Getenv("TERM"); {
	case !cli.IsTerminal(stdout):
		return "standard output is no terminal"
	case term == "" || term == "dumb":
		return fmt.Sprintf("a terminal of type %q has no screen", term)
	}
	return ""
}

// field is a column of the report.
type field struct {
	key    byte
	title  string
	width  int
	format string
	value  func(*hop) any
}

// usual and jittery are the columns at first, and those that key j shows.
const usual, jittery = "LS NABWV", "DR AGJMXI"

var columns = []field{
	{' ', " ", 1, " ", func(h *hop) any { return h.dropped() }},
	{'L', "Loss%", 6, " %4.1f%%", func(h *hop) any { return h.Loss * 100 }},
	{'D', "Drop", 5, " %4d", func(h *hop) any { return h.dropped() }},
	{'R', "Rcv", 6, " %5d", func(h *hop) any { return h.Received }},
	{'S', "Snt", 6, " %5d", func(h *hop) any { return h.Sent }},
	{'N', "Last", 6, " %5.1f", func(h *hop) any { return ms(h.Last) }},
	{'B', "Best", 6, " %5.1f", func(h *hop) any { return ms(h.Best) }},
	{'A', "Avg", 6, " %5.1f", func(h *hop) any { return ms(h.Mean) }},
	{'W', "Wrst", 6, " %5.1f", func(h *hop) any { return ms(h.Worst) }},
	{'V', "StDev", 6, " %5.1f", func(h *hop) any { return ms(h.StdDev) }},
	{'G', "Gmean", 6, " %5.1f", func(h *hop) any { return ms(h.GeoMean) }},
	{'J', "Jttr", 5, " %4.1f", func(h *hop) any { return ms(h.Jitter) }},
	{'M', "Javg", 5, " %4.1f", func(h *hop) any { return ms(h.MeanJitter) }},
	{'X', "Jmax", 5, " %4.1f", func(h *hop) any { return ms(h.MaxJitter) }},
	{'I', "Jint", 5, " %4.1f", func(h *hop) any { return ms(h.Interarrival) }},
}

// fieldsOf reads a list of columns such as "LS NABWV".
func fieldsOf(order string) (fields []field, err error) {
	for i := range len(order) {
		found := false
		for _, c := range columns {
			if c.key == order[i] {
				fields, found = append(fields, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%q is no column", order[i])
		}
	}
	if strings.TrimSpace(order) == "" {
		return nil, errors.New("which columns?")
	}
	return fields, nil
}
