package netsonde_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// This file and its neighbours hold the repository to the rules that
// CONTRIBUTING.md states. A rule is a function from a source tree to
// complaints, so that each can be shown a tree that breaks it.

const module = "github.com/netsonde/netsonde"

// rule says what is wrong with a tree: one complaint a line, beginning with
// the file.
type rule struct {
	name  string
	check func(*repo) []string
	bad   map[string]string // files added to an empty tree that break the rule
	want  string            // what the complaint then contains
}

func TestRepository(t *testing.T) {
	r, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, complaint := range rule.check(r) {
				t.Error(complaint)
			}
		})
	}
}

// TestRulesBite shows each rule a tree that breaks it.
func TestRulesBite(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range rule.bad {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			r, err := load(tree)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(rule.check(r), "\n")
			if !strings.Contains(got, rule.want) || rule.want == "" {
				t.Errorf("complaints %q, want one with %q", got, rule.want)
			}
		})
	}
}

// repo is a source tree, read once.
type repo struct {
	fset  *token.FileSet
	fs    fs.FS
	files []*goFile         // every Go file of this module, of every system
	text  map[string]string // every text file, Go files and other modules' included
	dirs  []string          // every folder
}

type goFile struct {
	name string // with slashes, from the root
	dir  string
	test bool
	ast  *ast.File
}

// imports returns the paths that a file imports.
func (f *goFile) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

func load(tree fs.FS) (*repo, error) {
	r := &repo{fset: token.NewFileSet(), fs: tree, text: map[string]string{}}
	foreign := map[string]bool{} // folders of other modules
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || d.Name() == "testdata" {
				return fs.SkipDir
			}
			_, err := fs.Stat(tree, path.Join(name, "go.mod"))
			foreign[name] = name != "." && (err == nil || foreign[path.Dir(name)])
			r.dirs = append(r.dirs, name)
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return r.add(name, foreign[path.Dir(name)])
	})
	return r, err
}

func (r *repo) add(name string, foreign bool) error {
	b, err := fs.ReadFile(r.fs, name)
	if err != nil || bytes.IndexByte(b, 0) >= 0 {
		return err
	}
	r.text[name] = string(b)
	if foreign || path.Ext(name) != ".go" {
		return nil
	}
	f, err := parser.ParseFile(r.fset, name, b, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	r.files = append(r.files, &goFile{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), ast: f})
	return nil
}

// complaint formats one complaint about a place in a file.
func (r *repo) complaint(pos token.Pos, format string, args ...any) string {
	p := r.fset.Position(pos)
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}

// packages returns the folders that hold a package of this module, in order.
func (r *repo) packages() []string {
	var dirs []string
	for _, f := range r.files {
		if !f.test {
			dirs = append(dirs, f.dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// in returns the files of a folder.
func (r *repo) in(dir string, test bool) []*goFile {
	return slices.DeleteFunc(slices.Clone(r.files), func(f *goFile) bool { return f.dir != dir || f.test != test })
}

// The layers of the house, from the ground up. An import points down, or
// stays inside internal or inside examples.
const (
	layerInternal = iota
	layerRoom     // the rooms: ping, trace, link …
	layerDiagnose
	layerExamples
)

func layer(dir string) int {
	switch top, _, _ := strings.Cut(dir, "/"); {
	case top == "internal":
		return layerInternal
	case top == "diagnose":
		return layerDiagnose
	case top == "examples":
		return layerExamples
	}
	return layerRoom
}

// testSupport are internal packages that exist for tests.
func testSupport(dir string) bool { return dir == "internal/lab" || dir == "internal/leak" }

// library reports whether a folder holds a package that people import, or a
// part of one.
func library(dir string) bool { return dir != "." && layer(dir) != layerExamples && !testSupport(dir) }

// room reports whether a folder is a package that people import.
func room(dir string) bool { return library(dir) && layer(dir) != layerInternal }
