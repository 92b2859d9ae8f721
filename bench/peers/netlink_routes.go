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
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/route"
)

const (
	manyRoutes   = 100_000
	dumps        = 10_000
	stayingAddrs = 600 // that stay, during the dumps
	changes      = 1_000_000
	prefixes     = 60_000 // that the changes are about
	stalled      = 5 * time.Second
	changeSeed   = 5
	routesBatch  = 128 // messages in one datagram
)

// dumped is what a child that dumps under churn reports.
type dumped struct {
	Dumps, Marked int
	Wrong, Silent int // contradict themselves; and are not marked
	Flagged       int // the kernel marked a message
	Changes       int64
	Took          time.Duration
}

// followed is what a child that watches reports.
type followed struct {
	Events, Lost, Synced int
	Mirror, Kernel       int // routes
	Equal                bool
	Error                string
}

func registerRoutes() {
	options := &route.Options{Family: route.FamilyIPv4, Table: 254}
	register("ours-routes", func(args []string) (any, error) {
		return timed(number(args[1]), func() (n int, err error) {
			if args[0] == "list" {
				list, err := route.List(context.Background(), options)
				return len(list), err
			}
			for _, err := range route.All(context.Background(), options) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		})
	})
	register("vishvananda-routes", func(args []string) (any, error) {
		return timed(number(args[0]), func() (int, error) {
			list, err := netlink.RouteList(nil, netlink.FAMILY_V4)
			return len(list), err
		})
	})
	register("ours-dumps", func([]string) (any, error) { return underChurn(oursDump) })
	register("mdlayher-dumps", func([]string) (any, error) {
		c, err := mdlayher.Dial(unix.NETLINK_ROUTE, nil)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return underChurn(func() (string, bool, bool, error) { return mdlayherDump(c) })
	})
	register("ours-route-watch", func([]string) (any, error) { return followRoutes() })
	register("vishvananda-route-watch", func([]string) (any, error) { return vishvanandaWatch() })
	register("change-routes", func(args []string) (any, error) { return nil, changeRoutes(number(args[0])) })
}

// oneHost is a host with one interface.
func (s *stage) oneHost(l *lab.Lab, name string) *lab.Host {
	host := l.Host(name)
	l.Connect(host.Port("eth0", "10.1.0.1/24"), l.Host("peer of "+name).Port("eth0"))
	return host
}

// compareRoutes is the table of lists of routes.
func compareRoutes(s *stage) (t table) {
	host := s.oneHost(lab.New(s), "host")
	c := host.Command("ip", "-batch", "-")
	var lines strings.Builder
	for i := range manyRoutes {
		fmt.Fprintf(&lines, "route add 20.%d.%d.%d/32 via 10.1.0.9 proto static metric 5\n", i>>16, i>>8&255, i&255)
	}
	c.Stdin = strings.NewReader(lines.String())
	if out, err := c.CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
	all := s.median(host, "ours-routes", "all", "15").best()
	ip := s.tool(host, 15, "ip", "-4", "route").best()
	vishvananda := s.median(host, "vishvananda-routes", "15").best()
	list := s.median(host, "ours-routes", "list", "15").best()
	per := all.Mallocs / float64(all.Sockets)
	what := fmt.Sprintf("%d routes, iterated (best of 15)", all.Sockets)
	if all.Sockets < manyRoutes || vishvananda.Sockets < manyRoutes {
		s.Fatalf("%d and %d routes", all.Sockets, vishvananda.Sockets)
	}
	return table{
		{what, all.words(), "ip -4 route " + ip.words(), "≤ 0.35 × ip -4 route", ip.judge(all, 0.35)},
		{"the same", all.words(), "vishvananda RouteList " + vishvananda.words(), "≤ 0.15 × vishvananda", judge(all.ms() <= 0.15*vishvananda.ms())},
		{"allocations a route", fmt.Sprintf("%.4f", per), fmt.Sprintf("vishvananda %.1f", vishvananda.Mallocs/float64(vishvananda.Sockets)), "≤ 0.01", judge(per <= 0.01)},
		{"the same as a slice", fmt.Sprintf("%s, %.0f allocations", list.words(), list.Mallocs), "ip -4 route " + ip.words(), "≤ 0.6 × ip -4 route", ip.judge(list, 0.6)},
	}
}

// best leaves the shortest time: what else runs on the machine only adds.
func (l listed) best() listed {
	if len(l.Times) > 0 {
		l.Times = []float64{slices.Min(l.Times)}
	}
	return l
}

// compareDumps is about dumps of addresses, which the kernel marks, while they change.
func compareDumps(s *stage) table {
	host := s.oneHost(lab.New(s), "host")
	var lines strings.Builder
	for i := range stayingAddrs {
		fmt.Fprintf(&lines, "addr add 10.200.%d.%d/32 dev eth0\n", i>>8, i&255)
	}
	c := host.Command("ip", "-batch", "-")
	c.Stdin = strings.NewReader(lines.String())
	if out, err := c.CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
	privileged := func(name string) (d dumped) {
		out, _ := s.process(host.ChildCommand(name, true))
		if err := json.Unmarshal(out, &d); err != nil {
			s.Fatalf("%s: %v: %s", name, err, out)
		}
		return d
	}
	ours, peer := privileged("ours-dumps"), privileged("mdlayher-dumps")
	words := func(d dumped) string {
		return fmt.Sprintf("%d inconsistent unmarked, %d marked, of %d (%d changes)", d.Silent, d.Marked, d.Dumps, d.Changes)
	}
	return table{{
		fmt.Sprintf("%d dumps under churn", dumps), words(ours), fmt.Sprintf("mdlayher: %s; the kernel marked %d", words(peer), peer.Flagged),
		"0 inconsistent unmarked", judge(ours.Silent == 0 && ours.Dumps == dumps && ours.Changes > dumps),
	}}
}

// moving is the network of the addresses that come and go: at each moment there
// is one, or that and the next.
var moving = netip.MustParsePrefix("10.201.0.0/16")

// underChurn dumps while another thread changes addresses as fast as it can, and
// holds each dump against what can have been there.
func underChurn(dump func() (finding string, marked, flagged bool, err error)) (d dumped, err error) {
	var stop atomic.Bool
	var n atomic.Int64
	done := make(chan error, 1)
	go func() { done <- moveAddresses(&stop, &n) }()
	for n.Load() == 0 && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	for range dumps {
		finding, marked, flagged, dumpErr := dump()
		if dumpErr != nil {
			err = dumpErr
			break
		}
		d.Dumps++
		wrong := finding != consistent
		if marked {
			d.Marked++
		}
		if flagged {
			d.Flagged++
		}
		if wrong {
			d.Wrong++
		}
		if wrong && !marked {
			d.Silent++
		}
	}
	d.Took = time.Since(start)
	stop.Store(true)
	d.Changes = n.Load()
	return d, errors.Join(err, <-done)
}

// consistent is what judgeAddresses returns of a dump that can have been.
const consistent = "ok"

// judgeAddresses says whether there can have been these addresses at one time.
func judgeAddresses(list []netip.Addr) string {
	stay := make([]byte, stayingAddrs)
	var move []int
	for _, a := range list {
		b := a.As4()
		switch {
		case b[0] == 10 && b[1] == 200:
			if i := int(b[2])<<8 | int(b[3]); i < stayingAddrs {
				stay[i]++
			}
		case moving.Contains(a):
			move = append(move, int(b[2])<<8|int(b[3]))
		}
	}
	for i, times := range stay {
		if times != 1 {
			return fmt.Sprintf("address %d seen %d times", i, times)
		}
	}
	switch {
	case len(move) == 1:
		return consistent
	case len(move) == 2 && ((move[0]+1)&0xffff == move[1] || (move[1]+1)&0xffff == move[0]):
		return consistent
	}
	return fmt.Sprint("moving: ", move)
}

func oursDump() (finding string, marked, flagged bool, err error) {
	links, err := link.List(context.Background(), nil)
	marked = errors.Is(err, link.ErrInterrupted)
	if err != nil && !marked {
		return "", false, false, err
	}
	var list []netip.Addr
	for _, l := range links {
		for _, a := range l.Addresses {
			if a.Prefix.Addr().Is4() {
				list = append(list, a.Prefix.Addr())
			}
		}
	}
	return judgeAddresses(list), marked, false, nil
}

// mdlayherDump asks with the library as its documentation has it. Nothing of what
// it returns says that a dump was interrupted but the flags of the messages.
func mdlayherDump(c *mdlayher.Conn) (finding string, marked, flagged bool, err error) {
	body := append([]byte{unix.AF_INET}, make([]byte, unix.SizeofIfAddrmsg-1)...)
	msgs, err := c.Execute(mdlayher.Message{
		Header: mdlayher.Header{Type: unix.RTM_GETADDR, Flags: mdlayher.Request | mdlayher.Dump}, Data: body,
	})
	if err != nil {
		return "", false, false, err
	}
	var list []netip.Addr
	for _, m := range msgs {
		flagged = flagged || m.Header.Flags&mdlayher.DumpInterrupted != 0
		for a := nl.NewAttrs(m.Data[unix.SizeofIfAddrmsg:]); a.Next(); {
			if addr, ok := nl.Addr(a.Data); a.Type == unix.IFA_LOCAL && ok {
				list = append(list, addr)
			}
		}
	}
	return judgeAddresses(list), false, flagged, nil
}

// moveAddresses adds one address after the other and takes the one before away,
// by turns on the interface that is dumped first and on the one that is last.
func moveAddresses(stop *atomic.Bool, n *atomic.Int64) error {
	var indexes [2]int
	for i, name := range []string{"lo", "eth0"} {
		l, err := link.Get(context.Background(), name, nil)
		if err != nil {
			return err
		}
		indexes[i] = l.Index
	}
	c, err := nl.Dial(nl.Config{Family: unix.NETLINK_ROUTE})
	if err != nil {
		return err
	}
	defer c.Close()
	message := func(typ, flags uint16, i int) nl.Message {
		b := make([]byte, unix.SizeofIfAddrmsg, 32)
		b[0], b[1] = unix.AF_INET, 32
		binary.NativeEndian.PutUint32(b[4:], uint32(indexes[i%2]))
		return nl.Message{Type: typ, Flags: flags, Body: nl.Append(b, unix.IFA_LOCAL, []byte{10, 201, byte(i >> 8), byte(i)})}
	}
	i := 0
	for ; !stop.Load(); i++ {
		if err := c.Change(context.Background(), message(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, i)); err != nil {
			return err
		}
		if i > 0 {
			if err := c.Change(context.Background(), message(unix.RTM_DELADDR, 0, i-1)); err != nil {
				return err
			}
		}
		n.Add(2)
	}
	return c.Change(context.Background(), message(unix.RTM_DELADDR, 0, i-1))
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
	c := host.ChildCommand(name, true)
	stdin, err := c.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); strings.TrimSpace(line) != "ready" {
		s.Fatalf("%s: %v", name, err)
	}
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
