package multipath

import (
	"net/netip"
	"slices"
	"time"
)

// plan holds what is known of each flow at each hop, and derives the rest from
// it whenever something has changed. Hop 0 is the sender, hop i the TTL
// FirstTTL-1+i.
type plan struct {
	c      Config
	flows  []flow
	verts  []vertex
	hops   []hop
	probes []probe
	queue  []want
	flying []int // probes that are waited for
	rules  map[int]*rule

	far       int // last hop that answered
	tests     int // that can fail, as far as is known
	maxRTT    time.Duration
	exhausted bool
	strict    bool // one probe of a flow in flight
	dirty     bool
	rushed    bool  // no hop waits for the one before, because that lacks what it cannot get
	explored  int   // probes when the graph was known, 0 before
	chosen    []int // flows that are measured
	measuring bool

	now       time.Time
	lastSent  time.Time
	notBefore time.Time
}

type state uint8

const (
	unknown  state = iota
	queued         // to be sent, or in flight
	silent         // all attempts were
	answered       // by cell.vertex
)

// cell is a flow at a hop.
type cell struct {
	state     state
	tries     uint8 // that were lost
	again     bool  // asked once more
	vertex    int32
	sent, got uint16
	min, sum  time.Duration
}

type flow struct {
	cells []cell // by hop
	end   int    // hop where it ends
}

const endless = 1 << 30

type vertex struct {
	Vertex
	hop int
	met bool // by a probe of a flow that is held to pass another

	// Derived.
	flows      []int32
	succ, pred []link
	s, w       int     // flows probed, and queued, at the next hop
	need       int     // flows that have to be followed to the next hop
	miss       float64 // bounds the probability that a successor was missed
	known      int     // flows whose vertex at the hop before is known, or asked for
}

// link counts the flows between two vertices.
type link struct {
	to    int32
	flows int
}

type hop struct {
	byAddr map[source]int32
	held   bool // explored when the hop before is known

	repeats, repeating int // probes of a flow that was known, answered and under way
	spread             bool

	answered  bool      // somebody did
	mute      bool      // nobody did so far, and one flow has tried often
	recovered bool      // an answer came after silence
	since     time.Time // when the gap changed
	outcomes  int       // of probes since then
	recent    uint8     // the last ones, a bit each, 1 for a loss
	line      []int     // probes whose outcome is not counted yet, as they were sent
	hopeless  bool      // it loses probes however few they are
	gap       time.Duration
	lastSent  time.Time

	// Derived.
	live              []int32
	single            bool // all flows pass live[0]
	finals            bool
	unsure            bool
	resolved, waiting int
}

// source is who answers. A router may pass some flows on and refuse others.
type source struct {
	addr  netip.Addr
	final bool
}

type want struct {
	flow, hop int
	again     bool
}

type probe struct {
	want
	sent    time.Time
	waiting bool
	outcome outcome
}

// outcome is what became of a probe, to the pace.
type outcome uint8

const (
	pending outcome = iota
	lost
	heard
	void // not to be counted
)

func newPlan(c Config) *plan {
	p := &plan{c: c, rules: map[int]*rule{}, dirty: true, strict: c.Alone}
	p.verts = []vertex{{}}
	p.hops = []hop{{live: []int32{0}, single: true}}
	return p
}

func (p *plan) lastHop() int    { return p.c.MaxTTL - p.c.FirstTTL + 1 }
func (p *plan) ttl(hop int) int { return p.c.FirstTTL - 1 + hop }
func (p *plan) hop(i int) *hop  { p.grow(i); return &p.hops[i] }
func (p *plan) need(k int) int  { return p.rule().probes(k) }
func (p *plan) level() float64  { return p.c.Failure / float64(p.tests+1) }
func (p *plan) cell(f, i int) *cell {
	fl := &p.flows[f]
	for len(fl.cells) <= i {
		fl.cells = append(fl.cells, cell{})
	}
	return &fl.cells[i]
}

func (p *plan) grow(i int) {
	for len(p.hops) <= i {
		p.hops = append(p.hops, hop{byAddr: map[source]int32{}})
	}
}

// rule is the stopping rule for the share of the bound that one test has: as
// many shares as there are branchings known, and one for what is not known.
func (p *plan) rule() *rule {
	r := p.rules[p.tests]
	if r == nil {
		r = newRule(p.level())
		p.rules[p.tests] = r
	}
	return r
}

// vertexAt returns the vertex of an address at a hop; the zero Addr is silence.
func (p *plan) vertexAt(i int, s source) int32 {
	h := p.hop(i)
	v, ok := h.byAddr[s]
	if !ok {
		v = int32(len(p.verts))
		h.byAddr[s] = v
		p.verts = append(p.verts, vertex{Vertex: Vertex{TTL: p.ttl(i), Addr: s.addr, Final: s.final}, hop: i})
	}
	return v
}

// state returns what is known of a flow at a hop.
func (p *plan) state(f, i int) state {
	if fl := &p.flows[f]; i < len(fl.cells) {
		return fl.cells[i].state
	}
	return unknown
}

// at returns the vertex that a flow passes at a hop, -1 when that is not known.
func (p *plan) at(f, i int) int32 {
	if i > p.flows[f].end {
		return -1
	}
	if s := p.state(f, i); s >= silent {
		return p.flows[f].cells[i].vertex
	}
	if h := &p.hops[i]; h.single {
		return h.live[0]
	}
	return -1
}

// derive finds vertices, edges and counts from what is known of the flows.
func (p *plan) derive() {
	for i := range p.verts {
		v := &p.verts[i]
		v.flows, v.succ, v.pred, v.s, v.w, v.known = v.flows[:0], v.succ[:0], v.pred[:0], 0, 0, 0
	}
	for i := 1; i < len(p.hops); i++ {
		h := &p.hops[i]
		h.live, h.single, h.finals, h.unsure, h.resolved, h.waiting = h.live[:0], false, false, false, 0, 0
	}
	for f := range p.flows {
		p.deriveFlow(f)
	}
	passing := true // no flow has ended before
	for i := 1; i < len(p.hops); i++ {
		h := &p.hops[i]
		for _, v := range h.byAddr {
			if len(p.verts[v].flows) > 0 || p.verts[v].met {
				h.live = append(h.live, v)
				h.finals = h.finals || p.verts[v].Final
			}
		}
		slices.Sort(h.live)
		passing = passing && !h.finals
		h.single = passing && len(h.live) == 1 && h.resolved >= p.need(1)
		before := &p.hops[i-1]
		h.unsure = len(h.live) > 1 && (before.unsure || p.perPacket(i-1))
		for _, v := range h.live {
			// It need not be this one that sends packets different ways.
			p.verts[v].PerPacket = p.verts[v].PerPacket && !h.unsure
		}
	}
	for f := range p.flows {
		p.deriveEdges(f)
	}
	p.count()
}

func (p *plan) deriveFlow(f int) {
	fl := &p.flows[f]
	for i := 1; i < len(fl.cells) && i <= fl.end; i++ {
		switch c := &fl.cells[i]; c.state {
		case queued:
			p.hops[i].waiting++
		case silent, answered:
			p.hops[i].resolved++
			v := &p.verts[c.vertex]
			v.flows = append(v.flows, int32(f))
		}
	}
}

func (p *plan) deriveEdges(f int) {
	fl := &p.flows[f]
	before := int32(0)
	for i := 1; i < len(fl.cells) && i <= fl.end; i++ {
		here := p.at(f, i)
		switch {
		case before < 0:
			if here >= 0 && p.state(f, i-1) == queued {
				p.verts[here].known++
			}
		case fl.cells[i].state == queued:
			p.verts[before].w++
		case fl.cells[i].state >= silent:
			p.verts[before].s++
			p.verts[here].known++
			p.verts[before].succ = add(p.verts[before].succ, here)
			p.verts[here].pred = add(p.verts[here].pred, before)
		}
		before = here
	}
}

func add(links []link, to int32) []link {
	for i := range links {
		if links[i].to == to {
			links[i].flows++
			return links
		}
	}
	return append(links, link{to, 1})
}

// count finds out how many tests could have failed: one a branching vertex, or
// one a hop where vertices are held to be alike.
func (p *plan) count() {
	p.tests = 0
	for i := range p.hops {
		h := &p.hops[i]
		n := 0
		for _, v := range h.live {
			if len(p.verts[v].succ) > 1 {
				n++
			}
		}
		if p.c.Algorithm == Lite {
			n = min(n, 1)
		}
		p.tests += n
	}
}

// enqueue asks for a flow at a hop.
func (p *plan) enqueue(f, i int) {
	p.hop(i).waiting++
	if v := p.at(f, i-1); v >= 0 {
		p.verts[v].w++
	}
	if i+1 < len(p.hops) && p.state(f, i+1) >= silent {
		p.verts[p.flows[f].cells[i+1].vertex].known++
	}
	p.cell(f, i).state = queued
	p.queue = append(p.queue, want{flow: f, hop: i})
}

// newFlow returns a flow that was never used, -1 when there may be no more.
func (p *plan) newFlow() int {
	if len(p.flows) >= p.c.MaxFlows {
		p.exhausted = true
		return -1
	}
	p.flows = append(p.flows, flow{end: endless})
	return len(p.flows) - 1
}
