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
			return []Fact{f}
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
