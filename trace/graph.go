package trace

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// Graph is what lies between this host and a target, over all paths that were
// found. Indexes are those of Vertices.
type Graph struct {
	Target    netip.Addr `json:"target"`
	Method    Method     `json:"method"`
	Port      uint16     `json:"port,omitzero"`
	Source    netip.Addr `json:"source,omitzero"`
	Algorithm Algorithm  `json:"algorithm"`

	Vertices []Vertex    `json:"vertices"` // by TTL
	Edges    []Edge      `json:"edges"`    // by From, To
	Diamonds []Diamond   `json:"diamonds"` // by TTL
	Paths    []FlowPath  `json:"paths"`    // of flows that are known at each TTL
	Uneven   []Stretch   `json:"uneven,omitzero"`
	Reached  bool        `json:"reached"` // some flow reached the target
	End      End         `json:"end"`     // why the longest path ends
	Loops    []LoopEntry `json:"loops,omitzero"`

	// Complete: the stopping rule is satisfied everywhere. It is not when the
	// context ended or MaxFlows or MaxProbes were used up.
	Complete bool `json:"complete"`
	// Failure is the bound asked for; Bound is the one that holds, for even and
	// independent balancers, of MDA-Lite on average only (see [UDP.Multipath]):
	// with what explored it is at most the former where Complete.
	Failure float64 `json:"failure"`
	Bound   float64 `json:"bound"`

	Flows    int           `json:"flows"`    // used
	Explored int           `json:"explored"` // probes sent to find the graph
	Packets  int           `json:"packets"`  // sent in all
	Started  time.Time     `json:"started"`
	Elapsed  time.Duration `json:"elapsed_ns"`
}

// FlowID names a flow. Of UDP and TCP it is the source port; with that of UDP,
// [Options].SourcePort traces the path of this flow again. Of ICMP it is a number
// that is added to the checksum.
type FlowID uint16

// Vertex is an interface at a distance. An address that answers at several
// TTLs is several vertices: it lies on paths of different lengths, or packets
// go round (Graph.Loops).
type Vertex struct {
	TTL int `json:"ttl"`
	// Addr is who answered; invalid for flows that no answer came for, which
	// are one vertex a TTL, however many routers that may be.
	Addr     netip.Addr `json:"addr,omitzero"`
	Outcome  Outcome    `json:"outcome"`
	ICMP     *ICMPError `json:"icmp,omitzero"`      // the first answer, when it is an ICMP message
	ReplyTTL int        `json:"reply_ttl,omitzero"` // TTL of the first answer as it arrived; 0 is not known

	Sent    int           `json:"sent"`            // probes of flows that pass, at this TTL
	Lost    int           `json:"lost"`            // of these, not answered
	Lowest  time.Duration `json:"min_ns,omitzero"` // round-trip time
	Average time.Duration `json:"avg_ns,omitzero"`
	Flows   []FlowID      `json:"flows"` // known to pass, in the order used

	// Probed is the number of flows followed to the next TTL, and Failure
	// bounds the probability that one more successor, as likely as the others,
	// has been missed. Settled: that is as little as the stopping rule asks for.
	Probed  int     `json:"probed"`
	Failure float64 `json:"failure"`
	Settled bool    `json:"settled"`
	// PerPacket: packets of one flow went on to different vertices.
	PerPacket bool `json:"per_packet,omitzero"`
}

// Silent reports whether the vertex stands for silence.
func (v Vertex) Silent() bool { return !v.Addr.IsValid() }

// Edge leads from a vertex to one a TTL further.
type Edge struct {
	From  int `json:"from"`
	To    int `json:"to"`
	Flows int `json:"flows"` // seen on it
	// Unsure: behind a balancer of single packets, where two probes of a flow
	// need not have gone the same way.
	Unsure bool `json:"unsure,omitzero"`
}

// Diamond is a stretch between two TTLs at which all paths meet; of these the
// first may be this host, and the last is missing where paths do not meet again.
type Diamond struct {
	FirstTTL int `json:"first_ttl"` // of the vertex where paths part, FirstTTL-1 for this host
	LastTTL  int `json:"last_ttl"`  // of the vertex where they meet, or the last TTL known
	From     int `json:"from"`      // the vertices, -1 for none
	To       int `json:"to"`
	Width    int `json:"width"` // vertices at the widest TTL
	// Meshed is the number of TTLs between which and the next branches cross.
	Meshed int `json:"meshed"`
	// Asymmetry is the greatest difference between the numbers of successors,
	// or of predecessors where paths come together, of two vertices of a TTL.
	Asymmetry int  `json:"asymmetry"`
	PerPacket bool `json:"per_packet,omitzero"` // single packets are spread
}

// Length is the number of TTLs from the vertex where paths part to the last.
func (d Diamond) Length() int { return d.LastTTL - d.FirstTTL }

// Stretch is a range of TTLs within which branches cross, or vertices of one TTL
// have different numbers of successors.
type Stretch struct {
	FirstTTL int `json:"first_ttl"`
	LastTTL  int `json:"last_ttl"`
}

// FlowPath is one way through the graph, with the flows that take it. Loss and
// round-trip time are those of the probes sent all the way, from here to the
// last vertex and back; answers of all paths may come back the same way.
type FlowPath struct {
	Vertices []int         `json:"vertices"` // one a TTL
	Flows    []FlowID      `json:"flows"`
	Sent     int           `json:"sent"`
	Lost     int           `json:"lost"`
	Lowest   time.Duration `json:"min_ns,omitzero"`
	Average  time.Duration `json:"avg_ns,omitzero"`
}

// LoopEntry says that some flows come by an address twice.
type LoopEntry struct {
	Addr netip.Addr `json:"addr"`
	TTLs []int      `json:"ttls"` // on one path, ascending
}

// Width returns the number of vertices at the widest TTL, 0 for no graph.
func (g Graph) Width() (width int) {
	n := map[int]int{}
	for _, v := range g.Vertices {
		n[v.TTL]++
		width = max(width, n[v.TTL])
	}
	return width
}

// String is the graph in words, one TTL a line and in it each vertex with the
// letters of those it leads to.
func (g Graph) String() string {
	var b strings.Builder
	next := g.next()
	for i, v := range g.Vertices {
		if i == 0 || v.TTL != g.Vertices[i-1].TTL {
			fmt.Fprintf(&b, "%d\n", v.TTL)
		}
		fmt.Fprintf(&b, "  %s %v", g.Label(i), v.name())
		if len(next[i]) > 0 {
			b.WriteString(" ->")
		}
		for _, e := range next[i] {
			b.WriteString(" " + g.Label(e.To))
			if e.Unsure {
				b.WriteString("?")
			}
		}
		if v.PerPacket {
			b.WriteString(" (per packet)")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (v Vertex) name() string {
	if v.Silent() {
		return "*"
	}
	return v.Addr.String()
}

// Label names a vertex within its graph: its TTL and a letter, such as 3b.
func (g Graph) Label(i int) string {
	n := 0
	for j := i - 1; j >= 0 && g.Vertices[j].TTL == g.Vertices[i].TTL; j-- {
		n++
	}
	letters := ""
	for n++; n > 0; n = (n - 1) / 26 {
		letters = string(rune('a'+(n-1)%26)) + letters
	}
	return fmt.Sprint(g.Vertices[i].TTL) + letters
}

// next returns the edges that leave each vertex.
func (g Graph) next() map[int][]Edge {
	next := map[int][]Edge{}
	for _, e := range g.Edges {
		next[e.From] = append(next[e.From], e)
	}
	return next
}

// WriteDOT writes the graph in the language of Graphviz. Links that are not
// sure are dashed, silence is a point.
func (g Graph) WriteDOT(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "digraph %q {\n\trankdir=LR\n\tnode [shape=box]\n", "to "+g.Target.String())
	for i, v := range g.Vertices {
		label := v.name()
		if v.Lost > 0 && !v.Silent() {
			label += fmt.Sprintf("\n%.0f%% loss", 100*float64(v.Lost)/float64(v.Sent))
		}
		shape := ""
		switch {
		case v.Silent():
			shape = ", shape=circle"
		case v.PerPacket:
			shape = ", shape=diamond"
		}
		fmt.Fprintf(b, "\tn%d [label=%q%s]\n", i, label, shape)
	}
	for _, e := range g.Edges {
		style := ""
		if e.Unsure {
			style = " [style=dashed]"
		}
		fmt.Fprintf(b, "\tn%d -> n%d%s\n", e.From, e.To, style)
	}
	b.WriteString("}\n")
	return b.Flush()
}
