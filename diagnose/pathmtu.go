package diagnose

import (
	"context"
	"fmt"
	"time"

	"github.com/netsonde/netsonde/trace"
)

// mtuPatience bounds the search for a black hole of large packets, once the
// goal was reached: small packets get there.
const mtuPatience = time.Second

// beforeMTU is how many packets may have been sent before that search, which
// takes up to a hundred.
const beforeMTU = MaxPackets / 3

// etherMTU is what nearly all hosts have: their TCP never asks for longer
// packets (RFC 9293, 3.7.1), so that no connection to them misses jumbo frames.
const etherMTU = 1500

// mtuFact tries how large packets may be. That routers say so when they are
// too large is in order; that they vanish is a black hole (RFC 2923), for
// which connections open and then hang.
func (g *gatherer) mtuFact(ctx context.Context, e *evidence) Fact {
	if g.tools.mtu == nil || e.self || !e.gateway.IsValid() {
		return Fact{}
	}
	f := e.fact(FactMTU)
	f.Scope.Port, f.Command = 0, "tracepath -n "+f.Subject
	if g.spent() > beforeMTU {
		f.Why = "the other probes took most of the packets that a run may send"
		return f
	}
	p, err := g.tools.mtu.FindMTU(ctx, e.peer.addr)
	g.count(p.Packets)
	switch {
	case err != nil && p.MTU == 0:
		f.Why, f.Need = err.Error(), needOf(err)
		return f
	case p.MTU == 0 || !p.Reached:
		f.Why = "the host answers no packet whose size could be tried"
		return f
	}
	for _, s := range p.Steps {
		if s.How != trace.MTUSilent && s.How != trace.MTUWrong {
			continue
		}
		f.State, f.Value, f.At, f.Detail = No, fmt.Sprint(s.MTU), s.From, s.String()
		if f.Neutral = s.MTU >= etherMTU; !f.Neutral {
			return f
		}
	}
	if f.Neutral {
		return f
	}
	if !p.Exact {
		f.Why = "the search did not end in time: " + p.Why
		return f
	}
	f.State, f.Value, f.Detail = Yes, fmt.Sprint(p.MTU), fmt.Sprintf("packets of up to %d bytes get to %s", p.MTU, f.Subject)
	return f
}

// translationFacts are what the traces show beside the cause: neutral, for a
// translator or another way back is no fault, but good to know.
func (e *evidence) translationFacts() (facts []Fact) {
	paths := e.paths()
	for i, p := range paths {
		for _, x := range p.Findings(append(paths[:i:i], paths[i+1:]...)...) {
			f := e.fact("")
			f.Neutral, f.State, f.Detail, f.At, f.Scope.Port = true, No, x.Why, x.From, 0
			f.Command = "traceroute -n " + f.Subject
			switch x.Kind {
			case trace.FindingNAT:
				f.Name = FactNAT
			case trace.FindingAsymmetric:
				f.Name = FactSymmetric
			default:
				continue
			}
			facts = append(facts, f)
		}
	}
	return facts
}
