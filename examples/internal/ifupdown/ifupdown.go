// Package ifupdown is what ifup and ifdown share: it sets the interfaces of
// /etc/network/interfaces up and down, runs the commands and scripts that belong
// to it, and keeps the state in the files of Debian's ifupdown.
package ifupdown

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/interfaces"
)

// tool is one run.
type tool struct {
	*cli.Tool
	stdin         io.Reader
	up            bool
	all           bool
	class         string
	file          string
	stateDir      string
	scripts       string // the directory of if-up.d and the others
	noAct         bool
	verbose, json bool
	force         bool
	ignore        bool
	noScripts     bool
	noMappings    bool
	noLoopback    bool
	list          bool
	query, showUp bool
	exclude, set  []string
	config        interfaces.Config
	state         *state
}

// New returns the tool of that name.
func New(name string, up bool) cli.Run {
	return func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
		direction := "up"
		if !up {
			direction = "down"
		}
		t := &tool{
			up: up, stdin: stdin,
			Tool: cli.New(name, "[options] IF[=STANZA]... | -a", "Sets network interfaces "+direction+" as /etc/network/interfaces says.", stdout, stderr),
		}
		// What is begun is ended, whether or not somebody still reads what is told.
		// Caught, and not ignored, the signal is as usual for commands.
		pipe := make(chan os.Signal, 1)
		signal.Notify(pipe, syscall.SIGPIPE)
		defer signal.Stop(pipe)
		t.define()
		if code, done := t.Parse(args); done {
			return code
		}
		return t.run(ctx)
	}
}

func (t *tool) define() {
	f := t.Flags
	f.BoolVarP(&t.all, "all", "a", false, map[bool]string{true: "the interfaces that are auto", false: "the interfaces that are up"}[t.up])
	f.StringVar(&t.class, "allow", "", "only interfaces that are allow-`CLASS`; with -a, those instead of auto")
	f.StringVarP(&t.file, "interfaces", "i", "/etc/network/interfaces", "the `FILE` to read")
	f.StringVar(&t.stateDir, "state-dir", "/run/network", "the `DIR` that the state is kept in")
	f.StringVar(&t.scripts, "scripts", "/etc/network", "the `DIR` of if-pre-up.d, if-up.d, if-down.d and if-post-down.d")
	f.StringArrayVarP(&t.exclude, "exclude", "X", nil, "not the interfaces like `PATTERN`")
	f.StringArrayVarP(&t.set, "option", "o", nil, "`KEY=VALUE` as if it were a line of the stanza")
	f.BoolVarP(&t.noAct, "no-act", "n", false, "only print what would be done")
	f.BoolVarP(&t.verbose, "verbose", "v", false, "tell what is done")
	f.BoolVarP(&t.force, "force", "f", false, "even if it is "+map[bool]string{true: "up", false: "down"}[t.up]+" already, and if the state cannot be kept")
	f.BoolVar(&t.ignore, "ignore-errors", false, "go on when something fails")
	f.BoolVar(&t.noScripts, "no-scripts", false, "do not run the scripts of other packages, in if-*.d")
	f.BoolVar(&t.noMappings, "no-mappings", false, "do not run mappings")
	f.BoolVar(&t.noLoopback, "no-loopback", false, "with -a, lo only if the file has it")
	f.BoolVarP(&t.list, "list", "l", false, "print the names of -a, or of the interfaces given that there is a stanza for")
	f.BoolVar(&t.query, "query", false, "print the lines of an interface")
	f.BoolVar(&t.showUp, "state", false, "print what is up")
	f.BoolVar(&t.json, "json", false, "one object a step, with what came of it")
}

func (t *tool) run(ctx context.Context) int {
	t.state = &state{dir: t.stateDir}
	if t.showUp {
		return t.printState()
	}
	if !t.list && t.all == (t.Flags.NArg() > 0) {
		return t.Usage("which interfaces? name them, or say -a")
	}
	for _, o := range t.set {
		if key, value, ok := strings.Cut(o, "="); !ok || key == "" || value == "" {
			return t.Usage("-o %s: say KEY=VALUE", o)
		}
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
	t.loopback()
	names, err := t.names(ctx)
	switch {
	case err != nil:
		return t.Fail(err)
	case t.list:
		return t.printNames(names)
	case t.query:
		return t.printLines(names)
	}
	if !t.noAct {
		cli.Carry(t.Stdout)
	}
	return t.each(ctx, names)
}

// each sets the interfaces one after the other.
func (t *tool) each(ctx context.Context, names []string) int {
	code := cli.Yes
	if t.all && !t.everybody(ctx, true) {
		return cli.No
	}
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		if !t.iface(ctx, name) {
			code = cli.No
		}
	}
	if ctx.Err() != nil {
		if !t.noAct {
			t.Warn("interrupted")
		}
		return cli.No
	}
	if t.all && !t.everybody(ctx, false) {
		code = cli.No
	}
	return code
}

// everybody runs the scripts that are run once before all interfaces, and once
// after them.
func (t *tool) everybody(ctx context.Context, before bool) bool {
	phase, dir := "post-up", "if-up.d"
	switch {
	case t.up && before:
		phase, dir = "pre-up", "if-pre-up.d"
	case !t.up && before:
		phase, dir = "pre-down", "if-down.d"
	case !t.up:
		phase, dir = "post-down", "if-post-down.d"
	}
	class := t.class
	if class == "" {
		class = "auto"
	}
	text := "run-parts /etc/network/" + dir
	if t.up {
		text = "run-parts --exit-on-error /etc/network/" + dir
	}
	j := &job{tool: t, name: "--all", logical: class}
	return j.step(ctx, interfaces.Step{Do: interfaces.ActionScripts, Device: "--all", Value: dir, Phase: phase, Text: text}) || !t.up || t.ignore
}

// loopback adds the stanza of lo that everybody has.
func (t *tool) loopback() {
	if t.noLoopback || !t.up || !t.all && !t.list || t.class != "" {
		return
	}
	if slices.ContainsFunc(t.config.Stanzas, func(s interfaces.Stanza) bool { return s.Method == "loopback" }) {
		return
	}
	t.config.Stanzas = append(t.config.Stanzas, interfaces.Stanza{Name: "lo", Family: "inet", Method: "loopback", Place: interfaces.Place{File: "built in"}})
	t.config.Allowed["auto"] = append([]string{"lo"}, t.config.Allowed["auto"]...)
}
