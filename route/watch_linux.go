package route

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"reflect"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// watchBuffer is the default of WatchOptions.Buffer.
const watchBuffer = 4 << 20

// watcher is one Watch.
type watcher struct {
	completer
	o     WatchOptions
	ctx   context.Context // of the call that it lives in
	yield func(Event, error) bool
	ended bool // yield wants no more
	w     nl.Watch
	p     parser
	links map[int]iface // as last heard
	ways  []*nl.Table   // what depends on interfaces
	ways4 []*nl.Table   // what depends on IPv4 addresses
	hopUs []*nl.Table   // what depends on next hop objects
}

// iface is what routes and rules see of an interface.
type iface struct {
	flags uint32
	name  string
}

func watch(ctx context.Context, o *WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{ctx: ctx, yield: yield, links: map[int]iface{}}
		if o != nil {
			w.o = *o
		}
		w.names.NetNS, w.hops.netNS = w.o.NetNS, w.o.NetNS
		defer w.names.Close()
		w.prepare()
		if err := w.w.Run(ctx); !w.ended {
			yield(Event{}, operr.New("route: watch", nil, err))
		}
	}
}

func (w *watcher) emit(e Event) error {
	if !w.yield(e, nil) {
		w.ended = true
		return errStop
	}
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return nil
}

// prepare says which groups are heard and which tables are read.
func (w *watcher) prepare() {
	w.w = nl.Watch{
		NetNS: w.o.NetNS, Buffer: cmp.Or(w.o.Buffer, watchBuffer),
		Lost:   func() error { return w.emit(Event{Change: ChangeLost}) },
		Synced: func() error { return w.emit(Event{Change: ChangeSynced}) },
	}
	routes := w.o.Routes || !w.o.Rules && !w.o.Neighbors
	if routes || w.o.Rules {
		w.w.Groups = append(w.w.Groups, unix.RTNLGRP_LINK)
	}
	if w.o.Neighbors {
		w.w.Groups = append(w.w.Groups, unix.RTNLGRP_NEIGH)
	}
	if routes {
		w.w.Groups = append(w.w.Groups, unix.RTNLGRP_NEXTHOP)
	}
	for _, f := range w.o.Family.each() {
		v4 := f == FamilyIPv4
		if routes {
			t := w.routes(f)
			w.w.Tables = append(w.w.Tables, t)
			w.ways, w.hopUs = append(w.ways, t), append(w.hopUs, t)
			if v4 {
				w.ways4 = append(w.ways4, t)
				w.w.Groups = append(w.w.Groups, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_IFADDR)
			} else {
				w.w.Groups = append(w.w.Groups, unix.RTNLGRP_IPV6_ROUTE)
			}
		}
		if w.o.Rules {
			t := w.rules(f)
			w.w.Tables, w.ways = append(w.w.Tables, t), append(w.ways, t)
			w.w.Groups = append(w.w.Groups, map[bool]uint32{true: unix.RTNLGRP_IPV4_RULE, false: unix.RTNLGRP_IPV6_RULE}[v4])
		}
		if w.o.Neighbors {
			w.w.Tables = append(w.w.Tables, w.neighbors(f))
		}
	}
	// Before the tables hear of it, whose entries want names.
	hints := &nl.Table{Entry: w.hint, Begin: func() {}, End: func() error { return nil }}
	w.w.Tables = slices.Insert(w.w.Tables, 0, hints)
}

// hint hears of what changes tables without a notification.
func (w *watcher) hint(typ, _ uint16, body []byte, _ bool) (bool, error) {
	var suspects []*nl.Table
	switch typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(body) < unix.SizeofIfInfomsg || body[0] != unix.AF_UNSPEC {
			return false, nil
		}
		index, l := int(binary.NativeEndian.Uint32(body[4:])), iface{flags: binary.NativeEndian.Uint32(body[8:])}
		for it := nl.NewAttrs(body[unix.SizeofIfInfomsg:]); it.Next(); {
			if it.Type == unix.IFLA_IFNAME {
				l.name = nl.Text(it.Data)
			}
		}
		w.names.Learn(index, l.name)
		if known, ok := w.links[index]; ok && known == l && typ == unix.RTM_NEWLINK {
			return false, nil
		}
		if w.links[index] = l; typ == unix.RTM_DELLINK {
			delete(w.links, index)
		}
		suspects = w.ways
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		suspects = w.ways4
	case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		w.hops.byID = nil
		suspects = w.hopUs
	}
	for _, t := range suspects {
		w.w.Suspect(t)
	}
	return false, nil
}

// mirror makes the table of a copy.
func mirror[K comparable, V any](w *watcher, c *nl.Copy[K, V], f Family, ask nl.Message, added, deleted uint16) *nl.Table {
	t := &nl.Table{Dump: []nl.Message{ask}, Begin: c.Begin, End: c.End}
	t.Lacking = func(err error) bool {
		return w.o.Family.lacking(err) || w.o.Table != 0 && errors.Is(err, unix.ENOENT)
	}
	t.Entry = func(typ, flags uint16, body []byte, dump bool) (mine bool, err error) {
		doubt := false
		switch {
		case dump && typ == added:
			return true, c.Read(body)
		case dump:
		case len(body) == 0 || Family(body[0]) != f:
		case typ == added:
			mine, doubt, err = c.Added(body, flags&unix.NLM_F_REPLACE != 0)
		case typ == deleted:
			mine, doubt, err = c.Deleted(body)
		}
		if doubt {
			w.w.Suspect(t)
		}
		return mine, err
	}
	return t
}

// routeID is what a route is replaced by.
type routeID struct {
	dst, src      netip.Prefix
	table, metric uint32
	tos           uint8
}

func (w *watcher) routes(f Family) *nl.Table {
	o := Options{Family: f, Table: w.o.Table}
	c := &nl.Copy[routeID, Route]{
		Several: true,
		Parse: func(body []byte) (id routeID, r Route, ok bool, err error) {
			err = w.p.parse(body, &r)
			return routeID{r.Dst, r.Src, r.Table, r.Metric, r.TOS}, r, err == nil && o.wants(f, &r), err
		},
		Same:  func(a, b *Route) bool { return reflect.DeepEqual(a.settled(), b.settled()) },
		Match: func(a, b *Route) bool { return reflect.DeepEqual(a.settled().unflagged(), b.settled().unflagged()) },
		// Ways of IPv6 routes come one by one and make one route.
		Ambiguous: func(r *Route) bool {
			return f == FamilyIPv6 && (r.Gateway.IsValid() || r.NHID != 0 || len(r.NextHops) > 1)
		},
	}
	// The kernel dumps the ways of an IPv6 route as one, and leaves out what stands
	// between them.
	c.Hides = func(r *Route) bool { return f == FamilyIPv6 && len(r.NextHops) > 1 }
	ask := nl.Message{Type: unix.RTM_GETROUTE, Body: o.request(f)}
	c.Tell = func(old, new *Route) error {
		for _, route := range []*Route{old, new} {
			if route != nil {
				if err := w.complete(w.ctx, route); err != nil {
					return err
				}
			}
		}
		change, route, was := told(old, new)
		return w.emit(Event{Change: change, Route: route, OldRoute: was})
	}
	return mirror(w, c, f, ask, unix.RTM_NEWROUTE, unix.RTM_DELROUTE)
}

// told turns a pair of what was and what is into a change.
func told[V any](old, new *V) (Change, *V, *V) {
	switch {
	case old == nil:
		return ChangeAdded, new, nil
	case new == nil:
		return ChangeDeleted, old, nil
	}
	return ChangeChanged, new, old
}

// settled is a route without what moves by itself, and with the ways of IPv6,
// whose order is not the same everywhere, in order.
func (r *Route) settled() *Route {
	s := *r
	s.Expires, s.LastUse, s.Refs, s.Used = 0, 0, 0, 0
	if s.Family == FamilyIPv6 && len(s.NextHops) > 1 {
		s.NextHops = slices.Clone(s.NextHops)
		slices.SortFunc(s.NextHops, func(a, b NextHop) int {
			return cmp.Or(cmp.Compare(a.OIF, b.OIF), a.Gateway.Compare(b.Gateway))
		})
	}
	return &s
}

// unflagged is a route without flags, which say what became of its interfaces.
func (r *Route) unflagged() *Route {
	r.Flags, r.NextHops = 0, slices.Clone(r.NextHops)
	for i := range r.NextHops {
		r.NextHops[i].Flags = 0
	}
	return r
}

func (w *watcher) rules(f Family) *nl.Table {
	same := func(a, b *Rule) bool { return reflect.DeepEqual(a, b) }
	c := &nl.Copy[uint32, Rule]{
		Several: true, Same: same, Match: same,
		Parse: func(body []byte) (uint32, Rule, bool, error) {
			r, err := parseRule(body)
			return r.Priority, r, err == nil && r.Family == f, err
		},
		Tell: func(old, new *Rule) error {
			change, rule, was := told(old, new)
			return w.emit(Event{Change: change, Rule: rule, OldRule: was})
		},
	}
	ask := nl.Message{Type: unix.RTM_GETRULE, Body: append([]byte{byte(f)}, make([]byte, sizeofRuleHdr-1)...)}
	return mirror(w, c, f, ask, unix.RTM_NEWRULE, unix.RTM_DELRULE)
}

// neighborID is what a neighbour is found by.
type neighborID struct {
	addr  netip.Addr
	index int
}

func (w *watcher) neighbors(f Family) *nl.Table {
	c := &nl.Copy[neighborID, Neighbor]{
		Parse: func(body []byte) (neighborID, Neighbor, bool, error) {
			n, err := parseNeighbor(body)
			return neighborID{n.Addr, n.Index}, n, err == nil && n.Family == f && n.Flags&NeighborProxy == 0, err
		},
		Same: func(a, b *Neighbor) bool { return reflect.DeepEqual(a.settled(), b.settled()) },
	}
	c.Tell = func(old, new *Neighbor) (err error) {
		for _, n := range []*Neighbor{old, new} {
			if n != nil && err == nil {
				n.Device, err = w.names.Name(w.ctx, n.Index)
			}
		}
		if err != nil {
			return err
		}
		change, n, was := told(old, new)
		return w.emit(Event{Change: change, Neighbor: n, OldNeighbor: was})
	}
	body := append([]byte{byte(f)}, make([]byte, sizeofNdmsg-1)...)
	return mirror(w, c, f, nl.Message{Type: unix.RTM_GETNEIGH, Body: body}, unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH)
}

// settled is a neighbour without what moves by itself.
func (n *Neighbor) settled() *Neighbor {
	s := *n
	s.Confirmed, s.LastUsed, s.Updated, s.Refs, s.Probes = 0, 0, 0, 0, 0
	return &s
}
