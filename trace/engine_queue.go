package trace

import (
	"container/heap"
	"time"
)

// push puts a trace in the queue of those that have something to do.
func (e *rawEngine) push(t *tracing) {
	if t.queued || t.done || !t.turn {
		return
	}
	if t.at >= 0 {
		heap.Remove(&e.timers, t.at)
	}
	t.queued = true
	if e.head > 0 && len(e.ready) == cap(e.ready) {
		n := copy(e.ready, e.ready[e.head:])
		clear(e.ready[n:])
		e.ready, e.head = e.ready[:n], 0
	}
	e.ready = append(e.ready, t)
}

func (e *rawEngine) pop() *tracing {
	t := e.ready[e.head]
	e.ready[e.head] = nil
	e.head++
	if e.head == len(e.ready) {
		e.ready, e.head = e.ready[:0], 0
	}
	t.queued = false
	return t
}

// sleep puts a trace aside until a time.
func (e *rawEngine) sleep(t *tracing, until time.Time) {
	t.wake = until
	if t.at >= 0 {
		heap.Fix(&e.timers, t.at)
		return
	}
	heap.Push(&e.timers, t)
}

// timers are the traces that wait for a time, the next one first.
type timers []*tracing

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].wake.Before(h[j].wake) }
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *timers) Push(x any) {
	t := x.(*tracing)
	t.at = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.at = -1
	return t
}
