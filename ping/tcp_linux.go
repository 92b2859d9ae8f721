package ping

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/errqueue"
	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/internal/sock"
)

// connect fills in r with what came of one SYN. The error queue of the socket
// tells who sent an ICMP error; kernels from 5.8 on queue a TTL that ran out
// as well.
func connect(ctx context.Context, dst netip.AddrPort, opt *Options, r *Result) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fd, err := sock.Open(dst.Addr(), unix.SOCK_STREAM, 0,
		sock.Options{Device: opt.Device, Mark: opt.Mark, Source: opt.Source.Unmap(), NetNS: opt.NetNS})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := prepareTCP(fd, dst.Addr().Is6(), opt); err != nil {
		return err
	}
	if zone := dst.Addr().Zone(); zone != "" {
		i := sock.ZoneIndex(fd, zone)
		if i == 0 {
			return unix.ENODEV
		}
		dst = netip.AddrPortFrom(dst.Addr().WithZone(strconv.FormatUint(uint64(i), 10)), dst.Port())
	}
	p, err := sock.NewPoller(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	r.Sent = time.Now()
	err = unix.Connect(fd, sock.Sockaddr(dst))
	at := time.Now()
	if err == unix.EINPROGRESS {
		if err := p.Add(fd, unix.EPOLLOUT); err != nil {
			return err
		}
		events, werr := p.Wait(r.Sent.Add(opt.Timeout))
		at = time.Now()
		if werr != nil {
			return werr
		}
		if len(events) == 0 {
			r.Outcome = OutcomeTimeout
			return nil
		}
		err = pendingError(fd)
	}
	r.RTT, r.Stamp = at.Sub(r.Sent), StampUser
	return judge(fd, err, r)
}

func prepareTCP(fd int, v6 bool, opt *Options) error {
	if err := errors.Join(errqueue.Enable(fd, v6), errqueue.EnableTTL(fd, v6)); err != nil {
		return err
	}
	errqueue.EnableExtensions(fd, v6) // not before Linux 5.9
	// A reset instead of a goodbye: nothing of the connection is left here.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if opt.TTL > 0 {
		if err := sock.SetTTL(fd, v6, opt.TTL); err != nil {
			return err
		}
	}
	switch {
	case opt.TOS == 0:
		return nil
	case v6:
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_TCLASS, opt.TOS)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TOS, opt.TOS)
}

func pendingError(fd int) error {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if v != 0 {
		return unix.Errno(v)
	}
	return nil
}

// judge turns the result of a connect into an outcome.
func judge(fd int, err error, r *Result) error {
	if err == nil {
		r.Outcome, r.From = OutcomeReply, r.Target
		if info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO); err == nil {
			r.Resent = int(info.Total_retrans)
			// Of a SYN that was sent again nobody knows which was answered.
			if rtt := time.Duration(info.Rtt) * time.Microsecond; rtt > 0 && r.Resent == 0 && rtt <= r.RTT {
				r.RTT, r.Stamp = rtt, StampTCPInfo
			}
		}
		return nil
	}
	var q errqueue.Reader
	for {
		m, qerr := q.Read(fd)
		if qerr != nil {
			break
		}
		if (m.Origin == errqueue.ICMP || m.Origin == errqueue.ICMP6) &&
			m.ICMP.Kind != icmperr.Redirect && m.ICMP.Kind != icmperr.SourceQuench {
			r.Outcome, r.From, r.TTL, r.ICMP = OutcomeICMPError, m.ICMP.From, m.ICMP.TTL, &m.ICMP
			return nil
		}
	}
	switch err {
	case unix.ECONNREFUSED:
		r.Outcome, r.From, r.Refused = OutcomeReply, r.Target, true
	case unix.ETIMEDOUT:
		*r = Result{Target: r.Target, Method: r.Method, Why: r.Why, Sent: r.Sent, Outcome: OutcomeTimeout}
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EPERM, unix.EINVAL, unix.ENETDOWN:
		*r = Result{Target: r.Target, Method: r.Method, Why: r.Why, Sent: r.Sent, Outcome: OutcomeLocalError, Err: err.Error()}
	default:
		return err
	}
	return nil
}
