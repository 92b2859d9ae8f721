package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
)

// stage is where the comparison takes place: what the lab cannot do ends it.
type stage struct{ *lab.Stage }

// cost is what a process took.
type cost struct {
	cpu    time.Duration
	memory int64 // bytes at most, resident
	wall   time.Duration
	stderr string
}

// process runs one and returns its output and its cost. Exit codes other than
// 2, which is that of our own parts that failed, are answers: fping has 1 for
// silent hosts and 4 when it ends.
func (s *stage) process(c *lab.Cmd) ([]byte, cost) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	start := time.Now()
	err := c.Run()
	wall := time.Since(start)
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() == 2) {
		s.Fatalf("%s: %v\n%s", c.Args[0], err, stderr.String())
	}
	p := c.ProcessState
	k := cost{cpu: p.UserTime() + p.SystemTime(), wall: wall, stderr: stderr.String()}
	if u, ok := p.SysUsage().(*syscall.Rusage); ok {
		k.memory = int64(u.Maxrss) << 10
	}
	return stdout.Bytes(), k
}

// started starts one of this program's own parts, which says when it is ready
// and goes on until its input ends.
func (s *stage) started(c *lab.Cmd) (*lab.Cmd, *bufio.Reader, io.Closer) {
	stdin, err := c.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); strings.TrimSpace(line) != "ready" {
		s.Fatalf("%s is not ready: %v", c.Args, err)
	}
	return c, r, stdin
}

// child runs one of this program's own parts and reads what it reports.
func (s *stage) child(h *lab.Host, report any, name string, args ...string) cost {
	out, k := s.process(h.ChildCommand(name, false, args...))
	if err := json.Unmarshal(out, report); err != nil {
		s.Fatalf("%s: %v: %s", name, err, out)
	}
	return k
}
