package resolve

import (
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

// MaxServers is how many nameserver lines resolvers use (MAXNS of resolv.h, and
// package net).
const MaxServers = 3

// Config is a resolv.conf, as resolv.conf(5) of glibc 2.36 reads it: which of it
// is used, and which of it is not, with line numbers.
type Config struct {
	Path    string `json:"path,omitzero"`
	Missing bool   `json:"missing,omitzero"` // there is no such file: everything is default

	// Servers are the servers in use, at most MaxServers, with port 53. Where
	// NoServer is true no line names one, and this is glibc's default 127.0.0.1;
	// package net takes 127.0.0.1 and ::1.
	Servers  []netip.AddrPort `json:"servers"`
	NoServer bool             `json:"no_server,omitzero"`
	Ignored  []IgnoredServer  `json:"ignored,omitzero"` // listed beyond the third, and used by nobody

	Search       []string     `json:"search,omitzero"` // as written; the last search or domain line counts
	SearchOrigin SearchOrigin `json:"search_origin"`

	Ndots    int           `json:"ndots"`      // 0 to 15, default 1: so many dots, and a name is tried as it is first
	Timeout  time.Duration `json:"timeout_ns"` // 0 s (taken as 1 s) to 30 s, default 5 s
	Attempts int           `json:"attempts"`   // 0 to 5, default 2: rounds over all servers; with 0 glibc asks nobody

	Rotate              bool `json:"rotate,omitzero"`
	EDNS0               bool `json:"edns0,omitzero"`                 // glibc sends EDNS only with this
	TrustAD             bool `json:"trust_ad,omitzero"`              // believe the AD bit
	UseVC               bool `json:"use_vc,omitzero"`                // TCP only
	SingleRequest       bool `json:"single_request,omitzero"`        // A first, then AAAA
	SingleRequestReopen bool `json:"single_request_reopen,omitzero"` // a new socket for AAAA if need be
	NoReload            bool `json:"no_reload,omitzero"`
	NoTLDQuery          bool `json:"no_tld_query,omitzero"` // a name without a dot is never tried as it is
	NoAAAA              bool `json:"no_aaaa,omitzero"`
	Inet6               bool `json:"inet6,omitzero"` // without effect since glibc 2.25
	Debug               bool `json:"debug,omitzero"`

	Sortlist []string    `json:"sortlist,omitzero"` // as written
	Options  []Directive `json:"options,omitzero"`  // every option, known or not, in order
	Unknown  []Directive `json:"unknown,omitzero"`  // keywords and options that have no meaning here
	Problems []Problem   `json:"problems,omitzero"` // lines that look like something and are not used as such
}

// IgnoredServer is a nameserver line too many.
type IgnoredServer struct {
	Line   int            `json:"line"`
	Server netip.AddrPort `json:"server"`
}

// Directive is a keyword or an option with its place. Line is 0 for what comes
// from the environment.
type Directive struct {
	Line int    `json:"line"`
	Text string `json:"text"` // escaped
}

// Environment is what outside the file changes a configuration: environ(7) and
// the host's name. Nothing in this package reads it unless told to.
type Environment struct {
	LocalDomain string `json:"localdomain,omitzero"` // LOCALDOMAIN: replaces the search list; separated by spaces
	ResOptions  string `json:"res_options,omitzero"` // RES_OPTIONS: options behind those of the file
	HostAliases string `json:"hostaliases,omitzero"` // HOSTALIASES: a file of aliases; reported, not read
	Hostname    string `json:"hostname,omitzero"`    // what follows its first dot is the search list where nothing else gives one
}

// SystemEnvironment returns the environment of this process and the name of
// this host.
func SystemEnvironment() Environment {
	host, err := os.Hostname()
	if err != nil {
		host = "" // a name that is not known gives no search list
	}
	return Environment{
		LocalDomain: os.Getenv("LOCALDOMAIN"),
		ResOptions:  os.Getenv("RES_OPTIONS"),
		HostAliases: os.Getenv("HOSTALIASES"),
		Hostname:    host,
	}
}

// ReadConfig reads a resolv.conf; an empty path is /etc/resolv.conf. That the
// file is not there, and that it names no server, are facts in the result, not
// errors. The environment is not looked at: see [Config.With].
func ReadConfig(path string) (Config, error) {
	if path == "" {
		path = "/etc/resolv.conf"
	}
	c, missing, err := readFile(path, ParseConfig)
	c.Path, c.Missing = path, missing
	return c, operr.New("resolve: read config", path, err)
}

// ParseConfig reads the text of a resolv.conf. The error is that of r, or of a
// line longer than 1 MiB.
func ParseConfig(r io.Reader) (Config, error) {
	c := Config{Ndots: 1, Timeout: 5 * time.Second, Attempts: 2}
	s := lines(r)
	for n := 1; s.Scan(); n++ {
		c.parseLine(n, s.Text())
	}
	if len(c.Servers) == 0 {
		c.NoServer = true
		c.Servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	}
	return c, s.Err()
}

// port is the DNS port.
const port = 53
