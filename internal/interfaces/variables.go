package interfaces

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Variables returns what a stanza says and what follows from it, in the order of
// the file and each key once, as ifquery shows it: values of a key that is there
// several times are joined by newlines, the address has no length, and netmask,
// broadcast and the usual values of IPv6 are there.
func (s Stanza) Variables() []Option {
	var list []Option
	for _, o := range s.Options {
		if slices.Contains(hooks, o.Key) {
			continue
		}
		if i := index(list, o.Key); i >= 0 {
			list[i].Value += "\n" + o.Value
			continue
		}
		list = append(list, o)
	}
	if i := index(list, "hwaddress"); i >= 0 {
		list[i].Value = strings.TrimSpace(strings.TrimPrefix(list[i].Value, "ether "))
	}
	if s.Method != "static" {
		return list
	}
	put := func(key, value string, over bool) {
		switch i := index(list, key); {
		case i < 0:
			list = append(list, Option{Key: key, Value: value, Place: s.Place})
		case over:
			list[i].Value = value
		}
	}
	p := &planner{Stanza: s, used: map[string]bool{}}
	prefix, ok := p.address(s.Family == "inet")
	if ok {
		put("address", prefix.Addr().String(), true)
	}
	switch {
	case s.Family == "inet" && ok:
		mask := net.IP(net.CIDRMask(prefix.Bits(), 32)).String()
		if b := p.broadcast(prefix); b.IsValid() { // else it stays as it is said
			put("broadcast", b.String(), true)
		}
		put("netmask", mask, true)
	case s.Family == "inet6":
		_, said := p.option("netmask")
		if o, _ := p.option("address"); ok && (said || strings.Contains(o.Value, "/")) {
			put("netmask", fmt.Sprint(prefix.Bits()), true)
		}
		if _, ok := p.option("gateway"); ok {
			put("accept_ra", "0", false)
		}
		put("netmask", "", false)
		put("autoconf", "0", false)
		put("preferred-lifetime", "", false)
		put("dad-attempts", "60", false)
		put("dad-interval", "0.1", false)
	}
	return list
}

func index(list []Option, key string) int {
	return slices.IndexFunc(list, func(o Option) bool { return o.Key == key })
}

// Environment returns the variables as commands and scripts get them: IF_ and the
// key in capitals.
func (s Stanza) Environment() []string {
	var list []string
	for _, o := range s.Variables() {
		list = append(list, "IF_"+VariableName(o.Key)+"="+o.Value)
	}
	return list
}

// VariableName turns a key into a part of a variable's name: capitals, a line
// under for a dash, and no more than letters and digits.
func VariableName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		case r == '-':
			return '_'
		}
		return -1
	}, key)
}

// Commands returns the lines of a stanza that commands are on, with "up" for
// post-up and "down" for pre-down, which are the same.
func (s Stanza) Commands() []Option {
	var list []Option
	for _, o := range s.Options {
		switch {
		case o.Key == "post-up":
			o.Key = "up"
		case o.Key == "pre-down":
			o.Key = "down"
		case !slices.Contains(hooks, o.Key):
			continue
		}
		list = append(list, o)
	}
	return list
}

// ClassBits is the length of an IPv4 network of which nobody says it, as in the
// times of classes (RFC 791, section 3.2).
func ClassBits(a netip.Addr) int {
	switch first := a.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	case first < 224:
		return 24
	}
	return 32
}
