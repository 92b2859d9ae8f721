package portscan

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// dialerWire makes attempts with net.Dialer, on systems where nothing better
// is known.
type dialerWire struct {
	ctx     context.Context
	cancel  context.CancelFunc
	dialer  net.Dialer
	running sync.WaitGroup
	done    chan event
	stop    map[int]context.CancelFunc
	out     [1]event
}

// dialerParallel bounds the attempts at once, each of which is a goroutine.
const dialerParallel = 256

func newDialerWire(ctx context.Context, o Options) *dialerWire {
	w := &dialerWire{done: make(chan event), stop: map[int]context.CancelFunc{}}
	w.ctx, w.cancel = context.WithCancel(ctx)
	if o.Source.IsValid() {
		w.dialer.LocalAddr = &net.TCPAddr{IP: o.Source.AsSlice(), Zone: o.Source.Zone()}
	}
	w.dialer.KeepAlive = -1
	w.dialer.FallbackDelay = -1
	w.dialer.SetMultipathTCP(false)
	return w
}

func (w *dialerWire) dial(id int, target netip.AddrPort) error {
	if !target.IsValid() || target.Port() == 0 {
		return errTarget
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.stop[id] = cancel
	w.running.Go(func() {
		ev := event{id: id, result: w.attempt(ctx, target)}
		select {
		case w.done <- ev:
		case <-ctx.Done():
		}
	})
	return nil
}

func (w *dialerWire) attempt(ctx context.Context, target netip.AddrPort) Result {
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	sent := time.Now()
	conn, err := w.dialer.DialContext(ctx, "tcp", target.String())
	rtt := time.Since(sent)
	r := decideDial(err, target.Addr())
	if err == nil {
		if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			r.Local = a.AddrPort()
		}
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		conn.Close()
	}
	if r.State != StateNotTested && r.Reason != ReasonNoResponse {
		r.RTT = rtt
	}
	return decideSelf(r, target)
}

// decideDial judges what net.Dialer says. Without an error queue a missing
// route of this host and a router's message look alike; the former is what
// ENETUNREACH nearly always is.
func decideDial(err error, target netip.Addr) Result {
	if err == nil {
		return decideErrno(0, target)
	}
	errno := errnoOf(err)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() && errno == 0 {
		errno = syscall.ETIMEDOUT
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH:
		return decideErrno(errno, target)
	}
	return notTested(err)
}

func (w *dialerWire) wait(until time.Time) ([]event, error) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case ev := <-w.done:
		w.forget(ev.id)
		w.out[0] = ev
		return w.out[:], nil
	case <-t.C:
		return nil, nil
	case <-w.ctx.Done():
		return nil, context.Cause(w.ctx)
	}
}

func (w *dialerWire) give(id int) Result {
	w.forget(id)
	return Result{State: StateFiltered, Reason: ReasonNoResponse}
}

// forget ends an attempt, unless that has been done: an answer may come in the
// moment in which it is given up.
func (w *dialerWire) forget(id int) {
	if stop := w.stop[id]; stop != nil {
		stop()
		delete(w.stop, id)
	}
}

func (w *dialerWire) close() {
	w.cancel()
	w.running.Wait()
	for id := range w.stop {
		w.forget(id)
	}
}
