package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/leak"
)

// envStage is "enter" for the process that finds itself in new namespaces and
// has to furnish them; afterwards it is the identity of the network namespace,
// so that the processes of a fuzzing run know that they are inside already.
const (
	envStage   = "NETSONDE_LAB"
	stageEnter = "enter"
	statusFD   = 3 // where the inner process says whether it got its namespaces ready
)

// errNoLab tells why no lab can be built in this process; nil when it can.
var errNoLab = errors.New("TestMain must return lab.Main(m)")

func run(m *testing.M) int {
	tests := func() int { return leak.Main(m) }
	code, err := isolate(tests)
	if err != nil {
		errNoLab = err
		return tests()
	}
	return code
}

// isolate runs fn in namespaces of its own and returns its result: this process
// is either the one that has them already, or starts itself again there. An
// error says why neither is possible; fn has not run then.
func isolate(fn func() int) (int, error) {
	switch os.Getenv(envStage) {
	case stageEnter:
		if !enter() {
			return 1, nil
		}
	case namespaceID():
		errNoLab = nil
	default:
		return reexec()
	}
	return fn(), nil
}

func namespaceID() string {
	id, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return stageEnter // matches nothing: that case is taken
	}
	return id
}

// reexec runs this program again in namespaces of its own and returns its exit
// code. The error tells why that is not possible here.
func reexec() (int, error) {
	// The child is killed if this thread ends, so the thread must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	isolate := uintptr(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS)
	if os.Geteuid() == 0 {
		code, err := start(&syscall.SysProcAttr{Cloneflags: isolate, Pdeathsig: syscall.SIGKILL})
		if err == nil || !errors.Is(err, os.ErrPermission) {
			return code, err
		}
	}
	code, err := start(&syscall.SysProcAttr{
		Cloneflags:  isolate | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	})
	if err != nil {
		err = fmt.Errorf("%w%s", err, obstacle())
	}
	return code, err
}

// start runs the inner process to its end. An error means that no test ran.
func start(attr *syscall.SysProcAttr) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	// By this path the program can be started even if its directory cannot be
	// entered, or is gone.
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envStage+"="+stageEnter)
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = attr
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, fmt.Errorf("no network namespace: %w", err)
	}
	stop := forwardSignals(cmd.Process)
	defer stop()
	status, _ := io.ReadAll(r)
	err = cmd.Wait()
	if string(status) != "ready" {
		return 0, fmt.Errorf("the network namespace cannot be set up: %s", status)
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && state.Signaled() {
		if state.Signal() != syscall.SIGPIPE { // the reader went away: nobody is left to tell
			fmt.Fprintln(os.Stderr, "lab: the inner process ended by signal:", state.Signal())
		}
		return 128 + int(state.Signal()), nil
	}
	if cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// forwardSignals passes on what is sent to this process, such as the SIGQUIT
// of go test's own time limit, whose goroutine dump is wanted from inside.
func forwardSignals(p *os.Process) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range signals {
			p.Signal(s)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// enter furnishes the namespaces that this process was born in and reports the
// result to the outer process, which goes on without them if that failed.
func enter() bool {
	status := os.NewFile(statusFD, "status")
	defer status.Close()
	err := furnish()
	if err != nil {
		fmt.Fprint(status, err)
		return false
	}
	os.Setenv(envStage, namespaceID())
	errNoLab = nil
	fmt.Fprint(status, "ready")
	return true
}

func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount / private (CAP_SYS_ADMIN): %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo up (CAP_NET_ADMIN): %w", err)
	}
	return nil
}

// obstacle names the setting that keeps ordinary users from having namespaces.
func obstacle() string {
	for _, s := range []struct{ key, bad, good string }{
		{"kernel/unprivileged_userns_clone", "0", "1"},
		{"user/max_user_namespaces", "0", "a number above 0"},
		{"user/max_net_namespaces", "0", "a number above 0"},
		{"user/max_mnt_namespaces", "0", "a number above 0"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "0"},
	} {
		b, err := os.ReadFile("/proc/sys/" + s.key)
		if err == nil && strings.TrimSpace(string(b)) == s.bad {
			return fmt.Sprintf(" (needs root, or %s = %s)", strings.ReplaceAll(s.key, "/", "."), s.good)
		}
	}
	return " (needs root with CAP_SYS_ADMIN, or a kernel and a container that allow user namespaces)"
}
