package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Cmd is a process inside a host. It is used as an exec.Cmd; what is still
// running when the test ends is killed.
type Cmd struct {
	*exec.Cmd
	host         *Host
	unprivileged bool
	wait         sync.Once
	waitErr      error
}

// Command prepares a process inside the host, with its network, its /etc and
// its /sys, and with the capabilities of the lab.
func (h *Host) Command(name string, args ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, args...), host: h}
}

// CommandUnprivileged prepares a process without any capability and without a
// way to get one: file capabilities and set-uid bits give it nothing. Under
// root it is nobody (65534); without root it is the user who runs the tests,
// seen as uid 0 in the lab's user namespace.
func (h *Host) CommandUnprivileged(name string, args ...string) *Cmd {
	c := h.Command(name, args...)
	c.unprivileged = true
	return c
}

// nobody is the user and group of unprivileged processes.
const nobody = 65534

// Start starts the process inside the host.
func (c *Cmd) Start() error {
	h := c.host
	h.openPing()
	err := h.inside(func() error {
		if c.unprivileged {
			if err := c.unprivilege(); err != nil {
				return err
			}
		}
		return c.Cmd.Start()
	})
	if err == nil {
		h.lab.atEnd(func() {
			c.Process.Kill()
			c.Wait()
		})
	}
	return err
}

// unprivilege arranges that the process has no capabilities. The child gets
// the securebits and no_new_privs of the calling thread; where there is another
// user to change to, the capabilities go with the change.
func (c *Cmd) unprivilege() error {
	if !canBeNobody() {
		return dropCapabilities()
	}
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	return noNewPrivileges()
}

// canBeNobody reports whether this user namespace has a user to change to.
func canBeNobody() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	var inside, outside, count uint32
	_, scanErr := fmt.Sscan(string(b), &inside, &outside, &count)
	return err == nil && scanErr == nil && inside <= nobody && count > nobody-inside
}

// Wait waits for the process to end. It may be called more than once.
func (c *Cmd) Wait() error {
	c.wait.Do(func() { c.waitErr = c.Cmd.Wait() })
	return c.waitErr
}

// Run starts the process and waits for its end.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the process and returns its standard output. An error carries
// what it wrote to standard error.
func (c *Cmd) Output() ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%s: %w: %s", c.Args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), err
}

// CombinedOutput runs the process and returns what it wrote to both outputs.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var both bytes.Buffer
	c.Stdout, c.Stderr = &both, &both
	err := c.Run()
	return both.Bytes(), err
}

// Output runs a program inside the host and returns its standard output.
func (h *Host) Output(name string, args ...string) ([]byte, error) {
	return h.Command(name, args...).Output()
}

// OutputUnprivileged is Output without any capability, see CommandUnprivileged.
func (h *Host) OutputUnprivileged(name string, args ...string) ([]byte, error) {
	return h.CommandUnprivileged(name, args...).Output()
}

// ChildCommand prepares a process inside the host that runs the function
// registered as name by Child, with or without the lab's capabilities.
func (h *Host) ChildCommand(name string, privileged bool, args ...string) *Cmd {
	h.lab.t.Helper()
	if children[name] == nil {
		h.lab.t.Fatalf("lab: no function is registered as child %q", name)
	}
	// The child opens this path before it is this program no more, so it needs
	// no right to the directories that the test binary lies in.
	c := h.Command("/proc/self/exe", args...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), envChild+"="+name)
	c.unprivileged = !privileged
	return c
}

// RunChild runs the function registered as name by Child in a process of its
// own, all of whose threads are inside the host, and returns what it wrote and
// its exit code. The error is for a process that could not be run or was
// killed.
func (h *Host) RunChild(name string, privileged bool, args ...string) (stdout, stderr []byte, code int, err error) {
	h.lab.t.Helper()
	c := h.ChildCommand(name, privileged, args...)
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	err = c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return out.Bytes(), errOut.Bytes(), exit.ExitCode(), nil
	}
	return out.Bytes(), errOut.Bytes(), 0, err
}
