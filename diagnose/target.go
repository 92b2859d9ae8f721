package diagnose

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Target is what cannot be reached. The zero Target is this host itself.
type Target struct {
	Host   string     `json:"host,omitzero"`   // as given: a name or an address
	Addr   netip.Addr `json:"addr,omitzero"`   // set when Host is an address
	Port   uint16     `json:"port,omitzero"`   // TCP; 0 is no particular port
	Scheme string     `json:"scheme,omitzero"` // of a URL
}

// Local reports whether the target is this host itself.
func (t Target) Local() bool { return t.Host == "" }

// String returns the target as [ParseTarget] reads it.
func (t Target) String() string {
	switch {
	case t.Local():
		return "this host"
	case t.Port == 0:
		return t.Host
	case t.Addr.Is6():
		return "[" + t.Host + "]:" + portText(t.Port)
	}
	return t.Host + ":" + portText(t.Port)
}

// schemePorts are the ports of the URL schemes that people paste (IANA).
var schemePorts = map[string]uint16{
	"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ftps": 990, "ssh": 22, "sftp": 22, "telnet": 23,
	"smtp": 25, "smtps": 465, "submission": 587, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993,
	"ldap": 389, "ldaps": 636, "mysql": 3306, "postgres": 5432, "postgresql": 5432, "redis": 6379,
	"domain": 53, "dns": 53, "amqp": 5672, "mongodb": 27017, "git": 9418, "rtsp": 554, "sip": 5060, "vnc": 5900, "rdp": 3389,
}

// ParseTarget reads HOST, HOST:PORT (a number, or a service such as http), an IPv6 address with or without brackets
// and port, or a URL. An empty string is this host.
func ParseTarget(s string) (Target, error) {
	if strings.TrimSpace(s) == "" {
		return Target{}, nil
	}
	t, err := parseTarget(s)
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w", s, err)
	}
	return t, nil
}

func parseTarget(s string) (Target, error) {
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return parseURL(scheme, s)
	}
	bare := s
	if inner, ok := strings.CutPrefix(s, "["); ok {
		bare, ok = strings.CutSuffix(inner, "]")
		if !ok && !strings.Contains(inner, "]:") {
			return Target{}, errors.New("a [ without its ]")
		}
		if !ok {
			bare = ""
		}
	}
	if a, err := netip.ParseAddr(bare); err == nil {
		return newTarget(a.String(), "", false)
	}
	host, port, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port, hasPort = s[:i], s[i+1:], true
	}
	return newTarget(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port, hasPort)
}

func parseURL(scheme, s string) (Target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, errors.New("not a URL")
	}
	if u.Hostname() == "" {
		return Target{}, errors.New("the URL has no host")
	}
	port := u.Port()
	if port == "" {
		p, ok := schemePorts[strings.ToLower(scheme)]
		if !ok {
			return Target{}, fmt.Errorf("no port is known for %q: write %s://%s:PORT", scheme, scheme, u.Hostname())
		}
		port = portText(p)
	}
	t, err := newTarget(u.Hostname(), port, true)
	t.Scheme = strings.ToLower(scheme)
	return t, err
}

func newTarget(host, port string, hasPort bool) (Target, error) {
	t := Target{Host: host}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 64)
		if p, ok := schemePorts[strings.ToLower(port)]; ok {
			n, err = uint64(p), nil
		}
		if err != nil {
			return Target{}, fmt.Errorf("port %q is neither a number nor a service that is known", port)
		}
		if n < 1 || n > 65535 {
			return Target{}, fmt.Errorf("port %d is not between 1 and 65535", n)
		}
		t.Port = uint16(n)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		t.Addr = a.Unmap()
		t.Host = t.Addr.String()
		return t, checkAddr(t.Addr)
	}
	return t, checkName(host)
}

// checkAddr refuses addresses that are no host's.
func checkAddr(a netip.Addr) error {
	switch {
	case a.IsUnspecified():
		return errors.New("the unspecified address is no host's; this host is 127.0.0.1 or ::1")
	case a.IsMulticast():
		return errors.New("a multicast address is no single host's")
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return errors.New("a broadcast address is no single host's")
	}
	return nil
}

// checkName refuses what no resolver could be asked (RFC 1035 2.3.4, RFC 1123
// 2.1; underscores are common in practice).
func checkName(name string) error {
	trimmed := strings.TrimSuffix(name, ".")
	if trimmed == "" {
		return errors.New("the host is empty")
	}
	if len(trimmed) > 253 {
		return errors.New("the name is longer than 253 bytes")
	}
	numeric := true
	for label := range strings.SplitSeq(trimmed, ".") {
		if label == "" {
			return errors.New("the name has an empty label")
		}
		if len(label) > 63 {
			return fmt.Errorf("the label %q is longer than 63 bytes", label)
		}
		for _, r := range label {
			digit := r >= '0' && r <= '9'
			if !digit && r != '-' && r != '_' && (r|0x20 < 'a' || r|0x20 > 'z') {
				if r > 127 {
					return fmt.Errorf("a host name cannot hold %q: write it in its ASCII form, xn--…", r)
				}
				return fmt.Errorf("a host name cannot hold %q", r)
			}
			numeric = numeric && digit
		}
	}
	if numeric {
		return errors.New("neither an address nor a name")
	}
	return nil
}
