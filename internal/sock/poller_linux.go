package sock

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Poller waits on many sockets from one goroutine and wakes when its context
// ends. It is not safe for concurrent use.
type Poller struct {
	epfd, wakefd int
	ctx          context.Context
	stop         func() bool
	woken        chan struct{}
	events       [128]unix.EpollEvent
}

// NewPoller returns a Poller that wakes when ctx ends. Close it.
func NewPoller(ctx context.Context) (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, err
	}
	p := &Poller{epfd: epfd, wakefd: wakefd, ctx: ctx, woken: make(chan struct{})}
	p.stop = context.AfterFunc(ctx, func() {
		defer close(p.woken)
		unix.Write(wakefd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	if err := p.Add(wakefd, unix.EPOLLIN); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Add watches a descriptor, level-triggered. EPOLLERR, which an error queue
// that is not empty raises, is always reported. Closing a descriptor removes it.
func (p *Poller) Add(fd int, events uint32) error {
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// Modify changes what a descriptor is watched for.
func (p *Poller) Modify(fd int, events uint32) error {
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// Wait returns the descriptors that have something to tell, none when the
// deadline has passed (the zero time is no deadline), and context.Cause when
// the context ends. The slice is valid until the next call.
func (p *Poller) Wait(deadline time.Time) ([]unix.EpollEvent, error) {
	for {
		if p.ctx.Err() != nil {
			return nil, context.Cause(p.ctx)
		}
		ms := -1
		if !deadline.IsZero() {
			// Round up: waking a moment early would spin.
			ms = int(max(0, (time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
		}
		n, err := unix.EpollWait(p.epfd, p.events[:], ms)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if p.ctx.Err() != nil {
			return nil, context.Cause(p.ctx)
		}
		return p.events[:n], nil
	}
}

// Close releases the Poller, not the descriptors that it watched.
func (p *Poller) Close() {
	if !p.stop() {
		<-p.woken // the wake-up must not write to a number that is used again
	}
	unix.Close(p.wakefd)
	unix.Close(p.epfd)
}
