package route

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// each returns the families to ask for. Both at once would bring other families'
// routes too.
func (f Family) each() []Family {
	if f == FamilyAny {
		return []Family{FamilyIPv4, FamilyIPv6}
	}
	return []Family{f}
}

// lacking reports whether an error says that the kernel has no such family or
// nothing of the kind in it, where both were asked for.
func (f Family) lacking(err error) bool {
	return f == FamilyAny && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT))
}

// request returns the body of a strict RTM_GETROUTE.
func (o *Options) request(f Family) []byte {
	b := make([]byte, unix.SizeofRtMsg, 32)
	b[0], b[5], b[7] = byte(f), byte(o.Protocol), byte(o.Type)
	if o.Exceptions {
		binary.NativeEndian.PutUint32(b[8:], uint32(FlagCloned))
	}
	if o.Table != 0 {
		b = nl.AppendU32(b, unix.RTA_TABLE, o.Table)
	}
	if o.OIF != 0 {
		b = nl.AppendU32(b, unix.RTA_OIF, uint32(o.OIF))
	}
	return b
}

// wants is the same filter once more, for kernels before 4.20, and for families
// that the kernel adds when the one asked for is not compiled in.
func (o *Options) wants(f Family, r *Route) bool {
	return r.Family == f &&
		(o.Table == 0 || o.Table == r.Table) &&
		(o.Protocol == 0 || o.Protocol == r.Protocol) &&
		(o.Type == 0 || o.Type == r.Type) &&
		(o.OIF == 0 || slices.ContainsFunc(r.NextHops, func(h NextHop) bool { return h.OIF == o.OIF })) &&
		o.Exceptions == (r.Flags&FlagCloned != 0)
}

// completer finds what belongs to a route and is not in its message.
type completer struct {
	names nl.Names
	hops  objects
}

// reader reads routes.
type reader struct {
	completer
	o Options
	c *nl.Conn
	p parser
}

func open(o *Options, tries int, guard ...uint32) (*reader, error) {
	r := &reader{}
	if o != nil {
		r.o = *o
	}
	c, err := nl.Dial(nl.Config{Family: unix.NETLINK_ROUTE, NetNS: r.o.NetNS, Tries: tries, Guard: guard, Ahead: true})
	if err != nil {
		return nil, err
	}
	r.c = c
	r.names.NetNS, r.names.Conn = r.o.NetNS, c
	r.hops.netNS = r.o.NetNS
	return r, nil
}

func (r *reader) close() {
	r.names.Close()
	r.c.Close()
}

// dump calls fn with every route that is asked for, still without names.
func (r *reader) dump(ctx context.Context, f Family, fn func(*Route) error) error {
	m := nl.Message{Type: unix.RTM_GETROUTE, Body: r.o.request(f)}
	var route Route
	err := r.c.Dump(ctx, m, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWROUTE {
			return nil
		}
		route = Route{}
		if err := r.p.parse(body, &route); err != nil {
			return err
		}
		if !r.o.wants(f, &route) {
			return nil
		}
		return fn(&route)
	})
	if r.o.Table != 0 && errors.Is(err, unix.ENOENT) {
		return nil // "FIB table does not exist"
	}
	if r.o.Family.lacking(err) {
		return nil
	}
	return err
}

// complete adds what the route's message does not tell.
func (r *completer) complete(ctx context.Context, route *Route) (err error) {
	if err := r.hops.resolve(ctx, route); err != nil {
		return err
	}
	if route.Device, err = r.names.Name(ctx, route.OIF); err != nil {
		return err
	}
	for i := range route.NextHops {
		h := &route.NextHops[i]
		if h.Device, err = r.names.Name(ctx, h.OIF); err != nil {
			return err
		}
	}
	return nil
}

// routeGroups tell of changes to routing tables, which kernels do not mark, some of
// them by what becomes of an interface.
var routeGroups = []uint32{unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_LINK}

// listTries is how often an interrupted table is read.
const listTries = 4

func list(ctx context.Context, o *Options) ([]Route, error) {
	const op = "route: list"
	r, err := open(o, 1, routeGroups...)
	if err != nil {
		return nil, operr.New(op, nil, err)
	}
	defer r.close()
	var parts [][]Route
	interrupted := false
	for _, f := range r.o.Family.each() {
		var p [][]Route
		for range listTries {
			p, err = r.collect(ctx, f)
			if !errors.Is(err, nl.ErrInterrupted) {
				break
			}
		}
		parts = append(parts, p...)
		switch {
		case errors.Is(err, nl.ErrInterrupted):
			interrupted = true
		case err != nil:
			return nil, operr.New(op, nil, err)
		}
	}
	routes := slices.Concat(parts...)
	for i := range routes {
		if err := r.complete(ctx, &routes[i]); err != nil {
			return nil, operr.New(op, nil, err)
		}
	}
	if interrupted {
		return routes, operr.New(op, nil, nl.ErrInterrupted)
	}
	return routes, nil
}

// collect returns the routes of a family in parts: a slice that grows would copy
// a long table over and over.
func (r *reader) collect(ctx context.Context, f Family) ([][]Route, error) {
	const part = 4096
	var full [][]Route
	var last []Route
	err := r.dump(ctx, f, func(route *Route) error {
		if len(last) >= part {
			full, last = append(full, last), make([]Route, 0, part)
		}
		last = append(last, *route)
		return nil
	})
	return append(full, last), err
}

// errStop ends a dump that nobody wants to read on.
var errStop = errors.New("stop")

func all(ctx context.Context, o *Options) iter.Seq2[Route, error] {
	const op = "route: list"
	return func(yield func(Route, error) bool) {
		r, err := open(o, 1, routeGroups...)
		if err != nil {
			yield(Route{}, operr.New(op, nil, err))
			return
		}
		defer r.close()
		r.names.Conn = nil // names are asked for while a dump is running
		stopped := false   // what the dump returns then may be the end of ctx
		for _, f := range r.o.Family.each() {
			err := r.dump(ctx, f, func(route *Route) error {
				if err := r.complete(ctx, route); err != nil {
					return err
				}
				if !yield(*route, nil) {
					stopped = true
					return errStop
				}
				return nil
			})
			if stopped {
				return
			}
			if err != nil {
				yield(Route{}, operr.New(op, nil, err))
				return
			}
		}
	}
}

// collection is how one kind of table is read.
type collection[T any] struct {
	op     string
	netNS  int
	family Family
	guard  []uint32 // groups that tell of changes
	heeds  func(typ uint16, start []byte) bool
	ask    func(Family) nl.Message
	parse  func(f Family, typ uint16, body []byte) (T, bool, error)
}

// collect dumps it, for the families asked for, in one slice.
func (t *collection[T]) collect(ctx context.Context) ([]T, error) {
	var items []T
	start := 0
	c, err := nl.Dial(nl.Config{
		Family: unix.NETLINK_ROUTE, NetNS: t.netNS, Tries: listTries, Guard: t.guard, Heeds: t.heeds,
		Restart: func() { items = items[:start] },
	})
	if err != nil {
		return nil, operr.New(t.op, nil, err)
	}
	defer c.Close()
	interrupted := false
	for _, f := range t.family.each() {
		start = len(items)
		err := c.Dump(ctx, t.ask(f), func(typ uint16, body []byte) error {
			item, ok, err := t.parse(f, typ, body)
			if ok {
				items = append(items, item)
			}
			return err
		})
		switch {
		case errors.Is(err, nl.ErrInterrupted):
			interrupted = true
		case err != nil && !t.family.lacking(err):
			return nil, operr.New(t.op, nil, err)
		}
	}
	if interrupted {
		return items, operr.New(t.op, nil, nl.ErrInterrupted)
	}
	return items, nil
}

// ruleGroups tell of changes to rules, and of interfaces, by which rules are
// detached without a word.
var ruleGroups = []uint32{unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_LINK}

func rules(ctx context.Context, o *Options) ([]Rule, error) {
	if o == nil {
		o = &Options{}
	}
	t := &collection[Rule]{op: "route: rules", netNS: o.NetNS, family: o.Family, guard: ruleGroups}
	t.ask = func(f Family) nl.Message {
		return nl.Message{Type: unix.RTM_GETRULE, Body: append([]byte{byte(f)}, make([]byte, sizeofRuleHdr-1)...)}
	}
	t.parse = func(f Family, typ uint16, body []byte) (Rule, bool, error) {
		r, err := parseRule(body)
		return r, typ == unix.RTM_NEWRULE && r.Family == f && (o.Table == 0 || o.Table == r.Table), err
	}
	list, err := t.collect(ctx)
	slices.SortStableFunc(list, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Priority, b.Priority))
	})
	return list, err
}

func neighbors(ctx context.Context, o *NeighborOptions) ([]Neighbor, error) {
	const op = "route: neighbors"
	if o == nil {
		o = &NeighborOptions{}
	}
	t := &collection[Neighbor]{op: op, netNS: o.NetNS, family: o.Family, guard: []uint32{unix.RTNLGRP_NEIGH}}
	// The forwarding entries of bridges are told to the same group.
	t.heeds = func(_ uint16, start []byte) bool {
		return len(start) == 0 || slices.Contains(o.Family.each(), Family(start[0]))
	}
	t.ask = func(f Family) nl.Message {
		b := make([]byte, sizeofNdmsg, 32)
		b[0] = byte(f)
		if o.Proxies {
			b[10] = byte(NeighborProxy)
		} else if o.OIF != 0 { // proxies are not filtered by the kernel
			b = nl.AppendU32(b, unix.NDA_IFINDEX, uint32(o.OIF))
		}
		return nl.Message{Type: unix.RTM_GETNEIGH, Body: b}
	}
	t.parse = func(f Family, typ uint16, body []byte) (Neighbor, bool, error) {
		n, err := parseNeighbor(body)
		proxy := n.Flags&NeighborProxy != 0
		return n, typ == unix.RTM_NEWNEIGH && n.Family == f && proxy == o.Proxies && (o.OIF == 0 || o.OIF == n.Index), err
	}
	list, err := t.collect(ctx)
	names := nl.Names{NetNS: o.NetNS}
	defer names.Close()
	for i := range list {
		name, nameErr := names.Name(ctx, list[i].Index)
		if nameErr != nil {
			return nil, operr.New(op, nil, nameErr)
		}
		list[i].Device = name
	}
	return list, err
}
