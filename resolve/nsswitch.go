package resolve

import (
	"io"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/internal/operr"
)

// NSSwitch is the hosts line of nsswitch.conf(5): which services a program that
// uses the C library asks for a name, in which order. This package reports it
// and does not follow it.
type NSSwitch struct {
	Path     string      `json:"path,omitzero"`
	Missing  bool        `json:"missing,omitzero"` // there is no such file: the C library's built-in order applies
	Line     int         `json:"line,omitzero"`    // of the hosts entry; 0: there is none
	Sources  []NSSSource `json:"sources,omitzero"`
	Problems []Problem   `json:"problems,omitzero"`
}

// NSSSource is one service: "files", "dns", "mdns4_minimal", "resolve" …
type NSSSource struct {
	Name    string      `json:"name"`
	Actions []NSSAction `json:"actions,omitzero"` // what follows in brackets
}

// NSSAction says what to do when a service ends with a status:
// [NOTFOUND=return], [!UNAVAIL=return].
type NSSAction struct {
	Not    bool   `json:"not,omitzero"` // every status but this one
	Status string `json:"status"`       // success, notfound, unavail, tryagain
	Action string `json:"action"`       // return, continue, merge
}

// Has reports whether a service is asked at all.
func (n NSSwitch) Has(service string) bool {
	return slices.ContainsFunc(n.Sources, func(s NSSSource) bool { return s.Name == service })
}

// ReadNSSwitch reads the hosts line of a file; an empty path is
// /etc/nsswitch.conf. That the file is not there is a fact in the result.
func ReadNSSwitch(path string) (NSSwitch, error) {
	if path == "" {
		path = "/etc/nsswitch.conf"
	}
	n, missing, err := readFile(path, ParseNSSwitch)
	n.Path, n.Missing = path, missing
	return n, operr.New("resolve: read nsswitch", path, err)
}

// ParseNSSwitch reads the hosts line of the text of an nsswitch.conf. The last
// such line counts. The error is that of r, or of a line longer than 1 MiB.
func ParseNSSwitch(r io.Reader) (NSSwitch, error) {
	var n NSSwitch
	s := lines(r)
	for line := 1; s.Scan(); line++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		db, rest, ok := strings.Cut(strings.TrimSpace(text), ":")
		if !ok || strings.TrimSpace(db) != "hosts" {
			continue
		}
		if n.Line != 0 {
			n.Problems = append(n.Problems, Problem{n.Line, "hosts:", "another hosts line follows"})
		}
		n.Line, n.Sources = line, nil
		n.parseSources(rest)
	}
	return n, s.Err()
}

func (n *NSSwitch) parseSources(s string) {
	for {
		s = strings.TrimLeft(s, " \t\r\v\f")
		if s == "" {
			return
		}
		if s[0] == '[' {
			inside, rest, ok := strings.Cut(s[1:], "]")
			if !ok {
				n.problem(s, "no closing bracket")
				return
			}
			n.parseActions(inside)
			s = rest
			continue
		}
		end := strings.IndexAny(s, " \t\r\v\f[")
		if end < 0 {
			end = len(s)
		}
		n.Sources = append(n.Sources, NSSSource{Name: escapeString([]byte(s[:end]))})
		s = s[end:]
	}
}

func (n *NSSwitch) parseActions(s string) {
	if len(n.Sources) == 0 {
		n.problem("["+s+"]", "an action without a service before it")
		return
	}
	last := &n.Sources[len(n.Sources)-1]
	for f := range strings.FieldsSeq(strings.ToLower(s)) {
		status, action, ok := strings.Cut(f, "=")
		name, not := strings.CutPrefix(status, "!")
		if !ok || !slices.Contains([]string{"success", "notfound", "unavail", "tryagain"}, name) ||
			!slices.Contains([]string{"return", "continue", "merge"}, action) {
			n.problem(f, "not of the form STATUS=ACTION")
			continue
		}
		last.Actions = append(last.Actions, NSSAction{Not: not, Status: name, Action: action})
	}
}

func (n *NSSwitch) problem(text, reason string) {
	n.Problems = append(n.Problems, Problem{n.Line, escapeString([]byte(text)), reason})
}
