package main

import (
	"context"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/examples/internal/hops"
	"github.com/netsonde/netsonde/trace"
)

// view is the live screen.
type view struct {
	*session
	screen tcell.Screen
	ctx    context.Context
	color  bool

	mode   int // 0 numbers, 1 charts, 2 both
	help   bool
	jitter bool
	paused bool
	scroll int

	cancel  context.CancelFunc
	stopped chan struct{} // closed when the watch has ended
}

// redrawEvery is how often the screen follows the numbers.
const redrawEvery = 200 * time.Millisecond

// live shows the screen, and the report when it is left.
func (w *session) live(ctx context.Context, t *cli.Tool) int {
	screen, err := tcell.NewScreen()
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		return w.instead(ctx, t, err.Error())
	}
	v := &view{session: w, screen: screen, ctx: ctx, mode: *w.mode, color: cli.Colors(t.Stdout).On()}
	func() {
		defer screen.Fini() // in a panic too
		v.loop()
	}()
	if *w.numeric && w.names != nil {
		defer w.names.Close()
	}
	if w.err != nil {
		return w.failed(t)
	}
	r := w.result()
	if len(r.Hops()) > 0 {
		w.printReport(t.Stdout, r)
		w.printVerdict(t.Stderr, r)
	}
	return cli.Yes
}

// loop draws and obeys keys until the end.
func (v *view) loop() {
	v.charts = map[int]*chart{}
	v.start()
	defer v.stop()
	ctx, done := context.WithCancel(v.ctx)
	clock := make(chan struct{})
	go func() {
		defer close(clock)
		v.tick(ctx)
	}()
	defer func() { done(); <-clock }()
	for {
		v.draw()
		switch ev := v.screen.PollEvent().(type) {
		case nil:
			return
		case *tcell.EventResize:
			v.screen.Sync()
		case *tcell.EventKey:
			if v.key(ev) {
				return
			}
		}
		if v.ctx.Err() != nil || v.over() {
			return
		}
	}
}

// tick wakes the loop now and then.
func (v *view) tick(ctx context.Context) {
	t := time.NewTicker(redrawEvery)
	defer t.Stop()
	for {
		// A full queue has other reasons to draw in it.
		_ = v.screen.PostEvent(tcell.NewEventInterrupt(nil))
		select {
		case <-ctx.Done():
			_ = v.screen.PostEvent(tcell.NewEventInterrupt(nil))
			return
		case <-t.C:
		}
	}
}

// start begins to watch, stop ends it. Both leave what was found.
func (v *view) start() {
	var ctx context.Context
	ctx, v.cancel = context.WithCancel(v.ctx)
	stopped := make(chan struct{})
	v.stopped = stopped
	v.idle = false
	go func() {
		defer close(stopped)
		v.watch(ctx, nil)
	}()
}

func (v *view) stop() {
	v.cancel()
	<-v.stopped
}

// over reports whether the watch has ended by itself.
func (v *view) over() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.idle && !v.paused
}

// key obeys a key and reports whether that was the last one.
func (v *view) key(ev *tcell.EventKey) (quit bool) {
	if ev.Key() == tcell.KeyCtrlC {
		v.left = true
		return true
	}
	if v.help {
		v.help = false
		return false
	}
	if ev.Key() == tcell.KeyCtrlL {
		v.screen.Sync()
		return false
	}
	switch ev.Rune() {
	case 'q', 'Q':
		return true
	case 'h', 'H', '?':
		v.help = true
	case 'j', 'J':
		v.toggleJitter()
	case 'd', 'D':
		v.mode = (v.mode + 1) % 3
	case 'n', 'N':
		v.toggleNames()
	case 'e', 'E':
		*v.mpls = !*v.mpls
	case 'y', 'Y':
		v.show((*v.info+2)%(int(hops.Origins)+1) - 1)
	case 'z', 'Z':
		if *v.info < 0 {
			v.show(int(hops.OriginAS))
		} else {
			v.show(-1)
		}
	case 'r', 'R':
		v.restart()
	case 'p', 'P':
		v.pause(true)
	case ' ':
		v.pause(!v.paused)
	case '+':
		v.scroll += v.page() / 2
	case '-':
		v.scroll = max(0, v.scroll-v.page()/2)
	}
	return false
}

// toggleNames shows addresses instead of names, or the other way round.
func (v *view) toggleNames() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.names == nil {
		v.names = cli.NewNames(v.ctx)
		return
	}
	v.plain = !v.plain
}

// show has what is known of addresses shown, -1 nothing.
func (v *view) show(info int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if *v.info = info; info >= 0 {
		_ = v.ask(v.ctx) // without a server there is nothing to show
	}
}

func (v *view) toggleJitter() {
	v.jitter = !v.jitter
	order := *v.order
	if v.jitter {
		order = jittery
	}
	v.fields, _ = fieldsOf(order)
}

// pause stops the watch, keeping what it found, or begins another one.
func (v *view) pause(on bool) {
	if on == v.paused {
		return
	}
	if on {
		v.paused = true
		v.stop()
		v.past.Merge(&v.now)
		v.now = trace.Report{}
		return
	}
	v.paused = false
	v.start()
}

// restart forgets everything.
func (v *view) restart() {
	v.stop()
	v.mu.Lock()
	v.past, v.now = trace.Report{}, trace.Report{}
	clear(v.charts)
	v.mu.Unlock()
	v.started = time.Now()
	if !v.paused {
		v.start()
	}
}
