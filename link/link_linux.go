package link

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// tries is how often the two tables are read to find them at rest.
const tries = 5

func (o *Options) config() nl.Config {
	cfg := nl.Config{Family: unix.NETLINK_ROUTE, Tries: 1}
	if o != nil {
		cfg.NetNS = o.NetNS
	}
	return cfg
}

// Of linux/rtnetlink.h: RTEXT_FILTER_*.
const (
	filterVF        = 1
	filterSkipStats = 8 // of the IPv6 layer and of virtual functions
)

// mask asks for virtual functions, or for less than is sent unasked.
func (o *Options) mask(body []byte) []byte {
	if o != nil && o.VFs {
		return nl.AppendU32(body, unix.IFLA_EXT_MASK, filterVF)
	}
	return nl.AppendU32(body, unix.IFLA_EXT_MASK, filterSkipStats)
}

func list(ctx context.Context, o *Options) ([]Link, error) {
	const op = "link: list"
	cfg := o.config()
	cfg.Guard = []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR}
	c, err := nl.Dial(cfg)
	if err != nil {
		return nil, operr.New(op, nil, err)
	}
	defer c.Close()
	var links []Link
	for range tries {
		c.Hold()
		links, err = snapshot(ctx, c, o)
		if c.Release() && err == nil {
			err = nl.ErrInterrupted
		}
		if !errors.Is(err, nl.ErrInterrupted) {
			break
		}
	}
	return links, operr.New(op, nil, err)
}

// snapshot reads both tables once. Besides the kernel's mark, an address
// without its interface tells that they do not belong together.
func snapshot(ctx context.Context, c *nl.Conn, o *Options) ([]Link, error) {
	links, err := dumpLinks(ctx, c, o)
	interrupted := errors.Is(err, nl.ErrInterrupted)
	if err != nil && !interrupted {
		return nil, err
	}
	place := make(map[int]int, len(links))
	for i, l := range links {
		place[l.Index] = i
	}
	err = dumpAddresses(ctx, c, 0, func(index int, a Address) {
		i, ok := place[index]
		if !ok {
			interrupted = true
			return
		}
		links[i].Addresses = append(links[i].Addresses, a)
	})
	if err == nil && interrupted {
		err = nl.ErrInterrupted
	}
	if err != nil && !errors.Is(err, nl.ErrInterrupted) {
		return nil, err
	}
	return links, err
}

func dumpLinks(ctx context.Context, c *nl.Conn, o *Options) ([]Link, error) {
	var links []Link
	m := nl.Message{Type: unix.RTM_GETLINK, Body: o.mask(make([]byte, unix.SizeofIfInfomsg))}
	err := c.Dump(ctx, m, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWLINK {
			return nil
		}
		l, err := parseLink(body)
		links = append(links, l)
		return err
	})
	return links, err
}

// dumpAddresses calls fn for the addresses of one interface, or of all for 0.
func dumpAddresses(ctx context.Context, c *nl.Conn, index int, fn func(index int, a Address)) error {
	body := make([]byte, unix.SizeofIfAddrmsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	return c.Dump(ctx, nl.Message{Type: unix.RTM_GETADDR, Body: body}, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWADDR {
			return nil
		}
		i, a, err := parseAddress(body)
		if index == 0 || i == index { // kernels before 4.20 do not filter
			fn(i, a)
		}
		return err
	})
}

func get(ctx context.Context, name string, o *Options) (Link, error) {
	const op = "link: get"
	c, err := nl.Dial(o.config())
	if err != nil {
		return Link{}, operr.New(op, name, err)
	}
	defer c.Close()
	var l Link
	for range tries {
		l, err = getOnce(ctx, c, name, o)
		if !errors.Is(err, nl.ErrInterrupted) {
			break
		}
	}
	return l, operr.New(op, name, err)
}

// maxAltName is ALTIFNAMSIZ without the final NUL.
const maxAltName = 127

func getOnce(ctx context.Context, c *nl.Conn, name string, o *Options) (Link, error) {
	var l Link
	if name == "" || len(name) > maxAltName {
		return l, absent{unix.ENODEV}
	}
	// Up to Linux 5.4 there is no IFLA_ALT_IFNAME; since then either finds both.
	attr := uint16(unix.IFLA_IFNAME)
	if len(name) >= unix.IFNAMSIZ {
		attr = unix.IFLA_ALT_IFNAME
	}
	body := o.mask(nl.AppendText(make([]byte, unix.SizeofIfInfomsg), attr, name))
	err := c.Request(ctx, nl.Message{Type: unix.RTM_GETLINK, Body: body}, func(_ uint16, body []byte) (err error) {
		l, err = parseLink(body)
		return err
	})
	if err == nil {
		err = dumpAddresses(ctx, c, l.Index, func(_ int, a Address) { l.Addresses = append(l.Addresses, a) })
	}
	switch {
	case errors.Is(err, unix.ENODEV):
		return Link{}, absent{err}
	case err != nil && !errors.Is(err, nl.ErrInterrupted):
		return Link{}, err
	}
	return l, err
}
