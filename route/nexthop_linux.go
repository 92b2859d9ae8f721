package route

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
)

// objects finds the ways behind next hop objects (`ip nexthop`, Linux 5.3) for
// routes whose message does not spell them out: with net.ipv4.nexthop_compat_mode
// at 0 it has only the identifier. The table is read once, when first needed.
type objects struct {
	netNS int
	byID  map[uint32]object
}

// object is a next hop, or a group of them.
type object struct {
	hop   NextHop
	group []member
}

type member struct {
	id     uint32
	weight int
}

// resolve fills in the ways of a route that has none.
func (t *objects) resolve(ctx context.Context, r *Route) error {
	if r.NHID == 0 || r.OIF != 0 || len(r.NextHops) != 1 || r.NextHops[0].OIF != 0 || r.Type != TypeUnicast {
		return nil
	}
	if t.byID == nil {
		if err := t.read(ctx); err != nil {
			return err
		}
	}
	o, ok := t.byID[r.NHID]
	if !ok {
		return nil // it went meanwhile
	}
	if o.group == nil {
		r.NextHops = []NextHop{o.hop}
		r.OIF, r.Gateway = o.hop.OIF, o.hop.Gateway
		return nil
	}
	r.NextHops = nil
	for _, m := range o.group {
		h := t.byID[m.id].hop
		h.Weight = m.weight
		r.NextHops = append(r.NextHops, h)
	}
	return nil
}

func (t *objects) read(ctx context.Context) error {
	t.byID = map[uint32]object{}
	cfg := nl.Config{Family: unix.NETLINK_ROUTE, NetNS: t.netNS, Restart: func() { clear(t.byID) }}
	err := nl.Dump(ctx, cfg, nl.Message{Type: unix.RTM_GETNEXTHOP, Body: make([]byte, sizeofNhmsg)},
		func(typ uint16, body []byte) error {
			if typ != unix.RTM_NEWNEXTHOP {
				return nil
			}
			id, o, err := parseObject(body)
			t.byID[id] = o
			return err
		})
	if errors.Is(err, nl.ErrInterrupted) {
		return nil // a way that is not found leaves the route as it came
	}
	return err
}

const sizeofNhmsg = 8

// parseObject reads a struct nhmsg and its attributes (linux/nexthop.h).
func parseObject(b []byte) (id uint32, o object, err error) {
	const nhaID, nhaGroup, nhaOIF, nhaGateway = 1, 2, 5, 6
	if len(b) < sizeofNhmsg {
		return 0, o, nl.ErrMalformed
	}
	o.hop = NextHop{Weight: 1, Flags: Flags(binary.NativeEndian.Uint32(b[4:]))}
	it := nl.NewAttrs(b[sizeofNhmsg:])
	for it.Next() {
		switch it.Type {
		case nhaID:
			nl.Set32(&id, it.Data)
		case nhaOIF:
			nl.Set32(&o.hop.OIF, it.Data)
		case nhaGateway:
			nl.SetAddr(&o.hop.Gateway, it.Data)
		case nhaGroup:
			o.group = parseGroup(it.Data)
		}
	}
	o.hop.Gateway = zoned(o.hop.Gateway, o.hop.OIF)
	return id, o, it.Err()
}

// parseGroup reads a run of struct nexthop_grp.
func parseGroup(b []byte) []member {
	group := []member{}
	for ; len(b) >= 8; b = b[8:] {
		// Linux 6.12 added an upper byte to the weight, which is one less than it says.
		weight := int(b[5])<<8 | int(b[4])
		group = append(group, member{binary.NativeEndian.Uint32(b), weight + 1})
	}
	return group
}
