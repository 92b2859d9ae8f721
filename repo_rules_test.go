package netsonde_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// lines returns n lines of Go that are only comments.
func lines(n int) string { return strings.Repeat("//\n", n) }

var rules = slices.Concat(codeRules, documentRules)

var codeRules = []rule{
	{"imports go one way", arrows, map[string]string{
		"ping/ping.go": `package ping; import "github.com/netsonde/netsonde/link"`,
	}, "ping/ping.go:1: a room imports link"},
	{"dependencies are where they may be", dependencies, map[string]string{
		"link/link.go": `package link; import "github.com/vishvananda/netlink"`,
	}, "link/link.go:1: github.com/vishvananda/netlink is not allowed here"},
	{"go.mod holds the agreed list", requirements, map[string]string{
		"go.mod": "module m\n\ngo 1.26\n\nrequire (\n\tgithub.com/google/go-cmp v0.7.0\n\texample.org/left-pad v1.0.0\n)\n",
	}, "go.mod: example.org/left-pad is not on the list"},
	{"a library is a good guest", goodGuest, map[string]string{
		"link/link.go": "package link\nimport \"fmt\"\nfunc f() { fmt.Println() }\n",
	}, "link/link.go:3: fmt.Println in a library"},
	{"no exported channels", noChannels, map[string]string{
		"link/link.go": "package link\ntype L struct{ C <-chan int }\n",
	}, "link/link.go:2: an exported channel"},
	{"files are short", fileLength, map[string]string{
		"link/link.go": "package link\n" + lines(500),
	}, "link/link.go: 501 lines"},
	{"functions are short", functionLength, map[string]string{
		"link/link.go": "package link\nfunc f() {\n" + lines(79) + "}\n",
	}, "link/link.go:2: f has 81 lines"},
	{"mini-tools are thin", thinTools, map[string]string{
		"examples/ping/main.go": "package main\n" + lines(149),
	}, "examples/ping/main.go: 150 lines"},
	{"no store rooms", noStoreRooms, map[string]string{
		"internal/util/util.go": "package util",
	}, "internal/util: a name that says nothing"},
	{"each room shows itself", rooms, map[string]string{
		"link/link.go": "package link", "link/main_test.go": "package link\nfunc TestMain() {}\n",
	}, "link: no Example in example_test.go"},
}

// arrows: internal → rooms → diagnose → examples, and rooms never import each other.
func arrows(r *repo) (complaints []string) {
	for _, f := range r.files {
		for _, spec := range f.ast.Imports {
			to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
			if !ours || to == f.dir || f.dir == "." {
				continue
			}
			from := layer(f.dir)
			switch same := from == layer(to); {
			case same && (from == layerInternal || from == layerExamples && strings.HasPrefix(to, "examples/internal/")):
			case same || from < layer(to):
				who := [...]string{"internal", "a room", "diagnose", "a mini-tool"}[from]
				complaints = append(complaints, r.complaint(spec.Pos(), "%s imports %s", who, to))
			case testSupport(to) && !f.test && !demonstration(f):
				complaints = append(complaints, r.complaint(spec.Pos(), "%s is for tests only", to))
			}
		}
	}
	return complaints
}

// demonstration: diagnose --demo breaks networks of the lab before one's eyes.
func demonstration(f *goFile) bool { return f.name == "examples/diagnose/demo_linux.go" }

// allowed says where a module outside the standard library may be imported.
var allowed = map[string]func(f *goFile) bool{
	"golang.org/x/net":                func(*goFile) bool { return true },
	"golang.org/x/sys":                func(*goFile) bool { return true },
	"github.com/mdlayher/netlink":     func(*goFile) bool { return true },
	"github.com/mdlayher/genetlink":   func(*goFile) bool { return true },
	"github.com/mdlayher/ethtool":     func(*goFile) bool { return true },
	"github.com/spf13/pflag":          inExamples,
	"github.com/gdamore/tcell/v2":     inExamples,
	"github.com/google/go-cmp":        forTests,
	"github.com/rogpeppe/go-internal": forTests,
	// Never the code under test: what it builds must not be its own witness.
	"github.com/vishvananda/netlink": forTests,
	"github.com/vishvananda/netns":   forTests,
	"github.com/google/nftables":     forTests,
}

func inExamples(f *goFile) bool { return layer(f.dir) == layerExamples }
func forTests(f *goFile) bool   { return f.test || testSupport(f.dir) }

// indirect are the modules that those on the list need themselves.
var indirect = []string{
	"github.com/gdamore/encoding", "github.com/lucasb-eyer/go-colorful", "github.com/mdlayher/socket",
	"github.com/rivo/uniseg", "golang.org/x/sync", "golang.org/x/term", "golang.org/x/text", "golang.org/x/tools",
}

func dependencies(r *repo) (complaints []string) {
	for _, f := range r.files {
		for _, spec := range f.ast.Imports {
			p := strings.Trim(spec.Path.Value, `"`)
			if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") && p != "C" || p == module || strings.HasPrefix(p, module+"/") {
				continue
			}
			if may := allowed[moduleOf(p)]; may == nil || !may(f) {
				complaints = append(complaints, r.complaint(spec.Pos(), "%s is not allowed here", p))
			}
		}
	}
	return complaints
}

// moduleOf returns the module on the list that a package belongs to.
func moduleOf(pkg string) string {
	for m := range allowed {
		if pkg == m || strings.HasPrefix(pkg, m+"/") {
			return m
		}
	}
	return pkg
}

func requirements(r *repo) (complaints []string) {
	require := false
	for line := range strings.Lines(r.text["go.mod"]) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			require = true
			continue
		case line == ")":
			require = false
		case strings.HasPrefix(line, "replace"), strings.HasPrefix(line, "tool"), strings.HasPrefix(line, "exclude"):
			complaints = append(complaints, "go.mod: no place for: "+line)
		}
		line, single := strings.CutPrefix(line, "require ")
		if !require && !single {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if _, ok := allowed[name]; !ok && !(strings.HasSuffix(rest, "// indirect") && slices.Contains(indirect, name)) {
			complaints = append(complaints, "go.mod: "+name+" is not on the list")
		}
	}
	return complaints
}

// forbidden are what a library does not do: print, log, end the process,
// start another, or touch what belongs to its host.
var (
	forbiddenImports = []string{"log", "log/slog", "os/exec", "os/signal", "flag", "testing", "plugin", "C"}
	forbiddenUses    = regexp.MustCompile(`^(fmt\.Print(f|ln)?|os\.(Exit|Stdin|Stdout|Stderr|Args|Setenv|Chdir|StartProcess)|syscall\.(Exec|ForkExec)|rand\.Seed)$`)
	forbiddenCalls   = []string{"print", "println", "panic"}
)

func goodGuest(r *repo) (complaints []string) {
	for _, f := range r.files {
		if f.test || !library(f.dir) {
			continue
		}
		for _, p := range f.imports() {
			if slices.Contains(forbiddenImports, p) {
				complaints = append(complaints, fmt.Sprintf("%s: imports %s in a library", f.name, p))
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && forbiddenUses.MatchString(x.Name+"."+n.Sel.Name) {
					complaints = append(complaints, r.complaint(n.Pos(), "%s.%s in a library", x.Name, n.Sel.Name))
				}
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && slices.Contains(forbiddenCalls, fun.Name) {
					complaints = append(complaints, r.complaint(n.Pos(), "%s in a library", fun.Name))
				}
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					complaints = append(complaints, r.complaint(n.Pos(), "init in a library"))
				}
			}
			return true
		})
	}
	return complaints
}

// noChannels: streams are iterators; a channel in the API leaves open who
// closes it and who stops the sender.
func noChannels(r *repo) (complaints []string) {
	for _, f := range r.files {
		if f.test || !room(f.dir) {
			continue
		}
		for _, e := range exported(f.ast) {
			ast.Inspect(e.shape, func(n ast.Node) bool {
				if field, ok := n.(*ast.Field); ok && len(field.Names) > 0 && !slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.IsExported() }) {
					if _, isStruct := e.shape.(*ast.StructType); isStruct {
						return false
					}
				}
				if c, ok := n.(*ast.ChanType); ok {
					complaints = append(complaints, r.complaint(c.Pos(), "an exported channel"))
				}
				return true
			})
		}
	}
	return complaints
}

const (
	maxFileLines     = 500 // the design aims at 400
	maxTestFileLines = 700
	maxFuncLines     = 80 // the design aims at 40
	maxTestFuncLines = 120
	maxToolLines     = 149
)

func fileLength(r *repo) (complaints []string) {
	for _, f := range r.files {
		limit := maxFileLines
		if f.test {
			limit = maxTestFileLines
		}
		if n := strings.Count(r.text[f.name], "\n"); n > limit {
			complaints = append(complaints, fmt.Sprintf("%s: %d lines, the limit is %d: is it one room or two?", f.name, n, limit))
		}
	}
	return complaints
}

func functionLength(r *repo) (complaints []string) {
	for _, f := range r.files {
		limit := maxFuncLines
		if f.test {
			limit = maxTestFuncLines
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := r.fset.Position(fn.End()).Line - r.fset.Position(fn.Pos()).Line + 1; n > limit {
				complaints = append(complaints, r.complaint(fn.Pos(), "%s has %d lines, the limit is %d", fn.Name.Name, n, limit))
			}
		}
	}
	return complaints
}

func thinTools(r *repo) (complaints []string) {
	for name, text := range r.text {
		if ok, _ := path.Match("examples/*/main.go", name); !ok {
			continue
		}
		if n := strings.Count(text, "\n"); n > maxToolLines {
			complaints = append(complaints, fmt.Sprintf("%s: %d lines, the limit is %d: what it computes is library", name, n, maxToolLines))
		}
	}
	return complaints
}

func noStoreRooms(r *repo) (complaints []string) {
	for _, dir := range r.dirs {
		switch path.Base(dir) {
		case "util", "utils", "common", "types", "helpers", "helper", "misc", "shared", "base", "lib", "pkg", "testutil", "testutils":
			complaints = append(complaints, dir+": a name that says nothing about what is inside")
		}
	}
	return complaints
}

// rooms: each has a runnable example, a TestMain that finds leaks, a benchmark
// and the error type of the house.
func rooms(r *repo) (complaints []string) {
	for _, dir := range r.packages() {
		if !room(dir) {
			continue
		}
		has := map[string]bool{}
		for _, f := range r.in(dir, true) {
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				for _, prefix := range []string{"Example", "TestMain", "Benchmark"} {
					if strings.HasPrefix(fn.Name.Name, prefix) && (prefix != "Example" || path.Base(f.name) == "example_test.go") {
						has[prefix] = true
					}
				}
			}
		}
		for _, f := range r.in(dir, false) {
			for _, e := range exported(f.ast) {
				has[e.name] = has[e.name] || e.tok == token.TYPE
			}
		}
		for _, need := range [][2]string{{"Example", "no Example in example_test.go"}, {"TestMain", "no TestMain"}, {"Benchmark", "no benchmark"}, {"OpError", "no OpError"}} {
			if !has[need[0]] {
				complaints = append(complaints, dir+": "+need[1])
			}
		}
	}
	return complaints
}

// declared is an exported identifier at the top of a file, or a method of one.
type declared struct {
	name  string
	tok   token.Token
	pos   token.Pos
	doc   bool
	shape ast.Node // its type, where it has one of its own
}

func exported(file *ast.File) (out []declared) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
				out = append(out, declared{d.Name.Name, token.FUNC, d.Pos(), d.Doc != nil, d.Type})
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				out = append(out, exportedSpec(d, spec)...)
			}
		}
	}
	return out
}

func exportedSpec(d *ast.GenDecl, spec ast.Spec) (out []declared) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			out = append(out, declared{s.Name.Name, token.TYPE, s.Pos(), s.Doc != nil || d.Doc != nil && len(d.Specs) == 1, s.Type})
		}
	case *ast.ValueSpec:
		for _, id := range s.Names {
			if id.IsExported() {
				shape := ast.Node(s)
				out = append(out, declared{id.Name, d.Tok, id.Pos(), d.Doc != nil || s.Doc != nil || s.Comment != nil, shape})
			}
		}
	}
	return out
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
