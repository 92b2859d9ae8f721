// Package ifupdown is what ifup and ifdown share: it sets the interfaces of
// /etc/network/interfaces up and down.
package ifupdown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/interfaces"
	"github.com/netsonde/netsonde/link"
)

// tool is one run.
type tool struct {
	*cli.Tool
	up            bool
	all           bool
	class         string
	file          string
	noAct         bool
	verbose, json bool
	exclude       []string
	config        interfaces.Config
	short         bool // not everything was done
	failed        bool // and something was refused
}

// New returns the tool of that name.
func New(name string, up bool) cli.Run {
	return func(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
		direction := "up"
		if !up {
			direction = "down"
		}
		t := &tool{up: up, Tool: cli.New(name, "[options] IF[=STANZA]... | -a", "Sets network interfaces "+direction+" as /etc/network/interfaces says.", stdout, stderr)}
		f := t.Flags
		f.BoolVarP(&t.all, "all", "a", false, "the interfaces that are auto")
		f.StringVar(&t.class, "allow", "", "with -a, those that are allow-`CLASS` instead; else only if they are")
		f.StringVarP(&t.file, "interfaces", "i", "/etc/network/interfaces", "the `FILE` to read")
		f.BoolVarP(&t.noAct, "no-act", "n", false, "only tell what would be done")
		f.BoolVarP(&t.verbose, "verbose", "v", false, "tell what is done")
		f.StringArrayVarP(&t.exclude, "exclude", "X", nil, "with -a, not the interfaces like `PATTERN`")
		f.BoolVar(&t.json, "json", false, "one object a step, with what came of it")
		f.Bool("force", false, "accepted: there is no state file that could object")
		f.Bool("ignore-errors", false, "accepted: an interface that fails does not stop the others")
		if code, done := t.Parse(args); done {
			return code
		}
		return t.run(ctx)
	}
}

func (t *tool) run(ctx context.Context) int {
	if t.all == (t.Flags.NArg() > 0) {
		return t.Usage("which interfaces? name them, or say -a")
	}
	file, err := filepath.Abs(t.file)
	if err == nil {
		t.config, err = interfaces.Read(os.DirFS("/"), strings.TrimPrefix(file, "/"))
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		pe.Path = file
	}
	if err != nil {
		return t.Fail(err)
	}
	for _, p := range t.config.Problems {
		t.Warn("%v", p)
	}
	names, err := t.names(ctx)
	if err != nil {
		return t.Fail(err)
	}
	code := cli.Yes
	for _, name := range names {
		if ctx.Err() != nil {
			return t.Fail(context.Cause(ctx))
		}
		if !t.iface(ctx, name) {
			code = cli.No
		}
	}
	return code
}

// names are the interfaces to set, each perhaps with the stanza to use.
func (t *tool) names(ctx context.Context) ([]string, error) {
	class := t.class
	if class == "" {
		class = "auto"
	}
	if !t.all {
		return slices.DeleteFunc(slices.Clone(t.Flags.Args()), func(arg string) bool {
			name, _, _ := strings.Cut(arg, "=")
			return t.class != "" && !t.config.Is(class, name)
		}), nil
	}
	var names []string
	add := func(name string) {
		excluded := slices.ContainsFunc(t.exclude, func(pattern string) bool { ok, err := path.Match(pattern, name); return ok && err == nil })
		if !excluded && !slices.Contains(names, name) && (t.up || !slices.Contains(t.config.NoAuto, name)) {
			names = append(names, name)
		}
	}
	for _, name := range t.config.Allowed[class] {
		pattern, glob := strings.CutPrefix(name, "/")
		if !glob {
			add(name)
			continue
		}
		links, err := link.List(ctx, nil)
		if err != nil && !errors.Is(err, link.ErrInterrupted) {
			return nil, err
		}
		for _, l := range links {
			if ok, err := path.Match(pattern, l.Name); ok && err == nil {
				add(l.Name)
			}
		}
	}
	if !t.up {
		slices.Reverse(names)
	}
	return names, nil
}

// iface sets one interface, and reports whether all that the file says was done.
func (t *tool) iface(ctx context.Context, arg string) bool {
	name, logical, ok := strings.Cut(arg, "=")
	if !ok {
		logical = name
	}
	stanzas := t.config.Find(logical)
	if len(stanzas) == 0 {
		t.Warn("unknown interface %s", arg)
		return false
	}
	t.short, t.failed = false, false
	for _, m := range t.config.Mappings {
		if slices.Contains(strings.Fields(m.Name), name) && !ok {
			t.short = true
			t.Warn("%v: the mapping's script is not run; choose a stanza yourself: %s=STANZA", m.Place, name)
		}
	}
	for _, s := range stanzas {
		plan := interfaces.Down
		if t.up {
			plan = interfaces.Up
		}
		steps, problems := plan(s, name)
		for _, p := range problems {
			t.short = true
			t.Warn("%v", p)
		}
		for _, step := range steps {
			if !t.step(ctx, step) {
				break // of this stanza
			}
		}
	}
	if t.failed {
		t.Warn("failed to bring %s %s", map[bool]string{true: "up", false: "down"}[t.up], name)
	}
	return !t.short && !t.failed
}

// result is a step and what came of it.
type result struct {
	interfaces.Step
	Done  bool   `json:"done"`
	Error string `json:"error,omitzero"`
}

// step does one step, or tells what it would be, and reports whether to go on.
func (t *tool) step(ctx context.Context, s interfaces.Step) bool {
	r := result{Step: s}
	if s.Do == interfaces.ActionClient {
		r.Text = client(s, t.up)
	}
	var err error
	if !t.noAct {
		err = t.do(ctx, r.Step)
		if s.Lenient {
			err = nil
		}
		if r.Done = err == nil; err != nil {
			r.Error = err.Error()
		}
	}
	switch {
	case t.json:
		cli.JSONLine(t.Stdout, r)
	case t.noAct || t.verbose:
		fmt.Fprintln(t.Stdout, cli.Escape(r.Text))
	}
	switch {
	case errors.Is(err, errNotRun):
		t.short = true
		t.Warn("%v: not run: %s", r.Place, r.Text)
	case err != nil:
		t.failed = true
		t.Error(err)
		return false
	}
	return true
}
