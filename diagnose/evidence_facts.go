package diagnose

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/trace"
)

// facts states all that the evidence says.
func (e *evidence) facts() []Fact {
	facts := []Fact{e.routeFact()}
	if !e.routed() {
		return facts
	}
	facts = append(facts, e.sendFact(), e.receiveFact())
	if !e.self {
		facts = append(facts, e.neighborFact(), e.prefixFact(), e.detourFact(), e.forwardFact(), e.gatewayEchoFact())
		facts = append(facts, e.translationFacts()...)
	}
	facts = append(facts, e.echoFact(), e.loopFact(), e.acceptedFact(), e.pathFact())
	if e.peer.role == RoleTarget && e.peer.port != 0 {
		facts = append(facts, e.answerFact(), e.resetFact(), e.beforeFact(), e.openFact())
		facts = append(facts, e.listenFacts()...)
	}
	// What nobody asked about is not worth a line.
	return slices.DeleteFunc(facts, func(f Fact) bool { return f.Name == "" })
}

func (e *evidence) fact(name string) Fact {
	return Fact{Name: name, Subject: e.peer.addr.String(), Scope: e.scope()}
}

func (e *evidence) routeFact() Fact {
	f := e.fact(FactRoute)
	f.Command = "ip route get " + e.peer.addr.String()
	f.Value = routeWord(e.decision)
	if e.routeErr != nil {
		f.Value, f.Why, f.Need = "", e.routeErr.Error(), needOf(e.routeErr)
		return f
	}
	if !e.routed() {
		f.State, f.Scope.Iface = No, ""
		f.Detail = "this host has no route to " + f.Subject
		if f.Value != "no_route" {
			f.Detail = "this host refuses " + f.Subject + ": " + strings.ReplaceAll(f.Value, "_", " ")
		}
		return f
	}
	f.State = Yes
	switch {
	case e.self:
		f.Detail = f.Subject + " is this host's own address"
	case e.gateway.IsValid():
		f.Detail = fmt.Sprintf("%s goes by %s on %s", f.Subject, e.gateway, e.iface)
	default:
		f.Detail = fmt.Sprintf("%s is on %s's own network", f.Subject, e.iface)
	}
	return f
}

// sendFact says whether this host lets the packets out. Only what the goal
// itself needs counts: a filter on ping does not stop a connection.
func (e *evidence) sendFact() Fact {
	f := e.fact(FactSend)
	f.Subject = e.peer.String()
	f.Command = "iptables -L OUTPUT -n -v"
	reason := ""
	switch {
	case e.connect != nil && e.connect.Reason == portscan.ReasonLocalFilter:
		reason = e.connect.Err
	case e.connect != nil && e.connect.State == portscan.StateClosed && e.resetByUs():
		f.Value = "reset"
		reason = "a reset comes before the first hop, from this host's filter or the gateway's redirection"
	case e.answer != nil && e.answer.Outcome == resolve.OutcomeLocalFirewall:
		reason = e.answer.Err
	case e.connect == nil && e.answer == nil && e.echo != nil && e.echo.Outcome == ping.OutcomeLocalError && e.complete() == "":
		reason = e.echo.Err
	default:
		if e.complete() == "" {
			return Fact{}
		}
		f.State = Yes
		return f
	}
	f.State = No
	if f.Value == "" {
		f.Value = "filtered"
	}
	f.Detail = "this host does not let packets to " + f.Subject + " out: " + reason
	return f
}

func (e *evidence) neighborFact() Fact {
	f := e.fact(FactNeighbor)
	hop, what := e.nextHop()
	f.Subject, f.Value, f.Command = hop.String(), what, "ip neigh show "+hop.String()
	if what == "gateway" {
		f.Scope.Peer, f.Scope.Port, f.Scope.Role = netip.Addr{}, 0, RoleNone
	}
	protocol := "ARP"
	if e.peer.family() == 6 {
		protocol = "NDP"
	}
	n := e.neighbor
	switch {
	case n == nil && e.hopAnswered(hop):
		f.State, f.Detail = Yes, f.Subject+" answers"
	case n == nil && !e.lookedInVain():
		f.Why = "this host has not had to look for " + f.Subject
	case n == nil || n.State&(route.NeighborFailed|route.NeighborIncomplete) != 0:
		f.State, f.Detail = No, fmt.Sprintf("%s does not answer %s on %s", f.Subject, protocol, e.iface)
		if e.gateway.IsValid() && e.outside(hop) {
			f.Value += "_outside"
		} else if _, _, far := e.wide(); !e.gateway.IsValid() && far {
			f.Value += "_far"
		}
	case n.State&route.NeighborNoARP != 0:
		f.Value, f.Why = "noarp", "the link needs no "+protocol
	case e.hopAnswered(hop) || e.complete() != "" || e.confirmed(n):
		f.State, f.Detail = Yes, fmt.Sprintf("%s answers %s on %s (%s)", f.Subject, protocol, e.iface, n.HardwareAddr)
	case n.State&route.NeighborPermanent != 0:
		f.Value, f.Why = what+"_stale", fmt.Sprintf("the hardware address of %s (%s) is set by hand, and nothing came back from it", f.Subject, n.HardwareAddr)
	default:
		f.Value, f.Why = what+"_stale", fmt.Sprintf("%s answered %s earlier, and nothing has come back from it since", f.Subject, protocol)
	}
	return f
}

// silentBetween reports whether no router between two distances answers any
// probe, so that their silence about a port says nothing.
func silentBetween(p *trace.Path, from, to int) bool {
	if p == nil {
		return false
	}
	for _, h := range p.Hops {
		if h.TTL > from && h.TTL < to {
			if _, ok := h.Answered(); ok {
				return false
			}
		}
	}
	return true
}

// receiveFact: what this host sends to itself and does not get is stopped here.
func (e *evidence) receiveFact() Fact {
	if !e.self || e.connect == nil || e.connect.State != portscan.StateFiltered || e.connect.ICMP != nil {
		return Fact{}
	}
	f := e.fact(FactReceive)
	f.Subject, f.State, f.Value, f.Command = e.peer.String(), No, "silent", "iptables -L INPUT -n -v"
	f.Detail = "this host does not answer itself on " + f.Subject
	return f
}

// forwardFact: a router that reports a TTL that ran out, or a refusal, has
// tried to forward; silence about everything beyond is suspicious.
func (e *evidence) forwardFact() Fact {
	if !e.gateway.IsValid() {
		return Fact{}
	}
	f := e.fact(FactForwards)
	f.Subject, f.Scope.Port = e.gateway.String(), 0
	f.Command = "traceroute -n " + e.peer.addr.String()
	_, last := e.lastHop()
	switch {
	case e.complete() != "" || last > 0 || e.refusal() != nil && !e.isOwn(e.refusal().From):
		f.State, f.Detail = Yes, "the gateway "+f.Subject+" forwards"
	case e.silent() && len(e.paths()) > 0:
		f.State, f.Value = No, "silent"
		f.Detail = "nothing came back from behind the gateway " + f.Subject
	default:
		f.Why = "the probes that would tell did not run"
	}
	return f
}

func (e *evidence) gatewayEchoFact() Fact {
	if e.gwEcho == nil {
		return Fact{}
	}
	f := e.fact(FactGatewayRTT)
	f.Subject, f.Scope.Peer, f.Scope.Port, f.Scope.Role, f.Neutral = e.gateway.String(), netip.Addr{}, 0, RoleNone, true
	f.Command = "ping -c 5 " + f.Subject
	echoInto(&f, e.gwEcho)
	return f
}

func (e *evidence) echoFact() Fact {
	f := e.fact(FactEcho)
	f.Neutral, f.Scope.Port, f.Command = true, 0, "ping -c 5 "+f.Subject
	switch {
	case e.echo != nil:
		echoInto(&f, e.echo)
	case e.echoErr != nil:
		f.Why, f.Need = "ping is not permitted", needOf(e.echoErr)
	default:
		return Fact{}
	}
	return f
}

func echoInto(f *Fact, r *ping.Result) {
	f.Value = r.Outcome.String()
	switch r.Outcome {
	case ping.OutcomeReply:
		f.State, f.Detail = Yes, fmt.Sprintf("%s answers ping in %s", f.Subject, millis(r.RTT))
	case ping.OutcomeLocalError:
		f.Why = "this host could not send: " + r.Err
	default:
		f.State, f.Detail = No, f.Subject+" does not answer ping"
		if r.ICMP != nil {
			f.Value, f.At = r.ICMP.Kind.String(), r.ICMP.From
		}
	}
}

func (e *evidence) loopFact() Fact {
	f := e.fact(FactLoopFree)
	f.Scope.Port, f.Command = 0, "traceroute -n "+f.Subject
	for _, p := range e.paths() {
		if hops := p.Loop(); len(hops) > 0 {
			f.State, f.Value, f.At = No, joinAddrs(hops), firstValid(hops)
			f.Detail = "packets go round between " + f.Value
			return f
		}
	}
	if m := e.mainICMP(); m != nil && m.Kind == icmperr.TimeExceeded {
		f.State, f.Value, f.At = No, "TTL exceeded at "+m.From.String(), m.From
		f.Detail = "the TTL ran out at " + m.From.String()
		return f
	}
	if e.complete() == "" {
		return Fact{}
	}
	f.State = Yes
	return f
}

// acceptedFact: a refusal counts against the path only when nothing of the
// peer itself came back; else it is a matter of the port.
func (e *evidence) acceptedFact() Fact {
	f := e.fact(FactAccepted)
	f.Scope.Port, f.Command = 0, "traceroute -n "+f.Subject
	r := e.refusal()
	switch {
	case e.complete() != "":
		f.State = Yes
	case r == nil || e.isOwn(r.From) || r.From == e.peer.addr:
		return Fact{}
	default:
		f.State, f.Value, f.At = No, refusalWord(r.Kind), r.From
		f.Detail = fmt.Sprintf("%s says %s", r.From, strings.ReplaceAll(r.Kind.String(), "_", " "))
		if r.Kind == icmperr.HostUnreachable && e.refusedAtOnce() {
			f.Value, f.Detail = "host_unreachable_at_once", f.Detail+" at once, without looking for it"
		}
	}
	return f
}

// refusedAtOnce reports whether the refusal came before a router can have
// looked for the host by ARP or NDP, which takes it three seconds.
func (e *evidence) refusedAtOnce() bool {
	const looking = time.Second
	switch {
	case e.connect != nil:
		return e.connect.RTT > 0 && e.connect.RTT < looking
	case e.answer != nil && len(e.answer.Attempts) > 0:
		return e.answer.Attempts[0].ICMP != nil && e.answer.Attempts[0].RTT < looking
	}
	return e.echo != nil && e.echo.RTT > 0 && e.echo.RTT < looking
}

func (e *evidence) pathFact() Fact {
	f := e.fact(FactPath)
	f.Scope.Port, f.Command = 0, "traceroute -n "+f.Subject
	how := e.complete()
	last, _ := e.lastHop()
	switch r := e.refusal(); {
	case how != "":
		f.State, f.Value, f.Detail = Yes, "reached", f.Subject+" "+how
	case e.loopFact().State == No:
		f.State, f.Value = No, "loop"
	case r != nil:
		f.State, f.Value, f.At = No, "refused", r.From
	case !e.silent():
		f.Why = e.unsent()
	default:
		f.State, f.Value, f.At = No, "silent", last
		if !last.IsValid() && e.gateway.IsValid() && e.neighborFact().State == Yes {
			f.At = e.gateway // at least the gateway is known to be there
		}
		if e.self {
			f.Value = "silent_self"
		}
	}
	if f.State == No && f.Detail == "" {
		f.Detail = "nothing came back from " + f.Subject
		if last.IsValid() {
			f.Detail += "; the last hop that answers is " + last.String()
		}
	}
	return f
}

// unsent says why nothing is known about the path.
func (e *evidence) unsent() string {
	switch {
	case e.peer.port != 0 && e.peer.role == RoleTarget:
		return e.untried()
	case e.dead:
		return e.iface + " is down"
	case e.echoErr != nil:
		return "ping is not permitted, and the traces did not get there"
	}
	return "the probes did not end in time"
}

func (e *evidence) answerFact() Fact {
	f := e.fact(FactAnswers)
	f.Subject, f.Command = e.peer.String(), e.portCommand()
	c := e.connect
	switch {
	case c == nil || c.State == portscan.StateNotTested || c.State == portscan.StateUnknown:
		f.Why = e.untried()
	case c.State == portscan.StateClosed && e.resetFact().State == No:
		f.State, f.Value, f.At = No, "reset_on_the_way", e.resetFact().At
		f.Detail = e.resetFact().Detail
	case c.State == portscan.StateOpen || c.State == portscan.StateClosed:
		f.State = Yes
	case c.ICMP != nil && !e.isOwn(c.ICMP.From) && c.ICMP.Kind != icmperr.TimeExceeded:
		f.State, f.Value, f.At = No, refusalWord(c.ICMP.Kind), c.ICMP.From
		f.Detail = fmt.Sprintf("%s refuses port %d: %s", f.At, e.peer.port, strings.ReplaceAll(c.ICMP.Kind.String(), "_", " "))
	default:
		f.State, f.Value = No, "silent"
		f.At, _ = hopBefore(e.tcp)
		f.Detail = fmt.Sprintf("port %d does not answer", e.peer.port)
	}
	return f
}

// untried says why there is no word about the connection.
func (e *evidence) untried() string {
	switch c := e.connect; {
	case c != nil && c.Err != "":
		return "no connection could be tried: " + c.Err
	case errors.Is(e.connectErr, errBudget):
		return errBudget.Error()
	case e.connectErr != nil:
		return "no connection could be tried: " + e.connectErr.Error()
	case e.dead:
		return e.iface + " is down"
	}
	return "no connection was tried"
}

func (e *evidence) openFact() Fact {
	f := e.fact(FactOpen)
	f.Subject, f.Command = e.peer.String(), e.portCommand()
	c := e.connect
	switch {
	case c == nil || c.State == portscan.StateNotTested || c.State == portscan.StateUnknown:
		f.Why = e.untried()
	case c.State == portscan.StateOpen:
		f.State, f.Detail = Yes, fmt.Sprintf("port %d is open (%s)", e.peer.port, millis(c.RTT))
	case c.State == portscan.StateClosed:
		f.State, f.Value = No, "reset"
		f.Detail = fmt.Sprintf("port %d: connection refused", e.peer.port)
	default:
		f.State, f.Value = No, "no_answer"
		f.Detail = e.answerFact().Detail
	}
	return f
}

func (e *evidence) portCommand() string {
	return "telnet " + e.peer.addr.String() + " " + strconv.Itoa(int(e.peer.port))
}

func (e *evidence) resetFact() Fact {
	if e.connect == nil || e.connect.State != portscan.StateClosed || e.self {
		return Fact{}
	}
	f := e.fact(FactReset)
	f.Subject, f.Command = e.peer.String(), fmt.Sprintf("traceroute -n -T -p %d %s", e.peer.port, e.peer.addr)
	r, ok := e.reset()
	switch {
	case !ok:
		f.Why = "the trace to the port drew no reset"
	case r.Origin == trace.ResetHop && r.Hop == 0:
		f.State, f.At, f.Value = No, e.gateway, "first_hop"
		f.Detail = "the reset comes before the first hop has used up a TTL"
	case r.Origin == trace.ResetHop:
		f.State, f.At = No, r.From
		f.Detail = fmt.Sprintf("the reset comes from hop %d (%s), before the host", r.Hop, addrText(r.From))
	case r.Origin == trace.ResetTarget:
		f.State, f.Detail = Yes, fmt.Sprintf("the reset comes from %d hops away, as far as the host is", r.Hop)
	case r.Origin == trace.ResetUnknown && !e.gateway.IsValid():
		f.State, f.Detail = Yes, "no router stands in between"
	default:
		f.Why = "how far the host is could not be seen"
	}
	return f
}

// beforeFact says whether the trail to the port ends right before the host, so
// that the host itself may be what swallows the packets.
func (e *evidence) beforeFact() Fact {
	f := e.fact(FactBefore)
	f.Subject, f.Neutral = e.peer.String(), true
	f.Command = fmt.Sprintf("traceroute -n -T -p %d %s", e.peer.port, e.peer.addr)
	f.Detail = "the trail to the port ends right before the host"
	if e.answerFact().Value != "silent" || e.tcp == nil {
		return Fact{}
	}
	_, ttl := hopBefore(e.tcp)
	distance := 0
	if e.udp != nil {
		distance = e.udp.Distance()
	}
	switch {
	case distance == 0:
		// A router that does not answer may hide the rest of the way, so the
		// host stays a suspect until its distance is known.
		f.State, f.Value, f.Detail = Yes, "distance_unknown", "how far the host is could not be seen"
	case ttl == distance-1 || silentBetween(e.udp, ttl, distance):
		f.State = Yes
	default:
		f.State, f.Detail = No, "the trail to the port ends before the last router"
	}
	return f
}
