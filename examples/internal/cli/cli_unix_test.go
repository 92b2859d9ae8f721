//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tool returns a command that is the test binary in the role of a tool.
func tool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), toolVariable+"="+name)
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

func exitCode(err error) int {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestMainExitsWithTheCode(t *testing.T) {
	for code, arg := range []string{"0", "1", "2"} {
		if got := exitCode(tool(t, "code", arg).Run()); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
	}
}

// start runs a tool until it says that it is ready.
func start(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); line != "ready\n" {
		t.Fatalf("first line %q, %v", line, err)
	}
	return r
}

func TestFirstSignalEndsTheContext(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := tool(t, "wait")
		r := start(t, cmd)
		cmd.Process.Signal(sig)
		rest, _ := io.ReadAll(r)
		if !strings.HasPrefix(string(rest), "statistics: "+sig.String()) {
			t.Errorf("%v: printed %q", sig, rest)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
	}
}

func TestSecondSignalKills(t *testing.T) {
	cmd := tool(t, "wait", "stubborn")
	r := start(t, cmd)
	cmd.Process.Signal(os.Interrupt)
	if line, _ := r.ReadString('\n'); !strings.HasPrefix(line, "statistics") {
		t.Fatalf("printed %q", line)
	}
	// The default disposition comes back a moment after the context has ended.
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			e, ok := errors.AsType[*exec.ExitError](err)
			if !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Errorf("ended with %v, want a death by SIGINT", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
			cmd.Process.Signal(os.Interrupt)
		}
	}
}

// A tool that has nothing to say dies of a signal, as a shell's loop wants it.
func TestBrief(t *testing.T) {
	for args, want := range map[string]string{"": "signal: interrupt", "attend": "<nil>"} {
		cmd := tool(t, "brief", strings.Fields(args)...)
		r := start(t, cmd)
		cmd.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(r)
		if err := cmd.Wait(); fmt.Sprint(err) != want || (len(rest) > 0) != (args != "") {
			t.Errorf("%q: ended with %v, printed %q", args, err, rest)
		}
	}
}

// A tool that floods a pipe dies as every classic does, without a word.
func TestClosedReaderIsQuiet(t *testing.T) {
	cmd := tool(t, "flood")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r, w := pipe(t)
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Read(make([]byte, 6))
	r.Close()
	err := cmd.Wait()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || stderr.Len() > 0 {
		t.Fatalf("ended with %v, standard error %q", err, stderr.String())
	}
	if ws := e.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGPIPE {
		t.Errorf("ended with %v, want a death by SIGPIPE", err)
	}
}

// Where no signal comes, the context ends and the tool gives its own code. A
// descriptor above 2 is such a place for Go.
func TestClosedReaderEndsTheContext(t *testing.T) {
	r, w := pipe(t)
	r.Close()
	stderrReader, stderr := pipe(t)
	copied := false
	run := func(ctx context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) int {
		if !copied {
			io.WriteString(stdout, "x")
		} else {
			io.Copy(stdout, strings.NewReader("x"))
		}
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("cause %v is not a cancellation", context.Cause(ctx))
		}
		return No
	}
	for range 2 {
		if code := serve(t.Context(), "flood", run, nil, os.Stdin, w, stderr); code != No {
			t.Errorf("exit code %d, want %d", code, No)
		}
		copied = true
	}
	stderr.Close()
	if said, _ := io.ReadAll(stderrReader); len(said) > 0 {
		t.Errorf("standard error %q", said)
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}
