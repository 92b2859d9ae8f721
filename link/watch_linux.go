package link

import (
	"cmp"
	"context"
	"iter"
	"net/netip"
	"reflect"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// watchBuffer is the default of WatchOptions.Buffer.
const watchBuffer = 1 << 20

// watcher is one Watch.
type watcher struct {
	ctx     context.Context // of the call that it lives in
	yield   func(Event, error) bool
	stopped bool
	names   map[int]string
}

func watch(ctx context.Context, o *WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if o == nil {
			o = &WatchOptions{}
		}
		w := &watcher{ctx: ctx, yield: yield, names: map[int]string{}}
		var nw nl.Watch
		links, addresses := w.links(nw.Suspect), w.addresses()
		nw = nl.Watch{
			NetNS: o.NetNS, Buffer: cmp.Or(o.Buffer, watchBuffer),
			Groups: []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR},
			Tables: []*nl.Table{links, addresses},
			Lost:   func() error { return w.emit(Event{Change: ChangeLost}) },
			Synced: func() error { return w.emit(Event{Change: ChangeSynced}) },
		}
		if err := nw.Run(ctx); !w.stopped {
			yield(Event{}, operr.New("link: watch", nil, err))
		}
	}
}

func (w *watcher) emit(e Event) error {
	if !w.yield(e, nil) {
		w.stopped = true
		return context.Canceled
	}
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return nil
}

// mirror makes the table of a copy; heard is called after a notification about it.
func mirror[K comparable, V any](c *nl.Copy[K, V], ask nl.Message, added, deleted uint16, heard func(*nl.Table)) *nl.Table {
	t := &nl.Table{Dump: []nl.Message{ask}, Begin: c.Begin, End: c.End, Lacking: func(error) bool { return false }}
	t.Entry = func(typ, _ uint16, body []byte, dump bool) (mine bool, err error) {
		switch {
		case dump && typ == added:
			return true, c.Read(body)
		case dump:
		case typ == added:
			mine, _, err = c.Added(body, true)
		case typ == deleted:
			mine, _, err = c.Deleted(body)
		}
		if mine && heard != nil {
			heard(t)
		}
		return mine, err
	}
	return t
}

// changeOf turns a pair of what was and what is into a change.
func changeOf[V any](old, new *V) (Change, *V, *V) {
	switch {
	case old == nil:
		return ChangeAdded, new, nil
	case new == nil:
		return ChangeDeleted, old, nil
	}
	return ChangeChanged, new, old
}

// links is the table of interfaces. Drivers change what they tell of an interface
// around the time that it is made or set up, without a further notification: the
// ends of a veth pair find each other. Hence suspect.
func (w *watcher) links(suspect func(*nl.Table)) *nl.Table {
	c := &nl.Copy[int, Link]{
		Parse: func(b []byte) (int, Link, bool, error) {
			// Bridges tell of their ports in messages of a family of their own.
			if len(b) > 0 && b[0] != unix.AF_UNSPEC {
				return 0, Link{}, false, nil
			}
			l, err := parseLink(b)
			l.unlikeDump()
			return l.Index, l, err == nil, err
		},
		Same: func(a, b *Link) bool { return reflect.DeepEqual(a.settled(), b.settled()) },
		Tell: func(old, new *Link) error {
			change, l, was := changeOf(old, new)
			w.names[l.Index] = l.Name
			err := w.emit(Event{Change: change, Index: l.Index, Name: l.Name, Link: l, OldLink: was})
			if change == ChangeDeleted {
				delete(w.names, l.Index)
			}
			return err
		},
	}
	var o *Options
	ask := nl.Message{Type: unix.RTM_GETLINK, Body: o.mask(make([]byte, unix.SizeofIfInfomsg))}
	return mirror(c, ask, unix.RTM_NEWLINK, unix.RTM_DELLINK, suspect)
}

// unlikeDump takes out what notifications have and dumps have not: why they
// were sent, and counters that dumps are asked to leave out.
func (l *Link) unlikeDump() {
	const event, inet6Stats, inet6ICMPStats = 44, 3, 6
	l.Unknown = without(l.Unknown, event)
	if l.IPv6 != nil {
		l.IPv6.Unknown = without(l.IPv6.Unknown, inet6Stats, inet6ICMPStats)
	}
}

func without(list []Attribute, types ...uint16) []Attribute {
	list = slices.DeleteFunc(list, func(a Attribute) bool { return slices.Contains(types, a.Type) })
	if len(list) == 0 {
		return nil
	}
	return list
}

// settled is an interface without what moves by itself.
func (l *Link) settled() *Link {
	s := *l
	s.Counters, s.Statistics = Counters{}, nil
	if s.IPv6 != nil {
		six := *s.IPv6
		six.Updated, six.Reachable = 0, 0
		s.IPv6 = &six
	}
	if s.Bridge != nil {
		b := *s.Bridge
		b.HelloTimer, b.TCNTimer, b.TopologyChangeTimer, b.GCTimer = 0, 0, 0, 0
		s.Bridge = &b
	}
	if s.BridgePort != nil {
		p := *s.BridgePort
		p.MessageAge, p.ForwardDelay, p.Hold = 0, 0, 0
		s.BridgePort = &p
	}
	return &s
}

// addressOf is an address with its interface.
type addressOf struct {
	index int
	Address
}

// addressID is what an address is found by.
type addressID struct {
	index        int
	prefix, peer netip.Prefix
}

func (w *watcher) addresses() *nl.Table {
	c := &nl.Copy[addressID, addressOf]{
		Parse: func(b []byte) (addressID, addressOf, bool, error) {
			index, a, err := parseAddress(b)
			return addressID{index, a.Prefix, a.Peer}, addressOf{index, a}, err == nil && a.Prefix.IsValid(), err
		},
		Same: func(a, b *addressOf) bool { return reflect.DeepEqual(a.settled(), b.settled()) },
		Tell: func(old, new *addressOf) error {
			change, a, was := changeOf(old, new)
			e := Event{Change: change, Index: a.index, Name: w.names[a.index], Address: &a.Address}
			if was != nil {
				e.OldAddress = &was.Address
			}
			return w.emit(e)
		},
	}
	ask := nl.Message{Type: unix.RTM_GETADDR, Body: make([]byte, unix.SizeofIfAddrmsg)}
	return mirror(c, ask, unix.RTM_NEWADDR, unix.RTM_DELADDR, nil)
}

// settled is an address without lifetimes that run down; when they are set anew,
// Updated tells.
func (a *addressOf) settled() addressOf {
	s := *a
	s.Valid, s.Preferred = min(s.Valid, 0), min(s.Preferred, 0)
	return s
}
