// Package interfaces reads /etc/network/interfaces, with which Debian and its
// relatives configure their network (interfaces(5)), and plans what setting one
// of its interfaces up or down takes. It is pure: it reads files of an [fs.FS],
// runs nothing, and changes nothing.
package interfaces

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Config is what the files say.
type Config struct {
	Stanzas  []Stanza            `json:"stanzas"`
	Allowed  map[string][]string `json:"allowed,omitzero"` // interfaces by class: "auto", "hotplug" …
	NoAuto   []string            `json:"no_auto_down,omitzero"`
	Bare     []string            `json:"no_scripts,omitzero"` // interfaces that no scripts are run for
	Mappings []Stanza            `json:"mappings,omitzero"`   // whose scripts would choose a stanza
	Problems []Problem           `json:"problems,omitzero"`
}

// Stanza is an iface or a mapping.
type Stanza struct {
	Name     string   `json:"name"`
	Family   string   `json:"family,omitzero"` // "inet", "inet6" …
	Method   string   `json:"method,omitzero"` // "static", "manual", "dhcp" …
	Inherits []string `json:"inherits,omitzero"`
	Options  []Option `json:"options,omitzero"`
	Place
}

// Option is a line of a stanza.
type Option struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Place
}

// Place is where something is written.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// String returns "file:line".
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Problem is a line that makes no sense, or that nothing is done about.
type Problem struct {
	Place
	Text string `json:"text"`
	// Unused is of a line that makes sense to somebody else, perhaps: scripts get
	// every line.
	Unused bool `json:"unused,omitzero"`
}

// String returns "file:line: text".
func (p Problem) String() string { return p.Place.String() + ": " + p.Text }

// Bounds on what files of a stranger may make us do.
const (
	maxFiles = 256
	maxDepth = 20
	maxLines = 20_000 // of all files
)

// reader reads one configuration.
type reader struct {
	fsys  fs.FS
	c     *Config
	files int
	lines int
	full  bool    // a bound was met: no more is read
	open  *Stanza // that option lines belong to
	what  *[]Stanza
}

// Read reads a file, a path of fsys without a slash in front, and those that it
// includes. A file that is not there is an error; what is wrong inside is told
// in Problems.
func Read(fsys fs.FS, name string) (Config, error) {
	c := Config{Allowed: map[string][]string{}}
	r := &reader{fsys: fsys, c: &c}
	err := r.file(name, 0)
	r.end()
	return c, err
}

func (r *reader) problem(p Place, format string, args ...any) {
	r.c.Problems = append(r.c.Problems, Problem{Place: p, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) file(name string, depth int) error {
	if r.files++; r.files > maxFiles || depth > maxDepth {
		r.full = true
	}
	if r.full {
		return fmt.Errorf("/%s: too many files include each other", name)
	}
	text, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		return err
	}
	number := 0
	for len(text) > 0 {
		var line string
		at := Place{"/" + name, number + 1}
		line, text, number = logical(text, number)
		if r.full {
			return nil // which has been told
		}
		if r.lines++; r.lines > maxLines {
			r.full = true
			return fmt.Errorf("/%s: more than %d lines", name, maxLines)
		}
		if line == "" || line[0] == '#' {
			continue
		}
		r.line(at, line, name, depth)
	}
	return nil
}

// logical takes a line and those that it is continued on with a backslash.
func logical(text []byte, number int) (line string, rest []byte, n int) {
	var b strings.Builder
	for n = number; len(text) > 0; {
		end := lineEnd(text)
		one := strings.TrimRight(string(text[:end]), "\r\n")
		text = text[end:]
		n++
		if b.Len() == 0 && strings.HasPrefix(strings.TrimSpace(one), "#") {
			return "#", text, n // a comment goes no further
		}
		head, more := strings.CutSuffix(one, "\\")
		b.WriteString(head)
		if !more {
			break
		}
	}
	return strings.TrimSpace(b.String()), text, n
}

// lineEnd is the length of the first line with its end.
func lineEnd(text []byte) int {
	if i := slices.Index(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// cut takes the first word off.
func cut(s string) (word, rest string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

func (r *reader) line(at Place, line, file string, depth int) {
	word, rest := cut(line)
	words := strings.Fields(rest)
	class, allow := strings.CutPrefix(word, "allow-")
	switch {
	case word == "auto", allow && class == "auto":
		r.end()
		r.c.Allowed["auto"] = append(r.c.Allowed["auto"], words...)
	case allow:
		r.end()
		r.c.Allowed[class] = append(r.c.Allowed[class], words...)
	case word == "no-auto-down":
		r.end()
		r.c.NoAuto = append(r.c.NoAuto, words...)
	case word == "no-scripts":
		r.end()
		r.c.Bare = append(r.c.Bare, words...)
	case word == "iface", word == "template":
		r.end()
		r.iface(at, words)
	case word == "mapping":
		r.end()
		r.open, r.what = &Stanza{Name: rest, Place: at}, &r.c.Mappings
	case word == "rename":
		r.end()
		r.problem(at, "nothing is renamed")
	case word == "source", word == "source-directory":
		r.end()
		for _, pattern := range words {
			r.include(at, pattern, file, depth, word == "source-directory")
		}
	case r.open == nil:
		r.problem(at, "%q is not inside a stanza", word)
	default:
		r.open.Options = append(r.open.Options, Option{word, rest, at})
	}
}

func (r *reader) iface(at Place, words []string) {
	s := Stanza{Place: at}
	if len(words) > 0 {
		s.Name, words = words[0], words[1:]
	}
	if i := slices.Index(words, "inherits"); i >= 0 {
		s.Inherits, words = words[i+1:], words[:i]
	}
	switch {
	case s.Name == "", len(words) != 2 && len(words) != 0, len(words) == 0 && s.Inherits == nil:
		r.problem(at, "iface needs a name, a family and a method")
	case len(words) == 2:
		s.Family, s.Method = words[0], words[1]
		if !slices.Contains([]string{"inet", "inet6", "can", "link"}, s.Family) {
			r.problem(at, "unknown address family %q", s.Family)
		}
	}
	r.open, r.what = &s, &r.c.Stanzas
}

// end ends a stanza.
func (r *reader) end() {
	if r.open != nil {
		*r.what = append(*r.what, *r.open)
		r.open = nil
	}
}

// scriptName is what files of a source-directory are called.
var scriptName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func (r *reader) include(at Place, pattern, file string, depth int, dir bool) {
	if !path.IsAbs(pattern) {
		pattern = path.Join("/"+path.Dir(file), pattern)
	}
	pattern = cmp.Or(strings.TrimPrefix(path.Clean(pattern), "/"), ".")
	names, err := fs.Glob(r.fsys, pattern)
	if err != nil {
		r.problem(at, "%v", err)
		return
	}
	if len(names) == 0 && !strings.ContainsAny(pattern, "*?[") {
		r.problem(at, "/%s is not there", pattern)
	}
	for _, name := range names {
		if r.full {
			return
		}
		entries, err := fs.ReadDir(r.fsys, name)
		isDir := err == nil
		if !dir && !isDir {
			if err := r.file(name, depth+1); err != nil {
				r.problem(at, "%v", err)
			}
			r.end()
			continue
		}
		if !isDir {
			r.problem(at, "/%s is no directory", name)
			continue
		}
		for _, e := range entries { // sorted
			if scriptName.MatchString(e.Name()) && !e.IsDir() {
				if err := r.file(path.Join(name, e.Name()), depth+1); err != nil {
					r.problem(at, "%v", err)
				}
				r.end()
			}
		}
	}
}

// Is reports whether an interface is of a class, such as "auto".
func (c *Config) Is(class, name string) bool {
	return slices.ContainsFunc(c.Allowed[class], func(pattern string) bool {
		ok, err := path.Match(strings.TrimPrefix(pattern, "/"), name)
		return pattern == name || err == nil && ok && strings.HasPrefix(pattern, "/")
	})
}

// Find returns the stanzas of a name with what they inherit, in order.
func (c *Config) Find(name string) []Stanza {
	var found []Stanza
	for _, s := range c.Stanzas {
		if s.Name == name {
			c.inherit(&s, map[Place]bool{s.Place: true})
			found = append(found, s)
		}
	}
	return found
}

// inherit puts what the other stanzas say before what s says, which thereby
// counts. Each is inherited once.
func (c *Config) inherit(s *Stanza, seen map[Place]bool) {
	own := s.Options
	s.Options = nil
	for _, name := range s.Inherits {
		for _, from := range c.Stanzas {
			if from.Name == name && !seen[from.Place] {
				seen[from.Place] = true
				c.inherit(&from, seen)
				s.Family, s.Method = cmp.Or(s.Family, from.Family), cmp.Or(s.Method, from.Method)
				s.Options = append(s.Options, from.Options...)
			}
		}
	}
	s.Options = append(s.Options, own...)
}
