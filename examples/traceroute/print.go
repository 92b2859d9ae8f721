package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// interrupted is what a shell sees when Ctrl-C has killed a program.
const interrupted = 130

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

// size finds out how long packets are: 40 bytes behind the IP header.
func (s *settings) size(args []string, dst netip.Addr) error {
	least := 40 // what the library needs to tell its own packets
	if *s.icmp {
		least = 44
	}
	s.opt.Size = 60
	if dst.Is6() {
		s.opt.Size, least = s.opt.Size+20, least+20
	}
	if len(args) == 0 {
		return nil
	}
	n, err := count(args[0])
	switch {
	case err != nil:
		return err
	case *s.tcp:
		return errors.New("with -T the kernel makes the packets, the length cannot be set")
	case n < least || n > 65000:
		return fmt.Errorf("a packet is between %d and 65000 bytes long", least)
	}
	s.opt.Size = n
	return nil
}

func (s *settings) tracer() hops.Tracer {
	switch {
	case *s.icmp:
		return trace.ICMP{Options: s.opt}
	case *s.tcp:
		return trace.TCP{Options: s.opt}
	}
	return trace.UDP{Options: s.opt}
}

func (s *settings) trace(ctx context.Context, t *cli.Tool, host string, dst netip.Addr) int {
	var err error
	if *s.json {
		var p trace.Path
		if p, err = s.tracer().Trace(ctx, dst); err == nil {
			err = cli.PrintJSON(t.Stdout, p)
		}
	} else {
		p := &hops.Printer{Out: t.Stdout, MPLS: *s.extensions}
		if !*s.numeric {
			p.Names = cli.NewNames(ctx)
			defer p.Names.Close()
		}
		fmt.Fprintf(t.Stdout, "traceroute to %s (%v), %d hops max, %d byte packets\n", cli.Escape(host), dst, s.opt.MaxTTL, s.opt.Size)
		err = p.Print(s.tracer().Hops(ctx, dst))
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return interrupted
	}
	t.Error(err)
	return 1
}
