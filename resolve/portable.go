package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

// drivePortable runs exchanges over sockets of package net, one goroutine each;
// all have ended when it returns. It is drive where there is no error queue.
func drivePortable(ctx context.Context, xs []*exchange, p place) error {
	if p.device != "" || p.mark != 0 || p.netns != 0 {
		return operr.Unsupported("resolve: device, mark or namespace")
	}
	var wg sync.WaitGroup
	for _, x := range xs {
		wg.Go(func() {
			for x.more && ctx.Err() == nil {
				x.begin(time.Now())
				portableAttempt(ctx, x, p)
			}
		})
	}
	wg.Wait()
	for _, x := range xs {
		if x.more || x.att.Outcome == OutcomeUnknown {
			return context.Cause(ctx)
		}
	}
	return nil
}

// portableAttempt ends with one of fail, expire, abandon or a receive that is true.
func portableAttempt(ctx context.Context, x *exchange, p place) {
	network := x.att.Transport.String()
	dialer := net.Dialer{Deadline: x.deadline}
	if p.source.IsValid() {
		if network == "tcp" {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.source, 0))
		} else {
			dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.source, 0))
		}
	}
	c, err := dialer.DialContext(ctx, network, x.ans.Server.String())
	if err != nil {
		portableFail(ctx, x, err, false)
		return
	}
	defer c.Close()
	// The order matters: a context that ends has the last word.
	c.SetDeadline(x.deadline)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	x.att.Sent = x.start
	if network == "tcp" {
		x.att.Connect = time.Since(x.start)
	}
	if _, err := c.Write(x.packet()); err != nil {
		portableFail(ctx, x, err, true)
		return
	}
	for {
		msg, err := portableRead(c, network)
		if err != nil {
			portableFail(ctx, x, err, true)
			return
		}
		if x.receive(msg, x.ans.Server, time.Now()) {
			return
		}
	}
}

func portableRead(c net.Conn, network string) ([]byte, error) {
	if network == "tcp" {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return nil, err
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		_, err := io.ReadFull(c, msg)
		return msg, err
	}
	msg := make([]byte, 1<<16)
	n, err := c.Read(msg)
	return append([]byte(nil), msg[:n]...), err
}

func portableFail(ctx context.Context, x *exchange, err error, sent bool) {
	now := time.Now()
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ctx.Err() != nil:
		x.abandon(context.Cause(ctx), now)
	case ok && timeout.Timeout():
		x.expire(now)
	default:
		x.fail(portableOutcome(err, x.att.Transport, sent), nil, err.Error(), now)
	}
}

// Windows has its own numbers (winsock2.h).
const (
	wsaENETUNREACH  = syscall.Errno(10051)
	wsaECONNRESET   = syscall.Errno(10054)
	wsaECONNREFUSED = syscall.Errno(10061)
	wsaEHOSTUNREACH = syscall.Errno(10065)
)

// portableOutcome tells what an error of package net means. Before anything was
// sent over UDP, only this host can have refused.
func portableOutcome(err error, t Transport, sent bool) Outcome {
	is := func(errnos ...error) bool {
		for _, e := range errnos {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	udp := t == TransportUDP
	switch {
	case udp && sent && is(syscall.ECONNREFUSED, wsaECONNREFUSED, wsaECONNRESET):
		return OutcomePortUnreachable
	case is(syscall.ECONNREFUSED, wsaECONNREFUSED):
		return OutcomeConnRefused
	case is(syscall.ECONNRESET, wsaECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF):
		return OutcomeClosed
	case is(syscall.EPERM):
		return OutcomeLocalFirewall
	case udp && !sent && is(syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaENETUNREACH, wsaEHOSTUNREACH):
		return OutcomeNoRoute
	case is(syscall.EHOSTUNREACH, wsaEHOSTUNREACH):
		return OutcomeHostUnreachable
	case is(syscall.ENETUNREACH, wsaENETUNREACH):
		return OutcomeNetUnreachable
	}
	return OutcomeLocalError
}
