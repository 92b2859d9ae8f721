package resolve

import (
	"slices"
	"strings"
)

// SearchList returns the absolute names that glibc asks for in turn until one
// is found: see [Policy.SearchList].
func SearchList(name string, c Config) []string { return PolicyGlibc.SearchList(name, c) }

// SearchList returns the absolute names that are asked for in turn until one is
// found. Which outcomes go on with the list, and which end it, differs between
// policies and is up to [Lookup].
//
// A name with a final dot is the only one. A name with at least c.Ndots dots
// is tried as it is first, else last. Names that are too long for the DNS and
// those under onion (RFC 7686) are left out, so the list can be empty.
func (p Policy) SearchList(name string, c Config) []string {
	if name == "" {
		return nil
	}
	dots := countDots(name)
	rooted := strings.HasSuffix(name, ".") && !strings.HasSuffix(name, `\.`)
	var list []string
	add := func(n string) {
		if w, err := wireName(n); err == nil && !isOnion(n) {
			if text := nameText(w); !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
	}
	if rooted {
		add(name)
		return list
	}
	asIsFirst := dots >= c.Ndots
	if asIsFirst {
		add(name)
		if p == PolicyNslookup {
			return list
		}
	}
	for _, suffix := range c.Search {
		add(name + "." + strings.TrimPrefix(suffix, "."))
	}
	if !asIsFirst && !(p == PolicyGlibc && c.NoTLDQuery && dots == 0) {
		add(name)
	}
	return list
}

func countDots(name string) (n int) {
	for name != "" {
		c, size, escaped := unescape(name)
		if c == '.' && !escaped {
			n++
		}
		name = name[size:]
	}
	return n
}

func isOnion(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "onion" || strings.HasSuffix(name, ".onion")
}
