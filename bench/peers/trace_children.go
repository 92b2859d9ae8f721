package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

func registerTracePaths() {
	register("ours-traces", func(args []string) (any, error) {
		return oursTraces(args[0], number(args[1]), netip.MustParseAddr(args[2]))
	})
	register("trace-race", func(args []string) (any, error) {
		return race(number(args[0]), args[1:3], args[3:])
	})
	register("ours-crowd", func(args []string) (any, error) {
		return oursCrowd(args[0], number(args[1]), number(args[2]), addresses(args[3]), addresses(args[4]))
	})
	register("ours-map", func(args []string) (any, error) {
		return oursMap(args[0], netip.MustParseAddr(args[1]), number(args[2]))
	})
}

// asRoot runs one of this program's own parts with all capabilities and reads
// what it reports.
func (s *stage) asRoot(h *lab.Host, report any, name string, args ...string) cost {
	out, k := s.process(h.ChildCommand(name, true, args...))
	if err := json.Unmarshal(out, report); err != nil {
		s.Fatalf("%s: %v: %s", name, err, out)
	}
	return k
}

func addresses(list string) (addrs []netip.Addr) {
	for a := range strings.SplitSeq(list, ",") {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs
}

func method(word string) (m trace.Method, err error) {
	err = m.UnmarshalText([]byte(word))
	return m, err
}

// oursTraces makes traces one after the other, without privileges, and
// returns how long each took in ms.
func oursTraces(word string, n int, dst netip.Addr) (times []float64, err error) {
	tracer := map[string]trace.Tracer{"udp": trace.UDP{}, "tcp": trace.TCP{}, "icmp": trace.ICMP{}}[word]
	for range n {
		start := time.Now()
		p, err := tracer.Trace(context.Background(), dst)
		if err != nil {
			return nil, err
		}
		if !p.Reached {
			return nil, fmt.Errorf("%v is not reached: %v", dst, p.End)
		}
		times = append(times, milli(time.Since(start)))
	}
	return times, nil
}

// race runs two programs in turn with the same arguments, the first one as
// nobody, and returns how long each run took in ms.
func race(n int, programs, args []string) (times [2][]float64, err error) {
	for range n {
		for i, program := range programs {
			c := exec.Command(program, args...)
			if i == 0 {
				c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
			}
			var out bytes.Buffer
			c.Stdout, c.Stderr = &out, &out
			start := time.Now()
			err := c.Run()
			if i == 0 && errors.Is(err, syscall.EINVAL) { // no other user in this namespace
				c = exec.Command(program, args...)
				c.Stdout, c.Stderr = &out, &out
				start = time.Now()
				err = c.Run()
			}
			if err != nil {
				return times, fmt.Errorf("%s %q: %w: %s", program, args, err, &out)
			}
			times[i] = append(times[i], milli(time.Since(start)))
		}
	}
	return times, nil
}

// crowd1000 is what a child reports that makes many traces at once.
type crowd1000 struct {
	Paths, Wrong, Probes int
	Descriptors          int     // that the engine keeps, with all traces under way
	Rate                 float64 // probes a second
}

const atOnce = 1000

// oursCrowd keeps 1,000 goroutines tracing until so many probes are sent. The
// last of the blocks is as far away as there are hops, the one before it one
// hop nearer, and so on; who answers on the way is known.
func oursCrowd(word string, probes, queries int, hops, blocks []netip.Addr) (c crowd1000, err error) {
	m, err := method(word)
	if err != nil {
		return c, err
	}
	startPoller()
	before := descriptors()
	e, err := trace.Open(&trace.EngineOptions{Methods: []trace.Method{m}, Family: family(hops[0]), Rate: -1})
	if err != nil {
		return c, err
	}
	defer e.Close()
	tracer := e.Tracer(m, trace.Options{Queries: queries})
	c.Descriptors = math.MaxInt
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for i := range atOnce {
		wg.Go(func() {
			for n := i; ; n += atOnce {
				block := n % len(blocks)
				dst := nth(blocks[block], n/len(blocks)%60000+1)
				p, err2 := tracer.Trace(context.Background(), dst)
				mu.Lock()
				c.Paths++
				c.Probes += p.Packets
				if err2 != nil || !asBuilt(p, hops[:len(hops)-len(blocks)+block]) {
					c.Wrong++
				}
				done := c.Probes >= probes || c.Wrong > 1000
				// One more is open for moments in which traces begin.
				if n := c.Paths - 5*atOnce; n >= 0 && n < 1000 {
					c.Descriptors = min(c.Descriptors, descriptors()-before)
				}
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	wg.Wait()
	c.Rate = float64(c.Probes) / time.Since(start).Seconds()
	return c, nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// nth returns the n-th address after a.
func nth(a netip.Addr, n int) netip.Addr {
	b := a.AsSlice()
	b[len(b)-2], b[len(b)-1] = byte(n>>8), byte(n)
	next, _ := netip.AddrFromSlice(b)
	return next
}

// asBuilt reports whether a path has these routers, in this order, and ends
// with the target behind them.
func asBuilt(p trace.Path, routers []netip.Addr) bool {
	if len(p.Hops) != len(routers)+1 {
		return false
	}
	for i, h := range p.Hops {
		r, ok := h.Answered()
		if !ok || len(h.Addrs()) != 1 {
			return false
		}
		if i == len(routers) {
			// Linux refuses a UDP datagram to an IPv6 address of a whole network
			// that is local with another address of the host.
			return r.From == p.Target || p.Method == trace.MethodUDP && p.Target.Is6() && r.Outcome == trace.OutcomeUnreachable
		}
		if r.From != routers[i] || r.Outcome != trace.OutcomeTimeExceeded {
			return false
		}
	}
	return false
}

const mapRuns = 9

// oursMap maps a block of targets again and again and reports the median.
func oursMap(word string, block netip.Addr, n int) (c crowd1000, err error) {
	m, err := method(word)
	if err != nil {
		return c, err
	}
	targets := func(yield func(netip.Addr) bool) {
		for i := range n {
			if !yield(nth(block, i+1)) {
				return
			}
		}
	}
	var rates []float64
	for range mapRuns {
		start := time.Now()
		e, err := trace.Open(&trace.EngineOptions{Methods: []trace.Method{m}, Family: family(block), Rate: -1})
		if err != nil {
			return c, err
		}
		probes := 0
		for p, err := range e.Tracer(m, trace.Options{}).Map(context.Background(), targets) {
			if err != nil {
				return c, err
			}
			probes += p.Packets
			c.Paths++
			if len(p.Hops) != 6 || slices.ContainsFunc(p.Hops, func(h trace.Hop) bool { return len(h.Addrs()) != 1 }) {
				c.Wrong++
			}
		}
		e.Close()
		rates = append(rates, float64(probes)/time.Since(start).Seconds())
		c.Probes = probes
	}
	c.Rate = median(rates)
	return c, nil
}
