package trace

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

func watch(ctx context.Context, m Method, dst netip.Addr, o Options, wo *WatchOptions, yield func(Probe) bool) error {
	dst = destination(dst)
	op := "trace: watch " + m.String()
	o, err := o.complete(m)
	opts, werr := wo.withDefaults()
	switch {
	case err == nil && werr != nil:
		err = werr
	case err == nil && !dst.IsValid():
		err = errors.New("no target address")
	case err == nil && m == MethodTCP && o.SourcePort != 0:
		err = errors.New("connections from one port to one target cannot be at once")
	case err == nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		return operr.New(op, dst, err)
	}
	w, n, end, err := open(ctx, m, dst, o)
	if err != nil {
		return operr.New(op, dst, err)
	}
	defer end()
	watcher := newWatcher(o, opts, Probe{Target: dst, Method: m, Port: o.Port})
	err = watcher.run(w, time.Now, func(p Probe) bool {
		p.Source = n.local
		return yield(p)
	})
	return operr.New(op, dst, err)
}
