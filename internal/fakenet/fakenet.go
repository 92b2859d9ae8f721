// Package fakenet is a network in memory with many paths between its ends: load
// balancers by flow and by packet, loss, silence and limited answers, in its
// own time, the same for the same seed. Multipath tracing is measured on it.
package fakenet

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/multipath"
)

// Node is a router, or the target, which has no successors.
type Node struct {
	Addr      netip.Addr
	Succ      []int // balanced over evenly
	Seed      uint64
	PerPacket bool
	Silent    bool
	Alias     netip.Addr    // not zero: every second answer comes from it
	Loss      float64       // share of the packets lost on the way to the node
	Drop      float64       // share of the packets that the node should pass on and loses
	Delay     time.Duration // of its answers
	Every     time.Duration // answers once in so long, after a burst of six
	tokens    float64
	last      time.Time
	answers   int
}

// Net is a network. It is the wire of a multipath trace.
type Net struct {
	Nodes []Node // the first is the one next to the sender
	RTT   time.Duration
	// Quotes that are too short do not tell which probe they are for unless a
	// flow has only one in flight.
	Short bool

	now   time.Time
	rand  *rand.Rand
	queue events
	alone bool
	heard []multipath.Answer
	sent  int
}

// New returns a network of nodes whose balancers get seeds of their own.
func New(nodes []Node, seed uint64) *Net {
	n := &Net{Nodes: nodes, RTT: time.Millisecond, now: time.Unix(1e9, 0), rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range n.Nodes {
		n.Nodes[i].Seed = n.rand.Uint64()
		if !n.Nodes[i].Addr.IsValid() {
			n.Nodes[i].Addr = Addr(i)
		}
	}
	return n
}

// Addr is the address of a node that is not given one.
func Addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
}

// Now is the network's clock.
func (n *Net) Now() time.Time { return n.now }

// Sent is the number of probes sent.
func (n *Net) Sent() int { return n.sent }

// choose returns the successor that a balancer gives a flow.
func (n *Net) choose(at, flow int) int {
	x := &n.Nodes[at]
	if len(x.Succ) == 1 {
		return x.Succ[0]
	}
	if x.PerPacket {
		return x.Succ[n.rand.IntN(len(x.Succ))]
	}
	return x.Succ[mix(x.Seed^uint64(flow)*0x9e3779b97f4a7c15)%uint64(len(x.Succ))]
}

// mix spreads its argument over all bits.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Send lets a probe travel.
func (n *Net) Send(id, flow, ttl int) error {
	n.sent++
	at := 0
	for hop := 1; ; hop++ {
		x := &n.Nodes[at]
		if x.Loss > 0 && n.rand.Float64() < x.Loss {
			return nil
		}
		final := len(x.Succ) == 0
		if hop == ttl || final {
			if x.Silent || !x.allowed(n.now) {
				return nil
			}
			rtt := time.Duration(hop)*n.RTT + time.Duration(n.rand.IntN(3))*n.RTT/4
			rtt += x.Delay
			a := multipath.Answer{ID: id, From: x.Addr, RTT: rtt, Final: final, Unclear: n.Short && !n.alone}
			if x.answers++; x.Alias.IsValid() && x.answers%2 == 0 {
				a.From = x.Alias
			}
			heap.Push(&n.queue, event{n.now.Add(rtt), a})
			return nil
		}
		if x.Drop > 0 && n.rand.Float64() < x.Drop {
			return nil
		}
		at = n.choose(at, flow)
	}
}

// allowed takes a token of the limit on answers.
func (x *Node) allowed(now time.Time) bool {
	if x.Every == 0 {
		return true
	}
	const burst = 6
	if x.last.IsZero() {
		x.tokens = burst
	} else {
		x.tokens = math.Min(burst, x.tokens+float64(now.Sub(x.last))/float64(x.Every))
	}
	x.last = now
	if x.tokens < 1 {
		return false
	}
	x.tokens--
	return true
}

// Wait returns the answers that come next, all of one moment.
func (n *Net) Wait(until time.Time) ([]multipath.Answer, error) {
	n.heard = n.heard[:0]
	if len(n.queue) == 0 || n.queue[0].at.After(until) {
		if until.After(n.now) {
			n.now = until
		}
		return nil, nil
	}
	if n.queue[0].at.After(n.now) {
		n.now = n.queue[0].at
	}
	for len(n.queue) > 0 && !n.queue[0].at.After(n.now) {
		n.heard = append(n.heard, heap.Pop(&n.queue).(event).Answer)
	}
	return n.heard, nil
}

// Forget does nothing: late answers are heard.
func (n *Net) Forget(int) {}

// Transient reports that nothing is short here.
func (n *Net) Transient(error) bool { return false }

// Split makes answers clear.
func (n *Net) Split() { n.alone = true }

type event struct {
	at time.Time
	multipath.Answer
}

type events []event

func (q events) Len() int           { return len(q) }
func (q events) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q events) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)        { *q = append(*q, x.(event)) }
func (q *events) Pop() (x any) {
	x, *q = (*q)[len(*q)-1], (*q)[:len(*q)-1]
	return x
}

// Link is an edge between two interfaces, silence being the zero address.
type Link struct {
	TTL      int // of From
	From, To netip.Addr
}

// Links returns what a trace should find: every link and the TTL it lies at.
func (n *Net) Links() []Link {
	found := map[Link]bool{}
	level := []int{0}
	for ttl := 1; len(level) > 0; ttl++ {
		next := map[int]bool{}
		for _, at := range level {
			for _, s := range n.Nodes[at].Succ {
				found[Link{ttl, n.Nodes[at].shown(), n.Nodes[s].shown()}] = true
				next[s] = true
			}
		}
		level = level[:0]
		for s := range next {
			level = append(level, s)
		}
	}
	links := make([]Link, 0, len(found))
	for l := range found {
		links = append(links, l)
	}
	return Sorted(links)
}

func (x *Node) shown() netip.Addr {
	if x.Silent {
		return netip.Addr{}
	}
	return x.Addr
}

// Sorted puts links in order.
func Sorted(links []Link) []Link {
	slices.SortFunc(links, func(a, b Link) int {
		if a.TTL != b.TTL {
			return a.TTL - b.TTL
		}
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return a.To.Compare(b.To)
	})
	return links
}

// Found returns the links of a result.
func Found(r multipath.Result) []Link {
	links := []Link{}
	for _, e := range r.Edges {
		links = append(links, Link{r.Vertices[e.From].TTL, r.Vertices[e.From].Addr, r.Vertices[e.To].Addr})
	}
	return Sorted(links)
}
