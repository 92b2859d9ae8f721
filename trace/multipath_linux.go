package trace

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/multipath"
	"github.com/netsonde/netsonde/internal/operr"
)

func explore(ctx context.Context, m Method, dst netip.Addr, o Options, mo *MultipathOptions) (Graph, error) {
	dst = destination(dst)
	op := "trace: multipath " + m.String()
	o, err := o.forMultipath(m)
	more, moreErr := mo.withDefaults()
	g := Graph{
		Target: dst, Method: m, Port: o.Port, Algorithm: more.Algorithm, Failure: more.Failure, Bound: 1, Started: time.Now(),
		Vertices: []Vertex{}, Edges: []Edge{}, Diamonds: []Diamond{}, Paths: []FlowPath{},
	}
	if err == nil {
		err = moreErr
	}
	switch {
	case err != nil:
	case !dst.IsValid():
		err = errors.New("no target address")
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		return g, operr.New(op, dst, err)
	}
	w, err := newFlowWire(ctx, m, dst, o)
	if err != nil {
		return g, operr.New(op, dst, err)
	}
	defer w.close()
	c := more.config(m, o)
	r, err := multipath.Run(c, w, time.Now)
	g.fill(r, w.first, w.name)
	g.finish(r.Stop, o.MaxTTL)
	g.Source, g.Elapsed = w.network().local, time.Since(g.Started)
	return g, operr.New(op, dst, err)
}

// flowWire is the wire of an exploration: probes of many flows.
type flowWire struct {
	sender
	method Method
	sent   []flowProbe // by number
	first  map[answerKey]Reply
	out    []multipath.Answer
}

// flowProbe is where a probe went.
type flowProbe struct{ flow, ttl int }

// sender sends the probes of many flows by one method.
type sender interface {
	wire
	// sendFlow lets a probe of a flow out.
	sendFlow(id, flow, ttl int) error
	name(flow int) FlowID
	network() *network
	close()
}

func newFlowWire(ctx context.Context, m Method, dst netip.Addr, o Options) (*flowWire, error) {
	var s sender
	var err error
	switch m {
	case MethodICMP:
		s, err = newICMPFlows(ctx, dst, o)
	case MethodTCP:
		s, err = newTCPFlows(ctx, dst, o)
	default:
		s, err = newUDPFlows(ctx, dst, o)
	}
	if err != nil {
		return nil, err
	}
	return &flowWire{sender: s, method: m, first: map[answerKey]Reply{}}, nil
}

// Send implements multipath.Wire.
func (w *flowWire) Send(id, flow, ttl int) error {
	err := w.sendFlow(id, flow, ttl)
	if err == nil {
		w.sent = append(w.sent, flowProbe{flow, ttl})
	}
	return err
}

// Wait implements multipath.Wire. That this host kept a probe inside ends the
// exploration: it says nothing about the network.
func (w *flowWire) Wait(until time.Time) ([]multipath.Answer, error) {
	answers, err := w.wait(until)
	w.out = w.out[:0]
	for _, a := range answers {
		r := a.reply
		switch {
		case a.unclear:
			w.out = append(w.out, multipath.Answer{Unclear: true})
			continue
		case r.Outcome == OutcomeNotSent && r.Errno != 0:
			return nil, operr.New(r.Err, nil, r.Errno)
		case r.Outcome == OutcomeNotSent:
			return nil, errors.New(r.Err)
		case a.id >= len(w.sent):
			continue
		}
		key := answerKey{w.sent[a.id].ttl, r.From, r.Outcome.final()}
		if _, ok := w.first[key]; !ok {
			w.first[key] = r
		}
		w.out = append(w.out, multipath.Answer{ID: a.id, From: r.From, RTT: r.RTT, Final: key.final})
	}
	return w.out, err
}

// Forget implements multipath.Wire.
func (w *flowWire) Forget(id int) { w.forget(id) }

// Transient implements multipath.Wire.
func (w *flowWire) Transient(err error) bool { return w.transient(err) }

// Split implements multipath.Wire.
func (w *flowWire) Split() { w.split() }
