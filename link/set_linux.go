package link

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// change asks for a change of the interface of that name.
func change(ctx context.Context, op, name string, o *Options, m func(index int) (nl.Message, error)) error {
	c, err := nl.Dial(o.config())
	if err != nil {
		return operr.New(op, name, err)
	}
	defer c.Close()
	names := nl.Names{Conn: c}
	index, err := names.Index(ctx, name)
	if err == nil {
		var ask nl.Message
		if ask, err = m(index); err == nil {
			err = operr.Need(c.Change(ctx, ask), "CAP_NET_ADMIN")
		}
	}
	if errors.Is(err, unix.ENODEV) {
		err = absent{err}
	}
	return operr.New(op, name, err)
}

func setLink(ctx context.Context, name string, c Changes, o *Options) error {
	return change(ctx, "link: set", name, o, func(index int) (nl.Message, error) {
		body, err := c.encode(index)
		return nl.Message{Type: unix.RTM_NEWLINK, Body: body}, err
	})
}

func changeAddress(ctx context.Context, op, name string, a Address, gone bool, o *Options) error {
	err := change(ctx, op, name, o, func(index int) (nl.Message, error) {
		body, err := a.encode(index, gone)
		if gone {
			return nl.Message{Type: unix.RTM_DELADDR, Body: body}, err
		}
		return nl.Message{Type: unix.RTM_NEWADDR, Flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, Body: body}, err
	})
	if gone && errors.Is(err, unix.EADDRNOTAVAIL) {
		err = operr.New(op, name, absent{unix.EADDRNOTAVAIL})
	}
	return err
}
