package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/netsonde/netsonde/internal/operr"

	"github.com/spf13/pflag"
)

// Tool is one run of a mini-tool: its flags and where it prints.
type Tool struct {
	Name   string
	Flags  *pflag.FlagSet
	Stdout io.Writer
	Stderr io.Writer

	// LongDash accepts long flags with one dash as well, as openssl and ip have
	// them: "-connect" is then "--connect", and not a cluster of c, o, n ….
	LongDash bool
	// Digits names the flag that a bare number sets: with "lines", "-100" is
	// "--lines=100", as last and head have it.
	Digits string

	synopsis, about string
}

// New returns a Tool with --help and --version. The synopsis is what follows
// the name in the usage line; about is one or more sentences.
func New(name, synopsis, about string, stdout, stderr io.Writer) *Tool {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.SortFlags = false
	return &Tool{Name: name, Flags: fs, Stdout: stdout, Stderr: stderr, synopsis: synopsis, about: about}
}

// Parse reads the arguments. If done is true, the tool ends with the code:
// help or the version was asked for, or the arguments were wrong, which has
// been said.
func (t *Tool) Parse(args []string) (code int, done bool) {
	help := t.Flags.Bool("help", false, "print this help and exit")
	shorthand := "V"
	if t.Flags.ShorthandLookup(shorthand) != nil {
		shorthand = ""
	}
	version := t.Flags.BoolP("version", shorthand, false, "print the version and exit")
	err := t.Flags.Parse(t.rewrite(args))
	switch {
	case errors.Is(err, pflag.ErrHelp), err == nil && *help:
		t.printHelp()
		return Yes, true
	case err != nil:
		return t.Usage("%s", usageError(err)), true
	case *version:
		fmt.Fprintln(t.Stdout, t.Name, versionOf(debug.ReadBuildInfo()))
		return Yes, true
	}
	return Yes, false
}

func (t *Tool) printHelp() {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s\n", strings.TrimSpace(t.Name+" "+t.synopsis))
	if t.about != "" {
		fmt.Fprintf(&b, "\n%s\n", t.about)
	}
	fmt.Fprintf(&b, "\nOptions:\n%s", t.Flags.FlagUsagesWrapped(Width(t.Stdout)))
	io.WriteString(t.Stdout, b.String())
}

// Usage says what is wrong with the command line and returns [Failed].
func (t *Tool) Usage(format string, args ...any) int {
	t.say(fmt.Sprintf(format, args...) + "; try --help")
	return Failed
}

// Error prints an error as "tool: message". When the error says what would
// allow a refused operation, a hint follows. The end of a context that was
// cancelled is no error and is not printed.
func (t *Tool) Error(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if out, ok := t.Stdout.(*output); ok && out.failure() != nil && errors.Is(err, out.failure()) {
		return // it is said at the end of the run
	}
	t.say(strings.TrimPrefix(err.Error(), t.Name+": "))
	if hint := hintFor(operr.NeedOf(err)); hint != "" {
		t.Hint("%s", hint)
	}
}

// Fail prints the error as [Tool.Error] does and returns [Failed].
func (t *Tool) Fail(err error) int {
	t.Error(err)
	return Failed
}

// Warn prints "tool: message" for something that does not end the run.
func (t *Tool) Warn(format string, args ...any) { t.say(fmt.Sprintf(format, args...)) }

// Hint prints "tool: hint: message".
func (t *Tool) Hint(format string, args ...any) { t.say("hint: " + fmt.Sprintf(format, args...)) }

func (t *Tool) say(message string) {
	fmt.Fprintf(t.Stderr, "%s: %s\n", t.Name, Escape(message))
}

// hintFor turns what operr.Need recorded into something to type.
func hintFor(need string) string {
	_, name, ok := strings.Cut(need, "CAP_")
	if !ok {
		return ""
	}
	if end := strings.IndexFunc(name, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }); end >= 0 {
		name = name[:end]
	}
	exe, err := os.Executable()
	if err != nil {
		exe = "this program"
	}
	return fmt.Sprintf("run it as root, or once: setcap cap_%s+ep %s", strings.ToLower(name), exe)
}

func versionOf(bi *debug.BuildInfo, ok bool) string {
	if !ok {
		return "unknown"
	}
	version := bi.Main.Version
	if version == "" {
		version = "(devel)"
	}
	settings := map[string]string{}
	for _, s := range bi.Settings {
		settings[s.Key] = s.Value
	}
	if rev := settings["vcs.revision"]; rev != "" && version == "(devel)" {
		version += " " + rev[:min(12, len(rev))]
		if settings["vcs.modified"] == "true" {
			version += " modified"
		}
	}
	return version + " " + bi.GoVersion
}
