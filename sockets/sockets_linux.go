package sockets

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// procRoot is where /proc is mounted.
const procRoot = "/proc"

// read lists what keep approves of.
func read(ctx context.Context, o Options, keep func(*Socket) bool) (Table, error) {
	l := lister{options: o, keep: keep, root: procRoot, dial: nl.Dial}
	if !o.Filter.zero() {
		l.keep = func(s *Socket) bool { return o.Filter.match(s) && keep(s) }
	}
	return l.read(ctx)
}

// lister is one run of Read.
type lister struct {
	options Options
	keep    func(*Socket) bool
	root    string // of /proc
	dial    func(nl.Config) (*nl.Conn, error)

	conn   *nl.Conn // nil: not dialled
	noDiag bool     // this kernel has no sock_diag at all
	table  Table
	begin  int // where in the table the present dump begins
}

func (l *lister) read(ctx context.Context) (Table, error) {
	defer func() {
		if l.conn != nil {
			l.conn.Close()
		}
	}()
	l.table.Sockets = []Socket{}
	for _, p := range l.options.protocols() {
		for _, f := range families(p, l.options.Family) {
			if err := l.list(ctx, p, f); err != nil {
				return l.table, operr.New("sockets: list", p, err)
			}
		}
	}
	l.nameDevices(ctx)
	if l.options.Processes {
		if err := l.table.findOwners(ctx, l.root); err != nil {
			return l.table, operr.New("sockets: find processes", nil, err)
		}
	}
	return l.table, nil
}

// families returns in which families a protocol has to be asked for.
func families(p Protocol, wanted Family) []Family {
	switch p {
	case Unix:
		return []Family{FamilyUnix}
	case Packet:
		return []Family{FamilyPacket}
	}
	if wanted == FamilyIPv4 || wanted == FamilyIPv6 {
		return []Family{wanted}
	}
	return []Family{FamilyIPv4, FamilyIPv6}
}

// list adds the sockets of one protocol and family: from sock_diag, or, where
// the kernel has none for them, from /proc/net.
func (l *lister) list(ctx context.Context, p Protocol, f Family) error {
	l.begin = len(l.table.Sockets)
	err := l.fromDiag(ctx, p, f)
	if !noDiag(err) {
		return err
	}
	l.restart()
	told := &l.table.FromProc
	switch err := l.fromProc(ctx, p, f); {
	case errors.Is(err, fs.ErrNotExist) && f == FamilyIPv6 && p != MPTCP:
		return nil // a kernel without IPv6 has none
	case errors.Is(err, fs.ErrNotExist):
		told = &l.table.NotListed
	case err != nil:
		return err
	}
	if n := len(*told); n == 0 || (*told)[n-1] != p {
		*told = append(*told, p)
	}
	return nil
}

// noDiag reports whether an error means that the kernel was built without
// sock_diag, or that a module of it is not there and cannot be loaded.
func noDiag(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT)
}

func (l *lister) fromDiag(ctx context.Context, p Protocol, f Family) error {
	if l.noDiag {
		return unix.EPROTONOSUPPORT
	}
	if l.conn == nil {
		conn, err := l.dial(nl.Config{Family: unix.NETLINK_SOCK_DIAG, NetNS: l.options.NetNS, Restart: l.restart})
		if err != nil {
			l.noDiag = noDiag(err)
			return err
		}
		l.conn = conn
	}
	var s Socket // outside of the closure, so that it is allocated once
	parse := l.options.parser(p)
	return l.conn.Dump(ctx, l.options.request(p, f), func(typ uint16, body []byte) error {
		if typ != sockDiagByFamily {
			return nil
		}
		if err := parse(body, &s); err != nil {
			return err
		}
		if l.keep(&s) {
			l.table.Sockets = append(l.table.Sockets, s)
		}
		return nil
	})
}

// restart throws away what the present dump has told.
func (l *lister) restart() { l.table.Sockets = l.table.Sockets[:l.begin] }

func (o *Options) parser(p Protocol) func([]byte, *Socket) error {
	switch p {
	case Unix:
		return parseUnix
	case Packet:
		return func(b []byte, s *Socket) error {
			err := parsePacket(b, s)
			if !o.Memory {
				s.Memory = nil
			}
			return err
		}
	}
	return func(b []byte, s *Socket) error { return parseInet(b, p, s) }
}

func (o *Options) request(p Protocol, f Family) nl.Message {
	m := nl.Message{Type: sockDiagByFamily}
	switch {
	case p == Unix:
		m.Body = o.unixRequest()
	case p == Packet:
		m.Body = packetRequest()
	case f == FamilyIPv6:
		m.Body = o.inetRequest(afInet6, p)
	default:
		m.Body = o.inetRequest(afInet, p)
	}
	return m
}

// fromProc adds the sockets of a file of /proc/net. The error is
// [fs.ErrNotExist] when there is none for the protocol.
func (l *lister) fromProc(ctx context.Context, p Protocol, f Family) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var text []byte
	err := sock.InNamespace(l.options.NetNS, func() (err error) {
		// The thread's view, not that of the process.
		text, err = os.ReadFile(l.root + "/thread-self/net/" + procFile(p, f))
		return err
	})
	if err != nil {
		return err
	}
	mask := l.options.stateMask()
	add := func(s Socket) {
		if mask&(1<<(s.State&31)) != 0 && l.keep(&s) {
			l.table.Sockets = append(l.table.Sockets, s)
		}
	}
	switch p {
	case Unix:
		parseProcUnix(text, add)
		return nil
	case Packet:
		return parseProcPacket(text, add)
	}
	return parseProcInet(text, p, f, binary.NativeEndian, add)
}

// nameDevices looks up the names of the interfaces that sockets are bound to.
// One that has been removed has none, and a kernel that does not answer leaves
// the indexes to speak for themselves.
func (l *lister) nameDevices(ctx context.Context) {
	var conn *nl.Conn
	names := map[int]string{}
	for i := range l.table.Sockets {
		s := &l.table.Sockets[i]
		if s.Interface == 0 {
			continue
		}
		name, ok := names[s.Interface]
		if !ok {
			if conn == nil {
				c, err := nl.Dial(nl.Config{Family: unix.NETLINK_ROUTE, NetNS: l.options.NetNS})
				if err != nil {
					return
				}
				defer c.Close()
				conn = c
			}
			name = deviceName(ctx, conn, s.Interface)
			names[s.Interface] = name
		}
		s.Device = name
	}
}

// deviceName asks for the name of an interface (rtnetlink(7)); "" is not known.
func deviceName(ctx context.Context, c *nl.Conn, index int) (name string) {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	_ = c.Request(ctx, nl.Message{Type: unix.RTM_GETLINK, Body: body}, func(_ uint16, answer []byte) error {
		if len(answer) < unix.SizeofIfInfomsg {
			return nl.ErrMalformed
		}
		for a := nl.NewAttrs(answer[unix.SizeofIfInfomsg:]); a.Next(); {
			if a.Type == unix.IFLA_IFNAME {
				name = nl.Text(a.Data)
			}
		}
		return nil
	})
	return name
}
