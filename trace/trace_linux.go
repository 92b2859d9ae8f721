package trace

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

func trace(ctx context.Context, m Method, dst netip.Addr, o Options, tell func(Hop) bool) (Path, error) {
	dst = destination(dst)
	op := "trace: " + m.String()
	o, err := o.complete(m)
	path := Path{Target: dst, Method: m, Port: o.Port, Hops: []Hop{}, Started: time.Now()}
	if err == nil && !dst.IsValid() {
		err = errors.New("no target address")
	}
	if err != nil {
		return path, operr.New(op, dst, err)
	}
	if ctx.Err() != nil {
		return path, operr.New(op, dst, context.Cause(ctx))
	}
	w, n, end, err := open(ctx, m, dst, o)
	if err != nil {
		return path, operr.New(op, dst, err)
	}
	defer end()
	p := newPlan(o, dst, m == MethodTCP)
	p.turns = m == MethodTCP && o.SourcePort != 0
	p.tell = tell
	err = run(p, w, time.Now)
	started := path.Started
	n.closeFlights()
	path = p.path(n.repeats)
	path.Method, path.Flow, path.Source = m, n.flow, n.local
	path.Started, path.Elapsed = started, time.Since(started)
	return path, operr.New(op, dst, err)
}

// open returns what a method sends with, and what closes it.
func open(ctx context.Context, m Method, dst netip.Addr, o Options) (w wire, n *network, end func(), err error) {
	if m == MethodTCP && o.Flow == FlowConstant && o.SourcePort == 0 {
		return nil, nil, nil, errors.New("connections cannot share a source port: a constant flow of TCP takes an Engine, or a SourcePort")
	}
	if o.DontRoute && dst.Is6() {
		return nil, nil, nil, errors.New("the kernel does not heed SO_DONTROUTE for IPv6")
	}
	if m == MethodICMP {
		i, err := newICMPWire(ctx, dst, o)
		if err != nil {
			return nil, nil, nil, err
		}
		return i, i.network, i.end, nil
	}
	if n, err = newNetwork(ctx, m, dst, o); err != nil {
		return nil, nil, nil, err
	}
	if m == MethodUDP {
		u := newUDPWire(n)
		if o.Flow == FlowPerProbe {
			u.split()
		}
		return u, n, func() { u.closeShared(); n.close() }, nil
	}
	return &tcpWire{n}, n, n.close, nil
}
