package nl

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Names finds the names of interfaces by index, each asked for once: of many
// interfaces few are in use. A socket of its own is opened when it is first needed.
type Names struct {
	NetNS int // as in Config
	// Conn is asked, unless it is nil: one of its own is then. It must not be in
	// the middle of a dump.
	Conn *Conn

	own   bool // Conn is
	names map[int]string
	// The last one asked for: neighbours in a table share their interface.
	last     int
	lastName string
}

// skipStats is RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h): a short answer.
const skipStats = 8

// Name returns the name of an interface, "" for index 0 and for one that has
// gone since.
func (n *Names) Name(ctx context.Context, index int) (string, error) {
	if index == 0 {
		return "", nil
	}
	if index == n.last {
		return n.lastName, nil
	}
	if name, ok := n.names[index]; ok {
		n.last, n.lastName = index, name
		return name, nil
	}
	body := make([]byte, unix.SizeofIfInfomsg, 32)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	_, name, err := n.ask(ctx, body)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return "", err
	}
	if n.names == nil {
		n.names = map[int]string{}
	}
	n.names[index] = name
	return name, nil
}

// Index is the reverse, for names and alternative names. One that is not there
// is ENODEV.
func (n *Names) Index(ctx context.Context, name string) (int, error) {
	// ALTIFNAMSIZ is 128, with the final NUL.
	if name == "" || len(name) >= 128 {
		return 0, unix.ENODEV
	}
	attr := uint16(unix.IFLA_IFNAME)
	if len(name) >= unix.IFNAMSIZ {
		attr = unix.IFLA_ALT_IFNAME
	}
	index, _, err := n.ask(ctx, AppendText(make([]byte, unix.SizeofIfInfomsg), attr, name))
	return index, err
}

func (n *Names) ask(ctx context.Context, body []byte) (index int, name string, err error) {
	if n.Conn == nil {
		if n.Conn, err = Dial(Config{Family: unix.NETLINK_ROUTE, NetNS: n.NetNS}); err != nil {
			return 0, "", err
		}
		n.own = true
	}
	m := Message{Type: unix.RTM_GETLINK, Body: AppendU32(body, unix.IFLA_EXT_MASK, skipStats)}
	err = n.Conn.Request(ctx, m, func(_ uint16, b []byte) error {
		if len(b) < unix.SizeofIfInfomsg {
			return ErrMalformed
		}
		index = int(binary.NativeEndian.Uint32(b[4:]))
		for a := NewAttrs(b[unix.SizeofIfInfomsg:]); a.Next(); {
			if a.Type == unix.IFLA_IFNAME {
				name = Text(a.Data)
			}
		}
		return nil
	})
	return index, name, err
}

// Learn takes a name from elsewhere.
func (n *Names) Learn(index int, name string) {
	if n.names == nil {
		n.names = map[int]string{}
	}
	n.names[index] = name
	n.last = 0
}

// Close releases the socket, if it is its own.
func (n *Names) Close() error {
	if !n.own {
		return nil
	}
	return n.Conn.Close()
}
