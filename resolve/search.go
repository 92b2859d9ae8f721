package resolve

import (
	"strings"
)

// SearchList returns the absolute names that glibc asks for in turn until one
// is found: see [Policy.SearchList].
func SearchList(name string, c Config) []string { return PolicyGlibc.SearchList(name, c) }

// SearchList returns the absolute names that are asked for in turn until one is
// found, repetitions included. Which outcomes go on with the list, and which end
// it, differs between policies and is up to [Lookup].
//
// A name with a final dot is the only one. A name with at least c.Ndots dots
// is tried as it is first (and nslookup tries nothing else), else last. Names
// that are too long for the DNS are left out, and so is everything under onion,
// which is not for the DNS (RFC 7686), so that the list can be empty.
func (p Policy) SearchList(name string, c Config) []string {
	asIs, err := absolute(name)
	if err != nil || isOnion(asIs) {
		return nil
	}
	if rooted(name) {
		return []string{asIs}
	}
	var list []string
	dots := countDots(name)
	asIsFirst := dots >= c.Ndots
	if asIsFirst {
		list = append(list, asIs)
		if p == PolicyNslookup {
			return list
		}
	}
	root := false // the list itself has the name as it is
	for _, suffix := range c.Search {
		if suffix == "." && p == PolicyGo {
			continue
		}
		n, err := absolute(name + "." + strings.TrimPrefix(suffix, "."))
		if err != nil || isOnion(n) {
			continue
		}
		root = root || n == asIs
		list = append(list, n)
	}
	switch {
	case asIsFirst, root && p == PolicyGlibc:
	case p == PolicyGlibc && c.NoTLDQuery && dots == 0 && len(c.Search) > 0:
	default:
		list = append(list, asIs)
	}
	return list
}

// absolute returns a name in the form that results have it.
func absolute(name string) (string, error) {
	w, err := wireName(name)
	if err != nil {
		return "", err
	}
	return nameText(w), nil
}

// rooted reports whether a name ends with a dot that is not part of a label.
func rooted(name string) bool {
	escaped, last := false, byte(0)
	for name != "" {
		var n int
		last, n, escaped = unescape(name)
		name = name[n:]
	}
	return last == '.' && !escaped
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

func isOnion(name string) bool { return under(name, "onion") }

// under reports whether a name is domain or below it.
func under(name, domain string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	rest, ok := strings.CutSuffix(name, domain)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}
