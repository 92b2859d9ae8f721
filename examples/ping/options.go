package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/ping"
)

// prespecify notes whose IP timestamps are wanted.
func (s *settings) prespecify(hosts []string) error {
	for _, host := range hosts {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return fmt.Errorf("-T tsprespec: %q is not an address", host)
		}
		s.opt.IPTimestampHops = append(s.opt.IPTimestampHops, a)
	}
	return nil
}

// open opens the engine; what is wrong with -I is said with what it was.
func (s *settings) open() (*ping.Engine, error) {
	engine, err := ping.Open(&s.opt)
	if op, ok := errors.AsType[*ping.OpError](err); ok && *s.device != "" && !errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("-I %s: %w", *s.device, op.Err)
	}
	return engine, err
}

// lingering is how long ping(8) waits after the last probe when there was no
// reply at all. It is also how late a reply to one host may be.
const lingering = 10 * time.Second

// options turns the words of the command line into the library's settings.
func (s *settings) options(sweeping bool) (err error) {
	if err := s.numbers(); err != nil {
		return err
	}
	if err := s.misplaced(sweeping); err != nil {
		return err
	}
	if s.opt.Size == 0 {
		s.opt.Size = -1
	}
	// One host: a reply after the time of -W is one as long as somebody waits.
	// JSON has one outcome a probe, and says late.
	switch s.opt.Timeout = *s.timeout; {
	case sweeping || *s.json && *s.timeout > 0:
	default:
		s.opt.Timeout = max(lingering, *s.timeout)
	}
	if s.opt.Pattern, err = parsePattern(*s.pattern); err != nil {
		return err
	}
	if s.opt.TOS, err = parseTOS(*s.tos); err != nil {
		return err
	}
	if s.opt.FlowLabel, err = parseFlow(*s.flow, s.changed("flowlabel")); err != nil {
		return err
	}
	if s.opt.Identifier = *s.identifier; s.changed("identifier") && *s.identifier == 0 {
		s.opt.Identifier = -1
	}
	if err := s.nodeQuery(); err != nil {
		return err
	}
	if s.changed("flowlabel") || s.node != nil {
		*s.six = true
	}
	if *s.fragment != "" {
		if err := s.opt.Fragment.UnmarshalText([]byte(*s.fragment)); err != nil {
			return fmt.Errorf("-M: do, want, dont or probe, not %q", *s.fragment)
		}
	}
	if *s.ipTime != "" {
		if s.opt.RecordRoute {
			return errors.New("only one of -T or -R may be used")
		}
		if err := s.opt.IPTimestamp.UnmarshalText([]byte(*s.ipTime)); err != nil {
			return fmt.Errorf("-T: %w", err)
		}
	}
	if s.opt.Source, err = netip.ParseAddr(*s.device); err != nil {
		s.opt.Source, s.opt.Device = netip.Addr{}, *s.device
	} else {
		s.opt.Device = s.opt.Source.Zone()
	}
	return nil
}

// misplaced finds an option that would do nothing: what is for one host in a
// sweep, and what is for counting without -c.
func (s *settings) misplaced(sweeping bool) error {
	if s.changed("period") && (!sweeping || *s.count+*s.vcount == 0) {
		return errors.New("--period is for a sweep with -c")
	}
	if !sweeping {
		return nil
	}
	for _, name := range []string{"adaptive", "sticky", "dates", "flood", "preload", "outstanding", "verbose", "plot", "connect", "nodeinfo"} {
		if s.changed(name) {
			return fmt.Errorf("--%s is for one host, and this is a sweep", name)
		}
	}
	return nil
}

// maxSize is what fits into an IPv4 packet.
const maxSize = 65507

// numbers checks what is out of range.
func (s *settings) numbers() error {
	for _, c := range []struct {
		wrong bool
		why   string
	}{
		{*s.four && *s.six, "-4 and -6 do not go together"},
		{*s.four && s.changed("flowlabel"), "-4 and -F do not go together: IPv4 has no flow labels"},
		{*s.four && len(*s.nodeinfo) > 0, "-4 and -N do not go together: it is IPv6 nodes that are asked"},
		{len(*s.nodeinfo) > 0 && (*s.adaptive || *s.preload > 1), "-N does not go together with -A and -l"},
		{*s.identifier < 0 || *s.identifier > 1<<16-1, "-e: 0 to 65535"},
		{s.changed("sndbuf") && (s.opt.SendBuffer < 1 || s.opt.SendBuffer > math.MaxInt32), "-S: 1 to 2147483647"},
		{s.changed("count") && *s.count < 1, "-c: at least one probe; without -c there is no end"},
		{s.changed("vcount") && *s.vcount < 1, "--vcount: at least one probe"},
		{*s.count > 0 && *s.vcount > 0, "-c and --vcount do not go together"},
		{*s.retries < 0, "-r: less than nothing"},
		{*s.interval < 0, "-i: less than nothing"},
		{*s.period <= 0, "--period: more than nothing"},
		{*s.timeout < 0, "-W: less than nothing"},
		{*s.deadline < 0, "-w: less than nothing"},
		{*s.preload < 1 || *s.preload > 1<<16, "-l: 1 to 65536"},
		{s.opt.Size < 0 || s.opt.Size > maxSize, "-s: 0 to 65507"},
		{s.changed("ttl") && (s.opt.TTL < 1 || s.opt.TTL > 255), "-t: 1 to 255"},
	} {
		if c.wrong {
			return errors.New(c.why)
		}
	}
	return nil
}

// maxPattern is how many bytes of -p count, as in ping(8).
const maxPattern = 16

// parsePattern reads pairs of hex digits; the last may be a single one.
func parsePattern(text string) ([]byte, error) {
	if strings.Trim(text, "0123456789abcdefABCDEF") != "" {
		return nil, fmt.Errorf("-p: patterns must be specified as hex digits: %s", text)
	}
	if n := len(text); n%2 == 1 {
		text = text[:n-1] + "0" + text[n-1:]
	}
	b, err := hex.DecodeString(text)
	return b[:min(len(b), maxPattern)], err
}

// parseTOS reads a decimal number, or a hexadecimal one with 0x.
func parseTOS(text string) (int, error) {
	digits, base := text, 10
	if len(text) > 2 && strings.EqualFold(text[:2], "0x") {
		digits, base = text[2:], 16
	}
	tos, err := strconv.ParseUint(digits, base, 8)
	if err != nil {
		return 0, fmt.Errorf("-Q: %q is not a byte, 0 to 255 or 0x0 to 0xff", text)
	}
	return int(tos), nil
}

// parseFlow reads a flow label as ping(8) does; of 0 it makes any other.
func parseFlow(text string, given bool) (uint32, error) {
	if !given {
		return 0, nil
	}
	digits, base := text, 10
	if len(text) > 2 && strings.EqualFold(text[:2], "0x") {
		digits, base = text[2:], 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("-F: %q is not a number, such as 26 or 0x1a", text)
	case n >= 1<<20:
		return 0, fmt.Errorf("-F: flow value is greater than 20 bits: %s", text)
	case n == 0:
		n = rand.N[uint64](1<<20-1) + 1
	}
	return uint32(n), nil
}
