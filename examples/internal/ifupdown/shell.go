package ifupdown

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/interfaces"
	"github.com/netsonde/netsonde/link"
)

// recursion is the variable that tells an ifup inside a command which interface
// is being set.
func recursion(name string) string {
	return "IFUPDOWN_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

// searchPath is where commands are looked for (interfaces(5)).
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is all that commands and scripts get (interfaces(5)).
func (j *job) environment(phase string) []string {
	mode, verbosity := "stop", "0"
	if j.up {
		mode = "start"
	}
	if j.verbose {
		verbosity = "1"
	}
	family, method := cmp.Or(j.stanza.Family, "meta"), cmp.Or(j.stanza.Method, "none")
	env := []string{
		"IFACE=" + j.name, "LOGICAL=" + j.logical, "ADDRFAM=" + family, "METHOD=" + method, "MODE=" + mode, "PHASE=" + phase,
		"VERBOSITY=" + verbosity, "PATH=" + searchPath,
	}
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "IFUPDOWN_") {
			env = append(env, e)
		}
	}
	if j.stanza.Method != "" {
		env = append(env, recursion(j.name)+"="+phase)
	}
	if class := cmp.Or(j.class, map[bool]string{true: "auto"}[j.all]); class != "" {
		env = append(env, "CLASS="+class)
	}
	if j.env == nil && j.stanza.Method != "" {
		j.env = j.stanza.Environment()
	}
	for _, e := range j.env {
		if !strings.ContainsRune(e, 0) { // which no environment can have
			env = append(env, e)
		}
	}
	return env
}

// program runs a program and waits for it. Ctrl-C reaches it too; when only we
// are told to end it gets a SIGTERM, and five seconds.
func (t *tool) program(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file(t.stdin), fileWriter(t.Stdout), fileWriter(t.Stderr)
	if t.json { // standard output is our data
		cmd.Stdout = cmd.Stderr
	}
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it left a process behind, which is what some are for
	}
	return err
}

// file is a reader that a process can be given as it is.
func file(r io.Reader) io.Reader {
	if f, ok := r.(*os.File); ok {
		return f
	}
	return nil
}

// fileWriter is the file behind a writer: a process that a command leaves behind
// must not keep us waiting for the end of a pipe.
func fileWriter(w io.Writer) io.Writer {
	f, ok := w.(interface{ Fd() uintptr })
	switch {
	case ok && f.Fd() == os.Stdout.Fd():
		return os.Stdout
	case ok && f.Fd() == os.Stderr.Fd():
		return os.Stderr
	}
	return w
}

// act does one step.
func (j *job) act(ctx context.Context, s interfaces.Step) error {
	switch s.Do {
	case interfaces.ActionCommand:
		if err := j.program(ctx, j.environment(s.Phase), "/bin/sh", "-c", s.Text); err != nil {
			return fmt.Errorf("%s: %w", s.Text, err)
		}
		return nil
	case interfaces.ActionScripts:
		return j.parts(ctx, s)
	case interfaces.ActionAlias:
		return os.WriteFile(filepath.Join("/sys/class/net", s.Device, "ifalias"), []byte(s.Value), 0)
	}
	return do(ctx, s)
}

// scriptName is what scripts are called (run-parts(8)).
var scriptName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// parts runs the scripts of a directory in the order of their names. The first
// that fails ends it on the way up.
func (j *job) parts(ctx context.Context, s interfaces.Step) error {
	dir := filepath.Join(j.scripts, s.Value)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var failed error
	for _, e := range entries {
		script := filepath.Join(dir, e.Name())
		info, err := os.Stat(script)
		if !scriptName.MatchString(e.Name()) || err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		if j.verbose {
			fmt.Fprintln(j.Stderr, "run-parts: executing", cli.Escape(script))
		}
		if err := j.program(ctx, j.environment(s.Phase), script); err != nil {
			failed = fmt.Errorf("%s: %w", script, err)
			if j.up && !j.ignore || ctx.Err() != nil {
				return failed
			}
			j.Error(failed)
		}
	}
	if !j.up || j.ignore {
		return nil // told
	}
	return failed
}

// mapped asks the scripts of mappings for the stanza to use.
func (t *tool) mapped(ctx context.Context, name, logical string) string {
	for _, m := range t.config.Mappings {
		fits := false
		for pattern := range strings.FieldsSeq(m.Name) {
			ok, err := path.Match(pattern, logical)
			fits = fits || ok && err == nil
		}
		if !fits {
			continue
		}
		script, lines := "", ""
		for _, o := range m.Options {
			switch o.Key {
			case "script":
				script = o.Value
			case "map":
				lines += o.Value + "\n"
			}
		}
		if t.noMappings || script == "" {
			if t.verbose {
				t.Warn("not running mapping scripts for %s", logical)
			}
			continue
		}
		if t.verbose {
			t.Warn("running mapping script %s on %s", script, logical)
		}
		cmd := exec.CommandContext(ctx, script, logical)
		cmd.WaitDelay = time.Second
		cmd.Stdin, cmd.Stderr = strings.NewReader(lines), fileWriter(t.Stderr)
		out, err := cmd.Output()
		if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
			t.Warn("%v: %s: %v", m.Place, script, err)
			continue
		}
		if first, _, _ := bytes.Cut(out, []byte("\n")); len(bytes.TrimSpace(first)) > 0 {
			logical = string(bytes.TrimSpace(first))
		}
	}
	if logical != name && t.verbose {
		t.Warn("%s is %s", name, cli.Escape(logical))
	}
	return logical
}

// settle is the stanza with what the command line adds to it, and with an address
// in the place of the word random.
func (t *tool) settle(s interfaces.Stanza) interfaces.Stanza {
	options := slices.Clone(s.Options)
	for _, o := range t.set {
		key, value, _ := strings.Cut(o, "=")
		options = append(options, interfaces.Option{Key: key, Value: value, Place: interfaces.Place{File: "-o", Line: 1}})
	}
	for i, o := range options {
		if o.Key == "hwaddress" && strings.TrimSpace(strings.TrimPrefix(o.Value, "ether ")) == "random" {
			a := make(link.HardwareAddr, 6)
			rand.Read(a)
			a[0] = a[0]&^1 | 2 // of one host, and given locally
			options[i].Value = a.String()
		}
	}
	s.Options = options
	return s
}
