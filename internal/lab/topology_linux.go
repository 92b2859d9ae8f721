package lab

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
)

// Path is a client and a server with routers in between, in both families,
// all routes set:
//
//	Client ── Links[0] ── Routers[0] ── Links[1] ── … ── Server
//
// Names, addresses, prefix lengths and interfaces are random, so that nothing
// under test can know them. The seed is logged; the environment variable
// NETSONDE_SEED repeats it.
type Path struct {
	*Lab
	Client, Server *Host
	Routers        []*Host

	Links        []*Link        // the A end is the one nearer to the client
	Wires        []*Wire        // for each link: the wire that it is, or nil
	Nets4, Nets6 []netip.Prefix // for each link
	Hops4, Hops6 []netip.Addr   // what answers at TTL 1, 2, …; the last is the server
	Seed         uint64
}

// WireAt makes link number Link of a Path a wire, impaired from the client to
// the server by Out and the other way by Back.
type WireAt struct {
	Link      int
	Out, Back Impair
}

// TwoNets is client – router – server.
func TwoNets(t TB, wires ...WireAt) *Path {
	t.Helper()
	return Chain(t, 1, wires...)
}

// Chain is client – routers – server.
func Chain(t TB, routers int, wires ...WireAt) *Path {
	t.Helper()
	l, r := New(t), newDice(t)
	p := &Path{Lab: l, Seed: r.seed, Wires: make([]*Wire, routers+1)}
	nodes := []*Host{l.Host(r.word())}
	for range routers {
		nodes = append(nodes, l.Router(r.word()))
	}
	nodes = append(nodes, l.Host(r.word()))
	p.Client, p.Routers, p.Server = nodes[0], nodes[1:routers+1], nodes[routers+1]
	for i := range routers + 1 {
		net4, net6 := r.net4(), r.net6()
		p.Nets4, p.Nets6 = append(p.Nets4, net4), append(p.Nets6, net6)
		a4, b4 := r.pair(net4)
		a6, b6 := r.pair(net6)
		a := nodes[i].Port(r.iface(), a4.String(), a6.String())
		b := nodes[i+1].Port(r.iface(), b4.String(), b6.String())
		p.join(i, a, b, wires)
		p.Hops4, p.Hops6 = append(p.Hops4, b4.Addr()), append(p.Hops6, b6.Addr())
	}
	p.route(nodes)
	return p
}

func (p *Path) join(i int, a, b *Port, wires []WireAt) {
	p.t.Helper()
	p.Links = append(p.Links, &Link{A: a, B: b})
	for _, w := range wires {
		if w.Link == i {
			p.Wires[i] = p.Wire(a, b, w.Out, w.Back)
			return
		}
	}
	p.Connect(a, b)
}

// route gives the ends a default route and each router a route to every net
// that it is not in.
func (p *Path) route(nodes []*Host) {
	p.t.Helper()
	last := len(nodes) - 1
	for _, addr := range []func(*Port) netip.Addr{(*Port).Addr4, (*Port).Addr6} {
		nodes[0].Route("default", addr(p.Links[0].B).String())
		nodes[last].Route("default", addr(p.Links[last-1].A).String())
	}
	for i := 1; i < last; i++ {
		for net := range p.Links {
			via := p.Links[i].B // towards the server
			switch {
			case net < i-1:
				via = p.Links[i-1].A
			case net <= i:
				continue
			}
			nodes[i].Route(p.Nets4[net].String(), via.Addr4().String())
			nodes[i].Route(p.Nets6[net].String(), via.Addr6().String())
		}
	}
}

// Segment is hosts on one switch, in both families, with random names and
// addresses like those of a Path.
type Segment struct {
	*Lab
	Switch      *Switch
	Hosts       []*Host
	Ports       []*Port // of the hosts
	SwitchPorts []*Port // the other ends
	Net4, Net6  netip.Prefix
	Seed        uint64
}

// LAN is hosts on one switch.
func LAN(t TB, hosts int) *Segment {
	t.Helper()
	l, r := New(t), newDice(t)
	s := &Segment{Lab: l, Switch: l.Switch("switch"), Seed: r.seed}
	s.Net6 = r.net6()
	s.Net4 = netip.PrefixFrom(r.net4().Addr(), 24).Masked()
	start := 1 + r.IntN(200-hosts)
	for i := range hosts {
		h := l.Host(r.word())
		a4 := netip.PrefixFrom(nth(s.Net4, start+i), s.Net4.Bits())
		a6 := netip.PrefixFrom(nth(s.Net6, start+i), s.Net6.Bits())
		port, end := h.Port(r.iface(), a4.String(), a6.String()), s.Switch.Port()
		l.Connect(port, end)
		s.Hosts, s.Ports, s.SwitchPorts = append(s.Hosts, h), append(s.Ports, port), append(s.SwitchPorts, end)
	}
	return s
}

// dice chooses what a test may not depend on.
type dice struct {
	*rand.Rand
	seed  uint64
	words map[string]bool // names in use
	nets  []int           // second bytes of the nets, in random order
}

func newDice(t TB) *dice {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("NETSONDE_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	if l, ok := t.(interface{ Logf(string, ...any) }); ok {
		l.Logf("lab: NETSONDE_SEED=%d", seed)
	}
	r := &dice{Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed, words: map[string]bool{}}
	r.nets = r.Perm(256)
	return r
}

// word returns a name that says nothing.
func (r *dice) word() string {
	for {
		w := make([]byte, 5)
		for i := range w {
			w[i] = "bcdfghklmnprstvz"[r.IntN(16)]
			if i%2 == 1 {
				w[i] = "aeiou"[r.IntN(5)]
			}
		}
		if !r.words[string(w)] {
			r.words[string(w)] = true
			return string(w)
		}
	}
}

// iface returns an interface name of a usual form.
func (r *dice) iface() string {
	return fmt.Sprintf([]string{"eth%d", "ens%d", "enp%ds0", "lan%d", "wan%d"}[r.IntN(5)], r.number())
}

// number returns one that has not been returned before.
func (r *dice) number() int {
	for {
		n := r.IntN(1000)
		if key := strconv.Itoa(n); !r.words[key] {
			r.words[key] = true
			return n
		}
	}
}

// net4 returns a private net of 4 to 256 addresses, apart from all others.
func (r *dice) net4() netip.Prefix {
	second := byte(r.nets[0])
	r.nets = r.nets[1:]
	addr := netip.AddrFrom4([4]byte{10, second, byte(r.IntN(256)), byte(r.IntN(256))})
	return netip.PrefixFrom(addr, 24+r.IntN(7)).Masked()
}

// net6 returns a unique local /64 of RFC 4193.
func (r *dice) net6() netip.Prefix {
	b := [16]byte{0: 0xfd}
	for i := 1; i < 8; i++ {
		b[i] = byte(r.IntN(256))
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// pair returns two different host addresses of a net, with its length.
func (r *dice) pair(net netip.Prefix) (a, b netip.Prefix) {
	size := 254
	if net.Addr().Is4() {
		size = 1<<(32-net.Bits()) - 2 // without the net's own and broadcast
	}
	i := r.IntN(size)
	j := (i + 1 + r.IntN(size-1)) % size
	return netip.PrefixFrom(nth(net, i+1), net.Bits()), netip.PrefixFrom(nth(net, j+1), net.Bits())
}

// nth returns the n-th address of a net, n below 256.
func nth(net netip.Prefix, n int) netip.Addr {
	b := net.Addr().AsSlice()
	b[len(b)-1] += byte(n)
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
