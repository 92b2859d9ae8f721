package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// copied is what the events of a watch add up to.
type copied struct {
	mu     sync.Mutex
	has    map[string]string
	events map[Change]int
	wrong  []string
}

// lineOf tells a link or an address as far as it does not move by itself and the
// kernel notifies it: not the queueing discipline, the group, the mode, nor how many
// users want every frame, nor, while the interface is down, its alternative names, its
// alias and the settings of its kind.
func lineOf(index int, l *Link, a *Address) (key, line string) {
	var v any
	if l != nil {
		s := *l.settled()
		s.Addresses, s.Qdisc, s.Promiscuity, s.AllMulti, s.Group, s.LinkMode = nil, "", 0, 0, 0, 0
		s.CarrierChanges, s.CarrierUps, s.CarrierDowns = 0, 0, 0
		s.Bridge, s.BridgePort, s.IPv4, s.IPv6 = nil, nil, nil, nil
		s.AltNames, s.Alias, s.ProtoDown = nil, "", false
		key, v = fmt.Sprint("link ", index), s
	} else {
		s := (&addressOf{index, *a}).settled()
		key, v = fmt.Sprint("address ", index, a.Prefix, a.Peer), s.Address
	}
	b, err := json.Marshal(v)
	return key, fmt.Sprint(string(b), err)
}

func (m *copied) apply(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.events[e.Change]++; e.Link == nil && e.Address == nil {
		return
	}
	key, line := lineOf(e.Index, e.Link, e.Address)
	_, there := m.has[key]
	if there == (e.Change == ChangeAdded) || (e.Change == ChangeChanged) != (e.OldLink != nil || e.OldAddress != nil) {
		m.wrong = append(m.wrong, fmt.Sprint(e.Change, " ", key))
	}
	if e.Change == ChangeDeleted {
		delete(m.has, key)
	} else {
		m.has[key] = line
	}
}

func follow(t *testing.T, o *WatchOptions, each func(Event)) *copied {
	m := &copied{has: map[string]string{}, events: map[Change]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var last error
		for e, err := range Watch(ctx, o) {
			if last = err; err == nil {
				m.apply(e)
				each(e)
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

// agree waits until the mirror is what List says.
func agree(t *testing.T, h *lab.Host, m *copied, what string) {
	t.Helper()
	var diff string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		links, err := List(t.Context(), &Options{NetNS: h.NetNSFD()})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, l := range links {
			key, line := lineOf(l.Index, &l, nil)
			want[key] = line
			for _, a := range l.Addresses {
				key, line := lineOf(l.Index, nil, &a)
				want[key] = line
			}
		}
		m.mu.Lock()
		wrong := m.wrong
		diff = cmp.Diff(want, m.has)
		m.mu.Unlock()
		if len(wrong) > 0 {
			t.Fatalf("%s: the events contradict each other: %s", what, wrong)
		}
		if diff == "" {
			return
		}
	}
	t.Fatalf("%s: the mirror differs (-kernel +mirror):\n%s", what, diff)
}

func TestWatchAgainstList(t *testing.T) {
	needsIP(t)
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0", "10.1.0.1/24", "fd00:1::1/64"), l.Host("peer").Port("eth0"))
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 0)), ports: []string{"lo", "eth0"}}
	m := follow(t, &WatchOptions{NetNS: h.NetNSFD()}, func(Event) {})
	agree(t, h, m, "start")
	for i := range 60 {
		var batch strings.Builder
		for range 12 {
			fmt.Fprintln(&batch, c.command())
		}
		cmd := h.Command("ip", "-force", "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		cmd.Run() // what is refused is part of the game
		agree(t, h, m, fmt.Sprintf("set-up %d\n%s", i, &batch))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.Log(m.events)
	if m.events[ChangeDeleted] == 0 || m.events[ChangeChanged] == 0 || m.events[ChangeLost] != 0 {
		t.Error("not what was to be seen")
	}
}

// Addresses come and go until the kernel drops notifications.
func TestWatchLost(t *testing.T) {
	needsIP(t)
	l := lab.New(t)
	h := l.Host("h")
	l.Connect(h.Port("eth0"), l.Host("peer").Port("eth0"))
	stall, started := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m := follow(t, &WatchOptions{NetNS: h.NetNSFD(), Buffer: 1 << 13}, func(e Event) {
		if e.Change == ChangeSynced {
			once.Do(func() {
				close(started)
				<-stall
			})
		}
	})
	<-started
	var batch strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&batch, "addr add 10.7.%d.%d/32 dev eth0\n", i>>8, i&255)
		if i%3 > 0 {
			fmt.Fprintf(&batch, "addr del 10.7.%d.%d/32 dev eth0\n", i>>8, i&255)
		}
	}
	cmd := h.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	close(stall)
	agree(t, h, m, "after the storm")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.events[ChangeLost] == 0 {
		t.Error("the loss was not told")
	}
}
