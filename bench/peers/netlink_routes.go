package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/route"
)

const manyRoutes = 100_000

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
	// What of it is the kernel's: the same dump, received and thrown away.
	register("kernel-routes", func(args []string) (any, error) {
		body := make([]byte, unix.SizeofRtMsg)
		body[0] = unix.AF_INET
		m := nl.Message{Type: unix.RTM_GETROUTE, Body: nl.AppendU32(body, unix.RTA_TABLE, options.Table)}
		return timed(number(args[0]), func() (n int, err error) {
			err = nl.Dump(context.Background(), nl.Config{Family: unix.NETLINK_ROUTE}, m, func(uint16, []byte) error { n++; return nil })
			return n, err
		})
	})
	register("vishvananda-routes", func(args []string) (any, error) {
		return timed(number(args[0]), func() (int, error) {
			list, err := netlink.RouteList(nil, netlink.FAMILY_V4)
			return len(list), err
		})
	})
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
	kernel := s.median(host, "kernel-routes", "15").best()
	per := all.Mallocs / float64(all.Sockets)
	what := fmt.Sprintf("%d routes, iterated (best of 15)", all.Sockets)
	if all.Sockets < manyRoutes || vishvananda.Sockets < manyRoutes {
		s.Fatalf("%d and %d routes", all.Sockets, vishvananda.Sockets)
	}
	return table{
		{what, all.words(), fmt.Sprintf("ip -4 route %s; the kernel's part alone %s", ip.words(), kernel.words()), "≤ 0.35 × ip -4 route", ip.judge(all, 0.35)},
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
