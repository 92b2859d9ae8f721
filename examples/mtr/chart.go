package main

import (
	"time"

	"github.com/netsonde/netsonde/trace"
)

// chart is what became of the last probes to a hop.
type chart struct {
	rounds [chartLen]int // which round a place is of
	rtts   [chartLen]time.Duration
	newest int
}

const chartLen = 512

// lost stands for a probe without an answer.
const lost = -1

func (c *chart) add(round int, r trace.Reply) {
	i := round % chartLen
	c.rounds[i], c.rtts[i] = round, r.RTT
	if r.Outcome == trace.OutcomeSilent || r.Outcome == trace.OutcomeNotSent {
		c.rtts[i] = lost
	}
	c.newest = max(c.newest, round)
}

// last returns the results of the last n rounds up to the newest of all; 0
// where none is known.
func (c *chart) last(n, newest int) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		round := newest - n + 1 + i
		if round > 0 && c.rounds[round%chartLen] == round {
			out[i] = c.rtts[round%chartLen]
		}
	}
	return out
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// spark is a bar for a time, where most is the longest.
func spark(d, most time.Duration) rune {
	switch {
	case d == lost:
		return '?'
	case d == 0:
		return ' '
	}
	return blocks[min(len(blocks)-1, int(int64(d)*int64(len(blocks))/int64(max(1, most))))]
}
