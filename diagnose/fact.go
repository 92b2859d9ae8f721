package diagnose

import (
	"net/netip"

	"github.com/netsonde/netsonde/internal/enum"
)

// State is the value of a fact. The third one is what makes the other two
// worth something: what was not checked is never printed as seen.
type State uint8

// The three values.
const (
	NotChecked State = iota // see Fact.Why and Fact.Need
	Yes
	No
)

var stateNames = []string{"not_checked", "yes", "no"}

// String returns "yes", "no" or "not_checked".
func (s State) String() string { return enum.String(stateNames, "state", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[State](stateNames, "state", b)
	return err
}

// Scope tells what a fact is about and what it depends on. A zero field means
// that the fact does not depend on it. A cause explains only facts that agree
// with its own scope, so that a dead interface explains nothing about another.
type Scope struct {
	Iface   string     `json:"iface,omitzero"`
	Family  int        `json:"family,omitzero"` // 4 or 6
	Gateway netip.Addr `json:"gateway,omitzero"`
	Peer    netip.Addr `json:"peer,omitzero"` // the far end: the target or a resolver
	Port    uint16     `json:"port,omitzero"`
	Name    string     `json:"name,omitzero"` // the DNS name asked for
	Role    Role       `json:"role,omitzero"` // what the peer is to us
}

// Role is what the peer of a fact is to the run.
type Role uint8

// The roles. They do not take part in the agreement of scopes.
const (
	RoleNone Role = iota
	RoleTarget
	RoleResolver
)

var roleNames = []string{"", "target", "resolver"}

// String returns "target" or "resolver".
func (r Role) String() string { return enum.String(roleNames, "role", r) }

// MarshalText implements [encoding.TextMarshaler].
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Role) UnmarshalText(b []byte) (err error) {
	*r, err = enum.Parse[Role](roleNames, "role", b)
	return err
}

// agrees reports whether no field that both scopes have differs.
func (s Scope) agrees(o Scope) bool {
	return agree(s.Iface, o.Iface) && agree(s.Family, o.Family) && agree(s.Gateway, o.Gateway) &&
		agree(s.Peer, o.Peer) && agree(s.Port, o.Port) && agree(s.Name, o.Name)
}

// contains reports whether o has every field that s has, with the same value.
func (s Scope) contains(o Scope) bool {
	return within(s.Iface, o.Iface) && within(s.Family, o.Family) && within(s.Gateway, o.Gateway) &&
		within(s.Peer, o.Peer) && within(s.Port, o.Port) && within(s.Name, o.Name)
}

func agree[T comparable](a, b T) bool {
	var zero T
	return a == b || a == zero || b == zero
}

func within[T comparable](a, b T) bool {
	var zero T
	return a == b || a == zero
}

// Fact is one statement about the network, phrased so that yes is the healthy
// answer.
type Fact struct {
	ID      FactID     `json:"id"`      // what findings refer to it by; [Explain] fills in what is empty
	Name    string     `json:"name"`    // what is said, such as "link.carrier"
	Subject string     `json:"subject"` // about whom: "eth0", "192.0.2.7:80", "web1"
	State   State      `json:"state"`
	Value   string     `json:"value,omitzero"`  // the word behind the state: "no_route", "host_unreachable"
	At      netip.Addr `json:"at,omitzero"`     // who said so, or where the trail ends
	Scope   Scope      `json:"scope,omitzero"`  // what it depends on
	Detail  string     `json:"detail,omitzero"` // one line for a person
	// Neutral facts are evidence, not anomalies: a gateway that answers no
	// ping is not broken for that.
	Neutral bool   `json:"neutral,omitzero"`
	Why     string `json:"why,omitzero"`     // why it was not checked
	Need    string `json:"need,omitzero"`    // the capability or sysctl that would allow it
	Command string `json:"command,omitzero"` // the classic command that shows it
}

// FactID names one fact of a report: its name and subject, and where those are
// not enough the family, the peer and its role, or the value.
type FactID string

// id is the identity of a fact: there is one statement about one thing.
func (f Fact) id() FactID {
	id := f.Name + " " + f.Subject
	switch f.Name {
	case FactAddress:
		id += " " + familyText(f.Scope.Family)
	case FactForwards: // for one peer, not for another
		id += " for " + f.Scope.Peer.String()
	case FactLower: // two may ride on the same one
		id += " under " + f.Scope.Iface
	case FactSound: // more than one thing can be wrong with a cable
		id += " " + f.Value
	}
	if f.Scope.Role != RoleNone {
		id += " (" + f.Scope.Role.String() + ")"
	}
	return FactID(id)
}

// Anomaly reports whether the fact asks for an explanation.
func (f Fact) Anomaly() bool { return f.State == No && !f.Neutral }

// The names of the facts.
const (
	FactInterface  = "link.exists"           // an interface of that name is there
	FactAdminUp    = "link.admin_up"         // the interface is switched on
	FactCarrier    = "link.carrier"          // the physical link is there
	FactLower      = "link.lower_up"         // what the interface rides on is on and plugged in
	FactSound      = "link.sound"            // nothing is found wrong with the cable, the partner, the module
	FactPrefix     = "addr.prefix_fits"      // neutral: the prefix agrees with what else is known
	FactDetour     = "gw.reaches"            // neutral: what is taken for a neighbour answers by way of the gateway
	FactAddress    = "addr.present"          // the interface has a usable address of the family
	FactDefault    = "route.default"         // there is a default route of the family
	FactRoute      = "route.to"              // the kernel has a way to the address
	FactSend       = "send.allowed"          // this host lets the packets out
	FactNeighbor   = "neighbor.answers"      // ARP or NDP finds the next hop
	FactForwards   = "gw.forwards"           // the gateway passes packets on
	FactGatewayRTT = "gw.echo"               // the gateway answers ping (neutral)
	FactEcho       = "host.echo"             // the host answers ping (neutral)
	FactPath       = "path.complete"         // something of the host itself came back
	FactAccepted   = "path.accepted"         // nobody on the way refused the packets
	FactLoopFree   = "path.loop_free"        // no two hops send them back and forth
	FactAnswers    = "port.answers"          // the port answers at all
	FactOpen       = "port.open"             // the port accepts connections
	FactBefore     = "path.ends_before_peer" // neutral: the port's trail ends right before the host itself
	FactReset      = "reset.from_peer"       // the reset came from the host itself
	FactReceive    = "receive.allowed"       // this host lets in what is sent to its own address
	FactListening  = "port.listening"        // a process of this host listens on the port
	FactRoom       = "listen.room"           // the listener has room for new connections
	FactReverse    = "receive.reverse_path"  // no answer was dropped for the interface that it came by
	FactMemory     = "stack.memory"          // TCP has the memory that it wants
	FactMTU        = "path.mtu"              // packets that are too big are told so
	FactNAT        = "path.untranslated"     // neutral: no sign of address translation was seen
	FactSymmetric  = "path.symmetric"        // neutral: answers come back as far as packets go
	FactResending  = "sockets.acknowledged"  // neutral: connections to the peer do not wait for acknowledgements
	FactConfigured = "resolver.configured"
	FactHosts      = "hosts.readable"        // the hosts file can be read
	FactSeveral    = "name.all_answer"       // all addresses of the name work
	FactServer     = "resolver.answers"      // the name server answers at all
	FactRecursion  = "resolver.recurses"     // the name server resolves foreign names
	FactSomeServer = "resolver.some_answers" // at least one name server answers (neutral)
	FactName       = "name.resolves"         // somebody answered for the name
	FactExists     = "name.exists"           // … and it has an address
	FactQualified  = "name.qualified"        // the name needs no suffix that nobody configured
	FactHost       = "host.distribution"     // neutral: which files and commands configure this host
	FactListeners  = "host.listeners"        // neutral: who listens here
)
