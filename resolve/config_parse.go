package resolve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// SearchOrigin is where a search list comes from.
type SearchOrigin uint8

// The origins of a search list.
const (
	SearchNone        SearchOrigin = iota // there is none
	SearchLine                            // search
	SearchDomain                          // domain
	SearchLocalDomain                     // LOCALDOMAIN
	SearchHostname                        // the host's own name
)

var searchOriginNames = []string{"none", "search", "domain", "localdomain", "hostname"}

// String returns the word, such as "search".
func (s SearchOrigin) String() string { return enum.String(searchOriginNames, "search_origin", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s SearchOrigin) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *SearchOrigin) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[SearchOrigin](searchOriginNames, "search_origin", b)
	return err
}

// With returns the configuration as it is in an environment: LOCALDOMAIN instead
// of the search list, RES_OPTIONS behind the options, the domain of the host's
// name where no search list is given.
func (c Config) With(env Environment) Config {
	c.Options, c.Unknown, c.Problems = slices.Clone(c.Options), slices.Clone(c.Unknown), slices.Clone(c.Problems)
	switch _, domain, _ := strings.Cut(env.Hostname, "."); {
	case env.LocalDomain != "":
		c.Search, c.SearchOrigin = domains(env.LocalDomain), SearchLocalDomain
	case c.SearchOrigin == SearchNone && domain != "":
		c.Search, c.SearchOrigin = domains(domain), SearchHostname
	}
	c.parseOptions(0, env.ResOptions)
	return c
}

// parseLine reads one line as glibc does: a keyword counts only at the very
// start, followed by a blank.
func (c *Config) parseLine(n int, line string) {
	if strings.TrimSpace(line) == "" || line[0] == '#' || line[0] == ';' {
		return
	}
	i := strings.IndexAny(line, " \t")
	switch {
	case i == 0:
		if word := strings.Fields(line)[0]; word[0] != '#' && word[0] != ';' {
			c.problem(n, word, "blanks before the keyword: glibc does not use this line, package net does")
		}
		return
	case i < 0:
		i = len(line)
	}
	keyword, rest := line[:i], strings.Trim(line[i:], " \t\r")
	switch keyword {
	case "nameserver":
		c.parseServer(n, rest)
	case "domain":
		c.parseSearch(n, keyword, rest, SearchDomain)
	case "search":
		c.parseSearch(n, keyword, rest, SearchLine)
	case "options":
		c.parseOptions(n, rest)
	case "sortlist":
		c.Sortlist = domains(rest)
	default:
		c.Unknown = append(c.Unknown, Directive{n, escapeString([]byte(line))})
	}
}

func (c *Config) problem(n int, text, reason string) {
	c.Problems = append(c.Problems, Problem{n, escapeString([]byte(text)), reason})
}

func (c *Config) parseServer(n int, rest string) {
	text, tail, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
	if tail = strings.TrimSpace(tail); tail != "" && tail[0] != '#' && tail[0] != ';' {
		c.problem(n, tail, "only the first address of a nameserver line is used")
	}
	addr, err := parseAddr(text)
	if err != nil {
		var ok bool
		if addr, ok = parseAton(text); !ok {
			c.problem(n, text, "not an IP address")
			return
		}
		c.problem(n, text, "glibc reads this as "+addr.String()+", package net ignores it")
	}
	server := netip.AddrPortFrom(addr, port)
	if len(c.Servers) == MaxServers {
		c.Ignored = append(c.Ignored, IgnoredServer{n, server})
		return
	}
	if slices.Contains(c.Servers, server) {
		c.problem(n, text, "listed twice: it takes the place of another server")
	}
	c.Servers = append(c.Servers, server)
}

// parseAton reads the short and the octal and hexadecimal forms of inet_aton(3).
func parseAton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		// Base 0 also takes forms such as 0b1, 0o7 and 1_0, which inet_aton does not.
		if strings.ContainsAny(p, "_bBoO") && !strings.HasPrefix(strings.ToLower(p), "0x") {
			return netip.Addr{}, false
		}
		x, err := strconv.ParseUint(p, 0, bits)
		if err != nil || strings.Contains(p, "_") {
			return netip.Addr{}, false
		}
		v = v<<bits | x
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

func (c *Config) parseSearch(n int, keyword, rest string, origin SearchOrigin) {
	list := domains(rest)
	if len(list) == 0 {
		c.problem(n, keyword, "without a domain")
		return
	}
	if origin == SearchDomain {
		list = list[:1]
	}
	if c.SearchOrigin != SearchNone {
		c.problem(n, rest, "replaces the search list of an earlier line: only the last one counts")
	}
	for _, d := range list {
		if d[0] == '#' || d[0] == ';' {
			c.problem(n, d, "a comment has to begin its line: this is taken for a domain")
			break
		}
	}
	c.Search, c.SearchOrigin = list, origin
}

// domains splits at blanks. They stay as written, but escaped.
func domains(s string) []string {
	list := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
	for i := range list {
		list[i] = escapeString([]byte(list[i]))
	}
	return list
}

func (c *Config) parseOptions(n int, rest string) {
	for _, f := range domains(rest) {
		d := Directive{n, f}
		c.Options = append(c.Options, d)
		name, value, valued := strings.Cut(f, ":")
		if valued {
			c.parseValue(d, name, value)
		} else if flag := c.flag(name); flag != nil {
			*flag = true
		} else {
			c.Unknown = append(c.Unknown, d)
		}
	}
}

func (c *Config) flag(name string) *bool {
	switch name {
	case "rotate":
		return &c.Rotate
	case "edns0":
		return &c.EDNS0
	case "trust-ad":
		return &c.TrustAD
	case "use-vc":
		return &c.UseVC
	case "single-request":
		return &c.SingleRequest
	case "single-request-reopen":
		return &c.SingleRequestReopen
	case "no-reload":
		return &c.NoReload
	case "no-tld-query":
		return &c.NoTLDQuery
	case "no-aaaa":
		return &c.NoAAAA
	case "inet6":
		return &c.Inet6
	case "debug":
		return &c.Debug
	}
	return nil
}

// The limits of glibc's resolv.h: RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY.
const (
	maxNdots    = 15
	maxTimeout  = 30
	maxAttempts = 5
)

func (c *Config) parseValue(d Directive, name, value string) {
	limit := map[string]int{"ndots": maxNdots, "timeout": maxTimeout, "attempts": maxAttempts}[name]
	if limit == 0 {
		c.Unknown = append(c.Unknown, d)
		return
	}
	v := atoi(value)
	if strconv.Itoa(v) != value {
		c.problem(d.Line, d.Text, "not a number: taken as "+itoa(v))
	}
	if v > limit {
		c.problem(d.Line, d.Text, "above the limit: taken as "+itoa(limit))
		v = limit
	}
	switch name {
	case "ndots":
		c.Ndots = v
	case "timeout":
		c.Timeout = time.Duration(v) * time.Second
	case "attempts":
		c.Attempts = v
	}
}

// atoi reads as atoi(3) does: the digits at the start, else 0. Negative numbers
// give 0 too.
func atoi(s string) int {
	n := 0
	for i := 0; i < len(s) && isDigit(s[i]) && n < 1<<20; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}
