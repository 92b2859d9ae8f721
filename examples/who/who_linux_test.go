package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/utmp"
)

// newTerminal returns a pseudo-terminal and its name without "/dev/".
func newTerminal(t *testing.T) (f *os.File, line string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs /dev/ptmx: ", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	line = fmt.Sprintf("pts/%d", n)
	f, err = os.OpenFile("/dev/"+line, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs a pseudo-terminal: ", err)
	}
	t.Cleanup(func() { f.Close() })
	return f, line
}

// -m is about the terminal of standard input.
func TestMine(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	terminal, line := newTerminal(t)
	var records []utmp.Record
	for i, at := range []string{"pts/other", line, "tty1"} {
		records = append(records, utmp.Record{Type: utmp.UserProcess, Line: at, User: fmt.Sprint("user", i), PID: int32(100 + i), Time: time.Now()})
	}
	path := write(t, records...)
	for _, args := range []string{"-m", "-mH", "-mu", "-mT"} {
		words := append(strings.Fields(args), path)
		stdout, stderr, code := who(t, terminal, words...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "user1") || strings.Contains(stdout, "user0") || strings.Contains(stdout, "user2") {
			t.Errorf("%s: exit code %d, printed %q and %q", args, code, stdout, stderr)
		}
		cmd := exec.Command("who", words...)
		cmd.Stdin = terminal
		classic, err := cmd.Output()
		if err != nil {
			t.Skip("needs who")
		}
		if string(classic) != stdout {
			t.Errorf("%s: printed %q, who prints %q", args, stdout, classic)
		}
	}
	stdout, stderr, code := who(t, strings.NewReader(""), "-m", path)
	if code != 0 || stdout != "" || stderr != "who: standard input is no terminal, so nobody is on it\n" {
		t.Errorf("without a terminal: exit code %d, printed %q and %q", code, stdout, stderr)
	}
}
