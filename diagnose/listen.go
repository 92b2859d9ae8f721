package diagnose

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netsonde/netsonde/portscan"
	"github.com/netsonde/netsonde/sockets"
)

// listening is who listens on this host, where that matters.
type listening struct {
	sockets []sockets.Socket
	err     error
	asked   bool
}

// listenFacts says, for a target on this host, whether anything listens there.
func (e *evidence) listenFacts() []Fact {
	if !e.self || !e.listen.asked {
		return nil
	}
	f := e.fact(FactListening)
	f.Subject, f.Command = e.peer.String(), fmt.Sprintf("netstat -lnp | grep :%d", e.peer.port)
	if e.listen.err != nil {
		f.Why, f.Need = e.listen.err.Error(), needOf(e.listen.err)
		return []Fact{f}
	}
	var elsewhere []string
	for _, s := range e.listen.sockets {
		if s.Protocol != sockets.TCP || s.Local.Port() != e.peer.port {
			continue
		}
		if a := s.Local.Addr().Unmap(); a.IsUnspecified() && (a.Is6() || e.peer.addr.Is4()) || a == e.peer.addr {
			f.State, f.Detail = Yes, strings.TrimSpace("listened to by "+ownerText(s))
			room := roomFact(s)
			room.Subject, room.Scope = f.Subject, f.Scope
			return []Fact{f, room}
		}
		elsewhere = append(elsewhere, s.Local.String())
	}
	if e.connect != nil && e.connect.State == portscan.StateOpen {
		return nil // somebody answers who does not show here, such as a redirect
	}
	f.State, f.Value, f.Detail = No, "none", fmt.Sprintf("nothing listens on port %d", e.peer.port)
	if len(elsewhere) > 0 {
		f.Value, f.Detail = "elsewhere", strings.Join(elsewhere, ", ")
	}
	return []Fact{f}
}

func ownerText(s sockets.Socket) string {
	if len(s.Owners) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (pid %d)", s.Owners[0].Name, s.Owners[0].PID)
}

// listenersFact sums up who listens here, for the examination of this host.
func listenersFact(l listening) Fact {
	f := Fact{Name: FactListeners, Subject: "this host", Neutral: true, Command: "ss -lntup"}
	if l.err != nil {
		f.Why, f.Need = l.err.Error(), needOf(l.err)
		return f
	}
	f.State = Yes
	var parts []string
	seen := map[string]bool{}
	for _, s := range l.sockets {
		text := fmt.Sprintf("%s %s", s.Protocol, listenText(s.Local))
		if owner := ownerText(s); owner != "" {
			text += " " + s.Owners[0].Name
		}
		if !seen[text] {
			seen[text] = true
			parts = append(parts, text)
		}
	}
	const most = 6
	f.Detail = fmt.Sprintf("%d listening", len(parts))
	if len(parts) > 0 {
		f.Detail += ": " + strings.Join(parts[:min(len(parts), most)], ", ")
	}
	if len(parts) > most {
		f.Detail += " …"
	}
	return f
}

func listenText(ap netip.AddrPort) string {
	if ap.Addr().IsUnspecified() {
		return fmt.Sprintf("*:%d", ap.Port())
	}
	return ap.String()
}

// full reports whether a listener has no room: the kernel drops what comes
// when the queue is longer than its limit (listen(2)).
func full(s sockets.Socket) bool {
	return s.Protocol == sockets.TCP && s.State == sockets.StateListen && s.AcceptQueue > s.Backlog
}

// roomFact says whether a listener accepts what waits.
func roomFact(s sockets.Socket) Fact {
	f := Fact{
		Name: FactRoom, Subject: s.Local.String(), State: Yes, Scope: Scope{Port: s.Local.Port()},
		Command: fmt.Sprintf("ss -lnt sport = :%d", s.Local.Port()),
	}
	if full(s) {
		f.State, f.Value = No, "full"
		f.Detail = strings.TrimSpace(fmt.Sprintf("%d connections wait on port %d, where %d may: %s", s.AcceptQueue, s.Local.Port(), s.Backlog, doesNotAccept(s)))
	}
	return f
}

func doesNotAccept(s sockets.Socket) string {
	if owner := ownerText(s); owner != "" {
		return owner + " does not accept them"
	}
	return "its process does not accept them"
}

// roomFacts are about the listeners that have no room.
func roomFacts(l listening) (facts []Fact) {
	for _, s := range l.sockets {
		if full(s) {
			facts = append(facts, roomFact(s))
		}
	}
	return facts
}
