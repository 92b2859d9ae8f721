package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/netsonde/netsonde/internal/lab"
)

// copied is what the events of a watch add up to.
type copied struct {
	mu     sync.Mutex
	has    map[string]int
	events map[Change]int
	wrong  []string
}

func newCopied() *copied { return &copied{has: map[string]int{}, events: map[Change]int{}} }

// identity is an entry as far as it does not move by itself.
func identity(e any) string {
	switch v := e.(type) {
	case *Route:
		r := v.settled()
		r.Device, r.NextHops = "", slices.Clone(r.NextHops) // the name may have changed
		for i := range r.NextHops {
			r.NextHops[i].Device = ""
		}
		e = r
	case *Neighbor:
		n := v.settled()
		n.Device, n.State = "", 0 // not every state is told
		e = n
	}
	b, err := json.Marshal(e)
	return fmt.Sprint(string(b), err)
}

func (m *copied) apply(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events[e.Change]++
	for _, p := range []struct {
		now, old any
		is, was  bool
	}{
		{e.Route, e.OldRoute, e.Route != nil, e.OldRoute != nil},
		{e.Rule, e.OldRule, e.Rule != nil, e.OldRule != nil},
		{e.Neighbor, e.OldNeighbor, e.Neighbor != nil && !untold(e.Neighbor), e.OldNeighbor != nil && !untold(e.OldNeighbor)},
	} {
		if p.was {
			m.count(identity(p.old), -1)
		}
		if p.is && e.Change == ChangeDeleted {
			m.count(identity(p.now), -1)
		} else if p.is {
			m.count(identity(p.now), 1)
		}
	}
}

// untold reports whether the kernel makes a neighbour without a notification,
// whenever something is sent to its address, such as a report of MLD.
func untold(n *Neighbor) bool {
	return n.State == NeighborNoARP && (n.Addr.IsMulticast() || n.Addr.IsUnspecified() || n.Addr.IsLoopback())
}

func (m *copied) count(key string, by int) {
	if m.has[key] += by; m.has[key] == 0 {
		delete(m.has, key)
	} else if n := m.has[key]; n < 0 || n > 1 {
		m.wrong = append(m.wrong, fmt.Sprint(n, " of ", key))
	}
}

func (m *copied) look() (has map[string]int, events map[Change]int, wrong []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.has), maps.Clone(m.events), m.wrong
}

// follow watches in the background until the test ends.
func follow(t *testing.T, o *WatchOptions, each func(Event)) *copied {
	m := newCopied()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var last error
		for e, err := range Watch(ctx, o) {
			if last = err; err == nil {
				m.apply(e)
				if each != nil {
					each(e)
				}
			}
		}
		done <- last
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return m
}

// agree waits until the mirror is what the lists say.
func agree(t *testing.T, h *lab.Host, m *copied, o *WatchOptions, what string) {
	t.Helper()
	var diff string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		want := map[string]int{}
		opts := &Options{NetNS: h.NetNSFD(), Family: o.Family, Table: o.Table}
		if o.Routes {
			routes, err := List(t.Context(), opts)
			if errors.Is(err, ErrInterrupted) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range routes {
				want[identity(&routes[i])]++
			}
		}
		if o.Rules {
			rules, err := Rules(t.Context(), &Options{NetNS: h.NetNSFD(), Family: o.Family})
			if errors.Is(err, ErrInterrupted) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range rules {
				want[identity(&rules[i])]++
			}
		}
		if o.Neighbors {
			list, err := Neighbors(t.Context(), &NeighborOptions{NetNS: h.NetNSFD(), Family: o.Family})
			if errors.Is(err, ErrInterrupted) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				if !untold(&list[i]) {
					want[identity(&list[i])]++
				}
			}
		}
		got, events, wrong := m.look()
		if len(wrong) > 0 {
			t.Fatalf("%s: the events contradict each other: %s", what, wrong)
		}
		if diff = cmp.Diff(want, got, cmpopts.EquateEmpty()); diff == "" && events[ChangeSynced] > 0 {
			return
		}
	}
	t.Fatalf("%s: the mirror differs (-kernel +mirror):\n%s", what, diff)
}

func TestWatchAgainstLists(t *testing.T) {
	needsIP(t)
	h := three(t)
	batch(h, nextHops)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 0))}
	o := &WatchOptions{NetNS: h.NetNSFD(), Routes: true, Rules: true}
	m := follow(t, o, nil)
	agree(t, h, m, o, "start")
	for i := range 100 {
		var s strings.Builder
		for range 15 {
			fmt.Fprintln(&s, c.command())
		}
		// What takes routes along without saying so.
		dev := c.dev()
		fmt.Fprintln(&s, c.pick("link set "+dev+" down", "link set "+dev+" up", "addr del 10.1.0.1/24 dev eth0", "addr add 10.1.0.1/24 dev eth0", "nexthop del id 1",
			"nexthop replace id 2 via 10.2.0.77 dev eth1", "route replace 10.100.0.0/16 via 10.1.0.8", "-6 route replace fd10::/16 via fd00:1::8", "-6 route append fd10::/16 via fd00:2::8",
			"-6 route del fd10::/16 via fd00:1::8", "link set "+dev+" name eth9", "link set eth9 name "+dev))
		batch(h, s.String())
		agree(t, h, m, o, fmt.Sprintf("set-up %d\n%s", i, &s))
	}
	_, events, _ := m.look()
	t.Log(events)
}

// A reader that is so late that the kernel drops notifications hears of it, and
// ends up with what the kernel has.
func TestWatchLost(t *testing.T) {
	h := three(t)
	index := 0
	if l, err := h.Netlink().LinkByName("eth0"); err == nil {
		index = l.Attrs().Index
	}
	stall, started := make(chan struct{}), make(chan struct{})
	o := &WatchOptions{NetNS: h.NetNSFD(), Routes: true, Family: FamilyIPv4, Buffer: 1 << 14}
	var once sync.Once
	m := follow(t, o, func(e Event) {
		if e.Change == ChangeSynced {
			once.Do(func() {
				close(started)
				<-stall
			})
		}
	})
	<-started
	rng := rand.New(rand.NewPCG(1, 2))
	there := map[[2]byte]*netlink.Route{}
	for range 50_000 {
		k := [2]byte{byte(rng.IntN(40)), byte(rng.IntN(256))}
		var err error
		if r := there[k]; r != nil {
			err = h.Netlink().RouteDel(r)
			delete(there, k)
		} else {
			there[k] = routeTo([4]byte{20, k[0], k[1], 0}, index)
			err = h.Netlink().RouteAdd(there[k])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stall)
	agree(t, h, m, o, "after the storm")
	_, events, _ := m.look()
	t.Log(events)
	if events[ChangeLost] == 0 || events[ChangeSynced] <= events[ChangeLost]-1 {
		t.Errorf("the loss was not told: %v", events)
	}
}

func TestWatchNeighbors(t *testing.T) {
	needsIP(t)
	h := three(t)
	o := &WatchOptions{NetNS: h.NetNSFD(), Neighbors: true}
	m := follow(t, o, nil)
	agree(t, h, m, o, "start")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	there := map[string]bool{} // ip ends with the first that cannot be deleted
	for i := range 20 {
		var s strings.Builder
		for range 40 {
			six, entry := "", fmt.Sprintf("10.%d.0.%d", 1+rng.IntN(3), 2+rng.IntN(20))
			if rng.IntN(2) == 0 {
				six, entry = "-6 ", fmt.Sprintf("fd00:%d::%x", 1+rng.IntN(3), 2+rng.IntN(20))
			}
			entry += fmt.Sprintf(" dev eth%d", rng.IntN(3))
			if there[entry] && rng.IntN(3) == 0 {
				fmt.Fprintf(&s, "%sneigh del %s\n", six, entry)
				delete(there, entry)
				continue
			}
			fmt.Fprintf(&s, "%sneigh replace %s lladdr 02:00:00:00:00:%02x nud %s\n", six, entry, rng.IntN(9), []string{"permanent", "stale", "noarp"}[rng.IntN(3)])
			there[entry] = true
		}
		if refused := batch(h, s.String()); refused != "" {
			t.Fatal(refused)
		}
		agree(t, h, m, o, fmt.Sprintf("set-up %d\n%s", i, &s))
	}
	_, events, _ := m.look()
	t.Log(events)
	if events[ChangeChanged] == 0 || events[ChangeDeleted] == 0 {
		t.Error("nothing was changed or deleted")
	}
}

// What the kernel makes without a notification does no harm to a mirror: it is told
// when the table is read, or not at all.
func TestWatchUntoldNeighbors(t *testing.T) {
	needsIP(t)
	h := three(t)
	o := &WatchOptions{NetNS: h.NetNSFD(), Neighbors: true, Family: FamilyIPv4}
	var mu sync.Mutex
	has, wrong := map[netip.Addr]bool{}, []string{}
	m := follow(t, o, func(e Event) {
		if e.Neighbor == nil || !e.Neighbor.Addr.IsMulticast() {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if is := e.Change != ChangeDeleted; e.Change != ChangeChanged && has[e.Neighbor.Addr] == is {
			wrong = append(wrong, fmt.Sprint(e.Change, " ", e.Neighbor.Addr))
		}
		has[e.Neighbor.Addr] = e.Change != ChangeDeleted
	})
	agree(t, h, m, o, "start")
	groups := map[netip.Addr]bool{}
	for i := range 20 {
		group := netip.AddrFrom4([4]byte{239, 1, 0, byte(i)})
		groups[group] = true
		err := h.Do(func() error {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 1, 0, 1)})
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(group, 9))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := Neighbors(t.Context(), &NeighborOptions{NetNS: h.NetNSFD(), Family: FamilyIPv4})
	if err != nil && !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	for i := range list {
		if untold(&list[i]) {
			delete(groups, list[i].Addr)
		}
	}
	if len(groups) > 0 {
		t.Fatalf("the kernel made no entries of %v", slices.Collect(maps.Keys(groups)))
	}
	for i := range 3 {
		batch(h, "-0 link set eth0 down\n-0 link set eth0 up\nneigh replace 10.1.0.77 lladdr 02:00:00:00:00:01 nud permanent dev eth0")
		agree(t, h, m, o, fmt.Sprint("after down ", i))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(wrong) > 0 {
		t.Errorf("added twice, or deleted without having been there: %s", wrong)
	}
}

func TestWatchEnds(t *testing.T) {
	n := 0
	for e, err := range Watch(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; e.Change == ChangeSynced {
			break
		}
	}
	if n < 2 {
		t.Errorf("%d events", n)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var last error
	for e, err := range Watch(ctx, nil) {
		if last = err; e.Change == ChangeSynced {
			time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		}
	}
	if !errors.Is(last, cause) {
		t.Errorf("ended with %v", last)
	}
}

func BenchmarkWatch10k(b *testing.B) {
	h := thousands(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		for e, err := range Watch(b.Context(), &WatchOptions{NetNS: h.NetNSFD(), Family: FamilyIPv4}) {
			if err != nil {
				b.Fatal(err)
			}
			if e.Change == ChangeSynced {
				break
			}
		}
	}
}
