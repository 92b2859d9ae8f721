package ifupdown

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/interfaces"
)

// job is one interface that is set.
type job struct {
	*tool
	name, logical string
	stanza        interfaces.Stanza
	first         bool // stanza of the interface
	env           []string
}

// iface sets one interface, and reports whether all that the file says was done,
// or had been before.
func (t *tool) iface(ctx context.Context, arg string) bool {
	name, logical, said := strings.Cut(arg, "=")
	if name == "" || strings.ContainsAny(name, "/\x00 \t\n\v\f\r") {
		t.Warn("%q is no name of an interface", name)
		return false
	}
	if !said {
		logical = name
	}
	if phase := os.Getenv(recursion(name)); phase != "" {
		t.Warn("recursion detected for interface %s in %s phase", name, phase)
		return false
	}
	h, up, ok := t.take(ctx, name)
	if !ok {
		return false
	}
	if h != nil {
		defer h.release()
	}
	switch {
	case !t.up && up != "":
		logical = up
	case t.up:
		logical = t.mapped(ctx, name, logical)
	}
	if len(t.config.Find(logical)) == 0 {
		t.Warn("unknown interface %s", arg)
		return false
	}
	if t.up == (up != "") && !t.force {
		t.Warn("interface %s %s configured", name, map[bool]string{true: "already", false: "not"}[t.up])
		return true
	}
	return t.configure(ctx, h, name, logical)
}

// take locks the interface and tells what it is up with.
func (t *tool) take(ctx context.Context, name string) (h *hold, up string, ok bool) {
	if t.noAct {
		return nil, t.state.logical(name), true
	}
	h, err := t.state.hold(ctx, name, t.Name, func(owner int) {
		t.Warn("waiting for lock on %s/ifstate.%s", t.stateDir, name)
		if !t.up {
			t.state.terminate(name, owner)
		}
	})
	switch {
	case err == nil:
		return h, h.logical, true
	case ctx.Err() != nil:
		return nil, "", false // told at the end
	case t.force:
		t.Warn("%v: the state is not kept", err)
		return nil, t.state.logical(name), true
	}
	t.Error(err)
	if errors.Is(err, os.ErrPermission) {
		t.Hint("run it as root, or keep the state elsewhere with --state-dir, or go without with --force")
	}
	return nil, "", false
}

// configure does what the stanzas say.
func (t *tool) configure(ctx context.Context, h *hold, name, logical string) bool {
	mark := func(logical string) bool {
		if h == nil {
			return true
		}
		err := h.mark(logical)
		t.Error(err)
		return err == nil || t.force
	}
	// As with ifupdown it counts as up as soon as it is begun, and as down.
	if t.up && !mark(logical) || !t.up && !mark("") {
		return false
	}
	good := true
	for i, s := range t.config.Find(logical) {
		j := &job{tool: t, name: name, logical: logical, stanza: t.settle(s), first: i == 0}
		if j.do(ctx) {
			continue
		}
		if good = false; t.up && !t.ignore || ctx.Err() != nil {
			break
		}
	}
	if !good {
		if t.up && !t.ignore {
			mark("")
		}
		t.Warn("failed to bring %s %s", map[bool]string{true: "up", false: "down"}[t.up], name)
	}
	return good
}

// do does what one stanza says.
func (j *job) do(ctx context.Context) bool {
	s := j.stanza
	if j.verbose {
		fmt.Fprintf(j.Stderr, "%s: configuring interface %s=%s (%s)\n", j.Name, cli.Escape(j.name), cli.Escape(j.logical), cli.Escape(s.Family))
	}
	plan := interfaces.Down
	if j.up {
		plan = interfaces.Up
	}
	steps, problems := plan(s, j.name)
	good := true
	for _, p := range problems {
		switch {
		case !p.Unused:
			good = false
			j.Warn("%v", p)
		case j.verbose && j.noScripts:
			j.Warn("%v", p)
		}
	}
	if !good && j.up && !j.ignore {
		return false // before anything is done
	}
	for _, step := range steps {
		if j.step(ctx, step) {
			continue
		}
		if good = false; j.up && !j.ignore || ctx.Err() != nil {
			return false
		}
	}
	return good
}

// result is a step and what came of it.
type result struct {
	interfaces.Step
	Done  bool   `json:"done"`
	Error string `json:"error,omitzero"`
}

// step does one step, or tells what it would be, and reports whether it was done.
func (j *job) step(ctx context.Context, s interfaces.Step) bool {
	if s.Do == interfaces.ActionAlias && !j.first {
		return true // the interface has one
	}
	if s.Do == interfaces.ActionScripts && (j.noScripts || slices.Contains(j.config.Bare, j.name)) {
		return true
	}
	r := result{Step: s}
	if s.Do == interfaces.ActionClient {
		r.Text = client(s, j.up)
	}
	if s.Do == interfaces.ActionScripts && j.verbose {
		r.Text = strings.Replace(r.Text, " /", " --verbose /", 1)
	}
	switch {
	case j.json:
	case j.noAct:
		fmt.Fprintln(j.Stdout, cli.Escape(r.Text))
	case j.verbose:
		fmt.Fprintln(j.Stderr, cli.Escape(r.Text))
	}
	var err error
	if !j.noAct {
		err = j.act(ctx, r.Step)
		if s.Lenient && (s.Do != interfaces.ActionLink || !errors.Is(err, os.ErrPermission)) {
			err = nil
		}
		if r.Done = err == nil; err != nil {
			r.Error = err.Error()
		}
	}
	if j.json {
		cli.JSONLine(j.Stdout, r)
	}
	switch {
	case errors.Is(err, errNotRun):
		j.Warn("%v: not run: %s", r.Place, r.Text)
		j.Hint("run it yourself; with %s inet manual, up and down lines can", j.logical)
	case err != nil && (s.Do == interfaces.ActionCommand || s.Do == interfaces.ActionScripts):
		if r.File != "" {
			err = fmt.Errorf("%v: %w", r.Place, err)
		}
		j.Error(err)
	case err != nil:
		j.Error(err)
		j.hint(err)
	}
	return err == nil
}

// hint tells what would help against a refusal, where that is not the right to
// do it.
func (j *job) hint(err error) {
	device, _, _ := strings.Cut(j.name, ":")
	if base, id, ok := strings.Cut(device, "."); ok && errors.Is(err, os.ErrNotExist) {
		j.Hint("VLANs are not made here; a line before: pre-up ip link add link %s name %s type vlan id %s", base, device, id)
	}
}
