package fakenet

import (
	"math/rand/v2"
	"slices"
)

// Shape is a kind of diamond: what lies between a point where paths part and
// one where they meet again.
type Shape uint8

// The shapes.
const (
	Uniform    Shape = iota // branches do not cross and have as many successors each
	Meshed                  // between two hops, branches cross
	Asymmetric              // branches have different numbers of successors
	Nested                  // diamonds within the branches of a diamond
	Unequal                 // branches of different lengths to the target
)

// Diamond returns the nodes of a path with one diamond of a shape, between a
// router on either side, and the target behind. Widths are at most maxWidth,
// at least 2. Half of the diamonds have one hop inside, as about half of those
// surveyed by Vermeulen et al. have; the others up to four.
func Diamond(r *rand.Rand, shape Shape, maxWidth int) []Node {
	b := &builder{}
	from := b.add(1)
	b.link(from, b.add(1)) // two routers, so that the diamond is not next to the sender
	hop := []int{1}
	switch shape {
	case Nested:
		hop = b.nested(r, maxWidth)
	case Unequal:
		return b.unequal(r, maxWidth)
	default:
		hop = b.plain(r, hop, shape, maxWidth)
	}
	meet := b.add(1)
	for _, v := range hop {
		b.link([]int{v}, meet)
	}
	b.link(meet, b.add(1))
	return b.nodes
}

type builder struct{ nodes []Node }

// add adds a hop of n nodes.
func (b *builder) add(n int) []int {
	var hop []int
	for range n {
		hop = append(hop, len(b.nodes))
		b.nodes = append(b.nodes, Node{})
	}
	return hop
}

// link leads each node of one hop to its share of the next: one each where
// there are as many, else several of the wider to one of the narrower.
func (b *builder) link(from, to []int) {
	for i := range max(len(from), len(to)) {
		f, t := from[i*len(from)/max(len(from), len(to))], to[i*len(to)/max(len(from), len(to))]
		b.edge(f, t)
	}
}

func (b *builder) edge(from, to int) {
	if slices.Contains(b.nodes[from].Succ, to) {
		return
	}
	b.nodes[from].Succ = append(b.nodes[from].Succ, to)
}

// length draws the number of hops inside.
func length(r *rand.Rand, least int) int {
	if least <= 1 && r.IntN(2) == 0 {
		return 1
	}
	return max(least, 2) + r.IntN(3)
}

// plain builds the inside of a diamond whose widths are multiples of another.
func (b *builder) plain(r *rand.Rand, hop []int, shape Shape, maxWidth int) []int {
	least := 1
	if shape != Uniform {
		least = 2
	}
	n := length(r, least)
	odd := 1 + r.IntN(n-least+1) // behind which hop it is not uniform
	width := 2 + r.IntN(maxWidth-1)
	for i := range n {
		if i > 0 {
			width = change(r, width, maxWidth)
		}
		if i == odd && shape == Asymmetric {
			hop = b.lopsided(r, hop, maxWidth)
			width = len(hop)
			continue
		}
		next := b.add(width)
		b.link(hop, next)
		if i == odd && shape == Meshed {
			b.mesh(r, hop, next)
		}
		hop = next
	}
	return hop
}

// change keeps a width, multiplies it, or divides it.
func change(r *rand.Rand, width, maxWidth int) int {
	switch r.IntN(4) {
	case 0:
		if 2*width <= maxWidth {
			return 2 * width
		}
	case 1:
		if width%2 == 0 && width > 2 {
			return width / 2
		}
	}
	return width
}

// mesh lets some branches cross: at least two nodes get another successor, and
// all of them a second one half of the time.
func (b *builder) mesh(r *rand.Rand, from, to []int) {
	n := len(from)
	if r.IntN(2) == 0 {
		n = min(n, 2+r.IntN(len(from)))
	}
	for _, i := range r.Perm(len(from))[:n] {
		b.edge(from[i], to[(i*len(to)/len(from)+1+r.IntN(len(to)-1))%len(to)])
	}
}

// lopsided gives the first node more successors than the others have.
func (b *builder) lopsided(r *rand.Rand, from []int, maxWidth int) []int {
	more := 1 + r.IntN(max(1, maxWidth-len(from)))
	if len(from)+more > maxWidth {
		// No room for more: several nodes share one successor instead.
		to := b.add(len(from) - 1)
		for i, f := range from {
			b.edge(f, to[max(0, i-1)])
		}
		return to
	}
	to := b.add(len(from) + more)
	for i, f := range from {
		b.edge(f, to[i])
	}
	for _, t := range to[len(from):] {
		b.edge(from[0], t)
	}
	return to
}

// nested parts branches once more and lets each meet before all meet.
func (b *builder) nested(r *rand.Rand, maxWidth int) []int {
	outer := b.add(2 + r.IntN(max(1, maxWidth/4-1)))
	b.link([]int{1}, outer)
	ends := b.add(len(outer))
	for i, o := range outer {
		inner := b.add(1 + r.IntN(max(1, maxWidth/len(outer))))
		b.link([]int{o}, inner)
		for _, v := range inner {
			b.edge(v, ends[i])
		}
	}
	return ends
}

// unequal lets branches reach the target at two distances.
func (b *builder) unequal(r *rand.Rand, maxWidth int) []Node {
	first := b.add(2 + r.IntN(maxWidth-1))
	b.link([]int{1}, first)
	short := 1 + r.IntN(len(first)-1)
	second := b.add(len(first) - short)
	b.link(first[short:], second)
	target := b.add(1)
	for _, v := range append(first[:short:short], second...) {
		b.edge(v, target[0])
	}
	return b.nodes
}

// Mixed returns network number i of a population with diamonds of every shape:
// of ten, five are uniform, two meshed, one each asymmetric, nested and unequal
// in length. The same number gives the same network.
func Mixed(i int) *Net {
	return draw(i, []Shape{Uniform, Meshed, Uniform, Asymmetric, Uniform, Nested, Uniform, Meshed, Uniform, Unequal}[i%10])
}

// Plain returns network number i of a population of uniform diamonds.
func Plain(i int) *Net { return draw(i, Uniform) }

// MaxWidth is the greatest width of a diamond in the populations.
const MaxWidth = 16

func draw(i int, s Shape) *Net {
	seed := uint64(i)
	return New(Diamond(rand.New(rand.NewPCG(seed, 7)), s, MaxWidth), seed)
}
