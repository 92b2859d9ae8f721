package fakenet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netsonde/netsonde/internal/multipath"
)

// heard sends probes and returns all answers.
func heard(t *testing.T, n *Net, flow, ttl, times int) (all []multipath.Answer) {
	t.Helper()
	for id := range times {
		if err := n.Send(id, flow, ttl); err != nil {
			t.Fatal(err)
		}
	}
	end := n.Now().Add(time.Second)
	for n.Now().Before(end) {
		answers, err := n.Wait(end)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, answers...)
	}
	return all
}

func TestNet(t *testing.T) {
	nodes := []Node{{Succ: []int{1, 2}}, {Succ: []int{3}, Every: time.Second}, {Succ: []int{3}, Loss: 0.5}, {}}
	n := New(nodes, 1)
	limited, lossy := -1, -1
	for flow := range 100 {
		a := heard(t, n, flow, 2, 1)
		again := heard(t, n, flow, 1, 1)
		if len(again) != 1 || again[0].From != Addr(0) || again[0].Final {
			t.Fatalf("first hop: %+v", again)
		}
		if len(a) == 1 && a[0].From == Addr(1) {
			limited = flow
		} else if len(a) == 1 {
			lossy = flow
		}
	}
	if limited < 0 || lossy < 0 {
		t.Fatal("one branch has no flows")
	}
	n.now = n.now.Add(time.Minute)
	if a := heard(t, n, limited, 2, 50); len(a) != 6 {
		t.Errorf("%d answers of a router that gives six at once", len(a))
	}
	if a := heard(t, n, lossy, 2, 1000); len(a) < 400 || len(a) > 600 || a[0].From != Addr(2) {
		t.Errorf("%d of 1000 answers where half are lost", len(a))
	}
	if a := heard(t, n, limited, 9, 1); len(a) != 1 || a[0].From != Addr(3) || !a[0].Final {
		t.Errorf("target: %+v", a)
	}
	want := []Link{{1, Addr(0), Addr(1)}, {1, Addr(0), Addr(2)}, {2, Addr(1), Addr(3)}, {2, Addr(2), Addr(3)}}
	if d := cmp.Diff(want, n.Links(), cmpopts.EquateComparable(Link{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestShapes: diamonds are as wide as told, every node is on the way to the
// one target, and the same number gives the same network.
func TestShapes(t *testing.T) {
	for i := range 500 {
		n := Mixed(i)
		if d := cmp.Diff(n.Links(), Mixed(i).Links(), cmpopts.EquateComparable(Link{})); d != "" {
			t.Fatalf("%d differs from itself\n%s", i, d)
		}
		reached := map[int]bool{0: true}
		for at, x := range n.Nodes {
			for _, s := range x.Succ {
				reached[s] = true
			}
			if len(x.Succ) == 0 && at != len(n.Nodes)-1 {
				t.Errorf("%d: node %d leads nowhere", i, at)
			}
			if len(x.Succ) > MaxWidth {
				t.Errorf("%d: node %d has %d successors", i, at, len(x.Succ))
			}
		}
		if len(reached) != len(n.Nodes) {
			t.Errorf("%d: of %d nodes only %d are led to", i, len(n.Nodes), len(reached))
		}
		if len(n.Links()) < 5 {
			t.Errorf("%d has no diamond: %v", i, n.Links())
		}
	}
}
