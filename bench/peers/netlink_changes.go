package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/route"
)

const (
	changes     = 1_000_000
	prefixes    = 60_000 // that the changes are about
	stalled     = 5 * time.Second
	changeSeed  = 5
	routesBatch = 128 // messages in one datagram
)

// followed is what a child that watches reports.
type followed struct {
	Events, Lost, Synced int
	Mirror, Kernel       int // routes
	Equal                bool
	Error                string
}

func registerChanges() {
	register("ours-route-watch", func([]string) (any, error) { return followRoutes() })
	register("vishvananda-route-watch", func([]string) (any, error) { return vishvanandaWatch() })
	register("change-routes", func(args []string) (any, error) { return nil, changeRoutes(number(args[0])) })
}

// compareChanges has three watches, each of which stalls when the changes begin.
func compareChanges(s *stage) (t table) {
	l := lab.New(s)
	figure := fmt.Sprintf("%d route changes, reader stalled %v", changes, stalled)
	var ours followed
	s.watched(l, &ours, "ours-route-watch")
	var vishvananda followed
	s.watched(l, &vishvananda, "vishvananda-route-watch")
	monitor := s.monitored(l)
	return append(t, row{
		figure,
		fmt.Sprintf("mirror of %d routes, kernel %d, equal %v; %d gaps told", ours.Mirror, ours.Kernel, ours.Equal, ours.Lost),
		fmt.Sprintf("ip monitor tells %d changes; vishvananda: mirror of %d routes, kernel %d, %s", monitor, vishvananda.Mirror, vishvananda.Kernel, vishvananda.Error),
		"equal, every gap told", judge(ours.Equal && ours.Lost > 0 && ours.Synced > ours.Lost && ours.Error == ""),
	})
}

// watched runs a child that watches on a host of its own, and the storm beside it.
func (s *stage) watched(l *lab.Lab, report any, name string) {
	host := s.oneHost(l, name)
	c, r, stdin := s.started(host.ChildCommand(name, true))
	s.process(host.ChildCommand("change-routes", true, fmt.Sprint(changes)))
	stdin.Close()
	if err := json.NewDecoder(r).Decode(report); err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	if err := c.Wait(); err != nil {
		s.Fatalf("%s: %v", name, err)
	}
}

// monitored counts the lines of ip monitor, which are read late.
func (s *stage) monitored(l *lab.Lab) (lines int) {
	if !has("ip") {
		return 0
	}
	host := s.oneHost(l, "monitored")
	c := host.Command("ip", "-4", "monitor", "route")
	stdout, err := c.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	s.process(host.ChildCommand("change-routes", true, fmt.Sprint(changes)))
	time.Sleep(stalled - time.Since(start))
	stop := time.AfterFunc(5*time.Second, func() { c.Process.Kill() })
	defer stop.Stop()
	for scan := bufio.NewScanner(stdout); scan.Scan(); lines++ {
	}
	_ = c.Wait() // killed
	return lines
}

// changeRoutes adds and deletes routes at random.
func changeRoutes(n int) error {
	eth0, err := link.Get(context.Background(), "eth0", nil)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	rng := rand.New(rand.NewPCG(changeSeed, 0))
	there := make([]bool, prefixes)
	var b []byte
	for i := range n {
		k := rng.IntN(prefixes)
		typ, flags := uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
		if there[k] {
			typ, flags = unix.RTM_DELROUTE, unix.NLM_F_REQUEST
		}
		there[k] = !there[k]
		at := len(b)
		b = append(b, make([]byte, unix.SizeofNlMsghdr)...)
		b = append(b, unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST, 0, 0, 0, 0)
		b = nl.Append(b, unix.RTA_DST, []byte{20, byte(k >> 16), byte(k >> 8), byte(k)})
		b = nl.Append(b, unix.RTA_GATEWAY, []byte{10, 1, 0, 9})
		b = nl.AppendU32(b, unix.RTA_OIF, uint32(eth0.Index))
		binary.NativeEndian.PutUint32(b[at:], uint32(len(b)-at))
		binary.NativeEndian.PutUint16(b[at+4:], typ)
		binary.NativeEndian.PutUint16(b[at+6:], flags)
		if i%routesBatch == routesBatch-1 || i == n-1 {
			if err := unix.Send(fd, b, 0); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return nil
}

// key is a route of the main table for a mirror.
type key struct {
	dst    netip.Prefix
	metric uint32
	table  uint32
	gw     netip.Addr
	typ    route.Type
}

func keyOf(r *route.Route) key { return key{r.Dst, r.Metric, r.Table, r.Gateway, r.Type} }

// ended is closed when the storm is over.
func ended() <-chan struct{} {
	c := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(c)
	}()
	return c
}

func followRoutes() (f followed, err error) {
	over := ended()
	mirror := map[key]bool{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := &route.Options{Family: route.FamilyIPv4}
	var idle *time.Timer
	for e, err := range route.Watch(ctx, &route.WatchOptions{Family: route.FamilyIPv4}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				return f, err
			}
			break
		}
		f.Events++
		switch e.Change {
		case route.ChangeAdded:
			mirror[keyOf(e.Route)] = true
		case route.ChangeDeleted:
			delete(mirror, keyOf(e.Route))
		case route.ChangeChanged:
			delete(mirror, keyOf(e.OldRoute))
			mirror[keyOf(e.Route)] = true
		case route.ChangeLost:
			f.Lost++
		case route.ChangeSynced:
			if f.Synced++; f.Synced == 1 {
				fmt.Println("ready")
				time.Sleep(stalled)
				<-over
				idle = time.AfterFunc(2*time.Second, cancel) // after the last event
			}
		}
		if idle != nil {
			idle.Reset(2 * time.Second)
		}
	}
	list, err := route.List(context.Background(), o)
	f.Mirror, f.Kernel, f.Equal = len(mirror), len(list), len(mirror) == len(list)
	for i := range list {
		f.Equal = f.Equal && mirror[keyOf(&list[i])]
	}
	return f, err
}

func vishvanandaWatch() (f followed, err error) {
	over := ended()
	updates, done := make(chan netlink.RouteUpdate), make(chan struct{})
	defer close(done)
	var told atomic.Value
	told.Store("no error told")
	err = netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{
		ListExisting:  true,
		ErrorCallback: func(err error) { told.Store(fmt.Sprintf("ends with %q", err)) },
	})
	if err != nil {
		return f, err
	}
	mirror := map[string]bool{}
	take := func(quiet time.Duration) {
		for {
			select {
			case u, ok := <-updates:
				if !ok {
					return
				}
				f.Events++
				if u.Family != unix.AF_INET || u.Dst == nil {
					continue
				}
				if k := fmt.Sprint(u.Dst, u.Priority, u.Table, u.Gw, u.Route.Type); u.Type == unix.RTM_NEWROUTE {
					mirror[k] = true
				} else {
					delete(mirror, k)
				}
			case <-time.After(quiet):
				return
			}
		}
	}
	take(500 * time.Millisecond)
	fmt.Println("ready")
	time.Sleep(stalled)
	<-over
	take(2 * time.Second)
	list, err := route.List(context.Background(), &route.Options{Family: route.FamilyIPv4})
	f.Mirror, f.Kernel, f.Error = len(mirror), len(list), told.Load().(string)
	return f, err
}
