// Package cli is what the mini-tools share: flags as getopt reads them, exit
// codes, signals, terminals, tables, JSON, a progress line and the escaping of
// text that came from the network. What a tool computes is in the library;
// what one tool alone prints is in its own main.go.
//
// A mini-tool looks like this:
//
//	func main() { cli.Main("ping", run) }
//
//	func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
//		t := cli.New("ping", "[options] HOST", "Asks a host for an echo.", stdout, stderr)
//		count := t.Flags.IntP("count", "c", 0, "stop after `N` replies")
//		if code, done := t.Parse(args); done {
//			return code
//		}
//		if t.Flags.NArg() != 1 {
//			return t.Usage("which host?")
//		}
//		…
//		if err != nil {
//			return t.Fail(err)
//		}
//		return cli.Yes
//	}
//
// Standard output is data only. Messages go to standard error, begin with the
// name of the tool, are lower case and have no full stop.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// The exit codes of every tool whose classic has none that scripts rely on.
const (
	Yes    = 0 // the answer is yes: it replied, it is open, nothing is wrong
	No     = 1 // it ran, and the answer is no
	Failed = 2 // it could not run: usage, permission, a name that does not resolve
)

// Run is a mini-tool without its process: it returns the exit code.
type Run func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int

// Main runs a tool and exits with its code. Only it and [Brief] exit.
//
// The first SIGINT or SIGTERM ends ctx, so that a tool can still print its
// statistics; the second one kills, as by default. When the reader of standard
// output has gone away, ctx ends too and nothing is said about it; any other
// failure to write is reported and gives [Failed].
func Main(name string, run Run) {
	// The handler goes with the process.
	ctx, _ := Attend(context.Background())
	os.Exit(serve(ctx, name, run, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Brief is Main for a tool that has nothing to say when it is interrupted:
// signals kill it, as they kill its classic, so that a shell's loop ends too.
// What takes long and has results calls [Attend]. Handling signals takes two
// threads, which is a tenth of such a tool's time.
func Brief(name string, run Run) {
	os.Exit(serve(context.Background(), name, run, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Attend returns a context that the first SIGINT or SIGTERM ends; the second
// one kills, and so does the first one after stop.
func Attend(ctx context.Context) (_ context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	return ctx, stop
}

func serve(ctx context.Context, name string, run Run, args []string, stdin io.Reader, stdout, stderr *os.File) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &output{File: stdout, broken: cancel}
	code := run(ctx, args, stdin, out, stderr)
	if err := out.failure(); err != nil {
		New(name, "", "", stdout, stderr).Error(err)
		return Failed
	}
	return code
}

// errNoReader is the cause of a context that ended because standard output is
// a pipe that nobody reads any more.
type errNoReader struct{}

func (errNoReader) Error() string        { return "standard output is closed" }
func (errNoReader) Is(target error) bool { return target == context.Canceled }

// output is standard output that remembers its first failure. The file stays
// visible through SyscallConn, so that a terminal is recognised.
type output struct {
	*os.File
	broken context.CancelCauseFunc

	mu    sync.Mutex
	err   error
	carry bool // a failure does not end the context
}

// Carry has a failure to write to standard output no longer end the context of
// [Main]: what is begun is to be ended, whether or not it can be told.
func Carry(stdout io.Writer) {
	if o, ok := stdout.(*output); ok {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.carry = true
	}
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if err != nil {
		o.mu.Lock()
		if o.err == nil {
			o.err = err
		}
		carry := o.carry
		o.mu.Unlock()
		if !carry {
			o.broken(errNoReader{})
		}
	}
	return n, err
}

// WriteString keeps io.WriteString on the path that remembers.
func (o *output) WriteString(s string) (int, error) { return o.Write([]byte(s)) }

// ReadFrom keeps io.Copy on the path that remembers.
func (o *output) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{o}, r)
}

// failure is why standard output could not be written; [serve] says it.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if noReader(o.err) {
		return nil
	}
	return o.err
}
