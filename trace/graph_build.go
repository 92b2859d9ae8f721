package trace

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/multipath"
)

// answerKey is by what the answers that make up a vertex are alike.
type answerKey struct {
	ttl   int
	from  netip.Addr
	final bool
}

// fill puts what was explored into the graph. Answers are the first ones of
// each vertex; name gives the flows their names.
func (g *Graph) fill(r multipath.Result, answers map[answerKey]Reply, name func(flow int) FlowID) {
	names := func(flows []int) []FlowID {
		ids := make([]FlowID, 0, len(flows))
		for _, f := range flows {
			ids = append(ids, name(f))
		}
		return ids
	}
	g.Vertices = make([]Vertex, 0, len(r.Vertices))
	for _, v := range r.Vertices {
		first := answers[answerKey{v.TTL, v.Addr, v.Final}]
		x := Vertex{
			TTL: v.TTL, Addr: v.Addr, Outcome: first.Outcome, ICMP: first.ICMP, ReplyTTL: first.ReplyTTL,
			Sent: v.Sent, Lost: v.Sent - v.Answered, Lowest: v.Min, Average: average(v.Sum, v.Answered),
			Flows: names(v.Flows), Probed: v.Probed, Failure: v.Failure, Settled: v.Settled, PerPacket: v.PerPacket,
		}
		g.Vertices = append(g.Vertices, x)
	}
	g.Edges = make([]Edge, 0, len(r.Edges))
	for _, e := range r.Edges {
		g.Edges = append(g.Edges, Edge(e))
	}
	g.Paths = make([]FlowPath, 0, len(r.Paths))
	for _, p := range r.Paths {
		g.Paths = append(g.Paths, FlowPath{
			Vertices: p.Vertices, Flows: names(p.Flows), Sent: p.Sent, Lost: p.Sent - p.Answered,
			Lowest: p.Min, Average: average(p.Sum, p.Answered),
		})
	}
	for _, s := range r.Uneven {
		g.Uneven = append(g.Uneven, Stretch{s.From, s.To})
	}
	g.Complete, g.Bound = r.Stop == multipath.StopDone, r.Failure
	g.Flows, g.Explored, g.Packets = r.Flows, r.Explored, r.Probes
	g.Diamonds = g.diamonds()
	g.Loops = g.loops()
}

func average(sum time.Duration, n int) time.Duration { return sum / time.Duration(max(1, n)) }

// finish says how far the paths went.
func (g *Graph) finish(stop multipath.Stop, maxTTL int) {
	last := -1
	refused := false
	for i, v := range g.Vertices {
		g.Reached = g.Reached || v.Outcome.final() && same(v.Addr, g.Target)
		refused = refused || v.Outcome == OutcomeUnreachable
		if !v.Silent() {
			last = i
		}
	}
	switch {
	case stop == multipath.StopInterrupted:
		g.End = EndUnknown
	case g.Reached:
		g.End = EndReached
	case refused:
		g.End = EndUnreachable
	case len(g.Loops) > 0:
		g.End = EndLoop
	case last >= 0 && g.Vertices[last].TTL >= maxTTL:
		g.End = EndMaxTTL
	case stop == multipath.StopDone:
		g.End = EndSilent
	}
}

// ranks returns the vertices of each TTL, from the first on.
func (g *Graph) ranks() (ranks [][]int) {
	for i, v := range g.Vertices {
		if i == 0 || v.TTL != g.Vertices[i-1].TTL {
			ranks = append(ranks, nil)
		}
		ranks[len(ranks)-1] = append(ranks[len(ranks)-1], i)
	}
	return ranks
}

// diamonds finds the stretches between TTLs with one vertex.
func (g *Graph) diamonds() []Diamond {
	list := []Diamond{}
	ranks := g.ranks()
	out, in := map[int]int{}, map[int]int{}
	for _, e := range g.Edges {
		out[e.From]++
		in[e.To]++
	}
	for r := 0; r < len(ranks); r++ {
		if len(ranks[r]) < 2 {
			continue
		}
		d := Diamond{From: -1, To: -1, FirstTTL: g.Vertices[ranks[r][0]].TTL - 1}
		if r > 0 {
			d.From = ranks[r-1][0]
			d.PerPacket = g.Vertices[d.From].PerPacket
		}
		for ; r < len(ranks) && len(ranks[r]) > 1; r++ {
			d.LastTTL = g.Vertices[ranks[r][0]].TTL
			d.Width = max(d.Width, len(ranks[r]))
			for _, v := range ranks[r] {
				d.PerPacket = d.PerPacket || g.Vertices[v].PerPacket
			}
			if r+1 < len(ranks) && len(ranks[r+1]) > 1 {
				d.compare(ranks[r], ranks[r+1], g.leaving(ranks[r]), out, in)
			}
		}
		if r < len(ranks) {
			d.To, d.LastTTL = ranks[r][0], g.Vertices[ranks[r][0]].TTL
		}
		list = append(list, d)
	}
	return list
}

// leaving returns the vertices at which paths do not end.
func (g *Graph) leaving(rank []int) []int {
	return slices.DeleteFunc(slices.Clone(rank), func(v int) bool { return g.Vertices[v].Outcome.final() })
}

// compare notes what lies between two TTLs with several vertices each.
func (d *Diamond) compare(here, next, leaving []int, out, in map[int]int) {
	if len(leaving) == 0 {
		return
	}
	least, most := bounds(leaving, out)
	lowest, highest := bounds(next, in)
	switch {
	case len(here) < len(next):
		d.Asymmetry = max(d.Asymmetry, most-least)
	case len(here) > len(next):
		d.Asymmetry = max(d.Asymmetry, highest-lowest)
	default:
		d.Asymmetry = max(d.Asymmetry, most-least, highest-lowest)
	}
	if len(here) >= len(next) && most > 1 || len(here) <= len(next) && highest > 1 {
		d.Meshed++
	}
}

func bounds(vertices []int, degree map[int]int) (least, most int) {
	least = degree[vertices[0]]
	for _, v := range vertices {
		least, most = min(least, degree[v]), max(most, degree[v])
	}
	return least, most
}

// loops finds addresses that one path comes by more than once, with another
// one between. An address that answers at TTLs in a row is an address
// translator, or a router that passes on packets it should have dropped.
func (g *Graph) loops() (list []LoopEntry) {
	for _, p := range g.Paths {
		at := map[netip.Addr][]int{}
		var order []netip.Addr
		for _, i := range p.Vertices {
			v := g.Vertices[i]
			if v.Silent() || v.Outcome != OutcomeTimeExceeded {
				continue
			}
			if len(at[v.Addr]) == 0 {
				order = append(order, v.Addr)
			}
			at[v.Addr] = append(at[v.Addr], v.TTL)
		}
		for _, a := range order {
			ttls := at[a]
			known := slices.ContainsFunc(list, func(l LoopEntry) bool { return l.Addr == a })
			if n := len(ttls); n > 1 && ttls[n-1]-ttls[0] >= n && !known {
				list = append(list, LoopEntry{a, ttls})
			}
		}
	}
	return list
}
