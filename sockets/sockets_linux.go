package sockets

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// procRoot is where /proc is mounted.
const procRoot = "/proc"

const opList = "sockets: list"

// errStop ends a dump that nobody wants more of.
var errStop = errors.New("stop")

// lister asks for sockets and hands them on one by one.
type lister struct {
	options Options
	root    string // of /proc
	dial    func(nl.Config) (*nl.Conn, error)
	keep    func(*Socket) bool
	take    func(*Socket) error // what keep approves of; the Socket is the lister's
	restart func()              // what take got of the present dump does not count; nil: it cannot be taken back

	conn      *nl.Conn // nil: not dialled
	noDiag    bool     // this kernel has no sock_diag at all
	names     nl.Names
	fromProc  []Protocol
	notListed []Protocol
}

func newLister(o Options, keep func(*Socket) bool) *lister {
	l := &lister{options: o, keep: keep, root: procRoot, dial: nl.Dial}
	if !o.Filter.zero() {
		l.keep = func(s *Socket) bool { return o.Filter.match(s) && keep(s) }
	}
	return l
}

// run asks for one protocol and family after the other. begin is called before
// each.
func (l *lister) run(ctx context.Context, begin func(Protocol)) error {
	defer func() {
		if l.conn != nil {
			l.conn.Close()
		}
		l.names.Close()
	}()
	switch f := l.options.Family; f {
	case FamilyAny, FamilyIPv4, FamilyIPv6:
	default: // to ask for every one instead would be an answer to another question
		return operr.New(opList, f, unix.EINVAL)
	}
	l.names.NetNS = l.options.NetNS
	for _, p := range l.options.protocols() {
		for _, f := range families(p, l.options.Family) {
			begin(p)
			if err := l.list(ctx, p, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// families returns in which families a protocol has to be asked for. The kernel
// walks one table for TCP of both, so they are asked for at once.
func families(p Protocol, wanted Family) []Family {
	switch {
	case p == Unix:
		return []Family{FamilyUnix}
	case p == Packet:
		return []Family{FamilyPacket}
	case wanted == FamilyIPv4 || wanted == FamilyIPv6 || p == TCP:
		return []Family{wanted}
	}
	return []Family{FamilyIPv4, FamilyIPv6}
}

// list asks for the sockets of one protocol and family: from sock_diag, or,
// where the kernel has none for them, from /proc/net.
func (l *lister) list(ctx context.Context, p Protocol, f Family) error {
	err := l.fromDiag(ctx, p, f)
	if f == FamilyAny && (noDiag(err) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)) {
		// No request for both, or nothing to answer it.
		if err := l.list(ctx, p, FamilyIPv4); err != nil {
			return err
		}
		return l.list(ctx, p, FamilyIPv6)
	}
	if !noDiag(err) {
		return operr.New(opList, p, err)
	}
	told := &l.fromProc
	switch err := l.readProc(ctx, p, f); {
	case errors.Is(err, fs.ErrNotExist) && f == FamilyIPv6 && p != MPTCP:
		return nil // a kernel without IPv6 has none
	case errors.Is(err, fs.ErrNotExist):
		told = &l.notListed
	case err != nil:
		return operr.New(opList, p, err)
	}
	if n := len(*told); n == 0 || (*told)[n-1] != p {
		*told = append(*told, p)
	}
	return nil
}

// noDiag reports whether an error means that the kernel was built without
// sock_diag, or that a module of it is not there and cannot be loaded. It is
// the first answer: nothing was told before it.
func noDiag(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT)
}

func (l *lister) fromDiag(ctx context.Context, p Protocol, f Family) error {
	if l.noDiag {
		return unix.EPROTONOSUPPORT
	}
	if l.conn == nil {
		cfg := nl.Config{Family: unix.NETLINK_SOCK_DIAG, NetNS: l.options.NetNS, Tries: 1}
		if l.restart != nil {
			cfg.Tries, cfg.Restart = 0, l.restart
		}
		conn, err := l.dial(cfg)
		if err != nil {
			l.noDiag = noDiag(err)
			return err
		}
		l.conn = conn
	}
	var s Socket // outside of the closure, so that it is allocated once
	parse := l.options.parser(p)
	return l.conn.Dump(ctx, l.options.request(p, f), func(typ uint16, body []byte) error {
		if typ != sockDiagByFamily && typ != tcpDiagGetSock {
			return nil
		}
		if err := parse(body, &s); err != nil {
			return err
		}
		return l.offer(ctx, &s)
	})
}

// offer hands a socket on, with the name of the interface it is bound to. One
// that has been removed has none, and a kernel that does not answer leaves the
// index to speak for itself.
func (l *lister) offer(ctx context.Context, s *Socket) error {
	if !l.keep(s) {
		return nil
	}
	if s.Interface != 0 {
		s.Device, _ = l.names.Name(ctx, s.Interface)
	}
	return l.take(s)
}

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
	case f == FamilyIPv4:
		m.Body = o.inetRequest(afInet, p)
	default:
		m.Type, m.Body = tcpDiagGetSock, o.tcpRequest()
	}
	return m
}

// readProc asks for the sockets of a file of /proc/net. The error is
// [fs.ErrNotExist] when there is none for the protocol.
func (l *lister) readProc(ctx context.Context, p Protocol, f Family) error {
	text, err := l.procNet(ctx, procFile(p, f))
	if err != nil {
		return err
	}
	mask := l.options.stateMask()
	add := func(s *Socket) error {
		if mask&(1<<s.State) == 0 {
			return nil
		}
		return l.offer(ctx, s)
	}
	switch p {
	case Unix:
		return parseProcUnix(text, add)
	case Packet:
		return parseProcPacket(text, add)
	}
	return parseProcInet(text, p, f, binary.NativeEndian, add)
}

// procNet reads a file of the thread's /proc/net, which need not be that of the
// process.
func (l *lister) procNet(ctx context.Context, name string) (text []byte, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	err = sock.InNamespace(l.options.NetNS, func() (err error) {
		text, err = os.ReadFile(l.root + "/thread-self/net/" + name)
		return err
	})
	return text, err
}

// read lists what keep approves of.
func read(ctx context.Context, o Options, keep func(*Socket) bool) (Table, error) {
	return newLister(o, keep).table(ctx)
}

// table makes a table, IPv4 before IPv6.
func (l *lister) table(ctx context.Context) (Table, error) {
	t := Table{Sockets: []Socket{}}
	var second []Socket // IPv6 sockets, where both families come at once
	start := 0
	end := func() {
		t.Sockets = append(t.Sockets, second...)
		start, second = len(t.Sockets), second[:0]
	}
	l.restart = func() { t.Sockets, second = t.Sockets[:start], second[:0] }
	l.take = func(s *Socket) error {
		if s.Protocol == TCP && s.Family == FamilyIPv6 {
			second = append(second, *s)
		} else {
			t.Sockets = append(t.Sockets, *s)
		}
		return nil
	}
	err := l.run(ctx, func(p Protocol) {
		end()
		if n := l.expected(ctx, p); n > cap(t.Sockets)-len(t.Sockets) {
			t.Sockets = append(make([]Socket, 0, len(t.Sockets)+n), t.Sockets...)
		}
	})
	end()
	t.FromProc, t.NotListed = l.fromProc, l.notListed
	if err != nil {
		return t, err
	}
	if l.options.Processes {
		if err := t.findOwners(ctx, l.root); err != nil {
			return t, operr.New("sockets: find processes", nil, err)
		}
	}
	return t, nil
}

// expected is about how many TCP sockets there will be, so that a long list
// need not grow step by step; 0 where that is not known.
func (l *lister) expected(ctx context.Context, p Protocol) int {
	if p != TCP || len(l.options.States) > 0 || !l.options.Filter.zero() {
		return 0
	}
	text, err := l.procNet(ctx, "sockstat") // proc_net_sockstat: "TCP: inuse 5 orphan 0 tw 2 ..."
	if err != nil {
		return 0
	}
	sum := 0
	for line := range bytes.Lines(text) {
		if word := bytes.Fields(line); len(word) > 6 && string(word[0]) == "TCP:" {
			inUse, _ := strconv.Atoi(string(word[2]))
			timeWait, _ := strconv.Atoi(string(word[6]))
			sum = max(0, inUse) + max(0, timeWait)
		}
	}
	return min(sum, 1<<22)
}

// all hands sockets on as they come.
func all(ctx context.Context, o Options) iter.Seq2[Socket, error] {
	return func(yield func(Socket, error) bool) {
		l := newLister(o, func(*Socket) bool { return true })
		stopped := false // what is told of the dump then may be the end of ctx
		l.take = func(s *Socket) error {
			if !yield(*s, nil) {
				stopped = true
				return errStop
			}
			return nil
		}
		if err := l.run(ctx, func(Protocol) {}); err != nil && !stopped {
			yield(Socket{}, err)
		}
	}
}

func counters(ctx context.Context, o Options) ([]CounterGroup, error) {
	l := newLister(o, nil)
	groups, err := readCounters(o.Family, func(name string) ([]byte, error) { return l.procNet(ctx, name) })
	return groups, operr.New("sockets: read counters", nil, err)
}
