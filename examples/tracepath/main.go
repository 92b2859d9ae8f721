// Tracepath finds the path MTU to a host, and where on the way it shrinks.
//
// Usage:
//
//	tracepath [options] HOST
//
// It takes the command line of tracepath(8) and prints its lines, when the
// search is over. The classic asks hop after hop and believes what it is told;
// this one tries sizes until it knows. So a router that drops what is too long
// without a word, which the classic waits for in vain, has a line of its own:
// "[SILENT]". Below the classic's summary it says of each place where the MTU
// shrinks which hop it is behind and how that was found. What the kernel has
// learnt before is not used. It needs no privileges.
//
// The exit status is 0 if the path was measured, whatever it showed, 2 if it
// could not be. Ctrl-C kills it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

func main() { cli.Brief("tracepath", run) }

// settings are the command line.
type settings struct {
	opt            trace.MTUOptions
	port           int
	four, six      bool
	numeric, addrs bool
	json           bool
}

func flags(t *cli.Tool) *settings {
	f, s := t.Flags, &settings{}
	f.BoolVarP(&s.four, "ipv4", "4", false, "use IPv4")
	f.BoolVarP(&s.six, "ipv6", "6", false, "use IPv6")
	f.BoolVarP(&s.addrs, "both", "b", false, "print both name and address")
	f.IntVarP(&s.opt.Limit, "length", "l", 0, "the largest packet to try, in `bytes`")
	f.IntVarP(&s.opt.MaxTTL, "max-hops", "m", 30, "the last `TTL` to look for a hop at")
	f.BoolVarP(&s.numeric, "numeric", "n", false, "do not look up names")
	f.IntVarP(&s.port, "port", "p", 44444, "target `port`")
	f.StringVarP(&s.opt.Device, "interface", "i", "", "send through this `interface`")
	f.BoolVar(&s.json, "json", false, "print the result as JSON")
	return s
}

// check finds what is wrong with the numbers and gives them to the library.
func (s *settings) check(args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("which host?")
	case len(args) > 1:
		return fmt.Errorf("what is %q?", args[1])
	case s.four && s.six:
		return errors.New("-4 and -6 do not go together")
	case s.port < 1 || s.port > 65535:
		return errors.New("a port is between 1 and 65535")
	case s.opt.MaxTTL < 1 || s.opt.MaxTTL > 255:
		return errors.New("-m is between 1 and 255")
	case s.opt.Limit != 0 && (s.opt.Limit < 60 || s.opt.Limit > 65535):
		return errors.New("-l is between 60 and 65535")
	}
	s.opt.Port = uint16(s.port)
	return nil
}

func (s *settings) family() int {
	switch {
	case s.four:
		return 4
	case s.six:
		return 6
	}
	return 0
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	t := cli.New("tracepath", "[options] HOST", "Finds the path MTU to a host, and where on the way it shrinks.", stdout, stderr)
	s := flags(t)
	if code, done := t.Parse(args); done {
		return code
	}
	if err := s.check(t.Flags.Args()); err != nil {
		return t.Usage("%v", err)
	}
	dst, err := hops.Lookup(ctx, t.Flags.Arg(0), s.family())
	if err == nil {
		err = s.measure(ctx, t, dst)
	}
	if err != nil {
		return t.Fail(err)
	}
	return cli.Yes
}

func (s *settings) measure(ctx context.Context, t *cli.Tool, dst netip.Addr) error {
	p, err := trace.FindMTU(ctx, dst, &s.opt)
	if err != nil {
		return err
	}
	if s.json {
		return cli.PrintJSON(t.Stdout, p)
	}
	pr := printer{addrs: s.addrs || s.numeric, max: s.opt.MaxTTL}
	if !s.numeric {
		pr.names = cli.NewNames(ctx)
		defer pr.names.Close()
	}
	_, err = io.WriteString(t.Stdout, pr.text(p))
	return err
}
