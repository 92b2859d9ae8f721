package ifupdown

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// names are the interfaces to set, each perhaps with the stanza to use.
func (t *tool) names(ctx context.Context) ([]string, error) {
	given := t.Flags.Args()
	switch {
	case t.query:
		return given, nil // stanzas
	case t.all && !t.up && !t.list:
		return t.upNow()
	case t.all || t.list && len(given) == 0:
		given = t.config.Allowed[cmp.Or(t.class, "auto")]
	}
	var names []string
	for _, arg := range given {
		some, err := expand(ctx, arg)
		if err != nil {
			return nil, err
		}
		for _, arg := range some {
			name, _, _ := strings.Cut(arg, "=")
			if t.excluded(name) || slices.Contains(names, arg) || !t.all && t.class != "" && !t.config.Is(t.class, name) {
				continue
			}
			names = append(names, arg)
		}
	}
	return names, nil
}

// upNow are the interfaces to set down with -a: those that are up, the latest
// first.
func (t *tool) upNow() ([]string, error) {
	entries, err := t.state.read()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range slices.Backward(entries) {
		if len(t.config.Find(e.logical)) == 0 || slices.Contains(t.config.NoAuto, e.name) || t.excluded(e.name) || t.class != "" && !t.config.Is(t.class, e.name) {
			continue
		}
		names = append(names, e.name)
	}
	return names, nil
}

func (t *tool) excluded(name string) bool {
	return slices.ContainsFunc(t.exclude, func(pattern string) bool { ok, err := path.Match(pattern, name); return ok && err == nil })
}

// expand turns a pattern, [VARIABLE]/VALUE[/NUMBER][=STANZA], into the names of
// the interfaces that it fits.
func expand(ctx context.Context, arg string) ([]string, error) {
	pattern, logical, mapped := strings.Cut(arg, "=")
	variable, value, ok := strings.Cut(pattern, "/")
	if !ok {
		return []string{arg}, nil
	}
	value, number, numbered := strings.Cut(value, "/")
	nth, err := strconv.ParseUint(number, 10, 16)
	if numbered && (err != nil || nth == 0) {
		return nil, fmt.Errorf("%s: a number, from 1, comes after the second slash", arg)
	}
	links, err := link.List(ctx, nil)
	if err != nil && !errors.Is(err, link.ErrInterrupted) {
		return nil, err
	}
	var names []string
	for _, l := range links {
		has := l.Name
		switch variable {
		case "":
		case "mac":
			has = l.HardwareAddr.String()
		default:
			text, err := os.ReadFile(filepath.Join("/sys/class/net", l.Name, filepath.Base(variable)))
			if err != nil {
				continue
			}
			has = strings.TrimSpace(string(text))
		}
		if ok, err := path.Match(value, has); !ok || err != nil {
			continue
		}
		name := l.Name
		if mapped {
			name += "=" + logical
		}
		names = append(names, name)
	}
	if numbered {
		names = names[min(int(nth)-1, len(names)):min(int(nth), len(names))]
	}
	return names, nil
}

// printNames prints the interfaces of a list that there is a stanza for.
func (t *tool) printNames(names []string) int {
	code := cli.Yes
	for _, arg := range names {
		name, logical, said := strings.Cut(arg, "=")
		if !said {
			logical = name
		}
		if len(t.config.Find(logical)) == 0 && t.Flags.NArg() > 0 {
			code = cli.No
			continue
		}
		fmt.Fprintln(t.Stdout, cli.Escape(name))
	}
	return code
}

// printLines prints what the file says of interfaces, as ifquery does.
func (t *tool) printLines(names []string) int {
	code := cli.Yes
	for _, name := range names {
		stanzas := t.config.Find(name)
		if len(stanzas) == 0 {
			t.Warn("unknown interface %s", name)
			code = cli.No
		}
		for _, s := range stanzas {
			if t.json {
				cli.JSONLine(t.Stdout, s)
				continue
			}
			for _, o := range append(s.Variables(), s.Commands()...) {
				for i, line := range strings.Split(o.Value, "\n") {
					if i == 0 {
						line = o.Key + ": " + line
					}
					fmt.Fprintln(t.Stdout, cli.Escape(line))
				}
			}
		}
	}
	return code
}

// printState prints what is up, as ifquery --state does.
func (t *tool) printState() int {
	entries, err := t.state.read()
	if err != nil {
		return t.Fail(err)
	}
	names := t.Flags.Args()
	code := cli.Yes
	for _, name := range names {
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.name == name }) {
			code = cli.No
		}
	}
	for _, e := range entries {
		switch {
		case len(names) > 0 && !slices.Contains(names, e.name):
		case t.json:
			cli.JSONLine(t.Stdout, struct {
				Name   string `json:"ifname"`
				Stanza string `json:"stanza"`
			}{e.name, e.logical})
		default:
			fmt.Fprintln(t.Stdout, cli.Escape(e.name+"="+e.logical))
		}
	}
	return code
}
