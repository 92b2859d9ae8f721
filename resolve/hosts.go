package resolve

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/internal/operr"
)

// Problem is a line of a file, or a part of one, that is not used, and why.
type Problem struct {
	Line   int    `json:"line"`
	Text   string `json:"text"` // the part in question, escaped
	Reason string `json:"reason"`
}

// HostsEntry is one line of a hosts file.
type HostsEntry struct {
	Line  int        `json:"line"`
	Addr  netip.Addr `json:"addr"`
	Names []string   `json:"names"` // the first one is the canonical name; escaped
}

// Hosts is a hosts file (hosts(5)).
type Hosts struct {
	Path     string       `json:"path,omitzero"`
	Missing  bool         `json:"missing,omitzero"` // there is no such file
	Entries  []HostsEntry `json:"entries"`
	Problems []Problem    `json:"problems,omitzero"`
}

// ReadHosts reads a hosts file; an empty path is /etc/hosts. That the file is
// not there is a fact in the result, not an error.
func ReadHosts(path string) (Hosts, error) {
	if path == "" {
		path = "/etc/hosts"
	}
	h, missing, err := readFile(path, ParseHosts)
	h.Path, h.Missing = path, missing
	return h, operr.New("resolve: read hosts", path, err)
}

// readFile opens and parses; a file that is not there parses as empty.
func readFile[T any](path string, parse func(io.Reader) (T, error)) (v T, missing bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		v, err = parse(strings.NewReader(""))
		return v, true, err
	}
	if err != nil {
		return v, false, err
	}
	defer f.Close()
	v, err = parse(f)
	return v, false, err
}

// maxLine bounds the lines of configuration files, in bytes.
const maxLine = 1 << 20

func lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	return s
}

// ParseHosts reads the text of a hosts file. The error is that of r, or of a
// line longer than 1 MiB.
func ParseHosts(r io.Reader) (Hosts, error) {
	var h Hosts
	s := lines(r)
	for n := 1; s.Scan(); n++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		addr, err := parseAddr(f[0])
		switch {
		case err != nil:
			h.Problems = append(h.Problems, Problem{n, escapeString([]byte(f[0])), "not an IP address"})
		case len(f) == 1:
			h.Problems = append(h.Problems, Problem{n, f[0], "an address without a name"})
		default:
			e := HostsEntry{Line: n, Addr: addr}
			for _, name := range f[1:] {
				e.Names = append(e.Names, escapeString([]byte(name)))
			}
			h.Entries = append(h.Entries, e)
		}
	}
	return h, s.Err()
}

// parseAddr refuses zones that no interface has, and that a terminal might act on.
func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if z := addr.Zone(); err == nil && z != escapeString([]byte(z)) {
		return netip.Addr{}, errZone
	}
	return addr, err
}

var errZone = errors.New("not a zone")

// Find returns the entries that have name among their names, in the order of
// the file. Case does not matter.
func (h Hosts) Find(name string) []HostsEntry {
	var found []HostsEntry
	for _, e := range h.Entries {
		if slices.ContainsFunc(e.Names, func(n string) bool { return sameName(n, name) }) {
			found = append(found, e)
		}
	}
	return found
}

// Lookup returns the addresses of name, in the order of the file, each once.
func (h Hosts) Lookup(name string) []netip.Addr {
	var addrs []netip.Addr
	for _, e := range h.Find(name) {
		if !slices.Contains(addrs, e.Addr) {
			addrs = append(addrs, e.Addr)
		}
	}
	return addrs
}
