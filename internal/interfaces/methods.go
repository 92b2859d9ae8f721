package interfaces

import (
	"fmt"
	"strconv"
	"strings"
)

// The methods, step by step as ifupdown has them (inet.defn, inet6.defn).

func (p *planner) static4(up bool) {
	prefix, ok := p.address(true)
	if !ok {
		return
	}
	a := Step{Do: ActionAddress, Prefix: prefix, Label: p.label, Peer: p.host("pointopoint", true), Broadcast: p.broadcast(prefix)}
	if o, ok := p.option("scope"); ok {
		a.Scope = o.Value
	}
	rest := fmt.Sprintf("%v", prefix)
	if a.Broadcast.IsValid() {
		rest += fmt.Sprint(" broadcast ", a.Broadcast)
	}
	if a.Peer.IsValid() {
		rest += fmt.Sprint(" peer ", a.Peer)
	}
	rest = words(rest, prefixed("scope ", a.Scope), "dev "+p.device, "label "+p.label)
	alias := p.label != p.device
	if up {
		a.Text = "ip addr add " + rest
		p.step(a)
		p.link(true, true, true)
		p.gateway(ActionGateway, true)
		return
	}
	p.used["mtu"], p.used["hwaddress"] = true, true
	p.gateway(ActionWithdraw, true)
	a.Do, a.Text = ActionRemove, "ip addr del "+rest
	p.step(a)
	if !alias {
		p.step(Step{Do: ActionFlush, Family: "inet", Text: "ip -4 addr flush dev " + p.device})
		p.link(false, false, false)
	}
}

// prefixed is a word with something in front, if there is one.
func prefixed(front, s string) string {
	if s == "" {
		return ""
	}
	return front + s
}

func (p *planner) gateway(do Action, v4 bool) {
	gw := p.host("gateway", v4)
	metric := p.number("metric", 1<<32-1)
	if !gw.IsValid() {
		return
	}
	s := Step{Do: do, Gateway: gw, Metric: uint32(metric), Lenient: do == ActionWithdraw}
	command := map[Action]string{ActionGateway: "add", ActionReplace: "replace", ActionWithdraw: "del"}[do]
	six, onlink := "", ""
	if !v4 {
		six = "-6"
	}
	if do != ActionWithdraw {
		onlink = "onlink"
	}
	m := ""
	if metric != 0 {
		m = fmt.Sprint("metric ", metric)
	}
	s.Text = words("ip", six, "route", command, "default via", gw.String(), m, "dev", p.device, onlink)
	p.step(s)
}

// sysctl sets a parameter of the interface if there is a line for it, or to the
// usual value if that is not empty.
func (p *planner) sysctl(key, name, usual string) {
	value := usual
	if o, ok := p.option(name); ok {
		if _, err := strconv.Atoi(o.Value); err != nil {
			p.problem(o.Place, "%s: %q is not a number", name, o.Value)
			return
		}
		value = o.Value
	}
	if value != "" {
		p.step(Step{
			Do: ActionSysctl, Key: "net/ipv6/conf/" + p.device + "/" + key, Value: value, Lenient: true,
			Text: fmt.Sprintf("sysctl -q -e -w net.ipv6.conf.%s.%s=%s", strings.ReplaceAll(p.device, ".", "/"), key, value),
		})
	}
}

func (p *planner) static6(up bool) {
	prefix, ok := p.address(false)
	if !ok {
		return
	}
	a := Step{Do: ActionAddress, Prefix: prefix}
	if o, ok := p.option("scope"); ok {
		a.Scope = o.Value
	}
	_, tries := p.option("dad-attempts")
	a.NoDAD = tries && p.number("dad-attempts", 1<<31-1) == 0
	if a.Settle = 60; tries {
		a.Settle = p.number("dad-attempts", 1<<31-1)
	}
	if a.Every = p.seconds("dad-interval", 0.1); a.NoDAD || !up {
		a.Every = 0
	}
	if !up {
		a.Settle = 0
	}
	p.used["dad-attempts"], p.used["media"] = true, true
	lifetime := ""
	if _, ok := p.option("preferred-lifetime"); ok {
		n := uint32(p.number("preferred-lifetime", 1<<32-1))
		a.Preferred, lifetime = &n, fmt.Sprint("preferred_lft ", n)
	}
	rest := words(prefix.String(), prefixed("scope ", a.Scope), "dev "+p.device)
	if !up {
		for _, key := range []string{"mtu", "hwaddress", "accept_ra", "autoconf", "privext"} {
			p.used[key] = true
		}
		p.gateway(ActionWithdraw, false)
		a.Do, a.Text = ActionRemove, "ip -6 addr del "+rest
		p.step(a)
		p.step(Step{Do: ActionFlush, Family: "inet6", Text: "ip -6 addr flush dev " + p.device})
		p.link(false, false, false)
		return
	}
	p.sysctl("use_tempaddr", "privext", "")
	usual := ""
	if _, ok := p.option("gateway"); ok {
		usual = "0" // nobody else is to say
	}
	p.sysctl("accept_ra", "accept_ra", usual)
	p.sysctl("autoconf", "autoconf", "0")
	p.mtu6()
	if o, ok := p.option("accept_ra"); ok && o.Value == "0" || !ok && usual == "0" {
		p.step(Step{Do: ActionFlush, Family: "inet6", Value: "mngtmpaddr", Text: "ip addr flush dev " + p.device + " mngtmpaddr"})
	}
	p.link(true, false, true)
	a.Text = words("ip -6 addr add", rest, lifetime)
	if a.NoDAD {
		a.Text += " nodad"
	}
	p.step(a)
	p.gateway(ActionReplace, false)
}

// mtu6 sets the MTU of a stanza of IPv6, which is that of IPv6, and the link's
// only where that is smaller, which the one who does it can see.
func (p *planner) mtu6() {
	if n := p.number("mtu", 1<<31-1); n != 0 {
		p.step(Step{
			Do: ActionSysctl, Key: "net/ipv6/conf/" + p.device + "/mtu", Value: strconv.Itoa(n), MTU: n,
			Text: fmt.Sprintf("sysctl -q -e -w net.ipv6.conf.%s.mtu=%d", strings.ReplaceAll(p.device, ".", "/"), n),
		})
	}
}

// seconds reads a line that is a time, or takes the usual one.
func (p *planner) seconds(key string, usual float64) float64 {
	o, ok := p.option(key)
	if !ok {
		return usual
	}
	n, err := strconv.ParseFloat(o.Value, 64)
	if err != nil || !(n > 0 && n <= 3600) {
		p.problem(o.Place, "%s: %q is no time in seconds", key, o.Value)
		return usual
	}
	return n
}

func (p *planner) manual(up bool) {
	if !up {
		p.used["mtu"], p.used["hwaddress"] = true, true
		family, number := p.Family, "4"
		if family == "inet6" {
			number = "6"
		}
		p.step(Step{Do: ActionFlush, Family: family, Text: "ip -" + number + " addr flush dev " + p.device, Lenient: true})
	}
	if up {
		p.manualLink()
	}
	p.link(up, false, false)
	p.steps[len(p.steps)-1].Lenient = true
}

// manualLink sets what a manual stanza may say, one by one.
func (p *planner) manualLink() {
	if p.Family == "inet6" {
		p.mtu6()
	} else if n := p.number("mtu", 1<<31-1); n != 0 {
		p.step(Step{Do: ActionLink, MTU: n, Text: fmt.Sprint("ip link set dev ", p.device, " mtu ", n)})
	}
	if a := p.hardware(); a != nil {
		p.step(Step{Do: ActionLink, HWAddr: a, Text: "ip link set dev " + p.device + " address " + a.String()})
	}
}

func (p *planner) auto6(up bool) {
	if !up {
		for _, key := range []string{"mtu", "hwaddress", "accept_ra", "privext"} {
			p.used[key] = true
		}
		p.step(Step{Do: ActionFlush, Family: "inet6", Scope: "global", Text: "ip -6 addr flush dev " + p.device + " scope global"})
		p.link(false, false, false)
		return
	}
	p.sysctl("use_tempaddr", "privext", "")
	p.sysctl("accept_ra", "accept_ra", "2")
	p.sysctl("autoconf", "", "1")
	p.link(true, false, true)
}

// dhcp names the client that is to do it: the one who carries the plan out knows
// which there are.
func (p *planner) dhcp(up bool) {
	for _, key := range []string{"hostname", "metric", "leasehours", "leasetime", "vendor", "client", "request_prefix", "ll-attempts", "ll-interval", "accept_ra", "autoconf"} {
		p.used[key] = true
	}
	if !up {
		p.used["hwaddress"] = true
		p.step(Step{Do: ActionClient, Family: p.Family, Text: "stop the DHCP client of " + p.device})
		p.link(false, false, false)
		return
	}
	if a := p.hardware(); a != nil {
		p.step(Step{Do: ActionLink, HWAddr: a, Text: "ip link set dev " + p.device + " address " + a.String()})
	}
	p.step(Step{Do: ActionClient, Family: p.Family, Text: "start a DHCP client on " + p.device})
}
