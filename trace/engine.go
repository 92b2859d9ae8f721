package trace

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/netsonde/netsonde/internal/operr"
)

// EngineOptions are what an [Engine] is opened with. The zero value of each
// field means the default given.
type EngineOptions struct {
	// Methods are what the engine can trace with, default all three. Each
	// costs descriptors, see [Engine].
	Methods []Method
	// Family is 4 or 6 for an engine of one family only; 0 is both, where a
	// family that this host does not have is left out.
	Family int
	// Rate bounds the probes a second of all traces together, default 1000,
	// with a burst of what belongs to 20 ms, but at least 16. Negative: no bound.
	Rate float64
	// Parallel is how many traces a Map has under way at once, default 1024.
	// Each takes about 10 kB of memory.
	Parallel int

	Device string     // send and listen on this interface only (SO_BINDTODEVICE)
	Mark   uint32     // firewall mark (SO_MARK)
	Source netip.Addr // local address, of one family, of all probes; default: the kernel's choice
	NetNS  int        // descriptor of a network namespace (needs CAP_SYS_ADMIN); 0: the caller's
}

// Engine makes any number of traces at once through a few raw sockets, which
// needs CAP_NET_RAW; [UDP], [TCP] and [ICMP] do the same without, with sockets
// and a goroutine for each trace. Its methods may be called by any number of
// goroutines at the same time. It has no goroutine of its own: of those that
// wait for a trace, one sends and receives for all, and starts another to send
// with it what is much, where there are two processors.
//
// However many traces there are, the descriptors are one to wake up, one a
// family for ICMP (raw(7)), and
//
//	UDP   one, bound to the source port of all probes, for both families
//	TCP   one in the same way, and one a family for what the target answers
//
// so that an engine for UDP needs four, and one for TCP in one family four. All
// methods in both families need seven. One more is open for moments in
// which traces begin, to ask the kernel for source addresses; an engine in a
// namespace other than that of the process keeps it.
//
// The bound ports keep the kernel from giving them to anybody else. Answers
// are matched by 32 random bits in the part of a probe that every router
// quotes, and by 48 more where the payload comes back. A filter in the kernel
// (BPF) keeps away what is not about probes of the engine.
//
// # What differs from the methods without privileges
//
// The flow of every method is constant, that of TCP included. The kernel
// knows nothing of the SYNs, so it does not repeat them, and answers SYN-ACK
// with a reset. Since an open port answers one SYN of a flow at a time, TCP
// traces of an engine to the same address and port take turns, and more than
// one query a TTL is asked a second apart unless the first has been answered.
// Where something answers UDP probes with data that does not repeat them,
// probes go one by one. A probe longer than the interface takes is not sent.
type Engine struct{ raw *rawEngine }

// Open opens an engine. The sockets belong to the network namespace of the
// calling thread, or that of NetNS. A refusal unwraps to [os.ErrPermission]
// and says which capability it needs. Close the engine.
func Open(o *EngineOptions) (*Engine, error) {
	var opt EngineOptions
	if o != nil {
		opt = *o
	}
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, operr.New("trace: open", nil, err)
	}
	n, err := openRaw(opt)
	if err != nil {
		return nil, operr.New("trace: open", nil, err)
	}
	return &Engine{newRawEngine(n, opt)}, nil
}

func (o EngineOptions) withDefaults() (EngineOptions, error) {
	if len(o.Methods) == 0 {
		o.Methods = []Method{MethodUDP, MethodTCP, MethodICMP}
	}
	for _, m := range o.Methods {
		if m < MethodUDP || m > MethodICMP {
			return o, fmt.Errorf("an engine has no method %v", m)
		}
	}
	if o.Rate == 0 {
		o.Rate = 1000
	}
	if o.Parallel == 0 {
		o.Parallel = 1024
	}
	o.Source = o.Source.Unmap()
	switch {
	case o.Family != 0 && o.Family != 4 && o.Family != 6:
		return o, fmt.Errorf("there is no family %d", o.Family)
	case o.Parallel < 1 || o.Parallel > 1<<14:
		return o, fmt.Errorf("%d traces at once are not between 1 and %d", o.Parallel, 1<<14)
	case !o.Source.IsValid():
	case o.Family == 0 && o.Source.Is4():
		o.Family = 4
	case o.Family == 0:
		o.Family = 6
	case (o.Family == 4) != o.Source.Is4():
		return o, fmt.Errorf("source address %v is not of IPv%d", o.Source, o.Family)
	}
	return o, nil
}

// Tracer returns a tracer that works by this method through the engine, with
// these options. It costs nothing. Device, Mark, NetNS and SourcePort are the
// engine's and must not be set, Source may be.
func (e *Engine) Tracer(m Method, o Options) *EngineTracer { return &EngineTracer{e.raw, m, o} }

// Close closes the sockets. Traces under way end with [net.ErrClosed], and so
// does a second Close.
func (e *Engine) Close() error { return operr.New("trace: close", nil, e.raw.close()) }

// EngineTracer is a [Tracer] that an [Engine] works for. It is safe for
// concurrent use.
type EngineTracer struct {
	raw    *rawEngine
	method Method
	opt    Options
}

// Trace finds the path to dst.
func (t *EngineTracer) Trace(ctx context.Context, dst netip.Addr) (Path, error) {
	return t.raw.trace(ctx, t.method, dst, t.opt)
}

// Hops gives each hop as soon as it is known, as [UDP.Hops] does.
func (t *EngineTracer) Hops(ctx context.Context, dst netip.Addr) iter.Seq2[Hop, error] {
	return t.raw.hops(ctx, t.method, dst, t.opt)
}

// Map traces to every target, EngineOptions.Parallel of them at once, and
// gives each path when it is complete, in the order of their coming. Targets
// are taken as they are needed. A target that this host cannot reach, for
// want of its family too, is a path with EndNotSent.
//
// Results that are not taken hold up the other traces of the Map, and their
// probes wait in the sockets' buffers, unless another goroutine waits for a
// trace of the engine as well.
//
// Each pair is a path and nil, or, as the last one, a zero path and an error:
// the cause of ctx when that has ended, [net.ErrClosed], or an address that is
// none. Breaking out forgets the traces under way. The sequence can be used
// once.
func (t *EngineTracer) Map(ctx context.Context, targets iter.Seq[netip.Addr]) iter.Seq2[Path, error] {
	return t.raw.all(ctx, t.method, targets, t.opt)
}

// settle checks and completes the options of a trace.
func (e *rawEngine) settle(m Method, o Options) (Options, error) {
	if o.Device != "" || o.Mark != 0 || o.NetNS != 0 || o.SourcePort != 0 {
		return o, errors.New("device, mark, network namespace and source port are the engine's")
	}
	if o.Flow == FlowPerProbe {
		return o, errors.New("an engine's flows are constant")
	}
	if !slices.Contains(e.opt.Methods, m) {
		return o, fmt.Errorf("the engine was not opened for method %v", m)
	}
	if o.Source = o.Source.Unmap(); !o.Source.IsValid() {
		o.Source = e.opt.Source
	}
	return o.withDefaults(m)
}
