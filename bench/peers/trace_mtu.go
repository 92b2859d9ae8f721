package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/trace"
)

// narrows is a path of six hops with one place where its MTU becomes less.
type narrows struct {
	path   *lab.Path
	link   int // behind this node
	mtu    int
	silent bool
}

func newNarrows(s *stage, silent bool) narrows {
	n := narrows{link: 1 + rand.IntN(5), mtu: 1280 + rand.IntN(219), silent: silent}
	if silent {
		hole := lab.Impair{MTU: n.mtu}
		n.path = lab.Chain(s, 5, lab.WireAt{Link: n.link, Out: hole, Back: hole})
		return n
	}
	n.path = lab.Chain(s, 5)
	nodes := append(append([]*lab.Host{n.path.Client}, n.path.Routers...), n.path.Server)
	nodes[n.link].MTU(n.path.Links[n.link].A.Name, n.mtu)
	nodes[n.link+1].MTU(n.path.Links[n.link].B.Name, n.mtu)
	return n
}

// compareTraceMTU is the table of path MTUs: random sizes behind random hops,
// in both families, without a privilege.
func compareTraceMTU(s *stage) table {
	const rounds = 10
	var t table
	for _, silent := range []bool{true, false} {
		right, all, packets := 0, 0, 0
		var worst time.Duration
		var peer string
		for i := range rounds {
			n := newNarrows(s, silent)
			for _, hops := range [][]netip.Addr{n.path.Hops4, n.path.Hops6} {
				m := n.ours(s, hops[5])
				all++
				if m.MTU == n.mtu && m.Exact && len(m.Steps) == 1 && m.Steps[0].TTL == n.link && m.Steps[0].From == hops[n.link-1] {
					right++
				}
				worst, packets = max(worst, m.Elapsed), max(packets, m.Packets)
			}
			if i == 0 {
				peer = n.tracepath(s)
			}
		}
		r := row{
			figure: "path MTU, 6 hops, a router that tells: right to the byte and hop",
			ours:   fmt.Sprintf("%d of %d, at most %d ms and %d packets", right, all, worst.Milliseconds(), packets),
			peers:  peer, target: "all, 2 s", verdict: judge(right == all && worst <= 2*time.Second),
		}
		if silent {
			r.figure = "path MTU, 6 hops, a silent black hole: right to the byte and hop"
		}
		t = append(t, r)
	}
	return t
}

func (n narrows) ours(s *stage, dst netip.Addr) (m trace.PathMTU) {
	err := n.path.Client.DoUnprivileged(func() (err error) {
		m, err = trace.FindMTU(context.Background(), dst, nil)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return m
}

var resume = regexp.MustCompile(`Resume: pmtu (\d+)`)

// tracepath has as many hops as there are, and not the 30 of its default.
func (n narrows) tracepath(s *stage) string {
	if _, err := exec.LookPath("tracepath"); err != nil {
		return "tracepath is not installed"
	}
	start := time.Now()
	out, err := n.path.Client.OutputUnprivileged("tracepath", "-n", "-m", "6", n.path.Hops4[5].String())
	if err != nil {
		s.Fatal(err)
	}
	took := time.Since(start).Round(10 * time.Millisecond)
	said := "nothing"
	if m := resume.FindStringSubmatch(string(out)); m != nil {
		said = m[1]
	}
	verdict := "wrong"
	if said == fmt.Sprint(n.mtu) {
		verdict = "right"
	}
	return strings.Join([]string{"tracepath -m 6: ", verdict, " (", said, "), ", took.String()}, "")
}
