package lab_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
)

// again prepares a run of this test binary from the beginning.
func again(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NETSONDE_LAB=") })
	return cmd
}

// TestInner is run by the other tests of Main, in a process of its own.
func TestInner(t *testing.T) {
	switch os.Getenv("NETSONDE_INNER") {
	case "fail":
		t.Errorf("uid %d", os.Getuid())
	case "hang":
		os.Stdout.WriteString("up\n")
		time.Sleep(time.Minute)
	}
}

func TestMainExitCode(t *testing.T) {
	lab.New(t) // skips where Main could not do its work
	cmd := again("/proc/self/exe", "-test.run=^TestInner$")
	cmd.Env = append(cmd.Env, "NETSONDE_INNER=fail")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "uid 0") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	cmd = again("/proc/self/exe", "-test.run=^TestInner$", "-test.v")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestInner") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMainPassesSignals(t *testing.T) {
	lab.New(t)
	cmd := again("/proc/self/exe", "-test.run=^TestInner$")
	cmd.Env = append(cmd.Env, "NETSONDE_INNER=hang")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(stdout, make([]byte, 3))
	cmd.Process.Signal(syscall.SIGQUIT)
	io.Copy(io.Discard, stdout)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(stderr.String(), "TestInner") {
		t.Errorf("exit code %d, want the goroutine dump of a SIGQUIT\n%s", code, stderr.String())
	}
}

// TestMainWithoutNamespaces runs a lab test where the kernel forbids user
// namespaces: it is skipped, and says why.
func TestMainWithoutNamespaces(t *testing.T) {
	need(t, "unshare")
	need(t, "setpriv")
	lab.New(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const script = `echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"`
	cmd := again("unshare", "-Ur", "sh", "-c", script, "sh", self, "-test.run=^TestForwarding$", "-test.v")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- SKIP: TestForwarding") || !strings.Contains(string(out), "user.max_user_namespaces") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRootless runs the main tests again as nobody.
func TestRootless(t *testing.T) {
	t.Parallel()
	lab.New(t)
	dir, err := os.MkdirTemp("", "rootless")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Skip("needs root: ", err)
	}
	cmd := again("/proc/self/exe", "-test.v", "-test.run=^("+strings.Join([]string{
		"TestForwarding", "TestEtcFiles", "TestRunChild", "TestUnprivilegedProcess", "TestDoUnprivileged", "TestDo",
		"TestFilterReject", "TestWireTransfer", "TestServeHTTP", "TestNothingStays", "TestChainWithWire",
	}, "|")+")$")
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, "HOME="+dir, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "no network lab") {
		t.Skipf("not without root here:\n%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestForwarding") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEtcOfOtherMachines runs TestEtcFiles where /etc/resolv.conf is a link, to
// a file as systemd-resolved has it or to nowhere, and where there is no
// nsswitch.conf.
func TestEtcOfOtherMachines(t *testing.T) {
	t.Parallel()
	need(t, "unshare")
	lab.New(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, prepare := range []string{
		"echo nameserver 10.9.9.9 >stub; ln -s ../$PWD/stub etc/resolv.conf",
		"ln -s ../run/nowhere/stub-resolv.conf etc/resolv.conf",
		"rm -f etc/nsswitch.conf",
		"rm -f etc/hosts",
	} {
		dir := t.TempDir()
		script := "mkdir etc; cp -a /etc/. etc 2>/dev/null; rm -f etc/resolv.conf; " + prepare +
			` && mount --bind etc /etc && exec "$@"`
		cmd := again("unshare", "-m", "sh", "-c", script, "sh", self, "-test.run=^TestEtcFiles$", "-test.v")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestEtcFiles") {
			t.Errorf("%s: %v\n%s", prepare, err, out)
		}
	}
}
