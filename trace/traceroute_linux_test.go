package trace_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// harms are faults for a random router, or the server, of a chain.
var harms = map[string]func(c *chain, at int){
	"none":         func(*chain, int) {},
	"reject net":   func(c *chain, at int) { c.reject(at, lab.RejectNet) },
	"reject host":  func(c *chain, at int) { c.reject(at, lab.RejectHost) },
	"reject port":  func(c *chain, at int) { c.reject(at, lab.RejectPort) },
	"reject admin": func(c *chain, at int) { c.reject(at, lab.RejectAdmin) },
	"drop":         func(c *chain, at int) { c.reject(at, lab.Drop) },
	"reset": func(c *chain, at int) {
		c.routers[at].Filter(lab.Forward, lab.Rule{Proto: "tcp", Action: lab.RejectReset})
	},
	"silent": func(c *chain, at int) { c.routers[at].Filter(lab.Output, lab.Rule{ICMP: lab.TimeExceeded}) },
	"no route": func(c *chain, at int) {
		c.toServer(at, func(r *lab.Host, dst string) { r.DelRoute(dst) })
	},
	"prohibit": func(c *chain, at int) {
		c.toServer(at, func(r *lab.Host, dst string) { r.DelRoute(dst); r.Prohibit(dst) })
	},
	"loop": func(c *chain, at int) {
		if at == 0 {
			return
		}
		c.toServer(at, func(r *lab.Host, dst string) {
			r.DelRoute(dst)
			via := near(4, at)
			if dst[0] == 'f' {
				via = near(6, at)
			}
			r.Route(dst, via.String())
		})
	},
	"host off": func(c *chain, _ int) { c.server.PowerOff() },
}

func (c *chain) reject(at int, a lab.Action) {
	c.routers[at].Filter(lab.Forward, lab.Rule{Proto: "udp", Action: a})
	c.routers[at].Filter(lab.Forward, lab.Rule{Proto: "tcp", Action: a})
	c.routers[at].Filter(lab.Forward, lab.Rule{ICMP: lab.EchoRequest, Action: a})
}

// toServer does something about a router's route to the server's network,
// which the last router has none to.
func (c *chain) toServer(at int, do func(r *lab.Host, dst string)) {
	n := len(c.routers)
	if at == n-1 {
		return
	}
	do(c.routers[at], fmt.Sprintf("10.9.%d.0/24", n))
	do(c.routers[at], fmt.Sprintf("fd09:0:0:%x::/64", n))
}

// TestAgainstTraceroute compares hop by hop with the installed traceroute,
// which needs root for TCP, on chains of random length with random faults.
func TestAgainstTraceroute(t *testing.T) {
	if _, err := exec.LookPath("traceroute"); err != nil {
		t.Skip("needs traceroute")
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	type run struct {
		name, method string
		family       int
		c            *chain
		diff         string
		err          error
	}
	var runs []*run
	var wg sync.WaitGroup
	for name, harm := range harms {
		c := newChain(t, 1+rng.IntN(5))
		at := rng.IntN(len(c.routers))
		harm(c, at)
		for _, family := range []int{4, 6} {
			for method := range methods {
				r := &run{name: fmt.Sprintf("%s at %d of %d", name, at+1, len(c.routers)), method: method, family: family, c: c}
				runs = append(runs, r)
				careful := name == "no route" || name == "prohibit"
				wg.Go(func() { r.diff, r.err = c.compare(t, method, family, careful) })
			}
		}
	}
	wg.Wait()
	for _, r := range runs {
		// Both wait for what may come late on a machine that is busy, as it is
		// with all these at once. What differs is compared again by itself.
		if r.diff != "" {
			t.Logf("%s, %s IPv%d, all at once: (-traceroute +ours)\n%s", r.name, r.method, r.family, r.diff)
			time.Sleep(time.Second)
			r.diff, r.err = r.c.compare(t, r.method, r.family, true)
		}
		if r.diff != "" || r.err != nil {
			t.Errorf("%s, %s IPv%d: %v (-traceroute +ours)\n%s", r.name, r.method, r.family, r.err, r.diff)
		}
	}
}

// compare traces by one method in one family with both programs.
func (c *chain) compare(t *testing.T, method string, family int, careful bool) (diff string, err error) {
	ours, err := c.likeTraceroute(t, method, family)
	if err != nil {
		return "", err
	}
	theirs, err := c.traceroute(method, family, careful)
	return cmp.Diff(theirs[:min(len(theirs), len(ours))], ours), err
}

// likeTraceroute traces and writes a line a hop: who, and traceroute's mark.
func (c *chain) likeTraceroute(t *testing.T, method string, family int) (lines []string, err error) {
	var p trace.Path
	err = c.client.DoUnprivileged(func() (err error) {
		p, err = methods[method].Trace(t.Context(), c.target(family))
		return err
	})
	for _, h := range p.Hops {
		line := "*"
		if r, ok := h.Answered(); ok {
			line = r.From.String()
			if r.ICMP != nil {
				if s := r.ICMP.Symbol(); s != "" {
					line += " " + s
				}
			}
		}
		lines = append(lines, line)
	}
	return lines, err
}

var tracerouteLine = regexp.MustCompile(`(?m)^ *(\d+)  (\*|\S+)(?:  [\d.]+ ms)?(?: (!\S+))?`)

// traceroute runs the installed one. Careful means probe by probe: a router
// without a route refuses five times in a row, then once a second
// (net.ipv4.route.error_burst, which no namespace can change).
func (c *chain) traceroute(method string, family int, careful bool) (lines []string, err error) {
	args := []string{"-n", "-q1", "-N16", "-w4", "-m15", "-" + strconv.Itoa(family)}
	if careful {
		args[2] = "-N1"
	}
	if method == "tcp" {
		args = append(args, "-T", "-p80")
	}
	if method == "icmp" {
		args = append(args, "-I")
	}
	out, err := c.client.Output("traceroute", append(args, c.target(family).String())...)
	for _, m := range tracerouteLine.FindAllStringSubmatch(string(out), -1) {
		line := m[2]
		if m[3] != "" {
			line += " " + m[3]
		}
		lines = append(lines, line)
	}
	if err != nil {
		err = fmt.Errorf("traceroute %v: %w\n%s", args, err, out)
	}
	return lines, err
}
