package ping

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/icmpsock"
	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/internal/sock"
)

// nodeSocket is a nodeRun on its socket.
type nodeSocket struct {
	*nodeRun
	query NodeQuery
	fd    int
	to    netip.Addr // the zone is a number
	buf   [1 << 16]byte
	oob   [512]byte
	errs  errqueue.Reader
}

func (q NodeQuery) stream(ctx context.Context, dst netip.Addr, opt Options, so *StreamOptions, yield func(Result, error) bool) {
	if err := q.ask(ctx, dst, opt, so, yield); err != nil {
		yield(Result{}, operr.New(opNodeQuery, dst, err))
	}
}

func (q NodeQuery) ask(ctx context.Context, dst netip.Addr, opt Options, so *StreamOptions, yield func(Result, error) bool) error {
	if _, err := q.message(dst, [nonceLen]byte{}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	opt.Size, opt.Pattern, opt.Method = 0, nil, MethodICMPRaw
	cfg, err := opt.config()
	if err != nil {
		return err
	}
	if err := opt.connected(dst); err != nil {
		return err
	}
	fd, err := icmpsock.OpenMessages(cfg, nodeReplyType)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n := &nodeSocket{nodeRun: q.newRun(dst, opt, so, yield), query: q, fd: fd, to: dst}
	if zone := dst.Zone(); zone != "" {
		i := sock.ZoneIndex(fd, zone)
		if i == 0 {
			return unix.ENODEV
		}
		n.to = dst.WithZone(strconv.FormatUint(uint64(i), 10))
	}
	p, err := sock.NewPoller(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Add(fd, unix.EPOLLIN); err != nil {
		return err
	}
	return n.loop(p)
}

// loop returns nil when the run is over or the caller has left it.
func (n *nodeSocket) loop(p *sock.Poller) error {
	for {
		now := n.clock().mono
		if n.more() && now >= n.next && !n.send() {
			return nil
		}
		if n.over(now) {
			return nil
		}
		if _, err := p.Wait(time.Now().Add(n.wait(now))); err != nil {
			return err
		}
		now = n.clock().mono // all that came before is read before it is judged
		if ok, err := n.receive(); !ok || err != nil {
			return err
		}
		if !n.expire(now) {
			return nil
		}
	}
}

// send sends the next query and tells so; false ends the run.
func (n *nodeSocket) send() bool {
	f := n.flight()
	msg, err := n.query.message(n.dst.WithZone(""), f.nonce)
	for try := 0; err == nil; try++ {
		if err = icmpsock.SendMessage(n.fd, msg, n.to, n.opt.FlowLabel); !icmpsock.Left(err) || try == 16 {
			break
		}
		unix.GetsockoptInt(n.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		err = nil
	}
	if err != nil {
		f.state = answered
		return n.tell(f, Result{Outcome: OutcomeLocalError, Err: err.Error()})
	}
	return !n.so.Sent || n.tell(f, Result{Outcome: OutcomeSent})
}

// receive reads all that came; false ends the run.
func (n *nodeSocket) receive() (bool, error) {
	for {
		size, oobn, _, from, err := unix.Recvmsg(n.fd, n.buf[:], n.oob[:], unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN:
			return n.errors(), nil
		case err == unix.EINTR, icmpsock.Left(err):
			continue // the error queue tells it properly
		case err != nil:
			return false, err
		}
		nonce, info, ok := parseNodeReply(n.buf[:size])
		if !ok {
			continue
		}
		m := icmpsock.Message{TOS: -1}
		for oob := n.oob[:oobn]; len(oob) > 0; {
			hdr, value, rest, err := unix.ParseOneSocketControlMessage(oob)
			if err != nil {
				break
			}
			m.Control(hdr.Level, hdr.Type, value)
			oob = rest
		}
		res := Result{Outcome: OutcomeReply, From: sock.AddrPort(from).Addr(), TTL: m.TTL, TOS: max(0, m.TOS), Size: size, Node: &info}
		if !n.answer(nonce, m.Stamp, res) {
			return false, nil
		}
	}
}

// errors reads the ICMP errors that came; false ends the run.
func (n *nodeSocket) errors() bool {
	for {
		m, err := n.errs.Read(n.fd)
		if err != nil {
			return true
		}
		quoted := m.Quoted
		if m.Origin != errqueue.ICMP6 || len(quoted) < nodeHeaderLen || quoted[0] != nodeQueryType || m.ICMP.Kind == icmperr.Redirect {
			continue
		}
		icmp, stamp := m.ICMP, int64(0)
		if !m.Stamp.IsZero() {
			stamp = m.Stamp.UnixNano()
		}
		if !n.answer([nonceLen]byte(quoted[8:]), stamp, Result{Outcome: OutcomeICMPError, From: icmp.From, TTL: icmp.TTL, ICMP: &icmp}) {
			return false
		}
	}
}
