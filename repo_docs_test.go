package netsonde_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

var documentRules = []rule{
	{"one package comment", packageComments, map[string]string{
		"link/a.go": "// Package link is.\npackage link\n", "link/b.go": "// Package link is too.\npackage link\n",
	}, "link: 2 package comments"},
	{"exported names are documented", exportedComments, map[string]string{
		"link/link.go": "package link\nfunc List() {}\n",
	}, "link/link.go:2: List has no comment"},
	{"options say what they are", optionComments, map[string]string{
		"link/link.go": "package link\ntype Options struct{ NetNS int }\n",
	}, "link/link.go:2: NetNS has no comment"},
	{"nothing is left open", nothingOpen, map[string]string{
		"link/link.go": "package link\n\n// TO" + "DO: the rest\n",
	}, "link/link.go:3: left open"},
	{"no paths of one machine", noMachinePaths, map[string]string{
		"README.md": "See /" + "root/go/src.\n",
	}, "README.md:1: a path of one machine"},
	{"links lead somewhere", links, map[string]string{
		"README.md": "# A\n\nSee [it](missing.md).\n",
	}, "README.md:3: missing.md leads nowhere"},
	{"anchors lead somewhere", links, map[string]string{
		"README.md": "# A room\n\n[one](#a-room) [two](#b-room)\n",
	}, "README.md:3: #b-room leads nowhere"},
	{"each mini-tool is in the index", toolIndex, map[string]string{
		"examples/README.md": "[mtr](mtr)", "examples/ping/main.go": "// Ping pings.\npackage main\n",
	}, "examples/README.md: no entry for ping"},
	{"each classic command has its mini-tool", commandTable, map[string]string{
		"README.md": "# A\n\n## The classic commands\n\n| classic | here |\n|---|---|\n| `ping` | [`ping`](examples/ping) |\n",
	}, "README.md:7: examples/ping/main.go is not there"},
	{"the command table is there", commandTable, map[string]string{
		"README.md": "# A\n",
	}, "README.md: no rows under"},
}

func packageComments(r *repo) (complaints []string) {
	for _, dir := range r.packages() {
		n, name := 0, ""
		for _, f := range r.in(dir, false) {
			if f.ast.Doc == nil {
				continue
			}
			n, name = n+1, f.ast.Name.Name
			if name != "main" && !strings.HasPrefix(f.ast.Doc.Text(), "Package "+name+" ") {
				complaints = append(complaints, f.name+`: the package comment does not begin with "Package `+name+` "`)
			}
		}
		if n != 1 {
			complaints = append(complaints, fmt.Sprintf("%s: %d package comments, want 1", dir, n))
		}
	}
	return complaints
}

func exportedComments(r *repo) (complaints []string) {
	for _, f := range r.files {
		if f.test || f.ast.Name.Name == "main" {
			continue
		}
		for _, e := range exported(f.ast) {
			// A stub for other systems has its comment where the code is.
			if !e.doc && !(strings.HasSuffix(f.name, "_others.go") && e.tok == token.FUNC) {
				complaints = append(complaints, r.complaint(e.pos, "%s has no comment", e.name))
			}
		}
	}
	return complaints
}

// optionComments: what a caller can set says its unit and what zero means.
func optionComments(r *repo) (complaints []string) {
	for _, f := range r.files {
		if f.test || !room(f.dir) {
			continue
		}
		for _, e := range exported(f.ast) {
			st, ok := e.shape.(*ast.StructType)
			if !ok || !strings.HasSuffix(e.name, "Options") {
				continue
			}
			for _, field := range st.Fields.List {
				for _, name := range field.Names {
					if name.IsExported() && field.Doc == nil && field.Comment == nil {
						complaints = append(complaints, r.complaint(name.Pos(), "%s has no comment", name.Name))
					}
				}
			}
		}
	}
	return complaints
}

// The words are put together here so that this file passes its own test.
var (
	leftOpen    = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b|\b(not|un)[ -]?imple` + `mented\b`)
	machinePath = regexp.MustCompile(`(^|[^\w./])/(wo` + `rk|ro` + `ot|ho` + `me|Us` + `ers)/\w`)
)

func nothingOpen(r *repo) []string {
	return grep(r, leftOpen, "left open", func(name string) bool { return path.Ext(name) == ".go" })
}

func noMachinePaths(r *repo) []string {
	return grep(r, machinePath, "a path of one machine", func(name string) bool { return path.Ext(name) != ".sum" })
}

func grep(r *repo, re *regexp.Regexp, what string, in func(name string) bool) (complaints []string) {
	for name, text := range r.text {
		if !in(name) {
			continue
		}
		n := 0
		for line := range strings.Lines(text) {
			n++
			if m := re.FindString(line); m != "" {
				complaints = append(complaints, fmt.Sprintf("%s:%d: %s: %s", name, n, what, strings.TrimSpace(m)))
			}
		}
	}
	slices.Sort(complaints)
	return complaints
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
)

// links: every relative link of every document leads to a file or a heading.
func links(r *repo) (complaints []string) {
	for name, text := range r.text {
		if path.Ext(name) != ".md" {
			continue
		}
		n := 0
		for line := range strings.Lines(withoutCode(text)) {
			n++
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if !leads(r, name, m[1]) {
					complaints = append(complaints, fmt.Sprintf("%s:%d: %s leads nowhere", name, n, m[1]))
				}
			}
		}
	}
	slices.Sort(complaints)
	return complaints
}

// withoutCode blanks fenced code and keeps the line numbers.
func withoutCode(text string) string {
	return fence.ReplaceAllStringFunc(text, func(code string) string { return strings.Repeat("\n", strings.Count(code, "\n")) })
}

func leads(r *repo, from, to string) bool {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return true
	}
	to, anchor, _ := strings.Cut(to, "#")
	target := from
	if to != "" {
		target = path.Join(path.Dir(from), to)
		if _, err := fs.Stat(r.fs, target); err != nil {
			return false
		}
	}
	if anchor == "" {
		return true
	}
	for _, h := range heading.FindAllStringSubmatch(withoutCode(r.text[target]), -1) {
		if slug(h[1]) == anchor {
			return true
		}
	}
	return false
}

// slug turns a heading into the anchor that Markdown hosts give it.
func slug(heading string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case c == ' ':
			b.WriteByte('-')
		case c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c > 127:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// tools returns the mini-tools, which are the folders of examples with a main.go.
func tools(r *repo) (names []string) {
	for name := range r.text {
		if ok, _ := path.Match("examples/*/main.go", name); ok {
			names = append(names, path.Base(path.Dir(name)))
		}
	}
	slices.Sort(names)
	return names
}

func toolIndex(r *repo) (complaints []string) {
	for _, tool := range tools(r) {
		if !strings.Contains(r.text["examples/README.md"], "]("+tool+")") {
			complaints = append(complaints, "examples/README.md: no entry for "+tool)
		}
	}
	return complaints
}

const commandHeading = "## The classic commands"

// commandTable: the second column of the README's table names, in backticks,
// and links the mini-tool that stands for the classic command.
func commandTable(r *repo) (complaints []string) {
	if r.text["README.md"] == "" {
		return nil // the links of other documents ask for it
	}
	n, rows, inside := 0, 0, false
	for line := range strings.Lines(r.text["README.md"]) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			inside = line == commandHeading
		}
		cells := strings.Split(strings.ReplaceAll(line, `\|`, ""), "|")
		if !inside || len(cells) < 4 || strings.Trim(line, "|-: ") == "" {
			continue
		}
		if rows++; rows == 1 {
			continue // the heading of the table
		}
		found := toolCell.FindAllStringSubmatch(cells[2], -1)
		if len(found) == 0 {
			complaints = append(complaints, fmt.Sprintf("README.md:%d: the second column names no mini-tool: %s", n, strings.TrimSpace(cells[2])))
		}
		for _, m := range found {
			if main := path.Join("examples", m[1], "main.go"); r.text[main] == "" || m[1] != m[2] {
				complaints = append(complaints, fmt.Sprintf("README.md:%d: %s is not there", n, main))
			}
		}
	}
	if rows < 2 {
		complaints = append(complaints, "README.md: no rows under "+commandHeading)
	}
	return complaints
}

var toolCell = regexp.MustCompile("\\[`([^`]+)`\\]\\(examples/([^)/]+)/?\\)")
