package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// hosts returns those of the file, if any, and of the command line.
func (s *settings) hosts(args []string, stdin io.Reader) (hosts []string, err error) {
	if *s.list != "" {
		var text []byte
		if *s.list == "-" {
			text, err = io.ReadAll(io.LimitReader(stdin, 1<<20))
		} else {
			text, err = os.ReadFile(*s.list)
		}
		if err != nil {
			return nil, err
		}
		if hosts = strings.Fields(string(text)); len(hosts)+len(args) == 0 {
			return nil, fmt.Errorf("%s names no host", *s.list)
		}
	}
	if hosts = append(hosts, args...); len(hosts) == 0 {
		hosts = []string{"localhost"}
	}
	return hosts, nil
}

// visit watches the way to one host.
func (s *settings) visit(ctx context.Context, t *cli.Tool, host string) int {
	dst, err := hops.Lookup(ctx, host, s.family())
	if err != nil {
		return t.Fail(err)
	}
	if err := s.sized(dst); err != nil {
		return t.Usage("%v", err)
	}
	w := &session{settings: s, host: host, dst: dst, started: time.Now()}
	if !*s.numeric {
		w.names = cli.NewNames(ctx)
		defer w.names.Close()
	}
	if *s.info >= 0 {
		if err := w.ask(ctx); err != nil {
			t.Warn("%v", err)
		}
	}
	defer func() {
		if w.as != nil {
			w.as.Close()
		}
	}()
	return w.choose(ctx, t)
}

// ask begins to look up what is known of addresses.
func (w *session) ask(ctx context.Context) (err error) {
	if w.as == nil {
		w.as, err = hops.NewOrigins(ctx, *w.asZone)
	}
	return err
}

// tracer returns what probes.
func (s *settings) tracer() watcher {
	switch {
	case *s.udp:
		return trace.UDP{Options: s.opt}
	case *s.tcp:
		return trace.TCP{Options: s.opt}
	}
	return trace.ICMP{Options: s.opt}
}
