package diagnose

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
)

const (
	// othersPatience is how long the other addresses of a name may take once
	// one of them works: a lost first packet is sent again after a second.
	othersPatience = 1300 * time.Millisecond
	// maxDeep bounds the addresses that the reasons are looked for at, for the
	// sake of the packets; the others have their own answer and a ping.
	maxDeep = 2
)

// reach tries the addresses of the target. It returns the evidence that the
// report is about: that of the address that was reached, or, when none was, of
// all that there is a way to; and what is to be said about the others.
func (g *gatherer) reach(ctx context.Context, addrs []netip.Addr) ([]*evidence, []Fact) {
	var all, routed []*evidence
	families := g.configuredFamilies()
	for _, a := range addrs[:min(len(addrs), maxTried)] {
		e := g.evidenceFor(ctx, peer{role: RoleTarget, addr: a, port: g.target.Port})
		if len(addrs) == 1 || slices.Contains(families, e.peer.family()) {
			all = append(all, e)
		}
		if e.usable() {
			routed = append(routed, e)
		}
	}
	if len(routed) == 0 {
		if len(all) == 0 { // of a family that this host does not have
			all = append(all, g.evidenceFor(ctx, peer{role: RoleTarget, addr: addrs[0], port: g.target.Port}))
		}
		return all, nil
	}
	e := g.knock(ctx, routed)
	if i := slices.IndexFunc(routed, (*evidence).works); e == nil && i >= 0 {
		e = routed[i] // there, and silent to ping
	}
	if e == nil {
		return routed, nil
	}
	var others []Fact
	for _, o := range routed {
		if o != e && o.connect != nil {
			f := o.openFact()
			f.Neutral = true
			others = append(others, f)
		}
	}
	if len(routed) > 1 {
		others = append(others, g.severalFact(ctx, e, routed))
	}
	return []*evidence{e}, others
}

// knock asks for the goal itself at all addresses side by side, and for the
// reasons if it does not come soon. It returns the evidence about the address
// that was reached first, nil when none was.
func (g *gatherer) knock(ctx context.Context, routed []*evidence) *evidence {
	probing, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals := make(chan *evidence, len(routed))
	var wg, deep sync.WaitGroup
	for _, e := range routed {
		wg.Go(func() { g.goal(probing, e); arrivals <- e })
	}
	failed := make(chan struct{}) // closed when the goal failed somewhere: no need to wait for deepAfter
	reachedOne := make(chan struct{})
	for i, e := range routed {
		deep.Go(func() { g.probeUnless(probing, reachedOne, i < maxDeep, e, failed) })
	}
	var reached *evidence
	for i := range routed {
		if e := <-arrivals; e.goalReached() {
			reached = e
			close(reachedOne)
			break
		}
		if i == 0 {
			close(failed)
		}
	}
	g.waitOthers(probing, reached, routed, &wg, &deep)
	cancel()
	wg.Wait()
	deep.Wait()
	if reached != nil {
		g.tryOtherwise(ctx, routed)
	}
	for _, e := range routed {
		if reached == nil || e == reached {
			g.findNeighbor(ctx, e)
		}
	}
	return reached
}

// tryOtherwise looks at the addresses that do not answer ping, when that was
// the goal, by what does not depend on ping: many hosts drop it.
func (g *gatherer) tryOtherwise(ctx context.Context, routed []*evidence) {
	var wg sync.WaitGroup
	for _, e := range routed {
		if e.peer.port == 0 && !e.self && !e.works() && len(e.control) == 0 {
			wg.Go(func() { e.control = g.scanControls(ctx, e.peer) })
		}
	}
	wg.Wait()
}

// works reports whether an address does what the run asks of it: without a
// port in question, anything that comes back from it will do.
func (e *evidence) works() bool {
	return e.goalReached() || e.peer.port == 0 && e.complete() != ""
}

// waitOthers gives what is still under way the time that it is worth.
func (g *gatherer) waitOthers(ctx context.Context, reached *evidence, routed []*evidence, goals, deep *sync.WaitGroup) {
	wait, patience := deep, time.Duration(0)
	switch {
	case reached != nil && len(routed) == 1:
		return
	case reached != nil:
		wait, patience = goals, othersPatience
	case !slices.ContainsFunc(routed, func(e *evidence) bool { return !e.answered() }):
		patience = answerPatience // the causes are known; their places have a moment more
	default:
		deep.Wait()
		return
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// severalFact says whether the other addresses of the name work too. A client
// that takes one that does not work waits for it.
func (g *gatherer) severalFact(ctx context.Context, reached *evidence, routed []*evidence) Fact {
	name := g.target.Host
	f := Fact{
		Name: FactSeveral, Subject: name, State: Yes, Scope: Scope{Name: name}, Command: "getent ahosts " + name,
		Detail: fmt.Sprintf("all %d addresses of %s work", len(routed), name),
	}
	var dead []string
	refused, foreign := false, false
	working, failing := map[int]bool{}, map[int]bool{}
	for _, e := range routed {
		why := e.whyNot()
		switch {
		case why == "":
			working[e.peer.family()] = true
			continue
		case e.connect == nil && e.echo == nil && ctx.Err() != nil, e.untestedHere():
			f.State, f.Detail, f.Why = NotChecked, "", "the other addresses of "+name+" had no time to answer"
			return f
		}
		failing[e.peer.family()] = true
		foreign = foreign || !e.self
		refused = refused || e.connect != nil && e.connect.State == portscan.StateClosed
		if len(dead) == 0 {
			f.At = e.peer.addr
		}
		dead = append(dead, fmt.Sprintf("%s (%s)", e.peer.addr, why))
	}
	if len(dead) == 0 {
		return f
	}
	// A service of this host that listens on 127.0.0.1 alone is in order.
	f.State, f.Value, f.Neutral = No, "some", !foreign
	if failing[6] && !failing[4] && !working[6] && working[4] && !refused {
		f.Value = "ipv6" // a refusal is an answer over IPv6
	}
	f.Detail = fmt.Sprintf("%d of %d addresses of %s: %s; %s works", len(dead), len(routed), name, strings.Join(dead, ", "), reached.peer.addr)
	return f
}

// whyNot says why the goal was not reached, "" when it was.
func (e *evidence) whyNot() string {
	switch c := e.connect; {
	case e.works():
		return ""
	case c != nil && c.ICMP != nil:
		return strings.ReplaceAll(c.ICMP.Kind.String(), "_", " ")
	case c != nil && c.State == portscan.StateClosed:
		return "connection refused"
	case e.echo != nil && e.echo.ICMP != nil:
		return strings.ReplaceAll(e.echo.ICMP.Kind.String(), "_", " ")
	}
	return "no answer"
}

// untestedHere reports that this host was the reason why nothing was learnt.
func (e *evidence) untestedHere() bool {
	return e.connect != nil && e.connect.State == portscan.StateNotTested ||
		e.peer.port == 0 && (e.echoErr != nil || e.echo != nil && e.echo.Outcome == ping.OutcomeLocalError)
}

// merged joins findings of the same cause at several addresses of a name.
func merged(findings []Finding) []Finding {
	out := []Finding{}
	for _, f := range findings {
		i := slices.IndexFunc(out, func(o Finding) bool {
			return o.Code == f.Code && o.Rivals == f.Rivals && o.Confidence == f.Confidence &&
				o.Where.Kind == f.Where.Kind && len(o.Peers) > 0 && len(f.Peers) > 0
		})
		if i < 0 {
			out = append(out, f)
			continue
		}
		o := &out[i]
		o.Peers = union(o.Peers, f.Peers)
		if *f.Where != *o.Where {
			o.Also = union(o.Also, []Location{*f.Where})
		}
		o.Evidence, o.Explains = union(o.Evidence, f.Evidence), union(o.Explains, f.Explains)
	}
	for i := range out {
		if o := &out[i]; len(o.Peers) > 1 {
			o.Summary += "; the same holds for " + joinAddrs(o.Peers[1:])
		}
	}
	return out
}

func union[T comparable](a, b []T) []T {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(slices.Clip(a), x)
		}
	}
	return a
}
