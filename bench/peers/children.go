package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	probing "github.com/prometheus-community/pro-bing"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/ping"
)

// periodic is what a child that pings many hosts reports.
type periodic struct {
	Sent, Received int
	Goroutines     int // at most
	Mallocs        uint64
	RTTs           []measured `json:",omitempty"`
}

// measured is one round-trip time as the program tells it.
type measured struct {
	Host netip.Addr
	N    int // 0 is the first to this host
	RTT  time.Duration
}

// swept is what a child that sweeps reports.
type swept struct {
	Hosts, Received int
	Elapsed         time.Duration
	Pause           time.Duration // longest time between results
	OwnPause        time.Duration // the same without the time that the thread waited for a processor
	Mallocs         uint64
}

// cancelled is what a child that starts and cancels reports.
type cancelled struct {
	Longest, P999       time.Duration
	Goroutines, Sockets int // more than before
}

func registerPing() {
	register("ours-periodic", func(args []string) (any, error) {
		return oursPeriodic(number(args[0]), number(args[1]), args[2] == "rtts")
	})
	register("pro-bing-periodic", func(args []string) (any, error) {
		return proBingPeriodic(number(args[0]), number(args[1]), args[2] == "rtts"), nil
	})
	register("ours-rounds", func(args []string) (any, error) { return oursRounds(number(args[0]), number(args[1])) })
	register("ours-sweep", func(args []string) (any, error) {
		return oursSweep(netip.MustParsePrefix(args[0]), args[1] == "both", args[2] == "witness")
	})
	register("ours-cancel", func(args []string) (any, error) { return oursCancel(number(args[0])) })
}

func register(name string, fn func(args []string) (any, error)) {
	lab.Child(name, func(args []string) int {
		report, err := fn(args)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(report)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		return 0
	})
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err) // our own argument
	}
	return n
}

func targets(n int) []netip.Addr {
	all := slices.Collect(ping.Hosts(netip.MustParsePrefix("10.64.0.0/18")))
	return all[:n]
}

func oursPeriodic(hosts, rounds int, rtts bool) (p periodic, err error) {
	e, err := ping.Open(nil)
	if err != nil {
		return p, err
	}
	defer e.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for r, err := range e.Stream(context.Background(), targets(hosts), &ping.StreamOptions{Count: rounds}) {
		if err != nil {
			return p, err
		}
		p.Sent++
		if r.Outcome == ping.OutcomeReply {
			p.Received++
			if rtts {
				p.RTTs = append(p.RTTs, measured{r.Target, r.Seq - 1, r.RTT})
			}
		}
		if p.Sent%1000 == 0 {
			p.Goroutines = max(p.Goroutines, runtime.NumGoroutine())
		}
	}
	runtime.ReadMemStats(&after)
	p.Mallocs = after.Mallocs - before.Mallocs
	return p, nil
}

func proBingPeriodic(hosts, rounds int, rtts bool) (p periodic) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, a := range targets(hosts) {
		pinger := probing.New(a.String())
		pinger.SetPrivileged(false)
		pinger.Count, pinger.Interval, pinger.Size, pinger.RecordRtts = rounds, time.Second, 56, false
		pinger.Timeout = time.Duration(rounds+5) * time.Second
		if rtts {
			pinger.OnRecv = func(pkt *probing.Packet) {
				mu.Lock()
				p.RTTs = append(p.RTTs, measured{a, pkt.Seq, pkt.Rtt})
				mu.Unlock()
			}
		}
		wg.Go(func() {
			time.Sleep(time.Duration(i) * time.Second / time.Duration(hosts)) // spread evenly, as ours
			err := pinger.Run()
			s := pinger.Statistics()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			p.Sent += s.PacketsSent
			p.Received += s.PacketsRecv
		})
	}
	time.Sleep(time.Duration(rounds) * time.Second / 2)
	p.Goroutines = runtime.NumGoroutine()
	wg.Wait()
	return p
}

// oursRounds pings all hosts at once, once a second, with stamps of both directions.
func oursRounds(hosts, rounds int) (p periodic, err error) {
	e, err := ping.Open(nil)
	if err != nil {
		return p, err
	}
	defer e.Close()
	all := targets(hosts)
	for range rounds {
		next := time.Now().Add(time.Second)
		for r, err := range e.Sweep(context.Background(), slices.Values(all), &ping.SweepOptions{Rate: -1, Times: true}) {
			if err != nil {
				return p, err
			}
			if p.Sent++; r.Outcome == ping.OutcomeReply {
				p.Received++
			}
		}
		time.Sleep(time.Until(next))
	}
	return p, nil
}

func oursSweep(prefix netip.Prefix, both, watched bool) (s swept, err error) {
	start := time.Now()
	e, err := ping.Open(nil)
	if err != nil {
		return s, err
	}
	defer e.Close()
	queued := func() time.Duration { return 0 }
	if watched {
		var done func()
		queued, done = runQueue()
		defer done()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	last, waited := time.Now(), queued()
	for r, err := range e.Sweep(context.Background(), ping.Hosts(prefix), &ping.SweepOptions{Rate: -1, Times: both}) {
		if err != nil {
			return s, err
		}
		if s.Hosts++; r.Outcome == ping.OutcomeReply {
			s.Received++
		}
		if s.Hosts%64 == 0 {
			now, q := time.Now(), queued()
			s.Pause, s.OwnPause = max(s.Pause, now.Sub(last)), max(s.OwnPause, now.Sub(last)-(q-waited))
			last, waited = now, q
		}
	}
	s.Elapsed = time.Since(start)
	runtime.ReadMemStats(&after)
	s.Mallocs = after.Mallocs - before.Mallocs
	return s, nil
}

// runQueue locks the calling goroutine to its thread and returns a function
// that tells how long that has waited for a processor, ready to run.
func runQueue() (waited func() time.Duration, done func()) {
	runtime.LockOSThread()
	f, err := os.Open("/proc/thread-self/schedstat") // time running, time waiting, slices
	var buf [128]byte
	return func() time.Duration {
			n, _ := unix.Pread(int(f.Fd()), buf[:], 0)
			_, rest, _ := bytes.Cut(buf[:n], []byte(" "))
			ns := int64(0)
			for _, c := range rest {
				if c < '0' || c > '9' {
					break
				}
				ns = ns*10 + int64(c-'0')
			}
			return time.Duration(ns)
		}, func() {
			if err == nil {
				f.Close()
			}
			runtime.UnlockOSThread()
		}
}

func oursCancel(cycles int) (c cancelled, err error) {
	hosts := targets(64)
	var took []time.Duration
	startPoller()
	goroutines, sockets := runtime.NumGoroutine(), descriptors()
	for range cycles {
		e, err := ping.Open(nil)
		if err != nil {
			return c, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		var at time.Time
		for range e.Stream(ctx, hosts, nil) {
			if at.IsZero() {
				at = time.Now()
				cancel()
			}
		}
		took = append(took, time.Since(at))
		cancel()
		if err := e.Close(); err != nil {
			return c, err
		}
	}
	slices.Sort(took)
	c.Longest, c.P999 = took[len(took)-1], took[len(took)*999/1000]
	c.Goroutines, c.Sockets = runtime.NumGoroutine()-goroutines, descriptors()-sockets
	return c, nil
}

// startPoller makes the runtime open the descriptors that it keeps for ever.
func startPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.SetReadDeadline(time.Now())
		r.Close()
		w.Close()
	}
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
