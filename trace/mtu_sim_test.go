package trace

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
)

// mtuSim is a path in memory and in its own time.
type mtuSim struct {
	now     time.Time
	dice    *rand.Rand
	links   []mtuLink // link i is behind node i; node 0 is this host
	back    int       // longest answer that comes back
	loss    float64   // of packets, and of answers
	rtt     time.Duration
	mute    map[int]bool // routers that answer nothing
	noEcho  bool         // the target answers no echo
	noUDP   bool
	cannot  bool // no echo socket here
	limit   int  // ICMP errors a second and node, 6 at once; 0: no limit
	tokens  map[int]float64
	refill  map[int]time.Time
	liar    func(size int) (mtu int, ok bool) // somebody who says that packets are too big
	queue   mtuSimQueue
	packets int
	v4      bool
}

type mtuLink struct {
	mtu  int
	told bool
	says int // 0: the truth
}

type mtuSimEvent struct {
	at time.Time
	mtuAnswer
}

type mtuSimQueue []mtuSimEvent

func (q mtuSimQueue) Len() int           { return len(q) }
func (q mtuSimQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q mtuSimQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *mtuSimQueue) Push(x any)        { *q = append(*q, x.(mtuSimEvent)) }
func (q *mtuSimQueue) Pop() (x any) {
	x, *q = (*q)[len(*q)-1], (*q)[:len(*q)-1]
	return x
}

func (s *mtuSim) clock() time.Time     { return s.now }
func (s *mtuSim) hasEcho() bool        { return !s.cannot }
func (s *mtuSim) transient(error) bool { return false }

func (s *mtuSim) addr(n int) netip.Addr {
	if s.v4 {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	}
	return simAddr(n)
}

func (s *mtuSim) target() netip.Addr { return s.addr(len(s.links)) }

// allowed spends a token of a node.
func (s *mtuSim) allowed(node int) bool {
	if s.limit == 0 {
		return true
	}
	if _, ok := s.tokens[node]; !ok {
		s.tokens[node], s.refill[node] = 6, s.now
	}
	s.tokens[node] = min(6, s.tokens[node]+s.now.Sub(s.refill[node]).Seconds()*float64(s.limit))
	s.refill[node] = s.now
	if s.tokens[node] < 1 {
		return false
	}
	s.tokens[node]--
	return true
}

func (s *mtuSim) say(id int, kind mtuKind, node, mtu, size int) {
	if s.dice.Float64() < s.loss || size > s.back {
		return
	}
	a := mtuAnswer{id: id, kind: kind, from: s.addr(node), rtt: s.rtt * time.Duration(min(node, len(s.links))) / time.Duration(len(s.links))}
	if kind != mtuReached {
		a.icmp = &ICMPError{From: a.from, MTU: mtu, Kind: icmperr.TimeExceeded}
		if kind == mtuTooBig {
			a.icmp.Kind = icmperr.FragNeeded
		}
	}
	heap.Push(&s.queue, mtuSimEvent{s.now.Add(a.rtt), a})
}

func (s *mtuSim) send(id int, p mtuProbe) error {
	s.packets++
	if s.liar != nil {
		if mtu, ok := s.liar(p.size); ok {
			s.say(id, mtuTooBig, 250, mtu, 0)
		}
	}
	lost := s.dice.Float64() < s.loss
	for i, l := range s.links {
		if i > 0 && p.ttl == i {
			if !lost && !s.mute[i] && s.allowed(i) {
				s.say(id, mtuExceeded, i, 0, 0)
			}
			return nil
		}
		if p.size > l.mtu {
			if l.told && !lost && i > 0 {
				says := l.mtu
				if l.says != 0 {
					says = l.says
				}
				s.say(id, mtuTooBig, i, says, 0)
			}
			return nil
		}
	}
	n := len(s.links)
	switch {
	case lost:
	case p.echo && !s.noEcho:
		s.say(id, mtuReached, n, 0, p.size)
	case !p.echo && !s.noUDP && s.allowed(n):
		s.say(id, mtuReached, n, 0, 0)
	}
	return nil
}

func (s *mtuSim) wait(until time.Time) ([]mtuAnswer, error) {
	if len(s.queue) > 0 && !s.queue[0].at.After(until) {
		ev := heap.Pop(&s.queue).(mtuSimEvent)
		if ev.at.After(s.now) {
			s.now = ev.at
		}
		return []mtuAnswer{ev.mtuAnswer}, nil
	}
	s.now = until
	return nil, nil
}

func newMTUSim(seed uint64, links ...mtuLink) *mtuSim {
	return &mtuSim{
		now: time.Unix(1e9, 0), dice: rand.New(rand.NewPCG(seed, 0)), links: links, back: mtuMax, rtt: 10 * time.Millisecond,
		mute: map[int]bool{}, tokens: map[int]float64{}, refill: map[int]time.Time{}, v4: true,
	}
}

// find measures the path as FindMTU does.
func (s *mtuSim) find(t *testing.T, o MTUOptions) (PathMTU, time.Duration) {
	t.Helper()
	o, err := o.withDefaults(s.target())
	if err != nil {
		t.Fatal(err)
	}
	p := PathMTU{Target: s.target(), LocalMTU: s.links[0].mtu, Trace: MethodICMP, Steps: []MTUStep{}}
	if s.cannot || s.noEcho && !s.noUDP {
		p.Trace = MethodUDP
	}
	for i := 1; i <= len(s.links); i++ {
		h := MTUHop{TTL: i, Final: i == len(s.links)}
		if !s.mute[i] && (!h.Final || !s.noEcho && !s.cannot || !s.noUDP) {
			h.From, h.RTT = s.addr(i), s.rtt*time.Duration(i)/time.Duration(len(s.links))
		}
		if h.Final && !h.From.IsValid() {
			break
		}
		p.Hops = append(p.Hops, h)
	}
	start := s.now
	search := newMTUSearch(o, &p, s, s.clock)
	if err := search.run(); err != nil {
		t.Fatal(err)
	}
	search.report()
	return p, s.now.Sub(start)
}

// want returns the true MTU of the way there, and the steps in words.
func (s *mtuSim) want(hops int) (mtu int, steps []string) {
	steps = []string{}
	mtu = s.links[0].mtu
	for i, l := range s.links[:hops] {
		if l.mtu >= mtu {
			continue
		}
		good, next := i, i+1
		for good > 0 && s.mute[good] {
			good--
		}
		for next < len(s.links) && s.mute[next] {
			next++
		}
		how := MTUSilent
		if l.told {
			how = MTUTold
		}
		if l.told && l.says != 0 {
			how = MTUWrong
		}
		// Routers between two steps that answer nothing make one step of two.
		if n := len(steps); n > 0 {
			var g, x, from, to int
			fmt.Sscanf(steps[n-1], "%d-%d %d>%d", &g, &x, &from, &to)
			if g == good && x == next {
				steps = steps[:n-1]
				mtu = from
			}
		}
		steps = append(steps, fmt.Sprintf("%d-%d %d>%d %v", good, next, mtu, l.mtu, how))
		mtu = l.mtu
	}
	return mtu, steps
}

func stepWords(p PathMTU) []string {
	words := []string{}
	for _, st := range p.Steps {
		words = append(words, fmt.Sprintf("%d-%d %d>%d %v", st.TTL, st.Next, st.Before, st.MTU, st.How))
	}
	return words
}

// TestMTURandomPaths measures random paths, whose truth is known.
func TestMTURandomPaths(t *testing.T) {
	common := []int{9000, 1500, 1492, 1480, 1420, 1400, 1337, 1281, 1280, 1300, 1499, 1001}
	worst, packets, sum := time.Duration(0), 0, 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		links := make([]mtuLink, 1+rng.IntN(8))
		for i := range links {
			links[i] = mtuLink{mtu: 9000}
		}
		for range rng.IntN(4) {
			l := &links[rng.IntN(len(links))]
			l.mtu = 600 + rng.IntN(1000)
			if rng.IntN(2) == 0 {
				l.mtu = common[rng.IntN(len(common))]
			}
			l.told = rng.IntN(2) == 0
			if l.told && rng.IntN(4) == 0 {
				l.says = []int{-1, 1, 67, 576, 1200, 40000, 1499}[rng.IntN(7)]
			}
		}
		s := newMTUSim(seed, links...)
		for i := range links {
			if l := &s.links[i]; l.says == -1 {
				l.says = 0
				l.told = false
			}
			if l := &s.links[i]; l.says == l.mtu {
				l.says = 0
			}
			if i > 0 && rng.IntN(10) == 0 {
				s.mute[i] = true
				s.links[i].told = false
			}
		}
		s.links[0] = mtuLink{mtu: []int{1500, 9000, 1500, 65535}[rng.IntN(4)]}
		mtu, steps := s.want(len(links))
		p, took := s.find(t, MTUOptions{})
		worst, packets, sum = max(worst, took), max(packets, p.Packets), sum+p.Packets
		got := stepWords(p)
		if len(s.mute) > 0 { // two steps may look like one, told and silent
			for _, w := range [][]string{got, steps} {
				for j := range w {
					w[j] = w[j][:strings.LastIndexByte(w[j], ' ')]
				}
			}
		}
		wrong := p.MTU != mtu || !p.Exact || !p.Reached || !slices.Equal(got, steps)
		if wrong {
			t.Fatalf("seed %d: %+v mute %v\n got %d %v\nwant %d %v\n%+v", seed, s.links, s.mute, p.MTU, got, mtu, steps, p)
		}
	}
	t.Logf("at worst %v and %d packets, %d on average", worst, packets, sum/2000)
}

// hole is six hops of 1500 bytes with a silent one of 1337 behind hop 3.
func hole(seed uint64) *mtuSim {
	links := slices.Repeat([]mtuLink{{mtu: 1500}}, 6)
	links[3].mtu = 1337
	return newMTUSim(seed, links...)
}

// TestMTUHard measures paths that make it hard, each with many dice.
func TestMTUHard(t *testing.T) {
	here := []string{"3-4 1500>1337 silent"}
	for _, tt := range []struct {
		name  string
		bend  func(s *mtuSim)
		mtu   int
		steps []string
		scope MTUScope
		miss  int // of 200 that may go wrong
	}{
		{"as it is", func(*mtuSim) {}, 1337, here, MTUForward, 0},
		{"no datagrams answered", func(s *mtuSim) { s.noUDP = true }, 1337, here, MTUBoth, 0},
		{"no echoes answered", func(s *mtuSim) { s.noEcho = true }, 1337, here, MTUForward, 0},
		{"no echo socket", func(s *mtuSim) { s.cannot = true }, 1337, here, MTUForward, 0},
		{"rate limits", func(s *mtuSim) { s.limit = 1 }, 1337, here, MTUForward, 0},
		{"rate limits, no datagrams", func(s *mtuSim) { s.limit, s.noUDP = 1, true }, 1337, here, MTUBoth, 0},
		{"rate limits, no echo socket", func(s *mtuSim) { s.limit, s.cannot = 1, true }, 1337, here, MTUForward, 0},
		{"5 % loss", func(s *mtuSim) { s.loss = 0.025 }, 1337, here, MTUForward, 1},
		{"20 % loss", func(s *mtuSim) { s.loss = 0.1 }, 1337, here, MTUForward, 4},
		{"slow", func(s *mtuSim) { s.rtt = 600 * time.Millisecond }, 1337, here, MTUForward, 0},
		{"narrow way back", func(s *mtuSim) { s.links[3].mtu, s.back = 1500, 1300 }, 1500, []string{}, MTUForward, 0},
		{"narrower way back", func(s *mtuSim) { s.back = 1300 }, 1337, here, MTUForward, 0},
		{"narrower way back, no datagrams", func(s *mtuSim) { s.back, s.noUDP = 1300, true }, 1300, []string{"3-4 1500>1337 silent", "5-6 1337>1300 silent"}, MTUBoth, 0},
		{"silent target", func(s *mtuSim) { s.noEcho, s.noUDP = true, true }, 1337, here, MTUForward, 0},
		{"silent target behind the hole", func(s *mtuSim) { s.noEcho, s.noUDP, s.links[3].mtu, s.links[5].mtu = true, true, 1500, 1337 }, 1500, []string{}, MTUForward, 0},
		{"forged", func(s *mtuSim) { s.liar = func(n int) (int, bool) { return 1280, n > 1280 } }, 1337, []string{"3-4 1500>1337 icmp_wrong"}, MTUForward, 0},
		{"forged for nothing", func(s *mtuSim) {
			s.links[3].mtu, s.liar = 1500, func(n int) (int, bool) { return 1280, n > 1280 }
		}, 1500, []string{}, MTUForward, 0},
		{"zero", func(s *mtuSim) { s.links[3] = mtuLink{1337, true, -1} }, 1337, []string{"3-4 1500>1337 icmp_wrong"}, MTUForward, 0},
		{"the size itself", func(s *mtuSim) { s.liar = func(n int) (int, bool) { return n, n > 1337 } }, 1337, []string{"3-4 1500>1337 icmp_wrong"}, MTUForward, 0},
		{"always one less", func(s *mtuSim) { s.liar = func(n int) (int, bool) { return n - 1, n > 100 } }, 1337, []string{"3-4 1500>1337 icmp"}, MTUForward, 0},
		{"nonsense", func(s *mtuSim) { s.liar = func(n int) (int, bool) { return 7, true } }, 1337, []string{"3-4 1500>1337 icmp_wrong"}, MTUForward, 0},
		{"less than allowed", func(s *mtuSim) { s.links[3] = mtuLink{mtu: 60} }, 60, []string{"3-4 1500>60 silent"}, MTUForward, 0},
		{"jumbo", func(s *mtuSim) {
			for i := range 3 {
				s.links[i].mtu = 9000
			}
			s.links[3] = mtuLink{mtu: 1500, told: true}
		}, 1500, []string{"3-4 9000>1500 icmp"}, MTUForward, 0},
	} {
		missed, worst, packets := 0, time.Duration(0), 0
		for seed := range uint64(200) {
			s := hole(seed)
			tt.bend(s)
			p, took := s.find(t, MTUOptions{})
			if worst, packets = max(worst, took), max(packets, p.Packets); p.MTU == tt.mtu && p.Exact && p.Scope == tt.scope && slices.Equal(tt.steps, stepWords(p)) {
				continue
			}
			if missed++; missed > tt.miss {
				t.Errorf("%s, seed %d: %d %v\n%+v", tt.name, seed, p.MTU, stepWords(p), p)
				break
			}
		}
		t.Logf("%s: at worst %v and %d packets", tt.name, worst, packets)
	}
}

// mtuBabble answers with whatever bytes say.
type mtuBabble struct {
	mtuSim
	data []byte
}

func (s *mtuBabble) send(id int, p mtuProbe) error {
	s.packets++
	if len(s.data) < 4 {
		return nil
	}
	b := s.data[:4]
	s.data = s.data[4:]
	a := mtuAnswer{id: id - int(b[0]>>4), kind: mtuKind(b[0] % 5), from: s.addr(int(b[1] % 8)), rtt: time.Duration(b[1]) * time.Millisecond}
	if a.kind == mtuTooBig {
		a.icmp = &ICMPError{From: a.from, MTU: int(b[2])<<8 | int(b[3])}
	}
	heap.Push(&s.queue, mtuSimEvent{s.now.Add(a.rtt), a})
	return nil
}

// Whatever comes back, the search ends, in time, with sizes that there are.
func FuzzMTUAnswers(f *testing.F) {
	f.Add([]byte{2, 1, 0, 0, 3, 1, 5, 120})
	f.Add([]byte{3, 9, 5, 119, 2, 3, 1, 1, 4, 1, 2, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &mtuBabble{mtuSim: *hole(1), data: data}
		o, err := MTUOptions{Patience: 5 * time.Second}.withDefaults(s.target())
		if err != nil {
			t.Fatal(err)
		}
		p := PathMTU{Target: s.target(), LocalMTU: 1500, Trace: MethodICMP}
		for i := range 6 {
			p.Hops = append(p.Hops, MTUHop{TTL: i + 1, From: s.addr(i + 1), Final: i == 5})
		}
		start := s.now
		search := newMTUSearch(o, &p, s, s.clock)
		if err := search.run(); err != nil {
			t.Fatal(err)
		}
		search.report()
		if took := s.now.Sub(start); took > 20*time.Second || s.packets > 2000 {
			t.Errorf("took %v and %d packets", took, s.packets)
		}
		for _, st := range p.Steps {
			if st.MTU < p.MTU || st.Before > 1500 || st.MTU >= st.Before || st.TTL >= st.Next {
				t.Errorf("%+v", st)
			}
		}
		if p.MTU > 1500 || p.MTU < 0 || p.Exact && p.MTU < search.small {
			t.Errorf("MTU %d", p.MTU)
		}
	})
}
