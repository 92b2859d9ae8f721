package trace

import (
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

var errNoTarget = errors.New("no target address")

// trace makes one trace.
func (e *rawEngine) trace(ctx context.Context, m Method, dst netip.Addr, o Options) (Path, error) {
	return e.one(ctx, m, dst, o, nil)
}

// one makes one trace. Tell, which may be nil, gets each hop and returns
// whether it wants more.
func (e *rawEngine) one(ctx context.Context, m Method, dst netip.Addr, o Options, tell func(Hop) bool) (Path, error) {
	dst = destination(dst)
	op := "trace: " + m.String()
	o, err := e.settle(m, o)
	path := Path{Target: dst, Method: m, Port: o.Port, Hops: []Hop{}, Started: time.Now()}
	switch {
	case err != nil:
	case !dst.IsValid():
		err = errNoTarget
	case !e.net.has(dst.Is6()):
		err = errNoFamily
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		return path, operr.New(op, dst, err)
	}
	a := newAudience()
	t, err := e.begin(m, dst, o, a, tell != nil)
	if err != nil {
		return path, operr.New(op, dst, err)
	}
	for more := true; more; {
		if err = e.await(ctx, a); err != nil {
			break
		}
		done, told := a.take()
		for _, h := range told {
			if more = tell(h); !more {
				break
			}
		}
		if len(done) > 0 {
			return t.path, nil
		}
	}
	e.abandon(a)
	return t.path, operr.New(op, dst, err)
}

// abandon ends the traces that an audience still has under way.
func (e *rawEngine) abandon(a *audience) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.admit()
	for t := range a.under {
		e.finish(t)
	}
	if e.ready.len() > 0 { // it was another one's turn
		e.net.wake()
	}
}

func (e *rawEngine) hops(ctx context.Context, m Method, dst netip.Addr, o Options) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		more := true
		_, err := e.one(ctx, m, dst, o, func(h Hop) bool {
			more = yield(h, nil)
			return more
		})
		if more && err != nil {
			yield(Hop{}, err)
		}
	}
}

// all makes many traces, so many at once as the options say.
func (e *rawEngine) all(ctx context.Context, m Method, targets iter.Seq[netip.Addr], o Options) iter.Seq2[Path, error] {
	return func(yield func(Path, error) bool) {
		op := "trace: " + m.String()
		o, err := e.settle(m, o)
		if err != nil {
			yield(Path{}, operr.New(op, nil, err))
			return
		}
		next, stop := iter.Pull(targets)
		defer stop()
		a := newAudience()
		defer e.abandon(a)
		under := 0 // taken from the targets and not yet yielded
		for more := true; more || under > 0; {
			for more && under < e.opt.Parallel {
				dst, ok := next()
				if more = ok; !ok {
					break
				}
				if err = e.start(m, dst, o, a); err != nil {
					yield(Path{}, operr.New(op, dst, err))
					return
				}
				under++
			}
			if under == 0 {
				return
			}
			if err = e.await(ctx, a); err != nil {
				yield(Path{}, operr.New(op, nil, err))
				return
			}
			done, _ := a.take()
			for _, t := range done {
				under--
				if !yield(t.path, nil) {
					return
				}
			}
		}
	}
}

func (e *rawEngine) start(m Method, dst netip.Addr, o Options, a *audience) error {
	if dst = destination(dst); !dst.IsValid() {
		return errNoTarget
	}
	_, err := e.begin(m, dst, o, a, false)
	return err
}

// take returns what an audience has got.
func (a *audience) take() (done []*tracing, told []Hop) {
	a.mu.Lock()
	defer a.mu.Unlock()
	done, told = a.done, a.told
	a.done, a.told = nil, nil
	return done, told
}

// await waits until something is there for an audience, driving the engine
// when nobody else does.
func (e *rawEngine) await(ctx context.Context, a *audience) error {
	select {
	case <-a.notify:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.closing:
		return e.gone()
	case <-e.token:
	}
	defer func() {
		e.pair.all.Wait()
		e.token <- struct{}{}
	}()
	stop := context.AfterFunc(ctx, e.net.wake)
	defer stop()
	for {
		select {
		case <-a.notify:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.closing:
			return e.gone()
		default:
			e.step()
		}
	}
}

// shut makes everybody leave.
func (e *rawEngine) shut() {
	if !e.closed {
		e.closed = true
		close(e.closing)
	}
}

// gone returns why the engine is of no more use, once closing is closed.
func (e *rawEngine) gone() error {
	if e.failed != nil {
		return e.failed
	}
	return net.ErrClosed
}

func (e *rawEngine) close() error {
	e.mu.Lock()
	again := e.released
	e.released = true
	e.shut()
	e.mu.Unlock()
	if again {
		return net.ErrClosed
	}
	e.net.wake()
	<-e.token // nobody uses the sockets from here on
	return e.net.close()
}
