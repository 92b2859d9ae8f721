//go:build !linux

package ping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

func connect(ctx context.Context, dst netip.AddrPort, opt *Options, r *Result) error {
	if opt.TTL != 0 || opt.TOS != 0 || opt.Device != "" || opt.Mark != 0 || opt.NetNS != 0 {
		return fmt.Errorf("ttl, tos, device, mark and namespace on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	d := net.Dialer{Timeout: opt.Timeout, KeepAlive: -1, FallbackDelay: -1}
	if opt.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(opt.Source, 0))
	}
	r.Sent = time.Now()
	c, err := d.DialContext(ctx, "tcp", dst.String())
	r.RTT = time.Since(r.Sent)
	if err == nil {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		r.Outcome, r.From, r.Stamp = OutcomeReply, r.Target, StampUser
	case refused(err):
		r.Outcome, r.From, r.Stamp, r.Refused = OutcomeReply, r.Target, StampUser, true
	case errors.As(err, &timeout) && timeout.Timeout():
		r.Outcome, r.RTT = OutcomeTimeout, 0
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		r.Outcome, r.RTT, r.Err = OutcomeLocalError, 0, err.Error()
	default:
		return err
	}
	return nil
}

// refused knows that Windows has a number of its own.
func refused(err error) bool {
	const wsaeconnrefused = syscall.Errno(10061)
	return errors.Is(err, syscall.ECONNREFUSED) || runtime.GOOS == "windows" && errors.Is(err, wsaeconnrefused)
}
