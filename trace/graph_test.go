package trace

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/fakenet"
	"github.com/netsonde/netsonde/internal/multipath"
)

// graphOf explores a network in memory.
func graphOf(t testing.TB, n *fakenet.Net, o MultipathOptions) Graph {
	t.Helper()
	m, err := (&o).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	to, err := Options{Rate: -1}.forMultipath(MethodUDP)
	if err != nil {
		t.Fatal(err)
	}
	target := n.Nodes[len(n.Nodes)-1].Addr
	r, err := multipath.Run(m.config(MethodUDP, to), n, n.Now)
	answers := map[answerKey]Reply{}
	for _, v := range r.Vertices {
		o := OutcomeTimeExceeded
		switch {
		case v.Final:
			o = OutcomePortUnreachable
		case !v.Addr.IsValid():
			o = OutcomeSilent
		}
		answers[answerKey{v.TTL, v.Addr, v.Final}] = Reply{Outcome: o, From: v.Addr}
	}
	g := Graph{Target: target, Method: MethodUDP, Failure: m.Failure}
	g.fill(r, answers, func(flow int) FlowID { return FlowID(40000 + flow) })
	g.finish(r.Stop, to.MaxTTL)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func nodes(succ ...[]int) (list []fakenet.Node) {
	for _, s := range succ {
		list = append(list, fakenet.Node{Succ: s})
	}
	return list
}

func TestDiamonds(t *testing.T) {
	for name, tt := range map[string]struct {
		nodes []fakenet.Node
		want  []Diamond
		end   End
	}{
		"none": {nodes([]int{1}, []int{2}, nil), []Diamond{}, EndReached},
		"one": {
			nodes([]int{1, 2, 3}, []int{4}, []int{4}, []int{4}, nil),
			[]Diamond{{FirstTTL: 1, LastTTL: 3, From: 0, To: 4, Width: 3}}, EndReached,
		},
		"two": {
			nodes([]int{1, 2}, []int{3}, []int{3}, []int{4, 5}, []int{6}, []int{7}, []int{8}, []int{8}, nil),
			[]Diamond{{FirstTTL: 1, LastTTL: 3, From: 0, To: 3, Width: 2}, {FirstTTL: 3, LastTTL: 6, From: 3, To: 8, Width: 2}}, EndReached,
		},
		"crossing": {
			nodes([]int{1, 2}, []int{3, 4}, []int{3, 4}, []int{5}, []int{5}, nil),
			[]Diamond{{FirstTTL: 1, LastTTL: 4, From: 0, To: 5, Width: 2, Meshed: 1}}, EndReached,
		},
		"lopsided": {
			nodes([]int{1, 2}, []int{3}, []int{4, 5, 6}, []int{7}, []int{7}, []int{7}, []int{7}, nil),
			[]Diamond{{FirstTTL: 1, LastTTL: 4, From: 0, To: 7, Width: 4, Asymmetry: 2}}, EndReached,
		},
		"coming together unevenly": {
			nodes([]int{1, 2, 3, 4}, []int{5}, []int{5}, []int{5}, []int{6}, []int{7}, []int{7}, nil),
			[]Diamond{{FirstTTL: 1, LastTTL: 4, From: 0, To: 7, Width: 4, Asymmetry: 2}}, EndReached,
		},
		"never meeting": {
			nodes([]int{1, 2}, []int{3}, []int{4}, []int{4}, nil),
			[]Diamond{{FirstTTL: 1, LastTTL: 3, From: 0, To: 4, Width: 2}}, EndReached,
		},
	} {
		g := graphOf(t, fakenet.New(tt.nodes, 2), MultipathOptions{Failure: 1e-5})
		if d := cmp.Diff(tt.want, g.Diamonds); name != "never meeting" && d != "" || g.End != tt.end || !g.Complete || g.Bound > g.Failure {
			t.Errorf("%s: end %v, bound %v (-want +got)\n%s\n%v", name, g.End, g.Bound, d, g)
		}
		if name == "never meeting" && (len(g.Diamonds) != 1 || g.Diamonds[0].To >= 0 && g.Vertices[g.Diamonds[0].To].TTL != 4) {
			t.Errorf("%s: %+v\n%v", name, g.Diamonds, g)
		}
	}
}

// TestGraphHolds looks at what must be so in every graph.
func TestGraphHolds(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 1))
	for i := range 100 {
		n := fakenet.Mixed(i)
		for at := range n.Nodes {
			x := &n.Nodes[at]
			switch dice.IntN(12) {
			case 0:
				x.Silent = at != len(n.Nodes)-1
			case 1:
				x.Loss = 0.1
			case 2:
				x.PerPacket = true
			case 3:
				x.Addr = fakenet.Addr(dice.IntN(len(n.Nodes)))
			case 4:
				x.Every = time.Second
			}
		}
		g := graphOf(t, n, MultipathOptions{Queries: 2, MaxProbes: 3000})
		holds(t, i, g)
	}
}

func holds(t *testing.T, i int, g Graph) {
	t.Helper()
	if !slices.IsSortedFunc(g.Vertices, func(a, b Vertex) int { return a.TTL - b.TTL }) {
		t.Errorf("%d: not by TTL\n%v", i, g)
	}
	for _, v := range g.Vertices {
		if v.Lost < 0 || v.Lost > v.Sent || v.Average < v.Lowest || v.Failure < 0 || v.Failure > 1 || v.Silent() && v.Lost != v.Sent {
			t.Errorf("%d: %+v", i, v)
		}
	}
	for _, e := range g.Edges {
		if g.Vertices[e.From].TTL+1 != g.Vertices[e.To].TTL || e.Flows < 1 {
			t.Errorf("%d: %+v", i, e)
		}
	}
	for _, p := range g.Paths {
		if len(p.Flows) == 0 || p.Lost < 0 || p.Lost > p.Sent {
			t.Errorf("%d: %+v", i, p)
		}
		for j, v := range p.Vertices {
			if g.Vertices[v].TTL != j+1 {
				t.Errorf("%d: path %v", i, p.Vertices)
			}
		}
	}
	if g.Bound < 0 || g.Bound > 1 || g.Complete && g.Bound > g.Failure || g.Explored > g.Packets {
		t.Errorf("%d: bound %v, complete %v, %d of %d", i, g.Bound, g.Complete, g.Explored, g.Packets)
	}
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var again Graph
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(g, again, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("%d: JSON (-written +read)\n%s", i, d)
	}
	var dot strings.Builder
	if err := g.WriteDOT(&dot); err != nil || strings.Count(dot.String(), "label=") != len(g.Vertices) || strings.Count(dot.String(), "->") != len(g.Edges) {
		t.Errorf("%d: %v\n%s", i, err, dot.String())
	}
}

func TestGraphLoop(t *testing.T) {
	n := fakenet.New(nodes([]int{1}, []int{2}, []int{3}, []int{4}, []int{5}, nil), 1)
	n.Nodes[3].Addr, n.Nodes[4].Addr = fakenet.Addr(1), fakenet.Addr(2)
	g := graphOf(t, n, MultipathOptions{})
	want := []LoopEntry{{fakenet.Addr(1), []int{2, 4}}, {fakenet.Addr(2), []int{3, 5}}}
	if d := cmp.Diff(want, g.Loops, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	n = fakenet.New(nodes([]int{1}, []int{2}, []int{3}, nil), 1)
	n.Nodes[2].Addr = fakenet.Addr(1)
	if g := graphOf(t, n, MultipathOptions{}); len(g.Loops) > 0 || len(g.Vertices) != 4 {
		t.Errorf("an address twice in a row: %+v\n%v", g.Loops, g)
	}
}

func TestGraphText(t *testing.T) {
	n := fakenet.New(nodes([]int{1, 2}, []int{3}, []int{3}, nil), 1)
	n.Nodes[0].PerPacket, n.Nodes[3].Silent = true, true
	g := graphOf(t, n, MultipathOptions{Failure: 1e-5})
	if g.Reached || g.End != EndSilent {
		t.Errorf("reached %v, end %v", g.Reached, g.End)
	}
	if !strings.HasPrefix(g.String(), "1\n  1a 198.18.0.0 -> 2a 2b (per packet)\n2\n  2a 198.18.0.") {
		t.Errorf("%v", g)
	}
	var dot strings.Builder
	if err := g.WriteDOT(&dot); err != nil || !strings.Contains(dot.String(), `n0 [label="198.18.0.0", shape=diamond]`) || !strings.HasPrefix(dot.String(), `digraph "to 198.18.0.3" {`) {
		t.Errorf("%v\n%s", err, dot.String())
	}
	wide := Graph{Vertices: make([]Vertex, 30)}
	if l := wide.Label(0) + wide.Label(25) + wide.Label(26) + wide.Label(29); l != "0a0z0aa0ad" {
		t.Error(l)
	}
}

func TestMultipathOptions(t *testing.T) {
	for _, o := range []MultipathOptions{
		{Algorithm: 7}, {Failure: 1}, {Failure: -1}, {Failure: 1e-30}, {Queries: -1}, {Queries: 10001}, {MaxFlows: -1}, {MaxFlows: 28001},
		{MaxProbes: -1}, {MaxProbes: 60001}, {Attempts: -1}, {Attempts: 11}, {Window: -1}, {Window: 1025},
	} {
		if _, err := (UDP{}).Multipath(t.Context(), netip.MustParseAddr("127.0.0.1"), &o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	for _, o := range []Options{{SourcePort: 7}, {MaxTTL: 256}, {Timeout: -1}} {
		if _, err := (UDP{o}).Multipath(t.Context(), netip.MustParseAddr("127.0.0.1"), nil); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := (UDP{}).Multipath(t.Context(), netip.Addr{}, nil); err == nil {
		t.Error("no target was accepted")
	}
}
