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
	e.ready.push(t)
}

// queue is first in, first out.
type queue struct {
	all  []*tracing
	head int
}

func (q *queue) len() int { return len(q.all) - q.head }

func (q *queue) push(t *tracing) {
	if q.head > 0 && len(q.all) == cap(q.all) {
		n := copy(q.all, q.all[q.head:])
		clear(q.all[n:])
		q.all, q.head = q.all[:n], 0
	}
	q.all = append(q.all, t)
}

func (q *queue) pop() *tracing {
	t := q.all[q.head]
	q.all[q.head] = nil
	if q.head++; q.head == len(q.all) {
		q.all, q.head = q.all[:0], 0
	}
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
