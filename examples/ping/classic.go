package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// view is a run against one host, as ping(8) shows it.
type view struct {
	*settings
	t      *cli.Tool
	out    io.Writer
	target target
	from   netip.Addr // what the system sends from
	names  *cli.Names // nil: numbers
	ident  uint16     // ICMP identifier
	plot   *plot

	mu      sync.Mutex // Ctrl-\ comes at any time
	stats   ping.Stats
	sent    int          // numbers that went out
	replied int          // highest that was replied to
	wrong   map[int]bool // numbers of damaged replies, counted as replies
	big     uint64       // packets that were too long for this host
	pipe    int
	start   time.Time
	last    time.Time
	route   []netip.Addr
}

// classic pings one host.
func classic(ctx context.Context, t *cli.Tool, s *settings, host string) int {
	to, err := lookup(ctx, s, host)
	if err != nil {
		return t.Fail(err)
	}
	v := &view{settings: s, t: t, out: t.Stdout, target: to, wrong: map[int]bool{}}
	switch err := v.prepare(ctx); {
	case errors.Is(err, errBroadcast):
		t.Warn("Do you want to ping broadcast? Then -b. If not, check your local firewall rules")
		return cli.Failed
	case errors.Is(err, errNoZone):
		t.Warn("%v", err)
		t.Hint("every interface has such addresses: say which one is meant, as in %v%%eth0", to.addr)
		return cli.Failed
	case err != nil:
		return t.Fail(err)
	}
	stream, closer, err := v.stream()
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		t.Warn("bind: %s", capital(syscall.EADDRNOTAVAIL.Error()))
		return cli.Failed
	case err != nil:
		return t.Fail(err)
	}
	defer closer()
	if !*s.numeric && !*s.flood && !to.literal {
		v.names = cli.NewNames(ctx)
		defer v.names.Close()
		v.names.Host(v.target.addr) // it may be known by the first line
	}
	if *s.plot && !*s.json && cli.IsTerminal(t.Stdout) {
		v.plot = &plot{w: t.Stdout, ascii: !cli.UTF8()}
	}
	defer onQuit(func() { v.short(t.Stderr) })()
	failed := v.watch(ctx, stream)
	if failed && v.sent == 0 {
		return cli.Failed
	}
	v.summary()
	if failed {
		return cli.Failed
	}
	if v.stats.Received == 0 || *s.deadline > 0 && *s.count > 0 && v.stats.Received < uint64(*s.count) {
		return cli.No
	}
	return cli.Yes
}

// prepare asks the system for the way to the target and settles what depends
// on it.
func (v *view) prepare(ctx context.Context) error {
	s := v.settings
	v.from = s.opt.Source
	if a := v.target.addr; a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) && a.Zone() == "" {
		if s.opt.Device == "" && v.from.Zone() == "" {
			return errNoZone
		}
		v.target.addr = a.WithZone(cmp.Or(s.opt.Device, v.from.Zone()))
	}
	if zone := v.target.addr.Zone(); zone != "" && !isInterface(zone) {
		return fmt.Errorf("%v: there is no interface %s", v.target.addr, zone)
	}
	if !v.from.IsValid() {
		from, err := source(ctx, s, v.target.addr)
		if err != nil {
			return err
		}
		v.from = from
		if d := s.opt.Device; d != "" && !isOn(d, from) {
			v.t.Warn("Warning: source address might be selected on device other than: %s", d)
		}
		if *s.sticky {
			s.opt.Source = from
		}
	}
	if s.opt.DontRoute && v.target.addr.Is6() {
		v.t.Warn("Warning: -r is of no effect: the kernel does not heed it for IPv6")
	}
	if v.target.addr.IsUnspecified() {
		v.target.addr = v.from
	}
	if *s.connect {
		s.opt.Connect = v.target.addr
	}
	if s.node != nil {
		if err := s.nodeSubject(ctx); err != nil {
			return err
		}
	}
	if many := s.opt.Broadcast && v.target.addr.Is4(); many || v.target.addr.IsMulticast() {
		if os.Geteuid() > 0 && *s.interval < time.Second {
			return errors.New("broadcast ping with too short interval: for users it is 1 s or more")
		}
		if s.opt.Fragment == ping.FragmentDefault {
			s.opt.Fragment = ping.FragmentDo
		}
	}
	return nil
}

// stream opens what asks the host.
func (v *view) stream() (stream streamer, closer func(), err error) {
	s := v.settings
	if s.node != nil {
		return func(ctx context.Context, o *ping.StreamOptions) iter.Seq2[ping.Result, error] {
			return s.node.Stream(ctx, v.target.addr, &s.opt, o)
		}, func() {}, nil
	}
	engine, err := ping.Open(&s.opt)
	if err != nil {
		return nil, nil, err
	}
	ids := engine.Identifiers()
	v.ident = append(append(ids.IPv4, ids.IPv6...), 0)[0]
	if v.target.addr.Is6() && len(ids.IPv6) > 0 {
		v.ident = ids.IPv6[0]
	}
	if *s.verbose {
		v.t.Warn("%v: %s", engine.Method(), engine.Why())
	}
	return func(ctx context.Context, o *ping.StreamOptions) iter.Seq2[ping.Result, error] {
		return engine.Stream(ctx, []netip.Addr{v.target.addr}, o)
	}, func() { engine.Close() }, nil
}

// streamer asks the host again and again.
type streamer func(context.Context, *ping.StreamOptions) iter.Seq2[ping.Result, error]

// watch shows results until the last one, or until it fails, which it tells.
func (v *view) watch(ctx context.Context, stream streamer) (failed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if *v.deadline > 0 {
		defer time.AfterFunc(*v.deadline, cancel).Stop()
	}
	count := *v.count
	if *v.deadline > 0 {
		count = 0 // then it is replies that are counted
	}
	o := ping.StreamOptions{Interval: *v.interval, Count: count, Adaptive: *v.adaptive, Preload: *v.preload, Sent: true, Notices: true}
	if *v.flood && !v.changed("interval") || o.Interval == 0 {
		o.Interval = -1
	}
	linger := time.AfterFunc(time.Hour, cancel) // set when the last probe is out
	linger.Stop()
	defer linger.Stop()
	v.start = time.Now()
	begin := sync.OnceFunc(v.header) // not before it is known that it can be done
	for r, err := range stream(ctx, &o) {
		if ended := errors.Is(err, context.Canceled); err != nil && !ended {
			v.t.Error(err)
			return true
		}
		if begin(); err != nil {
			return false
		}
		v.take(&r)
		switch {
		case v.satisfied():
			return false
		case count > 0 && r.Seq == count && (r.Outcome == ping.OutcomeSent || r.Outcome == ping.OutcomeLocalError):
			linger.Reset(v.patience())
		}
	}
	return false
}

// satisfied tells whether a run has what it waits for: as many replies and
// errors as were asked for, or, with a deadline, one error.
func (v *view) satisfied() bool {
	failed := v.stats.ICMPErrors + v.big
	return *v.count > 0 && v.stats.Received+failed >= uint64(*v.count) || *v.deadline > 0 && failed > 0
}

// patience is how long replies are waited for after the last probe: twice the
// longest time so far, or, as long as there was no reply, the whole of -W.
func (v *view) patience() time.Duration {
	if v.stats.Received == 0 || *v.json && *v.timeout > 0 {
		if v.changed("timeout") {
			return *v.timeout
		}
		return lingering
	}
	return max(2*v.stats.Max, *v.interval)
}

// take counts a result and prints its line.
func (v *view) take(r *ping.Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Outcome == ping.OutcomeSent || r.Outcome == ping.OutcomeLocalError {
		v.last = time.Now() // the run is as long as its sending, as in ping(8)
	}
	if *v.json {
		v.stats.Add(r)
		v.sent = max(v.sent, r.Seq)
		if r.Outcome != ping.OutcomeSent {
			cli.JSONLine(v.out, r)
		}
		return
	}
	v.count1(r)
	v.plot.add(r)
	switch {
	case *v.quiet:
	case *v.flood:
		io.WriteString(v.out, v.mark(r))
	default:
		v.print(r)
	}
	switch r.Outcome {
	case ping.OutcomeSent, ping.OutcomeLocalError:
		v.sent = max(v.sent, r.Seq)
	}
}

// count1 adds a result up as ping(8) does: a reply with wrong bytes is one.
func (v *view) count1(r *ping.Result) {
	damaged := v.wrong[r.Seq]
	switch {
	case r.Outcome == ping.OutcomeNotice && r.Damage != nil:
		v.wrong[r.Seq] = true
		r.Outcome = ping.OutcomeReply
	case r.Outcome == ping.OutcomeReply && damaged:
		r.Outcome = ping.OutcomeDuplicate
	case r.Outcome == ping.OutcomeCorrupted && damaged, r.Outcome == ping.OutcomeTimeout && damaged:
		delete(v.wrong, r.Seq)
		r.Outcome = ping.OutcomeNone
	}
	v.stats.Add(r)
	switch r.Outcome {
	case ping.OutcomeReply, ping.OutcomeLate, ping.OutcomeDuplicate:
		v.replied = max(v.replied, r.Seq)
		v.pipe = max(v.pipe, v.sent-r.Seq+1)
	case ping.OutcomeLocalError:
		if tooLong(r) && !*v.quiet { // as ping(8) counts
			v.big++
		}
	}
}
