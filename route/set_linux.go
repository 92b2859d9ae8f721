package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

func change(ctx context.Context, op string, kind changeKind, r Route, o *Options) error {
	cfg := nl.Config{Family: unix.NETLINK_ROUTE}
	if o != nil {
		cfg.NetNS = o.NetNS
	}
	c, err := nl.Dial(cfg)
	if err != nil {
		return operr.New(op, r.Dst, err)
	}
	defer c.Close()
	return operr.New(op, r.Dst, r.change(ctx, c, kind))
}

func (r Route) change(ctx context.Context, c *nl.Conn, kind changeKind) error {
	names := nl.Names{Conn: c}
	if err := find(ctx, &names, r.Device, &r.OIF); err != nil {
		return err
	}
	r.NextHops = slices.Clone(r.NextHops)
	for i := range r.NextHops {
		if err := find(ctx, &names, r.NextHops[i].Device, &r.NextHops[i].OIF); err != nil {
			return err
		}
	}
	if len(r.NextHops) == 1 { // as List fills it in
		r.OIF = cmp.Or(r.OIF, r.NextHops[0].OIF)
		if !r.Gateway.IsValid() {
			r.Gateway = r.NextHops[0].Gateway
		}
	}
	body, err := r.encode(kind)
	if err != nil {
		return err
	}
	m := nl.Message{Type: unix.RTM_NEWROUTE, Flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, Body: body}
	switch kind {
	case changePrepend:
		m.Flags = unix.NLM_F_CREATE
	case changeReplace:
		m.Flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	case changeDelete:
		m.Type, m.Flags = unix.RTM_DELROUTE, 0
	}
	err = operr.Need(c.Change(ctx, m), "CAP_NET_ADMIN")
	if errors.Is(err, unix.ENODEV) || kind == changeDelete && errors.Is(err, unix.ESRCH) {
		return absent{err}
	}
	return err
}

// find fills in the index of an interface that is named.
func find(ctx context.Context, names *nl.Names, name string, index *int) error {
	if name == "" || *index != 0 {
		return nil
	}
	i, err := names.Index(ctx, name)
	if errors.Is(err, unix.ENODEV) {
		return absent{fmt.Errorf("interface %s: %w", name, err)}
	}
	*index = i
	return err
}
