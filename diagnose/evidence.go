package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netsonde/netsonde/internal/icmperr"
	"github.com/netsonde/netsonde/ping"
	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/resolve"
	"github.com/netsonde/netsonde/route"
	"github.com/netsonde/netsonde/trace"
)

// peer is a far end that is examined: the target, or a name server.
type peer struct {
	role Role
	addr netip.Addr
	port uint16 // 0: any answer will do
}

func (p peer) String() string {
	if p.port == 0 {
		return p.addr.String()
	}
	return netip.AddrPortFrom(p.addr, p.port).String()
}

func (p peer) family() int {
	if p.addr.Is4() {
		return 4
	}
	return 6
}

// evidence is all that the probes found out about one peer. Its methods turn
// it into facts; they look at nothing else.
type evidence struct {
	peer     peer
	decision route.Decision
	routeErr error           // why there is no decision
	proven   bool            // something came through it, as a gateway
	begun    time.Time       // when the run began: what was confirmed earlier proves nothing
	self     bool            // the address is this host's own
	iface    string          // where packets to it leave
	gateway  netip.Addr      // invalid when the peer is on-link
	own      []netip.Addr    // this host's addresses
	prefixes []netip.Prefix  // the addresses of iface in the family of the peer
	leased   []netip.Prefix  // those of them that have an end, as DHCP gives them
	gateways []netip.Addr    // of this host's default routes
	detour   bool            // the peer answers by way of the gateway detourBy …
	detourBy netip.Addr      // … which is invalid when that was not tried
	hopRoute bool            // a route of its own leads to the gateway, on the link
	neighbor *route.Neighbor // of the next hop; nil when there is none

	neighbors []route.Neighbor // the whole table
	detourErr error            // why nothing could be sent to detourBy

	connect    *portscan.Result  // TCP to the port
	connectErr error             // why there is none
	root       *resolve.Answer   // of a name server, to the question that every one can answer
	answer     *resolve.Answer   // of a name server
	echo       *ping.Result      // of the peer
	gwEcho     *ping.Result      // of the gateway
	echoErr    error             // why there is no echo
	tcp        *trace.Path       // to the port
	udp        *trace.Path       // to a port where nobody listens; to the port of a name server
	control    []portscan.Result // TCP to other ports
	listen     listening
	dead       bool // its interface is off or unplugged: nothing was sent
}

func (e *evidence) scope() Scope {
	return Scope{
		Iface: e.iface, Family: e.peer.family(), Gateway: e.gateway,
		Peer: e.peer.addr, Port: e.peer.port, Role: e.peer.role,
	}
}

// routed reports whether the kernel has a way to the peer. Taking an address to
// be on-link because there is no route at all does not count as one.
func (e *evidence) routed() bool {
	return e.decision.Outcome == route.OutcomeForward && !e.decision.Assumed
}

func (e *evidence) resetByUs() bool {
	r, ok := e.reset()
	return ok && r.Origin == trace.ResetHop && r.Hop == 0
}

func (e *evidence) nextHop() (hop netip.Addr, what string) {
	if e.gateway.IsValid() {
		return e.gateway, "gateway"
	}
	return e.peer.addr, "peer"
}

// hopAnswered reports whether the address itself sent us anything.
func (e *evidence) hopAnswered(a netip.Addr) bool {
	if e.gwEcho != nil && e.gwEcho.Outcome == ping.OutcomeReply && e.gwEcho.From == a {
		return true
	}
	if e.proven && a == e.peer.addr || e.echo != nil && e.echo.Outcome == ping.OutcomeReply && e.echo.From == a {
		return true
	}
	return e.hopOf(a) > 0
}

// hopOf returns the lowest TTL at which an address answered, 0 for none.
func (e *evidence) hopOf(a netip.Addr) int {
	best := 0
	for _, p := range e.paths() {
		for _, h := range p.Hops {
			if slices.Contains(h.Addrs(), a) && (best == 0 || h.TTL < best) {
				best = h.TTL
			}
		}
	}
	return best
}

func (e *evidence) paths() (paths []trace.Path) {
	for _, p := range []*trace.Path{e.tcp, e.udp} {
		if p != nil {
			paths = append(paths, *p)
		}
	}
	return paths
}

// reset tells where a reset comes from, from the traces.
func (e *evidence) reset() (trace.Reset, bool) {
	if e.tcp == nil {
		return trace.Reset{}, false
	}
	if e.udp == nil {
		return e.tcp.Refused()
	}
	return e.tcp.Refused(*e.udp)
}

// complete says how something of the peer itself came back, or "".
func (e *evidence) complete() string {
	switch {
	case e.connect != nil && e.connect.State == portscan.StateOpen:
		return "accepts the connection"
	case e.answer != nil && e.answer.Outcome.Replied(), e.root != nil && e.root.Outcome.Replied():
		return "answers"
	case e.echo != nil && e.echo.Outcome == ping.OutcomeReply:
		return "answers ping in " + millis(e.echo.RTT)
	case e.connect != nil && e.connect.ICMP != nil && e.connect.ICMP.From == e.peer.addr,
		e.answer != nil && e.answer.ICMP != nil && e.answer.ICMP.From == e.peer.addr:
		return "answers by ICMP"
	case e.udp != nil && pathReached(e.udp):
		return fmt.Sprintf("answers, %d hops away", e.udp.Distance())
	}
	if e.connect != nil && e.connect.State == portscan.StateClosed {
		if r, ok := e.reset(); !ok || r.Origin != trace.ResetHop {
			return "answers with a reset"
		}
		return ""
	}
	for _, c := range e.control {
		if c.State == portscan.StateOpen || c.State == portscan.StateClosed {
			return fmt.Sprintf("answers on port %d", c.Target.Port())
		}
	}
	return ""
}

// pathReached reports whether a UDP trace drew an answer of the target itself.
func pathReached(p *trace.Path) bool {
	for _, h := range p.Hops {
		for _, r := range h.Replies {
			if r.From == p.Target && (r.Outcome == trace.OutcomePortUnreachable || r.Outcome == trace.OutcomeOpen || r.Outcome == trace.OutcomeUnreachable) {
				return true
			}
		}
	}
	return false
}

// mainICMP returns the ICMP error about the packets that the goal needs: the
// connection, the question, or else the echo and the UDP trace.
func (e *evidence) mainICMP() *icmperr.Error {
	switch {
	case e.connect != nil:
		return e.connect.ICMP
	case e.answer != nil:
		return e.answer.ICMP
	case e.echo != nil && e.echo.ICMP != nil:
		return e.echo.ICMP
	case e.udp != nil:
		_, r := e.udp.Unreachable()
		return r
	}
	return nil
}

// refusal returns the ICMP refusal of the packets that the goal needs.
func (e *evidence) refusal() *icmperr.Error {
	if m := e.mainICMP(); m != nil && m.Kind.Unreachable() {
		return m
	}
	return nil
}

// silent reports whether the packets that the goal needs went out and nothing
// came back.
func (e *evidence) silent() bool {
	switch {
	case e.connect != nil:
		return e.connect.State == portscan.StateFiltered && (e.connect.ICMP == nil || e.isOwn(e.connect.ICMP.From))
	case e.answer != nil:
		return e.answer.Outcome == resolve.OutcomeTimeout || e.answer.Outcome == resolve.OutcomeMismatch ||
			e.answer.ICMP != nil && e.isOwn(e.answer.ICMP.From)
	case e.echo != nil:
		return e.echo.Outcome == ping.OutcomeTimeout || e.echo.ICMP != nil && e.isOwn(e.echo.ICMP.From)
	}
	return e.udp != nil && e.udp.End == trace.EndSilent
}

// lookedInVain reports whether this host itself said that it did not find the
// next hop. The kernel may have dropped the failed entry from its table since.
func (e *evidence) lookedInVain() bool {
	said := func(m *icmperr.Error) bool { return m != nil && m.Kind == icmperr.HostUnreachable && e.isOwn(m.From) }
	return e.connect != nil && said(e.connect.ICMP) || e.answer != nil && said(e.answer.ICMP) || e.echo != nil && said(e.echo.ICMP)
}

func (e *evidence) isOwn(a netip.Addr) bool { return slices.Contains(e.own, a.WithZone("")) }

// lastHop returns the farthest router that a trace saw.
func (e *evidence) lastHop() (netip.Addr, int) {
	a, ttl := hopBefore(e.tcp)
	if b, n := hopBefore(e.udp); n > ttl {
		a, ttl = b, n
	}
	return a, ttl
}

// hopBefore returns the farthest router on a path where a TTL ran out.
func hopBefore(p *trace.Path) (netip.Addr, int) {
	if p == nil {
		return netip.Addr{}, 0
	}
	for _, h := range slices.Backward(p.Hops) {
		for _, r := range h.Replies {
			if r.Outcome == trace.OutcomeTimeExceeded {
				return r.From, h.TTL
			}
		}
	}
	return netip.Addr{}, 0
}

// refusalWord maps the kinds of refusal to the words of the causes.
func refusalWord(k icmperr.Kind) string {
	switch {
	case k.Prohibited():
		return "prohibited"
	case k == icmperr.NetUnreachable, k == icmperr.HostUnreachable, k == icmperr.ProtoUnreachable, k == icmperr.PortUnreachable:
		return k.String()
	}
	return "refused_otherwise"
}

// confirmed reports whether the neighbour has answered since the run began.
func (e *evidence) confirmed(n *route.Neighbor) bool {
	return n.State&route.NeighborReachable != 0 && n.Confirmed < time.Since(e.begun)
}
