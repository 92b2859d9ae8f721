package trace_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// fault is a chain with something wrong, and what a trace by each method must
// say of it.
type fault struct {
	name     string
	routers  int
	harm     func(t testing.TB, c *chain) *lab.Counter // the counter, if any, must have counted
	udp, tcp func(family int, c *chain) []string
	icmp     func(family int, c *chain) []string // nil: as udp, and the target echoes
}

// exceeded are the lines of the first n hops.
func exceeded(family, n int) []string {
	lines := []string{}
	for i := range n {
		lines = append(lines, fmt.Sprintf("%d time_exceeded %s", i+1, router(family, i+1)))
	}
	return lines
}

// reached are the lines of a whole path that ends with a word.
func reached(family int, c *chain, outcome string) []string {
	n := len(c.routers)
	return append(exceeded(family, n), fmt.Sprintf("%d %s %s", n+1, outcome, c.target(family)), "reached")
}

// refused are the lines of a path that router n ends with an ICMP refusal of
// what comes with this TTL.
func refused(family, n, ttl int, kind string) []string {
	return append(exceeded(family, ttl-1),
		fmt.Sprintf("%d unreachable %s %s", ttl, router(family, n), kind), "unreachable")
}

// dead are the lines of a path that nobody behind router n answers. UDP asks
// the first silent hop again.
func dead(n int, again string) func(family int, c *chain) []string {
	return func(family int, _ *chain) []string {
		lines := exceeded(family, n)
		for i := range 10 {
			lines = append(lines, fmt.Sprintf("%d silent", n+1+i))
		}
		lines[n] += again
		return append(lines, "silent")
	}
}

func kindOf(family int, kind4, kind6 string) string {
	if family == 4 {
		return kind4
	}
	return kind6
}

var methods = map[string]trace.Tracer{"udp": trace.UDP{}, "tcp": trace.TCP{}, "icmp": trace.ICMP{}}

// try is one trace of a chain.
type try struct {
	c      *chain
	method string
	family int
	path   trace.Path
	err    error
}

// tryAll traces by all methods, in both families, at once.
func (c *chain) tryAll(ctx context.Context) []*try {
	var tries []*try
	var wg sync.WaitGroup
	for _, family := range []int{4, 6} {
		for method, tr := range methods {
			try := &try{c: c, method: method, family: family}
			tries = append(tries, try)
			wg.Go(func() {
				try.err = c.client.DoUnprivileged(func() (err error) {
					try.path, err = tr.Trace(ctx, c.target(family))
					return err
				})
			})
		}
	}
	wg.Wait()
	return tries
}

// check compares with what the fault must look like.
func (y *try) check(t *testing.T, f *fault) {
	t.Helper()
	want := map[string]func(int, *chain) []string{"udp": f.udp, "tcp": f.tcp, "icmp": f.icmp}[y.method]
	if want == nil {
		want = func(family int, c *chain) []string {
			lines := f.udp(family, c)
			for i := range lines {
				lines[i] = strings.Replace(lines[i], fmt.Sprint(" port_unreachable ", c.target(family)), fmt.Sprint(" echo_reply ", c.target(family)), 1)
			}
			return lines
		}
	}
	if y.err != nil {
		t.Errorf("%s IPv%d: %v", y.method, y.family, y.err)
	} else if d := cmp.Diff(want(y.family, y.c), words(y.path)); d != "" {
		t.Errorf("%s IPv%d (-want +got)\n%s", y.method, y.family, d)
	}
	if y.path.Packets < 1 || y.path.Packets > 30 {
		t.Errorf("%s IPv%d: %d packets", y.method, y.family, y.path.Packets)
	}
}

// runFaults tries all faults at once, since the traces of dead paths wait.
func runFaults(t *testing.T, faults []fault) {
	counters := make([]*lab.Counter, len(faults))
	tries := make([][]*try, len(faults))
	var wg sync.WaitGroup
	for i, f := range faults {
		c := newChain(t, f.routers)
		counters[i] = f.harm(t, c)
		wg.Go(func() { tries[i] = c.tryAll(t.Context()) })
	}
	wg.Wait()
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for _, y := range tries[i] {
				y.check(t, &f)
			}
			if counters[i] != nil && counters[i].Packets() == 0 {
				t.Error("the fault took no packet")
			}
		})
	}
}

func TestPath(t *testing.T) {
	none := func(testing.TB, *chain) *lab.Counter { return nil }
	word := func(w string) func(int, *chain) []string {
		return func(family int, c *chain) []string { return reached(family, c, w) }
	}
	// A router that does not tell is asked twice, and the path goes on.
	silent := func(last string) func(int, *chain) []string {
		return func(family int, c *chain) []string {
			lines := reached(family, c, last)
			lines[1], lines[3] = "2 silent silent", "4 silent silent"
			return lines
		}
	}
	runFaults(t, []fault{
		{name: "refused", routers: 4, harm: none, udp: word("port_unreachable"), tcp: word("refused")},
		{name: "no router", harm: none, udp: word("port_unreachable"), tcp: word("refused")},
		{name: "open", routers: 3, harm: func(t testing.TB, c *chain) *lab.Counter {
			listen(t, c.server, 80)
			return nil
		}, udp: word("port_unreachable"), tcp: word("open")},
		{name: "reset by server's filter", routers: 1, harm: func(t testing.TB, c *chain) *lab.Counter {
			listen(t, c.server, 80)
			return c.server.Filter(lab.Input, lab.Rule{Proto: "tcp", DPort: 80, Action: lab.RejectReset})
		}, udp: word("port_unreachable"), tcp: word("refused")},
		{name: "silent hops", routers: 5, harm: func(_ testing.TB, c *chain) *lab.Counter {
			c.routers[1].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
			return c.routers[3].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
		}, udp: silent("port_unreachable"), tcp: silent("refused")},
	})
}

// refusals are the codes of both families, with the words for them.
var refusals = []struct {
	code4, code6 uint8
	kind4, kind6 string
}{
	{0, 0, "net_unreachable", "net_unreachable"}, {1, 3, "host_unreachable", "host_unreachable"},
	{2, 2, "proto_unreachable", "beyond_scope"}, {3, 4, "port_unreachable", "port_unreachable"},
	{9, 1, "net_prohibited", "admin_prohibited"}, {10, 5, "host_prohibited", "policy_failed"},
	{13, 6, "admin_prohibited", "reject_route"}, {6, 0, "net_unreachable", "net_unreachable"},
	{7, 3, "host_unreachable", "host_unreachable"}, {11, 0, "net_unreachable", "net_unreachable"},
	{12, 0, "host_unreachable", "net_unreachable"}, {14, 1, "precedence_violated", "admin_prohibited"},
	{15, 1, "precedence_violated", "admin_prohibited"},
}

// TestRefusal has router 2 of 3, then the server, refuse with every code.
func TestRefusal(t *testing.T) {
	c := newChain(t, 3)
	for _, k := range refusals {
		reject := func(h *lab.Host, hook lab.Hook) *lab.Counter {
			h.Filter(hook, lab.Rule{Proto: "tcp", Action: lab.Reject(k.code4, k.code6)})
			h.Filter(hook, lab.Rule{ICMP: lab.EchoRequest, Action: lab.Reject(k.code4, k.code6)})
			return h.Filter(hook, lab.Rule{Proto: "udp", Action: lab.Reject(k.code4, k.code6)})
		}
		onTheWay := func(family int, _ *chain) []string {
			return refused(family, 2, 3, kindOf(family, k.kind4, k.kind6))
		}
		// From the server itself the same words mean that it was reached.
		atServer := func(portWord string) func(int, *chain) []string {
			return func(family int, c *chain) []string {
				outcome, kind := "unreachable", " "+kindOf(family, k.kind4, k.kind6)
				if kind == " port_unreachable" && portWord != "" {
					outcome, kind = portWord, ""
				}
				lines := reached(family, c, outcome)
				lines[3] += kind
				return lines
			}
		}
		for _, f := range []fault{
			{name: fmt.Sprintf("router %d %d", k.code4, k.code6), udp: onTheWay, tcp: onTheWay, icmp: onTheWay,
				harm: func(_ testing.TB, c *chain) *lab.Counter { return reject(c.routers[1], lab.Forward) }},
			{name: fmt.Sprintf("server %d %d", k.code4, k.code6), udp: atServer("port_unreachable"), tcp: atServer(""), icmp: atServer(""),
				harm: func(_ testing.TB, c *chain) *lab.Counter { return reject(c.server, lab.Input) }},
		} {
			t.Run(f.name, func(t *testing.T) {
				counter := f.harm(t, c)
				for _, y := range c.tryAll(t.Context()) {
					y.check(t, &f)
				}
				if counter.Packets() == 0 {
					t.Error("the fault took no packet")
				}
				c.routers[1].ClearFilters()
				c.server.ClearFilters()
			})
		}
	}
}

func TestDeadPath(t *testing.T) {
	route := func(set func(r *lab.Host, dst string)) func(testing.TB, *chain) *lab.Counter {
		return func(_ testing.TB, c *chain) *lab.Counter {
			for _, dst := range []string{"10.9.3.0/24", "fd09:0:0:3::/64"} {
				c.routers[1].DelRoute(dst)
				set(c.routers[1], dst)
			}
			return nil
		}
	}
	// A router looks for the route first and at the TTL then.
	ends := func(n, ttl int, kind4, kind6 string) func(int, *chain) []string {
		return func(family int, _ *chain) []string { return refused(family, n, ttl, kindOf(family, kind4, kind6)) }
	}
	var faults []fault
	for _, f := range []struct {
		name string
		harm func(t testing.TB, c *chain) *lab.Counter
		want func(family int, c *chain) []string
	}{
		{"no route", route(func(*lab.Host, string) {}), ends(2, 2, "net_unreachable", "net_unreachable")},
		{"unreachable", route((*lab.Host).Unreachable), ends(2, 2, "host_unreachable", "net_unreachable")},
		{"prohibit", route((*lab.Host).Prohibit), ends(2, 2, "admin_prohibited", "admin_prohibited")},
		{"host off", func(_ testing.TB, c *chain) *lab.Counter { c.server.PowerOff(); return nil },
			ends(3, 4, "host_unreachable", "host_unreachable")},
	} {
		faults = append(faults, fault{name: f.name, routers: 3, harm: f.harm, udp: f.want, tcp: f.want})
	}
	for _, f := range []struct {
		name string
		harm func(t testing.TB, c *chain) *lab.Counter
		last int // the last router to answer
	}{
		{"blackhole", route((*lab.Host).Blackhole), 1},
		{"drop at router", func(_ testing.TB, c *chain) *lab.Counter {
			return c.routers[1].Filter(lab.Forward, lab.Rule{In: "up"})
		}, 2},
		{"drop at server", func(_ testing.TB, c *chain) *lab.Counter {
			c.server.Filter(lab.Input, lab.Rule{Proto: "tcp"})
			c.server.Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest})
			return c.server.Filter(lab.Input, lab.Rule{Proto: "udp"})
		}, 3},
		{"no return route", func(_ testing.TB, c *chain) *lab.Counter {
			c.server.DelRoute("10.9.0.0/24")
			c.server.DelRoute("fd09::/64")
			return nil
		}, 3},
		{"everything silent", func(_ testing.TB, c *chain) *lab.Counter {
			c.routers[0].Filter(lab.Forward, lab.Rule{In: "up"})
			return c.routers[0].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded})
		}, 0},
	} {
		faults = append(faults, fault{name: f.name, routers: 3, harm: f.harm,
			udp: dead(f.last, " silent"), tcp: dead(f.last, "")})
	}
	runFaults(t, faults)
}

func TestLoop(t *testing.T) {
	c := newChain(t, 4)
	for _, r := range []struct{ dst, via string }{
		{"10.9.4.0/24", near(4, 2).String()}, {"fd09:0:0:4::/64", near(6, 2).String()},
	} {
		c.routers[2].DelRoute(r.dst)
		c.routers[2].Route(r.dst, r.via)
	}
	for _, y := range c.tryAll(t.Context()) {
		if y.err != nil || y.path.End != trace.EndLoop || y.path.Packets > 20 {
			t.Errorf("%s IPv%d: %v, %v after %d packets", y.method, y.family, y.err, words(y.path), y.path.Packets)
		}
		// One address is of router 2, on whatever side, and one of router 3.
		var owners []int
		for _, a := range y.path.Loop() {
			for r := 1; r <= 4; r++ {
				if a == router(y.family, r) || a == near(y.family, r) {
					owners = append(owners, r)
				}
			}
		}
		slices.Sort(owners)
		if d := cmp.Diff([]int{2, 3}, owners); d != "" {
			t.Errorf("%s IPv%d loop %v (-want +got)\n%s", y.method, y.family, y.path.Loop(), d)
		}
	}
}

// What this host keeps inside is not silence of the network.
func TestNotSent(t *testing.T) {
	toServer := func(set func(h *lab.Host, dst string)) func(c *chain) {
		return func(c *chain) {
			for _, dst := range []string{"10.9.1.0/24", "fd09:0:0:1::/64"} {
				c.client.DelRoute(dst)
				set(c.client, dst)
			}
		}
	}
	for _, f := range []struct {
		name  string
		harm  func(c *chain)
		errno unix.Errno
	}{
		{"filter drops", func(c *chain) { c.client.Filter(lab.Output, lab.Rule{}) }, unix.EPERM},
		{"filter rejects", func(c *chain) {
			c.client.Filter(lab.Output, lab.Rule{Proto: "tcp", Action: lab.RejectAdmin})
			c.client.Filter(lab.Output, lab.Rule{Proto: "udp", Action: lab.RejectAdmin})
			c.client.Filter(lab.Output, lab.Rule{ICMP: lab.EchoRequest, Action: lab.RejectAdmin})
		}, 0},
		{"no route", toServer(func(*lab.Host, string) {}), unix.ENETUNREACH},
		{"prohibit", toServer((*lab.Host).Prohibit), unix.EACCES},
		{"unreachable", toServer((*lab.Host).Unreachable), unix.EHOSTUNREACH},
		{"blackhole", toServer((*lab.Host).Blackhole), unix.EINVAL},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := newChain(t, 1)
			f.harm(c)
			for _, y := range c.tryAll(t.Context()) {
				if y.err != nil {
					t.Error(y.err)
					continue
				}
				if f.name == "filter drops" && y.method == "icmp" && y.family == 6 {
					if y.path.End != trace.EndSilent {
						t.Errorf("this kernel tells after all: %v", words(y.path))
					}
					continue
				}
				checkNotSent(t, y, f.errno)
			}
		})
	}
}

func checkNotSent(t *testing.T, y *try, errno unix.Errno) {
	t.Helper()
	p := y.path
	if p.End != trace.EndNotSent || p.Packets != 0 || len(p.Hops) != 1 {
		t.Errorf("%s IPv%d: %v, %d packets", y.method, y.family, words(p), p.Packets)
		return
	}
	r := p.Hops[0].Replies[0]
	if r.Outcome != trace.OutcomeNotSent || r.Err == "" || errno != 0 && r.Errno != errno {
		t.Errorf("%s IPv%d: %+v, want %v", y.method, y.family, r, errno)
	}
	if errno == unix.EPERM && !errors.Is(r.Errno, os.ErrPermission) {
		t.Errorf("%v is not a refusal", r.Errno)
	}
}
