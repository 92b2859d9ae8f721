package diagnose

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/netsonde/netsonde/link"
	"github.com/netsonde/netsonde/sockets"
)

const (
	// samplePatience bounds the questions to the drivers: the registers of
	// some cards take 0.1 s.
	samplePatience = 300 * time.Millisecond
	// maxSampled bounds the interfaces that are looked at in depth.
	maxSampled = 8
	// fewDropped is how many packets the reverse path filter drops at least
	// when it drops what answers the probes; fewer may be anybody's.
	fewDropped = 3
)

// observer sees what changes on this host while the probes are under way.
type observer struct {
	g        *gatherer
	wg       sync.WaitGroup
	before   map[string]link.Snapshot
	counters []sockets.CounterGroup
}

// observe begins: the samples are taken while the run goes on.
func (g *gatherer) observe(ctx context.Context) *observer {
	o := &observer{g: g, before: map[string]link.Snapshot{}}
	var names []string
	for i := range g.host.links {
		if l := &g.host.links[i]; !l.Loopback() && l.AdminUp() && len(names) < maxSampled {
			names = append(names, l.Name)
		}
	}
	if g.tools.counters != nil {
		if all, err := g.tools.counters.Counters(ctx); err == nil {
			o.counters = all // a part of them would seem to have grown from nothing
		}
	}
	if g.tools.sampler != nil {
		o.wg.Go(func() {
			for _, name := range names {
				if s, ok := g.sample(ctx, name); ok {
					o.before[name] = s
				}
			}
		})
	}
	return o
}

func (g *gatherer) sample(ctx context.Context, name string) (link.Snapshot, bool) {
	ctx, cancel := context.WithTimeout(ctx, samplePatience)
	defer cancel()
	s, err := g.tools.sampler.Sample(ctx, name)
	return s, s.Link.Index != 0 && (err == nil || s.Report != nil || s.Link.Name != "")
}

// linkFacts says what is wrong with the interfaces that matter beyond being
// off or unplugged: what was counted on them meanwhile, and what they say of
// their cable, their partner and their module.
func (o *observer) linkFacts(ctx context.Context, wanted []string) (facts []Fact) {
	o.wg.Wait()
	if o.g.tools.sampler == nil {
		return nil
	}
	for _, name := range wanted {
		l := o.g.host.link(name)
		if l == nil || l.Loopback() {
			continue
		}
		f := Fact{Name: FactSound, Subject: name, Scope: Scope{Iface: name}, Command: "ethtool -S " + name}
		after, ok := o.g.sample(ctx, name)
		if !ok {
			f.Why, f.Neutral = "the driver of "+name+" did not answer in time", true
			facts = append(facts, f)
			continue
		}
		sound := true
		for _, x := range link.Findings(o.before[name], after) {
			if after.Link.Carrier == link.CarrierOff && ofLink(x.Kind) {
				continue
			}
			s := soundFact(f, x)
			if s.Name == "" {
				continue
			}
			s.Neutral = s.Neutral || x.Kind == link.FindingErrors && !wired(after.Link.Kind)
			facts = append(facts, s)
			sound = sound && !s.Anomaly() && x.Kind != link.FindingErrors
		}
		if sound {
			f.State, f.Detail = Yes, "no error was counted on "+name+" during the run"
			facts = append(facts, f)
		}
	}
	return facts
}

// wired reports whether an interface of a kind is a card, or made of cards. A
// tunnel counts as errors what it has no way for, such as multicast.
func wired(kind string) bool { return kind == "" || kind == "bond" || kind == "team" }

// ofLink reports findings about the mode of a link. Without one, some drivers
// tell the least that there is, such as half duplex.
func ofLink(k link.FindingKind) bool {
	return k == link.FindingHalfDuplex || k == link.FindingDuplexMismatch || k == link.FindingSlow || k == link.FindingClock
}

// soundFact turns a finding about an interface into a fact. Packets that this
// host throws away are told and not blamed: most are of protocols that nobody
// here speaks.
func soundFact(f Fact, x link.Finding) Fact {
	f.State, f.Value, f.Detail = No, x.Kind.String(), x.Text
	switch x.Kind {
	case link.FindingNoLink, link.FindingVirtualSpeed:
		return Fact{} // the one is a fact of its own, the other no fault
	case link.FindingDrops:
		f.Neutral = true
	case link.FindingErrors, link.FindingFlapping:
		f.Command = "ip -s link show " + f.Subject
	case link.FindingModule:
		f.Command = "ethtool -m " + f.Subject
	default:
		f.Command = "ethtool " + f.Subject
	}
	return f
}

// noLinkWhy is what the driver says about a link that is not there.
func (o *observer) noLinkWhy(name string) string {
	o.wg.Wait()
	for _, x := range link.Findings(link.Snapshot{}, o.before[name]) {
		if x.Kind == link.FindingNoLink {
			return x.Text
		}
	}
	return ""
}

// stackFacts says what the network stack counted meanwhile.
func (o *observer) stackFacts(ctx context.Context, peers []*evidence) (facts []Fact) {
	if o.g.tools.counters == nil {
		return nil
	}
	now, err := o.g.tools.counters.Counters(ctx)
	if err != nil || len(o.counters) == 0 {
		return nil
	}
	grown := func(names ...string) (n int64) {
		for _, name := range names {
			n += max(0, counterOf(now, name)-counterOf(o.counters, name))
		}
		return n
	}
	if n := grown("TCPAbortOnMemory", "TCPMemoryPressures"); n > 0 {
		facts = append(facts, Fact{
			Name: FactMemory, Subject: "this host", State: No, Command: "nstat -az | grep -i memory",
			Detail: fmt.Sprintf("TCP ran short of memory %d times during the run", n),
		})
	}
	n := grown("IPReversePathFilter")
	for _, e := range peers {
		if n < fewDropped || e.self || e.peer.family() != 4 || !e.silent() || e.complete() != "" || !o.anotherWay(e.iface) {
			continue
		}
		f := e.fact(FactReverse)
		f.State, f.Command = No, "nstat -az TcpExtIPReversePathFilter"
		f.Detail = fmt.Sprintf("the reverse path filter of this host dropped %d packets during the run", n)
		facts = append(facts, f)
	}
	return facts
}

// anotherWay reports whether answers could come in by another interface.
func (o *observer) anotherWay(than string) bool {
	return slices.ContainsFunc(o.g.host.links, func(l link.Link) bool {
		return l.Name != than && !l.Loopback() && working(&l)
	})
}

func counterOf(groups []sockets.CounterGroup, name string) int64 {
	for _, g := range groups {
		if v, ok := g.Value(name); ok {
			return v
		}
	}
	return 0
}

// resendingFact says whether connections of this host to the peer wait for
// acknowledgements: others suffer from what the run looks for.
func (g *gatherer) resendingFact(ctx context.Context, e *evidence) Fact {
	if g.tools.connections == nil || e.self || e.peer.port == 0 {
		return Fact{}
	}
	list, err := g.tools.connections.Connections(ctx)
	if err != nil {
		return Fact{}
	}
	f := e.fact(FactResending)
	f.Subject, f.Neutral, f.Command = e.peer.String(), true, "ss -tno dst "+e.peer.addr.String()
	all, waiting := 0, 0
	for _, s := range list {
		if s.Remote.Addr().Unmap() == e.peer.addr && slices.Contains([]sockets.State{sockets.StateEstablished, sockets.StateFinWait1}, s.State) {
			all++
			if s.Retransmits > 0 {
				waiting++
			}
		}
	}
	switch {
	case all == 0:
		return Fact{}
	case waiting == 0:
		f.State, f.Detail = Yes, fmt.Sprintf("no connection to %s (of %d) waits for an acknowledgement", e.peer.addr, all)
	default:
		f.State, f.Detail = No, fmt.Sprintf("%d of %d connections to %s send again what was not acknowledged", waiting, all, e.peer.addr)
	}
	return f
}
