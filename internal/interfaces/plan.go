package interfaces

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/internal/nl"
)

// Action is what a step does.
type Action string

// The actions.
const (
	ActionCommand  Action = "command" // a line of the file, for a shell
	ActionScripts  Action = "scripts" // those of the directory in Value
	ActionAlias    Action = "alias"   // the description in Value
	ActionLink     Action = "link"
	ActionAddress  Action = "add_address"
	ActionRemove   Action = "delete_address"
	ActionFlush    Action = "flush_addresses" // those of Family, Scope and the flag in Value
	ActionGateway  Action = "add_route"       // the default route
	ActionReplace  Action = "replace_route"   // the default route
	ActionWithdraw Action = "delete_route"    // the default route
	ActionSysctl   Action = "sysctl"
	ActionClient   Action = "dhcp_client" // a program has to do it
)

// Step is one thing to do.
type Step struct {
	Do        Action          `json:"do"`
	Device    string          `json:"ifname"`
	Text      string          `json:"text"` // the command line that does it
	Up        *bool           `json:"up,omitzero"`
	MTU       int             `json:"mtu,omitzero"`
	HWAddr    nl.HardwareAddr `json:"address,omitzero"`
	Prefix    netip.Prefix    `json:"prefix,omitzero"`
	Peer      netip.Addr      `json:"peer,omitzero"`
	Broadcast netip.Addr      `json:"broadcast,omitzero"`
	Scope     string          `json:"scope,omitzero"`
	Label     string          `json:"label,omitzero"`
	NoDAD     bool            `json:"nodad,omitzero"`
	Preferred *uint32         `json:"preferred_s,omitzero"` // seconds
	Family    string          `json:"family,omitzero"`
	Gateway   netip.Addr      `json:"gateway,omitzero"`
	Metric    uint32          `json:"metric,omitzero"`
	Key       string          `json:"key,omitzero"` // below /proc/sys
	Value     string          `json:"value,omitzero"`
	Phase     string          `json:"phase,omitzero"` // of a command or scripts: "pre-up", "post-up", "pre-down", "post-down"
	// Settle and Every are how often and in which intervals, in seconds, to look
	// whether the detection of duplicates of the address has ended.
	Settle int     `json:"dad_attempts,omitzero"`
	Every  float64 `json:"dad_interval_s,omitzero"`
	// Lenient says that it does not matter when it is refused.
	Lenient bool `json:"lenient,omitzero"`
	Place
}

// planner plans for one stanza.
type planner struct {
	Stanza
	device, label string
	steps         []Step
	problems      []Problem
	used          map[string]bool
}

// Up plans what sets an interface up, as a stanza of it says. Problems are lines
// that make no sense, and those that nothing is done about, which are marked.
func Up(s Stanza, device string) ([]Step, []Problem) { return plan(s, device, true) }

// Down plans what sets it down.
func Down(s Stanza, device string) ([]Step, []Problem) { return plan(s, device, false) }

func plan(s Stanza, device string, up bool) ([]Step, []Problem) {
	p := &planner{Stanza: s, label: device, used: map[string]bool{}}
	p.device, _, _ = strings.Cut(device, ":")
	if !nameable(p.device) {
		p.problem(s.Place, "%q is no name of an interface", p.device)
		return nil, p.problems
	}
	if up {
		p.description()
		p.commands("pre-up", "pre-up")
		p.scripts("pre-up", "if-pre-up.d")
	} else {
		p.scripts("pre-down", "if-down.d")
		p.commands("pre-down", "pre-down", "down")
	}
	switch s.Family + " " + s.Method {
	case "inet loopback", "inet6 loopback":
		p.link(up, false, false)
	case "inet static":
		p.static4(up)
	case "inet6 static":
		p.static6(up)
	case "inet manual", "inet6 manual":
		p.manual(up)
	case "inet6 auto":
		p.auto6(up)
	case "inet dhcp", "inet6 dhcp":
		p.dhcp(up)
	default:
		p.problem(s.Place, "%s %s is not done here", s.Family, s.Method)
	}
	if up {
		p.commands("post-up", "up", "post-up")
		p.scripts("post-up", "if-up.d")
	} else {
		p.scripts("post-down", "if-post-down.d")
		p.commands("post-down", "post-down")
	}
	p.leftOver()
	return p.steps, p.problems
}

// nameable reports whether the kernel may have an interface of that name
// (dev_valid_name), which becomes a part of paths.
func nameable(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t\n\v\f\r\x00")
}

func (p *planner) problem(at Place, format string, args ...any) {
	p.problems = append(p.problems, Problem{Place: at, Text: fmt.Sprintf(format, args...)})
}

// hooks are the lines that commands are on.
var hooks = []string{"pre-up", "up", "post-up", "pre-down", "down", "post-down"}

func (p *planner) commands(phase string, keys ...string) {
	for _, o := range p.Options {
		if slices.Contains(keys, o.Key) {
			p.steps = append(p.steps, Step{Do: ActionCommand, Device: p.device, Text: o.Value, Phase: phase, Place: o.Place})
		}
	}
}

// scripts are those of other packages, which look for their own lines.
func (p *planner) scripts(phase, dir string) {
	text := "run-parts /etc/network/" + dir
	if strings.HasSuffix(phase, "-up") {
		text = "run-parts --exit-on-error /etc/network/" + dir
	}
	p.step(Step{Do: ActionScripts, Phase: phase, Value: dir, Text: text})
}

// description is a text that the kernel keeps for the reader.
func (p *planner) description() {
	if o, ok := p.option("description"); ok {
		p.step(Step{Do: ActionAlias, Value: o.Value, Lenient: true, Text: fmt.Sprintf("ip link set %s alias %q", p.device, o.Value)})
	}
}

// leftOver tells of lines that were not looked at.
func (p *planner) leftOver() {
	for _, o := range p.Options {
		if !p.used[o.Key] && !slices.Contains(hooks, o.Key) && o.Key != "description" {
			p.problems = append(p.problems, Problem{Place: o.Place, Text: fmt.Sprintf("nothing is done about %q", o.Key), Unused: true})
		}
	}
}

// option returns the last line of a key.
func (p *planner) option(keys ...string) (o Option, ok bool) {
	for _, line := range p.Options {
		if slices.Contains(keys, line.Key) {
			o, ok = line, true
			p.used[line.Key] = true
		}
	}
	return o, ok && o.Value != ""
}

func (p *planner) step(s Step) {
	s.Device, s.Place = p.device, p.Place
	p.steps = append(p.steps, s)
}

// words joins those that are not empty.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), " ")
}

// link sets the link up or down, with what the file says is to be set along with
// it and is asked for.
func (p *planner) link(up, mtu, address bool) {
	s := Step{Do: ActionLink, Up: &up}
	text := "ip link set dev " + p.device
	if mtu {
		if s.MTU = p.number("mtu", 1<<31-1); s.MTU != 0 {
			text += fmt.Sprint(" mtu ", s.MTU)
		}
	}
	if address {
		if s.HWAddr = p.hardware(); s.HWAddr != nil {
			text += " address " + s.HWAddr.String()
		}
	}
	if s.Text = text + " up"; !up {
		s.Text = text + " down"
	}
	p.step(s)
}

// number reads a line that is a number, 0 for none.
func (p *planner) number(key string, limit uint64) int {
	o, ok := p.option(key)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(o.Value, 10, 63)
	if err != nil || n > limit {
		p.problem(o.Place, "%s: %q is not a number of them", key, o.Value)
		return 0
	}
	return int(n)
}

func (p *planner) hardware() (a nl.HardwareAddr) {
	o, ok := p.option("hwaddress")
	if !ok {
		return nil
	}
	text := o.Value
	if class, rest := cut(text); rest != "" && class == "ether" {
		text = rest
	}
	if err := a.UnmarshalText([]byte(text)); err != nil {
		p.problem(o.Place, "hwaddress: %v", err)
		return nil
	}
	return a
}

// address reads address and netmask; a length that nobody says is that of the
// class, or all of an IPv6 address.
func (p *planner) address(v4 bool) (netip.Prefix, bool) {
	o, ok := p.option("address")
	if !ok {
		p.problem(p.Place, "no address")
		return netip.Prefix{}, false
	}
	text, length, slash := strings.Cut(o.Value, "/")
	mask, said := p.option("netmask")
	if !slash && said {
		length = mask.Value
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		p.problem(o.Place, "address: %q is none of %s", o.Value, p.Family)
		return netip.Prefix{}, false
	}
	n := a.BitLen()
	if v4 {
		n = ClassBits(a)
	}
	if length != "" {
		if n, ok = maskLength(length, a.BitLen()); !ok {
			p.problem(o.Place, "netmask: %q is none", length)
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(a, n), true
}

// maskLength reads a length, or an IPv4 mask.
func maskLength(s string, limit int) (int, bool) {
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		return int(n), int(n) <= limit
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || limit != 32 {
		return 0, false
	}
	b := a.As4()
	v := binary.BigEndian.Uint32(b[:])
	n := bits.LeadingZeros32(^v)
	return n, n == bits.OnesCount32(v)
}

// host reads a line that is an address.
func (p *planner) host(key string, v4 bool) netip.Addr {
	o, ok := p.option(key)
	if !ok {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(o.Value)
	if err != nil || a.Is4() != v4 {
		p.problem(o.Place, "%s: %q is no address of %s", key, o.Value, p.Family)
		return netip.Addr{}
	}
	return a
}

// broadcast reads the line: an address, or + or - for the highest and the lowest
// of the network, + if there is none.
func (p *planner) broadcast(prefix netip.Prefix) netip.Addr {
	o, ok := p.option("broadcast")
	if ok && o.Value != "+" && o.Value != "-" {
		return p.host("broadcast", true)
	}
	b := prefix.Masked().Addr().As4()
	if o.Value != "-" {
		v := binary.BigEndian.Uint32(b[:]) | uint32(uint64(1)<<(32-prefix.Bits())-1)
		binary.BigEndian.PutUint32(b[:], v)
	}
	return netip.AddrFrom4(b)
}
