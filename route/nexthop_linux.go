package route

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// objects finds the ways behind next hop objects for routes whose message does
// not spell them out: with net.ipv4.nexthop_compat_mode at 0 it has only the
// identifier. The table is read once, when first needed.
type objects struct {
	netNS int
	byID  map[uint32]NextHopObject
}

// resolve fills in the ways of a route that has none.
func (t *objects) resolve(ctx context.Context, r *Route) error {
	if r.NHID == 0 || r.OIF != 0 || len(r.NextHops) != 1 || r.NextHops[0].OIF != 0 || r.Type != TypeUnicast {
		return nil
	}
	if t.byID == nil {
		list, err := readObjects(ctx, t.netNS)
		if err != nil && !errors.Is(err, nl.ErrInterrupted) { // a way that is not found leaves the route as it came
			return err
		}
		t.byID = map[uint32]NextHopObject{}
		for _, o := range list {
			t.byID[o.ID] = o
		}
	}
	o, ok := t.byID[r.NHID]
	if !ok {
		return nil // it went meanwhile
	}
	if o.Group == nil {
		r.NextHops = []NextHop{o.way(1)}
		r.OIF, r.Gateway, r.Encap = o.OIF, o.Gateway, o.Encap
		return nil
	}
	r.NextHops = nil
	for _, m := range o.Group {
		member := t.byID[m.ID]
		r.NextHops = append(r.NextHops, member.way(m.Weight))
	}
	return nil
}

func (o *NextHopObject) way(weight int) NextHop {
	return NextHop{Gateway: o.Gateway, OIF: o.OIF, Encap: o.Encap, Weight: weight, Flags: o.Flags}
}

func readObjects(ctx context.Context, netNS int) ([]NextHopObject, error) {
	var list []NextHopObject
	cfg := nl.Config{Family: unix.NETLINK_ROUTE, NetNS: netNS, Guard: []uint32{unix.RTNLGRP_NEXTHOP}, Restart: func() { list = nil }}
	err := nl.Dump(ctx, cfg, nl.Message{Type: unix.RTM_GETNEXTHOP, Body: make([]byte, sizeofNhmsg)},
		func(typ uint16, body []byte) error {
			if typ != unix.RTM_NEWNEXTHOP {
				return nil
			}
			o, err := parseObject(body)
			list = append(list, o)
			return err
		})
	return list, err
}

func nextHopObjects(ctx context.Context, o *Options) ([]NextHopObject, error) {
	const op = "route: next hop objects"
	if o == nil {
		o = &Options{}
	}
	list, err := readObjects(ctx, o.NetNS)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil, nil
	case err != nil && !errors.Is(err, nl.ErrInterrupted):
		return nil, operr.New(op, nil, err)
	}
	names := nl.Names{NetNS: o.NetNS}
	defer names.Close()
	for i := range list {
		name, nameErr := names.Name(ctx, list[i].OIF)
		if nameErr != nil {
			return nil, operr.New(op, nil, nameErr)
		}
		list[i].Device = name
	}
	return list, operr.New(op, nil, err)
}
