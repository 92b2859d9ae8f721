package trace

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/operr"
)

func trace(ctx context.Context, m Method, dst netip.Addr, o Options) (Path, error) {
	dst = dst.Unmap()
	op := "trace: " + m.String()
	o, err := o.withDefaults(m)
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
	typ := unix.SOCK_DGRAM
	if m == MethodTCP {
		typ = unix.SOCK_STREAM
	}
	n, err := newNetwork(ctx, typ, dst, o)
	if err != nil {
		return path, operr.New(op, dst, err)
	}
	defer n.close()
	var w wire = &tcpWire{n}
	if m == MethodUDP {
		u := newUDPWire(n)
		defer u.closeShared()
		w = u
	}
	p := newPlan(o, dst, m == MethodTCP)
	err = run(p, w, time.Now)
	started := path.Started
	n.closeFlights()
	path = p.path(n.repeats)
	path.Method, path.Flow, path.Source = m, n.flow, n.local
	path.Started, path.Elapsed = started, time.Since(started)
	return path, operr.New(op, dst, err)
}
